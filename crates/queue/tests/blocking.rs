//! Handlers that block, on threads of their own.

use legwork::backend::JobView;
use legwork::{Backoff, Client, Context, Failure, Job, JobId, Policy, State, StopReason, Worker};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

#[derive(Serialize, Deserialize, Clone)]
struct Do {
    what: String,
}

impl Job for Do {
    const NAME: &'static str = "do";
    type Output = String;
    fn policy() -> Policy {
        let soon = Backoff::fixed(Duration::from_millis(10));
        Policy::default().max_attempts(1u32).backoff(soon).grace(Duration::from_millis(50))
    }
}

/// An async neighbour.
#[derive(Serialize, Deserialize)]
struct Near {}

impl Job for Near {
    const NAME: &'static str = "near";
    type Output = ();
}

fn job(what: &str) -> Do {
    Do { what: what.into() }
}

#[derive(Clone, Default)]
struct World {
    begun: Arc<AtomicUsize>,
    door: Arc<(Mutex<bool>, Condvar)>,
    told: Arc<Mutex<Vec<StopReason>>>,
}

/// Opens the door at the end, also of a test that fails.
struct Door(World);

impl Drop for Door {
    fn drop(&mut self) {
        *self.0.door.0.lock().unwrap() = true;
        self.0.door.1.notify_all();
    }
}

fn handle(job: Do, cx: Context<World>) -> Result<String, Failure> {
    let world = cx.state();
    world.begun.fetch_add(1, Ordering::SeqCst);
    match job.what.as_str() {
        "wait" => {
            let mut open = world.door.0.lock().unwrap();
            while !*open {
                open = world.door.1.wait(open).unwrap();
            }
        }
        "look" => {
            while !cx.is_cancelled() {
                std::thread::yield_now();
            }
            world.told.lock().unwrap().push(cx.stop_reason().unwrap());
            cx.check()?;
        }
        "step" => {
            cx.block_on(cx.progress(0.5, "halfway"))?;
            return cx.block_on(cx.step("one", async || Ok("stepped".to_owned())));
        }
        "sleep" => cx.block_on(tokio::time::sleep(Duration::from_millis(20))),
        "panic" => panic!("at the disco"),
        _ => {}
    }
    Ok(std::thread::current().name().unwrap_or_default().into())
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

async fn open() -> (Client, World, Door, Worker<World>) {
    let jobs = Client::connect("sqlite::memory:").await.unwrap();
    let world = World::default();
    let worker = Worker::new(jobs.clone(), world.clone())
        .handle_blocking(handle)
        .handle(|_: Near, _: Context<World>| async { Ok(()) })
        .lease(Duration::from_millis(900));
    (jobs, world.clone(), Door(world), worker)
}

/// On a runtime of one thread, which is this test's own.
#[tokio::test]
async fn what_blocks_stands_in_nobodys_way() {
    let (jobs, world, door, worker) = open().await;
    let worker = worker.start().await.unwrap();
    let id = jobs.enqueue(job("wait")).await.unwrap().id;
    until("it runs", async || world.begun.load(Ordering::SeqCst) == 1).await;
    let near = jobs.enqueue(Near {}).await.unwrap().id;
    jobs.wait::<Near>(near).await.unwrap();
    assert_eq!(jobs.job(id).await.unwrap().unwrap().state, State::Leased);
    drop(door);
    assert_eq!(jobs.wait::<Do>(id).await.unwrap(), "legwork-blocking");
    for (what, said) in [("step", "stepped"), ("sleep", "legwork-blocking")] {
        let id = jobs.enqueue(job(what)).await.unwrap().id;
        assert_eq!(jobs.wait::<Do>(id).await.unwrap(), said);
    }
    let id = jobs.enqueue(job("panic")).await.unwrap().id;
    assert_eq!(ended(&jobs, id).await.errors[0].error, "panicked: at the disco");
    worker.stop().await;
}

#[tokio::test]
async fn it_hears_that_it_is_called_off_or_late() {
    let (jobs, world, _door, worker) = open().await;
    let worker = worker.start().await.unwrap();
    let id = jobs.enqueue(job("look")).await.unwrap().id;
    until("it runs", async || world.begun.load(Ordering::SeqCst) == 1).await;
    jobs.cancel(id).await.unwrap();
    assert_eq!(ended(&jobs, id).await.state, State::Cancelled);
    let id = jobs.enqueue(job("look")).timeout(Duration::from_millis(50)).await.unwrap().id;
    assert_eq!(ended(&jobs, id).await.errors[0].error, "timed out after 50ms: its time is over");
    assert_eq!(*world.told.lock().unwrap(), [StopReason::Cancel, StopReason::Timeout]);
    worker.stop().await;
}

#[tokio::test]
async fn a_thread_that_does_not_come_back_is_replaced() {
    let (jobs, world, door, worker) = open().await;
    let worker = worker.blocking_threads(1).start().await.unwrap();
    let id = jobs.enqueue(job("wait")).timeout(Duration::from_millis(50)).await.unwrap().id;
    let late = ended(&jobs, id).await;
    assert_eq!((late.state, late.errors[0].error.as_str()), (State::Discarded, "timed out after 50ms"));
    let stuck = async |count| {
        until("stuck", async || jobs.workers().await.unwrap()[0].stuck == count).await;
    };
    stuck(1).await;
    for _ in 0..3 {
        let id = jobs.enqueue(job("")).await.unwrap().id;
        jobs.wait::<Do>(id).await.unwrap();
    }
    // As many again, and no more: the next ones wait for a thread until their time is over.
    let id = jobs.enqueue(job("wait")).timeout(Duration::from_millis(50)).await.unwrap().id;
    ended(&jobs, id).await;
    stuck(2).await;
    let begun = world.begun.load(Ordering::SeqCst);
    let id = jobs.enqueue(job("")).timeout(Duration::from_millis(50)).await.unwrap().id;
    assert_eq!(ended(&jobs, id).await.errors[0].error, "timed out after 50ms");
    drop(door);
    stuck(0).await;
    let id = jobs.enqueue(job("")).await.unwrap().id;
    jobs.wait::<Do>(id).await.unwrap();
    assert_eq!(world.begun.load(Ordering::SeqCst), begun + 1, "what waited in vain never began");
    worker.stop().await;
}

#[tokio::test]
async fn no_more_threads_work_than_was_said() {
    let (jobs, world, door, worker) = open().await;
    let worker = worker.blocking_threads(2).start().await.unwrap();
    let ids = jobs.enqueue_many((0..6).map(|_| job("wait"))).await.unwrap();
    until("two run", async || world.begun.load(Ordering::SeqCst) == 2).await;
    let near = jobs.enqueue(Near {}).await.unwrap().id;
    jobs.wait::<Near>(near).await.unwrap();
    assert_eq!(world.begun.load(Ordering::SeqCst), 2);
    drop(door);
    for id in ids {
        jobs.wait::<Do>(id.id).await.unwrap();
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_number_out_of_range_fails_the_start() {
    for threads in [0, 10_001] {
        let (_, _, _door, worker) = open().await;
        let Err(line) = worker.blocking_threads(threads).start().await else { panic!("started") };
        assert_eq!(line.to_string(), format!("blocking threads: {threads} is not 1 to 10000"));
    }
}
