//! Progress, steps and cursors of handlers whose client seals: on SQLite in memory, and on
//! Redis where there is a server.

#[macro_use]
#[path = "common/both.rs"]
mod both;

use legwork::backend::{JobView, Note, Outcome, Settle, Settled, Token};
use legwork::middleware::{KeyRing, Sealed};
use legwork::{Client, Context, Failure, Job, JobId, Policy, State, Worker};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

on_both! {
    what_a_handler_notes_is_sealed_and_goes_on
    a_step_of_another_job_is_not_believed
    a_worker_without_the_key_does_no_step_again
    notes_may_stay_in_the_open
}

const SECRET: &str = "hunter2";

#[derive(Serialize, Deserialize)]
struct Import;

impl Job for Import {
    const NAME: &'static str = "import";
    type Output = String;
    fn policy() -> Policy {
        Policy::default().max_attempts(1u32)
    }
}

/// What was really done, and whether to stop before the end.
#[derive(Clone, Default)]
struct Deeds(Arc<Mutex<Vec<u32>>>, bool);

async fn import(_: Import, cx: Context<Deeds>) -> Result<String, Failure> {
    cx.progress(0.5, SECRET).await?;
    let token = cx
        .step("login", async || {
            cx.state().0.lock().unwrap().push(cx.attempt());
            Ok(SECRET.to_owned())
        })
        .await?;
    let at: Option<String> = cx.cursor().await?;
    if cx.state().1 {
        cx.checkpoint(SECRET).await?;
        return Err(Failure::snooze(Duration::from_secs(3_600)));
    }
    Ok(format!("{token} {}", at.unwrap_or_default()))
}

fn ring(id: &str) -> KeyRing {
    KeyRing::new(id, [id.as_bytes()[1]; 32]).unwrap()
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

/// A job whose handler has noted something and gone away; who has the keys, and what was done.
async fn stopped(jobs: &Client) -> (JobId, Deeds) {
    let deeds = Deeds(Arc::default(), true);
    let worker = Worker::new(jobs.clone(), deeds.clone()).handle(import).start().await.unwrap();
    let id = jobs.enqueue(Import).await.unwrap().id;
    seen(jobs, id, |job| job.state == State::Scheduled).await;
    worker.stop().await;
    (id, deeds)
}

async fn what_a_handler_notes_is_sealed_and_goes_on(plain: Client) {
    let jobs = plain.with(Sealed::whole(ring("k1")).require());
    let (id, deeds) = stopped(&jobs).await;
    let stored = plain.job(id).await.unwrap().unwrap();
    let all = serde_json::to_string(&stored).unwrap();
    assert!(!all.contains(SECRET), "{all}");
    assert_eq!(all.matches(r#"{"$sealed":"k1:"#).count(), 3, "progress, a step, a cursor: {all}");
    let shown = jobs.job(id).await.unwrap().unwrap();
    assert_eq!(shown.progress.unwrap().get(), r#"{"share":0.5,"note":"hunter2"}"#);
    assert_eq!((shown.steps[0].value.get(), shown.cursor.unwrap().get()), ("\"hunter2\"", "\"hunter2\""));

    plain.retry(id).await.unwrap();
    let again = Deeds(deeds.0.clone(), false);
    let worker = Worker::new(jobs.clone(), again).handle(import).start().await.unwrap();
    assert_eq!(jobs.wait::<Import>(id).await.unwrap(), "hunter2 hunter2");
    assert_eq!(*deeds.0.lock().unwrap(), [1], "the step was done once");
    worker.stop().await;
}

/// Writes a step to a job as somebody would who can write to the backend.
async fn plant(plain: &Client, id: JobId, value: &str) {
    let ask = legwork::backend::LeaseRequest {
        worker: "eve".into(),
        queues: vec![("default".into(), 1)],
        most: 1,
        alone: true,
        ttl_ms: 60_000,
    };
    let token: Token = plain.backend().lease(&ask).await.unwrap().batches[0].token;
    let note = Note::Step { name: "login".into(), value: value.into() };
    assert_eq!(plain.backend().note(token, id, &note).await.unwrap(), Settled::Done);
    let outcome = Outcome::Snooze { wait_ms: 0 };
    plain.backend().settle(&[Settle { token, id, outcome, keyed: false }]).await.unwrap();
}

async fn a_step_of_another_job_is_not_believed(plain: Client) {
    let jobs = plain.with(Sealed::whole(ring("k1")).require());
    let (id, _) = stopped(&jobs).await;
    let taken = plain.job(id).await.unwrap().unwrap().steps[0].value.get().to_owned();
    plain.discard(id).await.unwrap();
    for (value, said) in [
        (taken.as_str(), "was changed, or belongs to another job"),
        ("\"mine\"", "not sealed, and this worker requires it"),
    ] {
        let other = jobs.enqueue(Import).await.unwrap().id;
        plant(&plain, other, value).await;
        let worker = Worker::new(jobs.clone(), Deeds::default()).handle(import).start().await.unwrap();
        let job = seen(&plain, other, |job| job.state.is_final()).await;
        let error = &job.errors.last().unwrap().error;
        assert!(job.state == State::Discarded && error.contains(said), "{job:?}");
        worker.stop().await;
    }
}

async fn a_worker_without_the_key_does_no_step_again(plain: Client) {
    let (old, new) = (plain.with(Sealed::whole(ring("k1"))), plain.with(Sealed::whole(ring("k2"))));
    // Its payload is in the open, so that only what it has noted stops it.
    let open = |client: &Client| client.with(Sealed::nothing(ring("k3")));
    let deeds = Deeds(Arc::default(), true);
    let id = plain.enqueue(Import).await.unwrap().id;
    let worker = Worker::new(old.clone(), deeds.clone()).handle(import).start().await.unwrap();
    seen(&plain, id, |job| job.state == State::Scheduled).await;
    worker.stop().await;
    for client in [plain.clone(), new, open(&plain)] {
        plain.retry(id).await.unwrap();
        let worker = Worker::new(client, deeds.clone()).handle(import).start().await.unwrap();
        let job = seen(&plain, id, |job| job.state == State::Scheduled).await;
        assert_eq!((job.attempts, job.errors.len()), (0, 0), "put off, nothing spent");
        worker.stop().await;
    }
    assert_eq!(*deeds.0.lock().unwrap(), [1]);
    plain.retry(id).await.unwrap();
    let again = Deeds(deeds.0.clone(), false);
    let worker = Worker::new(old.clone(), again).handle(import).start().await.unwrap();
    assert_eq!(old.wait::<Import>(id).await.unwrap(), "hunter2 hunter2");
    worker.stop().await;
}

async fn notes_may_stay_in_the_open(plain: Client) {
    let jobs = plain.with(Sealed::whole(ring("k1")).notes(false));
    let (id, _) = stopped(&jobs).await;
    let stored = plain.job(id).await.unwrap().unwrap();
    assert_eq!(stored.steps[0].value.get(), "\"hunter2\"");
    assert_eq!(stored.progress.unwrap().get(), r#"{"share":0.5,"note":"hunter2"}"#);
}
