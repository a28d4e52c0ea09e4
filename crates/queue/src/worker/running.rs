//! A worker that runs, and what can be asked of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// A worker that runs. Dropping it stops nothing; call [`Running::stop`].
///
/// ```
/// # use legwork::*; use serde::{Serialize, Deserialize};
/// # #[derive(Serialize, Deserialize)] struct Ping;
/// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
/// # async fn ping(_: Ping, _: Context<()>) -> Result<(), Failure> { Ok(()) }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// let worker = Worker::new(jobs.clone(), ()).handle(ping).start().await?;
/// let id = jobs.enqueue(Ping).await?.id;
/// jobs.wait::<Ping>(id).await?;
/// worker.stop().await;
/// # Ok(()) }
/// ```
pub struct Running {
    pub(super) stop: CancellationToken,
    pub(super) abort: CancellationToken,
    pub(super) fetcher: tokio::task::JoinHandle<()>,
    pub(super) health: Arc<Health>,
    pub(super) drain: Duration,
}

/// What a worker does at this moment, for `/readyz` and `/metrics`.
#[derive(Debug)]
pub(super) struct Health {
    started: Instant,
    /// Milliseconds after `started` of the last lease call that succeeded; -1 for never.
    polled: AtomicI64,
    pub(super) running: AtomicUsize,
    /// Handlers that are stuck and hold a permit that was not replaced.
    pub(super) unreplaced: AtomicUsize,
    poll: Duration,
    pub(super) id: String,
}
impl Running {
    /// Stops leasing, lets running jobs finish for as long as [`Worker::drain`] allows,
    /// hands the rest back without an attempt spent, and returns when all is settled.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # async fn ping(_: Ping, _: Context<()>) -> Result<(), Failure> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let worker = Worker::new(jobs.clone(), ()).handle(ping).start().await?;
    /// worker.stop().await;
    /// assert!(jobs.workers().await?.is_empty());
    /// # Ok(()) }
    /// ```
    pub async fn stop(self) {
        self.stop.cancel();
        let mut fetcher = self.fetcher;
        if tokio::time::timeout(self.drain, &mut fetcher).await.is_err() {
            self.abort.cancel();
            let _ = fetcher.await;
        }
    }

    /// Whether a look for work succeeded within the last 10 s (or, of a worker that is full, a
    /// word with the backend): one that is up and no longer consumes is not ready, nor is one
    /// that has not looked yet, nor one with more stuck handlers than [`Worker::max_stuck`].
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # async fn ping(_: Ping, _: Context<()>) -> Result<(), Failure> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let worker = Worker::new(jobs.clone(), ()).handle(ping).start().await?;
    /// let id = jobs.enqueue(Ping).await?.id;
    /// jobs.wait::<Ping>(id).await?;
    /// assert!(worker.is_ready());
    /// # worker.stop().await; Ok(()) }
    /// ```
    pub fn is_ready(&self) -> bool {
        self.health.is_ready()
    }

    /// A question that outlives this handle: whether the worker is ready.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # async fn ping(_: Ping, _: Context<()>) -> Result<(), Failure> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let worker = Worker::new(jobs, ()).handle(ping).start().await?;
    /// let ready = worker.readiness();
    /// let readyz = move || if ready() { 200 } else { 503 };
    /// # readyz();
    /// # worker.stop().await; Ok(()) }
    /// ```
    pub fn readiness(&self) -> impl Fn() -> bool + Clone + Send + Sync + 'static {
        let health = self.health.clone();
        move || health.is_ready()
    }

    /// The worker's id, unique to this start.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # async fn ping(_: Ping, _: Context<()>) -> Result<(), Failure> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let worker = Worker::new(jobs.clone(), ()).handle(ping).start().await?;
    /// assert_eq!(jobs.workers().await?[0].id, worker.id());
    /// # worker.stop().await; Ok(()) }
    /// ```
    pub fn id(&self) -> &str {
        &self.health.id
    }

    /// How many jobs it runs right now.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # async fn ping(_: Ping, _: Context<()>) -> Result<(), Failure> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let worker = Worker::new(jobs, ()).handle(ping).start().await?;
    /// assert_eq!(worker.running(), 0);
    /// # worker.stop().await; Ok(()) }
    /// ```
    pub fn running(&self) -> usize {
        self.health.running.load(Ordering::Relaxed)
    }
}

impl Health {
    pub(super) fn new(id: String, poll: Duration) -> Health {
        let (polled, running, unreplaced) = (AtomicI64::new(-1), AtomicUsize::new(0), AtomicUsize::new(0));
        Health { started: Instant::now(), polled, running, unreplaced, poll, id }
    }

    pub(super) fn polled(&self) {
        self.polled.store(self.started.elapsed().as_millis() as i64, Ordering::Relaxed);
    }

    fn is_ready(&self) -> bool {
        let at = self.polled.load(Ordering::Relaxed);
        let limit = (self.poll * 10).as_millis() as i64;
        at >= 0
            && self.unreplaced.load(Ordering::Relaxed) == 0
            && self.started.elapsed().as_millis() as i64 - at < limit
    }
}
