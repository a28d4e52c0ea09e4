//! Groups of queues: order, shares, isolation, and what steers a worker while it runs.

#[macro_use]
#[path = "common/both.rs"]
mod both;

use legwork::backend::Order;
use legwork::testing::faulty::{Fault, FaultyBackend};
use legwork::testing::server::TestServer;
use legwork::{Client, ClientOptions, Context, Failure, Group, Job, JobId, State, Worker};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

on_both! {
    in_strict_order_the_first_queue_comes_first
    weights_share_the_leases_and_starve_nobody
    what_a_queue_leaves_another_uses
    a_flood_in_one_group_leaves_the_others_alone
    a_flood_of_fast_jobs_leaves_room_for_slow_ones_of_its_group
    fast_jobs_are_not_caught_behind_slow_ones_of_their_group
    a_smaller_group_loses_no_job_and_a_larger_one_starts_at_once
    a_quiet_worker_takes_nothing_and_finishes_what_it_holds
    orders_are_followed_from_afar
}

/// Runs when its turn comes, says so, and ends when it may.
#[derive(Serialize, Deserialize, Clone)]
struct Turn {
    fast: bool,
}

impl Job for Turn {
    const NAME: &'static str = "turn";
    type Output = ();
}

#[derive(Clone)]
struct World {
    /// The queues of the jobs that began, in order.
    began: Arc<Mutex<Vec<String>>>,
    inside: Arc<AtomicUsize>,
    go: Arc<Semaphore>,
}

impl World {
    fn new() -> World {
        World { began: Arc::default(), inside: Arc::default(), go: Arc::new(Semaphore::new(0)) }
    }

    fn began(&self) -> Vec<String> {
        self.began.lock().unwrap().clone()
    }

    fn count(&self, queue: &str) -> usize {
        self.began().iter().filter(|q| *q == queue).count()
    }

    fn inside(&self) -> usize {
        self.inside.load(Ordering::SeqCst)
    }

    fn worker(&self, jobs: &Client) -> Worker<World> {
        Worker::new(jobs.clone(), self.clone()).handle(turn)
    }
}

async fn turn(job: Turn, cx: Context<World>) -> Result<(), Failure> {
    let world = cx.state();
    world.began.lock().unwrap().push(cx.queue().to_owned());
    world.inside.fetch_add(1, Ordering::SeqCst);
    if !job.fast {
        world.go.acquire().await?.forget();
    }
    world.inside.fetch_sub(1, Ordering::SeqCst);
    Ok(())
}

async fn enqueue(jobs: &Client, queue: &str, count: usize, fast: bool) -> Vec<JobId> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(jobs.enqueue(Turn { fast }).queue(queue).await.unwrap().id);
    }
    ids
}

