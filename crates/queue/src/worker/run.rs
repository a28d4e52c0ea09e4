//! The life of one leased job, top to bottom.

use super::hold::{Hold, Stuck, Why};
use super::settle::Done;
use super::span::{about, span};
use super::steps::Memory;
use super::terms::{Terms, chance};
use super::{Context, Engine, context};
use crate::backend::{EXPIRED, LeasedJob, Outcome, Settle, Token};
use crate::clock::span_ms;
use crate::failure::panicked;
use crate::measure::count;
use crate::middleware::{self, End, Run, TraceParent, Unreadable};
use crate::{Envelope, Failure, Policy};
use serde_json::value::RawValue;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// A result larger than this is not kept.
const MAX_RESULT: usize = 1 << 20;
/// Jobs that take longer let the runtime's other tasks go before the next.
const BRIEF_NS: u64 = 20_000;

/// A leased job of this worker, until its outcome goes to the settler.
pub(super) struct Leased {
    pub(super) token: Token,
    /// The backend's time when it granted the lease, and this worker's before it asked.
    pub(super) now_ms: i64,
    pub(super) asked: Instant,
    pub(super) lane: usize,
    pub(super) job: LeasedJob,
    pub(super) hold: Arc<Hold>,
    /// Whether one more crash would be the last of a job of its batch.
    pub(super) last_chance: bool,
}

impl Leased {
    /// Whether an instant of the backend's clock has passed. The worker's own clock, which may
    /// be wrong, only counts on from the lease: a job leased ahead waits for its permit.
    fn is_past(&self, instant: Option<i64>) -> bool {
        instant.is_some_and(|ms| self.now_ms.saturating_add(span_ms(self.asked.elapsed())) > ms)
    }

    /// Whether more follows from the end of a job that did not come to be looked at.
    fn is_keyed(&self) -> bool {
        Envelope::decode(self.job.id, &self.job.record).is_ok_and(|envelope| envelope.keyed())
    }
}

impl<S> Engine<S> {
    /// The outcome of a job whose time to start has passed.
    fn expired(&self, envelope: &Envelope) -> Outcome {
        tracing::info!(id = %envelope.id, name = envelope.name, "its time to start has passed; discarded as expired");
        count!("legwork_jobs_expired_total", 1, "name" => envelope.name);
        let keep = self.handlers.get(&envelope.name).map(|h| h.definition.policy.keep_discarded);
        let keep_ms = keep.unwrap_or(Policy::default().keep_discarded).as_ms();
        Outcome::Discard { reason: EXPIRED.into(), error: String::new(), keep_ms }
    }
}

/// The task of one permit: lives the life of a job, then of the next in line, until nobody
/// waits or the permit is withdrawn.
pub(super) async fn permit<S: Clone + Send + Sync + 'static>(
    engine: Arc<Engine<S>>,
    pool: usize,
    first: Leased,
) {
    let mut next = Some(first);
    while let Some(leased) = next {
        let lane = leased.lane;
        if let Err(Stuck { replaced: true }) = life(&engine, leased).await {
            // There is another permit in the place of this one.
            return;
        }
        next = engine.health.pools[pool].permits.next();
        // Jobs that never wait would hold up the runtime's other tasks: those that lease and settle.
        if engine.lanes[lane].speed.load(Ordering::Relaxed) > BRIEF_NS {
            tokio::task::yield_now().await;
        } else {
            tokio::task::coop::consume_budget().await;
        }
    }
}

/// Runs the handler, and hands the outcome to the settler. A job whose lease was lost is not
/// settled at all: it is somebody else's now.
pub(super) async fn life<S: Clone + Send + Sync + 'static>(
    engine: &Engine<S>,
    leased: Leased,
) -> Result<(), Stuck> {
    if leased.last_chance && !Box::pin(engine.isolate(leased.token)).await {
        let keyed = leased.is_keyed();
        return end(engine, leased, keyed, Some(later())).await;
    }
    let (keyed, outcome) = match begin(engine, &leased) {
        Err((keyed, outcome)) => (keyed, Some(outcome)),
        Ok(begun) => {
            let (keyed, trace, span) = (begun.inner.envelope.keyed(), begun.trace, begun.span.clone());
            let attempt = attempt(engine, &leased, begun).instrument(span);
            let outcome = match trace {
                None => attempt.await,
                some => Box::pin(middleware::scope(some, attempt)).await,
            };
            (keyed, outcome)
        }
    };
    end(engine, leased, keyed, outcome).await
}

