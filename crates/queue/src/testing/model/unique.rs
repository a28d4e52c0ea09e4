//! Unique keys in the model: one scope for each key, so that all who want a key say the same.

use super::state::{Checked, Known, Model, must};
use crate::backend::*;
use crate::{JobId, State};
use std::collections::HashSet;

/// The scope of each key. No span ends at the very instant at which it is looked at.
pub(super) const SCOPES: [Scope; 5] = [
    Scope { release: Release::Finished, conflict: Conflict::Existing },
    Scope { release: Release::Started, conflict: Conflict::Existing },
    Scope { release: Release::Waiting, conflict: Conflict::Replace },
    Scope { release: Release::After(9_875), conflict: Conflict::Existing },
    Scope {
        release: Release::Started,
        conflict: Conflict::Debounce { wait_ms: 2_000, at_most_ms: Some(7_625) },
    },
];

/// What an enqueue says of a job that may take the place of another.
pub(super) struct Newest {
    pub(super) queue: usize,
    pub(super) priority: u8,
    pub(super) version: u32,
    pub(super) key: Option<usize>,
    pub(super) tag: Option<usize>,
    pub(super) due: Option<i64>,
}

impl Known {
    fn release(&self) -> Option<Release> {
        self.unique.map(|key| SCOPES[key].release)
    }

    /// Takes its key.
    pub(super) fn own(&mut self) {
        self.owns = self.unique.is_some();
    }

    /// Takes its key for the first time.
    pub(super) fn own_from(&mut self, now: i64) {
        self.own();
        if let Some(Release::After(ms)) = self.release() {
            self.hold = Some(now + ms);
        }
        if let Some(Conflict::Debounce { at_most_ms: Some(ms), .. }) = self.unique.map(|k| SCOPES[k].conflict)
        {
            self.latest = Some(now + ms);
        }
    }

    /// It is leased.
    pub(super) fn start(&mut self) {
        if matches!(self.release(), Some(Release::Started | Release::Waiting)) {
            self.owns = false;
        }
    }

    /// Whether it takes its key again when it comes back.
    pub(super) fn comes_back_for_its_key(&self) -> bool {
        self.release() == Some(Release::Waiting)
    }
}

impl Model {
    /// Who lives and holds a key.
    pub(super) fn holder(&self, key: usize) -> Option<JobId> {
        self.jobs.iter().find(|(_, j)| j.unique == Some(key) && j.owns).map(|(id, _)| *id)
    }

    /// Who holds a key, alive or for the rest of a time.
    pub(super) fn bar(&self, key: usize) -> Option<JobId> {
        let kept = self.held.get(&key).filter(|(_, until)| *until > self.now).map(|(id, _)| *id);
        self.holder(key).or(kept)
    }

    /// What an enqueue that wants this key is told, where somebody has it.
    pub(super) fn conflict(&self, key: usize) -> Option<Enqueued> {
        let id = self.bar(key)?;
        let waits = |j: &Known| !j.state.is_final() && j.state != State::Leased;
        let replaced = SCOPES[key].conflict != Conflict::Existing
            && self.jobs.get(&id).is_some_and(|j| waits(j) && j.owns);
        Some(if replaced { Enqueued::Replaced(id) } else { Enqueued::Existing(id) })
    }

    /// A job that waits becomes the newest, but for its id, its state and its place.
    pub(super) fn replace(&mut self, id: JobId, new: &Newest) {
        let now = self.now;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let moved = (job.queue, job.priority, job.key) != (new.queue, new.priority, new.key);
        (job.queue, job.priority, job.version) = (new.queue, new.priority, new.version);
        (job.key, job.tag) = (new.key, new.tag);
        let put_off = job.latest.map(|latest| new.due.unwrap_or(now).min(latest));
        match (job.state, put_off) {
            (State::Scheduled, Some(_)) => job.due = put_off,
            (State::Available, Some(at)) if at > now => {
                (job.state, job.due, job.place) = (State::Scheduled, put_off, None);
            }
            (State::Available | State::Blocked, _) if moved => self.join_tail(id),
            _ => {}
        }
    }

    /// A job ends: its key is free, or stays for the rest of its time.
    pub(super) fn give_up(&mut self, id: JobId, lasting: bool) {
        let now = self.now;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.owns = false;
        if !lasting {
            job.hold = None;
        }
        if let (Some(key), Some(until)) = (job.unique, job.hold.filter(|until| *until > now)) {
            self.held.insert(key, (id, until));
        }
    }

    /// A finished job is put back and lives by its key again.
    pub(super) fn revive(&mut self, id: JobId) {
        let now = self.now;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.own();
        job.latest = job.latest.map(|latest| latest.min(now));
        if let Some(key) = job.unique {
            self.held.remove(&key);
        }
    }

    /// Jobs come back together, and these of them were cancelled because a newer one has
    /// their key: which of two with one key takes it is the backend's choice, but one must.
    pub(super) fn come_back(&mut self, back: &[JobId], behind: &HashSet<JobId>) -> Checked {
        for id in back {
            let Some(job) = self.jobs.get(id).filter(|j| j.comes_back_for_its_key()) else {
                must!(!behind.contains(id), "{id} was replaced, and holds no key while it waits");
                continue;
            };
            let other = job.unique.and_then(|key| self.holder(key));
            must!(
                behind.contains(id) || other.is_none(),
                "{id} came back beside {other:?}, which has its key"
            );
            if let Some(job) = self.jobs.get_mut(id).filter(|_| !behind.contains(id)) {
                job.own();
            }
        }
        for id in back.iter().filter(|id| behind.contains(id)) {
            let key = self.jobs.get(id).and_then(|j| j.unique);
            must!(key.is_some_and(|key| self.holder(key).is_some()), "{id} was replaced by nobody");
        }
        Ok(())
    }
}
