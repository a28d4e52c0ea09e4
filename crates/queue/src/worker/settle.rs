//! Ends leases in batches: whatever finished while a settle was in flight rides in the next.

use super::Engine;
use crate::Error;
use crate::backend::{Fut, Settle, Settled, Token};
use crate::measure::count;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;

const MAX_SETTLE: usize = 1_000;
/// So many outcomes are not held up for others.
const ENOUGH: usize = 256;

/// An outcome, and the place of its job in its batch.
pub(super) struct Done {
    pub(super) item: Settle,
    pub(super) place: usize,
}

/// Runs until it is aborted, when nothing is left inside the worker.
pub(super) async fn daemon<S: Clone + Send + Sync + 'static>(
    engine: Arc<Engine<S>>,
    mut inbox: mpsc::Receiver<Done>,
) {
    let mut done = Vec::with_capacity(MAX_SETTLE);
    while inbox.recv_many(&mut done, MAX_SETTLE).await > 0 {
        gather(&mut done, &mut inbox).await;
        // In the order of their batches: what a batch begins with costs a backend least.
        done.sort_unstable_by_key(|done| (done.item.token, done.place));
        let places: Vec<_> = done.iter().map(|done| (done.item.token, done.place)).collect();
        let items: Vec<Settle> = done.drain(..).map(|done| done.item).collect();
        settle(&engine, &items).await;
        engine.let_go(places.into_iter());
    }
}

/// Waits for what is about to end: as long as a turn of the runtime's other tasks brings more,
/// up to what fills a call well. Whole batches in their order cost a backend least, and an
/// outcome that is alone is not held up.
async fn gather(done: &mut Vec<Done>, inbox: &mut mpsc::Receiver<Done>) {
    let mut had = 0;
    while had < done.len() && done.len() < ENOUGH {
        had = done.len();
        tokio::task::yield_now().await;
        while let Ok(more) = inbox.try_recv() {
            done.push(more);
        }
    }
}

/// Repeats while the backend does not answer: a repeated settle answers as the first one
/// did, and after an outage every lease is granted once more. A worker that stops has no
/// more patience than a lease.
pub(super) async fn settle<S>(engine: &Engine<S>, items: &[Settle]) {
    let stopped = async {
        engine.stop.cancelled().await;
        tokio::time::sleep(engine.settings.lease).await;
    };
    // A connection that has fallen silent must not cost the lease. Each try has more time than
    // the one before: a backend that is only slow comes to an end with it.
    let mut limit = engine.settings.lease / 3;
    let call = || -> Fut<'_, Vec<Settled>> {
        let call = tokio::time::timeout(limit, engine.backend.settle(items));
        limit = limit.saturating_mul(2);
        Box::pin(
            async move { call.await.unwrap_or_else(|_| Err(Error::unavailable("no answer to outcomes"))) },
        )
    };
    let answers = tokio::select! {
        answers = crate::client::persistently(Duration::MAX, call) => answers,
        () = stopped => Err(Error::unavailable("the worker stops")),
    };
    match answers {
        Ok(answers) => {
            let stale = items.iter().zip(answers).filter(|(_, answer)| *answer == Settled::Stale);
            for (item, _) in stale {
                count!("legwork_stale_settles_total", 1);
                tracing::warn!(id = %item.id, token = item.token.0, "a late outcome was refused: the lease was lost");
            }
        }
        Err(e) => {
            tracing::error!(error = %e, jobs = items.len(), "outcomes could not be stored; the jobs will run again")
        }
    }
}

impl<S> Engine<S> {
    /// Lets go of jobs: settled, or somebody else's by now.
    pub(super) fn let_go(&self, jobs: impl Iterator<Item = (Token, usize)>) {
        self.held.remove(jobs, |lane| {
            self.lanes[lane].inside.fetch_sub(1, Ordering::SeqCst);
        });
        self.health.freed.notify_waiters();
    }
}
