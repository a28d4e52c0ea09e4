//! One event, several subscribers, nobody told twice: `cargo run -p examples --bin events`
use legwork::{Client, Context, Event, Failure, Job, JobId, Worker};
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
struct RunAdded {
    run: u64,
    race: u64,
}

impl Event for RunAdded {
    const TOPIC: &'static str = "run.added";
    fn label(&self) -> Option<String> {
        Some(self.race.to_string())
    }
}

#[derive(Serialize, Deserialize)]
struct Statistics {
    run: u64,
}

impl Job for Statistics {
    const NAME: &'static str = "statistics";
    type Output = u64;
}

#[derive(Serialize, Deserialize)]
struct Notify {
    race: u64,
}

impl Job for Notify {
    const NAME: &'static str = "notify";
    type Output = u64;
}

async fn statistics(job: Statistics, _: Context) -> Result<u64, Failure> {
    Ok(job.run)
}

async fn notify(job: Notify, _: Context) -> Result<u64, Failure> {
    Ok(job.race)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let jobs = Client::connect(&examples::url()).await?;
    jobs.subscribe::<Statistics>("run.added.#").await?;
    jobs.subscribe::<Notify>("run.added.42").await?;
    let worker = Worker::new(jobs.clone(), ()).handle(statistics).handle(notify).start().await?;

    let id = JobId::new();
    let first = jobs.publish(RunAdded { run: 7, race: 42 }).id(id).await?;
    for job in &first.jobs {
        let told = jobs.wait_raw(*job).await?;
        println!(
            "{} was told: {}",
            told.envelope.name(),
            told.result.map_or("null".into(), |r| r.to_string())
        );
    }
    // A reply that was lost: published again, it reaches nobody twice.
    let again = jobs.publish(RunAdded { run: 7, race: 42 }).id(id).await?;
    let other = jobs.publish(RunAdded { run: 8, race: 43 }).await?;
    println!(
        "race 42 reached {}, again {}, race 43 {}",
        first.jobs.len(),
        again.jobs.len(),
        other.jobs.len()
    );
    anyhow::ensure!(again == first && first.jobs.len() == 2 && other.jobs.len() == 1);
    jobs.unsubscribe("run.added.#", "statistics", "default").await?;
    jobs.unsubscribe("run.added.42", "notify", "default").await?;
    anyhow::ensure!(jobs.publish(RunAdded { run: 9, race: 42 }).await?.jobs.is_empty());
    println!("an event without subscribers is no error");
    worker.stop().await;
    Ok(())
}
