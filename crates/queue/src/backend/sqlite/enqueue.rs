//! Taking jobs in.

use super::bulk;
use super::fault::{CONSTRAINT, Sql, code};
use super::rules::{Full, full};
use super::settings::holds;
use super::tx::{Tx, job_id};
use super::unique::{barred, limits, number, replace};
use super::writer::Verb;
use crate::backend::{Conflict, Due, EnqueueBatch, Enqueued, Guard, NewJob, Scope, Taken};
use crate::{JobId, State};
use sqlx::{QueryBuilder, Sqlite};
use std::collections::HashSet;

/// Rows in one statement. Few sizes, so that few statements are prepared.
const CHUNKS: [usize; 3] = [128, 16, 1];

/// What the table needs of a new job.
pub(super) struct Row {
    pub(super) id: JobId,
    pub(super) record: Vec<u8>,
    pub(super) name: String,
    pub(super) version: u32,
    pub(super) queue: String,
    pub(super) priority: u8,
    pub(super) due: Due,
    pub(super) unique: Option<String>,
    pub(super) scope: Scope,
    pub(super) limit: Option<String>,
    pub(super) cost: u32,
    pub(super) chosen: bool,
    /// What the index finds it by.
    pub(super) terms: Vec<String>,
    pub(super) made_ms: Option<i64>,
}

impl Row {
    pub(super) fn of(job: &NewJob) -> Row {
        let e = &job.envelope;
        Row {
            id: e.id,
            record: job.record.clone(),
            name: e.name.clone(),
            version: e.version,
            queue: e.queue.clone(),
            priority: e.priority.min(9),
            due: job.due,
            unique: e.unique.clone(),
            scope: if e.unique.is_some() { e.scope } else { Scope::default() },
            limit: e.governed(),
            cost: e.cost,
            chosen: job.chosen,
            terms: e.terms(),
            made_ms: e.made_ms(),
        }
    }

    /// The state it comes in, and when it is due if that is later.
    pub(super) fn start(&self, now: i64) -> (State, Option<i64>) {
        let due = match self.due {
            Due::Now => now,
            Due::In(ms) => now.saturating_add(ms),
            Due::At(ms) => ms,
        };
        if due <= now { (State::Available, None) } else { (State::Scheduled, Some(due)) }
    }
}

pub(super) struct Enqueue {
    lane: String,
    seq: i64,
    rows: Vec<Row>,
    guard: Guard,
}

impl Enqueue {
    pub(super) fn of(batch: &EnqueueBatch) -> Enqueue {
        let rows = batch.jobs.iter().map(Row::of).collect();
        Enqueue { lane: batch.lane.clone(), seq: batch.seq as i64, rows, guard: batch.guard.clone() }
    }
}

impl Verb for Enqueue {
    type Answer = Result<Taken, Full>;

    async fn apply(&self, tx: &mut Tx) -> Sql<Result<Taken, Full>> {
        if matches!(self.guard, Guard::Slot { .. }) {
            // Before the guard, which takes the slot.
            if let Some(full) = full(tx, &self.rows).await? {
                return Ok(Err(full));
            }
            return Ok(Ok(match holds(tx, &self.guard).await? {
                true => Taken::Jobs(insert(tx, &self.rows).await?),
                false => Taken::Changed,
            }));
        }
        // What the lane was answered, and whether any queue has rules.
        let asked = "SELECT (SELECT answer FROM lanes WHERE lane = ? AND seq = ?),
            EXISTS (SELECT 1 FROM settings WHERE kind = 'queue')";
        let asked = sqlx::query_as(asked).bind(&self.lane).bind(self.seq);
        let (before, ruled): (Option<Vec<u8>>, bool) = asked.fetch_one(&mut *tx.conn).await?;
        if let Some(answer) = before {
            return unpack(&answer).map(|all| Ok(Taken::Jobs(all)));
        }
        if !holds(tx, &self.guard).await? {
            return Ok(Ok(Taken::Changed));
        }
        if ruled && let Some(full) = full(tx, &self.rows).await? {
            return Ok(Err(full));
        }
        let answers = insert(tx, &self.rows).await?;
        let keep = sqlx::query("INSERT OR REPLACE INTO lanes (lane, seq, answer, at_ms) VALUES (?, ?, ?, ?)");
        let keep = keep.bind(&self.lane).bind(self.seq).bind(pack(&answers)).bind(tx.now);
        keep.execute(&mut *tx.conn).await?;
        Ok(Ok(Taken::Jobs(answers)))
    }
}

