//! Looks after what runs, from the heartbeat's thread: asks whose cancellation is wanted,
//! tells their handlers and the backend, and takes jobs over from handlers that block
//! their thread and cannot be ended.

use super::heartbeat::Beat;
use super::hold::{Hold, Why};
use super::terms::Terms;
use crate::JobId;
use crate::backend::{Backend, Note, Outcome, Settle, Settled, Token};
use crate::measure::count;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::timeout;

/// How often something is looked at while anything runs.
const TICK: Duration = Duration::from_millis(100);
/// How often cancellations are asked for without a wake-up.
const ASK: Duration = Duration::from_millis(500);
/// No call waits longer: a lease is renewed beside it.
const ANSWER: Duration = Duration::from_secs(2);
/// So long after a handler must have ended it is stuck: until then it may just be late.
const MARGIN: Duration = Duration::from_millis(500);

impl Beat {
    pub(super) async fn watch(&self, backend: &dyn Backend, mut wakeups: watch::Receiver<u64>) {
        let (mut asked, mut abort) = (Instant::now(), None);
        loop {
            tokio::time::sleep(if self.held.is_empty() { TICK * 2 } else { TICK }).await;
            let woken = wakeups.has_changed().unwrap_or(false);
            wakeups.borrow_and_update();
            if self.held.is_empty() {
                continue;
            }
            // A handler that blocks its thread may have been the one that looked after timers
            // and sockets, while all other threads sleep: then nobody would ever wake them.
            drop(self.handlers.spawn(async {}));
            if woken || asked.elapsed() >= ASK {
                asked = Instant::now();
                self.cancels(backend).await;
            }
            if abort.is_none() && self.abort.is_cancelled() {
                abort = Some(Instant::now());
            }
            for (token, id, lane, hold) in self.held.overrun(Instant::now(), abort, MARGIN) {
                self.take_over(backend, token, id, lane, &hold).await;
            }
        }
    }

    /// Nothing is extended: only the marks are read.
    async fn cancels(&self, backend: &dyn Backend) {
        let Ok(Ok(extended)) = timeout(ANSWER, backend.extend(&[], 1)).await else { return };
        for (token, id, hold) in extended.cancel.into_iter().flat_map(|id| self.held.cancel(id)) {
            // A lost answer is asked for again: the mark is still there at the next look.
            if let Ok(Ok(_)) = timeout(ANSWER, backend.note(token, id, &Note::CancelSeen)).await {
                hold.acknowledge();
                tracing::info!(%id, "called off");
            }
        }
    }

    /// Settles a job whose handler has not ended when it had to, and gives its lane another
    /// permit, so that nobody waits for a thread that may never come back.
    async fn take_over(&self, backend: &dyn Backend, token: Token, id: JobId, at: usize, hold: &Hold) {
        let (lane, Some(terms)) = (&self.lanes[at], hold.terms()) else { return };
        let permits = &self.health.pools[lane.pool].permits;
        let replace = || {
            let stuck = lane.stuck.fetch_add(1, Ordering::SeqCst);
            let replaced = stuck < self.settings.max_stuck.unwrap_or(permits.size());
            if replaced {
                lane.inside.fetch_sub(1, Ordering::SeqCst);
                permits.replace();
                self.health.line.notify_one();
            } else {
                self.health.unreplaced.fetch_add(1, Ordering::SeqCst);
            }
            replaced
        };
        let Some(replaced) = hold.take_over(replace) else { return };
        count!("legwork_stuck_total", 1, "queue" => lane.queue);
        let since = terms.since.elapsed();
        tracing::error!(%id, ?since, replaced, "a handler blocks its thread and cannot be ended; its job goes on without it");
        if let Some(outcome) = outcome(hold, terms) {
            let item = [Settle { token, id, outcome, keyed: terms.keyed }];
            let call = crate::client::persistently(self.settings.lease, || backend.settle(&item));
            match call.await.as_deref() {
                Ok([Settled::Done]) => {}
                Ok(_) => tracing::warn!(%id, "its lease is lost as well"),
                Err(e) => tracing::error!(%id, error = %e, "its outcome could not be stored"),
            }
        }
        self.held.remove(std::iter::once((token, hold.place)), |_| {});
        self.health.freed.notify_waiters();
    }
}

/// What becomes of a job whose handler is stuck; none when its lease is lost.
fn outcome(hold: &Hold, terms: &Terms) -> Option<Outcome> {
    match hold.why() {
        Some(Why::Timeout) => Some(terms.failed(terms.timed_out(None), false)),
        _ if terms.is_over() => Some(terms.failed(terms.timed_out(None), false)),
        _ => super::run::interrupted(hold),
    }
}

/// Those of a list of holds that have overrun.
pub(super) type Overrun = Vec<(Token, JobId, usize, Arc<Hold>)>;
