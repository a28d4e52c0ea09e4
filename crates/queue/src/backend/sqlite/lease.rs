//! Leasing, and renewing leases.

use super::fault::{Sql, broken};
use super::tx::{Ending, Tx, ids_json, job_id, unhex};
use super::writer::Verb;
use crate::backend::{Batch, Extended, LeaseRequest, LeasedJob, Token};
use crate::{JobId, State};
use std::collections::HashSet;

/// Why a job was called off whose cancellation had been requested.
pub(super) const REQUESTED: &str = "requested";

/// The end of a job that comes back while a newer one waits in its place.
pub(super) fn replaced() -> Ending<'static> {
    Ending { keep_ms: HOUR_MS, reason: Some("replaced"), result: None }
}

/// How long a cancelled job is kept where no policy speaks.
pub(super) const HOUR_MS: i64 = 3_600_000;

pub(super) struct Lease(pub(super) LeaseRequest);

impl Verb for Lease {
    type Answer = Vec<Batch>;

    async fn apply(&self, tx: &mut Tx) -> Sql<Vec<Batch>> {
        let (mut batches, mut room) = (Vec::new(), self.0.most);
        for (queue, max) in &self.0.queues {
            let max = room.min(*max);
            if max > 0 && !paused(tx, queue).await? {
                let found = from_queue(tx, &self.0, queue, max).await?;
                room -= found.iter().map(|batch| batch.jobs.len()).sum::<usize>();
                batches.extend(found);
            }
        }
        Ok(batches)
    }
}

async fn paused(tx: &mut Tx, queue: &str) -> Sql<bool> {
    let paused = "SELECT EXISTS (SELECT 1 FROM queues WHERE name = ? AND paused_until > ?)";
    sqlx::query_scalar(paused).bind(queue).bind(tx.now).fetch_one(&mut *tx.conn).await
}

/// One job of `lease.sql`: its place, id, record, attempts, crashes, marks and serial key.
type Found<'a> = (i64, i64, &'a str, Option<&'a str>, u32, u32, u8, u8, Option<String>);

/// An available job.
struct Candidate {
    job: LeasedJob,
    cancel: bool,
    serial: Option<String>,
}

/// The next jobs of a queue, in order.
async fn candidates(tx: &mut Tx, queue: &str, max: usize) -> Sql<Vec<Candidate>> {
    let find = sqlx::query_scalar(include_str!("sql/lease.sql")).bind(queue).bind(max as i64);
    let found: String = find.fetch_one(&mut *tx.conn).await?;
    let mut found: Vec<Found<'_>> = serde_json::from_str(&found).map_err(broken)?;
    found.sort_by_key(|(priority, ord, ..)| (*priority, *ord));
    let mut candidates = Vec::with_capacity(found.len());
    for (_, _, id, record, attempts, crashes, suspect, cancel, serial) in found {
        let id = job_id(&unhex(id)?)?;
        let record = match record {
            Some(record) => unhex(record)?,
            None => tx.record(id).await?,
        };
        let job = LeasedJob { id, record, attempts, crashes, suspect: suspect != 0 };
        candidates.push(Candidate { job, cancel: cancel != 0, serial });
    }
    Ok(candidates)
}

/// A call turns away at most this many jobs of a queue, so that it ends in a short time.
const MAX_TURNED_AWAY: usize = 1_000;

/// Looks again where jobs were turned away, so that those behind them have their turn.
async fn from_queue(tx: &mut Tx, request: &LeaseRequest, queue: &str, max: usize) -> Sql<Vec<Batch>> {
    let (mut batches, mut left, mut turned_away) = (Vec::new(), max, 0);
    while left > 0 && turned_away < MAX_TURNED_AWAY {
        let found = candidates(tx, queue, left).await?;
        let seen = found.len();
        let mut leased = 0;
        for group in fit(tx, request, found).await? {
            leased += group.len();
            batches.push(store(tx, request, queue, group).await?);
        }
        left -= leased;
        turned_away += seen - leased;
        if leased == seen {
            break;
        }
    }
    Ok(batches)
}

