//! `runnerly`: everything in one process, on embedded defaults; and the same work from the
//! command line.

mod import;
mod serve;
mod simulator;
mod stats;
mod sync;
mod with_worker;

use clap::{Parser, Subcommand};
use runnerly::app::{Places, end, log};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs, fetched from Strava in the background and turned into statistics
///
/// Without a command: web front, worker and scheduler in one process. Without Strava
/// credentials: a simulated Strava beside them.
#[derive(Parser)]
#[command(name = "runnerly", version)]
struct Cli {
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    simulator: Simulator,
    #[command(flatten)]
    front: Front,
    /// Where the web front listens
    #[arg(long, value_name = "ADDRESS", env = "RUNNERLY_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What is said of the simulated Strava.
#[derive(Debug, Clone, clap::Args)]
struct Simulator {
    /// Let the simulated Strava serve the recorded athlete of this directory
    #[arg(long, value_name = "DIR", env = "RUNNERLY_RECORDINGS", global = true)]
    recordings: Option<PathBuf>,
    /// Its rate limits: `demo` lets everything through, `real` is Strava's
    #[arg(long, value_name = "LIMITS", env = "RUNNERLY_SIM_LIMITS", default_value = "demo", global = true, hide = true, value_parser = ["demo", "real"])]
    sim_limits: String,
}

/// What is said of the web front where others can reach it.
#[derive(Debug, Clone, clap::Args)]
struct Front {
    /// How browsers reach the web front, as https://host; needed to listen beyond this machine
    #[arg(long, value_name = "URL", env = "RUNNERLY_PUBLIC_URL")]
    public_url: Option<String>,
    /// What a reader of /metrics must show as a bearer token
    #[arg(long, value_name = "TOKEN", env = "RUNNERLY_METRICS_TOKEN", hide_env_values = true)]
    metrics_token: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Fetch an athlete's activities through the queue
    Sync(sync::Sync),
    /// Print the totals from the database
    Stats(stats::Stats),
    /// Import GPX, TCX or FIT files through the queue
    Import(import::Import),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    // What a command prints is for people; what happens inside is for whoever asks.
    if cli.command.is_none() || std::env::var_os("RUST_LOG").is_some() {
        log();
    }
    let Cli { places, simulator, front, listen, command } = cli;
    let outcome = match command {
        None => serve::serve(places, simulator, front, listen).await,
        Some(Command::Sync(sync)) => sync.run(places, simulator).await,
        Some(Command::Stats(stats)) => stats.run(places).await,
        Some(Command::Import(import)) => import.run(places).await,
    };
    end("runnerly", outcome)
}
