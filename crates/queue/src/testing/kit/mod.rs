//! What users test their jobs with. `run` drives workers, `time` the clock, `crash` kills,
//! `expect` looks at what is enqueued.

mod crash;
mod expect;
mod inline;
mod ran;
mod run;
mod time;

pub use expect::{Expect, Found};
pub(crate) use inline::Around;
pub use ran::{Drained, Performed, Ran};

use crate::backend::Backend;
use crate::{Client, ClientOptions, Clock, Job, ManualClock, Result, Worker};
use run::{Host, Hosted, Process};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// Where the clock of a kit begins: 15 January 2027, 08:00 UTC.
const START_MS: i64 = 1_800_000_000_000;
/// The queue in which [`TestKit::perform`] runs its job alone.
const ALONE: &str = "testkit.alone";

/// A queue, a clock and workers that do what a test says, and nothing else: the real backend
/// (SQLite in memory) and the real worker's path for every attempt, without daemons, without
/// waiting, and all on the test's own task.
///
/// ```
/// use legwork::testing::TestKit;
/// use legwork::{*, assert_enqueued};
/// # use serde::{Serialize, Deserialize};
/// #[derive(Serialize, Deserialize)]
/// struct SendMail { to: String }
/// # impl Job for SendMail { const NAME: &'static str = "mail.send"; type Output = usize; }
/// async fn send_mail(job: SendMail, _: Context<()>) -> Result<usize, Failure> { Ok(job.to.len()) }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// let kit = TestKit::new().await.worker(|jobs| Worker::new(jobs, ()).handle(send_mail));
/// kit.client().enqueue(SendMail { to: "a@b".into() }).await?;
/// assert_enqueued!(kit, SendMail, |job| job.to == "a@b", count = 1);
/// assert_eq!(kit.drain().await.names(), ["mail.send"]);
/// # Ok(()) }
/// ```
///
/// Its methods panic, with what there is to know, where something goes wrong that is not what
/// a test is about: a backend that fails, a worker that does not start.
#[derive(Clone)]
pub struct TestKit {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    clock: ManualClock,
    real: Arc<dyn Backend>,
    client: Client,
    hosts: Mutex<Vec<Arc<dyn Hosted>>>,
    /// What the workers live in: killed and begun anew together.
    process: Mutex<Arc<Process>>,
    #[cfg(feature = "cron")]
    schedules: tokio::sync::Mutex<Vec<(crate::Scheduler, Vec<i64>)>>,
    /// Every attempt, in the order in which they ended.
    log: Mutex<Vec<Ran>>,
    crashes: AtomicUsize,
    /// As many attempts may one drain have.
    most: AtomicUsize,
    inline: std::sync::OnceLock<()>,
}

impl TestKit {
    /// A kit with an empty queue in memory, and no worker yet.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// let kit = legwork::testing::TestKit::new().await;
    /// kit.client().enqueue_raw("a.job", "{}").await?;
    /// # Ok(()) }
    /// ```
    pub async fn new() -> TestKit {
        TestKit::on("sqlite::memory:").await.unwrap_or_else(|e| panic!("the test kit: {e}"))
    }