/// Sorts out which of the jobs may be leased, and in what batches.
async fn fit(tx: &mut Tx, request: &LeaseRequest, found: Vec<Candidate>) -> Sql<Vec<Vec<LeasedJob>>> {
    let (mut groups, mut shared) = (Vec::<Vec<LeasedJob>>::new(), None);
    let mut keys = HashSet::new();
    for Candidate { job, cancel, serial } in found {
        if (cancel || serial.is_some()) && !admit(tx, job.id, cancel, serial, &mut keys).await? {
            continue;
        }
        if request.alone || job.suspect {
            groups.push(vec![job]);
        } else if let Some(n) = shared {
            let group: &mut Vec<_> = &mut groups[n];
            group.push(job);
        } else {
            shared = Some(groups.len());
            groups.push(vec![job]);
        }
    }
    Ok(groups)
}

/// Whether a job with a mark or a serial key may be leased; moves it if not. `keys` are
/// those of the jobs admitted before it.
async fn admit(
    tx: &mut Tx,
    id: JobId,
    cancel: bool,
    serial: Option<String>,
    keys: &mut HashSet<String>,
) -> Sql<bool> {
    let held = match &serial {
        Some(key) if !cancel => keys.contains(key) || tx.serial_held(key).await?,
        _ => false,
    };
    if !cancel && !held {
        keys.extend(serial);
        return Ok(true);
    }
    let Some(job) = tx.load(id).await? else {
        return Ok(false);
    };
    if held {
        tx.block(&job, None).await?;
        return Ok(false);
    }
    let ending = Ending { keep_ms: HOUR_MS, reason: Some(REQUESTED), result: None };
    tx.finish(&job, State::Cancelled, ending).await?;
    if !serial.as_ref().is_some_and(|key| keys.contains(key)) {
        tx.release(serial.as_deref()).await?;
    }
    Ok(false)
}

async fn store(tx: &mut Tx, request: &LeaseRequest, queue: &str, jobs: Vec<LeasedJob>) -> Sql<Batch> {
    let token = tx.next_token();
    let expires_ms = tx.now.saturating_add(request.ttl_ms);
    let mark = sqlx::query(include_str!("sql/lease_mark.sql"));
    let mark = mark.bind(ids_json(jobs.iter().map(|j| &j.id))).bind(token);
    mark.execute(&mut *tx.conn).await?;
    let members: Vec<u8> = jobs.iter().flat_map(|j| *j.id.as_bytes()).collect();
    let batch = sqlx::query(include_str!("sql/lease_batch.sql")).bind(token).bind(&request.worker);
    let batch = batch.bind(queue).bind(expires_ms).bind(request.ttl_ms);
    batch.bind(jobs.len() as i64).bind(members).execute(&mut *tx.conn).await?;
    tx.count(queue, Some(State::Available), Some(State::Leased), jobs.len());
    Ok(Batch { token: Token(token as u64), queue: queue.into(), expires_ms, now_ms: tx.now, jobs })
}

pub(super) struct Extend(pub(super) Vec<Token>, pub(super) i64);

impl Verb for Extend {
    type Answer = Extended;

    async fn apply(&self, tx: &mut Tx) -> Sql<Extended> {
        let mut held = Vec::with_capacity(self.0.len());
        for token in &self.0 {
            let renew = "UPDATE batches SET expires_ms = ?2, ttl_ms = ?3 WHERE token = ?1 AND open > 0";
            let renew = sqlx::query(renew).bind(token.0 as i64);
            let renew = renew.bind(tx.now.saturating_add(self.1)).bind(self.1);
            held.push(renew.execute(&mut *tx.conn).await?.rows_affected() == 1);
        }
        Ok(Extended { held, cancel: super::read::cancels(&mut tx.conn).await? })
    }
}
