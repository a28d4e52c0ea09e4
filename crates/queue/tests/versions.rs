//! Payloads that change their shape: old ones are led to the new, new ones wait for who knows
//! them. On SQLite in memory, and on Redis where there is a server.

#[macro_use]
#[path = "common/both.rs"]
mod both;

use legwork::backend::JobView;
use legwork::middleware::Unreadable;
use legwork::{Client, Context, Failure, Job, JobId, Running, State, Worker};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

on_both! {
    old_payloads_are_led_to_the_newest
    a_broken_payload_of_a_known_version_is_discarded_with_its_bytes
    a_version_without_an_upcaster_waits_for_a_worker_that_has_one
    a_panic_in_an_upcaster_ends_the_attempt
    a_newer_version_waits_for_a_worker_that_comes_later
    a_newer_version_is_let_go_by_a_worker_that_already_runs
    in_a_mixed_fleet_every_job_runs_where_it_is_known
    what_is_queued_is_counted_by_version
}

/// Version 1 had `minutes`, version 2 `seconds`, version 3 has `ms`.
#[derive(Serialize, Deserialize)]
struct Remind {
    ms: u64,
}

impl Job for Remind {
    const NAME: &'static str = "remind";
    const VERSION: u32 = 3;
    type Output = u64;

    fn upcast(version: u32, payload: Value) -> Result<Value, Unreadable> {
        let number = |field: &str| payload[field].as_u64().ok_or(format!("{field}: is not a number"));
        match version {
            1 => {
                let minutes = number("minutes")?;
                assert_ne!(minutes, 13, "nobody reminds in 13 minutes");
                Ok(json!({ "seconds": minutes * 60 }))
            }
            2 => Ok(json!({ "ms": number("seconds")? * 1000 })),
            other => Err(Unreadable::Unknown(format!("version {other}"))),
        }
    }
}

/// The same job as an older program knows it.
#[derive(Serialize, Deserialize)]
struct Older {
    seconds: u64,
}

impl Job for Older {
    const NAME: &'static str = "remind";
    const VERSION: u32 = 2;
    type Output = u64;
}

async fn remind(job: Remind, _: Context) -> Result<u64, Failure> {
    Ok(job.ms)
}

async fn new(jobs: &Client) -> Running {
    let worker = Worker::new(jobs.clone(), ()).handle(remind).lease(Duration::from_millis(500));
    worker.start().await.unwrap()
}

async fn old(jobs: &Client) -> Running {
    let worker =
        Worker::new(jobs.clone(), ()).handle(|job: Older, _: Context| async move { Ok(job.seconds) });
    worker.lease(Duration::from_millis(500)).start().await.unwrap()
}

async fn put(jobs: &Client, version: u32, payload: Value) -> JobId {
    jobs.enqueue_raw("remind", &payload.to_string()).version(version).max_attempts(1).await.unwrap().id
}

