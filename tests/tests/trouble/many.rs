//! Very many jobs that are due in the same second.

use crate::SOON;
use legwork::backend::{Due, EnqueueBatch, Guard, LeaseRequest, NewJob, Outcome, Settle, Settled};
use legwork::{Envelope, State};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tests::until;
use tests::world::World;

/// As a worker's daemon takes.
const PROMOTE: usize = 250;

async fn put(world: &World, count: usize, due_ms: i64) {
    for (seq, from) in (1..).zip((0..count).step_by(1_000)) {
        let jobs = (from..count.min(from + 1_000)).map(|_| {
            let envelope = Envelope::new("probe.other", "{}").expect("sound");
            NewJob { record: envelope.encode(), envelope, due: Due::At(due_ms), chosen: false }
        });
        let batch =
            EnqueueBatch { lane: "many".into(), seq, jobs: jobs.collect(), guard: Guard::None, flow: None };
        world.jobs.backend().enqueue(&batch).await.expect("taken in");
    }
}

/// How many scripts were run.
fn calls(stats: &str) -> usize {
    let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    line.and_then(|line| line.split(',').next()?.parse().ok()).expect("scripts were run")
}

/// The time of a processor that the server has used.
fn cpu(world: &World) -> Duration {
    let said = world.server().command(&["INFO", "cpu"]).expect("answered");
    let of = |line: &str| {
        line.strip_prefix("used_cpu_user:").or(line.strip_prefix("used_cpu_sys:"))?.trim().parse::<f64>().ok()
    };
    Duration::from_secs_f64(said.lines().filter_map(of).sum())
}

/// 50,000 of them, or as many as LEGWORK_DUE says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn very_many_jobs_due_in_one_second_hold_nobody_up() {
    let count: usize = std::env::var("LEGWORK_DUE").ok().and_then(|n| n.parse().ok()).unwrap_or(50_000);
    let args = ["--slowlog-log-slower-than", "5000", "--slowlog-max-len", "100000"];
    let Some(world) = World::redis_with(&[], &args).await else {
        return;
    };
    let backend = world.jobs.backend();
    let due = backend.now().await.expect("the time") + 4_000 + count as i64 / 20;
    let before = cpu(&world);
    put(&world, count, due).await;
    let enqueue = (cpu(&world) - before) / (count as u32 / 1_000);
    world.server().command(&["SLOWLOG", "RESET"]).expect("asked");
    world.server().command(&["CONFIG", "RESETSTAT"]).expect("asked");
    until("they are due", Duration::from_secs(200), async || {
        (backend.now().await.ok()? >= due).then_some(())
    })
    .await;
    // First alone: what one step costs the server, in time of its processor.
    let before = cpu(&world);
    for _ in 0..10 {
        assert_eq!(backend.promote(PROMOTE).await.expect("no error").count, PROMOTE);
    }
    let step = (cpu(&world) - before) / 10;
    let (promoted, settled, done) =
        (AtomicUsize::new(10 * PROMOTE), AtomicUsize::new(0), AtomicBool::new(false));
    let began = Instant::now();
    let promote = async || {
        while promoted.load(Ordering::SeqCst) < count {
            let more = backend.promote(PROMOTE).await.expect("no error");
            promoted.fetch_add(more.count, Ordering::SeqCst);
        }
    };
    let drain = async {
        while settled.load(Ordering::SeqCst) < count {
            let queues = vec![("default".to_owned(), 256)];
            let ask = LeaseRequest { worker: "w".into(), queues, most: 256, alone: false, ttl_ms: 60_000 };
            let leased = backend.lease(&ask).await.expect("no error");
            let outcome = Outcome::Succeeded { result: None, keep_ms: 0 };
            let settle = |token, id| Settle { token, id, outcome: outcome.clone(), keyed: false };
            let all: Vec<Settle> = leased
                .batches
                .iter()
                .flat_map(|b| b.jobs.iter().map(move |j| settle(b.token, j.id)))
                .collect();
            let answers = backend.settle(&all).await.expect("no error");
            assert!(answers.iter().all(|answer| *answer == Settled::Done));
            settled.fetch_add(all.len(), Ordering::SeqCst);
        }
        done.store(true, Ordering::SeqCst);
    };
    let mut others = Vec::new();
    let other = async {
        while !done.load(Ordering::SeqCst) {
            let asked = Instant::now();
            world.jobs.enqueue_raw("probe.other", "{}").queue("other").await.expect("no error");
            others.push(asked.elapsed());
        }
    };
    tokio::join!(promote(), promote(), promote(), drain, other);
    let took = began.elapsed();
    others.sort();
    let at = |share: usize| others[(others.len() - 1) * share / 100];
    let slow = world.server().command(&["SLOWLOG", "LEN"]).expect("asked");
    let calls = calls(&world.server().command(&["INFO", "commandstats"]).expect("asked"));
    let slow: usize = slow.trim().trim_start_matches(':').parse().expect("a number");
    eprintln!(
        "{count} due at once: promoted and drained in {took:?}, a step of {PROMOTE} costs {step:?}, \
         an enqueue of 1,000 of them {enqueue:?}; \
         an enqueue meanwhile {:?} p50, {:?} p99; over 5 ms {slow} of {calls} calls",
        at(50),
        at(99),
    );
    // The log counts what a busy machine takes away from the server as well.
    assert!(step < Duration::from_millis(5), "a step of promotion costs {step:?}");
    let most = if std::env::var_os("LEGWORK_QUIET").is_some() { 0 } else { calls / 10 };
    assert!(slow <= most, "{slow} calls took more than 5 ms, {most} may");
    world.audited().await;
    let left = async || {
        let queues = world.jobs.queues().await.ok()?;
        queues.iter().filter(|q| q.name == "default").all(|q| q.count(State::Available) == 0).then_some(())
    };
    until("none is left", SOON, left).await;
}
