//! W3C trace context that travels with a job.

use super::{Attempt, Middleware};
use crate::backend::Due;
use crate::{Envelope, Error, JobId, Result};
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

tokio::task_local! {
    /// The attempt that this task is a part of.
    static CURRENT: TraceParent;
}

/// The trace of the attempt that runs here, which what it enqueues continues.
pub(crate) fn current() -> Option<TraceParent> {
    CURRENT.try_with(|trace| *trace).ok()
}

/// Lets a job continue the trace of the attempt that enqueues it, unless it has one already.
pub(crate) fn carry(job: &mut Envelope, due: Due) {
    if let Some(parent) = job.trace.map(|trace| trace.parent).or_else(current) {
        let later = !matches!(due, Due::Now | Due::In(..=0));
        job.trace = Some(Trace { parent, later });
    }
}

/// Runs an attempt so that [`current`] knows its trace.
pub(crate) async fn scope<T>(trace: Option<TraceParent>, attempt: impl Future<Output = T>) -> T {
    match trace {
        Some(trace) => CURRENT.scope(trace, attempt).await,
        None => attempt.await,
    }
}

/// As [`scope`], for what does not wait.
pub(crate) fn inside<T>(trace: Option<TraceParent>, begin: impl FnOnce() -> T) -> T {
    match trace {
        Some(trace) => CURRENT.sync_scope(trace, begin),
        None => begin(),
    }
}

/// Where in which trace something happened: the W3C header `traceparent`, checked.
///
/// ```
/// use legwork::middleware::TraceParent;
/// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let here: TraceParent = text.parse().unwrap();
/// assert_eq!(here.to_string(), text);
/// assert_eq!(here.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
/// assert!(here.is_sampled());
/// assert!("00-0-0-0".parse::<TraceParent>().unwrap_err().is_invalid());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceParent {
    trace: [u8; 16],
    span: [u8; 8],
    flags: u8,
}

impl TraceParent {
    /// The start of a trace of its own, sampled.
    ///
    /// ```
    /// use legwork::middleware::TraceParent;
    /// assert_ne!(TraceParent::root().trace_id(), TraceParent::root().trace_id());
    /// ```
    pub fn root() -> TraceParent {
        TraceParent { trace: *JobId::new().as_bytes(), span: span_id(), flags: 1 }
    }

    /// Another place in the same trace.
    ///
    /// ```
    /// use legwork::middleware::TraceParent;
    /// let here = TraceParent::root();
    /// let there = here.child();
    /// assert_eq!(there.trace_id(), here.trace_id());
    /// assert_ne!(there.span_id(), here.span_id());
    /// ```
    #[must_use]
    pub fn child(self) -> TraceParent {
        TraceParent { span: span_id(), ..self }
    }

    /// The trace's id, 32 hexadecimal digits.
    ///
    /// ```
    /// assert_eq!(legwork::middleware::TraceParent::root().trace_id().len(), 32);
    /// ```
    pub fn trace_id(&self) -> String {
        hex(&self.trace)
    }

    /// The id of the place in it, 16 hexadecimal digits.
    ///
    /// ```
    /// assert_eq!(legwork::middleware::TraceParent::root().span_id().len(), 16);
    /// ```
    pub fn span_id(&self) -> String {
        hex(&self.span)
    }

    /// Whether whoever began the trace records it.
    ///
    /// ```
    /// assert!(legwork::middleware::TraceParent::root().is_sampled());
    /// ```
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }
}

/// Eight bytes that are random enough: the half of a fresh id that holds no time.
fn span_id() -> [u8; 8] {
    let mut span = [0; 8];
    span.copy_from_slice(&JobId::new().as_bytes()[8..]);
    span
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    let lower = |digit: &u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    if digits.len() != N * 2 || !digits.iter().all(lower) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", hex(&self.trace), hex(&self.span), self.flags)
    }
}

impl FromStr for TraceParent {
    type Err = Error;

    /// As the standard has it: a version after 00 may say more at the end, `ff` is none.
    fn from_str(text: &str) -> Result<TraceParent> {
        let parse = || {
            let mut parts = text.split('-');
            let [version] = unhex::<1>(parts.next()?)?;
            let trace = unhex::<16>(parts.next()?)?;
            let span = unhex::<8>(parts.next()?)?;
            let [flags] = unhex::<1>(parts.next()?)?;
            let more = parts.next().is_some();
            let good = version != 0xff && !(version == 0 && more) && trace != [0; 16] && span != [0; 8];
            good.then_some(TraceParent { trace, span, flags })
        };
        parse().ok_or_else(|| {
            Error::invalid(
                "traceparent: is not 00-TRACE-SPAN-FLAGS with 32, 16 and 2 lower-case hexadecimal digits",
            )
        })
    }
}

impl Serialize for TraceParent {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// The trace that a job carries: [`Envelope::trace`].
///
/// ```
/// use legwork::{Envelope, middleware::{Trace, TraceParent}};
/// let mut envelope = Envelope::new("a.job", "{}").unwrap();
/// envelope.trace = Some(Trace { parent: TraceParent::root(), later: false });
/// let back = Envelope::decode(envelope.id, &envelope.encode()).unwrap();
/// assert_eq!(back.trace, envelope.trace);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// What enqueued the job.
    pub parent: TraceParent,
    /// Whether the job was not due at once, so that its run links to that rather than being
    /// a part of it.
    pub later: bool,
}

impl Trace {
    /// As the header of a record has it: one letter more where it is later.
    pub(crate) fn write(self) -> String {
        format!("{}{}", if self.later { "l" } else { "" }, self.parent)
    }

