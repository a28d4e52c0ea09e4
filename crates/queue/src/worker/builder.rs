//! A worker about to start: what it handles, which queues it serves, how it keeps time.

use super::blocking::Threads;
use super::group::{Group, Pool};
use super::handler::Handler;
use super::held::Held;
use super::running::{Health, Running};
use super::shutdown::shutdown_signal;
use super::{Engine, Lane, Prepared, Settings, heartbeat, lease, settle};
use crate::backend::{Definition, WorkerView};
use crate::middleware::Middleware;
use crate::{Client, Context, Error, Failure, Job, Result};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How many jobs of a queue run at a time unless [`Worker::queue`] says otherwise.
const CONCURRENCY: usize = 16;

/// A worker about to start: say what it handles and which queues it serves.
///
/// ```
/// # use legwork::*; use serde::{Serialize, Deserialize};
/// # #[derive(Serialize, Deserialize)] struct Ping;
/// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
/// # async fn ping(_: Ping, _: Context<()>) -> Result<(), Failure> { Ok(()) }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// let worker = Worker::new(jobs, ()).handle(ping).queue("default", 4);
/// worker.run_until(async {}).await?;
/// # Ok(()) }
/// ```
#[must_use = "a worker runs when it is started"]
pub struct Worker<S = ()> {
    client: Client,
    state: S,
    handlers: HashMap<String, Handler<S>>,
    groups: Vec<Group>,
    pub(super) mistake: Option<Error>,
    settings: Settings,
    pub(super) threads: Arc<Threads>,
    pub(super) blocking: Option<usize>,
    #[cfg(unix)]
    pub(super) children: Arc<super::isolated::Children>,
}

