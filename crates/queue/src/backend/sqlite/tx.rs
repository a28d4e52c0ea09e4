//! One transaction of the writer: its time, its counters, and the moves of single jobs
//! from which the verbs are made.

use super::fault::{Sql, broken};
use super::shared::Stalls;
use crate::backend::{ErrorRecord, MAX_ERRORS};
use crate::{JobId, State};
use sqlx::Sqlite;
use sqlx::pool::PoolConnection;
use std::collections::HashMap;

/// What a queue's counters change by.
#[derive(Default)]
struct Change {
    jobs: [i64; 8],
    processed: i64,
    failed: i64,
}

impl Change {
    fn is_none(&self) -> bool {
        (self.processed, self.failed, self.jobs) == (0, 0, [0; 8])
    }
}

/// A transaction that holds the write lock.
pub(super) struct Tx {
    pub(super) conn: PoolConnection<Sqlite>,
    /// The time of its decisions.
    pub(super) now: i64,
    /// Whether work may have become available.
    pub(super) woke: bool,
    pub(super) outage: i64,
    pub(super) stalls: Stalls,
    tail: i64,
    head: i64,
    token: i64,
    /// Nodes of flows that have ended in it.
    pub(super) ended: super::flow::Ended,
    changes: HashMap<String, Change>,
}

/// At which end of its queue and priority a job becomes available.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum End {
    Head,
    Tail,
}

/// A job that is about to be moved.
pub(super) struct Job {
    pub(super) id: JobId,
    pub(super) name: String,
    pub(super) queue: String,
    pub(super) state: State,
    pub(super) limit: Option<String>,
    pub(super) unique: Option<String>,
    pub(super) token: Option<i64>,
    pub(super) attempts: u32,
    pub(super) crashes: u32,
    pub(super) cancel: bool,
    pub(super) watched: bool,
    pub(super) flow: Option<JobId>,
    /// Whether its turn in its flow has not come.
    pub(super) waits: bool,
    pub(super) errors: Vec<ErrorRecord>,
}

/// How a job ends.
#[derive(Default)]
pub(super) struct Ending<'a> {
    pub(super) keep_ms: i64,
    pub(super) reason: Option<&'a str>,
    pub(super) result: Option<&'a str>,
}

/// The schema's version, tail, head, token and outage.
pub(super) type Counters = (i64, i64, i64, i64, i64);

/// How long the record of a job that somebody waits for stays at least.
pub(super) const WATCHED_MS: i64 = 60_000;

impl Tx {
    /// Takes the write lock and reads the counters, by one call: each wakes a thread. A
    /// transaction that has begun all the same where this fails is the caller's to end.
    pub(super) async fn begin(conn: &mut PoolConnection<Sqlite>) -> Sql<Counters> {
        let begin = "BEGIN IMMEDIATE; SELECT version, tail, head, token, outage FROM legwork";
        sqlx::query_as(begin).fetch_one(&mut **conn).await
    }

    /// A transaction that has begun.
    pub(super) fn new(conn: PoolConnection<Sqlite>, counters: Counters) -> Tx {
        let (_, tail, head, token, outage) = counters;
        let (changes, ended) = (HashMap::new(), super::flow::Ended::default());
        let stalls = Stalls::default();
        Tx { conn, now: 0, woke: false, outage, stalls, tail, head, token, ended, changes }
    }

    /// Writes what is still to be written; of the counters all but those that the commit writes.
    pub(super) async fn flush(&mut self) -> Sql<()> {
        super::flow::go_on(self).await?;
        self.changes.retain(|_, change| !change.is_none());
        while self.changes.len() > 1
            && let Some(queue) = self.changes.keys().next().cloned()
        {
            let Change { jobs, processed, failed } = self.changes.remove(&queue).unwrap_or_default();
            let count = sqlx::query(include_str!("sql/count.sql")).bind(queue).bind(processed).bind(failed);
            jobs.into_iter().fold(count, |q, n| q.bind(n)).execute(&mut *self.conn).await?;
        }
        Ok(())
    }

    /// Writes the rest of the counters that have changed, and commits.
    pub(super) async fn commit(&mut self) -> Sql<()> {
        let (queue, change) = self.changes.drain().next().unzip();
        let Change { jobs, processed, failed } = change.unwrap_or_default();
        let end = sqlx::query(include_str!("sql/commit.sql"));
        let end = [self.tail, self.head, self.token, self.outage].into_iter().fold(end, |q, n| q.bind(n));
        let end = end.bind(queue).bind(processed).bind(failed);
        jobs.into_iter().fold(end, |q, n| q.bind(n)).execute(&mut *self.conn).await.map(drop)
    }

    /// The places of `n` more jobs at the tail: the first of them.
    pub(super) fn tail(&mut self, n: usize) -> i64 {
        let first = self.tail + 1;
        self.tail += n as i64;
        first
    }

