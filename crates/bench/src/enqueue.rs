//! Enqueueing: one by one and in bulk, beside a bare client.

use crate::args::Kind;
use crate::bench::{Bench, waiting};
use crate::load::{self, Load, Plain};
use crate::machine::Sample;
use crate::plan::Plan;
use crate::raw::{Id, Raw};
use crate::sqlite;
use anyhow::{Result, bail};
use legwork::Client;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::JoinSet;

pub(crate) async fn run(bench: &mut Bench) -> Result<()> {
    for callers in [1, 64, 512] {
        let plan = if callers == 1 { bench.plan(100_000, 2_000) } else { bench.plan(500_000, 50_000) };
        // A second bare connection writes while the first waits.
        let (lanes, each) = if callers > 1 { (2, callers / 2) } else { (1, 1) };
        let name = format!("enqueue, {callers} caller{}", if callers == 1 { "" } else { "s" });
        one(bench, &name, "one client, callers are tasks", plan, (lanes, each), Some(callers)).await?;
    }
    for (name, callers) in [("1 caller", 1), ("4 callers", 4)] {
        let plan = bench.plan(1_000_000, 200_000);
        one(bench, &format!("enqueue in bulk, {name}"), "1,000 a call", plan, (callers, 1_000), None).await?;
    }
    Ok(())
}

/// A bare client and ours in turns. `bare` says how many connections write how many a time;
/// `alone` how many callers enqueue one by one.
async fn one(
    bench: &mut Bench,
    name: &str,
    settings: &str,
    mut plan: Plan,
    bare: (usize, usize),
    alone: Option<usize>,
) -> Result<()> {
    while let Some(jobs) = plan.next() {
        let records = load::records(0..jobs)?;
        let limit = match bench.kind {
            Kind::Redis => bare_window(bench, &records, bare.0, bare.1)?,
            Kind::Sqlite => sqlite::enqueue(bench, &records, bare.1 * bare.0.min(2)).await?,
        };
        let client = bench.client().await?;
        let meter = bench.meter();
        match alone {
            Some(count) => callers(&client, jobs, count).await?,
            None => load::fill::<Plain>(&client, 0..jobs, bare.0).await?,
        }
        plan.add(bench.stop(meter, jobs), Some(limit));
        all_there(waiting(&client).await?, jobs)?;
    }
    bench.note(plan.row(bench.name(name), settings))
}

/// Every caller a task that enqueues one job after the other.
pub(crate) async fn callers(client: &Client, jobs: usize, callers: usize) -> Result<()> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut all = JoinSet::<Result<()>>::new();
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
    Ok(())
}

fn all_there(found: u64, jobs: usize) -> Result<()> {
    if found != jobs as u64 {
        bail!("{jobs} jobs were enqueued and answered, and {found} wait");
    }
    Ok(())
}

fn bare_window(bench: &mut Bench, records: &[(Id, Vec<u8>)], lanes: usize, each: usize) -> Result<Sample> {
    bench.empty()?;
    let port = bench.server()?.port();
    let meter = bench.meter();
    tokio::task::block_in_place(|| enqueue_bare(port, records, lanes, each))?;
    let sample = bench.stop(meter, records.len());
    let found = bench.server()?.raw()?.count(&["LLEN", "q"])?;
    all_there(found as u64, records.len())?;
    Ok(sample)
}

/// Enqueues all by bare connections, each in a thread of its own, so many jobs a write.
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
