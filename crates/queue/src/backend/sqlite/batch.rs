//! The batches that one call of `settle` or `reap` touches, and how their members ended.

use super::fault::Sql;
use super::tx::Tx;
use crate::JobId;
use crate::backend::{Outcome, Settled};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// A closed batch is remembered at least this long, and at least for the length of its lease.
const REMEMBER_MS: i64 = 60_000;

/// How a member ended that was taken back unsettled.
const LOST: u8 = 255;

/// A batch as it is stored.
pub(super) struct Open {
    pub(super) queue: String,
    /// Whether its jobs have limit keys.
    pub(super) keyed: bool,
    /// Whether its queue has rules; without any it is under no limit.
    pub(super) ruled: bool,
    ttl_ms: i64,
    open: i64,
    members: Vec<u8>,
    ended: Vec<u8>,
    changed: bool,
}

/// Batches by token; none where there is no such batch.
#[derive(Default)]
pub(super) struct Outcomes(HashMap<i64, Option<Open>>);

impl Outcomes {
    /// The batch with this token, closed or not.
    pub(super) async fn open(&mut self, tx: &mut Tx, token: i64) -> Sql<Option<&mut Open>> {
        if let Entry::Vacant(vacant) = self.0.entry(token) {
            let find = "SELECT queue, keyed,
                EXISTS (SELECT 1 FROM settings WHERE kind = 'queue' AND name = batches.queue),
                ttl_ms, open, members, ended FROM batches WHERE token = ?";
            let found = sqlx::query_as(find).bind(token).fetch_optional(&mut *tx.conn).await?;
            let found = found.map(|(queue, keyed, ruled, ttl_ms, open, members, ended)| Open {
                queue,
                keyed,
                ruled,
                ttl_ms,
                open,
                members,
                ended,
                changed: false,
            });
            vacant.insert(found);
        }
        Ok(self.0.get_mut(&token).and_then(Option::as_mut))
    }

    /// Writes back what has changed.
    pub(super) async fn store(self, tx: &mut Tx) -> Sql<()> {
        for (token, batch) in self.0 {
            let Some(batch) = batch.filter(|b| b.changed) else {
                continue;
            };
            let forget = (batch.open <= 0).then(|| tx.now.saturating_add(batch.ttl_ms.max(REMEMBER_MS)));
            let store = sqlx::query(include_str!("sql/batch.sql")).bind(token).bind(batch.open.max(0));
            store.bind(batch.ended).bind(forget).execute(&mut *tx.conn).await?;
        }
        Ok(())
    }
}

impl Open {
    /// The ids of all members, in the order of the lease.
    pub(super) fn members(&self) -> Vec<JobId> {
        self.members.chunks_exact(16).filter_map(JobId::from_slice).collect()
    }

    /// Some members succeeded.
    pub(super) fn left(&mut self, n: usize) {
        self.open -= n as i64;
        self.changed |= n > 0;
    }

    /// A member was settled.
    pub(super) fn end(&mut self, id: JobId, outcome: &Outcome) {
        self.left(1);
        if word(outcome) != 0 {
            self.ended.extend_from_slice(id.as_bytes());
            self.ended.push(word(outcome));
        }
    }

    /// A member was taken back.
    pub(super) fn lose(&mut self, id: JobId) {
        self.left(1);
        self.ended.extend_from_slice(id.as_bytes());
        self.ended.push(LOST);
    }

    /// Nothing of it is held any more.
    pub(super) fn close(&mut self) {
        (self.open, self.changed) = (0, true);
    }

    /// The answer to a settle of a job that this batch does not hold: done if it repeats
    /// the one that ended the lease.
    pub(super) fn repeated(&self, id: JobId, outcome: &Outcome) -> Settled {
        let member = self.members.chunks_exact(16).any(|m| m == id.as_bytes());
        let ended = self.ended.chunks_exact(17).find(|e| e[..16] == id.as_bytes()[..]);
        let ended = ended.map_or(0, |e| e[16]);
        if member && ended == word(outcome) { Settled::Done } else { Settled::Stale }
    }
}

/// The outcome as one byte; 0, the common one, is not written down.
fn word(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Succeeded { .. } => 0,
        Outcome::Retry { .. } => 1,
        Outcome::Snooze { .. } => 2,
        Outcome::Discard { .. } => 3,
        Outcome::Cancel { .. } => 4,
        Outcome::HandBack => 5,
        Outcome::Park => 6,
        Outcome::Crash { .. } => 7,
    }
}