    /// The next token; grows whatever was lost, because the clock does.
    pub(super) fn next_token(&mut self) -> i64 {
        self.token = (self.token + 1).max(self.now.saturating_mul(1_000));
        self.token
    }

    fn change(&mut self, queue: &str) -> &mut Change {
        if !self.changes.contains_key(queue) {
            self.changes.insert(queue.into(), Change::default());
        }
        self.changes.get_mut(queue).expect("inserted above")
    }

    /// Counts jobs that leave a state, that enter one, or both.
    pub(super) fn count(&mut self, queue: &str, from: Option<State>, to: Option<State>, n: usize) {
        let jobs = &mut self.change(queue).jobs;
        if let Some(from) = from {
            jobs[from as usize] -= n as i64;
        }
        if let Some(to) = to {
            jobs[to as usize] += n as i64;
        }
    }

    /// By how many jobs a state has changed that are not written yet.
    pub(super) fn changed(&self, queue: &str, state: State) -> i64 {
        self.changes.get(queue).map_or(0, |change| change.jobs[state as usize])
    }

    pub(super) fn processed(&mut self, queue: &str, n: usize) {
        self.change(queue).processed += n as i64;
    }

    pub(super) fn failed(&mut self, queue: &str) {
        self.change(queue).failed += 1;
    }

    /// One job.
    pub(super) async fn load(&mut self, id: JobId) -> Sql<Option<Job>> {
        let find = sqlx::query_as(include_str!("sql/load.sql")).bind(&id.as_bytes()[..]);
        let row: Option<Columns> = find.fetch_optional(&mut *self.conn).await?;
        row.map(|row| Job::of(id, row)).transpose()
    }

    /// The record of one job.
    pub(super) async fn record(&mut self, id: JobId) -> Sql<Vec<u8>> {
        let find = sqlx::query_scalar("SELECT record FROM jobs WHERE id = ?").bind(&id.as_bytes()[..]);
        find.fetch_one(&mut *self.conn).await
    }

    /// Stores the attempts, crashes and errors of a job; once suspect, it stays so.
    pub(super) async fn store(&mut self, job: &Job, suspect: bool) -> Sql<()> {
        let errors = match job.errors.is_empty() {
            true => None,
            false => Some(serde_json::to_string(&job.errors).map_err(broken)?),
        };
        let store = sqlx::query(include_str!("sql/store.sql")).bind(&job.id.as_bytes()[..]);
        let store = store.bind(job.attempts).bind(job.crashes).bind(suspect).bind(errors);
        store.execute(&mut *self.conn).await.map(drop)
    }

    /// Makes a job available.
    pub(super) async fn available(&mut self, job: &Job, end: End) -> Sql<()> {
        let ord = match end {
            End::Tail => self.tail(1),
            End::Head => {
                self.head -= 1;
                self.head
            }
        };
        let put = sqlx::query(include_str!("sql/available.sql")).bind(&job.id.as_bytes()[..]).bind(ord);
        put.execute(&mut *self.conn).await?;
        self.count(&job.queue, Some(job.state), Some(State::Available), 1);
        if let Some(key) = &job.limit {
            self.join(&job.queue, key).await?;
        }
        self.woke = true;
        Ok(())
    }

    /// Puts a job off until an instant, `scheduled` or `retryable`.
    pub(super) async fn delay(&mut self, job: &Job, state: State, due_ms: i64) -> Sql<()> {
        let put =
            sqlx::query("UPDATE jobs SET state = ?2, due_ms = ?3, token = NULL, waits = 0 WHERE id = ?1");
        let put = put.bind(&job.id.as_bytes()[..]).bind(state as i64).bind(due_ms);
        put.execute(&mut *self.conn).await?;
        self.count(&job.queue, Some(job.state), Some(state), 1);
        Ok(())
    }

    /// Blocks a job: parked for a version that a worker must know.
    pub(super) async fn block(&mut self, job: &Job, parked: Option<u32>) -> Sql<()> {
        let put = sqlx::query("UPDATE jobs SET state = 4, parked = ?2, token = NULL WHERE id = ?1");
        put.bind(&job.id.as_bytes()[..]).bind(parked).execute(&mut *self.conn).await?;
        self.count(&job.queue, Some(job.state), Some(State::Blocked), 1);
        Ok(())
    }

