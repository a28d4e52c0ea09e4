//! What stands around an enqueue and a run: tracing, encryption, compression, your own.
//!
//! A [`Middleware`] is added with [`Client::with`](crate::Client::with), so that enqueues and
//! the workers of that client share it, or with [`Worker::with`](crate::Worker::with). The
//! first one added is the outermost: it sees an enqueue first, a payload to be opened last,
//! and its `run` is around the others'. Without any, nothing of this is called.

#[cfg(feature = "compress")]
mod compress;
#[cfg(feature = "encrypt")]
mod fields;
#[cfg(any(feature = "encrypt", feature = "sign"))]
mod keys;
#[cfg(feature = "metrics")]
mod metrics;
mod notes;
#[cfg(feature = "encrypt")]
mod sealed;
#[cfg(feature = "sign")]
mod signed;
mod trace;

#[cfg(feature = "compress")]
pub use compress::Compress;
#[cfg(any(feature = "encrypt", feature = "sign"))]
pub use keys::KeyRing;
#[cfg(feature = "metrics")]
pub use metrics::Metrics;
pub use notes::{Noted, Place};
#[cfg(feature = "encrypt")]
pub use sealed::Sealed;
#[cfg(feature = "sign")]
pub use signed::Signed;
pub use trace::{Origin, Trace, TraceContext, TraceParent};

pub(crate) use trace::{carry, current, inside, scope};

use crate::{Envelope, Error, Failure, Result};
use serde_json::value::RawValue;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A string as JSON text.
#[cfg(any(feature = "compress", feature = "encrypt", test))]
fn text(value: &str) -> serde_json::Result<Box<RawValue>> {
    serde_json::value::to_raw_value(value)
}

/// What an attempt comes to: its output as JSON, `None` where that is `()`.
///
/// ```
/// use legwork::{Failure, middleware::Ran};
/// let nothing: Ran = Ok(None);
/// let failed: Ran = Err(Failure::retry("busy"));
/// # let _ = (nothing, failed);
/// ```
pub type Ran = Result<Option<Box<RawValue>>, Failure>;

/// An attempt that runs, as [`Next::run`] gives it.
///
/// ```
/// use legwork::middleware::Run;
/// let done: Run<'static> = Box::pin(async { Ok(None) });
/// # let _ = done;
/// ```
pub type Run<'a> = Pin<Box<dyn Future<Output = Ran> + Send + 'a>>;

