//! The rules of queues: room at an enqueue, and what is kept.

use super::enqueue::Row;
use super::fault::Sql;
use super::tx::{Tx, WATCHED_MS};
use crate::State;
use crate::backend::{Entry, Setting};
use crate::rules::QueueRules;
use std::collections::HashSet;

/// A queue without room: its name, how many wait, and the limit.
pub(super) struct Full(pub(super) String, pub(super) i64, pub(super) i64);

/// The rules of every queue that has any.
async fn all(tx: &mut Tx) -> Sql<Vec<(String, QueueRules)>> {
    let find = "SELECT name, value FROM settings WHERE kind = ?";
    let rows: Vec<(String, String)> =
        sqlx::query_as(find).bind(Setting::Queue.as_str()).fetch_all(&mut *tx.conn).await?;
    let rules = |(name, value): (String, String)| {
        let entry = Entry { name: name.clone(), value, last_ms: 0, fired: false };
        (name, QueueRules::of(&entry))
    };
    Ok(rows.into_iter().map(rules).collect())
}

/// The first queue that has no room for what these rows add.
pub(super) async fn full(tx: &mut Tx, rows: &[Row]) -> Sql<Option<Full>> {
    for (queue, rules) in all(tx).await? {
        let Some(limit) = rules.max_waiting.map(|most| i64::try_from(most).unwrap_or(i64::MAX)) else {
            continue;
        };
        let (mut more, mut seen) = (0, HashSet::new());
        for row in rows.iter().filter(|row| row.queue == queue) {
            more += i64::from(adds(tx, row, &mut seen).await?);
        }
        let waiting = if more > 0 { tx.waiting(&queue).await? } else { 0 };
        if waiting + more > limit && more > 0 {
            return Ok(Some(Full(queue, waiting, limit)));
        }
    }
    Ok(None)
}

/// Whether a row is one more job, and not one that is there already.
async fn adds<'a>(tx: &mut Tx, row: &'a Row, seen: &mut HashSet<(&'a str, &'a str)>) -> Sql<bool> {
    if row.chosen {
        let here = sqlx::query_scalar::<_, bool>("SELECT EXISTS (SELECT 1 FROM jobs WHERE id = ?)");
        if here.bind(&row.id.as_bytes()[..]).fetch_one(&mut *tx.conn).await? {
            return Ok(false);
        }
    }
    match &row.unique {
        Some(key) => Ok(seen.insert((&row.name, key)) && tx.holder(&row.name, key).await?.is_none()),
        None => Ok(true),
    }
}

/// Forgets up to `limit` finished jobs that the rules of their queues do not keep.
pub(super) async fn trim(tx: &mut Tx, limit: usize) -> Sql<usize> {
    let mut gone = 0;
    for (queue, rules) in all(tx).await?.into_iter().filter(|(_, rules)| rules.keep()) {
        for state in State::ALL.into_iter().filter(|s| s.is_final()) {
            let most = |n: Option<u64>| n.map_or(i64::MAX, |n| i64::try_from(n).unwrap_or(i64::MAX));
            let before = rules.keep_age_ms.map_or(i64::MIN, |age| tx.now.saturating_sub(age));
            let trim = sqlx::query_as(include_str!("sql/trim.sql")).bind(&queue).bind(state as i64);
            let trim = trim.bind(before).bind(most(rules.keep_count)).bind(most(rules.keep_bytes));
            let trim = trim.bind(tx.now - WATCHED_MS).bind(limit.saturating_sub(gone) as i64);
            let went: Vec<(String, i64)> = trim.fetch_all(&mut *tx.conn).await?;
            tx.count(&queue, Some(state), None, went.len());
            gone += went.len();
        }
    }
    Ok(gone)
}

/// The jobs that wait, by queue, are those of these states.
const WAITING: [State; 4] = [State::Scheduled, State::Available, State::Retryable, State::Blocked];

impl Tx {
    /// How many jobs wait in a queue.
    async fn waiting(&mut self, queue: &str) -> Sql<i64> {
        let stored = "SELECT n0 + n1 + n3 + n4 FROM queues WHERE name = ?";
        let stored = sqlx::query_scalar(stored).bind(queue).fetch_optional(&mut *self.conn).await?;
        let since: i64 = WAITING.iter().map(|state| self.changed(queue, *state)).sum();
        Ok(stored.unwrap_or(0) + since)
    }
}
