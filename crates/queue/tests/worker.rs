//! What a worker makes of what a handler does. On SQLite in memory, and on Redis where
//! there is a server: the worker's own part is the same.

#[macro_use]
#[path = "common/both.rs"]
mod both;

use legwork::backend::{Controlled, JobView};
use legwork::testing::faulty::{Fault, FaultyBackend};
use legwork::{
    Backoff, Client, ClientOptions, Context, Failure, Group, Job, JobId, Keep, Policy, Running, Scheduler,
    State, WaitError, Worker,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, Semaphore};

on_both! {
    results_come_back_and_errors_are_retried
    each_verdict_has_its_outcome
    a_panic_ends_an_attempt_and_not_the_worker
    an_attempt_may_take_so_long_and_no_longer
    a_running_job_can_be_called_off
    what_a_worker_does_not_know_is_parked_for_one_that_does
    a_broken_payload_is_discarded_with_its_bytes
    no_more_jobs_run_at_a_time_than_was_said
    a_stop_waits_for_the_drain_and_hands_back_the_rest
    progress_is_seen_while_the_job_runs
    nothing_is_kept_but_the_waiter_gets_its_result
    priorities_and_keys_reach_the_worker
    jobs_leased_ahead_run_in_order
    no_more_is_leased_ahead_than_there_is_room_for
    many_jobs_run_once_each
}

#[derive(Serialize, Deserialize, Clone)]
struct Do {
    what: String,
}

impl Job for Do {
    const NAME: &'static str = "do";
    type Output = u32;
    fn policy() -> Policy {
        Policy::default()
            .max_attempts(3u32)
            .backoff(Backoff::fixed(Duration::from_millis(10)))
            .timeout(Duration::from_secs(20))
    }
}

fn job(what: &str) -> Do {
    Do { what: what.into() }
}

async fn handle(job: Do, cx: Context) -> Result<u32, Failure> {
    match job.what.as_str() {
        "succeed" => {}
        "fail twice" if cx.attempt() < 3 => Err("not yet")?,
        "fail twice" => assert!(cx.is_last_attempt()),
        "fail" => return Err(Failure::retry("never")),
        "retry at once" if cx.attempt() == 1 => return Err(Failure::retry_in(Duration::ZERO, "again")),
        "snooze" => return Err(Failure::snooze(Duration::from_secs(3_600))),
        "discard" => return Err(Failure::discard("nobody can do this")),
        "cancel" => return Err(Failure::cancel("not wanted")),
        "panic" => panic!("at the {}", "disco"),
        "hang" => std::future::pending().await,
        _ => {}
    }
    Ok(cx.attempt())
}

/// A job that no test enqueues.
#[derive(Serialize, Deserialize)]
struct Other {}

impl Job for Other {
    const NAME: &'static str = "other";
    type Output = ();
}

async fn other(_: Other, _: Context) -> Result<(), Failure> {
    Ok(())
}

async fn start(jobs: &Client) -> Running {
    Worker::new(jobs.clone(), ()).handle(handle).start().await.unwrap()
}

