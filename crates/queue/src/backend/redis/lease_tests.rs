//! Batches whose ids no script has looked at.

use super::*;
use crate::ManualClock;
use crate::backend::{Batch, Conflict, Release};
use crate::testing::harness::{Draft, Harness, START_MS, TTL, job, success};
use crate::testing::server::TestServer;

/// A server of the test's own and a harness on it; nothing where no server is installed.
async fn open(name: &str) -> Option<(TestServer, Arc<Redis>, Harness)> {
    let server = TestServer::start()?;
    let clock = ManualClock::new(START_MS);
    let url = format!("{}?ns=test-{name}", server.url());
    let redis = Arc::new(Redis::connect(&url, Clock::Manual(clock.clone())).await.unwrap());
    let h = Harness::new(redis.clone(), redis.clone(), clock);
    Some((server, redis, h))
}

/// A job whose key is free once it is leased: a lease must look at it.
fn until_started() -> Draft {
    job("a.job").unique("u").scope(Release::Started, Conflict::Existing)
}

/// More than come with the answer of a lease, the one to be looked at in the middle.
async fn put_long(h: &Harness) -> Vec<JobId> {
    let mut ids = h.put_all((0..20).map(|_| job("a.job"))).await;
    ids.push(h.put(until_started()).await);
    ids.extend(h.put_all((0..20).map(|_| job("a.job"))).await);
    ids
}

async fn noted(redis: &Redis) -> bool {
    let asked = cmd("HEXISTS").arg(redis.keys.named("gn")).arg("q:5+").to_owned();
    decode::number(redis.link.ask(&asked).await.unwrap()).unwrap() == 1
}

/// As if an older version had pushed what is in the list.
async fn forget_note(redis: &Redis) {
    redis.link.ask(cmd("HDEL").arg(redis.keys.named("gn")).arg("q:5+")).await.unwrap();
}

#[tokio::test]
async fn a_large_batch_is_named_whoever_leases_in_between() {
    let Some((_server, redis, h)) = open("native").await else { return };
    let ids = h.put_all((0..60).map(|_| job("a.job"))).await;
    let mut batch = h.batches(&[("q", 40)], false).await.remove(0);
    let named = |batch: &Batch| batch.jobs.iter().map(|job| job.id).collect::<Vec<_>>();
    assert_eq!(named(&batch), ids[..40]);
    for took in [vec![], vec![Value::BulkString(b"1".to_vec()), Value::BulkString(vec![7; 16])]] {
        batch.jobs.clear();
        redis.name(&mut batch, &took).await.unwrap();
        assert_eq!(named(&batch), ids[..40]);
    }
    assert_eq!(h.leased_ids("q", 40).await, ids[40..]);
    assert!(h.leased_ids("q", 40).await.is_empty());
    let left = redis.link.ask(cmd("EXISTS").arg(redis.keys.named("took"))).await.unwrap();
    assert_eq!(left, Value::Int(0), "whoever finds nothing is not sent what was there before");
    h.check().await;
}

#[tokio::test]
async fn an_entry_to_be_looked_at_keeps_its_list_from_being_moved_unseen() {
    let Some((_server, redis, h)) = open("long").await else { return };
    let ids = put_long(&h).await;
    assert!(noted(&redis).await);
    assert_eq!(h.leased_ids("q", 18).await, ids[..18]);
    assert!(noted(&redis).await);
    assert_eq!(h.leased_ids("q", 100).await, ids[18..]);
    assert!(!noted(&redis).await, "an empty list holds none");
    let again = h.put(until_started()).await;
    assert_eq!(h.leased_ids("q", 100).await, [again], "its key was free");
    h.check().await;
}

#[tokio::test]
async fn what_an_older_version_has_pushed_is_handed_back_and_looked_at() {
    let Some((_server, redis, h)) = open("older").await else { return };
    let ids = put_long(&h).await;
    forget_note(&redis).await;
    assert!(h.leased_ids("q", 100).await.is_empty());
    h.check().await;
    assert!(noted(&redis).await);
    assert_eq!(h.leased_ids("q", 100).await, ids);
    h.put(until_started()).await;
    h.check().await;
}

#[tokio::test]
async fn what_an_older_version_has_pushed_survives_its_worker() {
    let Some((_server, redis, h)) = open("reaped").await else { return };
    let mut ids = put_long(&h).await;
    forget_note(&redis).await;
    let mut call = redis.script(&scripts::LEASE_BRIEF);
    call.arg("w").arg(TTL).arg(0).arg(100).arg("q").arg(100);
    redis.run(&scripts::LEASE_BRIEF, &call).await.unwrap();
    assert!(h.leased_ids("q", 100).await.is_empty());
    h.pass(TTL + 1);
    let mut back: Vec<_> = h.reap().await.into_iter().map(|one| one.id).collect();
    back.sort_unstable();
    ids.sort_unstable();
    assert_eq!(back, ids);
    h.check().await;
}

#[tokio::test]
async fn a_batch_is_settled_in_pieces_and_each_piece_again() {
    let Some((_server, redis, h)) = open("pieces").await else { return };
    h.put_all((0..40).map(|_| job("a.job"))).await;
    let held = h.lease("q", 40).await;
    let ends = |from: usize, to: usize| -> Vec<_> {
        held[from..to].iter().map(|one| one.settle(success(0))).collect()
    };
    // In order, out of order, and the rest: each answers as it did the first time.
    for part in [ends(0, 10), ends(20, 30), [ends(30, 40), ends(10, 20)].concat()] {
        for _ in 0..2 {
            assert_eq!(redis.settle(&part).await.unwrap(), vec![Settled::Done; part.len()]);
        }
    }
    for one in &held {
        h.gone(one.id).await;
        h.stale(one, crate::testing::harness::discard()).await;
    }
    h.check().await;
}

#[tokio::test]
async fn pieces_of_a_batch_in_any_order_need_no_full_script() {
    let Some((_server, redis, h)) = open("gaps").await else { return };
    for keep in [0, 60_000] {
        h.put_all(
            (0..40).map(|n| if n % 2 == 0 { job("a.job") } else { job("b.job").unique(&n.to_string()) }),
        )
        .await;
        let held = h.lease("q", 40).await;
        // Those that are done while others still run, then the others.
        for rest in [0, 1, 2, 3] {
            let part: Vec<_> =
                (0..40).filter(|n| n % 4 == rest).map(|n| held[n].settle(success(keep))).collect();
            assert_eq!(redis.settle(&part).await.unwrap(), vec![Settled::Done; part.len()]);
            h.check().await;
        }
    }
    let full = cmd("SCRIPT").arg("EXISTS").arg(&scripts::SETTLE.sha).to_owned();
    assert_eq!(decode::list(redis.link.ask(&full).await.unwrap()).unwrap(), [Value::Int(0)]);
    assert!(h.leased_ids("q", 40).await.is_empty());
}
