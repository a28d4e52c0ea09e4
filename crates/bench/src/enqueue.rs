//! Enqueueing: one by one and in bulk, beside a bare client.

use crate::args::Kind;
use crate::bench::{Bench, waiting};
use crate::load::{self, Load, Plain};
use crate::machine::Sample;
use crate::raw::{Id, Raw};
use crate::report::Row;
use crate::sqlite;
use anyhow::{Result, bail};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::JoinSet;

pub(crate) async fn run(bench: &mut Bench) -> Result<()> {
    for callers in [1, 64, 512] {
        let jobs = if callers == 1 { bench.jobs(100_000, 2_000) } else { bench.jobs(500_000, 50_000) };
        let limit = match bench.kind {
            // A second connection writes while the first waits.
            Kind::Redis if callers > 1 => Some(bare(bench, jobs, 2, callers / 2)?),
            Kind::Redis => Some(bare(bench, jobs, 1, 1)?),
            Kind::Sqlite => Some(sqlite::enqueue(bench, jobs, callers).await?),
        };
        let mut samples = Vec::new();
        for _ in 0..bench.runs() {
            samples.push(one_by_one(bench, jobs, callers).await?);
        }
        let name = match callers {
            1 => "enqueue, 1 caller".to_owned(),
            _ => format!("enqueue, {callers} callers"),
        };
        bench.note(Row::rate(bench.name(&name), samples, "one client, callers are tasks").limit(limit));
    }
    for callers in [1, 4] {
        let jobs = bench.jobs(1_000_000, 200_000);
        let limit = match bench.kind {
            Kind::Redis => bare(bench, jobs, callers, 1_000)?,
            Kind::Sqlite => sqlite::enqueue(bench, jobs, 1_000).await?,
        };
        let mut samples = Vec::new();
        for _ in 0..bench.runs() {
            samples.push(bulk(bench, jobs, callers).await?);
        }
        let name = if callers == 1 { "1 caller".to_owned() } else { format!("{callers} callers") };
        let name = bench.name(&format!("enqueue in bulk, {name}"));
        bench.note(Row::rate(name, samples, "1,000 a call").limit(Some(limit)));
    }
    Ok(())
}

/// Every caller a task that enqueues one job after the other.
async fn one_by_one(bench: &mut Bench, jobs: usize, callers: usize) -> Result<Sample> {
    let client = bench.client().await?;
    let next = Arc::new(AtomicUsize::new(0));
    let mut all = JoinSet::<Result<()>>::new();
    let meter = bench.meter();
    for _ in 0..callers {
        let (client, next) = (client.clone(), next.clone());
        all.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= jobs {
                    return Ok(());
                }
                client.enqueue(Load::<Plain>::new(n)).await?;
            }
        });
    }
    while let Some(done) = all.join_next().await {
        done??;
    }
    let sample = bench.stop(meter, jobs);
    all_there(waiting(&client).await?, jobs)?;
    Ok(sample)
}

async fn bulk(bench: &mut Bench, jobs: usize, callers: usize) -> Result<Sample> {
    let client = bench.client().await?;
    let meter = bench.meter();
    load::fill::<Plain>(&client, 0..jobs, callers).await?;
    let sample = bench.stop(meter, jobs);
    all_there(waiting(&client).await?, jobs)?;
    Ok(sample)
}

fn all_there(found: u64, jobs: usize) -> Result<()> {
    if found != jobs as u64 {
        bail!("{jobs} jobs were enqueued and answered, and {found} wait");
    }
    Ok(())
}

/// So many bare connections, each in a thread of its own, so many jobs a write: the median.
fn bare(bench: &mut Bench, jobs: usize, lanes: usize, each: usize) -> Result<f64> {
    let mut rates = Vec::new();
    let records = load::records(0..jobs)?;
    for _ in 0..bench.runs() {
        bench.empty()?;
        let port = bench.server()?.port();
        let meter = bench.meter();
        tokio::task::block_in_place(|| enqueue_bare(port, &records, lanes, each))?;
        rates.push(bench.stop(meter, jobs).rate);
        let found = bench.server()?.raw()?.count(&["LLEN", "q"])?;
        all_there(found as u64, jobs)?;
    }
    rates.sort_by(f64::total_cmp);
    Ok(rates[rates.len() / 2])
}

/// Enqueues all by bare connections.
pub(crate) fn enqueue_bare(port: u16, records: &[(Id, Vec<u8>)], lanes: usize, each: usize) -> Result<()> {
    let share = records.len().div_ceil(lanes).max(1);
    std::thread::scope(|scope| {
        let one = |part: &[(Id, Vec<u8>)]| {
            let mut raw = Raw::connect(port)?;
            part.chunks(each).try_for_each(|jobs| raw.enqueue(jobs))
        };
        let all: Vec<_> = records.chunks(share).map(|part| scope.spawn(move || one(part))).collect();
        all.into_iter().try_for_each(|lane| lane.join().unwrap_or_else(|_| bail!("a thread has panicked")))
    })
}
