//! A worker without daemons, for tests: it leases one job when it is told to, and lives its
//! life (`run`, the very same) on the caller's task.

use super::settle::Done;
use super::{Engine, Prepared, Worker, lease, lock, run, settle};
use crate::Result;
use crate::backend::{LeaseRequest, LeasedJob, Outcome, Settle};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// A worker that stands still until it is told to take a step.
pub(crate) struct Inline<S> {
    engine: Arc<Engine<S>>,
    inbox: Mutex<mpsc::Receiver<Done>>,
    /// Outcomes that one step took from the channel for another.
    others: Mutex<Vec<Done>>,
}

/// One attempt, as it went.
pub(crate) struct Attempted {
    pub(crate) queue: String,
    pub(crate) job: LeasedJob,
    /// None where the lease was lost.
    pub(crate) outcome: Option<Outcome>,
}

impl<S: Clone + Send + Sync + 'static> Inline<S> {
    /// A worker that also serves the queue `extra`.
    pub(crate) async fn new(mut worker: Worker<S>, extra: &str) -> Result<Inline<S>> {
        worker.serve_inline(extra);
        let (engine, inbox, _): Prepared<S> = worker.prepare().await?;
        Ok(Inline { engine, inbox: Mutex::new(inbox), others: Mutex::default() })
    }

    /// How long its leases last.
    pub(crate) fn lease(&self) -> Duration {
        self.engine.settings.lease
    }

    /// Leases one job, only from `queue` where one is named, and lives its life; none where
    /// there is no job.
    pub(crate) async fn step(&self, queue: Option<&str>) -> Result<Option<Attempted>> {
        let engine = &self.engine;
        let lanes = engine.lanes.iter().map(|lane| lane.queue.clone());
        let request = LeaseRequest {
            worker: engine.health.id.clone(),
            queues: lanes.filter(|q| queue.is_none_or(|only| only == q)).map(|q| (q, 1)).collect(),
            most: 1,
            alone: true,
            ttl_ms: self.lease().as_millis() as i64,
        };
        let asked = Instant::now();
        let Some(batch) = engine.backend.lease(&request).await?.batches.into_iter().next() else {
            return Ok(None);
        };
        let (queue, token, job) = (batch.queue.clone(), batch.token, batch.jobs.first().cloned());
        let lane = engine.lanes.iter().position(|lane| lane.queue == queue);
        for leased in lane.into_iter().flat_map(|lane| lease::leased(engine, lane, batch.clone(), asked)) {
            let _ = run::life(engine, leased).await;
        }
        let Some(job) = job else { return Ok(None) };
        let settled = self.settled(|item| item.token == token && item.id == job.id);
        if let Some(done) = &settled {
            settle::settle(engine, std::slice::from_ref(&done.item)).await;
            engine.let_go(std::iter::once((token, done.place)));
        }
        Ok(Some(Attempted { queue, job, outcome: settled.map(|done| done.item.outcome) }))
    }

    /// The outcome wanted, from among those that have been sent.
    fn settled(&self, wanted: impl Fn(&Settle) -> bool) -> Option<Done> {
        let mut others = lock(&self.others);
        let mut inbox = lock(&self.inbox);
        while let Ok(item) = inbox.try_recv() {
            others.push(item);
        }
        let at = others.iter().position(|done| wanted(&done.item))?;
        Some(others.swap_remove(at))
    }
}
