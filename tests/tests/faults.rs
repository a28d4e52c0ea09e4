//! Real processes that die, hang and are cut off, on both backends. What really ran is
//! read from a ledger that the handlers write outside the system.

use legwork::State;
use legwork::backend::Filter;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tests::world::World;
use tests::{Program, until};

const SOON: Duration = Duration::from_secs(20);

/// One test body, a test per backend.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod on_redis { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { if let Some(world) = super::World::redis().await { super::$name(world).await } })* }
        mod on_sqlite { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { if let Some(world) = super::World::sqlite().await { super::$name(world).await } })* }
    };
}

on_both! {
    killed_workers_lose_nothing
    a_zombie_cannot_settle
    a_poisonous_job_is_discarded_after_three_crashes
    a_stopped_worker_hands_back_without_an_attempt
    blocked_threads_do_not_lose_their_leases
    killed_schedulers_enqueue_each_slot_once
}

async fn killed_workers_lose_nothing(world: World) {
    let ids = world.enqueue("probe.work", r#"{"ms":30}"#, 300).await;
    for round in 1..=4 {
        let mut worker = world.worker(4).await;
        until("some work is begun", SOON, || async { (world.started() >= round * 20).then_some(()) }).await;
        worker.kill();
    }
    let _last = world.worker(16).await;
    world.all_done(&ids, Duration::from_secs(60)).await;
    let ledger = world.ledger();
    let starts = ledger.iter().filter(|l| !l.done).count();
    // Four kills of a worker of four: each loses at most what it held.
    assert!(starts <= ids.len() + 16, "{starts} starts of {} jobs", ids.len());
    let known: BTreeSet<String> = ids.iter().map(ToString::to_string).collect();
    assert!(ledger.iter().all(|l| known.contains(&l.id)), "something ran that nobody enqueued");
}

async fn a_zombie_cannot_settle(world: World) {
    let ids = world.enqueue("probe.work", r#"{"ms":3000}"#, 1).await;
    // A lease with room for a machine that is slow: what its own clock says is over is handed back.
    let zombie = world.worker_leasing(&world.url, "2000", 1, &[]).await;
    until("the job has begun", SOON, || async { (world.started() == 1).then_some(()) }).await;
    world.freeze(&zombie).await;
    let _heir = world.worker(1).await;
    until("the job has begun again", SOON, || async { (world.started() == 2).then_some(()) }).await;
    zombie.signal("CONT");
    world.all_done(&ids, SOON).await;
    let job = world.jobs.job(ids[0]).await.expect("read").expect("kept");
    let newest = world.ledger().iter().map(|l| l.token).max();
    let kept: Option<u64> = job.result.and_then(|r| r.get().parse().ok());
    assert_eq!(kept, newest, "the result is the heir's, not the zombie's");
    assert_eq!((job.attempts, job.crashes), (1, 1), "the lost lease is a crash, not an attempt");
}

async fn a_poisonous_job_is_discarded_after_three_crashes(world: World) {
    let poison = world.enqueue("probe.poison", "{}", 1).await[0];
    let good = world.enqueue("probe.work", r#"{"ms":20}"#, 20).await;
    let ended = || async {
        let job = world.jobs.job(poison).await.ok().flatten()?;
        job.state.is_final().then_some(job)
    };
    let started = Instant::now();
    // The last worker goes on: what it holds has been beside the poison, and is on its last chance.
    let (job, _last) = loop {
        assert!(started.elapsed() < Duration::from_secs(60), "the poison is not discarded");
        let mut worker = world.worker(4).await;
        let job = loop {
            match ended().await {
                Some(job) => break Some(job),
                None if !worker.alive() => break None,
                None => tokio::time::sleep(Duration::from_millis(25)).await,
            }
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "the worker neither dies nor ends the poison"
            );
        };
        if let Some(job) = job {
            break (job, worker);
        }
    };
    assert_eq!((job.state, job.reason.as_deref(), job.crashes), (State::Discarded, Some("crashed"), 3));
    let starts = world.ledger().iter().filter(|l| l.id == poison.to_string()).count();
    assert_eq!(starts, 3, "exactly three starts");
    // One by one.
    world.all_done(&good, Duration::from_secs(60)).await;
}

async fn a_stopped_worker_hands_back_without_an_attempt(world: World) {
    let ids = world.enqueue("probe.work", r#"{"ms":60000}"#, 6).await;
    let mut worker = world.worker(4).await;
    until("four have begun", SOON, || async { (world.started() == 4).then_some(()) }).await;
    worker.signal("TERM");
    let status = worker.wait(Duration::from_secs(10));
    assert!(status.success() && worker.output().contains("probe has ended"), "{}", worker.output());
    for id in ids {
        let job = world.jobs.job(id).await.expect("read").expect("kept");
        assert_eq!(
            (job.state, job.attempts, job.crashes),
            (State::Available, 0, 0),
            "ready at once, nothing charged"
        );
    }
    assert!(world.jobs.workers().await.expect("read").is_empty(), "it has said goodbye");
}

async fn blocked_threads_do_not_lose_their_leases(world: World) {
    let ids = world.enqueue("probe.block", r#"{"ms":4000}"#, 2).await;
    let _one = world.worker(2).await;
    let _other = world.worker(2).await;
    world.all_done(&ids, Duration::from_secs(30)).await;
    assert_eq!(world.started(), 2, "four leases long, and yet each ran once");
}

async fn killed_schedulers_enqueue_each_slot_once(world: World) {
    let _worker = world.worker(4).await;
    let schedule = || Program::new("probe").args(["scheduler", &world.url]).start();
    let (mut first, _second) = (schedule(), schedule());
    for count in [2, 4, 6] {
        until("slots are enqueued", SOON, || async { (world.ledger().len() >= count).then_some(()) }).await;
        first.kill();
        first = schedule();
    }
    let filter = Filter { name: Some("probe.tick".into()), limit: 100, ..Filter::default() };
    let jobs = world.jobs.jobs(&filter).await.expect("listed");
    let mut slots: BTreeMap<i64, usize> = BTreeMap::new();
    for job in &jobs {
        let made = job.envelope.envelope().and_then(|e| e.created_ms).expect("a slot");
        *slots.entry(made).or_default() += 1;
    }
    assert!(slots.values().all(|n| *n == 1), "twice: {slots:?}");
    let (low, high) = (*slots.keys().next().unwrap_or(&0), *slots.keys().last().unwrap_or(&0));
    assert_eq!((high - low) / 1000 + 1, slots.len() as i64, "missed: {slots:?}");
    let ran: BTreeSet<String> = world.ledger().into_iter().map(|l| l.id).collect();
    assert!(ran.len() >= 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_redis_loses_nothing_and_charges_nobody() {
    let Some(mut world) = World::redis().await else {
        return;
    };
    let ids = world.enqueue("probe.work", r#"{"ms":30}"#, 300).await;
    let _workers = [world.worker(4).await, world.worker(4).await];
    for round in 1..=3 {
        until("some work is begun", SOON, || async { (world.started() >= round * 40).then_some(()) }).await;
        let server = world.server.as_mut().expect("a server");
        server.kill();
        server.restart();
    }
    world.all_done(&ids, Duration::from_secs(60)).await;
    for id in ids {
        let job = world.jobs.job(id).await.expect("read").expect("kept");
        assert_eq!(job.crashes, 0, "an outage is nobody's crash");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_away_for_longer_than_a_lease_charges_nobody() {
    let Some(mut world) = World::redis().await else {
        return;
    };
    let ids = world.enqueue("probe.work", r#"{"ms":200}"#, 40).await;
    let _worker = world.worker(4).await;
    until("some work is begun", SOON, || async { (world.started() >= 4).then_some(()) }).await;
    let server = world.server.as_mut().expect("a server");
    server.kill();
    let gone = Instant::now();
    until("two leases pass", SOON, || async {
        (gone.elapsed() > Duration::from_millis(2_200)).then_some(())
    })
    .await;
    server.restart();
    world.all_done(&ids, Duration::from_secs(60)).await;
    for id in ids {
        let job = world.jobs.job(id).await.expect("read").expect("kept");
        assert_eq!((job.attempts, job.crashes), (1, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flushed_scripts_are_loaded_again() {
    let Some(world) = World::redis().await else {
        return;
    };
    let server = world.server.as_ref().expect("a server");
    let _worker = world.worker(8).await;
    let mut ids = Vec::new();
    for _ in 0..50 {
        server.command(&["SCRIPT", "FLUSH"]).expect("flushed");
        ids.extend(world.enqueue("probe.work", r#"{"ms":1}"#, 4).await);
    }
    world.all_done(&ids, Duration::from_secs(30)).await;
    assert_eq!(world.started(), ids.len(), "each ran once");
}
