//! Leasing, and renewing leases.

use super::fault::{Sql, broken};
use super::limits::{self, Books};
use super::turns::{Ceiling, next_warm, turns};
use super::tx::{Ending, Tx, job_id};
use super::writer::Verb;
use crate::State;
use crate::backend::{Batch, Extended, LeaseRequest, Leased, LeasedJob, Token};

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
    type Answer = Leased;

    async fn apply(&self, tx: &mut Tx) -> Sql<Leased> {
        let mut leased = Leased { batches: Vec::new(), now_ms: tx.now, next_ms: None };
        let (mut books, mut room) = (Books::default(), self.0.most);
        for (queue, max) in &self.0.queues {
            let max = room.min(*max);
            if max == 0 {
                continue;
            }
            let from = leased.batches.len();
            from_queue(tx, &self.0, queue, max, &mut books, &mut leased).await?;
            room -= leased.batches[from..].iter().map(|batch| batch.jobs.len()).sum::<usize>();
        }
        books.close(tx).await?;
        Ok(leased)
    }
}

/// Until when a queue is paused, the limit that it names, and whether jobs with keys wait.
async fn stand(tx: &mut Tx, queue: &str) -> Sql<(Option<i64>, Option<String>, bool)> {
    let stand = sqlx::query_as(include_str!("sql/stand.sql")).bind(queue).bind(tx.now);
    let (paused, rules, keyed): (Option<i64>, Option<String>, bool) = stand.fetch_one(&mut *tx.conn).await?;
    Ok((paused, rules.and_then(|json| crate::limit::of_rules(&json)), keyed))
}

/// Of one job its number, place, length, attempts, crashes, marks and cost.
type Known = (i64, i64, i64, usize, u32, u32, u8, u8, u32);

/// What `lease.sql` finds: what is known of each job; all ids; all records.
type Found = (String, Option<Vec<u8>>, Option<Vec<u8>>);

/// Longer records are not among them, as in `lease.sql`.
const LONG: usize = 4096;

/// An available job.
pub(super) struct Candidate {
    n: i64,
    job: LeasedJob,
    pub(super) cancel: bool,
    pub(super) cost: u32,
}

/// The next jobs of the plain lane of a queue, in order.
async fn candidates(tx: &mut Tx, queue: &str, max: usize) -> Sql<Vec<Candidate>> {
    let find = sqlx::query_as(include_str!("sql/lease.sql")).bind(queue).bind(max as i64);
    let found = find.fetch_one(&mut *tx.conn).await?;
    read(tx, found).await
}

/// The next jobs that wait under a key, in order.
pub(super) async fn candidates_of(tx: &mut Tx, queue: &str, key: &str, max: usize) -> Sql<Vec<Candidate>> {
    let find = sqlx::query_as(include_str!("sql/lease_key.sql")).bind(queue).bind(key).bind(max as i64);
    let found = find.fetch_one(&mut *tx.conn).await?;
    read(tx, found).await
}

async fn read(tx: &mut Tx, (found, ids, records): Found) -> Sql<Vec<Candidate>> {
    let found: Vec<Known> = serde_json::from_str(&found).map_err(broken)?;
    let (ids, records) = (ids.unwrap_or_default(), records.unwrap_or_default());
    let (mut ids, mut records) = (ids.chunks_exact(16), &records[..]);
    let mut candidates = Vec::with_capacity(found.len());
    for (n, priority, ord, length, attempts, crashes, suspect, cancel, cost) in found {
        let id = job_id(ids.next().unwrap_or_default())?;
        let record = match records.split_at_checked(length).filter(|_| length <= LONG) {
            Some((record, rest)) => {
                records = rest;
                record.to_vec()
            }
            None => tx.record(id).await?,
        };
        let job = LeasedJob { id, record, attempts, crashes, suspect: suspect != 0 };
        candidates.push(((priority, ord), Candidate { n, job, cancel: cancel != 0, cost }));
    }
    // As they are already; but that is not promised.
    candidates.sort_by_key(|(place, _)| *place);
    Ok(candidates.into_iter().map(|(_, candidate)| candidate).collect())
}

