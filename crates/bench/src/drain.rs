//! Workers that run jobs which do nothing, beside a bare client that leases and settles.

use crate::args::Kind;
use crate::bench::{Bench, finished};
use crate::enqueue::enqueue_bare;
use crate::load::{self, Answered, Kept, Plain, Tally};
use crate::machine::Sample;
use crate::raw::{self, Raw};
use crate::sqlite;
use anyhow::{Result, bail};
use legwork::{Client, Running, Worker};
use std::sync::Arc;

/// As many jobs as a worker leases at most in one call.
const BATCH: usize = 256;
const LANES: usize = 4;

pub(crate) async fn run(bench: &mut Bench) -> Result<()> {
    one::<Plain>(bench, "drain, nothing kept", raw::Kept::Nothing).await?;
    one::<Kept>(bench, "drain, defaults", raw::Kept::Records).await?;
    one::<Answered>(bench, "drain, results kept", raw::Kept::Results).await
}

async fn one<K: load::Kind>(bench: &mut Bench, what: &str, kept: raw::Kept) -> Result<()> {
    let mut plan = bench.plan(500_000, 100_000);
    while let Some(jobs) = plan.next() {
        let records = load::records(0..jobs)?;
        let limit = match bench.kind {
            Kind::Redis => bare_window(bench, &records, kept)?,
            Kind::Sqlite => sqlite::drain(bench, &records, BATCH, kept).await?,
        };
        let client = bench.client().await?;
        plan.add(window::<K>(bench, &client, jobs).await?, Some(limit));
    }
    let settings = format!("{}, leases of up to {BATCH}", concurrency(bench));
    bench.note(plan.row(bench.name(what), &settings))
}

/// What a worker's permits are, for people.
pub(crate) fn concurrency(bench: &Bench) -> String {
    match bench.args.concurrency {
        Some(permits) => format!("concurrency {permits} (default 16)"),
        None => "concurrency 16".into(),
    }
}

/// A worker as a user starts one.
pub(crate) async fn worker<K: load::Kind>(
    bench: &Bench,
    client: &Client,
    tally: &Arc<Tally>,
) -> Result<Running> {
    let worker = Worker::new(client.clone(), tally.clone()).handle(load::handle::<K>);
    let worker = match bench.args.concurrency {
        Some(permits) => worker.queue("default", permits as usize),
        None => worker,
    };
    Ok(worker.start().await?)
}

/// Enqueues, and then measures from a worker's start until every job is settled.
pub(crate) async fn window<K: load::Kind>(bench: &Bench, client: &Client, jobs: usize) -> Result<Sample> {
    load::fill::<K>(client, 0..jobs, 4).await?;
    let tally = Tally::new(jobs);
    let meter = bench.meter();
    let running = worker::<K>(bench, client, &tally).await?;
    tally.reach(jobs).await?;
    finished(client).await?;
    let sample = bench.stop(meter, jobs);
    running.stop().await;
    tally.check()?;
    let broken = client.backend().audit().await?;
    if !broken.is_empty() {
        bail!("the backend's audit found: {}", broken.join("; "));
    }
    Ok(sample)
}

/// Bare connections, each in a thread of its own.
fn bare_window(bench: &mut Bench, records: &[(raw::Id, Vec<u8>)], kept: raw::Kept) -> Result<Sample> {
    bench.empty()?;
    let port = bench.server()?.port();
    tokio::task::block_in_place(|| enqueue_bare(port, records, LANES, 1_000))?;
    let meter = bench.meter();
    let done = tokio::task::block_in_place(|| drain_bare(port, kept))?;
    if done != records.len() {
        bail!("the bare client has drained {done} of {} jobs", records.len());
    }
    Ok(bench.stop(meter, done))
}

fn drain_bare(port: u16, kept: raw::Kept) -> Result<usize> {
    std::thread::scope(|scope| {
        let one = move |lane| Raw::connect(port)?.drain(lane, BATCH, kept);
        let all: Vec<_> = (0..LANES).map(|lane| scope.spawn(move || one(lane))).collect();
        let ended = all.into_iter().map(|l| l.join().unwrap_or_else(|_| bail!("a thread has panicked")));
        ended.sum()
    })
}