/// A lane's answer as bytes: 0 for created, 1 and an id for existing, 2 and one for replaced.
fn pack(answers: &[Enqueued]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(answers.len());
    for answer in answers {
        match answer {
            Enqueued::Created => bytes.push(0),
            Enqueued::Existing(id) | Enqueued::Replaced(id) => {
                bytes.push(if matches!(answer, Enqueued::Existing(_)) { 1 } else { 2 });
                bytes.extend_from_slice(id.as_bytes());
            }
        }
    }
    bytes
}

fn unpack(mut bytes: &[u8]) -> Sql<Vec<Enqueued>> {
    let mut answers = Vec::new();
    while let Some((&first, rest)) = bytes.split_first() {
        bytes = rest;
        answers.push(match first {
            0 => Enqueued::Created,
            _ => {
                let id = job_id(&bytes[..bytes.len().min(16)])?;
                bytes = &bytes[16..];
                if first == 1 { Enqueued::Existing(id) } else { Enqueued::Replaced(id) }
            }
        });
    }
    Ok(answers)
}

/// Takes jobs in, in order; one answer each.
pub(super) async fn insert(tx: &mut Tx, rows: &[Row]) -> Sql<Vec<Enqueued>> {
    let answers = put(tx, rows).await?;
    for (row, answer) in rows.iter().zip(&answers) {
        match answer {
            Enqueued::Created if !row.terms.is_empty() => {
                tx.index(row.id, row.made_ms.unwrap_or(tx.now), &row.terms).await?;
            }
            Enqueued::Replaced(id) => {
                let made = id.created_ms().or(row.made_ms).unwrap_or(tx.now);
                tx.index_again(*id, made, &row.terms).await?;
            }
            _ => {}
        }
    }
    Ok(answers)
}

async fn put(tx: &mut Tx, mut rows: &[Row]) -> Sql<Vec<Enqueued>> {
    let mut answers = Vec::with_capacity(rows.len());
    // Whether rows that are alike may still be taken in at once.
    let mut new = true;
    while !rows.is_empty() {
        let alike = bulk::alike(rows, tx.now).filter(|_| new);
        let some = || CHUNKS.into_iter().find(|n| *n <= rows.len());
        let (chunk, rest) = rows.split_at(alike.or_else(some).unwrap_or(1));
        let first = tx.tail(chunk.len());
        let plain = alike.is_some() || chunk.iter().all(|r| !r.chosen && r.unique.is_none());
        if plain && at_once(tx, chunk, first, alike.is_some()).await? {
            answers.extend(chunk.iter().map(|row| taken(tx, row)));
        } else if alike.is_some() {
            new = false;
            continue;
        } else {
            // Also after a plain chunk was refused: its call repeats one whose lane has gone
            // on, and some of its jobs are there already.
            answers.extend(carefully(tx, chunk, first).await?);
        }
        join(tx, chunk, &answers).await?;
        rows = rest;
    }
    Ok(answers)
}