/// Ends a job that is to wait for its permit no longer.
pub(super) async fn call_off<S>(engine: &Engine<S>, leased: Leased) {
    let (keyed, outcome) = (leased.is_keyed(), interrupted(&leased.hold));
    // Nobody takes over what has not begun.
    let _ = end(engine, leased, keyed, outcome).await;
}

/// Hands an outcome to the settler, where it is still this task's to give.
async fn end<S>(
    engine: &Engine<S>,
    leased: Leased,
    keyed: bool,
    outcome: Option<Outcome>,
) -> Result<(), Stuck> {
    let Leased { token, hold, job: LeasedJob { id, .. }, lane, .. } = leased;
    if let Err(stuck) = hold.claim() {
        engine.lanes[lane].came_back(engine, &stuck);
        return Err(stuck);
    }
    match outcome {
        Some(outcome) => {
            let done = Done { item: Settle { token, id, outcome, keyed }, place: hold.place };
            if let Err(TrySendError::Full(done)) = engine.settles.try_send(done) {
                // Fails only when the settler is gone, and then the lease will run out.
                let _ = Box::pin(engine.settles.send(done)).await;
            }
        }
        None => engine.let_go(std::iter::once((token, hold.place))),
    }
    Ok(())
}

impl super::Lane {
    /// A handler that was given up has ended after all.
    fn came_back<S>(&self, engine: &Engine<S>, stuck: &Stuck) {
        self.stuck.fetch_sub(1, Ordering::SeqCst);
        if !stuck.replaced {
            self.inside.fetch_sub(1, Ordering::SeqCst);
            engine.health.unreplaced.fetch_sub(1, Ordering::SeqCst);
        }
        tracing::warn!("a handler that blocked its thread has ended; what it said is not heard");
        engine.health.freed.notify_waiters();
    }
}

/// An attempt that has begun: its handler has been called, and not yet polled.
struct Begun {
    inner: Arc<context::Inner>,
    running: std::thread::Result<Run<'static>>,
    span: tracing::Span,
    trace: Option<TraceParent>,
}

/// From the record to the call of the handler; or what becomes of a job that does not come to
/// run, and whether more follows from its end. All at once, because what lives across a wait
/// is a part of the task.
fn begin<S: Clone + Send + Sync + 'static>(
    engine: &Engine<S>,
    leased: &Leased,
) -> Result<Begun, (bool, Outcome)> {
    let (now, job) = (Instant::now(), &leased.job);
    // A worker that was stopped, or whose threads were blocked, comes to its jobs late.
    if now.duration_since(leased.asked) >= engine.settings.lease && engine.held.is_over(leased.token) {
        return Err((leased.is_keyed(), Outcome::HandBack));
    }
    let envelope = match Envelope::decode(job.id, &job.record) {
        Ok(envelope) => envelope,
        Err(e) => return Err((false, undecodable(&Policy::default(), e.to_string()))),
    };
    let keyed = envelope.keyed();
    if leased.is_past(envelope.expires_ms) {
        return Err((keyed, engine.expired(&envelope)));
    }
    let (span, trace) = span(engine.client.chain(), job, &envelope);
    let called = span.in_scope(|| middleware::inside(trace, || call(engine, now, leased, envelope)));
    let (inner, running) = called.map_err(|outcome| (keyed, outcome))?;
    Ok(Begun { inner, running, span, trace })
}