async fn seen(jobs: &Client, id: JobId, good: impl Fn(&JobView) -> bool) -> JobView {
    let started = Instant::now();
    loop {
        let job = jobs.job(id).await.unwrap().expect("the job is there");
        if good(&job) {
            return job;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "it stays {job:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn old_payloads_are_led_to_the_newest(jobs: Client) {
    let worker = new(&jobs).await;
    for (version, payload) in
        [(1, json!({"minutes": 2})), (2, json!({"seconds": 120})), (3, json!({"ms": 120_000}))]
    {
        let id = put(&jobs, version, payload).await;
        assert_eq!(jobs.wait::<Remind>(id).await.unwrap(), 120_000, "from version {version}");
    }
    worker.stop().await;
}

async fn a_broken_payload_of_a_known_version_is_discarded_with_its_bytes(jobs: Client) {
    let worker = new(&jobs).await;
    for (version, payload, said) in [
        (1, json!({"hours": 2}), "payload of remind: from version 1: minutes: is not a number"),
        (2, json!([]), "payload of remind: from version 2: seconds: is not a number"),
        (
            3,
            json!({"ms": -1}),
            "payload of remind: invalid value: integer `-1`, expected u64 at line 1 column 8",
        ),
    ] {
        let id = put(&jobs, version, payload.clone()).await;
        let job = seen(&jobs, id, |job| job.state.is_final()).await;
        assert_eq!((job.state, job.reason.as_deref()), (State::Discarded, Some("undecodable")));
        assert_eq!(job.errors[0].error, said);
        assert_eq!(job.envelope.envelope().unwrap().payload.get(), payload.to_string(), "kept as it was");
    }
    worker.stop().await;
}

async fn a_version_without_an_upcaster_waits_for_a_worker_that_has_one(jobs: Client) {
    let forgetful = old(&jobs).await;
    let id = put(&jobs, 1, json!({"minutes": 1})).await;
    let job = seen(&jobs, id, |job| job.parked).await;
    assert_eq!((job.attempts, job.errors.len()), (0, 0));
    let why = jobs.snapshot().await.unwrap().why(&job).unwrap();
    assert_eq!(why, "parked: waits for the next beat of a worker that takes remind version 1");
    // It stays so, however often that worker looks at it again.
    let worker = new(&jobs).await;
    assert_eq!(jobs.wait::<Remind>(id).await.unwrap(), 60_000);
    forgetful.stop().await;
    worker.stop().await;
}

async fn a_panic_in_an_upcaster_ends_the_attempt(jobs: Client) {
    let worker = new(&jobs).await;
    let id = put(&jobs, 1, json!({"minutes": 13})).await;
    let job = seen(&jobs, id, |job| job.state.is_final()).await;
    assert_eq!(job.reason.as_deref(), Some("exhausted"));
    assert!(job.errors[0].error.contains("nobody reminds in 13 minutes"), "{job:?}");
    worker.stop().await;
}

async fn a_newer_version_waits_for_a_worker_that_comes_later(jobs: Client) {
    let older = old(&jobs).await;
    let unknown = jobs.enqueue_raw("no.such", "{}").await.unwrap().id;
    let id = jobs.enqueue(Remind { ms: 5 }).await.unwrap().id;
    for id in [id, unknown] {
        let job = seen(&jobs, id, |job| job.parked).await;
        assert_eq!((job.state, job.attempts), (State::Blocked, 0));
    }
    assert_eq!(jobs.queues().await.unwrap()[0].parked, 2);
    older.stop().await;
    let worker = new(&jobs).await;
    assert_eq!(jobs.wait::<Remind>(id).await.unwrap(), 5);
    let job = jobs.job(unknown).await.unwrap().unwrap();
    assert!(job.parked, "the other one waits on: {job:?}");
    assert_eq!(jobs.queues().await.unwrap()[0].parked, 1);
    worker.stop().await;
}

async fn a_newer_version_is_let_go_by_a_worker_that_already_runs(jobs: Client) {
    // The one that knows it runs, but is kept from leasing: its queue is another one.
    let worker =
        Worker::new(jobs.clone(), ()).handle(remind).queue("other", 1).lease(Duration::from_millis(500));
    let worker = worker.start().await.unwrap();
    let older = old(&jobs).await;
    let id = jobs.enqueue(Remind { ms: 5 }).await.unwrap().id;
    seen(&jobs, id, |job| job.parked).await;
    older.stop().await;
    // Only a beat can do this now.
    seen(&jobs, id, |job| job.state == State::Available).await;
    worker.stop().await;
}

async fn in_a_mixed_fleet_every_job_runs_where_it_is_known(jobs: Client) {
    let fleet = [old(&jobs).await, old(&jobs).await, new(&jobs).await];
    let newer = jobs.enqueue_many((0..100).map(|ms| Remind { ms })).await.unwrap();
    let older = jobs.enqueue_many((0..100).map(|seconds| Older { seconds })).await.unwrap();
    for (n, receipt) in newer.iter().enumerate() {
        assert_eq!(jobs.wait::<Remind>(receipt.id).await.unwrap(), n as u64);
    }
    for (n, receipt) in older.iter().enumerate() {
        let ran = jobs.wait::<Remind>(receipt.id).await.unwrap();
        assert!(ran == n as u64 || ran == n as u64 * 1000, "by either");
    }
    assert_eq!(jobs.queues().await.unwrap()[0].parked, 0);
    for worker in fleet {
        worker.stop().await;
    }
}

async fn what_is_queued_is_counted_by_version(jobs: Client) {
    let worker = old(&jobs).await;
    jobs.enqueue_raw("remind", "{}").queue("unserved").await.unwrap();
    let three = put(&jobs, 3, json!({})).await;
    jobs.enqueue_raw("other", "{}").queue("unserved").await.unwrap();
    jobs.enqueue_raw("other", "{}").queue("unserved").delay(Duration::from_secs(60)).await.unwrap();
    seen(&jobs, three, |job| job.parked).await;
    let seen = jobs.versions().await.unwrap();
    let told: Vec<_> =
        seen.versions.iter().map(|v| (v.name.as_str(), v.version, v.queued, v.workers.len())).collect();
    assert_eq!(told, [("other", 1, 2, 0), ("remind", 1, 1, 1), ("remind", 2, 0, 1), ("remind", 3, 1, 0)]);
    assert!(seen.whole);
    assert_eq!(seen.versions[3].parked, 1);
    assert_eq!(seen.versions[1].workers, [worker.id()]);
    worker.stop().await;
}
