//! What moves jobs without a worker: promotion, the sweep of expired leases, retention.

use super::batch::Outcomes;
use super::fault::Sql;
use super::lease::{HOUR_MS, REQUESTED};
use super::tx::{End, Ending, Job, Tx, WATCHED_MS, ids_json, job_id, state};
use super::writer::Verb;
use crate::backend::{LOST, Promoted, Reaped};
use crate::{Envelope, JobId, State};

/// The crashes allowed where neither the job nor its policy says otherwise.
const MAX_CRASHES: u32 = 3;

/// How long a discarded job is kept where no policy speaks.
pub(super) const WEEK_MS: i64 = 7 * 24 * HOUR_MS;

/// At most this many finished jobs are kept per queue and state.
const MAX_KEPT: i64 = 10_000;

/// How long a lane's last answer and a worker's last beat are remembered.
const LANE_MS: i64 = 10 * 60_000;

pub(super) struct Promote(pub(super) usize);

impl Verb for Promote {
    type Answer = Promoted;

    async fn apply(&self, tx: &mut Tx) -> Sql<Promoted> {
        let find = sqlx::query_as(include_str!("sql/due.sql")).bind(tx.now).bind(self.0 as i64);
        let due: Vec<(Vec<u8>, String, i64)> = find.fetch_all(&mut *tx.conn).await?;
        if !due.is_empty() {
            let ids: Vec<JobId> = due.iter().map(|(id, ..)| job_id(id)).collect::<Sql<_>>()?;
            let first = tx.tail(ids.len());
            let promote = sqlx::query(include_str!("sql/promote.sql")).bind(ids_json(&ids)).bind(first);
            promote.execute(&mut *tx.conn).await?;
            let join = sqlx::query(include_str!("sql/join.sql")).bind(ids_json(&ids)).bind(first);
            join.execute(&mut *tx.conn).await?;
            for (_, queue, from) in &due {
                tx.count(queue, Some(state(*from)?), Some(State::Available), 1);
            }
            tx.woke = true;
        }
        let busy = super::flow_tend::tend(tx).await?;
        let next = "SELECT min(due_ms) FROM jobs WHERE state IN (0, 3)";
        let next_ms: Option<i64> = sqlx::query_scalar(next).fetch_one(&mut *tx.conn).await?;
        let next_ms = if busy { Some(tx.now) } else { next_ms };
        Ok(Promoted { count: due.len(), next_ms })
    }
}

pub(super) struct Reap {
    pub(super) limit: usize,
    pub(super) outage: bool,
    pub(super) ttl_ms: i64,
}

impl Verb for Reap {
    type Answer = Vec<Reaped>;

    async fn apply(&self, tx: &mut Tx) -> Sql<Vec<Reaped>> {
        let until = tx.now.saturating_add(self.ttl_ms);
        // A clock that was set back must not prolong leases: none ends later than one
        // renewed this instant would.
        let clamp = "UPDATE batches SET expires_ms = ?1 + ttl_ms WHERE open > 0 AND expires_ms > ?1 + ttl_ms";
        sqlx::query(clamp).bind(tx.now).execute(&mut *tx.conn).await?;
        // A process that was stopped amid a transaction, this one or another, is an outage for
        // all: by a third of a lease later somebody's renewal may have come too late.
        let stalled = tx.stalls.swap(0, std::sync::atomic::Ordering::SeqCst) > self.ttl_ms / 3;
        let outage = self.outage || stalled;
        // Also one noted in what is the future, since the clock was set back.
        if outage && tx.now.saturating_sub(tx.outage).saturating_abs() >= self.ttl_ms {
            tx.outage = tx.now;
            let renew = "UPDATE batches SET expires_ms = ?1 WHERE open > 0 AND expires_ms < ?1";
            sqlx::query(renew).bind(until).execute(&mut *tx.conn).await?;
            return Ok(Vec::new());
        }
        let expired =
            "SELECT token FROM batches WHERE open > 0 AND expires_ms <= ? ORDER BY expires_ms LIMIT ?";
        let expired = sqlx::query_scalar(expired).bind(tx.now).bind(self.limit as i64);
        let expired: Vec<i64> = expired.fetch_all(&mut *tx.conn).await?;
        let (mut batches, mut reaped) = (Outcomes::default(), Vec::new());
        // In reverse, so that the batch and the job that were first end up in front.
        for token in expired.into_iter().rev() {
            take_back(tx, &mut batches, token, &mut reaped).await?;
        }
        batches.store(tx).await?;
        sqlx::query(include_str!("sql/mend_keys.sql")).execute(&mut *tx.conn).await?;
        reaped.reverse();
        Ok(reaped)
    }
}

