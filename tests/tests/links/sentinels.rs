//! Real sentinels: the primary is killed under load, comes back, and is killed once more.

use crate::load::{Load, replicated};
use legwork::testing::server::TestSentinels;
use std::time::{Duration, Instant};
use tests::{skip, until};

const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_primary_is_replaced() {
    let Some(mut world) = TestSentinels::start() else {
        return skip("redis-server is not installed");
    };
    let load = Load::start(&format!("{}?ns=test-sentinel", world.url())).await;
    load.goes_on(200, SOON).await;

    let port = world.servers()[0].port().expect("a port");
    let asked = Instant::now();
    assert!(replicated(port).await, "the replicas have caught up");
    let killed = Instant::now();
    world.servers()[0].kill();
    let elected =
        until("the sentinels name another", SOON, async || world.primary().filter(|new| *new != 0)).await;
    let failover = killed.elapsed();
    let resumed = load.resumed(killed, SOON).await;
    println!("sentinel: failover {failover:?}, first new job run {resumed:?} after the kill");
    assert!(resumed < failover + Duration::from_secs(5), "{resumed:?} after {failover:?}");
    load.goes_on(200, SOON).await;

    // It comes back, empty and in its own eyes a primary, until a sentinel tells it otherwise.
    world.servers()[0].restart();
    load.goes_on(100, SOON).await;
    let replica = |text: String| text.contains("role:slave").then_some(());
    until("the old primary has become a replica", SOON, async || {
        replica(world.servers()[0].command(&["INFO", "replication"]).ok()?)
    })
    .await;
    load.goes_on(100, SOON).await;
    assert_ne!(world.primary(), Some(0));
    // A busy machine may make the sentinels elect once more.
    let once = world.primary() == Some(elected);

    let account = load.end().await;
    // Replication is asynchronous: what was answered after the replicas were asked may be lost.
    let owed = account.lost.iter().filter(|(_, at)| *at < asked).count();
    println!(
        "sentinel: {} enqueued, {} lost, {} repeated",
        account.acked,
        account.lost.len(),
        account.repeated
    );
    assert_eq!(owed, 0, "{account:?}");
    assert!(
        !once || account.lost.iter().all(|(_, at)| *at < killed + Duration::from_millis(50)),
        "{account:?}"
    );
}