async fn until(what: &str, good: impl Fn() -> bool) {
    let started = Instant::now();
    while !good() {
        assert!(started.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn all_succeed(jobs: &Client, ids: &[JobId]) {
    for id in ids {
        jobs.wait::<Turn>(*id).await.unwrap();
    }
    assert_eq!(jobs.backend().audit().await.unwrap(), Vec::<String>::new());
}

async fn in_strict_order_the_first_queue_comes_first(jobs: Client) {
    let world = World::new();
    let mut ids = enqueue(&jobs, "low", 3, false).await;
    let group = Group::strict("all", 1, ["high", "low"]);
    let worker = world.worker(&jobs).group(group).start().await.unwrap();
    until("one began", || world.inside() == 1).await;
    ids.extend(enqueue(&jobs, "high", 2, false).await);
    for done in 1..=4 {
        world.go.add_permits(1);
        until("the next began", || world.began().len() == done + 1).await;
    }
    assert_eq!(world.began(), ["low", "high", "high", "low", "low"]);
    world.go.add_permits(1);
    all_succeed(&jobs, &ids).await;
    worker.stop().await;
}

async fn weights_share_the_leases_and_starve_nobody(jobs: Client) {
    let world = World::new();
    for queue in ["high", "default", "low"] {
        enqueue(&jobs, queue, 60, false).await;
    }
    let group = Group::weighted("all", 2, [("high", 6), ("default", 3), ("low", 1)]);
    let drain = Duration::from_millis(1);
    let worker = world.worker(&jobs).group(group).drain(drain).start().await.unwrap();
    for done in 0..58 {
        until("two are inside", || world.began().len() == done + 2).await;
        world.go.add_permits(1);
    }
    until("the last began", || world.began().len() == 60).await;
    let given = ["high", "default", "low"].map(|queue| world.count(queue));
    for (given, wanted) in given.iter().zip([36, 18, 6]) {
        assert!(given.abs_diff(wanted) <= 5, "{given} of {wanted}");
    }
    worker.stop().await;
}

async fn what_a_queue_leaves_another_uses(jobs: Client) {
    for group in
        [Group::weighted("all", 5, [("high", 1_000), ("low", 1)]), Group::strict("all", 5, ["high", "low"])]
    {
        let world = World::new();
        let ids = enqueue(&jobs, "low", 8, false).await;
        let worker = world.worker(&jobs).group(group).start().await.unwrap();
        until("no permit is idle", || world.inside() == 5).await;
        world.go.add_permits(8);
        all_succeed(&jobs, &ids).await;
        worker.stop().await;
    }
}

async fn a_flood_in_one_group_leaves_the_others_alone(jobs: Client) {
    let world = World::new();
    let mut ids = enqueue(&jobs, "flood", 50, false).await;
    let worker = world
        .worker(&jobs)
        .group(Group::strict("bulk", 2, ["flood", "more"]))
        .group(Group::strict("calm", 1, ["mail", "other"]))
        .start()
        .await
        .unwrap();
    until("the flood has its permits", || world.count("flood") == 2).await;
    ids.extend(enqueue(&jobs, "mail", 1, false).await);
    until("another group goes on", || world.count("mail") == 1).await;
    assert_eq!(world.inside(), 3, "and each group has its own permits");
    world.go.add_permits(51);
    all_succeed(&jobs, &ids).await;
    worker.stop().await;
}

async fn a_flood_of_fast_jobs_leaves_room_for_slow_ones_of_its_group(jobs: Client) {
    let world = World::new();
    let payload = std::iter::repeat_n(Turn { fast: true }, 4_000);
    let worker = world.worker(&jobs).group(Group::strict("all", 1, ["slow", "flood"])).start().await.unwrap();
    let stop = Arc::new(AtomicUsize::new(0));
    let flooding = tokio::spawn({
        let (jobs, stop) = (jobs.clone(), stop.clone());
        async move {
            while stop.load(Ordering::SeqCst) == 0 {
                let flood = payload.clone().map(|job| jobs.enqueue(job).queue("flood"));
                for chunk in flood.collect::<Vec<_>>() {
                    chunk.await.unwrap();
                    if stop.load(Ordering::SeqCst) > 0 {
                        return;
                    }
                }
            }
        }
    });
    until("the flood is known to be fast", || world.count("flood") > 300).await;
    let ids = enqueue(&jobs, "slow", 1, false).await;
    until("the slow one began amidst the flood", || world.count("slow") == 1).await;
    stop.store(1, Ordering::SeqCst);
    flooding.await.unwrap();
    world.go.add_permits(1);
    all_succeed(&jobs, &ids).await;
    worker.stop().await;
}

async fn fast_jobs_are_not_caught_behind_slow_ones_of_their_group(jobs: Client) {
    let world = World::new();
    let group = || Group::strict("all", 1, ["slow", "fast"]);
    let one = world.worker(&jobs).group(group()).start().await.unwrap();
    let warm = enqueue(&jobs, "fast", 400, true).await;
    all_succeed(&jobs, &warm).await;
    let slow = enqueue(&jobs, "slow", 1, false).await;
    until("the slow one holds the permit", || world.count("slow") == 1).await;
    let fast = enqueue(&jobs, "fast", 50, true).await;
    let two = world.worker(&jobs).queue("fast", 4).start().await.unwrap();
    all_succeed(&jobs, &fast).await;
    assert_eq!(jobs.job(slow[0]).await.unwrap().unwrap().state, State::Leased);
    world.go.add_permits(1);
    all_succeed(&jobs, &slow).await;
    one.stop().await;
    two.stop().await;
}

async fn a_smaller_group_loses_no_job_and_a_larger_one_starts_at_once(jobs: Client) {
    let world = World::new();
    let ids = enqueue(&jobs, "q", 40, false).await;
    let worker = world.worker(&jobs).queue("q", 8).start().await.unwrap();
    until("eight run", || world.inside() == 8).await;
    worker.resize("q", 2).unwrap();
    assert_eq!(worker.running(), 8, "none is stopped for it");
    world.go.add_permits(6);
    until("six have ended", || world.inside() == 2).await;
    world.go.add_permits(1);
    until("one for one from here", || world.began().len() == 9 && world.inside() == 2).await;
    worker.resize("q", 12).unwrap();
    until("twelve run", || world.inside() == 12).await;
    world.go.add_permits(40);
    all_succeed(&jobs, &ids).await;
    assert_eq!(world.began().len(), 40, "each ran once");
    for id in ids {
        let job = jobs.job(id).await.unwrap().unwrap();
        assert_eq!((job.attempts, job.crashes), (1, 0));
    }
    worker.stop().await;
}

async fn a_quiet_worker_takes_nothing_and_finishes_what_it_holds(jobs: Client) {
    let world = World::new();
    let worker = world.worker(&jobs).queue("q", 2).start().await.unwrap();
    let held = enqueue(&jobs, "q", 2, false).await;
    until("both run", || world.inside() == 2).await;
    until("it is ready", || worker.is_ready()).await;
    worker.quiet();
    assert!(!worker.is_ready(), "a balancer must see it");
    let later = enqueue(&jobs, "q", 3, false).await;
    world.go.add_permits(5);
    all_succeed(&jobs, &held).await;
    // Another one takes what this one leaves, one after the other: time enough to cut in.
    let elsewhere = World { go: world.go.clone(), ..World::new() };
    let other = elsewhere.worker(&jobs).queue("q", 1).start().await.unwrap();
    all_succeed(&jobs, &later).await;
    assert_eq!((world.count("q"), elsewhere.count("q")), (2, 3));
    other.stop().await;
    let more = enqueue(&jobs, "q", 1, false).await;
    worker.resume();
    world.go.add_permits(1);
    all_succeed(&jobs, &more).await;
    until("it is ready again", || worker.is_ready()).await;
    worker.stop().await;
}

async fn orders_are_followed_from_afar(jobs: Client) {
    let world = World::new();
    let worker = world.worker(&jobs).queue("q", 2).start().await.unwrap();
    let ids = enqueue(&jobs, "q", 6, false).await;
    until("two run", || world.inside() == 2).await;
    let order = async |order: Order| {
        let told = Instant::now();
        jobs.order(worker.id(), &order).await.unwrap();
        loop {
            let seen = jobs.workers().await.unwrap();
            if order.is_followed(&seen[0]) {
                break;
            }
            assert!(told.elapsed() < Duration::from_secs(10), "{order:?} is not followed: {seen:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    order(Order::Resize { group: "q".into(), permits: 3 }).await;
    until("three run", || world.inside() == 3).await;
    order(Order::Quiet).await;
    world.go.add_permits(3);
    until("all three have ended", || world.inside() == 0).await;
    assert_eq!(world.began().len(), 3);
    order(Order::Resume).await;
    until("it takes jobs again", || world.inside() == 3).await;
    assert!(jobs.order("nobody", &Order::Stop).await.unwrap_err().is_not_found());
    let none = Order::Resize { group: "mail".into(), permits: 1 };
    assert!(jobs.order(worker.id(), &none).await.unwrap_err().is_invalid());
    jobs.order(worker.id(), &Order::Stop).await.unwrap();
    worker.stopping().cancelled().await;
    world.go.add_permits(3);
    all_succeed(&jobs, &ids).await;
    worker.stop().await;
    assert!(jobs.workers().await.unwrap().is_empty());
}

/// The connection stays open and nothing comes back: up, and no longer consuming.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_falls_silent_is_seen_and_survived() {
    let Some(server) = TestServer::start_tcp() else { return };
    let jobs = Client::connect(&server.url()).await.unwrap();
    let world = World::new();
    world.go.add_permits(10);
    let worker = world
        .worker(&jobs)
        .group(Group::strict("one", 2, ["a", "b"]))
        .queue("c", 1)
        .lease(Duration::from_secs(60))
        .start()
        .await
        .unwrap();
    until("it is ready", || worker.is_ready()).await;
    let signal = |name: &str| {
        let pid = server.pid().expect("it runs").to_string();
        let sent = std::process::Command::new("kill").args([name, &pid]).status();
        assert!(sent.expect("kill runs").success());
    };
    signal("-STOP");
    let silent = Instant::now();
    until("it is not ready any more", || !worker.is_ready()).await;
    assert!(silent.elapsed() > Duration::from_secs(2), "a pause for breath is none");
    signal("-CONT");
    until("it is ready again", || worker.is_ready()).await;
    let ids = [enqueue(&jobs, "b", 1, true).await, enqueue(&jobs, "c", 1, true).await].concat();
    all_succeed(&jobs, &ids).await;
    worker.stop().await;
}

/// While a flood brings all that is asked for, its calls follow each other without an end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_fast_jobs_lets_a_slow_group_have_its_turn() {
    let Some(server) = TestServer::start() else { return };
    let real = Client::connect(&format!("{}?ns=test", server.url())).await.unwrap();
    // The backend is slower than the worker, which has room for more all the time.
    let slow = Fault::Delay(Duration::from_millis(5));
    let backend = Arc::new(FaultyBackend::new(real.backend().clone()).from_nth("lease", 1, slow));
    let jobs = Client::over(backend.clone(), ClientOptions::default());
    let world = World::new();
    for _ in 0..40 {
        jobs.enqueue_many(std::iter::repeat_n(Turn { fast: true }, 1_000)).await.unwrap();
    }
    let worker = world.worker(&jobs).queue("default", 64).queue("slow", 1).start().await.unwrap();
    until("the flood is known to be fast", || world.count("default") > 1_000).await;
    let ids = enqueue(&jobs, "slow", 1, false).await;
    let before = backend.calls("lease");
    until("the slow one began", || world.count("slow") == 1).await;
    // Sixteen calls follow each other, four are under way with its own, and this test looks late.
    let calls = backend.calls("lease") - before;
    assert!(calls <= 32, "it waited for {calls} calls");
    world.go.add_permits(1);
    all_succeed(&jobs, &ids).await;
    worker.stop().await;
}
