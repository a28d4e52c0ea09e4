//! `runnerly-web`: Runnerly's pages and JSON API.

use anyhow::Context;
use clap::Parser;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use runnerly::app::{Places, end, log};
use runnerly_web::WebOptions;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Shows runs and statistics in a browser
#[derive(Parser)]
#[command(name = "runnerly-web", version)]
struct Cli {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", env = "RUNNERLY_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// How browsers reach it, as https://host; without one, only this machine does
    #[arg(long, value_name = "URL", env = "RUNNERLY_PUBLIC_URL")]
    public_url: Option<String>,
    /// What a reader of /metrics must show as a bearer token
    #[arg(long, value_name = "TOKEN", env = "RUNNERLY_METRICS_TOKEN", hide_env_values = true)]
    metrics_token: Option<String>,
    #[command(flatten)]
    places: Places,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    log();
    end("runnerly-web", run(cli).await)
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    // A second installation of a provider in one process is refused, and not needed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options =
        WebOptions { public_url: cli.public_url, metrics_token: cli.metrics_token, ..WebOptions::default() };
    options.check(cli.listen)?;
    let listener = TcpListener::bind(cli.listen)
        .await
        .with_context(|| format!("listen {}: cannot be had; choose another with --listen", cli.listen))?;
    let app = cli.places.open().await?;
    let options = WebOptions { metrics: Some(recorder()?), ..options.with_keys_of(&cli.places)? };
    let address = listener.local_addr()?;
    let stop = CancellationToken::new();
    let signal = stop.clone();
    tokio::spawn(async move {
        legwork::shutdown_signal().await;
        signal.cancel();
    });
    println!("runnerly-web listens on http://{address}");
    runnerly_web::serve(listener, app, options, stop).await
}

/// Records this process's figures; swept now and then, or histograms would only grow.
fn recorder() -> anyhow::Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new().with_recommended_naming(true).install_recorder()?;
    let sweep = handle.clone();
    tokio::spawn(async move {
        let mut every = tokio::time::interval(Duration::from_secs(5));
        loop {
            every.tick().await;
            sweep.run_upkeep();
        }
    });
    Ok(handle)
}