async fn ended(jobs: &Client, id: JobId) -> JobView {
    seen(jobs, id, |job| job.state.is_final()).await
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

async fn results_come_back_and_errors_are_retried(jobs: Client) {
    let worker = start(&jobs).await;
    let good = jobs.enqueue(job("succeed")).await.unwrap();
    assert_eq!(jobs.wait::<Do>(good.id).await.unwrap(), 1);
    let third = jobs.enqueue(job("fail twice")).await.unwrap();
    assert_eq!(jobs.wait::<Do>(third.id).await.unwrap(), 3);
    let story = ended(&jobs, third.id).await;
    let told: Vec<_> = story.errors.iter().map(|e| (e.attempt, e.error.as_str())).collect();
    assert_eq!(told, [(1, "not yet"), (2, "not yet")]);
    assert_eq!(story.attempts, 3);
    worker.stop().await;
}

async fn each_verdict_has_its_outcome(jobs: Client) {
    let worker = start(&jobs).await;
    let all = ["fail", "retry at once", "discard", "cancel", "snooze"];
    let mut ids = Vec::new();
    for what in all {
        ids.push(jobs.enqueue(job(what)).await.unwrap().id);
    }
    let exhausted = ended(&jobs, ids[0]).await;
    assert_eq!((exhausted.state, exhausted.reason.as_deref()), (State::Discarded, Some("exhausted")));
    assert_eq!((exhausted.attempts, exhausted.errors.len()), (3, 3));
    let again = ended(&jobs, ids[1]).await;
    assert_eq!((again.state, again.attempts), (State::Succeeded, 2));
    let discarded = ended(&jobs, ids[2]).await;
    assert_eq!((discarded.state, discarded.reason.as_deref()), (State::Discarded, Some("failed")));
    assert_eq!(discarded.errors[0].error, "nobody can do this");
    assert!(
        matches!(jobs.wait::<Do>(ids[2]).await, Err(WaitError::Discarded(why)) if why == "nobody can do this")
    );
    let cancelled = ended(&jobs, ids[3]).await;
    assert_eq!((cancelled.state, cancelled.reason.as_deref()), (State::Cancelled, Some("not wanted")));
    let snoozed = seen(&jobs, ids[4], |job| job.state == State::Scheduled).await;
    assert_eq!(snoozed.attempts, 0, "a snooze spends no attempt");
    worker.stop().await;
}

async fn a_panic_ends_an_attempt_and_not_the_worker(jobs: Client) {
    let worker = start(&jobs).await;
    let id = jobs.enqueue(job("panic")).await.unwrap().id;
    let story = ended(&jobs, id).await;
    assert_eq!((story.state, story.attempts), (State::Discarded, 3));
    assert_eq!(story.errors[0].error, "panicked: at the disco");
    let next = jobs.enqueue(job("succeed")).await.unwrap();
    assert_eq!(jobs.wait::<Do>(next.id).await.unwrap(), 1);
    worker.stop().await;
}

async fn an_attempt_may_take_so_long_and_no_longer(jobs: Client) {
    let worker = start(&jobs).await;
    let id = jobs.enqueue(job("hang")).timeout(Duration::from_millis(50)).max_attempts(1).await.unwrap().id;
    let story = ended(&jobs, id).await;
    assert_eq!((story.state, story.errors[0].error.as_str()), (State::Discarded, "timed out after 50ms"));
    worker.stop().await;
}

async fn a_running_job_can_be_called_off(jobs: Client) {
    let worker =
        Worker::new(jobs.clone(), ()).handle(handle).lease(Duration::from_millis(600)).start().await.unwrap();
    let id = jobs.enqueue(job("hang")).await.unwrap().id;
    seen(&jobs, id, |job| job.state == State::Leased).await;
    assert_eq!(jobs.cancel(id).await.unwrap(), Controlled::Requested);
    let story = ended(&jobs, id).await;
    assert_eq!((story.state, story.reason.as_deref()), (State::Cancelled, Some("requested")));
    assert_eq!(story.attempts, 0);
    worker.stop().await;
}

async fn what_a_worker_does_not_know_is_parked_for_one_that_does(jobs: Client) {
    let id = jobs.enqueue(job("succeed")).await.unwrap().id;
    let newer = jobs.enqueue(job("succeed")).version(2).await.unwrap().id;
    let ignorant = Worker::new(jobs.clone(), ()).handle(other).queue("default", 2).start().await.unwrap();
    let parked = seen(&jobs, id, |job| job.parked).await;
    assert_eq!((parked.state, parked.attempts), (State::Blocked, 0));
    let why = jobs.snapshot().await.unwrap().why(&parked);
    assert_eq!(why.as_deref(), Some("parked: no worker knows do version 1"));
    ignorant.stop().await;
    let worker = start(&jobs).await;
    assert_eq!(jobs.wait::<Do>(id).await.unwrap(), 1);
    seen(&jobs, newer, |job| job.parked).await;
    worker.stop().await;
}

async fn a_broken_payload_is_discarded_with_its_bytes(jobs: Client) {
    let worker = start(&jobs).await;
    let id = jobs.enqueue_raw("do", r#"{"wha":1}"#).await.unwrap().id;
    let story = ended(&jobs, id).await;
    assert_eq!((story.state, story.reason.as_deref()), (State::Discarded, Some("undecodable")));
    assert_eq!(story.envelope.envelope().unwrap().payload.get(), r#"{"wha":1}"#);
    assert!(story.errors[0].error.contains("missing field"), "{:?}", story.errors);
    worker.stop().await;
}

/// What the handlers below share.
#[derive(Clone, Default)]
struct Gate {
    inside: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    ran: Arc<AtomicUsize>,
    go: Arc<Notify>,
}

async fn gated(_: Do, cx: Context<Gate>) -> Result<u32, Failure> {
    let gate = cx.state();
    let inside = gate.inside.fetch_add(1, Ordering::SeqCst) + 1;
    gate.most.fetch_max(inside, Ordering::SeqCst);
    tokio::task::yield_now().await;
    gate.inside.fetch_sub(1, Ordering::SeqCst);
    gate.ran.fetch_add(1, Ordering::SeqCst);
    Ok(0)
}

async fn no_more_jobs_run_at_a_time_than_was_said(jobs: Client) {
    let gate = Gate::default();
    let ids = jobs.enqueue_many((0..300).map(|_| job("count"))).await.unwrap();
    let worker =
        Worker::new(jobs.clone(), gate.clone()).handle(gated).queue("default", 3).start().await.unwrap();
    for receipt in ids {
        jobs.wait::<Do>(receipt.id).await.unwrap();
    }
    assert!(gate.most.load(Ordering::SeqCst) <= 3, "{} at a time", gate.most.load(Ordering::SeqCst));
    worker.stop().await;
}

async fn many_jobs_run_once_each(jobs: Client) {
    let gate = Gate::default();
    let (one, two) = (
        Worker::new(jobs.clone(), gate.clone()).handle(gated).start().await.unwrap(),
        Worker::new(jobs.clone(), gate.clone()).handle(gated).start().await.unwrap(),
    );
    let ids = jobs.enqueue_many((0..3_000).map(|_| job("count"))).await.unwrap();
    for receipt in &ids {
        jobs.wait::<Do>(receipt.id).await.unwrap();
    }
    assert_eq!(gate.ran.load(Ordering::SeqCst), ids.len());
    one.stop().await;
    two.stop().await;
    assert_eq!(jobs.backend().audit().await.unwrap(), Vec::<String>::new());
}

async fn a_stop_waits_for_the_drain_and_hands_back_the_rest(jobs: Client) {
    async fn wait_or_hang(job: Do, cx: Context<Gate>) -> Result<u32, Failure> {
        cx.state().inside.fetch_add(1, Ordering::SeqCst);
        if job.what == "hang" {
            std::future::pending::<()>().await;
        }
        cx.state().go.notified().await;
        Ok(0)
    }
    let gate = Gate::default();
    let worker = Worker::new(jobs.clone(), gate.clone())
        .handle(wait_or_hang)
        .drain(Duration::from_millis(400))
        .start()
        .await
        .unwrap();
    let short = jobs.enqueue(job("short")).await.unwrap().id;
    let long = jobs.enqueue(job("hang")).await.unwrap().id;
    seen(&jobs, short, |job| job.state == State::Leased).await;
    seen(&jobs, long, |job| job.state == State::Leased).await;
    while gate.inside.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    let stopping = tokio::spawn(worker.stop());
    gate.go.notify_one();
    stopping.await.unwrap();
    assert_eq!(ended(&jobs, short).await.state, State::Succeeded, "the drain let it finish");
    let back = jobs.job(long).await.unwrap().unwrap();
    assert_eq!((back.state, back.attempts, back.crashes), (State::Available, 0, 0));
    assert!(jobs.workers().await.unwrap().is_empty(), "it has said goodbye");
}

async fn progress_is_seen_while_the_job_runs(jobs: Client) {
    async fn halfway(_: Do, cx: Context<Gate>) -> Result<u32, Failure> {
        cx.progress(0.5, "halfway").await?;
        cx.state().go.notified().await;
        Ok(0)
    }
    let gate = Gate::default();
    let worker = Worker::new(jobs.clone(), gate.clone()).handle(halfway).start().await.unwrap();
    let id = jobs.enqueue(job("")).await.unwrap().id;
    let story = seen(&jobs, id, |job| job.progress.is_some()).await;
    assert_eq!(story.progress.unwrap().get(), r#"{"share":0.5,"note":"halfway"}"#);
    assert_eq!(story.lease.map(|l| l.worker), Some(worker.id().to_owned()));
    assert!(worker.is_ready());
    gate.go.notify_one();
    jobs.wait::<Do>(id).await.unwrap();
    worker.stop().await;
}

async fn nothing_is_kept_but_the_waiter_gets_its_result(jobs: Client) {
    let id = jobs.enqueue(job("succeed")).keep(Keep::None).await.unwrap().id;
    let waiting = tokio::spawn({
        let jobs = jobs.clone();
        async move { jobs.wait::<Do>(id).await }
    });
    // The wait must have begun: only then is its interest known.
    while !waiting.is_finished() && jobs.backend().get(id, true).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    let other = jobs.enqueue(job("succeed")).keep(Keep::None).await.unwrap().id;
    let worker = start(&jobs).await;
    assert_eq!(waiting.await.unwrap().unwrap(), 1);
    let started = Instant::now();
    while jobs.job(other).await.unwrap().is_some() {
        assert!(started.elapsed() < Duration::from_secs(20), "it is kept");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    worker.stop().await;
}

async fn priorities_and_keys_reach_the_worker(jobs: Client) {
    async fn record(job: Do, cx: Context<Arc<std::sync::Mutex<Vec<String>>>>) -> Result<u32, Failure> {
        cx.state().lock().unwrap().push(job.what);
        Ok(0)
    }
    let last = jobs.enqueue(job("last")).priority(9).await.unwrap().id;
    jobs.enqueue(job("first")).priority(0).await.unwrap();
    let one = jobs.enqueue(job("unique")).unique("k").await.unwrap();
    let two = jobs.enqueue(job("unique")).unique("k").await.unwrap();
    assert_eq!((two.id, two.created), (one.id, false));
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let worker =
        Worker::new(jobs.clone(), order.clone()).handle(record).queue("default", 1).start().await.unwrap();
    jobs.wait::<Do>(last).await.unwrap();
    assert_eq!(*order.lock().unwrap(), ["first", "unique", "last"]);
    worker.stop().await;
}

/// Fast jobs are leased ahead in batches; one at a time means one after the other all the same.
async fn jobs_leased_ahead_run_in_order(jobs: Client) {
    async fn record(job: Do, cx: Context<Arc<std::sync::Mutex<Vec<String>>>>) -> Result<u32, Failure> {
        cx.state().lock().unwrap().push(job.what);
        Ok(0)
    }
    // Several leases' worth: while the jobs of one are read, the next is under way.
    let wanted: Vec<String> = (0..3_000).map(|n| n.to_string()).collect();
    let ids = jobs.enqueue_many(wanted.iter().map(|n| job(n))).await.unwrap();
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let worker =
        Worker::new(jobs.clone(), order.clone()).handle(record).queue("default", 1).start().await.unwrap();
    jobs.wait::<Do>(ids[2_999].id).await.unwrap();
    assert_eq!(*order.lock().unwrap(), wanted);
    worker.stop().await;
}

/// Two calls that are under way together do not both ask for the same room.
async fn no_more_is_leased_ahead_than_there_is_room_for(jobs: Client) {
    #[derive(Clone)]
    struct Doors(Arc<Semaphore>);
    async fn pass(_: Do, cx: Context<Doors>) -> Result<u32, Failure> {
        cx.state().0.acquire().await?.forget();
        Ok(0)
    }
    let faulty = Arc::new(FaultyBackend::new(jobs.backend().clone()));
    let behind = Client::over(faulty.clone(), ClientOptions::default());
    let doors = Doors(Arc::new(Semaphore::new(3_000)));
    let ids = jobs.enqueue_many((0..12_000).map(|_| job("pass"))).await.unwrap();
    let worker = Worker::new(behind, doors.clone()).handle(pass).queue("default", 64);
    let worker = worker.start().await.unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while doors.0.available_permits() > 0 {
        assert!(Instant::now() < until, "{} have not passed", doors.0.available_permits());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // A worker without room asks for nothing, and now and then whether the backend is there.
    let calls = || (faulty.calls("lease"), faulty.calls("extend"));
    let (until, mut last) = (Instant::now() + Duration::from_secs(20), calls());
    while calls().0 != last.0 || calls().1 == last.1 {
        assert!(Instant::now() < until, "it is never full");
        if calls().0 != last.0 {
            last = calls();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let leased = jobs.queues().await.unwrap()[0].counts["leased"];
    assert!((65..=4_096).contains(&leased), "{leased} are leased");
    doors.0.add_permits(12_000);
    jobs.wait::<Do>(ids[11_999].id).await.unwrap();
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_lease_is_over_before_it_begins_is_handed_back() {
    let real = Client::connect("sqlite::memory:").await.unwrap();
    let late = Fault::Delay(Duration::from_millis(600));
    let faulty = Arc::new(FaultyBackend::new(real.backend().clone()).nth("lease", 1, late));
    let jobs = Client::over(faulty.clone(), ClientOptions::default());
    let id = jobs.enqueue(job("succeed")).await.unwrap().id;
    let worker = Worker::new(jobs.clone(), ()).handle(handle).lease(Duration::from_millis(500));
    let worker = worker.start().await.unwrap();
    assert_eq!(jobs.wait::<Do>(id).await.unwrap(), 1);
    worker.stop().await;
    assert_eq!(faulty.calls("settle"), 2, "handed back when it came too late, then done");
}

#[tokio::test]
async fn mistakes_are_told_at_the_start() {
    let jobs = Client::connect("sqlite::memory:").await.unwrap();
    let twice = Worker::new(jobs.clone(), ()).handle(handle).handle(handle).start().await;
    assert_eq!(twice.err().unwrap().to_string(), r#"worker: the job name "do" is handled twice"#);
    let none = Worker::new(jobs.clone(), ()).queue("default", 0).start().await;
    assert_eq!(none.err().unwrap().to_string(), "concurrency of default: 0 is not 1 to 10000");
    let bad = Worker::new(jobs.clone(), ()).queue("a b", 1).start().await;
    assert!(bad.err().unwrap().is_invalid());
    let nothing = Worker::new(jobs.clone(), ()).queue("default", 1).start().await;
    assert_eq!(nothing.err().unwrap().to_string(), "worker: needs at least one handler; add one with handle");
    let of = |group| Worker::new(jobs.clone(), ()).handle(handle).queue("mail", 1).group(group).start();
    for (group, line) in [
        (Group::strict("g", 1, ["x", "mail"]), r#"group g: the queue "mail" is named twice"#),
        (Group::strict("g", 1, ["x", "x"]), r#"group g: the queue "x" is named twice"#),
        (Group::strict("mail", 1, ["x"]), "group mail: the name is used twice"),
        (Group::strict("g", 1, []), "group g: a group needs at least one queue"),
        (Group::strict("g", 10_001, ["x"]), "concurrency of g: 10001 is not 1 to 10000"),
        (Group::weighted("g", 1, [("x", 0)]), "group g: the weight 0 of x is not 1 to 1000"),
    ] {
        assert_eq!(of(group).await.err().unwrap().to_string(), line);
    }
    let never = Scheduler::new(jobs).cron("never", "0 0 30 2 *", job(""));
    assert!(never.err().unwrap().to_string().contains("never fires"));
}

#[tokio::test]
async fn inputs_are_refused_in_one_line() {
    let jobs = Client::connect("sqlite::memory:").await.unwrap();
    let long = "x".repeat(300 * 1024);
    let answers = [
        jobs.enqueue(job("")).queue("a b").await,
        jobs.enqueue(job("")).priority(10).await,
        jobs.enqueue(job("")).max_attempts(0).await,
        jobs.enqueue(job("")).unique("").await,
        jobs.enqueue(job("")).serial("a\nb").await,
        jobs.enqueue(job("")).delay(Duration::from_secs(u64::MAX)).await,
        jobs.enqueue(job(&long)).await,
        jobs.enqueue_raw("A Name", "{}").await,
        jobs.enqueue_raw("a", "{").await,
    ];
    for (answer, field) in answers.into_iter().zip([
        "queue",
        "priority",
        "max_attempts",
        "unique",
        "serial",
        "delay",
        "payload",
        "job name",
        "payload",
    ]) {
        let line = answer.unwrap_err();
        assert!(line.is_invalid() && line.to_string().starts_with(field), "{line}");
        assert_eq!(line.to_string().lines().count(), 1);
    }
    assert!(jobs.queues().await.unwrap().is_empty(), "nothing was taken in");
}

/// Jobs that were enqueued while the only permit was taken run when it comes free.
#[tokio::test]
async fn a_wakeup_that_came_too_early_is_not_lost() {
    let jobs = Client::connect("sqlite::memory:").await.unwrap();
    let permits = Arc::new(Semaphore::new(0));
    let held = permits.clone();
    let worker = Worker::new(jobs.clone(), ())
        .handle(move |_: Do, _: Context| {
            let held = held.clone();
            async move {
                held.acquire().await?.forget();
                Ok(1)
            }
        })
        .queue("default", 1)
        .start()
        .await
        .unwrap();
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(jobs.enqueue(job("")).await.unwrap().id);
    }
    let began = Instant::now();
    permits.add_permits(5);
    for id in ids {
        jobs.wait::<Do>(id).await.unwrap();
    }
    assert!(began.elapsed() < Duration::from_secs(15));
    worker.stop().await;
}
