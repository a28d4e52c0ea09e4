//! What the model knows: jobs in maps, and how they must look in a backend.
//!
//! Where the contract leaves a choice (which of several waiters for a key is let in,
//! where an unparked job stands in its queue), the model takes over what the backend did,
//! after checking that it was one of the choices.

use crate::backend::*;
use crate::{JobId, State};
use std::collections::{BTreeMap, HashMap};

pub(super) const QUEUES: [&str; 2] = ["left", "right"];

/// How many limit keys there are.
pub(super) const KEYS: usize = 3;

/// How many tags there are.
pub(super) const TAGS: usize = 2;

/// A check that failed, in words.
pub(super) type Checked = Result<(), String>;

/// Fails with these words where the condition does not hold.
macro_rules! must {
    ($holds:expr, $($words:tt)+) => { if !$holds { return Err(format!($($words)+)); } };
}
pub(super) use must;

/// A job as the model sees it.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) state: State,
    pub(super) queue: usize,
    pub(super) priority: u8,
    pub(super) version: u32,
    pub(super) unique: Option<usize>,
    /// Whether it lives and holds its unique key.
    pub(super) owns: bool,
    /// How long it holds the key at least.
    pub(super) hold: Option<i64>,
    /// How long it may be put off.
    pub(super) latest: Option<i64>,
    pub(super) tag: Option<usize>,
    /// Its limit key: 0 the serial one, the others under one limit.
    pub(super) key: Option<usize>,
    /// Its place in the queue among those of its priority, where it is certain.
    pub(super) place: Option<i64>,
    pub(super) attempts: u32,
    pub(super) crashes: u32,
    /// None where the contract does not say whether the suspicion has ended.
    pub(super) suspect: Option<bool>,
    pub(super) due: Option<i64>,
    pub(super) lease: Option<Token>,
    pub(super) cancel: bool,
    pub(super) parked: bool,
    /// Until when a finished job is kept; none where the contract does not say.
    pub(super) until: Option<i64>,
}

/// A live batch.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub(super) jobs: Vec<JobId>,
    /// Whether it held one job: then its loss is that job's crash.
    pub(super) alone: bool,
    pub(super) expires: i64,
}

/// A lease that ended: how, if a settle ended it.
#[derive(Debug, Clone)]
pub(super) struct Past {
    pub(super) token: Token,
    pub(super) id: JobId,
    pub(super) keyed: bool,
    pub(super) settled: Option<Outcome>,
}

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) now: i64,
    pub(super) jobs: BTreeMap<JobId, Known>,
    pub(super) live: BTreeMap<Token, Live>,
    pub(super) past: Vec<Past>,
    pub(super) ever: Vec<JobId>,
    pub(super) paused: HashMap<usize, Option<i64>>,
    pub(super) last_token: Option<Token>,
    /// Unique keys that finished jobs hold for the rest of a time.
    pub(super) held: HashMap<usize, (JobId, i64)>,
    /// How many may run under each key but the serial one.
    pub(super) pair: usize,
    pub(super) processed: [u64; 2],
    pub(super) head: i64,
    pub(super) tail: i64,
    /// Makes every due instant a different one, so that their order is certain.
    pub(super) odd: i64,
}

impl Model {
    pub(super) fn paused(&self, queue: usize) -> Option<Option<i64>> {
        self.paused.get(&queue).copied().filter(|until| until.is_none_or(|ms| ms > self.now))
    }

    /// An instant that no other job is due at.
    pub(super) fn due(&mut self, seconds: i64) -> i64 {
        self.odd += 1;
        self.now + seconds * 1_000 + self.odd
    }

    pub(super) fn join_tail(&mut self, id: JobId) {
        self.tail += 1;
        let place = Some(self.tail);
        self.available(id, place);
    }

    /// Puts jobs before all others of their priority, the first of them first.
    pub(super) fn join_head(&mut self, ids: &[JobId]) {
        for id in ids.iter().rev() {
            self.head -= 1;
            let place = Some(self.head);
            self.available(*id, place);
        }
    }