/// Leases from both lanes of a queue, half from each where both hold work.
async fn from_queue(
    tx: &mut Tx,
    request: &LeaseRequest,
    queue: &str,
    max: usize,
    books: &mut Books,
    leased: &mut Leased,
) -> Sql<()> {
    let (paused, limit, keyed) = stand(tx, queue).await?;
    if let Some(until) = paused {
        soonest(leased, Some(until).filter(|ms| *ms < i64::MAX));
        return Ok(());
    }
    let mut want = max;
    let mut ceiling = Ceiling { limit, stop: None };
    if let Some(limit) = ceiling.limit.clone() {
        if let Some(permits) = books.rule(tx, &limit).await?.concurrency {
            let mut inside = 0;
            for queue in limits::sharing(&mut tx.conn, &limit).await? {
                inside += tx.leased(&queue).await?;
            }
            want = want.min((i64::from(permits) - inside).max(0) as usize);
        }
        ceiling.stop = books.when(tx, &limit, 1.0).await?;
        want = books.affords(tx, &limit, want).await?;
    }
    let size = |batches: &[Batch]| batches.iter().map(|batch| batch.jobs.len()).sum::<usize>();
    let from = leased.batches.len();
    if want > 0 && keyed {
        // A single one comes from either lane, in turn.
        let half = if want > 1 { want.div_ceil(2) } else { ((tx.last_token() + 1) % 2) as usize };
        leased.batches.extend(turns(tx, request, queue, half, books, &mut ceiling).await?);
    }
    if want > 0 && ceiling.stop.is_none() {
        let mut left = want - size(&leased.batches[from..]);
        if let Some(limit) = &ceiling.limit {
            left = books.affords(tx, limit, left).await?;
        }
        let batches = plain(tx, request, queue, left).await?;
        if let Some(limit) = &ceiling.limit {
            books.spend(limit, size(&batches) as f64);
        }
        leased.batches.extend(batches);
        let left = want - size(&leased.batches[from..]);
        if keyed && left > 0 {
            leased.batches.extend(turns(tx, request, queue, left, books, &mut ceiling).await?);
        }
    }
    if let Some(limit) = &ceiling.limit {
        ceiling.stop = ceiling.stop.or(books.when(tx, limit, 1.0).await?);
    }
    soonest(leased, ceiling.stop);
    if keyed {
        let warm = next_warm(tx, queue).await?;
        soonest(leased, warm);
    }
    Ok(())
}

fn soonest(leased: &mut Leased, ms: Option<i64>) {
    leased.next_ms = leased.next_ms.into_iter().chain(ms).min();
}

/// A call turns away at most this many jobs of a queue, so that it ends in a short time.
const MAX_TURNED_AWAY: usize = 1_000;

/// Looks again where jobs were turned away, so that those behind them have their turn.
async fn plain(tx: &mut Tx, request: &LeaseRequest, queue: &str, max: usize) -> Sql<Vec<Batch>> {
    let (mut batches, mut left, mut turned_away) = (Vec::new(), max, 0);
    while left > 0 && turned_away < MAX_TURNED_AWAY {
        let found = candidates(tx, queue, left).await?;
        let seen = found.len();
        let mut leased = 0;
        for group in fit(tx, request, found).await? {
            leased += group.len();
            batches.push(store(tx, request, queue, group, false).await?);
        }
        left -= leased;
        turned_away += seen - leased;
        if leased == seen {
            break;
        }
    }
    Ok(batches)
}

/// Sorts out in what batches jobs may be leased; one to be cancelled is.
pub(super) async fn fit(
    tx: &mut Tx,
    request: &LeaseRequest,
    found: Vec<Candidate>,
) -> Sql<Vec<Vec<Candidate>>> {
    let (mut groups, mut shared) = (Vec::<Vec<Candidate>>::new(), None);
    for one in found {
        if one.cancel {
            if let Some(job) = tx.load(one.job.id).await? {
                let ending = Ending { keep_ms: HOUR_MS, reason: Some(REQUESTED), result: None };
                tx.finish(&job, State::Cancelled, ending).await?;
            }
        } else if request.alone || one.job.suspect {
            groups.push(vec![one]);
        } else if let Some(n) = shared {
            let group: &mut Vec<_> = &mut groups[n];
            group.push(one);
        } else {
            shared = Some(groups.len());
            groups.push(vec![one]);
        }
    }
    Ok(groups)
}

pub(super) async fn store(
    tx: &mut Tx,
    request: &LeaseRequest,
    queue: &str,
    jobs: Vec<Candidate>,
    keyed: bool,
) -> Sql<Batch> {
    let token = tx.next_token();
    let expires_ms = tx.now.saturating_add(request.ttl_ms);
    let numbers: Vec<i64> = jobs.iter().map(|one| one.n).collect();
    let numbers = serde_json::to_string(&numbers).map_err(broken)?;
    let jobs: Vec<LeasedJob> = jobs.into_iter().map(|one| one.job).collect();
    let members: Vec<u8> = jobs.iter().flat_map(|j| *j.id.as_bytes()).collect();
    let mark = sqlx::query(include_str!("sql/lease_mark.sql")).bind(numbers).bind(token);
    let mark = mark.bind(&request.worker).bind(queue).bind(expires_ms).bind(request.ttl_ms);
    mark.bind(jobs.len() as i64).bind(members).bind(keyed).execute(&mut *tx.conn).await?;
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
