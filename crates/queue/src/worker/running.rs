//! A worker that runs, and what can be asked of it.

use super::group::{Pool, check_permits};
use crate::backend::{WorkerState, WorkerView};
use crate::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How much later than three of its polls a look for work may be.
const SLACK: Duration = Duration::from_secs(2);

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
}

/// What a worker does at this moment, for `/readyz`, for its beat and for whoever steers it.
pub(super) struct Health {
    started: Instant,
    pub(super) running: AtomicUsize,
    /// Handlers that are stuck and hold a permit that was not replaced.
    pub(super) unreplaced: AtomicUsize,
    pub(super) id: String,
    pub(super) pools: Vec<Pool>,
    /// Takes no more for the time being.
    quiet: AtomicBool,
    /// A permit or a whole job came free, or something was ordered.
    pub(super) freed: Notify,
    /// Tells the usher that there are more permits, or that nobody is to wait any longer.
    pub(super) line: Arc<Notify>,
    /// A look for work that is older says nothing.
    fresh: Duration,
}

impl Running {
    /// Stops leasing, lets running jobs finish for as long as [`Worker::drain`](super::Worker::drain) allows,
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
        let _ = self.fetcher.await;
    }

    /// Fires when the worker is told to stop, also from afar ([`crate::Client::order`]): it
    /// drains by itself then, and [`Running::stop`] waits for that.
    ///
    /// ```
    /// # use legwork::{*, backend::Order}; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # async fn ping(_: Ping, _: Context<()>) -> Result<(), Failure> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let worker = Worker::new(jobs.clone(), ()).handle(ping).start().await?;
    /// jobs.order(worker.id(), &Order::Stop).await?;
    /// tokio::select! {
    ///     () = worker.stopping().cancelled() => {}
    ///     () = shutdown_signal() => {}
    /// }
    /// worker.stop().await;
    /// # Ok(()) }
    /// ```
    pub fn stopping(&self) -> &CancellationToken {
        &self.stop
    }

    /// Takes no more jobs and finishes what it holds, until [`Running::resume`]: before a
    /// deployment, say. A quiet worker is alive and not ready.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # async fn ping(_: Ping, _: Context<()>) -> Result<(), Failure> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let worker = Worker::new(jobs.clone(), ()).handle(ping).start().await?;
    /// worker.quiet();
    /// assert!(worker.is_quiet() && !worker.is_ready());
    /// worker.resume();
    /// # worker.stop().await; Ok(()) }
    /// ```
    pub fn quiet(&self) {
        self.health.set_quiet(true);
    }

    /// Ends [`Running::quiet`], shown there.
    pub fn resume(&self) {
        self.health.set_quiet(false);
    }

    /// Whether it was told to take no more, shown with [`Running::quiet`].
    pub fn is_quiet(&self) -> bool {
        self.health.is_quiet()
    }

    /// Gives a group another number of permits (1 to 10,000): more are there at once, fewer as
    /// soon as jobs have ended; none is stopped for it. Of a queue said by
    /// [`crate::Worker::queue`] the group has the queue's name.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # async fn ping(_: Ping, _: Context<()>) -> Result<(), Failure> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let worker = Worker::new(jobs.clone(), ()).handle(ping).queue("default", 4).start().await?;
    /// worker.resize("default", 8)?;
    /// assert!(worker.resize("mail", 8).unwrap_err().to_string().contains("it has default"));
    /// # worker.stop().await; Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Invalid when there is no such group, or for a number that is not allowed.
    pub fn resize(&self, group: &str, permits: usize) -> Result<()> {
        self.health.resize(group, permits)
    }

    /// Whether each group's last look for work succeeded within the last 5 s (or, of a group
    /// that is full, a word with the backend): one that is up and no longer consumes is not
    /// ready, nor is one that has not looked yet, nor one that is quiet or stops, nor one with
    /// more stuck handlers than [`crate::Worker::max_stuck`].
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
    pub(super) fn new(id: String, poll: Duration, pools: Vec<Pool>) -> Health {
        Health {
            started: Instant::now(),
            running: AtomicUsize::new(0),
            unreplaced: AtomicUsize::new(0),
            id,
            pools,
            quiet: AtomicBool::new(false),
            freed: Notify::new(),
            line: Arc::default(),
            fresh: poll * 3 + SLACK,
        }
    }

    /// A look for work on behalf of these groups has succeeded.
    pub(super) fn polled<'a>(&self, pools: impl Iterator<Item = &'a Pool>) {
        let now = self.started.elapsed().as_millis() as i64;
        pools.for_each(|pool| pool.polled.store(now, Ordering::Relaxed));
    }

    pub(super) fn is_ready(&self) -> bool {
        let now = self.started.elapsed().as_millis() as i64;
        let fresh = |at: i64| at >= 0 && now - at < self.fresh.as_millis() as i64;
        !self.is_quiet()
            && self.unreplaced.load(Ordering::Relaxed) == 0
            && self.pools.iter().all(|pool| fresh(pool.polled_ms()))
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.quiet.load(Ordering::SeqCst)
    }

    pub(super) fn set_quiet(&self, quiet: bool) {
        self.quiet.store(quiet, Ordering::SeqCst);
        self.freed.notify_waiters();
    }

    pub(super) fn resize(&self, group: &str, permits: usize) -> Result<()> {
        check_permits(group, permits)?;
        let Some(pool) = self.pools.iter().find(|pool| pool.name == group) else {
            let all: Vec<_> = self.pools.iter().map(|pool| pool.name.as_str()).collect();
            let line = format!("group: this worker has none named {group:?}; it has {}", all.join(", "));
            return Err(Error::invalid(line));
        };
        pool.permits.resize(permits);
        self.line.notify_one();
        self.freed.notify_waiters();
        Ok(())
    }

    /// The worker as it stands, on the ground of what never changes.
    pub(super) fn view(&self, ground: &WorkerView) -> WorkerView {
        WorkerView {
            running: self.running.load(Ordering::Relaxed),
            groups: self.pools.iter().map(Pool::view).collect(),
            state: if self.is_quiet() { WorkerState::Quiet } else { WorkerState::Running },
            // One that has only just begun has not failed to look yet.
            ready: self.is_ready() || self.started.elapsed() < self.fresh,
            ..ground.clone()
        }
    }
}
