//! Groups of queues with permits of their own, and a worker steered while it runs:
//! `cargo run -p examples --bin groups`
use anyhow::ensure;
use legwork::backend::Order;
use legwork::{Client, Context, Failure, Group, Job, Worker};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Serialize, Deserialize)]
struct Send(String);

impl Job for Send {
    const NAME: &'static str = "send";
    type Output = ();
}

async fn send(_: Send, cx: Context<Arc<Mutex<Vec<String>>>>) -> Result<(), Failure> {
    cx.state().lock().unwrap().push(cx.queue().to_owned());
    tokio::time::sleep(Duration::from_millis(10)).await;
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let jobs = Client::connect(&examples::url()).await?;
    let mut all = Vec::new();
    for queue in ["low", "high"] {
        for n in 0..30 {
            all.push(jobs.enqueue(Send(n.to_string())).queue(queue).await?.id);
        }
    }
    let order = Arc::new(Mutex::new(Vec::new()));
    let worker = Worker::new(jobs.clone(), order.clone())
        .handle(send)
        .group(Group::weighted("mail", 1, [("high", 5), ("low", 1)]))
        .group(Group::strict("rest", 4, ["default", "reports"]))
        .start()
        .await?;
    for id in &all {
        jobs.wait::<Send>(*id).await?;
    }
    let first = order.lock().unwrap()[..30].to_vec();
    let high = first.iter().filter(|queue| *queue == "high").count();
    println!("of the first 30 jobs, {high} were of the queue high (weights 5 to 1)");
    ensure!((20..30).contains(&high), "not in the shares of the weights");

    for wanted in [Order::Resize { group: "mail".into(), permits: 3 }, Order::Quiet, Order::Resume] {
        jobs.order(worker.id(), &wanted).await?;
        while !jobs.workers().await?.iter().any(|w| w.id == worker.id() && wanted.is_followed(w)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        println!("followed: {wanted:?}");
    }
    jobs.order(worker.id(), &Order::Stop).await?;
    worker.stopping().cancelled().await;
    worker.stop().await;
    println!("stopped by an order");
    Ok(())
}
