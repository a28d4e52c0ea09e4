//! A payload changes its shape while jobs of it are queued: `cargo run -p examples --bin versions`
use legwork::middleware::Unreadable;
use legwork::{Client, Context, Failure, Job, Worker};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// As it was in the last release.
#[derive(Serialize, Deserialize)]
struct OldReminder {
    minutes: u64,
}

impl Job for OldReminder {
    const NAME: &'static str = "reminder";
    type Output = u64;
}

/// As it is now.
#[derive(Serialize, Deserialize)]
struct Reminder {
    seconds: u64,
}

impl Job for Reminder {
    const NAME: &'static str = "reminder";
    const VERSION: u32 = 2;
    type Output = u64;

    fn upcast(version: u32, payload: Value) -> Result<Value, Unreadable> {
        match version {
            1 => {
                let minutes = payload["minutes"].as_u64().ok_or("minutes: is not a number")?;
                Ok(json!({ "seconds": minutes * 60 }))
            }
            other => Err(Unreadable::Unknown(format!("version {other}"))),
        }
    }
}

async fn new(job: Reminder, _: Context) -> Result<u64, Failure> {
    Ok(job.seconds)
}

async fn table(jobs: &Client) -> legwork::Result<()> {
    for one in jobs.versions().await?.versions {
        let (name, workers) = (one.name, one.workers.len());
        println!("  {name} {}: {} queued, {} parked, {workers} workers", one.version, one.queued, one.parked);
    }
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let jobs = Client::connect(&examples::url()).await?;
    // The new web server is out, the workers are not yet.
    let newer = jobs.enqueue(Reminder { seconds: 90 }).await?.id;
    let worker = Worker::new(jobs.clone(), ())
        .handle(|job: OldReminder, _: Context| async move { Ok(job.minutes * 60) })
        .start()
        .await?;
    let parked = async {
        while !jobs.job(newer).await?.is_some_and(|job| job.parked) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(20), parked).await??;
    println!("the old worker has parked what is newer than it knows:");
    table(&jobs).await?;
    worker.stop().await;

    let older = jobs.enqueue(OldReminder { minutes: 2 }).await?.id;
    let worker = Worker::new(jobs.clone(), ()).handle(new).start().await?;
    let ran = (jobs.wait::<Reminder>(newer).await?, jobs.wait::<Reminder>(older).await?);
    worker.stop().await;
    anyhow::ensure!(ran == (90, 120), "{ran:?}");
    println!("both versions ran in the new worker: {ran:?}");
    Ok(())
}