    /// A kit on a backend of one's own: `redis://host?ns=test-…` (only such a namespace takes
    /// its time from a test), or a file of SQLite.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// let kit = legwork::testing::TestKit::on("sqlite::memory:").await?;
    /// # let _ = kit;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn on(url: &str) -> Result<TestKit> {
        let clock = ManualClock::new(START_MS);
        let client = Client::connect_with(url, options(&clock)).await?;
        let real = client.backend().clone();
        let process = Mutex::new(Arc::new(Process::new(&real, &clock)));
        let shared = Shared {
            clock,
            real,
            client,
            hosts: Mutex::default(),
            process,
            #[cfg(feature = "cron")]
            schedules: tokio::sync::Mutex::default(),
            log: Mutex::default(),
            crashes: AtomicUsize::new(0),
            most: AtomicUsize::new(10_000),
            inline: std::sync::OnceLock::new(),
        };
        Ok(TestKit { shared: Arc::new(shared) })
    }

    /// Adds a worker: how it is built, because after a crash it is built again, with a client
    /// of its own, as a new process would.
    ///
    /// ```
    /// # use legwork::{*, testing::TestKit}; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # async fn ping(_: Ping, _: Context<Client>) -> Result<(), Failure> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// let kit = TestKit::new().await.worker(|jobs| Worker::new(jobs.clone(), jobs).handle(ping));
    /// # let _ = kit;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn worker<S: Clone + Send + Sync + 'static>(
        self,
        build: impl Fn(Client) -> Worker<S> + Send + Sync + 'static,
    ) -> TestKit {
        lock(&self.shared.hosts).push(Arc::new(Host::new(build)));
        self
    }

    /// The test's client.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// let kit = legwork::testing::TestKit::new().await;
    /// assert!(kit.client().queues().await?.is_empty());
    /// # Ok(()) }
    /// ```
    pub fn client(&self) -> &Client {
        &self.shared.client
    }

    /// The clock by which everything decides; [`TestKit::advance`] moves it and does what is
    /// due on the way.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let kit = legwork::testing::TestKit::new().await;
    /// assert_eq!(kit.clock().now_ms(), 1_800_000_000_000);
    /// # }
    /// ```
    pub fn clock(&self) -> &ManualClock {
        &self.shared.clock
    }

    /// Enqueues this job, apart from all others, runs one attempt of it, and says how it went.
    ///
    /// ```
    /// # use legwork::{*, testing::TestKit}; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Half { of: u32 }
    /// # impl Job for Half { const NAME: &'static str = "half"; type Output = u32; }
    /// async fn half(job: Half, _: Context<()>) -> Result<u32, Failure> {
    ///     if job.of % 2 == 0 { Ok(job.of / 2) } else { Err("odd".into()) }
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let kit = TestKit::new().await.worker(|jobs| Worker::new(jobs, ()).handle(half));
    /// assert_eq!(kit.perform(Half { of: 8 }).await.output(), 4);
    /// let odd = kit.perform(Half { of: 7 }).await;
    /// assert_eq!((odd.state, odd.error.as_deref()), (State::Retryable, Some("odd")));
    /// # }
    /// ```
    ///
    /// # Panics
    /// When no worker of the kit handles it, or something keeps it from running: a serial key
    /// or a limit that is taken, a pause.
    pub async fn perform<J: Job>(&self, job: J) -> Performed<J> {
        // Not the kit's client: inline mode would run it at once, and others with it.
        let apart = Client::over(self.shared.real.clone(), options(&self.shared.clock));
        let receipt = apart.enqueue(job).queue(ALONE).await;
        let id = receipt.unwrap_or_else(|e| panic!("{} is not enqueued: {e}", J::NAME)).id;
        self.run_one(id).await;
        let ran = lock(&self.shared.log).iter().rev().find(|ran| ran.id == id).cloned();
        match ran {
            Some(ran) => Performed::new(ran),
            None => panic!("{} did not run: {}", J::NAME, self.why(id).await),
        }
    }

    /// A drain that takes more attempts than this panics: a job that enqueues itself for ever
    /// ends a test so. 10,000 unless said.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let kit = legwork::testing::TestKit::new().await.at_most(100);
    /// # let _ = kit;
    /// # }
    /// ```
    #[must_use]
    pub fn at_most(self, attempts: usize) -> TestKit {
        self.shared.most.store(attempts, Ordering::Relaxed);
        self
    }

    /// Every attempt so far, in the order in which they ended: also those of inline mode. One
    /// in which the process died is not told, because nobody was there to tell.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// assert!(legwork::testing::TestKit::new().await.ran().is_empty());
    /// # }
    /// ```
    pub fn ran(&self) -> Drained {
        Drained(lock(&self.shared.log).clone())
    }

    /// How many times the workers' process has been killed.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// assert_eq!(legwork::testing::TestKit::new().await.crashes(), 0);
    /// # }
    /// ```
    pub fn crashes(&self) -> usize {
        self.shared.crashes.load(Ordering::SeqCst)
    }

    async fn why(&self, id: crate::JobId) -> String {
        match self.shared.real.get(id, false).await {
            Ok(Some(job)) => {
                format!("it is {}{}", job.state, if job.parked { ", no worker handles it" } else { "" })
            }
            Ok(None) => "it is gone".into(),
            Err(e) => e.to_string(),
        }
    }
}

fn options(clock: &ManualClock) -> ClientOptions {
    ClientOptions { clock: Clock::Manual(clock.clone()), ..ClientOptions::default() }
}

/// A test that panicked elsewhere must not hide why.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
