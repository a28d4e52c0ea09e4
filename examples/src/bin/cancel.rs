//! Called off, out of time, stuck and crashed: `cargo run -p examples --bin cancel`
use anyhow::ensure;
use legwork::{Client, Context, Failure, Job, JobId, Policy, State, StopReason, Worker};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

#[derive(Serialize, Deserialize)]
struct Long {}
impl Job for Long {
    const NAME: &'static str = "long";
    type Output = String;
    fn policy() -> Policy {
        Policy::default().grace(Duration::from_millis(300))
    }
}

async fn long(_: Long, cx: Context) -> Result<String, Failure> {
    cx.cancelled().cancelled().await; // the work would be in a select! with this
    match cx.stop_reason() {
        Some(StopReason::Timeout) => Ok("as much as there was time for".into()),
        _ => Err(Failure::retry("stopped")),
    }
}

#[derive(Serialize, Deserialize)]
struct Crunch {}
impl Job for Crunch {
    const NAME: &'static str = "crunch";
    type Output = ();
}

fn crunch(_: Crunch, cx: Context) -> Result<(), Failure> {
    loop {
        cx.check()?; // a handler that blocks looks by itself
    }
}

#[derive(Serialize, Deserialize)]
struct Legacy {}
impl Job for Legacy {
    const NAME: &'static str = "legacy";
    type Output = ();
}

async fn legacy(_: Legacy, _: Context) -> Result<(), Failure> {
    std::process::abort() // as a C library might: in a process of its own
}

async fn ended(jobs: &Client, id: JobId) -> anyhow::Result<(State, String)> {
    loop {
        match jobs.job(id).await? {
            Some(job) if job.state.is_final() => return Ok((job.state, job.reason.unwrap_or_default())),
            _ => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let jobs = Client::connect(&examples::url()).await?;
    let worker = Worker::new(jobs.clone(), ()).handle(long).handle_blocking(crunch).handle_isolated(legacy);
    let worker = worker.start().await?; // does not return in the child
    let soft = jobs.enqueue(Long {}).timeout(Duration::from_millis(100)).await?.id;
    println!("soft timeout: {}", jobs.wait::<Long>(soft).await?);
    for id in [jobs.enqueue(Long {}).await?.id, jobs.enqueue(Crunch {}).await?.id] {
        while jobs.job(id).await?.is_some_and(|job| job.state != State::Leased) {
            tokio::task::yield_now().await;
        }
        let asked = Instant::now();
        jobs.cancel(id).await?;
        let (state, reason) = ended(&jobs, id).await?;
        println!("called off: {state} ({reason}) after {:?}", asked.elapsed());
        ensure!(state == State::Cancelled && asked.elapsed() < Duration::from_secs(1));
    }
    let (state, reason) = ended(&jobs, jobs.enqueue(Legacy {}).await?.id).await?;
    println!("isolated: {state} ({reason}), and the worker goes on");
    ensure!((state, reason.as_str()) == (State::Discarded, "crashed"));
    worker.stop().await;
    Ok(())
}
