//! Looking, without the write lock.

use super::fault::{Sql, broken};
use super::tx::{job_id, state};
use crate::backend::{
    ErrorRecord, JobView, LeaseView, Limited, QueueView, Record, StepView, Token, WorkerView,
};
use crate::{Envelope, JobId, State};
use serde_json::value::RawValue;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, SqliteConnection};
use std::collections::HashMap;

/// One job, whole.
pub(super) async fn get(conn: &mut SqliteConnection, id: JobId) -> Sql<Option<JobView>> {
    let mut find = QueryBuilder::new(include_str!("sql/view.sql"));
    find.push(" WHERE j.id = ").push_bind(&id.as_bytes()[..]);
    find.build().fetch_optional(conn).await?.as_ref().map(view).transpose()
}

/// A row of `view.sql`.
pub(super) fn view(row: &SqliteRow) -> Sql<JobView> {
    let id = job_id(row.try_get("id")?)?;
    let state = state(row.try_get("state")?)?;
    let errors: Option<&str> = row.try_get("errors")?;
    let errors: Option<Vec<ErrorRecord>> = errors.map(serde_json::from_str).transpose().map_err(broken)?;
    let lease = match (state, row.try_get("token")?, row.try_get("worker")?, row.try_get("expires_ms")?) {
        (State::Leased, Some::<i64>(token), Some(worker), Some(expires_ms)) => {
            Some(LeaseView { worker, token: Token(token as u64), expires_ms })
        }
        _ => None,
    };
    Ok(JobView {
        id,
        state,
        envelope: Record::of(id, row.try_get("record")?),
        attempts: row.try_get("attempts")?,
        crashes: row.try_get("crashes")?,
        suspect: row.try_get("suspect")?,
        errors: errors.unwrap_or_default(),
        due_ms: row.try_get("due_ms")?,
        lease,
        cancel_requested: row.try_get("cancel")?,
        cancel_acknowledged: row.try_get("cancel_seen")?,
        parked: row.try_get("parked")?,
        finished_ms: row.try_get("finished_ms")?,
        reason: row.try_get("reason")?,
        result: raw(row.try_get("result")?),
        progress: raw(row.try_get("progress")?),
        limited: limited(row, state)?,
        steps: row.try_get::<Option<&str>, _>("steps")?.map_or_else(Vec::new, StepView::lines),
        cursor: raw(row.try_get("cursor")?),
    })
}

/// What keeps an available job waiting under its key, where that has no turn.
fn limited(row: &SqliteRow, state: State) -> Sql<Option<Limited>> {
    let after: Option<i64> = row.try_get("after_ms")?;
    let waits = after.filter(|ms| *ms > 0 && state == State::Available);
    let key: Option<String> = row.try_get("limit_key")?;
    Ok(key.zip(waits).map(|(key, ms)| Limited { key, until_ms: (ms < i64::MAX).then_some(ms) }))
}

fn raw(text: Option<String>) -> Option<Box<RawValue>> {
    text.and_then(|text| RawValue::from_string(text).ok())
}

/// The leased jobs whose cancellation is requested.
pub(super) async fn cancels(conn: &mut SqliteConnection) -> Sql<Vec<JobId>> {
    let marked = "SELECT id FROM jobs WHERE cancel = 1 AND state = 2 ORDER BY id";
    let marked: Vec<Vec<u8>> = sqlx::query_scalar(marked).fetch_all(conn).await?;
    marked.iter().map(|id| job_id(id)).collect()
}

/// Every queue, with its counts.
pub(super) async fn queues(conn: &mut SqliteConnection, now: i64) -> Sql<Vec<QueueView>> {
    let rows = sqlx::query("SELECT * FROM queues ORDER BY name").fetch_all(&mut *conn).await?;
    let parked = "SELECT queue, count(*) FROM jobs WHERE parked IS NOT NULL GROUP BY queue";
    let parked: Vec<(String, i64)> = sqlx::query_as(parked).fetch_all(&mut *conn).await?;
    let parked: HashMap<_, _> = parked.into_iter().collect();
    let mut queues = Vec::with_capacity(rows.len());
    for row in &rows {
        let mut queue = queue(row, now)?;
        queue.parked = parked.get(&queue.name).copied().unwrap_or(0) as u64;
        if queue.count(State::Available) > 0 {
            queue.oldest_ms = oldest(conn, &queue.name).await?;
        }
        queue.limits = super::limits::views(conn, &queue.name, now).await?;
        queues.push(queue);
    }
    Ok(queues)
}

fn queue(row: &SqliteRow, now: i64) -> Sql<QueueView> {
    let mut queue = QueueView { name: row.try_get("name")?, ..QueueView::default() };
    for (state, column) in State::ALL.iter().zip(["n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7"]) {
        let count: i64 = row.try_get(column)?;
        queue.counts.insert(state.as_str().into(), count.max(0) as u64);
    }
    let until: Option<i64> = row.try_get("paused_until")?;
    queue.paused = until.filter(|ms| *ms > now).map(|ms| (ms != i64::MAX).then_some(ms));
    queue.processed = row.try_get::<i64, _>("processed")?.max(0) as u64;
    queue.failed = row.try_get::<i64, _>("failed")?.max(0) as u64;
    Ok(queue)
}

/// When the oldest of the jobs was made that are next in each priority.
async fn oldest(conn: &mut SqliteConnection, queue: &str) -> Sql<Option<i64>> {
    let heads = sqlx::query_as(include_str!("sql/oldest.sql")).bind(queue);
    let heads: Vec<(Vec<u8>, Vec<u8>)> = heads.fetch_all(conn).await?;
    let mut oldest = None::<i64>;
    for (id, record) in heads {
        let id = job_id(&id)?;
        let made = Envelope::decode(id, &record).map_or_else(|_| id.created_ms(), |e| e.made_ms());
        oldest = [oldest, made].into_iter().flatten().min();
    }
    Ok(oldest)
}

/// The workers seen within the last hour.
pub(super) async fn workers(conn: &mut SqliteConnection, now: i64) -> Sql<Vec<WorkerView>> {
    let seen = "SELECT view, seen_ms FROM workers WHERE seen_ms >= ? ORDER BY id";
    let rows = sqlx::query_as(seen).bind(now - super::lease::HOUR_MS);
    let rows: Vec<(String, i64)> = rows.fetch_all(conn).await?;
    let view = |(view, seen_ms): (String, i64)| {
        let worker: WorkerView = serde_json::from_str(&view).map_err(broken)?;
        Ok(WorkerView { seen_ms, ..worker })
    };
    rows.into_iter().map(view).collect()
}
