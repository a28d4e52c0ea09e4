//! What a handler may say of a failure: `cargo run -p examples --bin retry`
use legwork::{Backoff, Client, Context, Failure, Job, Policy, WaitError, Worker};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Serialize, Deserialize)]
struct Call {
    number: String,
}

impl Job for Call {
    const NAME: &'static str = "call";
    type Output = u32;
    fn policy() -> Policy {
        Policy::default().max_attempts(4u32).backoff(Backoff::fixed(Duration::from_millis(50)))
    }
}

async fn call(job: Call, cx: Context) -> Result<u32, Failure> {
    if job.number.is_empty() {
        return Err(Failure::discard("there is nobody to call"));
    }
    if cx.attempt() < 3 {
        // Any error works with `?`, and means "again, after the policy's backoff".
        Err("the line is busy")?;
    }
    Ok(cx.attempt())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let jobs = Client::connect(&examples::url()).await?;
    let worker = Worker::new(jobs.clone(), ()).handle(call).start().await?;

    let good = jobs.enqueue(Call { number: "112".into() }).await?.id;
    println!("answered at attempt {}", jobs.wait::<Call>(good).await?);
    for error in jobs.job(good).await?.map(|j| j.errors).unwrap_or_default() {
        println!("  attempt {} failed: {}", error.attempt, error.error);
    }

    let bad = jobs.enqueue(Call { number: String::new() }).await?.id;
    match jobs.wait::<Call>(bad).await {
        Err(WaitError::Discarded(why)) => println!("discarded: {why}"),
        other => println!("unexpected: {other:?}"),
    }
    worker.stop().await;
    Ok(())
}
