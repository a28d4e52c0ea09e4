//! Called off, out of time, stuck: how a running job ends that has to.

use legwork::backend::{Controlled, JobView};
use legwork::testing::server::TestServer;
use legwork::{Backoff, Client, Context, Failure, Job, JobId, Policy, Running, State, StopReason, Worker};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

const GRACE: Duration = Duration::from_millis(300);

/// One body, a test per backend: SQLite in a file, so that two clients are two processes as
/// far as it can tell.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod on_sqlite { $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                let dir = tempfile::tempdir().unwrap();
                super::$name(&format!("sqlite:{}", dir.path().join("a.db").display())).await;
            })* }
        mod on_redis { $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                let Some(server) = super::TestServer::start() else { return };
                super::$name(&server.url()).await;
            })* }
    };
}

on_both! {
    a_running_job_hears_of_it_within_a_second
    who_does_not_listen_is_dropped_after_the_grace
    a_success_within_the_grace_is_a_success
    a_job_that_waits_for_a_permit_is_called_off_too
    a_failure_that_races_with_a_cancellation_is_not_tried_again
    called_off_is_not_called_off_for_ever
    a_soft_timeout_is_heard_and_a_hard_one_ends
    a_timeout_harms_no_neighbour
    a_handler_that_blocks_its_thread_is_given_up_and_replaced
    a_stuck_handler_that_is_called_off_is_cancelled
    no_more_are_replaced_than_may_be
    a_stop_does_not_wait_for_the_stuck
    a_worker_that_stops_tells_its_handlers
    a_cancellation_outlives_the_worker
}

#[derive(Serialize, Deserialize, Clone)]
struct Do {
    what: String,
}

impl Job for Do {
    const NAME: &'static str = "do";
    type Output = String;
    fn policy() -> Policy {
        Policy::default().max_attempts(2u32).backoff(Backoff::fixed(Duration::from_millis(10))).grace(GRACE)
    }
}

fn job(what: &str) -> Do {
    Do { what: what.into() }
}

/// What handlers share with their test.
#[derive(Clone, Default)]
struct World {
    begun: Arc<AtomicUsize>,
    told: Arc<Mutex<Vec<StopReason>>>,
    door: Arc<(Mutex<bool>, Condvar)>,
}

impl World {
    fn open(&self) {
        *self.door.0.lock().unwrap() = true;
        self.door.1.notify_all();
    }
}

/// Opens the door at the end, also of a test that fails: a runtime waits for its threads.
struct Door(World);

impl Drop for Door {
    fn drop(&mut self) {
        self.0.open();
    }
}

async fn handle(job: Do, cx: Context<World>) -> Result<String, Failure> {
    let world = cx.state();
    world.begun.fetch_add(1, Ordering::SeqCst);
    match job.what.as_str() {
        "hang" => std::future::pending().await,
        "once" if cx.attempt() == 1 => std::future::pending().await,
        // Nothing in this process can end it but the test.
        "block" => {
            let mut open = world.door.0.lock().unwrap();
            while !*open {
                open = world.door.1.wait(open).unwrap();
            }
        }
        "listen" | "finish" | "fail" => {
            cx.cancelled().cancelled().await;
            world.told.lock().unwrap().push(cx.stop_reason().unwrap());
            match job.what.as_str() {
                "listen" => cx.check()?,
                "fail" => Err("torn down")?,
                _ => {}
            }
        }
        "hand back" => {
            cx.stopping().cancelled().await;
            world.told.lock().unwrap().push(cx.stop_reason().unwrap());
            cx.check()?;
        }
        _ => {}
    }
    Ok(job.what)
}

fn worker(jobs: &Client, world: &World) -> Worker<World> {
    Worker::new(jobs.clone(), world.clone()).handle(handle)
}

async fn open(url: &str) -> (Client, Client) {
    (Client::connect(url).await.unwrap(), Client::connect(url).await.unwrap())
}