/// Opens the payload and calls the handler for it.
fn call<S: Clone + Send + Sync + 'static>(
    engine: &Engine<S>,
    now: Instant,
    leased: &Leased,
    mut envelope: Envelope,
) -> Result<(Arc<context::Inner>, std::thread::Result<Run<'static>>), Outcome> {
    let Leased { token, job, hold, .. } = leased;
    let Some(handler) = engine.handlers.get(&envelope.name) else {
        tracing::warn!("no handler for this name; parked");
        return Err(Outcome::Park);
    };
    let policy = &handler.definition.policy;
    if envelope.version > handler.definition.version {
        tracing::warn!(version = envelope.version, "a newer payload than this worker knows; parked");
        return Err(Outcome::Park);
    }
    let terms = hold.begin(Terms::of(&envelope, policy, job.attempts + 1, now));
    let (chain, secret) = (engine.client.chain(), envelope.is_sealed());
    let opened = catch_unwind(AssertUnwindSafe(|| chain.open(&mut envelope)));
    let inner = Arc::new(context::Inner {
        client: engine.client.clone(),
        envelope,
        attempt: terms.attempt,
        max_attempts: terms.max_attempts,
        suspect: job.suspect,
        token: *token,
        hold: hold.clone(),
        stopping: engine.stop.clone(),
        trace: middleware::current(),
        memory: Memory::default(),
        #[cfg(unix)]
        relay: None,
    });
    let (envelope, cx) = (&inner.envelope, Context { state: engine.state.clone(), inner: inner.clone() });
    let begin = || handler.begin(envelope, cx).map_err(|why| if secret { why.discreet() } else { why });
    match opened.and_then(|opened| catch_unwind(AssertUnwindSafe(|| opened.and_then(|()| begin())))) {
        Ok(Err(why)) => Err(unreadable(policy, &envelope.name, &why)),
        Ok(Ok(running)) => Ok((inner, Ok(running))),
        Err(panic) => Ok((inner, Err(panic))),
    }
}

/// Runs one attempt and says what becomes of the job; `None` when its lease is lost.
async fn attempt<S: Clone + Send + Sync + 'static>(
    engine: &Engine<S>,
    leased: &Leased,
    begun: Begun,
) -> Option<Outcome> {
    let Begun { inner, running, .. } = begun;
    let (job, hold) = (&leased.job, &*leased.hold);
    let (envelope, terms) = (&inner.envelope, hold.terms()?);
    let (chain, about) = (engine.client.chain(), about(job, envelope));
    engine.health.running.fetch_add(1, Ordering::Relaxed);
    let ended = match running.map_err(|panic| panicked(&*panic)) {
        Err(failure) => Ended::Failed(failure),
        Ok(running) => supervise(chain.run(&about, running), terms, hold, &engine.abort).await,
    };
    engine.health.running.fetch_sub(1, Ordering::Relaxed);
    let took = terms.since.elapsed();
    engine.lanes[leased.lane].ran(took);
    if !matches!(ended, Ended::Returned(_)) {
        Box::pin(inner.store_last()).await;
    }
    let outcome = ended.outcome(terms, hold, &engine.stop);
    chain.ended(&about, &End::new(told(outcome.as_ref()), took));
    outcome
}

/// How an attempt ended.
enum Ended {
    Returned(Option<Box<RawValue>>),
    Failed(Failure),
    Interrupted,
}

/// Drives the handler until it returns, panics, or is to be dropped: some grace after its
/// time is over or it was called off, at once for any other reason.
async fn supervise(mut running: Run<'_>, terms: &Terms, hold: &Hold, abort: &CancellationToken) -> Ended {
    // A small job is over when it is first looked at: nothing else is set up for it.
    match std::future::poll_fn(|cx| Poll::Ready(poll(&mut running, cx))).await {
        Poll::Ready(ended) => ended,
        Poll::Pending => Box::pin(oversee(running, terms, hold, abort)).await,
    }
}

/// Polls a handler. A panic in it ends its attempt, never the worker.
fn poll(running: &mut Run<'_>, cx: &mut std::task::Context<'_>) -> Poll<Ended> {
    match catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(Ok(result))) => Poll::Ready(Ended::Returned(result)),
        Ok(Poll::Ready(Err(failure))) => Poll::Ready(Ended::Failed(failure)),
        Err(panic) => Poll::Ready(Ended::Failed(panicked(&*panic))),
    }
}

