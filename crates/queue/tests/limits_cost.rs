//! What limits cost: drains of jobs that do nothing, through the backend alone. Run with
//! `cargo test --release -p legwork --test limits_cost -- --ignored --nocapture`.

use legwork::backend::redis::Redis;
use legwork::backend::sqlite::Sqlite;
use legwork::backend::*;
use legwork::testing::server::TestServer;
use legwork::{Clock, Envelope, JobId, LimitKey};
use std::time::Instant;

#[derive(Clone, Copy, PartialEq)]
enum How {
    Plain,
    QueueWide,
    Keys(usize),
}

fn job(n: usize, how: How) -> NewJob {
    let mut envelope = Envelope::new("a.job", "{\"n\":1234567890}").unwrap();
    if let How::Keys(keys) = how {
        envelope.limit = Some(LimitKey::new("site", n % keys));
    }
    NewJob { record: envelope.encode(), envelope, due: Due::Now, chosen: false }
}

async fn rules(backend: &dyn Backend, how: How) {
    let put = async |kind, name, json| drop(backend.put(kind, name, Some(json)).await.unwrap());
    let rate =
        r#"{"concurrency":100000,"rates":[{"bucket":{"amount":100000000,"per_ms":1000,"burst":100000000}}]}"#;
    match how {
        How::Plain => {}
        How::QueueWide => {
            put(Setting::Limit, "all", rate).await;
            put(Setting::Queue, "default", r#"{"limit":"all"}"#).await;
        }
        How::Keys(_) => put(Setting::Limit, "site", r#"{"concurrency":1}"#).await,
    }
}

/// Jobs a second of one loop that leases a batch and settles it.
async fn drain(backend: &dyn Backend, jobs: usize, batch: usize, how: How) -> (f64, f64) {
    rules(backend, how).await;
    let lane = JobId::new().to_string();
    let begun = Instant::now();
    for (seq, from) in (0..jobs).step_by(1_000).enumerate() {
        let all = (from..(from + 1_000).min(jobs)).map(|n| job(n, how)).collect();
        let ask = EnqueueBatch {
            lane: lane.clone(),
            seq: seq as u64 + 1,
            jobs: all,
            guard: Guard::None,
            flow: None,
        };
        backend.enqueue(&ask).await.unwrap();
    }
    let enqueued = jobs as f64 / begun.elapsed().as_secs_f64();
    let queues = vec![("default".to_owned(), batch)];
    let ask = LeaseRequest { worker: "w".into(), queues, most: batch, alone: false, ttl_ms: 60_000 };
    let (begun, mut done) = (Instant::now(), 0);
    while done < jobs {
        let mut items = Vec::with_capacity(batch);
        for leased in backend.lease(&ask).await.unwrap().batches {
            let outcome = Outcome::Succeeded { result: None, keep_ms: 0 };
            let item = |id| Settle { token: leased.token, id, outcome: outcome.clone(), keyed: false };
            items.extend(leased.jobs.iter().map(|j| item(j.id)));
        }
        assert!(!items.is_empty(), "{done} of {jobs} drained");
        let answers = backend.settle(&items).await.unwrap();
        assert!(answers.iter().all(|a| *a == Settled::Done));
        done += items.len();
    }
    (enqueued, jobs as f64 / begun.elapsed().as_secs_f64())
}

#[tokio::test]
#[ignore = "a measurement"]
async fn what_limits_cost() {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load: {load}");
    let Some(server) = TestServer::start() else { return };
    for round in 0..3 {
        for batch in [64, 256] {
            for (name, how) in
                [("plain", How::Plain), ("queue-wide", How::QueueWide), ("1,000 keys", How::Keys(1_000))]
            {
                let url = format!("{}?ns=test-{}", server.url(), JobId::new());
                let redis = Redis::connect(&url, Clock::Backend).await.unwrap();
                let cpu = || {
                    let info = server.command(&["INFO", "cpu"]).unwrap();
                    let field = |name: &str| {
                        let line = info.lines().find(|l| l.starts_with(name)).unwrap_or("0:0");
                        line.split(':').nth(1).unwrap_or("0").trim().parse::<f64>().unwrap_or(0.0)
                    };
                    field("used_cpu_user:") + field("used_cpu_sys:")
                };
                let before = cpu();
                let (enqueued, drained) = drain(&redis, 100_000, batch, how).await;
                println!(
                    "redis {round} batch {batch} {name}: {enqueued:.0} enqueued/s, {drained:.0} drained/s, {:.1} µs of Redis a job in all",
                    (cpu() - before) * 10.0
                );
            }
        }
    }
    for (name, how) in
        [("plain", How::Plain), ("queue-wide", How::QueueWide), ("1,000 keys", How::Keys(1_000))]
    {
        let sqlite = Sqlite::connect("sqlite::memory:", Clock::Backend).await.unwrap();
        let (enqueued, drained) = drain(&sqlite, 20_000, 256, how).await;
        println!("sqlite in memory, batch 256 {name}: {enqueued:.0} enqueued/s, {drained:.0} drained/s");
    }
}
