//! Bad records among good ones, names that nobody knows, payloads that are too much: nothing
//! stops, nothing is dropped. `LEGWORK_BAD=10000` says how many are broken (500), with ten
//! times as many good ones.

#[macro_use]
#[path = "common/both.rs"]
mod both;

use legwork::backend::{Backend, Due, EnqueueBatch, Filter, Guard, JobView, NewJob, Record};
use legwork::{Client, ClientOptions, Context, Envelope, Failure, Job, JobId, MAX_PAYLOAD, State, Worker};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

on_both! {
    broken_records_stop_nobody
    a_payload_that_nests_too_deep_is_refused_and_survived
}

#[derive(Serialize, Deserialize)]
struct Good {
    n: usize,
}

impl Job for Good {
    const NAME: &'static str = "good";
    type Output = ();
}

type Seen = Arc<Mutex<Vec<usize>>>;

async fn good(job: Good, cx: Context<Seen>) -> Result<(), Failure> {
    cx.state().lock().unwrap().push(job.n);
    Ok(())
}

/// What a record may be that no Legwork wrote, or that something has torn.
fn broken(n: usize) -> Vec<u8> {
    match n % 8 {
        0 => Vec::new(),
        1 => b"\xff\xfe\x00 not text \n\n".to_vec(),
        2 => b"{\"v\":1,\"n\":\"good\"}".to_vec(),
        3 => b"{\"v\":1,\"n\":\"good\"\n{\"n\":1}".to_vec(),
        4 => b"{\"v\":200,\"n\":\"good\"}\n{\"n\":1}".to_vec(),
        5 => b"{\"v\":1,\"n\":7}\n{\"n\":1}".to_vec(),
        6 => [b"{\"v\":1,\"n\":".as_slice(), &b"[".repeat(2_000), b"\n1"].concat(),
        _ => b"{\"v\":1,\"n\":\"good\"}\n{\"n\":\"text\"}".to_vec(),
    }
}

async fn put(backend: &Arc<dyn Backend>, lane: &str, seq: u64, records: Vec<Vec<u8>>) {
    let job = |record| {
        let envelope = Envelope::new("good", "{}").unwrap();
        NewJob { envelope, record, due: Due::Now, chosen: false }
    };
    let jobs = records.into_iter().map(job).collect();
    let batch = EnqueueBatch { lane: lane.into(), seq, jobs, guard: Guard::None, flow: None };
    backend.enqueue(&batch).await.unwrap();
}

/// Waits until nothing is left to run.
async fn drained(jobs: &Client) {
    let began = Instant::now();
    loop {
        let queues = jobs.queues().await.unwrap();
        let open = |state| queues.iter().map(|queue| queue.count(state)).sum::<u64>();
        if open(State::Available) + open(State::Leased) == 0 {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "{queues:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn all(jobs: &Client, state: State) -> Vec<JobView> {
    let mut filter = Filter { state: Some(state), limit: 200, ..Filter::default() };
    let mut all = Vec::new();
    loop {
        let page = jobs.search(&filter).await.unwrap();
        all.extend(page.jobs);
        filter.cursor = page.cursor;
        if filter.cursor.is_none() {
            return all;
        }
    }
}

async fn broken_records_stop_nobody(jobs: Client) {
    let bad: usize = std::env::var("LEGWORK_BAD").ok().and_then(|n| n.parse().ok()).unwrap_or(500);
    let (lane, steps) = (JobId::new().to_string(), bad / 100);
    for step in 0..steps {
        jobs.enqueue_many((0..1_000).map(|n| Good { n: step * 1_000 + n })).await.unwrap();
        put(jobs.backend(), &lane, step as u64 + 1, (0..100).map(broken).collect()).await;
        for _ in 0..10 {
            jobs.enqueue_raw("nobody.knows", "{}").await.unwrap();
        }
    }
    let seen = Seen::default();
    let worker = Worker::new(jobs.clone(), seen.clone()).handle(good).queue("default", 64);
    let worker = worker.start().await.unwrap();
    drained(&jobs).await;
    let mut ran = std::mem::take(&mut *seen.lock().unwrap());
    ran.sort_unstable();
    assert!(ran.into_iter().eq(0..steps * 1_000), "every good job ran once");
    let discarded = all(&jobs, State::Discarded).await;
    assert_eq!(discarded.len(), steps * 100, "every bad one is kept");
    for job in &discarded {
        assert_eq!((job.reason.as_deref(), job.crashes), (Some("undecodable"), 0), "{job:?}");
        assert!(!job.errors.is_empty(), "{job:?}");
    }
    let raw = discarded.iter().filter(|job| matches!(job.envelope, Record::Broken { .. })).count();
    assert!(raw >= steps * 75, "{raw} of {} with their raw bytes", discarded.len());
    let parked = all(&jobs, State::Blocked).await;
    assert_eq!(parked.len(), steps * 10);
    assert!(parked.iter().all(|job| job.parked && job.attempts == 0 && job.crashes == 0));
    assert_eq!(jobs.backend().audit().await.unwrap(), Vec::<String>::new());
    worker.stop().await;
}

fn nested(depth: usize) -> String {
    format!("{}1{}", "[".repeat(depth), "]".repeat(depth))
}

async fn a_payload_that_nests_too_deep_is_refused_and_survived(jobs: Client) {
    jobs.enqueue_raw("nobody.knows", &nested(64)).await.unwrap();
    let text = format!("[\"{}\\\"{}\"]", "[".repeat(200), "{".repeat(200));
    jobs.enqueue_raw("nobody.knows", &text).await.unwrap();
    for depth in [65, 100_000] {
        let refused = jobs.enqueue_raw("good", &nested(depth)).await.unwrap_err();
        assert!(refused.is_invalid());
        assert_eq!(refused.to_string(), format!("payload: nests {depth} deep; at most 64"));
    }
    // One that somebody else has written is discarded, and the next one runs.
    let deep = format!("{{\"v\":1,\"n\":\"good\"}}\n{}", nested(100_000));
    put(jobs.backend(), &JobId::new().to_string(), 1, vec![deep.into_bytes()]).await;
    let id = jobs.enqueue(Good { n: 1 }).await.unwrap().id;
    let worker = Worker::new(jobs.clone(), Seen::default()).handle(good).queue("default", 2);
    let worker = worker.start().await.unwrap();
    jobs.wait::<Good>(id).await.unwrap();
    drained(&jobs).await;
    let discarded = all(&jobs, State::Discarded).await;
    assert_eq!(discarded.len(), 1);
    assert_eq!(discarded[0].reason.as_deref(), Some("undecodable"));
    worker.stop().await;
}

#[tokio::test]
async fn a_payload_that_is_too_large_is_refused() {
    let jobs = Client::connect("sqlite::memory:").await.unwrap();
    let of = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    jobs.enqueue_raw("good", &of(MAX_PAYLOAD)).await.unwrap();
    let refused = jobs.enqueue_raw("good", &of(MAX_PAYLOAD + 1)).await.unwrap_err().to_string();
    assert!(refused.starts_with("payload: 262145 bytes is too large; at most 262144"), "{refused}");
    // However much a program wants to allow.
    let options = ClientOptions { max_payload: usize::MAX, ..ClientOptions::default() };
    let jobs = Client::connect_with("sqlite::memory:", options).await.unwrap();
    jobs.enqueue_raw("good", &of(16 << 20)).await.unwrap();
    assert!(jobs.enqueue_raw("good", &of((16 << 20) + 1)).await.unwrap_err().is_invalid());
}