/// Something around every enqueue and every attempt. Each method does nothing unless it is
/// written, so a middleware writes only what it is about.
///
/// ```
/// # use legwork::{*, middleware::*}; use serde::{Serialize, Deserialize};
/// # #[derive(Serialize, Deserialize)] struct Ping;
/// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
/// struct Timed;
///
/// impl Middleware for Timed {
///     fn run<'a>(&'a self, job: &'a Attempt<'a>, next: Next<'a>) -> Run<'a> {
///         Box::pin(async move {
///             let started = std::time::Instant::now();
///             let ran = next.run().await;
///             println!("{} took {:?}", job.envelope.name, started.elapsed());
///             ran
///         })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// let jobs = Client::connect("sqlite::memory:").await?.with(Timed);
/// let worker = Worker::new(jobs.clone(), ()).handle(|_: Ping, _| async { Ok(()) }).start().await?;
/// let id = jobs.enqueue(Ping).await?.id;
/// jobs.wait::<Ping>(id).await?;
/// # worker.stop().await; Ok(()) }
/// ```
pub trait Middleware: Send + Sync + 'static {
    /// Before a job is checked for the last time and sent. May change anything but its id and
    /// name; an error refuses the enqueue, and nothing is stored.
    ///
    /// ```
    /// # use legwork::{*, middleware::*};
    /// struct NoNight;
    /// impl Middleware for NoNight {
    ///     fn enqueue(&self, job: &mut Envelope) -> Result<()> {
    ///         job.queue = "daytime".into();
    ///         Ok(())
    ///     }
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// let jobs = Client::connect("sqlite::memory:").await?.with(NoNight);
    /// let id = jobs.enqueue_raw("a.job", "{}").await?.id;
    /// assert_eq!(jobs.job(id).await?.unwrap().envelope.queue(), "daytime");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The job must not be enqueued.
    fn enqueue(&self, job: &mut Envelope) -> Result<()> {
        let _ = job;
        Ok(())
    }

    /// Before a payload is decoded, on the worker, and for inspection. Undoes what `enqueue`
    /// did to the payload, and takes its entry off [`Envelope::packed`]; leaves alone what is
    /// not its own.
    ///
    /// ```
    /// # use legwork::{*, middleware::*};
    /// struct Refuse;
    /// impl Middleware for Refuse {
    ///     fn open(&self, job: &mut Envelope) -> Result<(), Unreadable> {
    ///         if job.name == "bad.job" { Err("not from us")? }
    ///         Ok(())
    ///     }
    /// }
    /// let mut envelope = Envelope::new("bad.job", "{}").unwrap();
    /// assert!(matches!(Refuse.open(&mut envelope), Err(Unreadable::Broken(_))));
    /// ```
    ///
    /// # Errors
    /// [`Unreadable::Broken`] discards the job as `undecodable`; [`Unreadable::Unknown`] parks
    /// it for a worker that has what this one lacks.
    fn open(&self, job: &mut Envelope) -> Result<(), Unreadable> {
        let _ = job;
        Ok(())
    }

    /// Around an attempt: what it returns is what becomes of the job. Not to call `next` means
    /// that the handler does not run. A panic ends the attempt as one in the handler would, and
    /// the job's timeout covers this too.
    ///
    /// ```
    /// # use legwork::{*, middleware::*}; use std::time::Duration;
    /// struct Closed;
    /// impl Middleware for Closed {
    ///     fn run<'a>(&'a self, job: &'a Attempt<'a>, next: Next<'a>) -> Run<'a> {
    ///         if job.envelope.queue == "night" {
    ///             return Box::pin(async { Err(Failure::snooze(Duration::from_secs(3_600))) });
    ///         }
    ///         next.run()
    ///     }
    /// }
    /// # let _ = Closed;
    /// ```
    fn run<'a>(&'a self, job: &'a Attempt<'a>, next: Next<'a>) -> Run<'a> {
        let _ = job;
        next.run()
    }

    /// Before a result is shown, waited for or handed on in a flow: undoes what `run` did to it.
    /// In a flow nothing of the envelope but its id and name is known.
    ///
    /// ```
    /// # use legwork::{*, middleware::*}; use serde_json::value::RawValue;
    /// struct Shout;
    /// impl Middleware for Shout {
    ///     fn open_result(&self, _: &Envelope, result: &mut Box<RawValue>) -> Result<(), Unreadable> {
    ///         *result = RawValue::from_string(result.get().to_uppercase())?;
    ///         Ok(())
    ///     }
    /// }
    /// # let _ = Shout;
    /// ```
    ///
    /// # Errors
    /// It cannot be opened, here or anywhere.
    fn open_result(&self, job: &Envelope, result: &mut Box<RawValue>) -> Result<(), Unreadable> {
        let _ = (job, result);
        Ok(())
    }

    /// Before what a handler writes down is stored: its progress, the result of a step, a
    /// cursor. May change the value, which must stay JSON.
    ///
    /// ```
    /// # use legwork::{*, middleware::*}; use serde_json::value::RawValue;
    /// struct Quiet;
    /// impl Middleware for Quiet {
    ///     fn note(&self, noted: &Noted<'_>, value: &mut Box<RawValue>) -> Result<()> {
    ///         if noted.place == Place::Progress {
    ///             *value = RawValue::from_string("{\"share\":0.0,\"note\":\"\"}".into()).unwrap();
    ///         }
    ///         Ok(())
    ///     }
    /// }
    /// # let _ = Quiet;
    /// ```
    ///
    /// # Errors
    /// It must not be stored: the handler's call fails with this.
    fn note(&self, noted: &Noted<'_>, value: &mut Box<RawValue>) -> Result<()> {
        let _ = (noted, value);
        Ok(())
    }

    /// Before what was written down is handed back to a handler or shown: undoes what `note`
    /// did to it, and leaves alone what is not its own.
    ///
    /// ```
    /// # use legwork::middleware::*; use serde_json::value::RawValue;
    /// struct Newer;
    /// impl Middleware for Newer {
    ///     fn open_note(&self, noted: &Noted<'_>, value: &mut Box<RawValue>) -> Result<(), Unreadable> {
    ///         if noted.place == Place::Cursor && value.get() == "\"start\"" {
    ///             *value = RawValue::from_string("0".into())?;
    ///         }
    ///         Ok(())
    ///     }
    /// }
    /// # let _ = Newer;
    /// ```
    ///
    /// # Errors
    /// As [`Middleware::open`]: broken discards the job that asks, unknown puts it off without
    /// an attempt spent.
    fn open_note(&self, noted: &Noted<'_>, value: &mut Box<RawValue>) -> Result<(), Unreadable> {
        let _ = (noted, value);
        Ok(())
    }

    /// With the span of an attempt, before it is entered: for a tracer that must set its
    /// parent now or never. See [`TraceContext::enter`].
    ///
    /// ```
    /// # use legwork::middleware::*;
    /// struct Named;
    /// impl Middleware for Named {
    ///     fn span(&self, job: &Attempt<'_>, span: &tracing::Span) {
    ///         span.record("queue", &job.envelope.queue);
    ///     }
    /// }
    /// # let _ = Named;
    /// ```
    fn span(&self, job: &Attempt<'_>, span: &tracing::Span) {
        let _ = (job, span);
    }

    /// After an attempt, with what became of it and before the backend hears of it: for figures and
    /// logs. It changes nothing; what it costs, every attempt pays.
    ///
    /// ```
    /// # use legwork::{*, middleware::*}; use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    /// # use serde::{Serialize, Deserialize}; use std::sync::Arc;
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// #[derive(Clone, Default)]
    /// struct Successes(Arc<AtomicU64>);
    /// impl Middleware for Successes {
    ///     fn ended(&self, _: &Attempt<'_>, end: &End) {
    ///         if end.outcome == "succeeded" {
    ///             self.0.fetch_add(1, Relaxed);
    ///         }
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// let seen = Successes::default();
    /// let jobs = Client::connect("sqlite::memory:").await?.with(seen.clone());
    /// let worker = Worker::new(jobs.clone(), ()).handle(|_: Ping, _| async { Ok(()) }).start().await?;
    /// let id = jobs.enqueue(Ping).await?.id;
    /// jobs.wait::<Ping>(id).await?;
    /// assert_eq!(seen.0.load(Relaxed), 1);
    /// # worker.stop().await; Ok(()) }
    /// ```
    fn ended(&self, job: &Attempt<'_>, end: &End) {
        let _ = (job, end);
    }
}

