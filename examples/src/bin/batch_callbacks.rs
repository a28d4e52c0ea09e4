//! Callbacks of a batch, each once: `cargo run -p examples --bin batch_callbacks`
use legwork::{Client, Context, Failure, Flow, Job, Worker};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};

#[derive(Serialize, Deserialize)]
struct Send {
    to: u32,
    fails: bool,
}

impl Job for Send {
    const NAME: &'static str = "send";
    type Output = ();
}

#[derive(Serialize, Deserialize)]
struct Tell {
    what: String,
}

impl Job for Tell {
    const NAME: &'static str = "tell";
    type Output = ();
}

type Told = Arc<Mutex<Vec<String>>>;

async fn send(job: Send, _: Context<Told>) -> Result<(), Failure> {
    if job.fails { Err(Failure::discard(format!("{} does not answer", job.to))) } else { Ok(()) }
}

async fn tell(job: Tell, cx: Context<Told>) -> Result<(), Failure> {
    let failed = cx.failures().await?.len();
    println!("{}: {failed} failed so far", job.what);
    cx.state().lock().unwrap().push(job.what);
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (jobs, told) = (Client::connect(&examples::url()).await?, Told::default());
    let worker = Worker::new(jobs.clone(), told.clone()).handle(send).handle(tell).start().await?;
    let callback = |what: &str| Tell { what: what.into() };
    for failing in [None, Some(7)] {
        let batch = Flow::group((0..50).map(|to| Send { to, fails: failing == Some(to) }));
        let batch = batch
            .on_complete(callback("complete"))
            .on_success(callback("success"))
            .on_failure(callback("first failure"));
        let ended = jobs.wait_flow(jobs.start(batch).await?.id).await?;
        println!("the batch {}", ended.state);
        let mut told = std::mem::take(&mut *told.lock().unwrap());
        told.sort();
        let expected =
            if failing.is_some() { ["complete", "first failure"] } else { ["complete", "success"] };
        anyhow::ensure!(told == expected, "told {told:?}");
    }
    worker.stop().await;
    Ok(())
}
