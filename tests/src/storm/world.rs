//! The processes of a storm: a server, a proxy before it, workers that are started again.

use super::worker::Orders;
use super::{On, Plan, Wrong};
use crate::proxy::{Proxy, Spell};
use crate::totalq::{ENTRY, Entry, Kind, Ledger, entries, record};
use crate::{Process, Program};
use anyhow::{Context, Result, bail, ensure};
use legwork::backend::{Filter, JobView};
use legwork::testing::server::TestServer;
use legwork::{Client, State};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Everything that a storm has started.
pub(super) struct World {
    program: PathBuf,
    dir: PathBuf,
    url: String,
    orders: Orders,
    server: Option<TestServer>,
    proxy: Option<Proxy>,
    workers: Vec<Running>,
    faults: Ledger,
    inspector: Client,
    done: Arc<AtomicU64>,
    /// The queue's file, or the server's directory.
    _data: tempfile::TempDir,
}

struct Running {
    number: u64,
    process: Process,
    /// Stopped until then.
    wakes: Option<Instant>,
}

impl World {
    pub(super) async fn start(plan: &Plan, program: PathBuf, dir: &Path) -> Result<World> {
        // In memory where there is such a place: what a process has written outlives its kill
        // there as well, and the disk's pace is none of the queue's. (Power loss is another test.)
        let memory = Path::new("/dev/shm");
        let data = if memory.is_dir() { tempfile::tempdir_in(memory)? } else { tempfile::tempdir()? };
        let at = data.path().display().to_string();
        let (mut server, mut proxy) = (None, None);
        let (url, direct) = match plan.on {
            On::Redis => {
                let args = ["--appendonly", "yes", "--appendfsync", &plan.fsync, "--dir", &at];
                let started = TestServer::start_with(&args).context("redis-server is not installed")?;
                let direct = started.url();
                let before = Proxy::start(&direct, plan.seed).await?;
                let url = before.url();
                (server, proxy) = (Some(started), Some(before));
                (url, direct)
            }
            On::Sqlite => {
                let url = format!("sqlite:{at}/queue.db");
                (url.clone(), url)
            }
        };
        let inspector = Client::connect(&direct).await?;
        let orders = Orders {
            url: url.clone(),
            ledger: dir.display().to_string(),
            number: 0,
            jobs: plan.jobs,
            slots: plan.slots,
            lease_ms: plan.lease.as_millis() as u64,
            wrong: plan.wrong.filter(|wrong| !wrong.of_producers()),
        };
        let faults = Ledger::open(dir, "faults")?;
        let dir = dir.to_path_buf();
        let done = Arc::default();
        let mut world = World {
            program,
            dir,
            url,
            orders,
            server,
            proxy,
            workers: Vec::new(),
            faults,
            inspector,
            done,
            _data: data,
        };
        for _ in 0..plan.workers {
            world.add_worker()?;
        }
        Ok(world)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// How many runs have ended or been given up, nearly: half of what workers wrote.
    pub(super) fn progress(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    pub(super) fn done_counter(&self) -> Arc<AtomicU64> {
        self.done.clone()
    }

    pub(super) fn note(&self, kind: Kind, worker: u64) {
        self.faults.note(Entry::now(kind, worker, 0, 0));
    }

    fn add_worker(&mut self) -> Result<()> {
        self.orders.number += 1;
        let mut orders = self.orders.clone();
        // Somebody must sweep, to whom this does not happen.
        orders.wrong =
            orders.wrong.filter(|wrong| *wrong != Wrong::BeatsAmongHandlers || orders.number % 2 == 1);
        let orders = serde_json::to_string(&orders)?;
        let process = Program::at(&self.program).args(["worker", &orders]).env("RUST_LOG", "warn").start();
        self.workers.push(Running { number: self.orders.number, process, wakes: None });
        Ok(())
    }

    /// What a supervisor does: wakes who has slept enough, starts again who is dead; and
    /// counts what was done.
    pub(super) fn tick(&mut self) -> Result<()> {
        let now = Instant::now();
        let mut dead = Vec::new();
        for (n, worker) in self.workers.iter_mut().enumerate() {
            if worker.wakes.is_some_and(|at| at <= now) {
                worker.process.signal("CONT");
                worker.wakes = None;
                self.faults.note(Entry::now(Kind::Continued, worker.number, 0, 0));
            }
            if !worker.process.alive() {
                dead.push(n);
            }
        }
        for n in dead.into_iter().rev() {
            let mut gone = self.workers.remove(n);
            let status = gone.process.wait(Duration::from_secs(1));
            if status.code().is_some() {
                bail!("worker {} ended by itself ({status}):\n{}", gone.number, gone.process.output());
            }
            // A signal: its job killed it.
            self.note(Kind::Killed, gone.number);
            self.add_worker()?;
        }
        let size = |n| std::fs::metadata(self.dir.join(format!("worker-{n}"))).map_or(0, |meta| meta.len());
        let bytes: u64 = (1..=self.orders.number).map(size).sum();
        self.done.store(bytes / (2 * ENTRY as u64), Ordering::Relaxed);
        Ok(())
    }

    /// Goes on until there is what is looked for.
    pub(super) async fn until<T>(
        &mut self,
        what: &str,
        limit: Duration,
        look: impl Fn(&World) -> Option<T>,
    ) -> Result<T> {
        let began = Instant::now();
        loop {
            if let Some(found) = look(self) {
                return Ok(found);
            }
            ensure!(began.elapsed() < limit, "not within {limit:?}: {what}\n{}", self.said());
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.tick()?;
        }
    }

    /// The last lines of each worker.
    fn said(&self) -> String {
        let last = |worker: &Running| {
            let all = worker.process.output();
            let lines: Vec<&str> = all.lines().rev().take(3).collect();
            format!("worker {}: {}\n", worker.number, lines.join("\n  "))
        };
        self.workers.iter().map(last).collect()
    }

    /// Goes on while something else comes to its end.
    pub(super) async fn beside<T>(&mut self, other: impl Future<Output = T>) -> Result<T> {
        tokio::pin!(other);
        loop {
            tokio::select! {
                ended = &mut other => return Ok(ended),
                () = tokio::time::sleep(Duration::from_millis(20)) => self.tick()?,
            }
        }
    }

    /// One of those workers that are awake and as asked for, by chance.
    fn awake(&self, n: u64, such: impl Fn(&Running) -> bool) -> Option<usize> {
        let awake = |n: &usize| self.workers[*n].wakes.is_none() && such(&self.workers[*n]);
        let awake: Vec<usize> = (0..self.workers.len()).filter(awake).collect();
        (!awake.is_empty()).then(|| awake[n as usize % awake.len()])
    }

    /// Whether some of its runs have begun and not ended.
    fn is_amid_work(&self, worker: &Running) -> bool {
        let entries = entries(&self.dir.join(format!("worker-{}", worker.number))).unwrap_or_default();
        let begun = entries.iter().filter(|entry| entry.kind == Kind::Started).count();
        begun > entries.len() - begun
    }

    pub(super) fn kill(&mut self, n: u64) -> Result<()> {
        let Some(at) = self.awake(n, |_| true) else { return Ok(()) };
        let mut gone = self.workers.remove(at);
        self.note(Kind::Killed, gone.number);
        gone.process.kill();
        self.add_worker()
    }

    /// Stops a worker that has something to lose.
    pub(super) async fn stop_one(&mut self, n: u64, long: Duration) -> Result<()> {
        let busy = |world: &World| world.awake(n, |worker| world.is_amid_work(worker));
        let at = self.until("a worker is amid work", Duration::from_secs(60), busy).await?;
        self.note(Kind::Stopped, self.workers[at].number);
        self.workers[at].process.signal("STOP");
        self.workers[at].wakes = Some(Instant::now() + long);
        Ok(())
    }

    /// How many are stopped.
    pub(super) fn sleeping(&self) -> usize {
        self.workers.iter().filter(|worker| worker.wakes.is_some()).count()
    }

    pub(super) async fn kill_server(&mut self, away: Duration) -> Result<()> {
        self.note(Kind::Down, 0);
        if let Some(server) = &mut self.server {
            server.kill();
            tokio::time::sleep(away).await;
            tokio::task::block_in_place(|| server.restart());
        }
        self.note(Kind::Up, 0);
        self.tick()
    }

    pub(super) fn cut(&self) {
        if let Some(proxy) = &self.proxy {
            let cut = proxy.cut_somehow();
            tracing::info!(?cut, "a connection is cut");
            self.note(Kind::Cut, 0);
        }
    }

    pub(super) fn flush(&self) -> Result<()> {
        if let Some(server) = &self.server {
            server.command(&["SCRIPT", "FLUSH"])?;
        }
        Ok(())
    }

    /// The last fault is over.
    pub(super) fn calm(&self) {
        if let Some(proxy) = &self.proxy {
            proxy.cast(Spell::None);
        }
        self.note(Kind::Calm, 0);
    }

    /// How many jobs are not finished.
    pub(super) async fn open_jobs(&self) -> Result<u64> {
        let queues = self.inspector.queues().await?;
        let open = |(state, count): (&String, &u64)| match state.as_str() {
            "succeeded" | "discarded" | "cancelled" => 0,
            _ => *count,
        };
        Ok(queues.iter().flat_map(|queue| queue.counts.iter().map(open)).sum())
    }

    /// Tells the workers to stop, and waits for them.
    pub(super) async fn stop(&mut self) {
        for worker in &self.workers {
            worker.process.signal("TERM");
        }
        tokio::task::block_in_place(|| {
            for worker in &mut self.workers {
                let _ = worker.process.wait(Duration::from_secs(20));
            }
        });
        self.workers.clear();
    }

    /// Writes down what the queue says of every job.
    pub(super) async fn take_stock(&self, plan: &Plan) -> Result<()> {
        let ledger = Ledger::open(&self.dir, "queue")?;
        let mut filter = Filter { limit: 500, ..Filter::default() };
        loop {
            let page = self.inspector.search(&filter).await?;
            page.jobs.iter().for_each(|view| ledger.note(kept(view)));
            filter.cursor = page.cursor;
            if filter.cursor.is_none() {
                break;
            }
        }
        if plan.wrong == Some(Wrong::PopsBeforeRunning) {
            return Ok(());
        }
        let queues = self.inspector.queues().await?;
        let counted = queues.iter().flat_map(|queue| queue.counts.values()).sum();
        ledger.note(Entry::now(Kind::Counted, counted, 0, 0));
        // One script over everything: for a test it may take its time, up to what a client waits.
        if plan.jobs <= 100_000 {
            for found in self.inspector.backend().audit().await? {
                tracing::error!(found, "the audit");
                ledger.note(Entry::now(Kind::Audited, 0, 0, 0));
            }
        }
        Ok(())
    }
}

/// What the queue says of a job.
fn kept(view: &JobView) -> Entry {
    let payload = view.envelope.envelope().map_or("{}", |envelope| envelope.payload.get());
    let payload: serde_json::Value = serde_json::from_str(payload).unwrap_or_default();
    let kind = match view.state {
        State::Succeeded => Kind::Succeeded,
        State::Discarded => Kind::Discarded,
        State::Cancelled => Kind::Cancelled,
        _ => Kind::Open,
    };
    let result = view.result.as_ref().and_then(|result| result.get().parse().ok());
    let job = payload["n"].as_u64().unwrap_or(u64::MAX);
    Entry::now(kind, job, record(view.id), result.unwrap_or(0))
}
