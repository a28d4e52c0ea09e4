//! The span of an attempt, and its place in the job's trace.

use crate::Envelope;
use crate::backend::LeasedJob;
use crate::middleware::{Attempt, Chain, Origin, TraceParent};

/// An attempt as middlewares see it.
pub(super) fn about<'a>(job: &LeasedJob, envelope: &'a Envelope) -> Attempt<'a> {
    Attempt::new(envelope, job.attempts + 1, job.crashes > 0 || job.suspect)
}

/// The span that everything the attempt logs is in, and the trace that what it enqueues
/// continues.
pub(super) fn span(
    chain: &Chain,
    job: &LeasedJob,
    envelope: &Envelope,
) -> (tracing::Span, Option<TraceParent>) {
    let about = about(job, envelope);
    let later = tracing::field::Empty;
    let span = tracing::info_span!(
        "job", id = %job.id, name = envelope.name, attempt = about.attempt,
        trace_id = later, parent = later, link = later
    );
    match about.origin() {
        Some(Origin::Parent(from)) => drop(span.record("parent", from.span_id())),
        Some(Origin::Link(from)) => drop(span.record("link", from.span_id())),
        None => {}
    }
    let here = envelope.trace.map(|trace| trace.parent.child());
    if let Some(here) = here {
        span.record("trace_id", here.trace_id());
    }
    chain.span(&about, &span);
    (span, here)
}
