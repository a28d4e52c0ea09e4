//! Whether a long line slows what is done at its head.

use crate::args::What;
use crate::bench::{Bench, finished};
use crate::drain::{concurrency, worker};
use crate::load::{self, Plain, Tally};
use crate::machine::Sample;
use crate::report::{Row, number};
use anyhow::Result;

pub(crate) async fn run(bench: &mut Bench) -> Result<()> {
    let most = match bench.args.what {
        What::All if bench.args.jobs.is_some() => 20 * bench.jobs(0, 0),
        _ => bench.jobs(10_000_000, 1_000_000),
    };
    let mut size = most.min(if bench.args.quick { 1_000 } else { 10_000 });
    let mut rates = Vec::new();
    loop {
        let sample = at(bench, size, most.min(500_000)).await?;
        rates.push(sample.rate);
        let name = bench.name(&format!("drain with a backlog of {}", number(size as f64)));
        bench.note(Row::rate(name, vec![sample], concurrency(bench)));
        if size >= most {
            break;
        }
        size = (size * 10).min(most);
    }
    let lost = (1.0 - rates[rates.len() - 1] / rates[0]) * 100.0;
    let settings = format!("from the smallest to {}", number(most as f64));
    bench.note(Row::of(bench.name("drain rate lost with the backlog"), lost, "%", settings));
    Ok(())
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