    /// A broken trace never breaks its job.
    pub(crate) fn read(text: &str) -> Option<Trace> {
        let (text, later) = text.strip_prefix('l').map_or((text, false), |rest| (rest, true));
        Some(Trace { parent: text.parse().ok()?, later })
    }
}

/// How an attempt follows from what enqueued its job: [`Attempt::origin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It is a part of it: the first attempt of a job that was due at once.
    Parent(TraceParent),
    /// It comes later because of it: scheduled, retried, or after the loss of a worker.
    Link(TraceParent),
}

type Current = dyn Fn() -> Option<TraceParent> + Send + Sync;
type Enter = dyn Fn(&tracing::Span, Origin) + Send + Sync;

/// The middleware that lets every job carry a trace, and ties it to a tracer where there is
/// one. Without it a job carries a trace where its enqueue says one
/// ([`Enqueue::trace`](crate::Enqueue::trace)), and what a handler enqueues continues its own.
///
/// ```
/// # use legwork::{*, middleware::*};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// let jobs = Client::connect("sqlite::memory:").await?.with(TraceContext::new());
/// let id = jobs.enqueue_raw("a.job", "{}").await?.id;
/// let job = jobs.job(id).await?.unwrap();
/// assert!(job.envelope.envelope().unwrap().trace.is_some());
/// # Ok(()) }
/// ```
#[derive(Default)]
pub struct TraceContext {
    current: Option<Box<Current>>,
    enter: Option<Box<Enter>>,
}

impl TraceContext {
    /// A job that is enqueued outside of any trace begins one.
    ///
    /// ```
    /// let traces = legwork::middleware::TraceContext::new();
    /// # let _ = traces;
    /// ```
    pub fn new() -> TraceContext {
        TraceContext::default()
    }

    /// How to learn from a tracer where an enqueue happens; `None` where it does not know.
    ///
    /// ```
    /// use legwork::middleware::{TraceContext, TraceParent};
    /// let traces = TraceContext::new().current(|| {
    ///     // With tracing-opentelemetry: the span context of Span::current().context()
    ///     "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse::<TraceParent>().ok()
    /// });
    /// # let _ = traces;
    /// ```
    #[must_use]
    pub fn current(
        mut self,
        current: impl Fn() -> Option<TraceParent> + Send + Sync + 'static,
    ) -> TraceContext {
        self.current = Some(Box::new(current));
        self
    }

    /// How to tell a tracer whence an attempt comes: called with the attempt's span before it
    /// is entered.
    ///
    /// ```
    /// use legwork::middleware::{Origin, TraceContext};
    /// let traces = TraceContext::new().enter(|span, origin| match origin {
    ///     // With tracing-opentelemetry: span.set_parent(…) and span.add_link(…)
    ///     Origin::Parent(parent) => drop((span, parent)),
    ///     Origin::Link(link) => drop((span, link)),
    /// });
    /// # let _ = traces;
    /// ```
    #[must_use]
    pub fn enter(mut self, enter: impl Fn(&tracing::Span, Origin) + Send + Sync + 'static) -> TraceContext {
        self.enter = Some(Box::new(enter));
        self
    }
}

impl Middleware for TraceContext {
    fn enqueue(&self, job: &mut Envelope) -> Result<()> {
        if job.trace.is_none() {
            let known = self.current.as_ref().and_then(|current| current()).or_else(current);
            let parent = known.unwrap_or_else(TraceParent::root);
            job.trace = Some(Trace { parent, later: false });
        }
        Ok(())
    }

    fn span(&self, job: &Attempt<'_>, span: &tracing::Span) {
        if let (Some(enter), Some(origin)) = (&self.enter, job.origin()) {
            enter(span, origin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_the_standard_allows_and_nothing_else() {
        let good = [
            GOOD,
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-and more",
        ];
        let bad = [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ];
        good.iter().for_each(|text| assert!(text.parse::<TraceParent>().is_ok(), "{text}"));
        bad.iter().for_each(|text| assert!(text.parse::<TraceParent>().is_err(), "{text}"));
    }

    #[test]
    fn a_job_is_a_child_at_once_and_a_link_later() {
        let mut envelope = Envelope::new("a.job", "1").unwrap();
        assert_eq!(Attempt::new(&envelope, 1, false).origin(), None);
        let parent: TraceParent = GOOD.parse().unwrap();
        envelope.trace = Some(Trace { parent, later: false });
        assert_eq!(Attempt::new(&envelope, 1, false).origin(), Some(Origin::Parent(parent)));
        assert_eq!(Attempt::new(&envelope, 2, false).origin(), Some(Origin::Link(parent)));
        assert_eq!(Attempt::new(&envelope, 1, true).origin(), Some(Origin::Link(parent)));
        envelope.trace = Some(Trace { parent, later: true });
        assert_eq!(Attempt::new(&envelope, 1, false).origin(), Some(Origin::Link(parent)));
    }

    #[test]
    fn a_broken_trace_does_not_break_its_job() {
        let id = JobId::new();
        for trace in ["", "l", "junk", "l00-x"] {
            let record = format!("{{\"v\":1,\"n\":\"a.job\",\"tr\":\"{trace}\"}}\n1");
            assert_eq!(Envelope::decode(id, record.as_bytes()).unwrap().trace, None);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}", like in "l?[0-9a-f]{2}-[0-9a-f]{30,33}-[0-9a-f]{16}-..") {
            let _ = (Trace::read(&text), Trace::read(&like));
        }
    }
}
