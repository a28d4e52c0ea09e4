//! The life of one leased job, top to bottom.

use super::held::{Hold, Why};
use super::lease::Turn;
use super::{Context, Engine, context};
use crate::backend::{LeasedJob, Outcome, Settle, Token};
use crate::clock::span_ms;
use crate::failure::Verdict;
use crate::measure::{count, observe};
use crate::{Envelope, Failure, Policy};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};
use tracing::Instrument;

/// After a cancellation a handler may tidy up for this long before it is dropped.
const TIDY: Duration = Duration::from_secs(2);
/// A result larger than this is not kept.
const MAX_RESULT: usize = 1 << 20;

/// Waits for a permit, runs the handler, and hands the outcome to the settler. A job
/// whose lease was lost is not settled at all: it is somebody else's now.
pub(super) async fn life<S: Clone + Send + Sync + 'static>(
    engine: Arc<Engine<S>>,
    lane: usize,
    token: Token,
    job: LeasedJob,
    hold: Arc<Hold>,
    last_chance: bool,
    turn: Turn,
) {
    let lane = &engine.lanes[lane];
    let id = job.id;
    let envelope = Envelope::decode(id, &job.record);
    let keyed = envelope.as_ref().is_ok_and(|e| e.unique.is_some() || e.serial.is_some());
    let outcome = {
        let permit = tokio::select! {
            biased;
            permit = turn.come() => permit,
            () = hold.ended.cancelled() => None,
            () = engine.abort.cancelled() => None,
        };
        match (permit, envelope) {
            (None, _) => interrupted(&hold),
            (Some(_), _) if last_chance && !engine.isolate(token).await => Some(later()),
            (Some(_), Err(e)) => Some(undecodable(&Policy::default(), e.to_string())),
            (Some(_), Ok(envelope)) => {
                let span = tracing::info_span!("job", %id, name = envelope.name, attempt = job.attempts + 1);
                attempt(&engine, token, &job, envelope, &hold, lane).instrument(span).await
            }
        }
    };
    match outcome {
        Some(outcome) => {
            // Fails only when the settler is gone, and then the lease will run out.
            let _ = engine.settles.send(Settle { token, id, outcome, keyed }).await;
        }
        None => engine.let_go(std::iter::once((token, id))),
    }
}

/// Runs one attempt and says what becomes of the job; `None` when its lease is lost.
async fn attempt<S: Clone + Send + Sync + 'static>(
    engine: &Engine<S>,
    token: Token,
    job: &LeasedJob,
    envelope: Envelope,
    hold: &Hold,
    lane: &super::Lane,
) -> Option<Outcome> {
    let Some(handler) = engine.handlers.get(&envelope.name) else {
        tracing::warn!("no handler for this name; parked");
        return Some(Outcome::Park);
    };
    let policy = &handler.definition.policy;
    if envelope.version > handler.definition.version {
        tracing::warn!(version = envelope.version, "a newer payload than this worker knows; parked");
        return Some(Outcome::Park);
    }
    let max_attempts = envelope.max_attempts.unwrap_or(policy.max_attempts).max(1);
    let inner = context::Inner {
        client: engine.client.clone(),
        id: job.id,
        name: envelope.name.clone(),
        queue: envelope.queue.clone(),
        attempt: job.attempts + 1,
        max_attempts,
        token,
        cancelled: hold.ended.clone(),
    };
    let cx = Context { state: engine.state.clone(), inner: Arc::new(inner) };
    let started = Instant::now();
    engine.health.running.fetch_add(1, Ordering::Relaxed);
    let begun = std::panic::catch_unwind(AssertUnwindSafe(|| handler.begin(&envelope.payload, cx)));
    let ended = match begun {
        Err(panic) => Ended::Failed(panicked(&*panic)),
        Ok(Err(e)) => {
            engine.health.running.fetch_sub(1, Ordering::Relaxed);
            return Some(undecodable(policy, format!("payload of {}: {e}", envelope.name)));
        }
        Ok(Ok(running)) => {
            let timeout = envelope.timeout_ms.map(Duration::from_millis).or(policy.timeout);
            supervise(running, timeout, hold, &engine.abort).await
        }
    };
    engine.health.running.fetch_sub(1, Ordering::Relaxed);
    lane.ran(started.elapsed());
    observe!("legwork_job_duration_seconds", started.elapsed().as_secs_f64(), "name" => envelope.name);
    let outcome = ended.outcome(&envelope, policy, job.attempts + 1, max_attempts, hold);
    told(&envelope, outcome.as_ref());
    outcome
}

/// How an attempt ended.
enum Ended {
    Returned(Option<String>),
    Failed(Failure),
    Interrupted,
}

