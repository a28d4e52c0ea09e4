//! Several jobs in one call of their handler, each with an outcome of its own.

#[macro_use]
#[path = "common/both.rs"]
mod both;

use legwork::{Backoff, BatchContext, BatchOptions, Client, Failure, Job, JobId, Policy, State, Worker};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

on_both! {
    each_member_has_its_own_outcome
    a_batch_that_is_not_full_runs_after_the_wait
    a_failure_of_the_call_is_that_of_each
    who_is_called_off_leaves_the_others_alone
    who_waits_keeps_its_lease_and_is_handed_back_at_a_stop
}

#[derive(Serialize, Deserialize, Clone)]
struct Part {
    what: String,
}

impl Job for Part {
    const NAME: &'static str = "part";
    type Output = usize;
    fn policy() -> Policy {
        Policy::default().max_attempts(2u32).backoff(Backoff::fixed(Duration::from_millis(10)))
    }
}

#[derive(Clone, Default)]
struct World {
    sizes: Arc<Mutex<Vec<usize>>>,
    go: Arc<Notify>,
}

async fn parts(all: Vec<Part>, cx: BatchContext<World>) -> Result<Vec<Result<usize, Failure>>, Failure> {
    cx.state().sizes.lock().unwrap().push(all.len());
    assert_eq!(all.len(), cx.jobs().len());
    // In whatever order they have joined.
    let words = all.iter().map(|part| part.what.as_str());
    match { words }.find(|what| ["panic", "fail", "short", "hold"].contains(what)).unwrap_or("") {
        "panic" => panic!("at the {}", "disco"),
        "fail" => return Err(Failure::discard("nobody can do these")),
        "short" => return Ok(Vec::new()),
        "hold" => cx.state().go.notified().await,
        _ => {}
    }
    let each = |(part, cx): (&Part, &legwork::Context<World>)| match part.what.as_str() {
        "discard" => Err(Failure::discard("not this one")),
        "once more" if cx.attempt() == 1 => Err("not yet")?,
        _ => Ok(all.len()),
    };
    Ok(all.iter().zip(cx.jobs()).map(each).collect())
}

async fn enqueue(jobs: &Client, all: &[&str]) -> Vec<JobId> {
    let all = all.iter().map(|what| Part { what: (*what).into() });
    jobs.enqueue_many(all).await.unwrap().iter().map(|receipt| receipt.id).collect()
}

fn worker(jobs: &Client, world: &World, size: usize, wait: Duration) -> Worker<World> {
    Worker::new(jobs.clone(), world.clone()).handle_batch(BatchOptions { size, wait }, parts)
}

