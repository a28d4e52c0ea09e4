//! What a handler is told about the attempt that it is.

use super::hold::Hold;
use super::steps::Memory;
use crate::backend::{Budget, JobView, Note, Settled, Steer, Token};
use crate::middleware::{TraceParent, Unreadable};
use crate::{Client, Envelope, Failure, JobId, Result};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A job waits so long for a worker that can open what it has noted.
const UNREADABLE: Duration = Duration::from_secs(10);

/// The second argument of every handler: the shared state, and what there is to know of
/// the attempt. Cheap to clone.
///
/// ```
/// # use legwork::*; use serde::{Serialize, Deserialize};
/// # #[derive(Serialize, Deserialize)] struct Ping;
/// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = String; }
/// async fn ping(_: Ping, cx: Context<&'static str>) -> Result<String, Failure> {
///     cx.progress(0.5, "halfway").await?;
///     Ok(format!("{} {}", cx.state(), cx.attempt()))
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// let worker = Worker::new(jobs.clone(), "state").handle(ping).start().await?;
/// let id = jobs.enqueue(Ping).await?.id;
/// assert_eq!(jobs.wait::<Ping>(id).await?, "state 1");
/// # worker.stop().await; Ok(()) }
/// ```
#[derive(Clone)]
pub struct Context<S = ()> {
    pub(super) state: S,
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) client: Client,
    /// The job, its payload opened.
    pub(super) envelope: Envelope,
    pub(super) attempt: u32,
    pub(super) max_attempts: u32,
    /// Whether it was held when a worker was lost.
    pub(super) suspect: bool,
    pub(super) token: Token,
    pub(super) hold: Arc<Hold>,
    pub(super) stopping: Arc<CancellationToken>,
    pub(super) trace: Option<TraceParent>,
    pub(super) memory: Memory,
    /// The parent of a child process.
    #[cfg(unix)]
    pub(super) relay: Option<Arc<dyn super::isolated::Relay>>,
}

impl Inner {
    /// Writes down under the fence; repeated while there is patience, which is safe.
    pub(super) async fn note(&self, note: &Note, patience: Duration) -> Result<Settled> {
        #[cfg(unix)]
        if let Some(parent) = self.relay() {
            return parent.note(note).await;
        }
        let backend = self.client.backend();
        let id = self.envelope.id;
        let note = &*self.client.chain().note(id, &self.envelope.name, note)?;
        crate::client::persistently(patience, || backend.note(self.token, id, note)).await
    }

    /// The job as it stands, with what former attempts have noted.
    pub(super) async fn remembered(&self) -> Result<Option<JobView>, Failure> {
        let backend = self.client.backend();
        let patience = self.client.options().patience;
        let (id, name) = (self.envelope.id, &self.envelope.name);
        let mut job = crate::client::patiently(patience, || backend.get(id, false)).await?;
        let opened = job.as_mut().map_or(Ok(()), |job| self.client.chain().open_memory(job, name));
        match opened {
            Ok(()) => Ok(job),
            Err(Unreadable::Broken(why)) => Err(Failure::discard(format!("what is remembered: {why}"))),
            // Not to go on from it would mean to do again what is done.
            Err(Unreadable::Unknown(why)) => {
                tracing::warn!(%id, "what is remembered: {why}; put off for a worker that can");
                Err(Failure::snooze(UNREADABLE))
            }
        }
    }
}

/// What a handler said of its progress, as it is stored.
#[derive(Serialize)]
struct Progress<'a> {
    share: f64,
    note: &'a str,
}

