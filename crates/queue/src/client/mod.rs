//! What enqueues, inspects and controls. One file a concern:
//! `enqueue` the builder, `driver` the natural batching, `control` and `inspect`.

mod control;
mod driver;
mod enqueue;
mod inbox;
mod inspect;
mod labels;
mod limits;
mod orders;
mod search;
mod versions;
mod wait;

pub use enqueue::{Enqueue, Receipt};
pub use inspect::{Lookup, Snapshot};
pub use limits::LimitRef;
pub use search::{Acted, ErrorGroup};
pub use versions::{VersionView, Versions};
pub use wait::WaitError;

pub(crate) use driver::{patiently, persistently};
pub(crate) use enqueue::typed;
#[cfg(feature = "outbox")]
pub(crate) use enqueue::{check, debounced};

use crate::backend::{Backend, Enqueued, NewJob};
use crate::error::Kind;
use crate::middleware::{Chain, Middleware};
use crate::{Clock, Durability, Error, MAX_PAYLOAD, Result};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A handle on a namespace of queues. Cheap to clone; clones share one connection, and
/// enqueues that arrive while a call is in flight ride together in the next.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
/// let jobs = legwork::Client::connect("sqlite::memory:").await?;
/// assert!(jobs.queues().await?.is_empty());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    chain: Chain,
}

/// The backend and where it is, without secrets.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.inner.backend.describe())
    }
}

struct Inner {
    backend: Arc<dyn Backend>,
    options: ClientOptions,
    /// One a shard.
    drivers: Box<[driver::Driver]>,
    url: Option<String>,
    /// What a test kit does around an enqueue.
    #[cfg(feature = "testing")]
    around: std::sync::OnceLock<Arc<dyn crate::testing::Around>>,
    subscribers: crate::event::Cache,
}

/// What may be said about a client.
///
/// ```
/// let options = legwork::ClientOptions { max_payload: 1024, ..Default::default() };
/// # let _ = options;
/// ```
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The largest payload taken, in bytes of JSON; 256 KiB by default, 16 MiB at most.
    pub max_payload: usize,
    /// How long an enqueue is repeated while the backend does not answer; 10 s by default.
    pub patience: Duration,
    /// Where the time of decisions comes from; tests pass a manual clock.
    pub clock: Clock,
    /// How safe a job is to be before its enqueue is answered, where the URL says nothing else
    /// or something else (`?durability=…`). Connecting is refused where it cannot be had.
    pub durability: Option<Durability>,
}

impl Default for ClientOptions {
    fn default() -> ClientOptions {
        let (patience, clock) = (Duration::from_secs(10), Clock::Backend);
        ClientOptions { max_payload: MAX_PAYLOAD, patience, clock, durability: None }
    }
}

impl Client {
    /// Connects to the queue at `url`: `redis://host[:port][/db][?ns=name]`,
    /// `redis+unix:///path.sock`, `redis+sentinel://…`, `redis+cluster://…` (see
    /// `backend::redis::Redis::parse`), `sqlite:path.db` or `sqlite::memory:`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// # let _ = jobs;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Invalid for a URL that is no queue, unavailable when nothing answers there.
    pub async fn connect(url: &str) -> Result<Client> {
        Client::connect_with(url, ClientOptions::default()).await
    }

