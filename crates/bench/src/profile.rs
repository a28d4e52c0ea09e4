//! Where the cost of one job goes, from enqueue to settled: by commands of Redis, by time of
//! the client's process, and by the pure steps inside it.

use crate::bench::{Bench, finished};
use crate::drain::{concurrency, worker};
use crate::load::{self, Plain, Tally};
use crate::machine::Sample;
use crate::report::Row;
use crate::steps::STEPS;
use anyhow::Result;
use std::time::Instant;

pub(crate) async fn run(bench: &mut Bench) -> Result<()> {
    let jobs = bench.size(300_000, 50_000);
    let client = bench.client().await?;
    let tally = Tally::new(jobs);
    forget(bench)?;
    let meter = bench.meter();
    load::fill::<Plain>(&client, 0..jobs, 4).await?;
    let enqueued = bench.stop(meter, jobs);
    tell(bench, "enqueue", enqueued, jobs, "1,000 a call, 4 callers".into())?;
    forget(bench)?;
    let meter = bench.meter();
    let running = worker::<Plain>(bench, &client, &tally).await?;
    tally.reach(jobs).await?;
    finished(&client).await?;
    let drained = bench.stop(meter, jobs);
    tell(bench, "drain", drained, jobs, concurrency(bench))?;
    running.stop().await;
    tally.check()?;
    for (name, step) in STEPS {
        let turns = if bench.args.quick { 1_000 } else { 200_000 };
        let begun = Instant::now();
        tokio::task::block_in_place(|| step(turns));
        let each = begun.elapsed().as_secs_f64() * 1e6 / turns as f64;
        bench.note(Row::of(format!("profile step: {name}"), each, "µs", "one thread, in a loop"))?;
    }
    Ok(())
}

fn forget(bench: &Bench) -> Result<()> {
    match bench.server() {
        Ok(server) => server.raw()?.ask(&["CONFIG", "RESETSTAT"]).map(drop),
        Err(_) => Ok(()),
    }
}

/// The whole of a phase, and each command that took a hundredth of a microsecond a job. The
/// time of a script holds that of the commands within it.
fn tell(bench: &mut Bench, phase: &str, all: Sample, jobs: usize, settings: String) -> Result<()> {
    let name = bench.name(&format!("profile {phase}"));
    bench.note(Row::of(format!("{name}: client"), all.client_us, "µs/job", settings))?;
    let Some(redis) = all.redis_us else { return Ok(()) };
    bench.note(Row::of(format!("{name}: redis"), redis, "µs/job", "processor time of the server"))?;
    let mut commands = commands(&bench.server()?.info("commandstats")?);
    commands.sort_by(|a, b| b.2.total_cmp(&a.2));
    for (command, calls, usec) in commands {
        let each = usec / jobs as f64;
        if each >= 0.01 {
            let settings = format!("{:.1} calls a thousand jobs", calls / jobs as f64 * 1e3);
            bench.note(Row::of(format!("{name}: redis {command}"), each, "µs/job", settings))?;
        }
    }
    Ok(())
}

/// Command, calls and microseconds of each line of `INFO commandstats`.
fn commands(info: &str) -> Vec<(String, f64, f64)> {
    let field =
        |line: &str, name: &str| line.split(',').find_map(|pair| pair.strip_prefix(name)?.parse().ok());
    let one = |line: &str| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(':')?;
        Some((name.to_owned(), field(rest, "calls=")?, field(rest, "usec=")?))
    };
    info.lines().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn commandstats() {
        let info = "# Commandstats\r\ncmdstat_hset:calls=2,usec=31,usec_per_call=15.50,rejected_calls=0\r\n";
        assert_eq!(super::commands(info), [("hset".to_owned(), 2.0, 31.0)]);
    }
}