impl<S> Context<S> {
    /// The state given to [`crate::Worker::new`].
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = u32; }
    /// async fn ping(_: Ping, cx: Context<u32>) -> Result<u32, Failure> {
    ///     Ok(*cx.state())
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # let worker = Worker::new(jobs.clone(), 7).handle(ping).start().await?;
    /// let id = jobs.enqueue(Ping).await?.id;
    /// assert_eq!(jobs.wait::<Ping>(id).await?, 7);
    /// # worker.stop().await; Ok(()) }
    /// ```
    pub fn state(&self) -> &S {
        &self.state
    }

    /// The job's id: the same in every attempt, so that it serves as a key of idempotence.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = JobId; }
    /// async fn ping(_: Ping, cx: Context) -> Result<JobId, Failure> {
    ///     Ok(cx.id())
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # let worker = Worker::new(jobs.clone(), ()).handle(ping).start().await?;
    /// let id = jobs.enqueue(Ping).await?.id;
    /// assert_eq!(jobs.wait::<Ping>(id).await?, id);
    /// # worker.stop().await; Ok(()) }
    /// ```
    pub fn id(&self) -> JobId {
        self.inner.envelope.id
    }

    /// The job's name.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = String; }
    /// async fn ping(_: Ping, cx: Context) -> Result<String, Failure> {
    ///     Ok(cx.name().to_owned())
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # let worker = Worker::new(jobs.clone(), ()).handle(ping).start().await?;
    /// let id = jobs.enqueue(Ping).await?.id;
    /// assert_eq!(jobs.wait::<Ping>(id).await?, "ping");
    /// # worker.stop().await; Ok(()) }
    /// ```
    pub fn name(&self) -> &str {
        &self.inner.envelope.name
    }

    /// The queue it came from.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = String; }
    /// async fn ping(_: Ping, cx: Context) -> Result<String, Failure> {
    ///     Ok(cx.queue().to_owned())
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # let worker = Worker::new(jobs.clone(), ()).handle(ping).start().await?;
    /// let id = jobs.enqueue(Ping).await?.id;
    /// assert_eq!(jobs.wait::<Ping>(id).await?, "default");
    /// # worker.stop().await; Ok(()) }
    /// ```
    pub fn queue(&self) -> &str {
        &self.inner.envelope.queue
    }

    /// Which attempt this is: 1 for the first. Snoozes, hand-backs and crashes spend none.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = u32; }
    /// async fn ping(_: Ping, cx: Context) -> Result<u32, Failure> {
    ///     Ok(cx.attempt())
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # let worker = Worker::new(jobs.clone(), ()).handle(ping).start().await?;
    /// let id = jobs.enqueue(Ping).await?.id;
    /// assert_eq!(jobs.wait::<Ping>(id).await?, 1);
    /// # worker.stop().await; Ok(()) }
    /// ```
    pub fn attempt(&self) -> u32 {
        self.inner.attempt
    }

    /// Whether a failure now would be the last.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = bool; }
    /// async fn ping(_: Ping, cx: Context) -> Result<bool, Failure> {
    ///     Ok(cx.is_last_attempt())
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # let worker = Worker::new(jobs.clone(), ()).handle(ping).start().await?;
    /// let id = jobs.enqueue(Ping).max_attempts(1).await?.id;
    /// assert_eq!(jobs.wait::<Ping>(id).await?, true);
    /// # worker.stop().await; Ok(()) }
    /// ```
    pub fn is_last_attempt(&self) -> bool {
        self.inner.attempt >= self.inner.max_attempts
    }

    /// Corrects what this job was counted as: it spent this much more (less than none gives
    /// back) than its cost, of the rates of its limit key and of the limit of its queue.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Fetch { pages: i64 }
    /// # impl Job for Fetch { const NAME: &'static str = "fetch"; type Output = (); }
    /// async fn fetch(job: Fetch, cx: Context) -> Result<(), Failure> {
    ///     cx.spend(job.pages - 1).await?; // one call was counted, so many were made
    ///     Ok(())
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # let worker = Worker::new(jobs.clone(), ()).handle(fetch).start().await?;
    /// let id = jobs.enqueue(Fetch { pages: 3 }).await?.id;
    /// jobs.wait::<Fetch>(id).await?;
    /// # worker.stop().await; Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the backend cannot be reached.
    pub async fn spend(&self, extra: i64) -> Result<()> {
        let change = Budget::Spend { extra };
        let limits = std::iter::once(String::new()).chain(self.inner.envelope.governed());
        for limit in limits {
            let steer = Steer::Budget { limit, change };
            self.inner.client.backend().steer(&self.inner.envelope.queue, steer).await?;
        }
        Ok(())
    }

    /// The fencing token of this attempt: it only ever grows for a job, so that a write
    /// guarded by "not older than the last token seen" cannot be undone by a late worker.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = bool; }
    /// async fn ping(_: Ping, cx: Context) -> Result<bool, Failure> {
    ///     let last_seen = 0; // stored beside what this job writes
    ///     Ok(cx.token() >= last_seen)
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # let worker = Worker::new(jobs.clone(), ()).handle(ping).start().await?;
    /// let id = jobs.enqueue(Ping).await?.id;
    /// assert_eq!(jobs.wait::<Ping>(id).await?, true);
    /// # worker.stop().await; Ok(()) }
    /// ```
    pub fn token(&self) -> u64 {
        self.inner.token.0
    }

    /// The attempt's place in the job's trace, where it has one. What the handler enqueues
    /// continues it by itself; say it where that happens in a task that the handler spawned.
    ///
    /// ```
    /// # use legwork::{*, middleware::*}; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = Option<String>; }
    /// async fn ping(_: Ping, cx: Context) -> Result<Option<String>, Failure> {
    ///     Ok(cx.trace().map(|trace| trace.trace_id()))
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # let worker = Worker::new(jobs.clone(), ()).handle(ping).start().await?;
    /// let here = TraceParent::root();
    /// let id = jobs.enqueue(Ping).trace(here).await?.id;
    /// assert_eq!(jobs.wait::<Ping>(id).await?, Some(here.trace_id()));
    /// # worker.stop().await; Ok(()) }
    /// ```
    pub fn trace(&self) -> Option<TraceParent> {
        self.inner.trace
    }

    /// The flow that the job is a node of.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = bool; }
    /// async fn ping(_: Ping, cx: Context) -> Result<bool, Failure> {
    ///     Ok(cx.flow().is_some())
    /// }
    /// # let _ = ping;
    /// ```
    pub fn flow(&self) -> Option<JobId> {
        self.inner.envelope.flow
    }

    /// The client, to enqueue what follows.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = JobId; }
    /// async fn ping(_: Ping, cx: Context) -> Result<JobId, Failure> {
    ///     Ok(cx.client().enqueue_raw("mail.send", "{}").await?.id)
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # let worker = Worker::new(jobs.clone(), ()).handle(ping).start().await?;
    /// let id = jobs.enqueue(Ping).await?.id;
    /// let next = jobs.wait::<Ping>(id).await?;
    /// assert!(jobs.job(next).await?.is_some());
    /// # worker.stop().await; Ok(()) }
    /// ```
    pub fn client(&self) -> &Client {
        &self.inner.client
    }

    /// Says how far the job is: a share from 0 to 1 (clamped) and a few words (cut at 500
    /// characters), visible at once in `legwork job ID` and to whoever watches.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// async fn ping(_: Ping, cx: Context) -> Result<(), Failure> {
    ///     cx.progress(0.25, "one of four").await?;
    ///     Ok(())
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # let worker = Worker::new(jobs.clone(), ()).handle(ping).start().await?;
    /// let id = jobs.enqueue(Ping).await?.id;
    /// jobs.wait::<Ping>(id).await?;
    /// let job = jobs.job(id).await?.unwrap();
    /// assert_eq!(job.progress.unwrap().get(), r#"{"share":0.25,"note":"one of four"}"#);
    /// # worker.stop().await; Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the backend cannot be reached. A lost lease is no error here: the handler is
    /// about to be dropped anyway.
    pub async fn progress(&self, share: f64, note: &str) -> Result<()> {
        let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        let cut = note.char_indices().nth(500).map_or(note.len(), |(at, _)| at);
        let text = serde_json::to_string(&Progress { share, note: &note[..cut] }).unwrap_or_default();
        let inner = &self.inner;
        let settled = inner.note(&Note::Progress(text), Duration::ZERO).await?;
        if settled == Settled::Stale {
            tracing::debug!(id = %inner.envelope.id, "progress of a job whose lease is lost");
        }
        Ok(())
    }
}
