//! Who begins when: behind a lease, and in line.

use super::settle::Done;
use super::{Engine, Worker, lease};
use crate::backend::{LeaseRequest, Outcome, Settle, Token};
use crate::testing::faulty::FaultyBackend;
use crate::{Client, ClientOptions, Context, Failure, Job, JobId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::task::TaskTracker;

/// Long enough for anything that happens at all.
const LONG: Duration = Duration::from_secs(20);

#[derive(Clone, Serialize, Deserialize)]
struct Tell;

impl Job for Tell {
    const NAME: &'static str = "tell";
    type Output = ();
}

/// What handlers say: which job began, and how many leases had been asked for by then.
#[derive(Clone)]
struct Began {
    said: UnboundedSender<(JobId, u64)>,
    backend: Arc<FaultyBackend>,
}

async fn tell(_: Tell, cx: Context<Began>) -> Result<(), Failure> {
    let Began { said, backend } = cx.state();
    said.send((cx.id(), backend.calls("lease"))).map_err(|e| Failure::discard(e.to_string()))
}

struct Stage {
    jobs: Client,
    began: Began,
    heard: tokio::sync::mpsc::UnboundedReceiver<(JobId, u64)>,
}

impl Stage {
    async fn open() -> Stage {
        let real = Client::connect("sqlite::memory:").await.unwrap();
        let backend = Arc::new(FaultyBackend::new(real.backend().clone()));
        let jobs = Client::over(backend.clone(), ClientOptions::default());
        let (said, heard) = tokio::sync::mpsc::unbounded_channel();
        Stage { jobs, began: Began { said, backend }, heard }
    }

    async fn put(&self) -> JobId {
        self.jobs.enqueue(Tell).await.unwrap().id
    }

    fn worker(&self, permits: usize) -> Worker<Began> {
        Worker::new(self.jobs.clone(), self.began.clone()).handle(tell).queue("default", permits)
    }

    async fn heard(&mut self) -> Option<(JobId, u64)> {
        tokio::time::timeout(LONG, self.heard.recv()).await.ok().flatten()
    }
}

#[tokio::test]
async fn a_job_that_comes_alone_begins_before_the_next_call() {
    let mut stage = Stage::open().await;
    let id = stage.put().await;
    let worker = stage.worker(2).start().await.unwrap();
    assert_eq!(stage.heard().await, Some((id, 1)));
    worker.stop().await;
}

/// Fills the settler's inbox, which nobody empties.
fn fill(engine: &Engine<Began>) {
    let outcome = Outcome::Snooze { wait_ms: 0 };
    let item = Settle { token: Token(1), id: JobId::new(), outcome, keyed: false };
    while engine.settles.try_send(Done { item: item.clone(), place: 0 }).is_ok() {}
}

#[tokio::test]
async fn who_has_a_permit_begins_though_the_settler_takes_nothing_from_who_is_called_off() {
    let mut stage = Stage::open().await;
    let (off, next) = (stage.put().await, stage.put().await);
    let (engine, inbox, _) = stage.worker(1).prepare().await.unwrap();
    fill(&engine);
    let ask = LeaseRequest {
        worker: "w".into(),
        queues: vec![("default".into(), 2)],
        most: 2,
        alone: false,
        ttl_ms: 60_000,
    };
    let batch = engine.backend.lease(&ask).await.unwrap().batches.remove(0);
    engine.health.pools[0].permits.join(lease::leased(&engine, 0, batch, Instant::now()));
    let tracker = TaskTracker::new();
    // Told before it listens: a notification is kept.
    assert_eq!(engine.held.cancel(off).len(), 1);
    let usher = async { lease::usher(&engine, &tracker).await };
    let heard = tokio::select! { () = usher => None, heard = stage.heard() => heard };
    assert_eq!(heard.map(|(id, _)| id), Some(next));
    drop(inbox);
}
