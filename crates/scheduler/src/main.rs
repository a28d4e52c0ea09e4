//! `runnerly-scheduler`: enqueues Runnerly's periodic jobs until it is told to stop.

use clap::Parser;
use legwork::shutdown_signal;
use runnerly::app::{Places, end, log};
use runnerly_scheduler::{Times, scheduler};
use std::process::ExitCode;

/// Enqueues the periodic syncs and the nightly statistics
#[derive(Parser)]
#[command(name = "runnerly-scheduler", version)]
struct Cli {
    #[command(flatten)]
    places: Places,
    /// When every connected athlete is synced: a cron expression, @hourly, or @every 30m
    #[arg(long, value_name = "CRON", env = "RUNNERLY_SYNC", default_value = "*/30 * * * *")]
    sync: String,
    /// When every athlete's statistics are computed anew
    #[arg(long, value_name = "CRON", env = "RUNNERLY_STATS", default_value = "15 3 * * *")]
    stats: String,
    /// The zone that both mean
    #[arg(long, env = "RUNNERLY_ZONE", default_value = "UTC")]
    zone: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    log();
    end("runnerly-scheduler", run(cli).await)
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    let times = Times { sync: cli.sync, stats: cli.stats, zone: cli.zone };
    times.check()?;
    cli.places.check()?;
    let jobs = cli.places.open_queue().await?;
    let scheduler = scheduler(jobs, &times)?;
    println!("runnerly-scheduler is up");
    Ok(scheduler.run_until(shutdown_signal()).await?)
}
