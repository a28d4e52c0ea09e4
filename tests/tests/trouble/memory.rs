//! A Redis that is full: it drains, and takes nothing in.

use crate::SOON;
use std::time::{Duration, Instant};
use tests::until;
use tests::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_redis_refuses_new_jobs_and_drains() {
    let Some(world) = World::redis_with(&[], &[]).await else {
        return;
    };
    let mut ids = world.enqueue("probe.work", r#"{"ms":20}"#, 300).await;
    ids.extend(world.enqueue("probe.work", r#"{"ms":1800}"#, 4).await);
    for _ in 0..50 {
        let later = world.jobs.enqueue_raw("probe.work", r#"{"ms":20}"#).delay(Duration::from_secs(1));
        ids.push(later.await.expect("enqueued").id);
    }
    let _workers = [world.worker(4).await, world.worker(4).await];
    world.begun(20).await;
    world.server().command(&["CONFIG", "SET", "maxmemory", "1"]).expect("set");
    let mut refused = Vec::new();
    until("it drains", Duration::from_secs(30), async || {
        let asked = Instant::now();
        let error = world.jobs.enqueue_raw("probe.work", "{}").await.expect_err("it is full");
        refused.push(asked.elapsed());
        assert!(error.is_refused() && error.to_string().contains("out of memory"), "{error:?}");
        (world.started() == ids.len()).then_some(())
    })
    .await;
    world.all_done(&ids, SOON).await;
    // Leases were renewed (a handler took nearly two of them), outcomes stored, due jobs promoted.
    world.none_charged(&ids).await;
    assert_eq!(world.started(), ids.len(), "each ran once");
    refused.sort();
    let (median, last) = (refused[refused.len() / 2], refused[refused.len() - 1]);
    eprintln!("refused {} times, within {median:?} in the median, {last:?} at most", refused.len());
    assert!(median < Duration::from_millis(500), "{median:?}");
    world.server().command(&["CONFIG", "SET", "maxmemory", "0"]).expect("set");
    let more = world.enqueue("probe.work", r#"{"ms":1}"#, 3).await;
    world.all_done(&more, SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_evicts_is_told_of_and_what_it_took_by_name() {
    let Some(world) = World::redis_with(&[], &[]).await else {
        return;
    };
    let later = world.jobs.enqueue_raw("probe.work", "{}").delay(Duration::from_secs(600));
    later.await.expect("enqueued");
    let mut worker = world.worker(4).await;
    assert!(!worker.output().contains("noeviction"), "{}", worker.output());
    // What eviction does, done by hand; the first look comes with the first sweep of retention.
    world.server().command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).expect("set");
    world.server().command(&["DEL", "{legwork:0}:jobs"]).expect("deleted");
    worker.line("maxmemory-policy of Redis is not noeviction", SOON).await;
    let said = worker.line("keys are gone", SOON).await;
    assert!(said.contains("{legwork:0}:jobs"), "{said}");
    let mut other = world.worker(4).await;
    other.line("maxmemory-policy of Redis is not noeviction", SOON).await;
}