/// What became of an attempt; shown with [`Middleware::ended`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct End {
    /// `succeeded`, `retryable`, `snoozed`, `discarded`, `cancelled`, `handed_back`, `parked` or
    /// `crashed`; `lost` where the lease was lost and somebody else has the job.
    pub outcome: &'static str,
    /// How long it ran, on this worker's clock.
    pub took: Duration,
}

impl End {
    pub(crate) fn new(outcome: &'static str, took: Duration) -> End {
        End { outcome, took }
    }
}

/// An attempt as a middleware sees it; shown with [`Middleware`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Attempt<'a> {
    /// The job. In `run` its payload is open, in `span` it is as it travelled.
    pub envelope: &'a Envelope,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Whether a worker was lost while it ran this job.
    pub again: bool,
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(envelope: &'a Envelope, attempt: u32, again: bool) -> Attempt<'a> {
        Attempt { envelope, attempt, again }
    }

    /// How the attempt follows from the enqueue's trace, where there is one: as a child when it
    /// is the first attempt of a job that was due at once, as a link in any other case.
    ///
    /// ```
    /// # use legwork::middleware::*;
    /// fn of(job: &Attempt<'_>) -> &'static str {
    ///     match job.origin() {
    ///         Some(Origin::Parent(_)) => "a part of the request that enqueued it",
    ///         Some(Origin::Link(_)) => "later, because of it",
    ///         None => "on its own",
    ///     }
    /// }
    /// # let _ = of;
    /// ```
    pub fn origin(&self) -> Option<Origin> {
        let trace = self.envelope.trace?;
        let later = trace.later || self.attempt > 1 || self.again;
        Some(if later { Origin::Link(trace.parent) } else { Origin::Parent(trace.parent) })
    }
}

