//! What this worker holds: read by the heartbeat, written by the fetcher and the settler.

use super::hold::{Hold, Why};
use super::lock;
use super::watch::Overrun;
use crate::JobId;
use crate::backend::Token;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// All leases of this worker.
pub(super) struct Held {
    batches: Mutex<BTreeMap<Token, HeldBatch>>,
    /// Told when jobs are to end, some of which may not have begun.
    line: Arc<Notify>,
}

struct HeldBatch {
    /// Which of the worker's lanes the jobs came through.
    lane: usize,
    /// By this worker's monotonic clock, counted from before the lease was asked for, so
    /// that it never ends later than the backend's.
    deadline: Instant,
    /// Whether one more crash would be its last.
    last_chance: bool,
    /// In the order of the batch; none where a job is gone.
    jobs: Vec<Option<(JobId, Arc<Hold>)>>,
    left: usize,
}

impl HeldBatch {
    fn jobs(&self) -> impl Iterator<Item = &(JobId, Arc<Hold>)> {
        self.jobs.iter().flatten()
    }
}

impl Held {
    pub(super) fn telling(line: Arc<Notify>) -> Held {
        Held { batches: Mutex::default(), line }
    }

    pub(super) fn add(
        &self,
        token: Token,
        lane: usize,
        deadline: Instant,
        last_chance: bool,
        ids: impl ExactSizeIterator<Item = JobId>,
    ) -> Vec<Arc<Hold>> {
        let holds: Vec<Arc<Hold>> = (0..).map(|place| Arc::new(Hold::at(place))).take(ids.len()).collect();
        let jobs: Vec<_> = ids.zip(holds.iter().cloned()).map(Some).collect();
        let left = jobs.len();
        lock(&self.batches).insert(token, HeldBatch { lane, deadline, last_chance, jobs, left });
        holds
    }

    /// Jobs are settled (or given up), each named by its batch and its place there; a batch
    /// goes with its last job. `room` hears of the lane of each.
    pub(super) fn remove(&self, jobs: impl Iterator<Item = (Token, usize)>, mut room: impl FnMut(usize)) {
        let mut batches = lock(&self.batches);
        for (token, place) in jobs {
            let Some(batch) = batches.get_mut(&token) else { continue };
            if batch.jobs.get_mut(place).and_then(Option::take).is_none() {
                continue;
            }
            batch.left -= 1;
            room(batch.lane);
            if batch.left == 0 {
                batches.remove(&token);
            }
        }
    }

    pub(super) fn tokens(&self) -> Vec<Token> {
        lock(&self.batches).keys().copied().collect()
    }

    pub(super) fn extended(&self, token: Token, deadline: Instant) {
        if let Some(batch) = lock(&self.batches).get_mut(&token) {
            batch.deadline = deadline;
        }
    }

    /// Whether a lease is over by this worker's own clock: then somebody else may run its jobs.
    pub(super) fn is_over(&self, token: Token) -> bool {
        lock(&self.batches).get(&token).is_none_or(|batch| batch.deadline <= Instant::now())
    }

    pub(super) fn lost(&self, token: Token) {
        if let Some(batch) = lock(&self.batches).get(&token) {
            tracing::warn!(token = token.0, jobs = batch.left, "a lease is lost");
            batch.jobs().for_each(|(_, hold)| hold.end(Why::Lost));
            self.line.notify_one();
        }
    }

    /// Ends what has run out by this worker's own clock: while the backend cannot be
    /// reached nobody says so, and somebody else may run the jobs by now.
    pub(super) fn end_overdue(&self, now: Instant) {
        for (token, batch) in lock(&self.batches).iter() {
            if batch.deadline <= now && batch.jobs().any(|(_, hold)| hold.why().is_none()) {
                tracing::warn!(token = token.0, jobs = batch.left, "a lease is over and cannot be renewed");
                let running = batch.jobs().filter(|(_, hold)| hold.why().is_none());
                running.for_each(|(_, hold)| hold.end(Why::Overdue));
                self.line.notify_one();
            }
        }
    }

    /// The leases on jobs for which one more crash would be the last, oldest first.
    pub(super) fn last_chances(&self) -> Vec<Token> {
        lock(&self.batches).iter().filter(|(_, b)| b.last_chance).map(|(token, _)| *token).collect()
    }

    /// Calls a job off; returns those leases of it that the backend has not been told of.
    pub(super) fn cancel(&self, id: JobId) -> Vec<(Token, JobId, Arc<Hold>)> {
        let mut all = Vec::new();
        for (token, batch) in lock(&self.batches).iter() {
            if let Some((_, hold)) = batch.jobs().find(|(held, _)| *held == id) {
                hold.end(Why::Cancelled);
                self.line.notify_one();
                if !hold.is_acknowledged() {
                    all.push((*token, id, hold.clone()));
                }
            }
        }
        all
    }

    pub(super) fn is_empty(&self) -> bool {
        lock(&self.batches).is_empty()
    }

    /// What should have ended, at the latest `margin` before now, each with its lane.
    pub(super) fn overrun(&self, now: Instant, abort: Option<Instant>, margin: Duration) -> Overrun {
        let mut all = Vec::new();
        for (token, batch) in lock(&self.batches).iter() {
            let over = batch.jobs().filter(|(_, hold)| hold.overrun(now, abort, margin));
            all.extend(over.map(|(id, hold)| (*token, *id, batch.lane, hold.clone())));
        }
        all
    }
}