/// Takes in rows without unique keys; false where one of them is there already, and then nothing
/// has changed. Any other failure may have ended the transaction: it is the caller's.
async fn at_once(tx: &mut Tx, chunk: &[Row], first: i64, alike: bool) -> Sql<bool> {
    let put = match alike {
        true => bulk::put(tx, chunk, first).await,
        false => {
            let mut put = statement(chunk.iter().zip(first..), tx.now, "");
            put.build().execute(&mut *tx.conn).await.map(drop)
        }
    };
    match put {
        Ok(()) => Ok(true),
        Err(e) if code(&e) == Some(CONSTRAINT) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Gives the keys of the jobs just taken in their turns; the last answers are theirs.
async fn join(tx: &mut Tx, chunk: &[Row], answers: &[Enqueued]) -> Sql<()> {
    let mut done = HashSet::new();
    for (row, answer) in chunk.iter().zip(&answers[answers.len() - chunk.len()..]) {
        let Some(key) = row.limit.as_deref().filter(|_| *answer == Enqueued::Created) else { continue };
        if row.start(tx.now).0 == State::Available && done.insert((&row.queue, key)) {
            tx.join(&row.queue, key).await?;
        }
    }
    Ok(())
}

fn taken(tx: &mut Tx, row: &Row) -> Enqueued {
    let (state, _) = row.start(tx.now);
    tx.count(&row.queue, None, Some(state), 1);
    // A delayed job is of interest too: whoever promotes must learn when it is due.
    tx.woke = true;
    Enqueued::Created
}

/// Takes a chunk in, leaving out what exists, and finds what stands in its place.
async fn carefully(tx: &mut Tx, chunk: &[Row], first: i64) -> Sql<Vec<Enqueued>> {
    let bars = barred(tx, chunk).await?;
    let free: Vec<_> = chunk.iter().zip(first..).zip(&bars).filter(|(_, bar)| bar.is_none()).collect();
    let mut created: HashSet<JobId> = HashSet::new();
    if !free.is_empty() {
        let free = free.into_iter().map(|(row, _)| row);
        let mut insert = statement(free, tx.now, " ON CONFLICT DO NOTHING RETURNING id");
        let ids: Vec<Vec<u8>> = insert.build_query_scalar().fetch_all(&mut *tx.conn).await?;
        created = ids.iter().map(|id| job_id(id)).collect::<Sql<_>>()?;
    }
    let mut answers = Vec::with_capacity(chunk.len());
    for row in chunk {
        // Removed, so that the second of two equal ids is not answered as the first.
        answers.push(match created.remove(&row.id) {
            true => taken(tx, row),
            false => existing(tx, row).await?,
        });
    }
    Ok(answers)
}

async fn existing(tx: &mut Tx, row: &Row) -> Sql<Enqueued> {
    let here = sqlx::query_scalar::<_, bool>("SELECT EXISTS (SELECT 1 FROM jobs WHERE id = ?)");
    if here.bind(&row.id.as_bytes()[..]).fetch_one(&mut *tx.conn).await? {
        return Ok(if row.chosen { Enqueued::Existing(row.id) } else { Enqueued::Created });
    }
    let key = row.unique.as_deref().unwrap_or_default();
    let Some((holder, lives)) = tx.holder(&row.name, key).await? else {
        return Err(super::fault::broken("a job was not taken in, and nothing stands in its place"));
    };
    if lives && row.scope.conflict != Conflict::Existing && replace(tx, holder, row).await? {
        return Ok(Enqueued::Replaced(holder));
    }
    Ok(Enqueued::Existing(holder))
}

fn statement<'a>(
    rows: impl Iterator<Item = (&'a Row, i64)>,
    now: i64,
    end: &'static str,
) -> QueryBuilder<Sqlite> {
    let mut insert = QueryBuilder::new(include_str!("sql/enqueue.sql"));
    insert.push_values(rows, |mut values, (row, ord)| {
        let (state, due_ms) = row.start(now);
        let (hold_ms, latest_ms) = limits(row.scope, now);
        values.push_bind(&row.id.as_bytes()[..]);
        values.push_bind(&row.record[..]);
        values.push_bind(&*row.name);
        values.push_bind(&*row.queue);
        values.push_bind(row.priority);
        values.push_bind(state as i64);
        values.push_bind(ord);
        values.push_bind(due_ms);
        values.push_bind(row.unique.as_deref());
        values.push_bind(row.limit.as_deref()).push_bind(row.cost);
        values.push_bind(number(row.scope)).push_bind(hold_ms).push_bind(latest_ms);
    });
    insert.push(end);
    insert
}
