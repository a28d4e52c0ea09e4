//! A first job: `cargo run -p examples --bin hello`
use legwork::{Client, Context, Failure, Job, Worker};

#[derive(serde::Serialize, serde::Deserialize)]
struct Greet(String);

impl Job for Greet {
    const NAME: &'static str = "greet";
    type Output = String;
}

async fn greet(job: Greet, _cx: Context) -> Result<String, Failure> {
    Ok(format!("hello, {}", job.0))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let jobs = Client::connect(&examples::url()).await?;
    let receipt = jobs.enqueue(Greet("Ada".into())).await?;
    let worker = Worker::new(jobs.clone(), ()).handle(greet).start().await?;
    println!("{}", jobs.wait::<Greet>(receipt.id).await?);
    worker.stop().await;
    Ok(())
}
