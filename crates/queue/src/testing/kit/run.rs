//! Workers on the test's own task.

use super::{ALONE, Drained, Ran, Shared, TestKit, inline, lock, options};
use crate::backend::Backend;
use crate::testing::faulty::FaultyBackend;
use crate::worker::Inline;
use crate::{Client, JobId, ManualClock, Result, Worker};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a sweep grants after an outage; there is none here.
const LEASE_MS: i64 = 15_000;

/// What the workers live in, until it is killed.
pub(super) struct Process {
    pub(super) faulty: Arc<FaultyBackend>,
    client: Client,
}

impl Process {
    pub(super) fn new(real: &Arc<dyn Backend>, clock: &ManualClock) -> Process {
        let faulty = Arc::new(FaultyBackend::new(real.clone()));
        Process { client: Client::over(faulty.clone(), options(clock)), faulty }
    }
}

type Step<'a> = Pin<Box<dyn Future<Output = Result<Option<Ran>>> + Send + 'a>>;

/// A worker of any state.
pub(super) trait Hosted: Send + Sync {
    /// Runs one job, if there is one.
    fn step<'a>(&'a self, client: &'a Client, queue: Option<&'a str>) -> Step<'a>;
    /// It died with its process. Returns how long its leases last.
    fn died(&self) -> Duration;
}

/// How a worker is built, and the one that runs.
pub(super) struct Host<S> {
    build: Box<dyn Fn(Client) -> Worker<S> + Send + Sync>,
    running: Mutex<Option<Arc<Inline<S>>>>,
}

impl<S> Host<S> {
    pub(super) fn new(build: impl Fn(Client) -> Worker<S> + Send + Sync + 'static) -> Host<S> {
        Host { build: Box::new(build), running: Mutex::new(None) }
    }
}

impl<S: Clone + Send + Sync + 'static> Hosted for Host<S> {
    fn step<'a>(&'a self, client: &'a Client, queue: Option<&'a str>) -> Step<'a> {
        Box::pin(async move {
            let running = lock(&self.running).clone();
            let worker = match running {
                Some(worker) => worker,
                None => {
                    let new = Arc::new(Inline::new((self.build)(client.clone()), ALONE).await?);
                    lock(&self.running).insert(new).clone()
                }
            };
            Ok(worker.step(queue).await?.map(Ran::of))
        })
    }

    fn died(&self) -> Duration {
        lock(&self.running).take().map_or(Duration::ZERO, |worker| worker.lease())
    }
}

impl Shared {
    fn process(&self) -> Arc<Process> {
        lock(&self.process).clone()
    }

    pub(super) fn faulty(&self) -> Arc<FaultyBackend> {
        self.process().faulty.clone()
    }

    /// Runs one job of any worker; whether there was one.
    async fn step(&self, queue: Option<&str>) -> Result<bool> {
        let hosts = lock(&self.hosts).clone();
        let process = self.process();
        for host in hosts {
            if let Some(ran) = host.step(&process.client, queue).await? {
                lock(&self.log).push(ran);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Runs jobs until none is available. Jobs that others run inline do so on the same task,
    /// inside: only the outermost call sees a death, and begins the process anew.
    pub(super) async fn run(self: &Arc<Self>, queue: Option<&str>, most: usize) -> Result<usize> {
        let mut count = 0;
        self.due().await?;
        while count < most {
            let process = self.process();
            let died = process.faulty.died.clone();
            let step = inline::deeper(self.step(queue));
            let ran = if inline::depth() > 0 {
                step.await?
            } else {
                tokio::select! {
                    biased;
                    ran = step => ran?,
                    () = died.cancelled() => {
                        self.restart().await?;
                        continue;
                    }
                }
            };
            count += usize::from(ran);
            // What failed may be due again at once.
            if !ran && !self.due().await? {
                break;
            }
        }
        Ok(count)
    }

    /// As `run`, to the end; more attempts than there may be are somebody's mistake.
    pub(super) async fn run_all(self: &Arc<Self>) -> Result<()> {
        let most = self.most.load(Ordering::Relaxed);
        let count = self.run(None, most).await?;
        assert!(count < most, "{most} attempts, and there is more: does a job enqueue itself for ever?");
        Ok(())
    }

    /// After a crash: another process, when the leases of the dead one are over.
    async fn restart(self: &Arc<Self>) -> Result<()> {
        self.crashes.fetch_add(1, Ordering::SeqCst);
        let leases = lock(&self.hosts).iter().map(|host| host.died()).max().unwrap_or_default();
        let process = Arc::new(Process::new(&self.real, &self.clock));
        if self.inline.get().is_some() {
            inline::surround(&process.client, self);
        }
        *lock(&self.process) = process;
        self.clock.advance(leases + Duration::from_millis(1));
        self.due().await?;
        Ok(())
    }

    pub(super) fn surround_all(self: &Arc<Self>) {
        inline::surround(&self.client, self);
        inline::surround(&self.process().client, self);
    }

    /// What the daemons of a worker would do at this instant: leases that are over are taken
    /// back, and what is due becomes available. Whether anything was.
    pub(super) async fn due(&self) -> Result<bool> {
        let mut count = 0;
        loop {
            let more =
                self.real.reap(100, false, LEASE_MS).await?.len() + self.real.promote(500).await?.count;
            if more == 0 {
                return Ok(count > 0);
            }
            count += more;
        }
    }
}

impl TestKit {
    /// Runs what is available, with what that enqueues, until nothing is left that is due, and
    /// says what ran.
    ///
    /// ```
    /// # use legwork::{*, testing::TestKit}; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Down { n: u32 }
    /// # impl Job for Down { const NAME: &'static str = "down"; type Output = (); }
    /// async fn down(job: Down, cx: Context<()>) -> Result<(), Failure> {
    ///     if job.n > 0 { cx.client().enqueue(Down { n: job.n - 1 }).await?; }
    ///     Ok(())
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// let kit = TestKit::new().await.worker(|jobs| Worker::new(jobs, ()).handle(down));
    /// kit.client().enqueue(Down { n: 2 }).await?;
    /// assert_eq!(kit.drain().await.len(), 3);
    /// # Ok(()) }
    /// ```
    ///
    /// # Panics
    /// After 10,000 attempts ([`TestKit::at_most`]): somebody enqueues for ever.
    pub async fn drain(&self) -> Drained {
        let from = lock(&self.shared.log).len();
        self.shared.run_all().await.unwrap_or_else(|e| panic!("the test kit: {e}"));
        Drained(lock(&self.shared.log)[from..].to_vec())
    }

    /// Runs the one job that stands alone.
    pub(super) async fn run_one(&self, id: JobId) {
        loop {
            if lock(&self.shared.log).iter().any(|ran| ran.id == id) {
                return;
            }
            let ran = self.shared.run(Some(ALONE), 1).await;
            if ran.unwrap_or_else(|e| panic!("the test kit: {e}")) == 0 {
                return;
            }
        }
    }
}
