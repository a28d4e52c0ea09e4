//! What a client and a worker make of unique keys, expiry and full queues: on SQLite in
//! memory, and on Redis where there is a server.

#[macro_use]
#[path = "common/both.rs"]
mod both;

use legwork::{Client, Context, Failure, Job, QueueRules, State, Unique, Worker};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::sync::Semaphore;

on_both! {
    a_job_is_not_started_after_its_time
    a_job_leased_ahead_expires_while_it_waits_for_its_permit
    only_whoever_needs_the_full_queue_is_refused
    a_sync_asked_for_while_one_runs_is_run_once_more_with_the_newest
}

#[derive(Serialize, Deserialize)]
struct Sync {
    athlete: u32,
    page: u32,
}

impl Job for Sync {
    const NAME: &'static str = "athlete.sync";
    type Output = ();
    fn unique(&self) -> Option<Unique> {
        Some(Unique::fields(&["athlete"]).keep_last())
    }
}

/// What ran, and a gate that lets one run at a time.
#[derive(Clone)]
struct App {
    ran: Arc<Mutex<Vec<u32>>>,
    gate: Arc<Semaphore>,
}

impl App {
    fn new(open: usize) -> App {
        App { ran: Arc::default(), gate: Arc::new(Semaphore::new(open)) }
    }

    fn ran(&self) -> Vec<u32> {
        self.ran.lock().unwrap().clone()
    }
}

async fn sync(job: Sync, cx: Context<App>) -> Result<(), Failure> {
    cx.state().ran.lock().unwrap().push(job.page);
    cx.state().gate.acquire().await?.forget();
    Ok(())
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waited).await.expect(what);
}

async fn a_job_is_not_started_after_its_time(jobs: Client) {
    let past = SystemTime::now() - Duration::from_millis(1);
    let late = jobs.enqueue(Sync { athlete: 1, page: 1 }).expires_at(past).await.unwrap().id;
    let unknown = jobs.enqueue_raw("nobody.knows", "1").expires_at(past).await.unwrap().id;
    let hour = Duration::from_secs(3_600);
    let good = jobs.enqueue(Sync { athlete: 2, page: 2 }).expires_in(hour).await.unwrap().id;
    let app = App::new(9);
    let worker = Worker::new(jobs.clone(), app.clone()).handle(sync).start().await.unwrap();
    for id in [late, unknown] {
        until("expired", async || jobs.job(id).await.unwrap().unwrap().state == State::Discarded).await;
        let view = jobs.job(id).await.unwrap().unwrap();
        assert_eq!((view.reason.as_deref(), view.attempts), (Some("expired"), 0));
    }
    jobs.wait::<Sync>(good).await.unwrap();
    worker.stop().await;
    assert_eq!(app.ran(), [2]);
    assert_eq!(jobs.queues().await.unwrap()[0].failed, 0);
    let far = Duration::from_secs(4_000 * 86_400);
    assert!(jobs.enqueue_raw("a.job", "1").expires_in(far).await.unwrap_err().is_invalid());
}

async fn a_job_leased_ahead_expires_while_it_waits_for_its_permit(jobs: Client) {
    let app = App::new(0);
    let worker = Worker::new(jobs.clone(), app.clone()).handle(sync).queue("default", 1);
    let worker = worker.start().await.unwrap();
    jobs.enqueue(Sync { athlete: 1, page: 1 }).await.unwrap();
    until("it runs", async || app.ran() == [1]).await;
    let soon = Duration::from_millis(20);
    let late = jobs.enqueue(Sync { athlete: 2, page: 2 }).expires_in(soon).await.unwrap().id;
    let at = jobs.job(late).await.unwrap().unwrap().envelope.envelope().unwrap().expires_ms.unwrap();
    until("it is late", async || jobs.backend().now().await.unwrap() > at).await;
    app.gate.add_permits(9);
    until("expired", async || jobs.job(late).await.unwrap().unwrap().state == State::Discarded).await;
    worker.stop().await;
    assert_eq!(app.ran(), [1]);
}

async fn only_whoever_needs_the_full_queue_is_refused(jobs: Client) {
    let rules = QueueRules { max_waiting: Some(5), ..QueueRules::default() };
    jobs.set_queue_rules("small", rules).await.unwrap();
    assert_eq!(jobs.queue_rules().await.unwrap()["small"], rules);
    let calls = (0..40).map(|n| {
        let queue = if n % 2 == 0 { "small" } else { "large" };
        let call = jobs.enqueue_raw("a.job", "1").queue(queue);
        tokio::spawn(async move { (queue, call.await) })
    });
    let mut refused = 0;
    for call in calls.collect::<Vec<_>>() {
        match call.await.unwrap() {
            (_, Ok(receipt)) => assert!(receipt.created),
            ("small", Err(e)) if e.is_refused() => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    let queues = jobs.queues().await.unwrap();
    let counts: Vec<_> = queues.iter().map(|q| (q.name.as_str(), q.count(State::Available))).collect();
    assert_eq!((counts, refused), (vec![("large", 20), ("small", 5)], 15));
    jobs.set_queue_rules("small", QueueRules::default()).await.unwrap();
    assert!(jobs.queue_rules().await.unwrap().is_empty());
    jobs.enqueue_raw("a.job", "1").queue("small").await.unwrap();
}

async fn a_sync_asked_for_while_one_runs_is_run_once_more_with_the_newest(jobs: Client) {
    let app = App::new(0);
    let worker = Worker::new(jobs.clone(), app.clone()).handle(sync).start().await.unwrap();
    let first = jobs.enqueue(Sync { athlete: 7, page: 1 }).await.unwrap().id;
    until("it runs", async || app.ran() == [1]).await;
    let all = jobs.enqueue_many((2..=50).map(|page| Sync { athlete: 7, page })).await.unwrap();
    assert!(all[0].created && all[0].id != first);
    assert!(all[1..].iter().all(|r| r.replaced && r.id == all[0].id));
    app.gate.add_permits(1);
    jobs.wait::<Sync>(first).await.unwrap();
    until("the newest runs", async || app.ran() == [1, 50]).await;
    app.gate.add_permits(1);
    jobs.wait::<Sync>(all[0].id).await.unwrap();
    worker.stop().await;
    assert_eq!(app.ran(), [1, 50]);
}
