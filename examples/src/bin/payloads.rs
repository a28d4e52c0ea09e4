//! Payloads compressed, sealed and signed, and a key replaced: `cargo run -p examples --bin payloads`
use legwork::middleware::{Compress, KeyRing, Sealed, Signed};
use legwork::{Client, Context, Failure, Job, JobId, State, Worker};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Serialize, Deserialize)]
struct Letter {
    to: String,
    text: String,
}

impl Job for Letter {
    const NAME: &'static str = "letter.send";
    type Output = String;
}

async fn send(job: Letter, _cx: Context) -> Result<String, Failure> {
    Ok(format!("{} bytes to {}", job.text.len(), job.to))
}

fn letter() -> Letter {
    Letter { to: "ada@example.org".into(), text: "It is a long story. ".repeat(500) }
}

/// What a client and its workers share. In a program the keys come from files.
fn with_keys(plain: &Client, ring: KeyRing) -> legwork::Result<Client> {
    let signing = KeyRing::new("s1", [9; 32])?;
    Ok(plain.with(Compress::default()).with(Sealed::whole(ring)).with(Signed::new(signing).require()))
}

async fn until(
    jobs: &Client,
    id: JobId,
    good: impl Fn(&legwork::backend::JobView) -> bool,
) -> anyhow::Result<()> {
    let poll = async {
        while !jobs.job(id).await?.is_some_and(|job| good(&job)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    };
    tokio::time::timeout(Duration::from_secs(20), poll).await?
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let plain = Client::connect(&examples::url()).await?;
    let old = with_keys(&plain, KeyRing::new("k1", [1; 32])?)?;
    let id = old.enqueue(letter()).await?.id;
    let stored = plain.job(id).await?.and_then(|job| job.envelope.envelope().cloned());
    let stored = stored.ok_or_else(|| anyhow::anyhow!("the job is not there"))?;
    println!("stored as {:?}, {} bytes for 10 KB", stored.packed, stored.payload.get().len());
    anyhow::ensure!(!stored.payload.get().contains("ada@") && stored.payload.get().len() < 1_000);

    // A new key, and somebody forgot to keep the old one: the job waits, and is not lost.
    let forgetful =
        Worker::new(with_keys(&plain, KeyRing::new("k2", [2; 32])?)?, ()).handle(send).start().await?;
    until(&plain, id, |job| job.parked).await?;
    println!("parked by a worker without the key k1");
    forgetful.stop().await;

    // The new key seals, the old one still opens.
    let rotated = with_keys(&plain, KeyRing::new("k2", [2; 32])?.and("k1", [1; 32])?)?;
    let worker = Worker::new(rotated.clone(), ()).handle(send).start().await?;
    println!("ran after all: {}", rotated.wait::<Letter>(id).await?);
    anyhow::ensure!(plain.wait::<Letter>(id).await.is_err(), "results are sealed too");

    // Who can write to the queue but has no key gets nothing run.
    let forged = plain.enqueue(letter()).await?.id;
    until(&plain, forged, |job| job.state == State::Discarded).await?;
    let why = plain.job(forged).await?.and_then(|job| job.errors.last().map(|e| e.error.clone()));
    println!("not run: {}", why.unwrap_or_default());
    worker.stop().await;
    Ok(())
}
