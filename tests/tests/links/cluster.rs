//! A real cluster: a slot is moved under load, a node steps down, a node is killed.

use crate::durable::{enqueue, options, signal};
use crate::load::{Load, replicated};
use legwork::backend::redis::migrate;
use legwork::testing::server::{TestCluster, TestServer};
use legwork::{Client, Durability, JobId};
use std::time::{Duration, Instant};
use tests::{skip, until};

const SOON: Duration = Duration::from_secs(30);

/// How often a node has answered with this error.
fn refusals(node: &TestServer, code: &str) -> u32 {
    let said = node.command(&["INFO", "errorstats"]).unwrap_or_default();
    let from = said.split(&format!("errorstat_{code}:count=")).nth(1).unwrap_or("0");
    from.split(['\r', ',']).next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_moves_while_jobs_run() {
    let Some(mut cluster) = TestCluster::start(false, 15_000) else {
        return skip("redis-server is not installed");
    };
    let slot = cluster.slot("{test-move:0}");
    let from = cluster.owner(slot).expect("an owner");
    let to = (from + 1) % 3;
    // Known by a node that does not hold the slot: the cluster is asked who does.
    let other = cluster.nodes()[to].port().expect("a port");
    let load = Load::start(&format!("redis+cluster://127.0.0.1:{other}?ns=test-move")).await;
    let later = Duration::from_secs(3_600);
    for _ in 0..2_000 {
        load.jobs.enqueue_raw("work", "{}").queue("later").delay(later).await.expect("enqueued");
    }
    load.goes_on(100, SOON).await;

    let began = Instant::now();
    cluster.open_slot(slot, from, to);
    cluster.move_keys(slot, from, to, 10);
    // Half of the keys are here and half there: no script may run on either side.
    until("scripts are refused", SOON, async || {
        (refusals(&cluster.nodes()[from], "TRYAGAIN") > 20).then_some(())
    })
    .await;
    cluster.move_keys(slot, from, to, usize::MAX);
    // A single key is asked for where it has gone.
    assert_eq!(load.jobs.backend().workers().await.expect("answered by the new node").len(), 1);
    assert!(refusals(&cluster.nodes()[from], "ASK") > 0);
    cluster.close_slot(slot, to);
    let moved = began.elapsed();
    load.resumed(Instant::now(), SOON).await;
    println!("cluster: slot open for {moved:?}, longest stall of an enqueue {:?}", load.stall(began));
    assert!(load.stall(began) < moved + Duration::from_secs(5));
    assert!(refusals(&cluster.nodes()[from], "MOVED") > 0);

    // As fast as it goes, and back.
    let again = Instant::now();
    cluster.open_slot(slot, to, from);
    let keys = cluster.move_keys(slot, to, from, usize::MAX);
    cluster.close_slot(slot, from);
    let moved = again.elapsed();
    load.goes_on(100, SOON).await;
    println!("cluster: {keys} keys moved in {moved:?}, longest stall of an enqueue {:?}", load.stall(again));
    assert_eq!(cluster.owner(slot), Some(from));

    assert_eq!(load.jobs.purge("later").await.expect("purged"), 2_000);
    let account = load.end().await;
    assert_eq!((account.lost.len(), account.repeated), (0, 0), "{account:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_is_replaced() {
    let Some(mut cluster) = TestCluster::start(true, 1_500) else {
        return skip("redis-server is not installed");
    };
    let slot = cluster.slot("{test-kill:0}");
    let first = cluster.owner(slot).expect("an owner");
    let load = Load::start(&format!("{}?ns=test-kill", cluster.url())).await;
    load.goes_on(100, SOON).await;

    // The replica takes over in good order: the old primary lives, and answers MOVED.
    let began = Instant::now();
    let second = first + 3;
    cluster.nodes()[second].command(&["CLUSTER", "FAILOVER"]).expect("asked");
    until("the replica has taken over", SOON, async || cluster.owner(slot).filter(|o| *o == second)).await;
    load.goes_on(100, SOON).await;
    assert!(refusals(&cluster.nodes()[first], "MOVED") > 0);
    println!("cluster: a node stepped down, longest stall of an enqueue {:?}", load.stall(began));
    until("the old primary follows", SOON, async || {
        let said = cluster.nodes()[first].command(&["INFO", "replication"]).ok()?;
        said.contains("master_link_status:up").then_some(())
    })
    .await;

    let asked = Instant::now();
    assert!(replicated(cluster.nodes()[second].port().expect("a port")).await, "the replica has caught up");
    let killed = Instant::now();
    cluster.nodes()[second].kill();
    until("the first takes over", SOON, async || cluster.owner(slot).filter(|o| *o == first)).await;
    let failover = killed.elapsed();
    let resumed = load.resumed(killed, SOON).await;
    println!("cluster: failover {failover:?}, first new job run {resumed:?} after the kill");
    assert!(resumed < failover + Duration::from_secs(5), "{resumed:?} after {failover:?}");
    load.goes_on(100, SOON).await;

    let account = load.end().await;
    let owed = account.lost.iter().filter(|(_, at)| *at < asked).count();
    println!(
        "cluster: {} enqueued, {} lost, {} repeated",
        account.acked,
        account.lost.len(),
        account.repeated
    );
    assert_eq!(owed, 0, "{account:?}");
    assert!(account.lost.iter().all(|(_, at)| *at < killed + Duration::from_millis(50)), "{account:?}");
}

/// How many of these jobs nobody knows.
async fn missing(url: &str, ids: &[JobId]) -> usize {
    let jobs = until("the new primary answers", SOON, async || Client::connect(url).await.ok()).await;
    let mut missing = 0;
    for id in ids {
        missing += usize::from(jobs.job(*id).await.expect("read").is_none());
    }
    missing
}

/// In the hardened mode: the functions are loaded on primaries, and are there after a failover.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_nodes_replica_has_is_not_lost_by_a_failover() {
    let Some(mut cluster) = TestCluster::start(true, 1_500) else {
        return skip("redis-server is not installed");
    };
    let first = cluster.owner(cluster.slot("{test-asked:0}")).expect("an owner");
    // Another namespace on the same node, which demands nothing: so that this is known to find a loss.
    let on_first = |ns: &String| cluster.owner(cluster.slot(&format!("{{{ns}:0}}"))) == Some(first);
    let beside = (0..).map(|n| format!("test-beside-{n}")).find(on_first).expect("a third of all are there");
    let url = |ns: &str| format!("{}?ns={ns}&scripts=functions", cluster.url());
    let (asked, plain) = (url("test-asked&shards=3"), url(&beside));
    let refused = Client::connect(&asked).await.expect_err("nobody has loaded the functions");
    assert!(refused.is_refused() && refused.to_string().contains("legwork migrate"), "{refused}");
    let spread = migrate(&asked, false).await.expect("migrated");
    assert!((1..=3).contains(&spread.servers), "{spread:?}");
    assert_eq!(migrate(&plain, false).await.expect("migrated").servers, 1);
    let open = async |url: &str, wanted| Client::connect_with(url, options(wanted)).await.expect("connected");
    let plain_jobs = open(&plain, Durability::Memory).await;
    let asked_jobs = open(&asked, Durability::Replicated(1)).await;

    let until_then = Instant::now() + Duration::from_millis(200);
    let ((mut answered, failed), _) =
        tokio::join!(enqueue(&asked_jobs, until_then), enqueue(&plain_jobs, until_then));
    assert_eq!(failed, 0, "all is well so far");
    signal(&cluster.nodes()[first + 3], "-STOP");
    let until_then = Instant::now() + Duration::from_millis(700);
    let ((more, failed), (unasked, _)) =
        tokio::join!(enqueue(&asked_jobs, until_then), enqueue(&plain_jobs, until_then));
    answered.extend(more);
    cluster.nodes()[first].kill();
    signal(&cluster.nodes()[first + 3], "-CONT");
    let slot = cluster.slot(&format!("{{{beside}:0}}"));
    until("the replica takes over", SOON, async || cluster.owner(slot).filter(|o| *o == first + 3)).await;
    let lost = missing(&asked, &answered).await;
    let lost_unasked = missing(&plain, &unasked).await;
    println!(
        "cluster: replicated:1 {} answered, {failed} not, {lost} lost; nothing demanded: {} answered, {lost_unasked} lost",
        answered.len(),
        unasked.len()
    );
    assert!(failed > 0, "a replica that hangs must be missed");
    assert_eq!(lost, 0, "of {} answered", answered.len());
    assert!(lost_unasked > 0, "of {} answered while the replica hung", unasked.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_alone_is_told_apart() {
    let Some(mut cluster) = TestCluster::start(false, 15_000) else {
        return skip("redis-server is not installed");
    };
    let slot = cluster.slot("{test-alone:0}");
    let wrong = (cluster.owner(slot).expect("an owner") + 1) % 3;
    let port = cluster.nodes()[wrong].port().expect("a port");
    let error = Client::connect(&format!("redis://127.0.0.1:{port}?ns=test-alone")).await.unwrap_err();
    assert!(error.is_refused() && error.to_string().contains("redis+cluster://"), "{error:?}");
    let Some(single) = TestServer::start_tcp() else { return };
    let port = single.port().expect("a port");
    let error = Client::connect(&format!("redis+cluster://127.0.0.1:{port}")).await.unwrap_err();
    assert!(error.to_string().contains("no cluster"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_spans_the_nodes() {
    let Some(mut cluster) = TestCluster::start(false, 15_000) else {
        return skip("redis-server is not installed");
    };
    let load = Load::start(&format!("{}?ns=test-span&shards=6", cluster.url())).await;
    load.goes_on(200, SOON).await;
    let holders: Vec<_> =
        (0..6).map(|shard| cluster.owner(cluster.slot(&format!("{{test-span:{shard}}}")))).collect();
    let all: std::collections::BTreeSet<_> = holders.iter().flatten().collect();
    assert!(all.len() > 1, "{holders:?}");
    for place in all {
        let held = cluster.nodes()[*place].command(&["DBSIZE"]).expect("asked");
        assert!(!held.starts_with(":0"), "node {place}: {held}");
    }
    let account = load.end().await;
    assert_eq!((account.lost.len(), account.repeated), (0, 0), "{account:?}");
}
