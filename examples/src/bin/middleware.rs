//! What stands around an enqueue and a run: `cargo run -p examples --bin middleware`
use legwork::middleware::{Attempt, Next, Origin, Run, TraceContext, TraceParent};
use legwork::{Backoff, Client, Context, Envelope, Failure, Job, Middleware, Policy, Worker};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Serialize, Deserialize)]
struct Order {
    left: u32,
}

impl Job for Order {
    const NAME: &'static str = "order";
    /// The trace that the attempt was a part of.
    type Output = Option<String>;
    fn policy() -> Policy {
        Policy::default().backoff(Backoff::fixed(Duration::from_millis(10)))
    }
}

async fn order(job: Order, cx: Context) -> Result<Option<String>, Failure> {
    if cx.attempt() == 1 {
        Err("the first attempt fails")?;
    }
    if job.left > 0 {
        // Continues the trace of this attempt, without a word about it.
        let next = cx.client().enqueue(Order { left: job.left - 1 }).await?.id;
        return Ok(cx.client().wait::<Order>(next).await?);
    }
    Ok(cx.trace().map(|trace| trace.trace_id()))
}

/// A middleware of one's own: refuses what makes no sense, and counts what runs.
struct Counted(Arc<AtomicU32>);

impl Middleware for Counted {
    fn enqueue(&self, job: &mut Envelope) -> legwork::Result<()> {
        println!("enqueue {} {}", job.name, job.payload.get());
        Ok(())
    }

    fn run<'a>(&'a self, job: &'a Attempt<'a>, next: Next<'a>) -> Run<'a> {
        Box::pin(async move {
            let ran = next.run().await;
            self.0.fetch_add(1, Ordering::Relaxed);
            println!(
                "attempt {} of {}: {}",
                job.attempt,
                job.envelope.name,
                if ran.is_ok() { "good" } else { "failed" }
            );
            ran
        })
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (runs, origins) = (Arc::new(AtomicU32::new(0)), Arc::new(Mutex::new(Vec::new())));
    let told = origins.clone();
    // A tracer is told here whether to take the enqueue as the parent or to link to it.
    let traces = TraceContext::new().enter(move |_span, origin| told.lock().unwrap().push(origin));
    let jobs = Client::connect(&examples::url()).await?.with(traces).with(Counted(runs.clone()));
    let worker = Worker::new(jobs.clone(), ()).handle(order).start().await?;

    let here = TraceParent::root(); // of the request that enqueues
    let id = jobs.enqueue(Order { left: 2 }).trace(here).await?.id;
    let trace = jobs.wait::<Order>(id).await?;
    worker.stop().await;

    anyhow::ensure!(trace == Some(here.trace_id()), "the trace was lost: {trace:?}");
    println!("one trace over three jobs and six attempts: {}", here.trace_id());
    anyhow::ensure!(runs.load(Ordering::Relaxed) == 6, "{runs:?} attempts");
    let links = origins.lock().unwrap().iter().filter(|o| matches!(o, Origin::Link(_))).count();
    anyhow::ensure!(links == 3, "{links} links, one for each second attempt");
    println!("three first attempts are parts of what enqueued them, three second ones link to it");
    Ok(())
}
