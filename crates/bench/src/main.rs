//! The load tool behind every published figure of Legwork: it starts a Redis of its own (or
//! makes a SQLite file), measures what a bare client does with the same bytes in the same
//! layout, and then what the library does with its real worker. `bench` is where a
//! measurement takes place, one file a kind of figure; `raw` and `sqlite` are the bare
//! clients.

mod args;
mod backlog;
mod bench;
mod chart;
mod drain;
mod enqueue;
mod latency;
mod limits;
mod load;
mod machine;
mod memory;
mod mixed;
mod profile;
mod raw;
mod report;
mod server;
mod sqlite;
mod steps;

use anyhow::{Context as _, Result};
use args::{Args, Kind, What};
use bench::Bench;
use clap::{Parser, ValueEnum as _};
use report::Row;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    match begin(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("legwork-bench: {error:#}");
            // 3 where there is no backend, as of `legwork`.
            ExitCode::from(if error.is::<server::Missing>() { 3 } else { 1 })
        }
    }
}

fn begin(args: Args) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // On a task: what is awaited on the root future pays two wake-ups of threads a call.
    runtime.block_on(async { tokio::spawn(run(args)).await? })
}

async fn run(args: Args) -> Result<()> {
    if let Some([part, place, detail]) = args.part.as_deref() {
        return match part.as_str() {
            "producer" => latency::produce(place, detail).await,
            "bare-producer" => latency::produce_bare(place, detail),
            "worker" => memory::work(place, detail).await,
            other => anyhow::bail!("part: {other:?} is none"),
        };
    }
    report::warn_if_busy();
    let kinds = match (args.backend, args.what) {
        (Some(kind), _) => vec![kind],
        (None, What::All) => vec![Kind::Redis, Kind::Sqlite],
        (None, _) => vec![Kind::Redis],
    };
    let begun = machine::load();
    let mut rows = Vec::new();
    let mut about = vec![machine::describe()];
    for kind in kinds {
        let mut bench = Bench::start(args.clone(), kind)?;
        about.extend(bench.version()?);
        measure(&mut bench).await.with_context(|| format!("after {} figures", bench.rows.len()))?;
        rows.append(&mut bench.rows);
    }
    let load = machine::load();
    rows.push(Row::of(
        "machine load".into(),
        load,
        "",
        format!("of the last minute; {begun} at the beginning"),
    ));
    if args.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    }
    if let Some(out) = &args.out {
        report::write(out, &rows, &about)?;
    }
    Ok(())
}

/// One kind of figure, or each in turn.
async fn measure(bench: &mut Bench) -> Result<()> {
    let asked = bench.args.what;
    for what in What::value_variants() {
        if asked != *what && asked != What::All {
            continue;
        }
        match what {
            What::All => {}
            What::Enqueue => enqueue::run(bench).await?,
            What::Drain => drain::run(bench).await?,
            What::Mixed => mixed::run(bench).await?,
            What::Limits => limits::run(bench).await?,
            What::Latency => latency::run(bench).await?,
            What::Memory => memory::run(bench).await?,
            What::Backlog => backlog::run(bench).await?,
            What::Profile => profile::run(bench).await?,
        }
    }
    Ok(())
}
