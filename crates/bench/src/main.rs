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
mod plan;
mod profile;
mod raw;
mod report;
mod server;
mod sqlite;
mod steps;

use anyhow::Result;
use args::{Args, Kind, What};
use bench::Bench;
use clap::{Parser, ValueEnum as _};
use report::{Report, Row};
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
    if args.pin {
        // Before there are threads, and the runtime looks how many it may have.
        machine::pin(std::process::id(), machine::Side::Caller)?;
    }
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
    let about = vec![machine::describe(), said()];
    let mut report = Report { about, json: args.json, out: args.out.clone(), ..Report::default() };
    let mut failed = Vec::new();
    for kind in kinds {
        let mut bench = Bench::start(args.clone(), kind, report)?;
        bench.report.about.extend(bench.version()?);
        measure(&mut bench, &mut failed).await;
        report = bench.report;
    }
    let settings = format!("of the last minute; {begun} at the beginning");
    report.about.extend(failed.iter().map(|line| format!("not measured: {line}")));
    report.note(Row::of("machine load".into(), machine::load(), "", settings))?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report.rows)?);
    }
    anyhow::ensure!(failed.is_empty(), "not measured: {}", failed.join("; "));
    Ok(())
}

/// The command, when it was given, and of which code.
fn said() -> String {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let code = machine::commit().map(|commit| format!(", commit {commit}")).unwrap_or_default();
    format!("`legwork-bench {}`, begun {now}{code}", words.join(" "))
}

/// One kind of figure, or each in turn: one that fails leaves the others theirs.
async fn measure(bench: &mut Bench, failed: &mut Vec<String>) {
    let asked = bench.args.what;
    for what in What::value_variants() {
        if asked != *what && asked != What::All {
            continue;
        }
        let measured = match what {
            What::All => Ok(()),
            What::Enqueue => enqueue::run(bench).await,
            What::Drain => drain::run(bench).await,
            What::Mixed => mixed::run(bench).await,
            What::Limits => limits::run(bench).await,
            What::Latency => latency::run(bench).await,
            What::Memory => memory::run(bench).await,
            What::Backlog => backlog::run(bench).await,
            What::Profile => profile::run(bench).await,
        };
        if let Err(error) = measured {
            let line = bench.name(&format!("{what:?}: {error:#}").to_lowercase());
            eprintln!("legwork-bench: {line}");
            failed.push(line);
        }
    }
}
