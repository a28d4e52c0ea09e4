//! Jobs that are not to be started late, a queue with a limit, and what a queue keeps.
//!
//! `cargo run -p examples --bin expiry`

use legwork::{Client, Context, Failure, Job, QueueRules, State, Worker};
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

#[derive(Serialize, Deserialize)]
struct Remind {
    of: String,
}

impl Job for Remind {
    const NAME: &'static str = "remind";
    type Output = String;
}

async fn remind(job: Remind, _cx: Context<()>) -> Result<String, Failure> {
    Ok(format!("think of {}", job.of))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let jobs = Client::connect(&examples::url()).await?;
    jobs.set_queue_rules("default", QueueRules::default()).await?;

    // Not after the train has left.
    let left = SystemTime::now() - Duration::from_secs(1);
    let late = jobs.enqueue(Remind { of: "the train".into() }).expires_at(left).await?.id;
    let hour = Duration::from_secs(3_600);
    let good = jobs.enqueue(Remind { of: "the tickets".into() }).expires_in(hour).await?.id;

    // At most three may wait, and of what has ended the newest one is kept.
    let rules = QueueRules { max_waiting: Some(3), keep_count: Some(1), ..QueueRules::default() };
    jobs.set_queue_rules("default", rules).await?;
    let last = jobs.enqueue(Remind { of: "the bags".into() }).await?.id;
    let error = jobs.enqueue(Remind { of: "one too many".into() }).await.expect_err("the queue is full");
    println!("refused: {error}");
    anyhow::ensure!(error.is_refused());

    let worker = Worker::new(jobs.clone(), ()).handle(remind).queue("default", 1).start().await?;
    println!("{}", jobs.wait::<Remind>(good).await?);
    println!("{}", jobs.wait::<Remind>(last).await?);
    worker.stop().await;
    let job = jobs.job(late).await?.expect("kept among the discarded");
    println!("{}: {} ({} attempts)", late, job.reason.as_deref().unwrap_or_default(), job.attempts);
    anyhow::ensure!(job.state == State::Discarded && job.reason.as_deref() == Some("expired"));
    anyhow::ensure!(job.attempts == 0, "it was never begun");
    jobs.set_queue_rules("default", QueueRules::default()).await?;
    Ok(())
}
