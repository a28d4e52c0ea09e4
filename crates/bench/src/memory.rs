//! What a waiting job takes of the backend's memory, and what a worker takes.

use crate::args::Kind;
use crate::bench::{Bench, child};
use crate::enqueue::enqueue_bare;
use crate::load::{self, Load, Plain};
use crate::machine;
use crate::report::{Row, number};
use anyhow::{Context as _, Result, bail};
use legwork::{Client, Context, Failure, Worker};
use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;

const MB: f64 = 1e6;

pub(crate) async fn run(bench: &mut Bench) -> Result<()> {
    let jobs = bench.size(1_000_000, 100_000);
    let limit = match bench.kind {
        Kind::Redis => {
            bench.empty()?;
            let (server, records) = (bench.server()?, load::records(0..jobs)?);
            let before = server.used_memory()?;
            tokio::task::block_in_place(|| enqueue_bare(server.port(), &records, 1, 1_000))?;
            Some((server.used_memory()? - before) / jobs as f64)
        }
        Kind::Sqlite => None,
    };
    let url = bench.empty()?;
    let before = held(bench, &url)?;
    let client = Client::connect(&url).await?;
    load::fill::<Plain>(&client, 0..jobs, 1).await?;
    let each = (held(bench, &url)? - before) / jobs as f64;
    let row = Row::of(
        bench.name("memory per queued job"),
        each,
        "bytes",
        format!("{} jobs of 200 bytes", number(jobs as f64)),
    );
    bench.note(Row { limit, ..row })?;

    let flying = if bench.args.quick { 200 } else { 10_000 };
    for (what, count) in [("idle".to_owned(), 0), (format!("{flying} in flight"), flying)] {
        let client = bench.client().await?;
        load::fill::<Plain>(&client, 0..count, 1).await?;
        let url = bench.url()?;
        let mut worker = child("worker", &url, &count.to_string())?;
        let mut text = String::new();
        worker.stdout.take().context("no output")?.read_to_string(&mut text)?;
        let (now, most) = text.trim().split_once(' ').context("the worker's process has failed")?;
        worker.wait()?;
        let settings = match count {
            0 => format!("resident; most ever {} MB; concurrency 16", most),
            _ => format!("resident; most ever {} MB; concurrency 10000 (default 16)", most),
        };
        bench.note(Row::of(bench.name(&format!("worker memory, {what}")), now.parse()?, "MB", settings))?;
    }
    Ok(())
}

/// Bytes that the backend holds: of memory, or of its files.
fn held(bench: &Bench, url: &str) -> Result<f64> {
    match bench.kind {
        Kind::Redis => bench.server()?.used_memory(),
        Kind::Sqlite => {
            let path = url.trim_start_matches("sqlite:");
            let size = |end| std::fs::metadata(format!("{path}{end}")).map_or(0, |file| file.len());
            Ok((size("") + size("-wal")) as f64)
        }
    }
}

type Inside = (Arc<AtomicUsize>, watch::Receiver<bool>);

async fn stay(_: Load<Plain>, cx: Context<Inside>) -> Result<(), Failure> {
    let (inside, mut opened) = cx.state().clone();
    inside.fetch_add(1, Ordering::Relaxed);
    let _ = opened.wait_for(|open| *open).await;
    Ok(())
}

/// The other process: a worker that has nothing to do, or as much at once as is said; tells
/// how much memory it holds then, and held at most.
pub(crate) async fn work(url: &str, text: &str) -> Result<()> {
    let wanted: usize = text.parse()?;
    let inside = Arc::new(AtomicUsize::new(0));
    let (open, opened) = watch::channel(false);
    let state = (inside.clone(), opened);
    let worker = Worker::new(Client::connect(url).await?, state).handle(stay);
    let worker = if wanted > 0 { worker.queue("default", 10_000) } else { worker };
    let running = worker.start().await?;
    for _ in 0..600 {
        let settled = if wanted == 0 { Duration::from_secs(2) } else { Duration::from_millis(100) };
        tokio::time::sleep(settled).await;
        if running.is_ready() && inside.load(Ordering::Relaxed) == wanted {
            println!("{:.1} {:.1}", machine::memory("VmRSS") / MB, machine::memory("VmHWM") / MB);
            let _ = open.send(true);
            running.stop().await;
            return Ok(());
        }
    }
    bail!("{} of {wanted} jobs are in flight", inside.load(Ordering::Relaxed))
}