async fn oversee(mut running: Run<'_>, terms: &Terms, hold: &Hold, abort: &CancellationToken) -> Ended {
    let caught = std::future::poll_fn(move |cx| poll(&mut running, cx));
    let late = async {
        if let Some(limit) = terms.timeout {
            tokio::time::sleep(limit).await;
            hold.end(Why::Timeout);
        }
        std::future::pending::<Ended>().await
    };
    let dropped = async {
        hold.ended().cancelled().await;
        if hold.has_grace() {
            tokio::time::sleep(terms.grace).await;
        }
    };
    tokio::select! {
        biased;
        ended = caught => ended,
        () = abort.cancelled() => Ended::Interrupted,
        () = dropped => Ended::Interrupted,
        ended = late => ended,
    }
}

impl Ended {
    fn outcome(self, terms: &Terms, hold: &Hold, stop: &CancellationToken) -> Option<Outcome> {
        match (self, hold.why()) {
            (_, Some(Why::Lost)) => None,
            // Done is done, also when it was to end: nobody has to do it again.
            (Ended::Returned(result), _) => {
                let result = result.map(|json| String::from(Box::<str>::from(json))).filter(|text| {
                    let fits = text.len() <= MAX_RESULT;
                    if !fits {
                        tracing::warn!(bytes = text.len(), "the result is larger than 1 MiB and is not kept");
                    }
                    fits
                });
                Some(terms.succeeded(result))
            }
            (Ended::Failed(_), Some(Why::Cancelled)) => interrupted(hold),
            (Ended::Failed(said), Some(Why::Timeout)) => {
                Some(terms.failed(terms.timed_out(Some(said)), stop.is_cancelled()))
            }
            (Ended::Failed(said), _) => Some(terms.failed(said, stop.is_cancelled())),
            (Ended::Interrupted, Some(Why::Timeout)) => {
                Some(terms.failed(terms.timed_out(None), stop.is_cancelled()))
            }
            (Ended::Interrupted, _) => interrupted(hold),
        }
    }
}

/// The outcome of a job that was dropped before it ended.
pub(super) fn interrupted(hold: &Hold) -> Option<Outcome> {
    let hour = crate::Keep::For(Duration::from_secs(3_600)).as_ms();
    match hold.why() {
        Some(Why::Lost) => None,
        Some(Why::Cancelled) => Some(Outcome::Cancel { reason: "requested".into(), keep_ms: hour }),
        Some(Why::Overdue | Why::Timeout) | None => Some(Outcome::HandBack),
    }
}

/// Another job on its last chance is inside: not now.
fn later() -> Outcome {
    Outcome::Snooze { wait_ms: 500 + (chance() * 1_000.0) as i64 }
}

/// The outcome of a job that did not come to run.
fn unreadable(policy: &Policy, name: &str, why: &Unreadable) -> Outcome {
    match why {
        Unreadable::Broken(why) => undecodable(policy, format!("payload of {name}: {why}")),
        Unreadable::Unknown(why) => {
            tracing::warn!(why, "not for this worker; parked");
            Outcome::Park
        }
    }
}

fn undecodable(policy: &Policy, error: String) -> Outcome {
    tracing::error!(error, "undecodable; discarded");
    Outcome::Discard { reason: "undecodable".into(), error, keep_ms: policy.keep_discarded.as_ms() }
}

/// One event an outcome, and its name, in one vocabulary.
fn told(outcome: Option<&Outcome>) -> &'static str {
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
    word
}

#[cfg(test)]
impl Leased {
    /// A job of which only its place in its batch matters.
    pub(super) fn numbered(place: usize) -> Leased {
        Leased {
            token: Token(1),
            now_ms: 0,
            asked: Instant::now(),
            lane: 0,
            job: LeasedJob {
                id: crate::JobId::new(),
                record: Vec::new(),
                attempts: 0,
                crashes: 0,
                suspect: false,
            },
            hold: Arc::new(Hold::at(place)),
            last_chance: false,
        }
    }
}
