//! A fan-out, a fan-in, and what depends on it: `cargo run -p examples --bin flow`
use legwork::backend::FlowState;
use legwork::{Client, Context, Edge, Failure, Flow, Job, Step, Worker};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Fetch {
    runner: u32,
}

impl Job for Fetch {
    const NAME: &'static str = "fetch";
    type Output = u32;
}

#[derive(Serialize, Deserialize)]
struct Sum;

impl Job for Sum {
    const NAME: &'static str = "sum";
    type Output = u32;
}

#[derive(Serialize, Deserialize)]
struct Mail;

impl Job for Mail {
    const NAME: &'static str = "mail";
    type Output = String;
}

async fn fetch(job: Fetch, _: Context) -> Result<u32, Failure> {
    if job.runner == 13 {
        return Err(Failure::discard("runner 13 has gone"));
    }
    Ok(job.runner * 10)
}

async fn sum(_: Sum, cx: Context) -> Result<u32, Failure> {
    let (mut all, mut sum) = (cx.results::<Fetch>(), 0);
    while let Some(kilometres) = all.next().await? {
        sum += kilometres;
    }
    println!("sum: {} of those before failed", cx.failures().await?.len());
    Ok(sum)
}

async fn mail(_: Mail, cx: Context) -> Result<String, Failure> {
    Ok(format!("you ran {} km", cx.result_of::<Sum>("total").await?.unwrap_or(0)))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let jobs = Client::connect(&examples::url()).await?;
    let worker = Worker::new(jobs.clone(), ()).handle(fetch).handle(sum).handle(mail).start().await?;

    let fetches = Flow::group((1..=20).map(|runner| Fetch { runner })).name("week 47");
    let mut flow = fetches.then_with(Edge::Ignore, Step::new(Sum).label("total"));
    let last = flow.after(&flow.ends(), Mail);
    let started = jobs.start(flow).await?;

    let said = jobs.wait::<Mail>(last.id()).await?;
    let ended = jobs.wait_flow(started.id).await?;
    println!("{said}; flow {} of {} jobs, {} failed", ended.state, ended.nodes, ended.failed);
    worker.stop().await;
    anyhow::ensure!(said == "you ran 1970 km" && ended.state == FlowState::Succeeded && ended.failed == 1);
    Ok(())
}
