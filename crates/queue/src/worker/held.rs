//! What this worker holds: read by the heartbeat, written by the fetcher and the settler.

use super::hold::{Hold, Why};
use super::lock;
use super::watch::Overrun;
use crate::JobId;
use crate::backend::Token;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// All leases of this worker.
#[derive(Default)]
pub(super) struct Held {
    batches: Mutex<HashMap<Token, HeldBatch>>,
}

struct HeldBatch {
    /// Which of the worker's lanes the jobs came through.
    lane: usize,
    /// By this worker's monotonic clock, counted from before the lease was asked for, so
    /// that it never ends later than the backend's.
    deadline: Instant,
    /// Whether one more crash would be its last.
    last_chance: bool,
    jobs: HashMap<JobId, Arc<Hold>>,
}

impl Held {
    pub(super) fn add(
        &self,
        token: Token,
        lane: usize,
        deadline: Instant,
        last_chance: bool,
        ids: impl Iterator<Item = JobId>,
    ) -> Vec<Arc<Hold>> {
        let holds: Vec<(JobId, Arc<Hold>)> = ids.map(|id| (id, Arc::default())).collect();
        let all = holds.iter().map(|(_, hold)| hold.clone()).collect();
        let jobs = holds.into_iter().collect();
        lock(&self.batches).insert(token, HeldBatch { lane, deadline, last_chance, jobs });
        all
    }

    /// A job is settled (or given up); the batch goes with its last job. Returns the lane
    /// in which there is room now.
    pub(super) fn remove(&self, token: Token, id: JobId) -> Option<usize> {
        let mut batches = lock(&self.batches);
        let batch = batches.get_mut(&token)?;
        batch.jobs.remove(&id)?;
        let lane = batch.lane;
        if batch.jobs.is_empty() {
            batches.remove(&token);
        }
        Some(lane)
    }

    pub(super) fn tokens(&self) -> Vec<Token> {
        lock(&self.batches).keys().copied().collect()
    }

    pub(super) fn extended(&self, token: Token, deadline: Instant) {
        if let Some(batch) = lock(&self.batches).get_mut(&token) {
            batch.deadline = deadline;
        }
    }

    pub(super) fn lost(&self, token: Token) {
        if let Some(batch) = lock(&self.batches).get(&token) {
            tracing::warn!(token = token.0, jobs = batch.jobs.len(), "a lease is lost");
            batch.jobs.values().for_each(|hold| hold.end(Why::Lost));
        }
    }

    /// Ends what has run out by this worker's own clock: while the backend cannot be
    /// reached nobody says so, and somebody else may run the jobs by now.
    pub(super) fn end_overdue(&self, now: Instant) {
        for (token, batch) in lock(&self.batches).iter() {
            if batch.deadline <= now && batch.jobs.values().any(|hold| hold.why().is_none()) {
                tracing::warn!(
                    token = token.0,
                    jobs = batch.jobs.len(),
                    "a lease is over and cannot be renewed"
                );
                batch.jobs.values().filter(|h| h.why().is_none()).for_each(|hold| hold.end(Why::Overdue));
            }
        }
    }

    /// The leases on jobs for which one more crash would be the last, oldest first.
    pub(super) fn last_chances(&self) -> Vec<Token> {
        let mut all: Vec<Token> =
            lock(&self.batches).iter().filter(|(_, b)| b.last_chance).map(|(token, _)| *token).collect();
        all.sort();
        all
    }

    /// Calls a job off; returns those leases of it that the backend has not been told of.
    pub(super) fn cancel(&self, id: JobId) -> Vec<(Token, JobId, Arc<Hold>)> {
        let mut all = Vec::new();
        for (token, batch) in lock(&self.batches).iter() {
            if let Some(hold) = batch.jobs.get(&id) {
                hold.end(Why::Cancelled);
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
            let over = batch.jobs.iter().filter(|(_, hold)| hold.overrun(now, abort, margin));
            all.extend(over.map(|(id, hold)| (*token, *id, batch.lane, hold.clone())));
        }
        all
    }
}
