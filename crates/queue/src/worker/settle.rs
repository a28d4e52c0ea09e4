//! Ends leases in batches: whatever finished while a settle was in flight rides in the next.

use super::Engine;
use crate::JobId;
use crate::backend::{Settle, Settled, Token};
use crate::measure::count;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;

const MAX_SETTLE: usize = 1_000;

/// Runs until it is aborted, when nothing is left inside the worker.
pub(super) async fn daemon<S: Clone + Send + Sync + 'static>(
    engine: Arc<Engine<S>>,
    mut inbox: mpsc::Receiver<Settle>,
) {
    let mut items = Vec::with_capacity(MAX_SETTLE);
    while inbox.recv_many(&mut items, MAX_SETTLE).await > 0 {
        settle(&engine, &items).await;
        engine.let_go(items.drain(..).map(|item| (item.token, item.id)));
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
    let answers = tokio::select! {
        answers = crate::client::persistently(Duration::MAX, || engine.backend.settle(items)) => answers,
        () = stopped => Err(crate::Error::unavailable("the worker stops")),
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
    pub(super) fn let_go(&self, jobs: impl Iterator<Item = (Token, JobId)>) {
        for (token, id) in jobs {
            if let Some(lane) = self.held.remove(token, id) {
                self.lanes[lane].inside.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.health.freed.notify_waiters();
    }
}
