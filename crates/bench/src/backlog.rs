//! Whether a long line slows what is done at its head.

use crate::args::{Kind, What};
use crate::bench::{Bench, finished};
use crate::drain::{concurrency, worker};
use crate::load::{self, Plain, Tally};
use crate::machine::Sample;
use crate::report::{Row, number};
use anyhow::Result;

pub(crate) async fn run(bench: &mut Bench) -> Result<()> {
    let usual = if bench.args.what == What::All { 1_000_000 } else { 10_000_000 };
    let most = bench.args.backlog.map_or(bench.size(usual, 1_000_000), |jobs| jobs as usize);
    let enough = most.min(if bench.kind == Kind::Redis { 500_000 } else { 100_000 });
    let mut size = most.min(if bench.args.quick { 1_000 } else { 10_000 });
    let mut rates = Vec::new();
    loop {
        let sample = at(bench, size, enough).await?;
        rates.push(sample.rate);
        let name = bench.name(&format!("drain with a backlog of {}", number(size as f64)));
        let seen = number((size * enough.div_ceil(size)) as f64);
        let settings = format!("{}; {seen} jobs drained, {} a time", concurrency(bench), number(size as f64));
        bench.note(Row::rate(name, vec![sample], settings))?;
        if size >= most {
            break;
        }
        size = (size * 10).min(most);
    }
    let lost = (1.0 - rates[rates.len() - 1] / rates[0]) * 100.0;
    let more = if most < 10_000_000 { "; --backlog 10000000 measures more" } else { "" };
    let settings = format!("from the smallest to {}{more}", number(most as f64));
    bench.note(Row::of(bench.name("drain rate lost with the backlog"), lost, "%", settings))
}

/// Drains a backlog of this size, again and again until enough jobs have been seen.
async fn at(bench: &mut Bench, size: usize, enough: usize) -> Result<Sample> {
    let client = bench.client().await?;
    let rounds = enough.div_ceil(size);
    let tally = Tally::new(size * rounds);
    let (mut running, mut samples) = (None, Vec::new());
    for round in 0..rounds {
        load::fill::<Plain>(&client, round * size..(round + 1) * size, 4).await?;
        let meter = bench.meter();
        match &running {
            None => running = Some(worker::<Plain>(bench, &client, &tally).await?),
            Some(running) => running.resume(),
        }
        tally.reach((round + 1) * size).await?;
        finished(&client).await?;
        samples.push(bench.stop(meter, size));
        running.iter().for_each(|running| running.quiet());
    }
    if let Some(running) = running {
        running.stop().await;
    }
    tally.check()?;
    Ok(Sample::joined(&samples))
}
