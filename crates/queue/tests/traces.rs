//! Traces travel with jobs, over retries and from job to job. On SQLite in memory, and on
//! Redis where there is a server.

#[macro_use]
#[path = "common/both.rs"]
mod both;

use legwork::middleware::{Origin, TraceContext, TraceParent};
use legwork::{Backoff, Client, Context, Failure, Job, JobId, Policy, Worker};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

on_both! {
    a_job_without_a_trace_has_none
    what_a_handler_enqueues_continues_its_trace
    a_tracer_is_told_parent_or_link_before_the_span_is_entered
    a_tracers_own_place_comes_before_the_jobs
}

/// Fails so often, then enqueues another that fails one time less.
#[derive(Serialize, Deserialize)]
struct Step {
    left: u32,
    fails: u32,
}

/// The ids and traces of the attempts, and the job that came after.
#[derive(Serialize, Deserialize, Debug)]
struct Done {
    trace: Option<String>,
    attempt: u32,
    next: Option<JobId>,
}

impl Job for Step {
    const NAME: &'static str = "step";
    type Output = Done;
    fn policy() -> Policy {
        Policy::default().backoff(Backoff::fixed(Duration::from_millis(5)))
    }
}

async fn step(job: Step, cx: Context) -> Result<Done, Failure> {
    if cx.attempt() <= job.fails {
        return Err(Failure::retry("not yet"));
    }
    let next = Step { left: job.left.saturating_sub(1), fails: 0 };
    let next = match job.left {
        0 => None,
        // As it is, after a wait, and from a task of its own, where it must be said.
        3 => Some(cx.client().enqueue(next).await?.id),
        2 => Some(cx.client().enqueue(next).delay(Duration::from_millis(5)).await?.id),
        _ => {
            let (jobs, here) = (cx.client().clone(), cx.trace());
            let spawned = tokio::spawn(async move {
                let enqueue = jobs.enqueue(next);
                if let Some(here) = here { enqueue.trace(here).await } else { enqueue.await }
            });
            Some(spawned.await??.id)
        }
    };
    Ok(Done { trace: cx.trace().map(|t| t.to_string()), attempt: cx.attempt(), next })
}

async fn stored(jobs: &Client, id: JobId) -> Option<legwork::middleware::Trace> {
    jobs.job(id).await.unwrap().unwrap().envelope.envelope().unwrap().trace
}

async fn a_job_without_a_trace_has_none(jobs: Client) {
    let worker = Worker::new(jobs.clone(), ()).handle(step).start().await.unwrap();
    let id = jobs.enqueue(Step { left: 3, fails: 0 }).await.unwrap().id;
    let done = jobs.wait::<Step>(id).await.unwrap();
    assert_eq!((done.trace, stored(&jobs, id).await), (None, None));
    assert_eq!(stored(&jobs, done.next.unwrap()).await, None);
    worker.stop().await;
}

async fn what_a_handler_enqueues_continues_its_trace(jobs: Client) {
    let worker = Worker::new(jobs.clone(), ()).handle(step).start().await.unwrap();
    let root = TraceParent::root();
    // Over two retries, which is where others lose it.
    let mut id = jobs.enqueue(Step { left: 3, fails: 2 }).trace(root).await.unwrap().id;
    let mut parent = root;
    for (attempt, later) in [(3, false), (1, false), (1, true), (1, false)] {
        let trace = stored(&jobs, id).await.unwrap();
        assert_eq!((trace.parent, trace.later), (parent, later));
        let done = jobs.wait::<Step>(id).await.unwrap();
        let here: TraceParent = done.trace.unwrap().parse().unwrap();
        assert_eq!((here.trace_id(), done.attempt), (root.trace_id(), attempt));
        assert_ne!(here.span_id(), parent.span_id());
        parent = here;
        let Some(next) = done.next else { break };
        id = next;
    }
    worker.stop().await;
}

async fn a_tracer_is_told_parent_or_link_before_the_span_is_entered(jobs: Client) {
    let told: Arc<Mutex<Vec<Origin>>> = Arc::default();
    let log = told.clone();
    let traces = TraceContext::new().enter(move |_, origin| log.lock().unwrap().push(origin));
    let jobs = jobs.with(traces);
    let worker = Worker::new(jobs.clone(), ()).handle(step).start().await.unwrap();
    let at_once = jobs.enqueue(Step { left: 0, fails: 1 }).await.unwrap().id;
    jobs.wait::<Step>(at_once).await.unwrap();
    let parent = stored(&jobs, at_once).await.expect("outside of any trace it begins one").parent;
    let wait = Duration::from_millis(5);
    let later = jobs.enqueue(Step { left: 0, fails: 0 }).delay(wait).await.unwrap().id;
    jobs.wait::<Step>(later).await.unwrap();
    let other = stored(&jobs, later).await.unwrap().parent;
    let expected = [Origin::Parent(parent), Origin::Link(parent), Origin::Link(other)];
    assert_eq!(*told.lock().unwrap(), expected);
    worker.stop().await;
}

async fn a_tracers_own_place_comes_before_the_jobs(jobs: Client) {
    let here = TraceParent::root();
    let jobs = jobs.with(TraceContext::new().current(move || Some(here)));
    let id = jobs.enqueue(Step { left: 0, fails: 0 }).await.unwrap().id;
    assert_eq!(stored(&jobs, id).await.unwrap().parent, here);
    let said = TraceParent::root();
    let id = jobs.enqueue(Step { left: 0, fails: 0 }).trace(said).await.unwrap().id;
    assert_eq!(stored(&jobs, id).await.unwrap().parent, said, "what is said comes before everything");
}