/// The rest of an attempt: the middlewares further in, and the handler.
///
/// ```
/// # use legwork::middleware::*;
/// struct Plain;
/// impl Middleware for Plain {
///     fn run<'a>(&'a self, _: &'a Attempt<'a>, next: Next<'a>) -> Run<'a> {
///         next.run()
///     }
/// }
/// # let _ = Plain;
/// ```
#[must_use = "the handler runs only if this is run"]
pub struct Next<'a> {
    rest: &'a [Arc<dyn Middleware>],
    job: &'a Attempt<'a>,
    handler: Run<'a>,
}

impl<'a> Next<'a> {
    /// Runs it; shown with [`Middleware::run`].
    ///
    /// ```
    /// # use legwork::middleware::*;
    /// fn twice_as_loud<'a>(next: Next<'a>) -> Run<'a> {
    ///     Box::pin(async move { println!("LOUD"); next.run().await })
    /// }
    /// # let _ = twice_as_loud;
    /// ```
    pub fn run(self) -> Run<'a> {
        match self.rest.split_first() {
            Some((first, rest)) => first.run(self.job, Next { rest, ..self }),
            None => self.handler,
        }
    }
}

/// Why a payload cannot be read. `?` works on any error and means broken.
///
/// ```
/// use legwork::middleware::Unreadable;
/// fn number(text: &str) -> Result<u32, Unreadable> { Ok(text.parse()?) }
/// assert!(matches!(number("x"), Err(Unreadable::Broken(_))));
/// ```
pub enum Unreadable {
    /// By nobody: the job is discarded as `undecodable`, its bytes are kept.
    Broken(String),
    /// Not by this worker, which lacks a key, a packing or a version: the job is parked for
    /// one that has it, and no attempt is spent.
    Unknown(String),
}

impl Unreadable {
    /// Without what was said of the payload: an error is stored in the open, and quotes.
    pub(crate) fn discreet(self) -> Unreadable {
        match self {
            Unreadable::Broken(_) => {
                Unreadable::Broken("not what its type wants; it was sealed, so no more is said".into())
            }
            unknown @ Unreadable::Unknown(_) => unknown,
        }
    }
}

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> From<E> for Unreadable {
    fn from(error: E) -> Unreadable {
        Unreadable::Broken(error.into().to_string())
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Unreadable::Broken(why) | Unreadable::Unknown(why)) = self;
        f.write_str(why)
    }
}

impl fmt::Debug for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if matches!(self, Unreadable::Broken(_)) { "Broken" } else { "Unknown" };
        write!(f, "{word}({self})")
    }
}

/// How a sealed result begins.
const SEALED: &str = "{\"$sealed\":\"";

/// The middlewares of a client or worker, the outermost first; nothing where there are none.
#[derive(Clone, Default)]
pub(crate) struct Chain(Option<Arc<[Arc<dyn Middleware>]>>);