async fn take_back(tx: &mut Tx, batches: &mut Outcomes, token: i64, reaped: &mut Vec<Reaped>) -> Sql<()> {
    let Some(batch) = batches.open(tx, token).await? else {
        return Ok(());
    };
    let members = batch.members();
    for id in members.iter().rev() {
        let Some(job) = tx.load(*id).await? else {
            continue;
        };
        if job.state == State::Leased && job.token == Some(token) {
            batch.lose(*id);
            reaped.push(lost(tx, job, members.len() == 1).await?);
        }
    }
    batch.close();
    Ok(())
}

/// What becomes of a job whose worker was lost. Only one that was leased alone is charged.
async fn lost(tx: &mut Tx, mut job: Job, alone: bool) -> Sql<Reaped> {
    let mut state = State::Available;
    let mut ending = Ending { keep_ms: HOUR_MS, reason: Some(REQUESTED), result: None };
    if job.cancel {
        state = State::Cancelled;
    } else if alone {
        job.crashes = job.crashes.saturating_add(1);
        job.blow(tx.now, job.attempts.saturating_add(1), LOST);
        let record = tx.record(job.id).await?;
        let limit = Envelope::decode(job.id, &record).ok().and_then(|e| e.max_crashes);
        if job.crashes >= limit.unwrap_or(MAX_CRASHES) {
            state = State::Discarded;
            ending = Ending { keep_ms: WEEK_MS, reason: Some("crashed"), result: None };
        }
    }
    if state == State::Available && !tx.waits(&job).await? {
        (state, ending) = (State::Cancelled, super::lease::replaced());
    }
    tx.store(&job, true).await?;
    if alone && !job.cancel {
        tx.index_error(&job).await?;
    }
    match state {
        State::Available => tx.available(&job, End::Head).await?,
        _ => tx.finish(&job, state, ending).await?,
    }
    tx.free(job.limit.as_deref()).await?;
    tx.free_queue(&job.queue).await?;
    Ok(Reaped { id: job.id, state, crashes: job.crashes })
}

pub(super) struct Prune(pub(super) usize);

impl Verb for Prune {
    type Answer = usize;

    async fn apply(&self, tx: &mut Tx) -> Sql<usize> {
        let old = sqlx::query_as(include_str!("sql/prune_old.sql")).bind(tx.now).bind(self.0 as i64);
        let old: Vec<(String, i64)> = old.fetch_all(&mut *tx.conn).await?;
        let mut went = forgotten(tx, &old)?;
        let full = "SELECT name, n5, n6, n7 FROM queues WHERE max(n5, n6, n7) > ?";
        let full: Vec<(String, i64, i64, i64)> =
            sqlx::query_as(full).bind(MAX_KEPT).fetch_all(&mut *tx.conn).await?;
        for (queue, n5, n6, n7) in full {
            for (number, count) in [(5, n5), (6, n6), (7, n7)] {
                // The counts are those before this transaction; what went by age is still in them.
                let gone = old.iter().filter(|(q, s)| *q == queue && *s == number).count() as i64;
                let extra = (count - gone - MAX_KEPT).min((self.0 - went.min(self.0)) as i64);
                if extra > 0 {
                    let most = sqlx::query_as(include_str!("sql/prune_most.sql")).bind(&queue).bind(number);
                    let most = most.bind(tx.now - WATCHED_MS).bind(extra);
                    let most: Vec<(String, i64)> = most.fetch_all(&mut *tx.conn).await?;
                    went += forgotten(tx, &most)?;
                }
            }
        }
        went += super::rules::trim(tx, self.0.saturating_sub(went)).await?;
        super::flow_tend::look(tx).await?;
        forget_the_rest(tx).await?;
        Ok(went)
    }
}

fn forgotten(tx: &mut Tx, jobs: &[(String, i64)]) -> Sql<usize> {
    for (queue, number) in jobs {
        tx.count(queue, Some(state(*number)?), None, 1);
    }
    Ok(jobs.len())
}

/// Closed batches, lanes and workers that have not been heard of.
async fn forget_the_rest(tx: &mut Tx) -> Sql<()> {
    for (forget, before) in [
        (include_str!("sql/prune_batches.sql"), tx.now),
        (include_str!("sql/prune_held.sql"), tx.now),
        ("DELETE FROM lanes WHERE at_ms < ?", tx.now - LANE_MS),
        ("DELETE FROM workers WHERE seen_ms < ?", tx.now - HOUR_MS),
    ] {
        sqlx::query(forget).bind(before).execute(&mut *tx.conn).await?;
    }
    // Orders to workers that are no more.
    let orphans = "DELETE FROM settings WHERE kind = 'worker'
        AND substr(name, 1, instr(name || ' ', ' ') - 1) NOT IN (SELECT id FROM workers)";
    sqlx::query(orphans).execute(&mut *tx.conn).await?;
    Ok(())
}
