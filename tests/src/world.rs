//! A queue of a test's own with real workers on it, and the ledger that their handlers write
//! outside the system: what really ran.

use crate::{Process, Program, skip, until};
use legwork::testing::server::TestServer;
use legwork::{Client, JobId, State};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// The lease of the workers, in milliseconds.
pub const LEASE: &str = "1000";
const SOON: Duration = Duration::from_secs(20);

/// A queue of its own, and a place for the ledger.
pub struct World {
    /// Where the queue is.
    pub url: String,
    /// Where its files are.
    pub dir: tempfile::TempDir,
    /// Its server, where it has one.
    pub server: Option<TestServer>,
    /// The queue.
    pub jobs: Client,
}

impl World {
    /// On a SQLite file.
    pub async fn sqlite() -> Option<World> {
        let dir = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite:{}", dir.path().join("queue.db").display());
        World::at(url, dir, None).await
    }

    /// On a Redis that keeps its data, so that it may be killed.
    pub async fn redis() -> Option<World> {
        World::redis_with(&[], &["--appendonly", "yes", "--appendfsync", "everysec"]).await
    }

    /// On a Redis with variables in its environment and arguments of its own; its files are
    /// in the world's directory unless these say otherwise.
    pub async fn redis_with(env: &[(&str, &str)], args: &[&str]) -> Option<World> {
        let dir = tempfile::tempdir().expect("a directory");
        let home = dir.path().display().to_string();
        let args: Vec<&str> = ["--dir", &home].into_iter().chain(args.iter().copied()).collect();
        let Some(server) = TestServer::start_under(env, &args) else {
            skip("redis-server is not installed");
            return None;
        };
        World::at(server.url(), dir, Some(server)).await
    }

    /// On what there is at this address; the ledger is in the directory.
    pub async fn at(url: String, dir: tempfile::TempDir, server: Option<TestServer>) -> Option<World> {
        let jobs = Client::connect(&url).await.expect("the queue opens");
        Some(World { url, dir, server, jobs })
    }

    /// The server; panics where there is none.
    pub fn server(&self) -> &TestServer {
        self.server.as_ref().expect("a server")
    }

    /// Where handlers write.
    pub fn ledger_path(&self) -> PathBuf {
        self.dir.path().join("ledger")
    }

    /// A worker process.
    pub async fn worker(&self, concurrency: usize) -> Process {
        self.worker_with(&self.url, concurrency, &[]).await
    }

    /// A worker process that knows the queue by another address, with variables of its own.
    pub async fn worker_with(&self, url: &str, concurrency: usize, env: &[(&str, &str)]) -> Process {
        self.worker_leasing(url, LEASE, concurrency, env).await
    }

    /// As [`World::worker_with`], with a lease of its own, in milliseconds.
    pub async fn worker_leasing(
        &self,
        url: &str,
        lease: &str,
        concurrency: usize,
        env: &[(&str, &str)],
    ) -> Process {
        let ledger = self.ledger_path().display().to_string();
        let args = ["worker", url, &ledger, lease, &concurrency.to_string()];
        let program =
            env.iter().fold(Program::new("probe"), |program, (name, value)| program.env(name, value));
        let mut worker = program.args(args).start();
        worker.line("probe is up", SOON).await;
        worker
    }

    /// Stops a process between two of its transactions. One that is stopped within holds the
    /// lock of SQLite's file until it goes on, as `docs/guarantees.md` says: then once more,
    /// when it has come out of it, and long before its leases are over.
    pub async fn freeze(&self, worker: &Process) {
        let written = || self.jobs.pause_for("not-a-queue-of-anybody", Duration::from_millis(1));
        for _ in 0..50 {
            worker.signal("STOP");
            if tokio::time::timeout(Duration::from_millis(300), written()).await.is_ok() {
                return;
            }
            worker.signal("CONT");
            written().await.expect("it has come out of its transaction");
        }
        panic!("it is never stopped between two transactions");
    }

    /// Enqueues one by one.
    pub async fn enqueue(&self, name: &str, payload: &str, count: usize) -> Vec<JobId> {
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(self.jobs.enqueue_raw(name, payload).await.expect("enqueued").id);
        }
        ids
    }

    /// All lines of the ledger.
    pub fn ledger(&self) -> Vec<Line> {
        let text = std::fs::read_to_string(self.ledger_path()).unwrap_or_default();
        text.lines().map(Line::read).collect()
    }

    /// How often a handler began.
    pub fn started(&self) -> usize {
        self.ledger().iter().filter(|l| !l.done).count()
    }

    /// Waits until this many handlers have begun.
    pub async fn begun(&self, count: usize) {
        until("some work is begun", SOON, || async { (self.started() >= count).then_some(()) }).await;
    }

    /// Waits until these have run to their end.
    pub async fn all_ran(&self, ids: &[JobId], limit: Duration) {
        until("every job succeeds", limit, || async {
            let wanted: BTreeSet<String> = ids.iter().map(ToString::to_string).collect();
            let ended: BTreeSet<String> =
                self.ledger().into_iter().filter(|l| l.done).map(|l| l.id).collect();
            wanted.is_subset(&ended).then_some(())
        })
        .await;
    }

    /// Waits until these have run and are succeeded in the queue, and audits it.
    pub async fn all_done(&self, ids: &[JobId], limit: Duration) {
        self.all_ran(ids, limit).await;
        for id in ids {
            let succeeded = || async {
                let job = self.jobs.job(*id).await.ok().flatten()?;
                (job.state == State::Succeeded).then_some(())
            };
            until("every job is succeeded in the queue too", limit, succeeded).await;
        }
        self.audited().await;
    }

    /// Nothing is broken in the queue.
    pub async fn audited(&self) {
        // The first call after a server came back finds the old connection dead.
        let audit = || async { self.jobs.backend().audit().await.ok() };
        assert_eq!(until("it is audited", SOON, audit).await, Vec::<String>::new());
    }

    /// Nobody was charged a crash, or more than one attempt.
    pub async fn none_charged(&self, ids: &[JobId]) {
        for id in ids {
            let job = self.jobs.job(*id).await.expect("read").expect("kept");
            assert_eq!((job.attempts, job.crashes), (1, 0), "{id}");
        }
    }
}

/// One line of the ledger: a start or an end of an attempt.
#[derive(Debug)]
pub struct Line {
    /// Whether it is an end.
    pub done: bool,
    /// The job.
    pub id: String,
    /// Its fence.
    pub token: u64,
}

impl Line {
    fn read(line: &str) -> Line {
        let mut words = line.split(' ');
        Line {
            done: words.next() == Some("D"),
            id: words.next().unwrap_or_default().into(),
            token: words.next().and_then(|t| t.parse().ok()).unwrap_or_default(),
        }
    }
}