impl<S: Clone + Send + Sync + 'static> Worker<S> {
    /// A worker for the jobs of `client`; `state` is what handlers share, cloned for each
    /// attempt: make it an `Arc` where that is not cheap.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let worker = Worker::new(jobs, "shared state").handle(|_: Ping, cx: Context<&str>| async move {
    ///     assert_eq!(*cx.state(), "shared state");
    ///     Ok(())
    /// });
    /// worker.run_until(async {}).await?;
    /// # Ok(()) }
    /// ```
    pub fn new(client: Client, state: S) -> Worker<S> {
        let settings = Settings {
            lease: Duration::from_secs(15),
            drain: Duration::from_secs(25),
            beat: Duration::from_secs(5),
            poll: Duration::from_secs(1),
            maintain: true,
            max_stuck: None,
        };
        Worker {
            client,
            state,
            handlers: HashMap::new(),
            groups: Vec::new(),
            mistake: None,
            settings,
            threads: Arc::new(Threads::new()),
            blocking: None,
            #[cfg(unix)]
            children: Arc::default(),
        }
    }

    /// Adds a handler: any `async fn(payload, Context<S>) -> Result<Output, Failure>`. A panic
    /// in it counts as a failed attempt and leaves the worker whole. An output of more than
    /// 1 MiB of JSON is not kept. A name outside the grammar, or handled twice, fails the start.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # async fn ping(_: Ping, _: Context<()>) -> Result<(), Failure> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let twice = Worker::new(jobs, ()).handle(ping).handle(ping).start().await;
    /// let Err(error) = twice else { panic!("started") };
    /// assert!(error.to_string().contains("handled twice"));
    /// # Ok(()) }
    /// ```
    pub fn handle<J, F, Fut>(self, handler: F) -> Worker<S>
    where
        J: Job,
        F: Fn(J, Context<S>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<J::Output, Failure>> + Send + 'static,
    {
        self.add::<J>(Handler::new::<J, F, Fut>(handler))
    }

    pub(super) fn add<J: Job>(mut self, handler: Handler<S>) -> Worker<S> {
        if let Err(e) = crate::check_job_name(J::NAME) {
            self.mistake.get_or_insert(e);
        }
        if self.handlers.insert(J::NAME.into(), handler).is_some() {
            let line = format!("worker: the job name {:?} is handled twice", J::NAME);
            self.mistake.get_or_insert(Error::invalid(line));
        }
        self
    }

    /// Serves a queue with this many jobs at a time (1 to 10,000). Without any call a
    /// worker serves the queues of its handlers' policies, 16 jobs at a time each. A name
    /// outside the grammar, or said twice, and a number out of range fail the start.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # async fn ping(_: Ping, _: Context<()>) -> Result<(), Failure> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let worker = Worker::new(jobs, ()).handle(ping).queue("default", 4).queue("mail", 1);
    /// worker.run_until(async {}).await?;
    /// # Ok(()) }
    /// ```
    pub fn queue(self, queue: &str, concurrency: usize) -> Worker<S> {
        self.group(Group::strict(queue, concurrency, [queue]))
    }

    /// Serves several queues with one number of permits: in strict order, or in shares by
    /// weight. Each group has permits of its own, so that a flood in one leaves the others
    /// alone. A queue belongs to one group; [`Worker::queue`] makes a group of one, named as
    /// its queue. A mistake in a group fails the start.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # async fn ping(_: Ping, _: Context<()>) -> Result<(), Failure> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let worker = Worker::new(jobs, ())
    ///     .handle(ping)
    ///     .group(Group::strict("mail", 8, ["password", "newsletter"]))
    ///     .group(Group::weighted("io", 32, [("high", 6), ("default", 3), ("low", 1)]))
    ///     .queue("reports", 1);
    /// worker.run_until(async {}).await?;
    /// # Ok(()) }
    /// ```
    pub fn group(mut self, group: Group) -> Worker<S> {
        if let Err(e) = group.check(&self.groups) {
            self.mistake.get_or_insert(e);
        }
        self.groups.push(group);
        self
    }

    /// How long a lease lasts (15 s by default, 500 ms at least); it is renewed every
    /// third. A dead worker's jobs run again after a lease and a sweep of 2 s at most.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # async fn ping(_: Ping, _: Context<()>) -> Result<(), Failure> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let worker = Worker::new(jobs, ()).handle(ping).lease(std::time::Duration::from_secs(30));
    /// worker.run_until(async {}).await?;
    /// # Ok(()) }
    /// ```
    pub fn lease(mut self, lease: Duration) -> Worker<S> {
        self.settings.lease = lease.max(Duration::from_millis(500));
        self.settings.beat = self.settings.beat.min(self.settings.lease / 2);
        self
    }

    /// How long running jobs may go on after the worker was told to stop (25 s by
    /// default); what is unfinished then is handed back without an attempt spent.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # async fn ping(_: Ping, _: Context<()>) -> Result<(), Failure> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let worker = Worker::new(jobs, ()).handle(ping).drain(std::time::Duration::from_secs(5));
    /// worker.run_until(async {}).await?;
    /// # Ok(()) }
    /// ```
    pub fn drain(mut self, drain: Duration) -> Worker<S> {
        self.settings.drain = drain;
        self
    }

    /// How many handlers of a queue may be stuck and have their permits replaced (as many as
    /// the queue has permits, by default). A handler that blocks its thread cannot be ended:
    /// when its time is over its job is settled without it, and another may run. Beyond this
    /// number nothing is replaced, and the worker is not ready any more.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # async fn ping(_: Ping, _: Context<()>) -> Result<(), Failure> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let worker = Worker::new(jobs, ()).handle(ping).max_stuck(2);
    /// worker.run_until(async {}).await?;
    /// # Ok(()) }
    /// ```
    pub fn max_stuck(mut self, permits: usize) -> Worker<S> {
        self.settings.max_stuck = Some(permits);
        self
    }

    /// Whether this worker also promotes, reaps and prunes; it does by default. In every
    /// namespace somebody must: a worker, or [`crate::maintain::run`] beside it.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # async fn ping(_: Ping, _: Context<()>) -> Result<(), Failure> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let worker = Worker::new(jobs, ()).handle(ping).maintain(false);
    /// worker.run_until(async {}).await?;
    /// # Ok(()) }
    /// ```
    pub fn maintain(mut self, maintain: bool) -> Worker<S> {
        self.settings.maintain = maintain;
        self
    }

    /// One more middleware inside of the client's: around what this worker runs, and what its
    /// handlers enqueue with [`Context::client`].
    ///
    /// ```
    /// # use legwork::{*, middleware::*}; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # async fn ping(_: Ping, _: Context<()>) -> Result<(), Failure> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let worker = Worker::new(jobs, ()).handle(ping).with(TraceContext::new());
    /// worker.run_until(async {}).await?;
    /// # Ok(()) }
    /// ```
    pub fn with(mut self, middleware: impl Middleware) -> Worker<S> {
        self.client = self.client.with(middleware);
        self
    }

    /// Starts the worker on the current runtime.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # async fn ping(_: Ping, _: Context<()>) -> Result<(), Failure> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let worker = Worker::new(jobs, ()).handle(ping).start().await?;
    /// # worker.stop().await; Ok(()) }
    /// ```
    ///
    /// # Errors
    /// A mistake in the worker's building (no handler, a name handled twice, a bad queue), or a
    /// backend that cannot be reached.
    pub async fn start(self) -> Result<Running> {
        let (engine, inbox, view) = self.prepare().await?;
        let (stop, abort) = (CancellationToken::clone(&engine.stop), engine.abort.clone());
        let health = engine.health.clone();
        let beating = heartbeat::start(&engine, view)?;
        let settler = tokio::spawn(settle::daemon(engine.clone(), inbox));
        let fetcher = tokio::spawn(lease::daemon(engine, settler, beating));
        Ok(Running { stop, abort, fetcher, health })
    }

    /// Checks what was said, shows the first sign of life, and builds what the daemons share.
    pub(super) async fn prepare(mut self) -> Result<Prepared<S>> {
        if let Some(mistake) = self.mistake.take() {
            return Err(mistake);
        }
        if self.handlers.is_empty() {
            return Err(Error::invalid("worker: needs at least one handler; add one with handle"));
        }
        if self.groups.is_empty() {
            let mut queues: Vec<_> = self.definitions().into_iter().map(|d| d.policy.queue).collect();
            queues.sort();
            queues.dedup();
            let permits = |queue: &String| self.largest_batch(queue).unwrap_or(0).max(CONCURRENCY);
            self.groups = queues.iter().map(|q| Group::strict(q, permits(q), [q.as_str()])).collect();
        }
        self.check_batches()?;
        let permits: usize = self.groups.iter().map(|group| group.permits).sum();
        self.threads.resize(self.blocking.unwrap_or(permits));
        #[cfg(unix)]
        if super::isolated::is_child() {
            super::isolated::serve(self.client, self.state, self.handlers).await
        }
        self.warn_of_unserved();
        let mut view = self.view();
        let backend = self.client.backend().clone();
        view.started_ms = backend.now().await?;
        let (lanes, pools) = self.lanes();
        let health = Arc::new(Health::new(view.id.clone(), self.settings.poll, pools));
        let (settles, inbox) = mpsc::channel(4_096);
        #[cfg(feature = "metrics")]
        let client = self.client.around_with(crate::middleware::Metrics);
        #[cfg(not(feature = "metrics"))]
        let client = self.client;
        let engine = Arc::new(Engine {
            client,
            backend,
            state: self.state,
            handlers: self.handlers,
            lanes: lanes.into(),
            held: Arc::new(Held::telling(health.line.clone())),
            settles,
            health,
            settings: self.settings,
            stop: Arc::default(),
            abort: CancellationToken::new(),
            threads: self.threads,
        });
        engine.backend.beat(&engine.health.view(&view)).await?;
        Ok((engine, inbox, view))
    }

    /// Starts the worker, runs until `shutdown` is ready or it is ordered to stop, then drains.
    /// A second SIGTERM or Ctrl-C while it drains ends it at once.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # async fn ping(_: Ping, _: Context<()>) -> Result<(), Failure> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let id = jobs.enqueue(Ping).await?.id;
    /// let worker = Worker::new(jobs.clone(), ()).handle(ping);
    /// worker.run_until(async { jobs.wait::<Ping>(id).await.unwrap(); }).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Worker::start`].
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> Result<()> {
        let running = self.start().await?;
        tokio::select! { () = shutdown => {}, () = running.stop.cancelled() => {} }
        let abort = running.abort.clone();
        tokio::select! {
            () = running.stop() => {}
            () = async { shutdown_signal().await; abort.cancel(); std::future::pending().await } => {}
        }
        Ok(())
    }

    /// Serves a queue with as many jobs at a time as there may be: one that waits for another
    /// on the same task would otherwise wait for ever.
    #[cfg(feature = "testing")]
    pub(super) fn serve_inline(&mut self, extra: &str) {
        let said = self.groups.iter().flat_map(|group| group.queues.iter().map(|(queue, _)| queue.clone()));
        let mut queues: Vec<String> = said.collect();
        if queues.is_empty() {
            queues = self.definitions().into_iter().map(|d| d.policy.queue).collect();
            queues.sort();
            queues.dedup();
        }
        queues.push(extra.into());
        self.groups = queues.iter().map(|q| Group::strict(q, 10_000, [q.as_str()])).collect();
    }

    fn definitions(&self) -> Vec<Definition> {
        let mut all: Vec<_> = self.handlers.values().map(|h| h.definition.clone()).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    fn largest_batch(&self, queue: &str) -> Option<usize> {
        let its = self.handlers.values().filter(|h| h.definition.policy.queue == queue);
        its.filter_map(|h| h.batch).max()
    }

    /// Each member of a batch holds a permit: with fewer it would never be full.
    fn check_batches(&self) -> Result<()> {
        for group in &self.groups {
            for (queue, _) in &group.queues {
                if let Some(size) = self.largest_batch(queue).filter(|size| *size > group.permits) {
                    let Group { name, permits, .. } = group;
                    let line = format!(
                        "batch size: {size} is more than the {permits} permits of group {name}; each member needs one"
                    );
                    return Err(Error::invalid(line));
                }
            }
        }
        Ok(())
    }

    fn lanes(&self) -> (Vec<Lane>, Vec<Pool>) {
        let (mut lanes, mut pools) = (Vec::new(), Vec::new());
        for group in &self.groups {
            let first = lanes.len();
            let gathers = |queue: &String| {
                let mut its =
                    self.handlers.values().filter(|h| h.definition.policy.queue == *queue).peekable();
                its.peek().is_some() && its.all(|h| h.batch.is_some())
            };
            let lane = |(queue, _): &(String, u32)| Lane::new(queue, pools.len(), gathers(queue));
            lanes.extend(group.queues.iter().map(lane));
            pools.push(Pool::new(group, first..lanes.len()));
        }
        (lanes, pools)
    }

    fn view(&self) -> WorkerView {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        WorkerView {
            id: crate::JobId::new().to_string(),
            host: host.trim().into(),
            pid: std::process::id(),
            definitions: self.definitions(),
            ..WorkerView::default()
        }
    }

    fn warn_of_unserved(&self) {
        for definition in self.definitions() {
            let queue = &definition.policy.queue;
            if !self.groups.iter().flat_map(|g| &g.queues).any(|(name, _)| name == queue) {
                tracing::warn!(
                    name = definition.name,
                    queue,
                    "this worker handles the name but does not serve its queue"
                );
            }
        }
    }
}