async fn seen(jobs: &Client, id: JobId, what: &str, good: impl Fn(&JobView) -> bool) -> JobView {
    let started = Instant::now();
    loop {
        let job = jobs.job(id).await.unwrap().expect("the job is there");
        if good(&job) {
            return job;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "not {what}: {job:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn ended(jobs: &Client, id: JobId) -> JobView {
    seen(jobs, id, "ended", |job| job.state.is_final()).await
}

async fn until(what: &str, good: impl AsyncFn() -> bool) {
    let started = Instant::now();
    while !good().await {
        assert!(started.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Enqueues a job and waits until its handler runs.
async fn running(jobs: &Client, world: &World, what: &str) -> JobId {
    let before = world.begun.load(Ordering::SeqCst);
    let id = jobs.enqueue(job(what)).await.unwrap().id;
    until("it runs", async || world.begun.load(Ordering::SeqCst) > before).await;
    id
}

async fn a_running_job_hears_of_it_within_a_second(url: &str) {
    let (jobs, other) = open(url).await;
    let world = World::default();
    let worker = worker(&jobs, &world).start().await.unwrap();
    let id = running(&jobs, &world, "listen").await;
    let asked = Instant::now();
    assert_eq!(other.cancel(id).await.unwrap(), Controlled::Requested);
    let job = ended(&other, id).await;
    assert!(asked.elapsed() < Duration::from_secs(1), "after {:?}", asked.elapsed());
    assert_eq!((job.state, job.reason.as_deref(), job.attempts), (State::Cancelled, Some("requested"), 0));
    assert_eq!(*world.told.lock().unwrap(), [StopReason::Cancel]);
    worker.stop().await;
}

async fn who_does_not_listen_is_dropped_after_the_grace(url: &str) {
    let (jobs, other) = open(url).await;
    let world = World::default();
    let worker = worker(&jobs, &world).start().await.unwrap();
    let id = running(&jobs, &world, "hang").await;
    other.cancel(id).await.unwrap();
    let told = seen(&other, id, "acknowledged", |job| job.cancel_acknowledged || job.state.is_final()).await;
    assert!(told.cancel_acknowledged && told.state == State::Leased, "visible while it tidies up: {told:?}");
    assert_eq!(ended(&other, id).await.state, State::Cancelled);
    worker.stop().await;
}

async fn a_success_within_the_grace_is_a_success(url: &str) {
    let (jobs, other) = open(url).await;
    let world = World::default();
    let worker = worker(&jobs, &world).start().await.unwrap();
    let id = running(&jobs, &world, "finish").await;
    other.cancel(id).await.unwrap();
    assert_eq!(jobs.wait::<Do>(id).await.unwrap(), "finish");
    worker.stop().await;
}

async fn a_job_that_waits_for_a_permit_is_called_off_too(url: &str) {
    let (jobs, other) = open(url).await;
    let world = World::default();
    // Fast jobs first, so that the worker leases ahead.
    let worker = worker(&jobs, &world).queue("default", 1).start().await.unwrap();
    for receipt in jobs.enqueue_many((0..300).map(|_| job("quick"))).await.unwrap() {
        jobs.wait::<Do>(receipt.id).await.unwrap();
    }
    let ids = jobs.enqueue_many(["hang", "quick"].map(job)).await.unwrap();
    until("it runs", async || world.begun.load(Ordering::SeqCst) == 301).await;
    other.cancel(ids[1].id).await.unwrap();
    assert_eq!(ended(&other, ids[1].id).await.state, State::Cancelled);
    other.cancel(ids[0].id).await.unwrap();
    assert_eq!(ended(&other, ids[0].id).await.state, State::Cancelled);
    assert_eq!(world.begun.load(Ordering::SeqCst), 301, "it never began");
    worker.stop().await;
}

async fn a_failure_that_races_with_a_cancellation_is_not_tried_again(url: &str) {
    let (jobs, other) = open(url).await;
    let world = World::default();
    let worker = worker(&jobs, &world).start().await.unwrap();
    let id = running(&jobs, &world, "fail").await;
    other.cancel(id).await.unwrap();
    let job = ended(&other, id).await;
    assert_eq!((job.state, job.attempts), (State::Cancelled, 0));
    assert_eq!(world.begun.load(Ordering::SeqCst), 1);
    worker.stop().await;
}

async fn called_off_is_not_called_off_for_ever(url: &str) {
    let (jobs, other) = open(url).await;
    let world = World::default();
    let worker = worker(&jobs, &world).start().await.unwrap();
    let id = running(&jobs, &world, "listen").await;
    other.cancel(id).await.unwrap();
    ended(&other, id).await;
    other.retry(id).await.unwrap();
    until("it runs again", async || world.begun.load(Ordering::SeqCst) == 2).await;
    // Longer than any look for requests: the former one must not end this attempt.
    let quiet = tokio::time::timeout(Duration::from_millis(1_200), ended(&other, id)).await;
    assert!(quiet.is_err(), "the former request hit it: {quiet:?}");
    other.cancel(id).await.unwrap();
    assert_eq!(ended(&other, id).await.state, State::Cancelled);
    assert_eq!(*world.told.lock().unwrap(), [StopReason::Cancel; 2]);
    worker.stop().await;
}

async fn a_soft_timeout_is_heard_and_a_hard_one_ends(url: &str) {
    let (jobs, _) = open(url).await;
    let world = World::default();
    let worker = worker(&jobs, &world).start().await.unwrap();
    let put = async |what: &str| {
        jobs.enqueue(job(what)).timeout(Duration::from_millis(50)).max_attempts(1).await.unwrap().id
    };
    let (finish, fail, hang) = (put("finish").await, put("fail").await, put("hang").await);
    assert_eq!(jobs.wait::<Do>(finish).await.unwrap(), "finish");
    assert_eq!(ended(&jobs, fail).await.errors[0].error, "timed out after 50ms: torn down");
    let hard = ended(&jobs, hang).await;
    assert_eq!((hard.state, hard.errors[0].error.as_str()), (State::Discarded, "timed out after 50ms"));
    assert_eq!(*world.told.lock().unwrap(), [StopReason::Timeout; 2]);
    worker.stop().await;
}

async fn a_timeout_harms_no_neighbour(url: &str) {
    let (jobs, _) = open(url).await;
    let world = World::default();
    let worker = worker(&jobs, &world).start().await.unwrap();
    let neighbour = running(&jobs, &world, "listen").await;
    let once = jobs.enqueue(job("once")).timeout(Duration::from_millis(50)).await.unwrap().id;
    assert_eq!(jobs.wait::<Do>(once).await.unwrap(), "once");
    let view = jobs.job(once).await.unwrap().unwrap();
    assert_eq!((view.attempts, view.crashes, view.suspect), (2, 0, false));
    assert_eq!(jobs.job(neighbour).await.unwrap().unwrap().state, State::Leased);
    assert!(world.told.lock().unwrap().is_empty());
    jobs.cancel(neighbour).await.unwrap();
    ended(&jobs, neighbour).await;
    worker.stop().await;
}

async fn stuck(jobs: &Client, count: usize) {
    until(&format!("{count} stuck"), async || {
        let workers = jobs.workers().await.unwrap();
        workers.iter().map(|w| w.stuck).sum::<usize>() == count
    })
    .await;
}

fn restless(jobs: &Client, world: &World) -> Worker<World> {
    // A short lease makes short beats.
    worker(jobs, world).queue("default", 1).lease(Duration::from_millis(900))
}

async fn blocked(jobs: &Client) -> JobId {
    let long = Duration::from_millis(50);
    jobs.enqueue(job("block")).timeout(long).max_attempts(1).await.unwrap().id
}

async fn a_handler_that_blocks_its_thread_is_given_up_and_replaced(url: &str) {
    let (jobs, _) = open(url).await;
    let world = World::default();
    let _door = Door(world.clone());
    let worker = restless(&jobs, &world).start().await.unwrap();
    let id = blocked(&jobs).await;
    let job_view = ended(&jobs, id).await;
    let said = job_view.errors[0].error.as_str();
    assert_eq!((job_view.state, said, job_view.crashes), (State::Discarded, "timed out after 50ms", 0));
    stuck(&jobs, 1).await;
    assert!(worker.is_ready());
    for _ in 0..5 {
        let next = jobs.enqueue(job("next")).await.unwrap().id;
        assert_eq!(jobs.wait::<Do>(next).await.unwrap(), "next", "the only permit was replaced");
    }
    world.open();
    stuck(&jobs, 0).await;
    assert_eq!(jobs.job(id).await.unwrap().unwrap().state, State::Discarded, "what it said is not heard");
    // One permit again, and not two: one runs, the other waits.
    let first = running(&jobs, &world, "listen").await;
    let second = jobs.enqueue(job("next")).await.unwrap().id;
    let early = tokio::time::timeout(Duration::from_millis(300), jobs.wait::<Do>(second)).await;
    assert!(early.is_err(), "a second permit is left over");
    jobs.cancel(first).await.unwrap();
    jobs.wait::<Do>(second).await.unwrap();
    worker.stop().await;
    assert_eq!(jobs.backend().audit().await.unwrap(), Vec::<String>::new());
}

async fn a_stuck_handler_that_is_called_off_is_cancelled(url: &str) {
    let (jobs, _) = open(url).await;
    let world = World::default();
    let _door = Door(world.clone());
    let worker = restless(&jobs, &world).start().await.unwrap();
    let id = running(&jobs, &world, "block").await;
    jobs.cancel(id).await.unwrap();
    assert_eq!(ended(&jobs, id).await.state, State::Cancelled);
    stuck(&jobs, 1).await;
    world.open();
    stuck(&jobs, 0).await;
    worker.stop().await;
}

async fn no_more_are_replaced_than_may_be(url: &str) {
    let (jobs, _) = open(url).await;
    let world = World::default();
    let _door = Door(world.clone());
    let worker = restless(&jobs, &world).max_stuck(1).start().await.unwrap();
    let ids = [blocked(&jobs).await, blocked(&jobs).await];
    for id in ids {
        assert_eq!(ended(&jobs, id).await.state, State::Discarded);
    }
    stuck(&jobs, 2).await;
    assert!(!worker.is_ready(), "somebody should replace it");
    let next = jobs.enqueue(job("next")).await.unwrap().id;
    let early = tokio::time::timeout(Duration::from_millis(300), jobs.wait::<Do>(next)).await;
    assert!(early.is_err(), "no permit is left");
    world.open();
    assert_eq!(jobs.wait::<Do>(next).await.unwrap(), "next");
    assert!(worker.is_ready());
    worker.stop().await;
}

async fn a_stop_does_not_wait_for_the_stuck(url: &str) {
    let (jobs, _) = open(url).await;
    let world = World::default();
    let _door = Door(world.clone());
    let worker = restless(&jobs, &world).drain(Duration::from_millis(100)).start().await.unwrap();
    let id = running(&jobs, &world, "block").await;
    tokio::time::timeout(Duration::from_secs(10), worker.stop()).await.expect("it ends");
    let job = jobs.job(id).await.unwrap().unwrap();
    assert_eq!((job.state, job.attempts, job.crashes), (State::Available, 0, 0), "handed back");
    world.open();
}

async fn a_worker_that_stops_tells_its_handlers(url: &str) {
    let (jobs, _) = open(url).await;
    let world = World::default();
    let worker = worker(&jobs, &world).start().await.unwrap();
    let id = running(&jobs, &world, "hand back").await;
    worker.stop().await;
    let job = jobs.job(id).await.unwrap().unwrap();
    assert_eq!((job.state, job.attempts), (State::Available, 0));
    assert_eq!(*world.told.lock().unwrap(), [StopReason::Shutdown]);
}

/// Requested, and then the worker goes away before it can hear of it: whoever comes next
/// does not run the job.
async fn a_cancellation_outlives_the_worker(url: &str) {
    let (jobs, other) = open(url).await;
    let id = jobs.enqueue(job("quick")).await.unwrap().id;
    let request = legwork::backend::LeaseRequest {
        worker: "gone".into(),
        queues: vec![("default".into(), 1)],
        most: 1,
        alone: true,
        ttl_ms: 300,
    };
    assert_eq!(jobs.backend().lease(&request).await.unwrap().batches.len(), 1);
    assert_eq!(other.cancel(id).await.unwrap(), Controlled::Requested);
    let world = World::default();
    let worker: Running = worker(&jobs, &world).start().await.unwrap();
    assert_eq!(ended(&other, id).await.state, State::Cancelled);
    assert_eq!(world.begun.load(Ordering::SeqCst), 0);
    worker.stop().await;
}
