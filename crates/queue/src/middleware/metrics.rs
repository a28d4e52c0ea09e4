//! Figures of attempts.

use super::{Attempt, End, Middleware};

/// The middleware that counts attempts by their outcome and times them, for any recorder of the
/// `metrics` crate: `legwork_attempts_total{name,outcome}` and, in seconds,
/// `legwork_job_duration_seconds{name}`. With the feature `metrics` every worker has it around all
/// others; there is no need to add it.
///
/// ```
/// use legwork::{Envelope, middleware::{Metrics, Middleware}};
/// // It changes nothing on its way.
/// let mut job = Envelope::new("a.job", "{}").unwrap();
/// Metrics.enqueue(&mut job).unwrap();
/// assert_eq!(job.payload.get(), "{}");
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Metrics;

impl Middleware for Metrics {
    fn ended(&self, job: &Attempt<'_>, end: &End) {
        let name = || job.envelope.name.clone();
        metrics::counter!("legwork_attempts_total", "name" => name(), "outcome" => end.outcome).increment(1);
        metrics::histogram!("legwork_job_duration_seconds", "name" => name()).record(end.took);
    }
}
