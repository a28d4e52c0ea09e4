//! Several jobs in one call of their handler: `cargo run -p examples --bin micro_batches`
use anyhow::ensure;
use legwork::{BatchContext, BatchOptions, Client, Failure, Job, WaitError, Worker};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Serialize, Deserialize)]
struct Index {
    document: u32,
}

impl Job for Index {
    const NAME: &'static str = "index";
    type Output = usize;
}

/// One bulk request for all, one outcome for each.
async fn index(all: Vec<Index>, _: BatchContext) -> Result<Vec<Result<usize, Failure>>, Failure> {
    println!("{} documents in one call", all.len());
    let each = |job: &Index| match job.document {
        13 => Err(Failure::discard("document 13 is malformed")),
        _ => Ok(all.len()),
    };
    Ok(all.iter().map(each).collect())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let jobs = Client::connect(&examples::url()).await?;
    let ids = jobs.enqueue_many((0..25).map(|document| Index { document })).await?;
    let options = BatchOptions { size: 10, wait: Duration::from_millis(300) };
    let worker = Worker::new(jobs.clone(), ()).handle_batch(options, index).start().await?;
    let mut indexed = 0;
    for (document, receipt) in ids.iter().enumerate() {
        match jobs.wait::<Index>(receipt.id).await {
            Ok(_) => indexed += 1,
            Err(WaitError::Discarded(why)) => {
                println!("{why}");
                ensure!(document == 13, "the wrong one failed");
            }
            Err(e) => return Err(e.into()),
        }
    }
    println!("{indexed} of 25 indexed");
    ensure!(indexed == 24, "one outcome a job");
    worker.stop().await;
    Ok(())
}
