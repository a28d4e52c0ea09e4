//! Wall clocks that are wrong, or step: those of workers mean nothing, that of the server
//! heals within a lease.

use crate::{SOON, pairs};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tests::shim::Clock;
use tests::until;
use tests::world::World;

const HOUR: i64 = 3_600;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clocks_of_workers_mean_nothing() {
    let (Some(fast), Some(slow)) = (Clock::new(), Clock::new()) else {
        return;
    };
    let Some(world) = World::redis_with(&[], &[]).await else {
        return;
    };
    fast.set(HOUR);
    slow.set(-HOUR);
    let mut ids = world.enqueue("probe.work", r#"{"ms":1800}"#, 8).await;
    ids.extend(world.enqueue("probe.work", r#"{"ms":20}"#, 100).await);
    for _ in 0..20 {
        let later = world.jobs.enqueue_raw("probe.work", r#"{"ms":20}"#).delay(Duration::from_secs(2));
        ids.push(later.await.expect("enqueued").id);
    }
    let began = Instant::now();
    let _fast = world.worker_with(&world.url, 4, &pairs(&fast.env())).await;
    let _slow = world.worker_with(&world.url, 4, &pairs(&slow.env())).await;
    // In the middle of handlers that take nearly two leases, each clock steps to the other side.
    world.begun(8).await;
    fast.set(-HOUR);
    slow.set(HOUR);
    world.all_done(&ids, SOON).await;
    world.none_charged(&ids).await;
    assert_eq!(world.started(), ids.len(), "each ran once");
    assert!(began.elapsed() < SOON, "delays are the server's");
}

/// How often each job began.
fn starts(world: &World) -> BTreeMap<String, usize> {
    let mut starts = BTreeMap::new();
    for line in world.ledger().into_iter().filter(|line| !line.done) {
        *starts.entry(line.id).or_default() += 1;
    }
    starts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_clock_set_forward_loses_nothing() {
    let Some(clock) = Clock::new() else { return };
    let Some(world) = World::redis_with(&pairs(&clock.env()), &[]).await else {
        return;
    };
    let ids = world.enqueue("probe.work", r#"{"ms":700}"#, 24).await;
    let _workers = [world.worker(4).await, world.worker(4).await];
    world.begun(8).await;
    clock.set(HOUR);
    world.all_ran(&ids, SOON).await;
    // What was in flight at the step may run again: its leases were over by the new time.
    let again: usize = starts(&world).values().map(|n| n - 1).sum();
    assert!(again <= 8, "{again} starts repeated");
    let settled = async || {
        let queues = world.jobs.queues().await.ok()?;
        (queues.iter().all(|q| q.count(legwork::State::Leased) == 0)).then_some(())
    };
    until("everything is settled", SOON, settled).await;
    world.audited().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_clock_set_back_heals_within_a_lease() {
    let Some(clock) = Clock::new() else { return };
    let Some(world) = World::redis_with(&pairs(&clock.env()), &[]).await else {
        return;
    };
    let ids = world.enqueue("probe.work", r#"{"ms":1500}"#, 12).await;
    let _alive = world.worker(4).await;
    let mut dead = world.worker(4).await;
    world.begun(8).await;
    dead.kill();
    clock.set(-HOUR);
    let back = Instant::now();
    world.all_done(&ids, SOON).await;
    assert!(back.elapsed() < Duration::from_secs(15), "not an hour: {:?}", back.elapsed());
    // Whoever lived kept its jobs; only those of the dead ran again.
    let again: usize = starts(&world).values().map(|n| n - 1).sum();
    assert!((1..=4).contains(&again), "{again} starts repeated");
}
