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
    // Of the gravest level, so that a warning too says which job it is of.
    let span = tracing::error_span!(
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

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Level, Metadata, Subscriber};

    /// Takes no less than warnings.
    struct Grave;

    impl Subscriber for Grave {
        fn enabled(&self, of: &Metadata<'_>) -> bool {
            *of.level() <= Level::WARN
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, _: &Event<'_>) {}
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn a_warning_too_says_which_job_it_is_of() {
        let envelope = Envelope::new("a.job", "1").unwrap();
        let id = crate::JobId::new();
        let job = LeasedJob { id, record: Vec::new(), attempts: 0, crashes: 0, suspect: false };
        let seen = || span(&Chain::default(), &job, &envelope).0;
        assert!(!tracing::subscriber::with_default(Grave, seen).is_disabled());
    }
}
