//! Enqueueing and running at the same time.

use crate::bench::{Bench, finished};
use crate::drain::{concurrency, worker};
use crate::enqueue::callers;
use crate::load::{Plain, Tally};
use anyhow::Result;

pub(crate) async fn run(bench: &mut Bench) -> Result<()> {
    let mut plan = bench.plan(300_000, 50_000);
    while let Some(jobs) = plan.next() {
        let client = bench.client().await?;
        let tally = Tally::new(jobs);
        let running = worker::<Plain>(bench, &client, &tally).await?;
        let meter = bench.meter();
        callers(&client, jobs, 64).await?;
        tally.reach(jobs).await?;
        finished(&client).await?;
        plan.add(bench.stop(meter, jobs), None);
        running.stop().await;
        tally.check()?;
    }
    let settings = format!("64 callers, one by one, while a worker runs; {}", concurrency(bench));
    bench.note(plan.row(bench.name("mixed"), &settings))
}