    /// As [`Client::connect`], with options.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// use legwork::{Client, ClientOptions};
    /// let jobs = Client::connect_with("sqlite::memory:", ClientOptions::default()).await?;
    /// # let _ = jobs;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn connect_with(url: &str, options: ClientOptions) -> Result<Client> {
        let backend = open(url, options.clock.clone(), options.durability).await?;
        Ok(Client::build(backend, options, Some(url.into())))
    }

    /// A client over a backend that exists already: for tests that wrap one.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// use legwork::{Client, ClientOptions, Clock, backend::sqlite::Sqlite};
    /// let backend = Sqlite::connect("sqlite::memory:", Clock::Backend).await?;
    /// let jobs = Client::over(std::sync::Arc::new(backend), ClientOptions::default());
    /// # let _ = jobs;
    /// # Ok(()) }
    /// ```
    pub fn over(backend: Arc<dyn Backend>, options: ClientOptions) -> Client {
        Client::build(backend, options, None)
    }

    fn build(backend: Arc<dyn Backend>, options: ClientOptions, url: Option<String>) -> Client {
        let start = |_| driver::Driver::start(backend.clone(), options.patience);
        let drivers = (0..backend.shards()).map(start).collect();
        let inner = Inner {
            backend,
            options,
            drivers,
            url,
            #[cfg(feature = "testing")]
            around: Default::default(),
            subscribers: Default::default(),
        };
        Client { inner: Arc::new(inner), chain: Chain::default() }
    }

    /// The backend under this client: for what the client has no words for.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// assert!(jobs.backend().audit().await?.is_empty());
    /// # Ok(()) }
    /// ```
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.inner.backend
    }

    /// This client with one more middleware inside of those it has: around what it enqueues,
    /// what it shows and what its workers run. Other clones stay as they are.
    ///
    /// ```
    /// # use legwork::{*, middleware::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// let jobs = Client::connect("sqlite::memory:").await?.with(TraceContext::new());
    /// # let _ = jobs;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with(&self, middleware: impl Middleware) -> Client {
        Client { inner: self.inner.clone(), chain: self.chain.and(middleware) }
    }

    /// This client with one more middleware around those it has.
    #[cfg(feature = "metrics")]
    pub(crate) fn around_with(&self, middleware: impl Middleware) -> Client {
        Client { inner: self.inner.clone(), chain: self.chain.around(middleware) }
    }

    pub(crate) fn subscribers_known(&self) -> &crate::event::Cache {
        &self.inner.subscribers
    }

    pub(crate) fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Hands jobs to the driver, which lets them ride with others.
    pub(crate) async fn send(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>> {
        match &self.inner.drivers[..] {
            [driver] => self.around(driver.enqueue(jobs)).await,
            drivers => self.around(driver::spread(drivers, &*self.inner.backend, jobs)).await,
        }
    }

    /// Enqueues; a test kit may have more to do before that is answered.
    pub(crate) async fn around<T>(&self, enqueue: impl Future<Output = Result<T>>) -> Result<T> {
        // A backend that was handed in gives what it gives.
        let given = self.inner.backend.durability();
        if let Some(wanted) = self.inner.options.durability.filter(|wanted| !given.covers(*wanted)) {
            return Err(Error::new(
                Kind::Refused,
                format!("durability: the backend gives {given}, not {wanted}"),
            ));
        }
        #[cfg(feature = "testing")]
        if let Some(around) = self.inner.around.get() {
            around.before()?;
            let answer = enqueue.await?;
            around.after().await?;
            return Ok(answer);
        }
        enqueue.await
    }

    #[cfg(feature = "testing")]
    pub(crate) fn surround(&self, around: Arc<dyn crate::testing::Around>) {
        let _ = self.inner.around.set(around);
    }

    pub(crate) fn options(&self) -> &ClientOptions {
        &self.inner.options
    }

    /// A second way to the same data, for a thread with a runtime of its own. A backend
    /// that was handed in, or lives in this process alone, is shared instead.
    pub(crate) async fn reopen(&self) -> Result<Arc<dyn Backend>> {
        match &self.inner.url {
            // What it is for enqueues nothing: a replica that is away must not keep it from opening.
            Some(url) if !url.contains(":memory:") => {
                let durability = match url.starts_with("sqlite:") {
                    true => self.inner.options.durability,
                    false => Some(Durability::Memory),
                };
                open(url, self.inner.options.clock.clone(), durability).await
            }
            _ => Ok(self.inner.backend.clone()),
        }
    }
}

async fn open(url: &str, clock: Clock, durability: Option<Durability>) -> Result<Arc<dyn Backend>> {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    match scheme {
        #[cfg(feature = "redis")]
        scheme if crate::backend::redis::Redis::speaks(scheme) => {
            let mut config = crate::backend::redis::Redis::parse(url)?;
            if let Some(wanted) = durability {
                config = config.durable(wanted);
            }
            crate::backend::redis::connect_with(config, clock).await
        }
        #[cfg(feature = "sqlite")]
        "sqlite" => Ok(Arc::new(crate::backend::sqlite::Sqlite::open(url, clock, durability).await?)),
        _ => {
            let _ = (clock, durability);
            let shown =
                if scheme.is_empty() { "no scheme".into() } else { format!("{scheme:?} is not a queue") };
            let allowed = "redis://host:port, rediss://, redis+unix:///path.sock, redis+sentinel://, redis+cluster:// or sqlite:path.db";
            Err(Error::invalid(format!("url: {shown}; use {allowed}")))
        }
    }
}
