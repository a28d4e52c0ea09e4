//! What is counted of limits, broken by hand and mended by the sweep.

use super::*;
use crate::backend::{Due, NewJob, Outcome};
use crate::testing::server::TestServer;
use crate::{Envelope, LimitKey, ManualClock};

const TTL: i64 = 15_000;

async fn put(redis: &Redis, seq: u64, count: usize) {
    let job = |_| {
        let mut envelope = Envelope::new("a.job", "{}").unwrap();
        envelope.limit = Some(LimitKey::new("site", "a"));
        NewJob { record: envelope.encode(), envelope, due: Due::Now, chosen: false }
    };
    let jobs = (0..count).map(job).collect();
    let batch = EnqueueBatch { lane: "lane".into(), seq, jobs, guard: Guard::None, flow: None };
    redis.enqueue(&batch).await.unwrap();
}

async fn take(redis: &Redis) -> Vec<Settle> {
    let queues = vec![("default".to_owned(), 9)];
    let ask = LeaseRequest { worker: "w".into(), queues, most: 9, alone: false, ttl_ms: TTL };
    let done = |token, id| Settle {
        token,
        id,
        outcome: Outcome::Succeeded { result: None, keep_ms: 0 },
        keyed: false,
    };
    let batches = redis.lease(&ask).await.unwrap().batches;
    batches.iter().flat_map(|b| b.jobs.iter().map(move |j| done(b.token, j.id))).collect()
}

#[tokio::test]
async fn the_sweep_mends_what_is_counted() {
    let Some(server) = TestServer::start() else {
        return;
    };
    let url = format!("{}?ns=test-heal", server.url());
    let redis = Redis::connect(&url, Clock::Manual(ManualClock::new(1_800_000_000_000))).await.unwrap();
    redis.put(Setting::Limit, "site", Some(r#"{"concurrency":2}"#)).await.unwrap();
    put(&redis, 1, 9).await;
    let key = |name: &str| format!("{{test-heal:0}}:{name}");
    let broken = async || redis.audit().await.unwrap().len();

    // A permit that nobody holds: the audit tells, the sweep frees it.
    server.command(&["HSET", &key("inuse"), "site/a", "0123456789abcdef"]).unwrap();
    assert!(broken().await > 0);
    assert_eq!(take(&redis).await.len(), 1, "one of two seems to be in use");
    redis.reap(9, false, TTL).await.unwrap();
    let held = take(&redis).await;
    assert_eq!((held.len(), broken().await), (1, 0));

    // Everything that is counted is lost: the leases that live tell it again.
    server.command(&["DEL", &key("inuse"), &key("permit")]).unwrap();
    assert!(broken().await > 0);
    redis.reap(9, false, TTL).await.unwrap();
    assert_eq!((broken().await, take(&redis).await.len()), (0, 0), "two run, two may");

    // A key that is nowhere to be found has its turn again.
    redis.settle(&held).await.unwrap();
    server.command(&["DEL", &key("ring:default"), &key("full")]).unwrap();
    assert!(broken().await > 0 && take(&redis).await.is_empty());
    redis.reap(9, false, TTL).await.unwrap();
    assert_eq!((broken().await, take(&redis).await.len()), (0, 1));
}
