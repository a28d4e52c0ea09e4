//! Networks that are slow, narrow, deaf, or only look alive.

use crate::{SOON, impatient};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tests::proxy::{Cut, Proxy, Spell};
use tests::world::World;
use tests::{passed, until};

async fn world() -> Option<(World, Proxy)> {
    let world = World::redis_with(&[], &[]).await?;
    let proxy = Proxy::start(&world.url, 7).await.expect("a proxy");
    Some((world, proxy))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_slow_link_everything_is_right_and_slower() {
    let Some((world, proxy)) = world().await else {
        return;
    };
    let _worker = world.worker_leasing(&proxy.url(), "6000", 4, &[]).await;
    let mut all = Vec::new();
    let (slow, narrow) = (Duration::from_millis(100), Duration::from_millis(30));
    // Up to 200 ms each way; a byte at a time; about 10 KB/s.
    for spell in [Spell::Slow(slow), Spell::Sliced(1, Duration::ZERO), Spell::Sliced(300, narrow)] {
        proxy.cast(spell);
        let ids = world.enqueue("probe.work", r#"{"ms":20}"#, 12).await;
        world.all_ran(&ids, Duration::from_secs(30)).await;
        all.extend(ids);
    }
    proxy.cast(Spell::None);
    world.all_done(&all, SOON).await;
    world.none_charged(&all).await;
    assert_eq!(world.started(), all.len(), "each ran once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_behind_a_black_hole_gives_up_its_jobs_and_comes_back() {
    let Some((world, proxy)) = world().await else {
        return;
    };
    let mut cut_off = world.worker_with(&proxy.url(), 4, &[]).await;
    cut_off.line("probe is ready", SOON).await;
    let ids = world.enqueue("probe.work", r#"{"ms":1500}"#, 10).await;
    world.begun(4).await;
    proxy.cast(Spell::HalfOpen);
    let _other = world.worker(4).await;
    passed(Duration::from_secs(3)).await;
    // Nothing of a connection that swallowed requests may be used again.
    proxy.cast(Spell::Down);
    proxy.cast(Spell::None);
    world.all_done(&ids, SOON).await;
    let mut starts: BTreeMap<String, usize> = BTreeMap::new();
    world
        .ledger()
        .into_iter()
        .filter(|line| !line.done)
        .for_each(|line| *starts.entry(line.id).or_default() += 1);
    let again: usize = starts.values().map(|n| n - 1).sum();
    assert!((1..=4).contains(&again), "{again} starts repeated: what was in flight, and no more");
    // It ended its own handlers when their leases were over, without being told.
    assert!(cut_off.output().contains("is over and cannot be renewed"), "{}", cut_off.output());
    let more = world.enqueue("probe.work", r#"{"ms":300}"#, 16).await;
    world.all_done(&more, SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_falls_silent_costs_no_lease() {
    let Some((world, proxy)) = world().await else {
        return;
    };
    // Renewed every half second; a call without an answer is only given up after five.
    let mut worker = world.worker_leasing(&proxy.url(), "1500", 2, &[]).await;
    worker.line("probe is ready", SOON).await;
    let ids = world.enqueue("probe.work", r#"{"ms":4000}"#, 2).await;
    world.begun(2).await;
    // The next connection that asks for anything: the heartbeat's, while the worker is full.
    proxy.cut(Cut::HalfOpen);
    world.all_done(&ids, SOON).await;
    assert_eq!(proxy.armed(), 0, "{:?}", proxy.log());
    assert_eq!(world.started(), ids.len(), "each ran once");
    world.none_charged(&ids).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_accepts_and_never_answers_is_not_taken_for_one() {
    let Some((world, proxy)) = world().await else {
        return;
    };
    let mut worker = world.worker_with(&proxy.url(), 2, &[]).await;
    worker.line("probe is ready", SOON).await;
    let from = worker.output().len();
    proxy.cast(Spell::HalfOpen);
    let asked = Instant::now();
    let error = legwork::Client::connect(&proxy.url()).await.expect_err("nobody answers");
    assert!(error.is_unavailable() && error.to_string().contains("in time"), "{error:?}");
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    worker.line_after(from, "probe is not ready", SOON).await;
    let from = worker.output().len();
    proxy.cast(Spell::Down);
    proxy.cast(Spell::None);
    worker.line_after(from, "probe is ready", SOON).await;
    let jobs = impatient(&proxy.url()).await;
    let id = jobs.enqueue_raw("probe.work", r#"{"ms":1}"#).await.expect("enqueued").id;
    let done = async || (world.jobs.job(id).await.ok()??.state == legwork::State::Succeeded).then_some(());
    until("it runs", SOON, done).await;
}