    /// Ends a job; it stays for its retention, or goes at once.
    pub(super) async fn finish(&mut self, job: &Job, state: State, ending: Ending<'_>) -> Sql<()> {
        if state != State::Cancelled && ending.reason != Some("operator") {
            self.hold_on(job).await?;
        }
        super::flow::follow(self, job, state, &ending).await?;
        let keep = if job.watched { ending.keep_ms.max(WATCHED_MS) } else { ending.keep_ms };
        if keep <= 0 {
            return self.remove(job).await;
        }
        let put = sqlx::query(include_str!("sql/finish.sql")).bind(&job.id.as_bytes()[..]);
        let put = put.bind(state as i64).bind(self.now).bind(self.now.saturating_add(keep));
        put.bind(ending.reason).bind(ending.result).bind(job.attempts).execute(&mut *self.conn).await?;
        self.count(&job.queue, Some(job.state), Some(state), 1);
        Ok(())
    }

    /// Removes a job for good.
    pub(super) async fn remove(&mut self, job: &Job) -> Sql<()> {
        let remove = sqlx::query("DELETE FROM jobs WHERE id = ?").bind(&job.id.as_bytes()[..]);
        remove.execute(&mut *self.conn).await?;
        self.count(&job.queue, Some(job.state), None, 1);
        Ok(())
    }

    /// How many jobs of a queue are leased, those of this transaction included.
    pub(super) async fn leased(&mut self, queue: &str) -> Sql<i64> {
        let count = sqlx::query_scalar("SELECT n2 FROM queues WHERE name = ?").bind(queue);
        let count = count.fetch_optional(&mut *self.conn).await?.unwrap_or(0i64);
        Ok(count + self.changed(queue, State::Leased))
    }

    /// The last token given.
    pub(super) fn last_token(&self) -> i64 {
        self.token
    }
}

/// The columns of `load.sql`.
type Columns = (
    String,
    String,
    i64,
    Option<String>,
    Option<String>,
    Option<i64>,
    u32,
    u32,
    bool,
    bool,
    Option<String>,
    Option<Vec<u8>>,
    bool,
);

impl Job {
    fn of(id: JobId, columns: Columns) -> Sql<Job> {
        let (name, queue, number, limit, unique, token, ..) = columns;
        let (.., attempts, crashes, cancel, watched, errors, flow, waits) = columns;
        let state = state(number)?;
        let errors = errors.map_or(Ok(Vec::new()), |e| serde_json::from_str(&e)).map_err(broken)?;
        Ok(Job {
            id,
            name,
            queue,
            state,
            limit,
            unique,
            token,
            attempts,
            crashes,
            cancel,
            watched,
            flow: flow.as_deref().map(job_id).transpose()?,
            waits,
            errors,
        })
    }

    /// Remembers an error: the newest few, each cut to 4 KiB.
    pub(super) fn blow(&mut self, at_ms: i64, attempt: u32, error: &str) {
        let mut end = error.len().min(4096);
        while !error.is_char_boundary(end) {
            end -= 1;
        }
        let mark = if end < error.len() { "…" } else { "" };
        self.errors.push(ErrorRecord { at_ms, attempt, error: format!("{}{mark}", &error[..end]) });
        let extra = self.errors.len().saturating_sub(MAX_ERRORS);
        self.errors.drain(..extra);
    }
}

/// The state with this number.
pub(super) fn state(number: i64) -> Sql<State> {
    let state = usize::try_from(number).ok().and_then(|n| State::ALL.get(n)).copied();
    state.ok_or_else(|| broken(format!("the state {number} of a job is not known")))
}

/// The id in these bytes.
pub(super) fn job_id(bytes: &[u8]) -> Sql<JobId> {
    JobId::from_slice(bytes).ok_or_else(|| broken("a job's id is not 16 bytes"))
}

/// Ids one behind the other, and a JSON array as long as they are many, for
/// `substr(?, key * 16 + 1, 16) FROM json_each(?)`: what is cheapest to read for SQLite.
pub(super) fn ids_bytes<'a>(ids: impl IntoIterator<Item = &'a JobId>) -> (Vec<u8>, String) {
    let bytes: Vec<u8> = ids.into_iter().flat_map(|id| *id.as_bytes()).collect();
    let zeros = match bytes.len() / 16 {
        0 => "[]".into(),
        n => format!("[{}0]", "0,".repeat(n - 1)),
    };
    (bytes, zeros)
}

/// Ids as a JSON array of hexadecimal texts, for `unhex(value) FROM json_each(?)`.
pub(super) fn ids_json<'a>(ids: impl IntoIterator<Item = &'a JobId>) -> String {
    let mut json = String::from("[");
    for id in ids {
        json.push_str(if json.len() > 1 { ",\"" } else { "\"" });
        push_hex(&mut json, id);
        json.push('"');
    }
    json.push(']');
    json
}

/// Appends an id as 32 hexadecimal digits.
fn push_hex(text: &mut String, id: &JobId) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in id.as_bytes() {
        text.push(DIGITS[usize::from(byte >> 4)] as char);
        text.push(DIGITS[usize::from(byte & 15)] as char);
    }
}
