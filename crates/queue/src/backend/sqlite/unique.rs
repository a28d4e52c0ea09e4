//! Unique keys: who holds one, how it passes on, and what the newest enqueue replaces.
//!
//! The lock of a key is the row of the job that holds it, by a unique index over jobs that
//! are unfinished and have not given the key up. `held` has only what finished jobs hold on
//! to, for the rest of a time.

use super::enqueue::Row;
use super::fault::Sql;
use super::tx::{End, Job, Tx, job_id};
use crate::backend::{Conflict, Release, Scope};
use crate::{JobId, State};

/// The number of a release in the column `scope`.
pub(super) fn number(scope: Scope) -> i64 {
    match scope.release {
        Release::Finished | Release::After(_) => 0,
        Release::Started => 1,
        Release::Waiting => 2,
    }
}

/// How long the key is held at least, and until when it may be put off, from `now`.
pub(super) fn limits(scope: Scope, now: i64) -> (Option<i64>, Option<i64>) {
    let hold = match scope.release {
        Release::After(ms) => Some(now.saturating_add(ms)),
        _ => None,
    };
    let latest = match scope.conflict {
        Conflict::Debounce { at_most_ms: Some(ms), .. } => Some(now.saturating_add(ms)),
        _ => None,
    };
    (hold, latest)
}

impl Tx {
    /// Who holds a unique key, and whether that job lives.
    pub(super) async fn holder(&mut self, name: &str, key: &str) -> Sql<Option<(JobId, bool)>> {
        let find = sqlx::query_as(include_str!("sql/unique.sql")).bind(name).bind(key).bind(self.now);
        let found: Option<(Vec<u8>, bool)> = find.fetch_optional(&mut *self.conn).await?;
        found.map(|(id, lives)| Ok((job_id(&id)?, lives))).transpose()
    }

    /// A job that ends otherwise than by an operator holds its key for the rest of its time.
    pub(super) async fn hold_on(&mut self, job: &Job) -> Sql<()> {
        if job.unique.is_none() {
            return Ok(());
        }
        let hold = "INSERT OR REPLACE INTO held (name, unique_key, id, until_ms)
            SELECT name, unique_key, id, hold_ms FROM jobs WHERE id = ? AND hold_ms > ?";
        let hold = sqlx::query(hold).bind(&job.id.as_bytes()[..]).bind(self.now);
        hold.execute(&mut *self.conn).await.map(drop)
    }

    /// A job that was leased waits again, and with it its key where that is held by who
    /// waits. False where a newer job has the key: this one is not wanted any more.
    pub(super) async fn waits(&mut self, job: &Job) -> Sql<bool> {
        let Some(key) = job.unique.as_deref() else { return Ok(true) };
        let asked = sqlx::query_scalar("SELECT scope FROM jobs WHERE id = ?").bind(&job.id.as_bytes()[..]);
        if asked.fetch_one(&mut *self.conn).await.map(|scope: i64| scope != 2)? {
            return Ok(true);
        }
        if self.holder(&job.name, key).await?.is_some_and(|(holder, _)| holder != job.id) {
            return Ok(false);
        }
        let take = sqlx::query("UPDATE jobs SET released = 0 WHERE id = ?").bind(&job.id.as_bytes()[..]);
        take.execute(&mut *self.conn).await?;
        Ok(true)
    }

    /// A finished job is put back, and lives by its key again.
    pub(super) async fn revive(&mut self, job: &Job) -> Sql<()> {
        let free = sqlx::query("DELETE FROM held WHERE name = ? AND unique_key = ? AND id = ?");
        let free = free.bind(&job.name).bind(&job.unique).bind(&job.id.as_bytes()[..]);
        free.execute(&mut *self.conn).await.map(drop)
    }
}

/// The rows of a chunk whose keys are held for a time by jobs that have finished.
pub(super) async fn barred(tx: &mut Tx, chunk: &[Row]) -> Sql<Vec<Option<JobId>>> {
    let mut all = vec![None; chunk.len()];
    let any = "SELECT EXISTS (SELECT 1 FROM held WHERE until_ms > ?)";
    if !sqlx::query_scalar::<_, bool>(any).bind(tx.now).fetch_one(&mut *tx.conn).await? {
        return Ok(all);
    }
    for (row, bar) in chunk.iter().zip(&mut all) {
        if let Some(key) = &row.unique {
            *bar = tx.holder(&row.name, key).await?.filter(|(_, lives)| !lives).map(|(id, _)| id);
        }
    }
    Ok(all)
}

/// A job that waits becomes the new one, but for its id, its state and its place; put off
/// again where the new one says so, within the limit of its first enqueue. False where
/// nothing waits: it runs, or is to be cancelled.
pub(super) async fn replace(tx: &mut Tx, holder: JobId, row: &Row) -> Sql<bool> {
    let Some(mut job) = tx.load(holder).await? else { return Ok(false) };
    if job.cancel || job.state.is_final() || job.state == State::Leased {
        return Ok(false);
    }
    let latest = become_new(tx, &job, row).await?;
    let moved = latest.1 != i64::from(row.priority) || job.queue != row.queue;
    let (_, due) = row.start(tx.now);
    let put_off = match row.scope.conflict {
        Conflict::Debounce { .. } => due.or(Some(tx.now)).map(|at| at.min(latest.0.unwrap_or(at))),
        _ => None,
    };
    if moved {
        tx.count(&job.queue, Some(job.state), None, 1);
        tx.count(&row.queue, None, Some(job.state), 1);
    }
    let other_key = job.limit != row.limit;
    job.limit.clone_from(&row.limit);
    job.queue.clone_from(&row.queue);
    match (job.state, put_off) {
        (State::Scheduled, Some(at)) => tx.delay(&job, State::Scheduled, at).await?,
        (State::Available, Some(at)) if at > tx.now => {
            tx.delay(&job, State::Scheduled, at).await?;
        }
        (State::Available, _) if moved || other_key => tx.available(&job, End::Tail).await?,
        (State::Blocked, _) if moved || other_key => tx.available(&job, End::Tail).await?,
        _ => {}
    }
    tx.woke = true;
    Ok(true)
}

/// Writes the new job over the old one; returns until when it may be put off, and the
/// priority that it had.
async fn become_new(tx: &mut Tx, job: &Job, row: &Row) -> Sql<(Option<i64>, i64)> {
    let before = "SELECT latest_ms, priority FROM jobs WHERE id = ?";
    let before = sqlx::query_as(before).bind(&job.id.as_bytes()[..]).fetch_one(&mut *tx.conn).await?;
    let put = sqlx::query(include_str!("sql/replace.sql")).bind(&job.id.as_bytes()[..]).bind(&row.record[..]);
    let put = put.bind(&row.queue).bind(row.priority).bind(&row.limit).bind(number(row.scope));
    put.bind(limits(row.scope, tx.now).0).bind(row.version).bind(row.cost).execute(&mut *tx.conn).await?;
    Ok(before)
}