impl Chain {
    fn all(&self) -> &[Arc<dyn Middleware>] {
        self.0.as_deref().unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn and(&self, inner: impl Middleware) -> Chain {
        let inner: Arc<dyn Middleware> = Arc::new(inner);
        Chain(Some(self.all().iter().cloned().chain([inner]).collect()))
    }

    /// With one more around all others.
    #[cfg(feature = "metrics")]
    pub(crate) fn around(&self, outer: impl Middleware) -> Chain {
        let outer: Arc<dyn Middleware> = Arc::new(outer);
        Chain(Some([outer].into_iter().chain(self.all().iter().cloned()).collect()))
    }

    pub(crate) fn enqueue(&self, job: &mut Envelope) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let (id, name) = (job.id, job.name.clone());
        let all = || self.all().iter().try_for_each(|m| m.enqueue(job));
        catch_unwind(AssertUnwindSafe(all)).map_err(|panic| {
            let said = crate::failure::panicked(&*panic);
            Error::new(crate::error::Kind::Refused, format!("middleware, at the enqueue of {name}: {said}"))
        })??;
        if (job.id, &job.name) != (id, &name) {
            return Err(Error::invalid(format!(
                "middleware: the id and name of {name} must stay as they are"
            )));
        }
        Ok(())
    }

    /// Opens a payload, the innermost first. Panics where a middleware does.
    pub(crate) fn open(&self, job: &mut Envelope) -> Result<(), Unreadable> {
        self.all().iter().rev().try_for_each(|m| m.open(job))?;
        match job.packed.last() {
            None => Ok(()),
            Some(packing) => Err(Unreadable::Unknown(format!(
                "the payload is packed as {packing:?}, which is not known here"
            ))),
        }
    }

    /// As they run, the outermost first, each may have wrapped the result of the next.
    pub(crate) fn open_result(&self, job: &Envelope, result: &mut Box<RawValue>) -> Result<(), Unreadable> {
        self.all().iter().try_for_each(|m| m.open_result(job, result))?;
        match result.get().starts_with(SEALED) {
            true => Err(Unreadable::Unknown("sealed, and there is no key here".into())),
            false => Ok(()),
        }
    }

    /// As [`Chain::open_result`] for a node of a flow, of which there is no envelope at hand.
    pub(crate) fn open_node(&self, node: &mut crate::backend::FlowNode) -> Result<(), Unreadable> {
        let Some(result) = &mut node.result else { return Ok(()) };
        let mut of = Envelope::from_raw(&node.name, RawValue::NULL.to_owned());
        of.id = node.id;
        #[cfg(feature = "encrypt")]
        if node.given {
            of.id = sealed::origin(result).unwrap_or(node.id);
        }
        self.open_result(&of, result)
    }

    /// Opens for inspection: what does not open stays as it is.
    pub(crate) fn show(&self, job: &mut crate::backend::JobView) {
        if self.is_empty() {
            return;
        }
        self.show_notes(job);
        let crate::backend::Record::Decoded(envelope) = &mut job.envelope else { return };
        if let Some(result) = &mut job.result {
            let mut opened = result.clone();
            let all = || self.open_result(envelope, &mut opened);
            if let Ok(Ok(())) = catch_unwind(AssertUnwindSafe(all)) {
                *result = opened;
            }
        }
        let mut opened = envelope.clone();
        if let Ok(Ok(())) = catch_unwind(AssertUnwindSafe(|| self.open(&mut opened))) {
            *envelope = opened;
        }
    }

    pub(crate) fn span(&self, job: &Attempt<'_>, span: &tracing::Span) {
        self.tell("span", |m| m.span(job, span));
    }

    pub(crate) fn ended(&self, job: &Attempt<'_>, end: &End) {
        self.tell("ended", |m| m.ended(job, end));
    }

    /// Tells them what they can only listen to; one that panics costs no job.
    fn tell(&self, method: &str, one: impl Fn(&dyn Middleware)) {
        if self.is_empty() {
            return;
        }
        let all = || self.all().iter().for_each(|m| one(&**m));
        if let Err(panic) = catch_unwind(AssertUnwindSafe(all)) {
            tracing::error!(error = %crate::failure::panicked(&*panic), method, "a middleware panicked");
        }
    }

    /// The attempt with all that is around it.
    pub(crate) fn run<'a>(&'a self, job: &'a Attempt<'a>, handler: Run<'a>) -> Run<'a> {
        match &self.0 {
            None => handler,
            // Begun only when it is polled, where a panic is caught.
            Some(all) => Box::pin(async move { Next { rest: all, job, handler }.run().await }),
        }
    }
}
