//! A queue in an SQLite file, with jobs in every state, made through the library.

use crate::run::{Ran, legwork};
use legwork::{Client, Context, Failure, Job, JobId, Policy, Running, State, Worker};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A namespace of the test's own.
pub(crate) struct World {
    dir: TempDir,
    pub(crate) url: String,
    pub(crate) client: Client,
}

impl World {
    pub(crate) async fn new() -> World {
        let dir = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite:{}", dir.path().join("jobs.db").display());
        let client = Client::connect(&url).await.expect("a new file");
        World { dir, url, client }
    }

    /// Runs the binary on this queue.
    pub(crate) fn cli(&self, args: &[&str]) -> Ran {
        legwork(&[&["--url", &self.url], args].concat())
    }

    /// A file beside the queue; its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    }

    /// Runs it with `--json`.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        self.cli(&[args, &["--json"]].concat()).json()
    }

    /// Enqueues a job without a type; its id.
    pub(crate) async fn put(&self, name: &str, payload: &str) -> JobId {
        self.client.enqueue_raw(name, payload).await.expect("enqueued").id
    }

    /// A worker that handles [`Act`] and serves its queue.
    pub(crate) async fn worker(&self) -> Running {
        Worker::new(self.client.clone(), ())
            .handle(act)
            .queue("acts", 4)
            .drain(Duration::from_millis(100))
            .start()
            .await
            .expect("a worker")
    }

    /// Enqueues an act and waits until it has come to this state.
    pub(crate) async fn acted(&self, act: Act, state: State) -> JobId {
        let id = self.client.enqueue(act).await.expect("enqueued").id;
        self.until(id, state).await;
        id
    }

    /// Waits until a job is in a state.
    pub(crate) async fn until(&self, id: JobId, state: State) {
        let started = Instant::now();
        loop {
            let job = self.client.job(id).await.expect("the queue answers").expect("the job is kept");
            if job.state == state {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "{:?} is not {state}", job.state);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until a running job has said how far it is.
    pub(crate) async fn until_progress(&self, id: JobId) {
        let started = Instant::now();
        while self
            .client
            .job(id)
            .await
            .expect("the queue answers")
            .expect("the job is kept")
            .progress
            .is_none()
        {
            assert!(started.elapsed() < Duration::from_secs(20), "no progress");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn state(&self, id: JobId) -> State {
        self.client.job(id).await.expect("the queue answers").expect("the job is kept").state
    }
}

/// A job that does as it is told.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Act {
    /// Succeeds with what it was given.
    Say(String),
    /// Fails, and will be tried again in an hour.
    Fail(String),
    /// Fails for good.
    Give(String),
    /// Says how far it is, and never ends by itself.
    Hold,
}

impl Job for Act {
    const NAME: &'static str = "act.out";
    const VERSION: u32 = 3;
    type Output = String;

    fn policy() -> Policy {
        Policy::default().queue("acts").priority(2).max_attempts(7u32)
    }
}

async fn act(act: Act, cx: Context<()>) -> Result<String, Failure> {
    match act {
        Act::Say(words) => Ok(words),
        Act::Fail(why) => Err(Failure::retry_in(Duration::from_secs(3_600), why)),
        Act::Give(why) => Err(Failure::discard(why)),
        Act::Hold => {
            cx.progress(0.25, "a quarter").await?;
            std::future::pending().await
        }
    }
}