async fn until(jobs: &Client, id: JobId, state: State) -> legwork::backend::JobView {
    let started = Instant::now();
    loop {
        let job = jobs.job(id).await.unwrap().expect("it is kept");
        if job.state == state {
            return job;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "it stays {job:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

const LONG: Duration = Duration::from_secs(50);

async fn each_member_has_its_own_outcome(jobs: Client) {
    let world = World::default();
    let ids = enqueue(&jobs, &["", "discard", "once more", ""]).await;
    let worker = worker(&jobs, &world, 4, LONG).start().await.unwrap();
    assert_eq!(jobs.wait::<Part>(ids[0]).await.unwrap(), 4);
    let discarded = until(&jobs, ids[1], State::Discarded).await;
    assert_eq!(discarded.errors[0].error, "not this one");
    assert_eq!(jobs.wait::<Part>(ids[3]).await.unwrap(), 4);
    let more = enqueue(&jobs, &["", "", ""]).await;
    assert_eq!(jobs.wait::<Part>(ids[2]).await.unwrap(), 4, "tried again, in another batch");
    assert_eq!(jobs.wait::<Part>(more[0]).await.unwrap(), 4);
    let again = until(&jobs, ids[2], State::Succeeded).await;
    assert_eq!((again.attempts, again.errors.len()), (2, 1));
    assert_eq!(*world.sizes.lock().unwrap(), [4, 4]);
    worker.stop().await;
    assert_eq!(jobs.backend().audit().await.unwrap(), Vec::<String>::new());
}

async fn a_batch_that_is_not_full_runs_after_the_wait(jobs: Client) {
    let world = World::default();
    let ids = enqueue(&jobs, &["", "", ""]).await;
    let wait = Duration::from_millis(400);
    let worker = worker(&jobs, &world, 16, wait).start().await.unwrap();
    let began = Instant::now();
    for id in ids {
        assert_eq!(jobs.wait::<Part>(id).await.unwrap(), 3);
    }
    assert!(began.elapsed() >= wait / 2, "it waited for others");
    worker.stop().await;
}

async fn a_failure_of_the_call_is_that_of_each(jobs: Client) {
    let world = World::default();
    let worker = worker(&jobs, &world, 2, LONG).start().await.unwrap();
    for (what, attempts, line) in [
        ("fail", 1, "nobody can do these"),
        ("panic", 2, "panicked: at the disco"),
        ("short", 2, "the batch handler of part gave 0 outcomes for 2 jobs"),
    ] {
        for id in enqueue(&jobs, &[what, what]).await {
            let job = until(&jobs, id, State::Discarded).await;
            assert_eq!((job.attempts, job.errors[0].error.as_str()), (attempts, line));
        }
    }
    worker.stop().await;
}

async fn who_is_called_off_leaves_the_others_alone(jobs: Client) {
    let world = World::default();
    let ids = enqueue(&jobs, &["hold", "", "hold"]).await;
    let worker = worker(&jobs, &world, 3, LONG).start().await.unwrap();
    while world.sizes.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    jobs.cancel(ids[1]).await.unwrap();
    let cancelled = until(&jobs, ids[1], State::Cancelled).await;
    assert_eq!(cancelled.attempts, 0);
    assert_eq!(jobs.job(ids[0]).await.unwrap().unwrap().state, State::Leased);
    world.go.notify_one();
    assert_eq!(jobs.wait::<Part>(ids[0]).await.unwrap(), 3);
    assert_eq!(jobs.wait::<Part>(ids[2]).await.unwrap(), 3);
    assert_eq!(jobs.job(ids[1]).await.unwrap().unwrap().state, State::Cancelled, "and stays so");
    worker.stop().await;
}

async fn who_waits_keeps_its_lease_and_is_handed_back_at_a_stop(jobs: Client) {
    let world = World::default();
    let ids = enqueue(&jobs, &["", ""]).await;
    let lease = Duration::from_millis(600);
    let worker = worker(&jobs, &world, 9, LONG).lease(lease).start().await.unwrap();
    let first = until(&jobs, ids[0], State::Leased).await.lease.unwrap();
    let until_renewed = Instant::now();
    loop {
        let job = until(&jobs, ids[0], State::Leased).await;
        let lease = job.lease.unwrap();
        assert_eq!((lease.token, job.crashes), (first.token, 0), "the lease was lost");
        if lease.expires_ms >= first.expires_ms + 1_500 {
            break;
        }
        assert!(until_renewed.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let began = Instant::now();
    worker.stop().await;
    assert!(began.elapsed() < Duration::from_secs(10), "it does not hold the process");
    for id in ids {
        let job = jobs.job(id).await.unwrap().unwrap();
        assert_eq!((job.state, job.attempts, job.crashes), (State::Available, 0, 0));
    }
    assert!(world.sizes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn mistakes_are_told_at_the_start() {
    let jobs = Client::connect("sqlite::memory:").await.unwrap();
    let world = World::default();
    for (size, wait, line) in [
        (0, LONG, "batch size of part: 0 is not 1 to 1000"),
        (2, LONG * 2, "batch wait of part: 100s is more than a minute"),
        (9, LONG, "batch size: 9 is more than the 8 permits of group default; each member needs one"),
    ] {
        let started = worker(&jobs, &world, size, wait).queue("default", 8).start().await;
        assert_eq!(started.err().unwrap().to_string(), line);
    }
    worker(&jobs, &world, 100, LONG).start().await.expect("permits enough by default").stop().await;
}
