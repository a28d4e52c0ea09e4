//! `runnerly-worker`: runs Runnerly's jobs until it is told to stop.

use clap::Parser;
use legwork::shutdown_signal;
use runnerly::app::{Places, end, log};
use runnerly_worker::{Concurrency, Recorder, serve_health, start};
use std::net::SocketAddr;
use std::process::ExitCode;

/// Runs Runnerly's jobs: syncs, streams, statistics, imports
#[derive(Parser)]
#[command(name = "runnerly-worker", version)]
struct Cli {
    #[command(flatten)]
    places: Places,
    /// How many jobs that call Strava run at a time
    #[arg(long, env = "RUNNERLY_STRAVA_CONCURRENCY", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1000))]
    strava_concurrency: u16,
    /// How many other jobs run at a time
    #[arg(long, env = "RUNNERLY_CONCURRENCY", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    concurrency: u16,
    /// Serve /healthz, /readyz and /metrics here
    #[arg(long, env = "RUNNERLY_WORKER_LISTEN")]
    listen: Option<SocketAddr>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    log();
    end("runnerly-worker", run(cli).await)
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    let recorder = Recorder::install()?;
    let listener = match cli.listen {
        Some(at) => Some(runnerly::app::listen(at).await?),
        None => None,
    };
    let app = cli.places.open().await?;
    let concurrency = Concurrency { strava: cli.strava_concurrency.into(), default: cli.concurrency.into() };
    let running = start(app, concurrency).await?;
    println!("runnerly-worker {} is up", running.worker().id());
    if let Some(listener) = listener {
        println!("runnerly-worker listens on http://{}", listener.local_addr()?);
        tokio::spawn(serve_health(listener, recorder, running.worker().readiness()));
    }
    tokio::select! {
        () = shutdown_signal() => {}
        () = running.worker().stopping().cancelled() => {}
    }
    running.stop().await;
    Ok(())
}
