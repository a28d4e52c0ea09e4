//! Runs a simulated Strava until it is told to end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use strava_sim::{Limits, Options, SimClock};
use tracing_subscriber::EnvFilter;

/// A Strava on loopback, for demos and tests.
#[derive(Parser)]
#[command(name = "strava-sim", version)]
struct Args {
    /// Where to listen: a loopback address; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8090", value_parser = loopback)]
    listen: SocketAddr,
    /// Where tokens, subscriptions and added activities are kept
    #[arg(long, default_value = "strava-sim-data")]
    data_dir: PathBuf,
    /// A folder of recordings to serve field for field
    #[arg(long, value_parser = folder)]
    recordings: Option<PathBuf>,
    /// The invented athletes are a function of this number
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Rate limits: real (100 reads per 15 minutes) or demo (a whole history at once)
    #[arg(long, value_enum, default_value_t = LimitsArg::Demo)]
    limits: LimitsArg,
    /// How many times as fast as real time the simulation's clock runs
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// The application's id
    #[arg(long, env = "STRAVA_CLIENT_ID", default_value_t = 12345)]
    client_id: u64,
    /// The application's secret
    #[arg(long, env = "STRAVA_CLIENT_SECRET", default_value = "simulated-secret", hide_env_values = true)]
    client_secret: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum LimitsArg {
    Real,
    Demo,
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let addr: SocketAddr =
        text.parse().map_err(|_| "must be ADDRESS:PORT, such as 127.0.0.1:8090".to_owned())?;
    if addr.ip().is_loopback() {
        Ok(addr)
    } else {
        Err("must be a loopback address, such as 127.0.0.1:8090".into())
    }
}

fn folder(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_dir() { Ok(path) } else { Err("must be a folder that exists".into()) }
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: Result<f64, _> = text.parse();
    speed
        .ok()
        .filter(|speed| (0.001..=100_000.0).contains(speed))
        .ok_or_else(|| "must be 0.001 to 100000".into())
}

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) if error.use_stderr() => {
            // The lines before the first blank one name the flag, the fault and what is
            // allowed; the rest is usage.
            let text = error.to_string();
            let said: Vec<&str> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
            eprintln!("{}", said.join(" "));
            return ExitCode::from(2);
        }
        Err(help) => help.exit(),
    };
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn")))
        .with_writer(std::io::stderr)
        .init();
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(args: Args) -> anyhow::Result<()> {
    let limits = match args.limits {
        LimitsArg::Real => Limits::real(),
        LimitsArg::Demo => Limits::demo(),
    };
    let options = Options {
        listen: args.listen,
        data_dir: args.data_dir,
        recordings: args.recordings,
        seed: args.seed,
        limits,
        client_id: args.client_id.to_string(),
        client_secret: args.client_secret,
        clock: SimClock::real(args.speed),
        ..Options::default()
    };
    // Listening before the address is told: whoever reads it may end us at once.
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    let sim = strava_sim::start(options).await?;
    println!("strava-sim listens on {}", sim.base_url());
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    sim.stop().await;
    Ok(())
}
