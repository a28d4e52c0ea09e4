//! What policy and envelope say of one attempt, and what follows from its failure.

use crate::backend::Outcome;
use crate::clock::span_ms;
use crate::failure::Verdict;
use crate::{Backoff, Envelope, Failure, Policy};
use std::time::{Duration, Instant};

/// The terms of one attempt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) since: Instant,
    pub(super) attempt: u32,
    pub(super) max_attempts: u32,
    pub(super) max_crashes: u32,
    pub(super) timeout: Option<Duration>,
    pub(super) grace: Duration,
    pub(super) keyed: bool,
    backoff: Backoff,
    keep_ms: i64,
    keep_discarded_ms: i64,
}

impl Terms {
    pub(super) fn of(envelope: &Envelope, policy: &Policy, attempt: u32, since: Instant) -> Terms {
        Terms {
            since,
            attempt,
            max_attempts: envelope.max_attempts.unwrap_or(policy.max_attempts).max(1),
            max_crashes: envelope.max_crashes.unwrap_or(policy.max_crashes),
            timeout: envelope.timeout_ms.map(Duration::from_millis).or(policy.timeout),
            grace: policy.grace,
            keyed: envelope.unique.is_some() || envelope.serial.is_some(),
            backoff: policy.backoff,
            keep_ms: envelope.keep(policy.keep),
            keep_discarded_ms: policy.keep_discarded.as_ms(),
        }
    }

    pub(super) fn succeeded(&self, result: Option<String>) -> Outcome {
        Outcome::Succeeded { result, keep_ms: self.keep_ms }
    }

    /// What becomes of a job whose handler said this. `stopping`: its worker ends.
    pub(super) fn failed(&self, failure: Failure, stopping: bool) -> Outcome {
        let error = failure.message;
        let retry = |wait: Duration, error: String| {
            if self.attempt >= self.max_attempts {
                let keep_ms = self.keep_discarded_ms;
                return Outcome::Discard { reason: "exhausted".into(), error, keep_ms };
            }
            Outcome::Retry { wait_ms: span_ms(wait), error }
        };
        match failure.verdict {
            Verdict::Retry => retry(self.backoff.delay(self.attempt, chance()), error),
            Verdict::RetryIn(wait) => retry(wait, error),
            Verdict::Snooze(wait) => Outcome::Snooze { wait_ms: span_ms(wait) },
            Verdict::HandBack if stopping => Outcome::HandBack,
            // It would be leased again at once, and could spin.
            Verdict::HandBack => Outcome::Snooze { wait_ms: 1_000 },
            Verdict::Discard => {
                Outcome::Discard { reason: "failed".into(), error, keep_ms: self.keep_discarded_ms }
            }
            Verdict::Crash => {
                Outcome::Crash { error, max: self.max_crashes, keep_ms: self.keep_discarded_ms }
            }
            Verdict::Cancel => Outcome::Cancel { reason: error, keep_ms: self.keep_ms },
        }
    }

    /// Whether its time is over.
    pub(super) fn is_over(&self) -> bool {
        self.timeout.is_some_and(|limit| self.since.elapsed() >= limit)
    }

    /// The failure of an attempt whose time is over, with what its handler said, if it did.
    pub(super) fn timed_out(&self, said: Option<Failure>) -> Failure {
        let mut line = format!("timed out after {:?}", self.timeout.unwrap_or_default());
        match said {
            None => Failure::retry(line),
            Some(said) => {
                if matches!(said.verdict, Verdict::Retry | Verdict::RetryIn(_)) {
                    line.push_str(": ");
                    line.push_str(&said.message);
                    return Failure { verdict: said.verdict, message: line };
                }
                said
            }
        }
    }
}

/// A random number from 0 to 1: a v4-like share of a fresh id is random enough for jitter.
pub(super) fn chance() -> f64 {
    let bytes = crate::JobId::in_shard(0);
    f64::from(u32::from_be_bytes(bytes.as_bytes()[10..14].try_into().unwrap_or_default()))
        / f64::from(u32::MAX)
}
