//! What limits and uniqueness cost: drains of the same jobs with and without, in one run.

use crate::bench::Bench;
use crate::drain::{concurrency, window};
use crate::load::{KEYS, Keyed, Once, Plain};
use crate::machine::{Sample, median};
use crate::report::Row;
use anyhow::Result;
use legwork::{Limit, Rate};
use std::time::Duration;

#[derive(Debug, Clone, Copy)]
enum How {
    Plain,
    QueueWide,
    Keys,
    Unique,
}

pub(crate) async fn run(bench: &mut Bench) -> Result<()> {
    let all = [How::Plain, How::QueueWide, How::Keys, How::Unique];
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); all.len()];
    // In turns, so that what else the machine does hits all alike.
    let mut plan = bench.plan(200_000, 50_000).of(all.len() - 1);
    while let Some(jobs) = plan.next() {
        plan.add(one(bench, How::Plain, jobs).await?, None);
        for (how, samples) in all.iter().zip(&mut samples).skip(1) {
            let sample = one(bench, *how, jobs).await?;
            samples.extend(plan.counts().then_some(sample));
        }
    }
    let plain = median(&plan.samples);
    for (how, samples) in all.iter().zip(samples).skip(1) {
        let what = match how {
            How::Plain => continue,
            How::QueueWide => "drain under a rate and a concurrency of the queue".to_owned(),
            How::Keys => format!("drain of {KEYS} keys, one at a time each"),
            How::Unique => "drain of unique jobs".to_owned(),
        };
        let used = plan.used(samples.len());
        let settings = format!("{}; the limit is the drain without; {used}", concurrency(bench));
        bench.note(Row::rate(bench.name(&what), samples, settings).limit(Some(plain)))?;
    }
    Ok(())
}

async fn one(bench: &mut Bench, how: How, jobs: usize) -> Result<Sample> {
    let client = bench.client().await?;
    match how {
        How::Plain => window::<Plain>(bench, &client, jobs).await,
        How::QueueWide => {
            // So wide that nothing ever waits for them: what is measured is the counting.
            let rate = Rate::bucket(100_000_000, Duration::from_secs(1)).burst(100_000_000);
            client.limit("all").set(Limit::default().concurrency(100_000).rate(rate)).await?;
            client.limit_queue("default", Some("all")).await?;
            window::<Plain>(bench, &client, jobs).await
        }
        How::Keys => {
            client.limit("site").set(Limit::default().concurrency(1)).await?;
            window::<Keyed>(bench, &client, jobs).await
        }
        How::Unique => window::<Once>(bench, &client, jobs).await,
    }
}
