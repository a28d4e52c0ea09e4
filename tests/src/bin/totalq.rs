//! Judges a ledger: `totalq DIR [--json]`. Exit code 0 when nothing that was promised is
//! broken, 1 when something is, 2 for a mistake on the command line.

use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use tests::totalq::{Report, check, read};

/// Says what became of every job of a ledger.
#[derive(Parser)]
struct Options {
    /// The directory of the ledger
    ledger: PathBuf,
    /// How many crashes a job may have
    #[arg(long, default_value_t = 3)]
    crashes: u64,
    /// How many attempts a job may have
    #[arg(long, default_value_t = 5)]
    attempts: u64,
    /// One line of JSON instead of a table
    #[arg(long)]
    json: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let report = check(&read(&options.ledger)?, options.crashes, options.attempts);
    if options.json {
        println!("{}", report.json());
    } else {
        println!("{}\n{}\n{:#?}", Report::head(), report.row(), report);
    }
    Ok(ExitCode::from(u8::from(!report.broken().is_empty())))
}