/// Drives the handler until it returns, panics, runs out of time or is to be dropped.
async fn supervise(
    mut running: super::handler::Attempt,
    timeout: Option<Duration>,
    hold: &Hold,
    abort: &tokio_util::sync::CancellationToken,
) -> Ended {
    // A panic in a handler ends its attempt, never the worker.
    let caught = std::future::poll_fn(move |cx| {
        match std::panic::catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Ok(result))) => Poll::Ready(Ended::Returned(result)),
            Ok(Poll::Ready(Err(failure))) => Poll::Ready(Ended::Failed(failure)),
            Err(panic) => Poll::Ready(Ended::Failed(panicked(&*panic))),
        }
    });
    let late = async {
        match timeout {
            Some(limit) => {
                tokio::time::sleep(limit).await;
                Failure::retry(format!("timed out after {limit:?}"))
            }
            None => std::future::pending().await,
        }
    };
    let dropped = async {
        tokio::select! {
            () = abort.cancelled() => {}
            () = async {
                hold.ended.cancelled().await;
                if hold.why() == Some(Why::Cancelled) {
                    tokio::time::sleep(TIDY).await;
                }
            } => {}
        }
    };
    tokio::select! {
        biased;
        ended = caught => ended,
        () = dropped => Ended::Interrupted,
        failure = late => Ended::Failed(failure),
    }
}

impl Ended {
    fn outcome(
        self,
        envelope: &Envelope,
        policy: &Policy,
        attempt: u32,
        max: u32,
        hold: &Hold,
    ) -> Option<Outcome> {
        if hold.why() == Some(Why::Lost) {
            return None;
        }
        match self {
            Ended::Returned(result) => {
                let result = result.filter(|text| {
                    let fits = text.len() <= MAX_RESULT;
                    if !fits {
                        tracing::warn!(bytes = text.len(), "the result is larger than 1 MiB and is not kept");
                    }
                    fits
                });
                Some(Outcome::Succeeded { result, keep_ms: envelope.keep(policy.keep) })
            }
            Ended::Interrupted => interrupted(hold),
            Ended::Failed(_) if hold.why() == Some(Why::Cancelled) => interrupted(hold),
            Ended::Failed(failure) => Some(failed(failure, envelope, policy, attempt, max)),
        }
    }
}

fn failed(failure: Failure, envelope: &Envelope, policy: &Policy, attempt: u32, max: u32) -> Outcome {
    let error = failure.message;
    let keep_ms = policy.keep_discarded.as_ms();
    let retry = |wait: Duration, error: String| {
        if attempt >= max {
            return Outcome::Discard { reason: "exhausted".into(), error, keep_ms };
        }
        Outcome::Retry { wait_ms: span_ms(wait), error }
    };
    match failure.verdict {
        Verdict::Retry => retry(policy.backoff.delay(attempt, chance()), error),
        Verdict::RetryIn(wait) => retry(wait, error),
        Verdict::Snooze(wait) => Outcome::Snooze { wait_ms: span_ms(wait) },
        Verdict::Discard => Outcome::Discard { reason: "failed".into(), error, keep_ms },
        Verdict::Cancel => Outcome::Cancel { reason: error, keep_ms: envelope.keep(policy.keep) },
    }
}

/// The outcome of a job that was dropped before it ended.
fn interrupted(hold: &Hold) -> Option<Outcome> {
    let hour = crate::Keep::For(Duration::from_secs(3_600)).as_ms();
    match hold.why() {
        Some(Why::Lost) => None,
        Some(Why::Cancelled) => Some(Outcome::Cancel { reason: "requested".into(), keep_ms: hour }),
        Some(Why::Overdue) | None => Some(Outcome::HandBack),
    }
}

/// Another job on its last chance is inside: not now.
fn later() -> Outcome {
    Outcome::Snooze { wait_ms: 500 + (chance() * 1_000.0) as i64 }
}

fn undecodable(policy: &Policy, error: String) -> Outcome {
    tracing::error!(error, "undecodable; discarded");
    Outcome::Discard { reason: "undecodable".into(), error, keep_ms: policy.keep_discarded.as_ms() }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Failure {
    let said = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
    Failure::retry(format!("panicked: {}", said.unwrap_or_else(|| "without a message".into())))
}

/// A random number from 0 to 1: a v4-like share of a fresh id is random enough for jitter.
fn chance() -> f64 {
    let bytes = crate::JobId::in_shard(0);
    f64::from(u32::from_be_bytes(bytes.as_bytes()[10..14].try_into().unwrap_or_default()))
        / f64::from(u32::MAX)
}

/// One event an outcome, in one vocabulary.
fn told(envelope: &Envelope, outcome: Option<&Outcome>) {
    let word = match outcome {
        None => "lost",
        Some(Outcome::Succeeded { .. }) => "succeeded",
        Some(Outcome::Retry { error, wait_ms }) => {
            tracing::warn!(error, wait_ms, "failed; will be retried");
            "retryable"
        }
        Some(Outcome::Snooze { wait_ms }) => {
            tracing::info!(wait_ms, "snoozed");
            "snoozed"
        }
        Some(Outcome::Discard { reason, error, .. }) => {
            tracing::error!(reason, error, "discarded");
            "discarded"
        }
        Some(Outcome::Cancel { .. }) => "cancelled",
        Some(Outcome::HandBack) => "handed_back",
        Some(Outcome::Park) => "parked",
        Some(Outcome::Crash { error, .. }) => {
            tracing::error!(error, "its process ended; a crash is charged");
            "crashed"
        }
    };
    tracing::debug!(outcome = word, "attempt ended");
    count!("legwork_attempts_total", 1, "name" => envelope.name, "outcome" => word);
}