    pub(super) fn available(&mut self, id: JobId, place: Option<i64>) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.place = place;
            (job.state, job.due, job.lease, job.parked, job.until) =
                (State::Available, None, None, false, None);
        }
    }

    pub(super) fn finish(&mut self, id: JobId, state: State, keep_ms: Option<i64>) {
        self.give_up(id, state != State::Cancelled);
        if keep_ms == Some(0) {
            self.jobs.remove(&id);
        } else if let Some(job) = self.jobs.get_mut(&id) {
            (job.state, job.due, job.lease, job.parked) = (state, None, None, false);
            (job.cancel, job.place) = (false, None);
            job.until = keep_ms.map(|ms| self.now + ms);
        }
    }

    /// Takes a job out of its batch; an empty batch is closed.
    pub(super) fn leave(&mut self, token: Token, id: JobId, settled: Option<Outcome>) {
        let keyed = self.jobs.get(&id).is_some_and(|j| j.unique.is_some());
        self.past.push(Past { token, id, keyed, settled });
        if let Some(live) = self.live.get_mut(&token) {
            live.jobs.retain(|other| *other != id);
            if live.jobs.is_empty() {
                self.live.remove(&token);
            }
        }
    }

    /// How many more may run under a limit key.
    pub(super) fn free(&self, key: usize) -> usize {
        let held = self.jobs.values().filter(|j| j.key == Some(key) && j.state == State::Leased).count();
        let most = if key == 0 { 1 } else { self.pair };
        most.saturating_sub(held)
    }

    /// Compares every job and queue with the backend's, and takes over its choices.
    pub(super) fn compare(&mut self, views: &[JobView], queues: &[QueueView]) -> Checked {
        let seen: BTreeMap<JobId, &JobView> = views.iter().map(|v| (v.id, v)).collect();
        must!(seen.len() == views.len(), "a job is listed twice");
        let gone: Vec<JobId> = self.jobs.keys().filter(|id| !seen.contains_key(id)).copied().collect();
        for id in gone {
            let over = self.jobs[&id].until.is_none_or(|ms| ms <= self.now);
            must!(self.jobs[&id].state.is_final() && over, "{id} is gone; expected {:?}", self.jobs[&id]);
            self.jobs.remove(&id);
        }
        for (id, view) in &seen {
            let Some(job) = self.jobs.get_mut(id) else { return Err(format!("unexpected: {view:?}")) };
            adopt(job, view);
            same(job, view)?;
        }
        self.compare_queues(queues)
    }

    /// Compares what a search finds: every job with the tag, and no other.
    pub(super) fn compare_tag(&self, tag: usize, found: &[JobView]) -> Checked {
        let mut found: Vec<JobId> = found.iter().map(|view| view.id).collect();
        found.sort();
        let all = self.jobs.iter().filter(|(_, j)| j.tag == Some(tag));
        let all: Vec<JobId> = all.map(|(id, _)| *id).collect();
        must!(found == all, "tag {tag} finds {found:?}; expected {all:?}");
        Ok(())
    }

    fn compare_queues(&self, queues: &[QueueView]) -> Checked {
        for (queue, name) in QUEUES.iter().enumerate() {
            let none = QueueView::default();
            let view = queues.iter().find(|q| q.name == *name).unwrap_or(&none);
            for state in State::ALL {
                let expected = self.jobs.values().filter(|j| j.queue == queue && j.state == state).count();
                must!(view.count(state) == expected as u64, "{name}: {expected} {state} expected, {view:?}");
            }
            let parked = self.jobs.values().filter(|j| j.queue == queue && j.parked).count();
            must!(view.parked == parked as u64, "{name}: {parked} parked expected, {view:?}");
            must!(view.paused == self.paused(queue), "{name}: {:?} expected, {view:?}", self.paused(queue));
            must!(
                view.processed == self.processed[queue],
                "{name}: {:?} processed, {view:?}",
                self.processed
            );
        }
        Ok(())
    }
}

/// Takes over what the contract leaves to the backend.
fn adopt(job: &mut Known, view: &JobView) {
    if job.state.is_final() && job.state == view.state {
        // Whether a success is an attempt spent is told by no one; nor what is suspect then.
        (job.attempts, job.suspect, job.cancel) = (view.attempts, None, view.cancel_requested);
    }
    job.suspect = job.suspect.or(Some(view.suspect));
}

fn same(job: &Known, view: &JobView) -> Checked {
    let shown = format!("{job:?}\n  is in the backend {view:?}");
    must!(job.state == view.state, "state: {shown}");
    must!((job.attempts, job.crashes) == (view.attempts, view.crashes), "attempts, crashes: {shown}");
    must!(job.due == view.due_ms, "due: {shown}");
    must!(job.lease == view.lease.as_ref().map(|l| l.token), "lease: {shown}");
    must!(job.suspect == Some(view.suspect), "suspect: {shown}");
    must!((job.parked, job.cancel) == (view.parked, view.cancel_requested), "parked, cancel: {shown}");
    must!(QUEUES[job.queue] == view.envelope.queue(), "queue: {shown}");
    must!(job.state.is_final() == view.finished_ms.is_some(), "finished: {shown}");
    Ok(())
}
