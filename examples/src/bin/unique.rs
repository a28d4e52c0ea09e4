//! Unique jobs: one key, and what a second enqueue of it does.
//!
//! `cargo run -p examples --bin unique`

use legwork::{Client, Context, Failure, Job, State, Unique, Worker};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

#[derive(Serialize, Deserialize)]
struct Sync {
    athlete: u64,
    page: u32,
}

impl Job for Sync {
    const NAME: &'static str = "athlete.sync";
    type Output = u32;
    /// One runs, at most one waits, and that one has the newest payload.
    fn unique(&self) -> Option<Unique> {
        Some(Unique::fields(&["athlete"]).keep_last())
    }
}

#[derive(Clone)]
struct App {
    seen: Arc<Mutex<Vec<u32>>>,
    gate: Arc<Semaphore>,
}

async fn sync(job: Sync, cx: Context<App>) -> Result<u32, Failure> {
    cx.state().seen.lock().unwrap().push(job.page);
    cx.state().gate.acquire().await?.forget();
    Ok(job.page)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let jobs = Client::connect(&examples::url()).await?;
    let app = App { seen: Arc::default(), gate: Arc::new(Semaphore::new(0)) };
    let worker = Worker::new(jobs.clone(), app.clone()).handle(sync).start().await?;

    let running = jobs.enqueue(Sync { athlete: 7, page: 1 }).await?.id;
    while app.seen.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let waiting = jobs.enqueue(Sync { athlete: 7, page: 2 }).await?;
    let newest = jobs.enqueue(Sync { athlete: 7, page: 3 }).await?;
    anyhow::ensure!(waiting.created && newest.replaced && newest.id == waiting.id);
    app.gate.add_permits(2);
    println!(
        "page {} ran, then page {}",
        jobs.wait::<Sync>(running).await?,
        jobs.wait::<Sync>(newest.id).await?
    );
    anyhow::ensure!(*app.seen.lock().unwrap() == [1, 3], "page 2 was replaced by page 3");
    worker.stop().await;

    // At most once an hour, also when the first has long finished.
    let hourly = || Unique::key("daily digest").for_time(Duration::from_secs(3_600));
    let digest = jobs.enqueue_raw("digest", "1").queue("later").unique(hourly()).await?;
    let again = jobs.enqueue_raw("digest", "2").queue("later").unique(hourly()).await?;
    println!("a second digest within the hour: {}", if again.created { "taken" } else { "there already" });
    anyhow::ensure!(again.id == digest.id && !again.created);

    // Five seconds after the last change, and no later than a minute after the first.
    let quiet = || Unique::key("doc 4").debounce(Duration::from_secs(5)).at_most(Duration::from_secs(60));
    let index = jobs.enqueue_raw("index", "1").queue("later").unique(quiet()).await?;
    let again = jobs.enqueue_raw("index", "2").queue("later").unique(quiet()).await?;
    let view = jobs.job(index.id).await?.expect("it waits");
    let payload = view.envelope.envelope().expect("readable").payload.get().to_owned();
    println!("the index waits with payload {payload}");
    anyhow::ensure!(again.replaced && view.state == State::Scheduled && payload == "2");
    for id in [digest.id, index.id] {
        jobs.cancel(id).await?;
    }
    Ok(())
}
