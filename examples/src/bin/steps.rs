//! Steps that are done once, and a long import that goes on where it was stopped:
//! `cargo run -p examples --bin steps`
use anyhow::ensure;
use legwork::{Backoff, Client, Context, Failure, Job, JobId, Policy, Worker};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What really happened, outside the queue.
type Ledger = Arc<Mutex<Vec<String>>>;

#[derive(Serialize, Deserialize)]
struct Order {
    number: u32,
}

impl Job for Order {
    const NAME: &'static str = "order";
    type Output = String;
    fn policy() -> Policy {
        Policy::default().backoff(Backoff::fixed(Duration::from_millis(20)))
    }
}

async fn order(job: Order, cx: Context<Ledger>) -> Result<String, Failure> {
    let write = async |line: String| cx.state().lock().unwrap_or_else(|e| e.into_inner()).push(line);
    let charge = async || {
        write(format!("charged order {}", job.number)).await;
        Ok(format!("receipt {}", job.number))
    };
    let receipt: String = cx.step("charge", charge).await?;
    if cx.attempt() == 1 {
        Err("the parcel service is away")?; // the charge is not repeated
    }
    Ok(receipt)
}

#[derive(Serialize, Deserialize)]
struct Import {}

impl Job for Import {
    const NAME: &'static str = "import";
    type Output = ();
}

async fn import(_: Import, cx: Context<Ledger>) -> Result<(), Failure> {
    let page = async |page: u32| {
        cx.state().lock().unwrap_or_else(|e| e.into_inner()).push(format!("page {page}"));
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok((page < 30).then_some(page + 1))
    };
    cx.pages(1, page).await
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (jobs, ledger) = (Client::connect(&examples::url()).await?, Ledger::default());
    let worker = || Worker::new(jobs.clone(), ledger.clone()).handle(order).handle(import);
    let lines = || ledger.lock().map(|lines| lines.clone()).unwrap_or_default();
    let first = worker().start().await?;
    let id = jobs.enqueue(Order { number: 7 }).await?.id;
    println!("{} after two attempts; {:?}", jobs.wait::<Order>(id).await?, lines());
    ensure!(lines() == ["charged order 7"], "charged more than once: {:?}", lines());

    let id: JobId = jobs.enqueue(Import {}).await?.id;
    while !lines().contains(&"page 10".to_owned()) {
        tokio::task::yield_now().await;
    }
    first.stop().await;
    let next = jobs.job(id).await?.and_then(|job| job.cursor).map(|at| at.to_string());
    println!("the worker stopped in the middle; the next page is {}", next.unwrap_or_default());
    let second = worker().start().await?;
    jobs.wait::<Import>(id).await?;
    let pages: Vec<_> = lines().split_off(1);
    ensure!(pages == (1..=30).map(|n| format!("page {n}")).collect::<Vec<_>>(), "{pages:?}");
    println!("all {} pages were read, each once", pages.len());
    second.stop().await;
    Ok(())
}
