//! The one writer of a process: takes calls off a channel and commits many at once.
//!
//! Answers are sent after COMMIT only. A call that fails would spoil its neighbours'
//! transaction, so after a failure everything is rolled back and each call is tried in a
//! transaction of its own.

use super::fault::{self, Sql};
use super::files::{Files, LOG_MOST};
use super::open::{self, PATIENCE};
use super::shared::Shared;
use super::tx::Tx;
use super::wake::Bell;
use crate::clock::span_ms;
use crate::{Clock, Error, Result};
use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqlitePool};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// At most this many calls in one transaction.
const MAX_CALLS: usize = 256;

/// After this long without a pause, other processes get a chance at the lock.
const TURN: Duration = Duration::from_millis(50);

/// How long writers wait for readers at the most so that the log can be emptied.
const MAX_EMPTY: Duration = Duration::from_secs(1);

/// A verb that writes. It may be applied more than once: only the last one is committed.
pub(super) trait Verb: Send + Sync + 'static {
    type Answer: Send + 'static;
    fn apply<'t>(&'t self, tx: &'t mut Tx) -> impl Future<Output = Sql<Self::Answer>> + Send + 't;
}

/// A verb on its way, with whoever waits for it.
trait Call: Send {
    fn apply<'t>(&'t mut self, tx: &'t mut Tx) -> Pin<Box<dyn Future<Output = Sql<()>> + Send + 't>>;
    fn answer(&mut self, failed: Option<Error>);
}

struct Waiting<V: Verb> {
    verb: V,
    answer: Option<V::Answer>,
    reply: Option<oneshot::Sender<Result<V::Answer>>>,
}

impl<V: Verb> Call for Waiting<V> {
    fn apply<'t>(&'t mut self, tx: &'t mut Tx) -> Pin<Box<dyn Future<Output = Sql<()>> + Send + 't>> {
        Box::pin(async move {
            self.answer = Some(self.verb.apply(tx).await?);
            Ok(())
        })
    }

    fn answer(&mut self, failed: Option<Error>) {
        let answer = match (failed, self.answer.take()) {
            (None, Some(answer)) => Ok(answer),
            (Some(e), _) => Err(e),
            (None, None) => return,
        };
        if let Some(reply) = self.reply.take() {
            // A caller that stopped waiting has its call carried out all the same.
            let _ = reply.send(answer);
        }
    }
}

/// The way to the writer.
#[derive(Clone)]
pub(super) struct Writer(mpsc::Sender<Box<dyn Call>>);

impl Writer {
    /// Starts the task on the current runtime; it ends when the last `Writer` is dropped.
    pub(super) fn start(shown: String, pool: SqlitePool, files: Files, clock: Clock, bell: Bell) -> Writer {
        let (calls, inbox) = mpsc::channel(4 * MAX_CALLS);
        let shared = Shared::of(files.real());
        tokio::spawn(Desk { shown, pool, files, clock, bell, shared }.run(inbox));
        Writer(calls)
    }

    /// Applies a verb and answers after its commit.
    pub(super) async fn call<V: Verb>(&self, verb: V) -> Result<V::Answer> {
        let (reply, answer) = oneshot::channel();
        let gone = || Error::unavailable("the runtime on which the backend was made has ended");
        let call = Waiting { verb, answer: None, reply: Some(reply) };
        self.0.send(Box::new(call)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

struct Desk {
    shown: String,
    pool: SqlitePool,
    files: Files,
    clock: Clock,
    bell: Bell,
    shared: Arc<Shared>,
}

/// Where a transaction failed: before anything was applied, or on the way.
enum Failed {
    Begin(sqlx::Error),
    Within(sqlx::Error),
}

impl Desk {
    async fn run(self, mut inbox: mpsc::Receiver<Box<dyn Call>>) {
        let mut calls = Vec::with_capacity(MAX_CALLS);
        let mut turn = Instant::now();
        while inbox.recv_many(&mut calls, MAX_CALLS).await > 0 {
            self.serve(&mut calls).await;
            calls.clear();
            let long = self.files.check().is_ok_and(|length| length > LOG_MOST);
            if long
                && self.shared.may_empty(Instant::now())
                && let Err(e) = self.empty().await
            {
                tracing::warn!(file = %self.shown, error = %e, "the log could not be emptied");
            }
            if inbox.is_empty() {
                turn = Instant::now();
            } else if turn.elapsed() > TURN {
                // SQLite's lock knows no queue: who never pauses starves the others.
                tokio::time::sleep(Duration::from_millis(1)).await;
                turn = Instant::now();
            }
        }
    }

    async fn serve(&self, calls: &mut [Box<dyn Call>]) {
        match self.transact(calls).await {
            Ok(()) => calls.iter_mut().for_each(|c| c.answer(None)),
            Err(Failed::Begin(e)) => self.refuse(calls, e),
            Err(Failed::Within(e)) if calls.len() == 1 => self.refuse(calls, e),
            Err(Failed::Within(_)) => {
                for call in calls.chunks_mut(1) {
                    match self.transact(call).await {
                        Ok(()) => call[0].answer(None),
                        Err(Failed::Begin(e) | Failed::Within(e)) => self.refuse(call, e),
                    }
                }
            }
        }
    }

    fn refuse(&self, calls: &mut [Box<dyn Call>], e: sqlx::Error) {
        let error = fault::of(&self.shown, e);
        calls.iter_mut().for_each(|c| c.answer(Some(error.again())));
    }

    async fn transact(&self, calls: &mut [Box<dyn Call>]) -> Result<(), Failed> {
        let asked = Instant::now();
        self.files.check().map_err(Failed::Begin)?;
        let mut tx = self.begin().await.map_err(Failed::Begin)?;
        let stalls = &self.shared.stalls;
        let stalled = |since: Instant| stalls.fetch_max(span_ms(since.elapsed()), Ordering::SeqCst);
        stalled(asked);
        // The lock may have been waited for, and the file been replaced meanwhile.
        if let Err(e) = self.files.hold() {
            let _ = sqlx::query("ROLLBACK").execute(&mut *tx.conn).await;
            return Err(Failed::Begin(e));
        }
        tx.stalls = stalls.clone();
        let begun = Instant::now();
        let applied = async {
            for call in calls {
                tx.now = self.now();
                call.apply(&mut tx).await?;
            }
            tx.flush().await?;
            // Before others can get at the lock, and once more for what the commit takes.
            stalled(begun);
            let done = tx.commit().await;
            stalled(begun);
            done
        };
        match applied.await {
            Ok(()) => {
                if tx.woke {
                    self.bell.ring();
                }
                Ok(())
            }
            Err(e) => {
                // Some errors roll back by themselves; then this one says so, and is right.
                let _ = sqlx::query("ROLLBACK").execute(&mut *tx.conn).await;
                self.let_go(tx.conn, &e);
                Err(Failed::Within(e))
            }
        }
    }

    /// Takes the write lock, however many processes want it.
    async fn begin(&self) -> Sql<Tx> {
        let started = Instant::now();
        let mut conn = self.pool.acquire().await?;
        loop {
            let failed = match Tx::begin(&mut conn).await {
                Ok(counters) if counters.0 == open::VERSION => return Ok(Tx::new(conn, counters)),
                Ok((version, ..)) => fault::broken(open::newer(version)),
                Err(e) => e,
            };
            // Fails where nothing has begun, and is right.
            let _ = sqlx::query("ROLLBACK").execute(&mut *conn).await;
            if !fault::busy(&failed) || started.elapsed() >= PATIENCE {
                self.let_go(conn, &failed);
                return Err(failed);
            }
            tokio::time::sleep(jitter(started)).await;
        }
    }

    /// Gives a connection back, or closes it where it is of no more use.
    fn let_go(&self, conn: PoolConnection<Sqlite>, e: &sqlx::Error) {
        if fault::fatal(e) && !self.shown.ends_with(":memory:") {
            self.files.release();
            drop(conn.detach());
        }
    }

    /// Empties the log where it has grown too long, because some reader or other always looked at
    /// it. Those that begin now do not; the writers wait for the others, for a while.
    async fn empty(&self) -> Sql<()> {
        let mut conn = self.pool.acquire().await?;
        let wait = format!("PRAGMA busy_timeout = {}", MAX_EMPTY.as_millis());
        sqlx::query(sqlx::AssertSqlSafe(wait)).execute(&mut *conn).await?;
        let emptied = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *conn).await;
        let usual = format!("PRAGMA busy_timeout = {}", open::BUSY.as_millis());
        sqlx::query(sqlx::AssertSqlSafe(usual)).execute(&mut *conn).await?;
        let (held_up, pages, _): (bool, i64, i64) = emptied?;
        // Fewer than none: another process was about to empty it.
        let held_up = held_up && pages >= 0;
        self.shared.emptied(Instant::now(), held_up);
        if held_up {
            tracing::warn!(file = %self.shown, pages, "the log grows: somebody reads in one transaction for a long time");
        }
        Ok(())
    }

    fn now(&self) -> i64 {
        self.clock.manual_ms().unwrap_or_else(crate::clock::system_ms)
    }
}

/// How long to wait before the lock is tried again: a few milliseconds, by chance, so that
/// waiting processes do not march in step, and shorter for those who have waited long.
pub(super) fn jitter(started: Instant) -> Duration {
    let most = if started.elapsed() > Duration::from_secs(1) { 2 } else { 8 };
    let chance = u64::from(uuid::Uuid::now_v7().as_bytes()[15]);
    Duration::from_micros(300 + chance * most * 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Clock;

    /// Writes a queue's row; then fails, where it is to fail.
    struct Touch(&'static str, bool);

    impl Verb for Touch {
        type Answer = &'static str;

        async fn apply(&self, tx: &mut Tx) -> Sql<&'static str> {
            tx.processed(self.0, 1);
            sqlx::query("INSERT INTO lanes VALUES (?, 1, x'', 0)")
                .bind(self.0)
                .execute(&mut *tx.conn)
                .await?;
            if self.1 { Err(fault::broken("on purpose")) } else { Ok(self.0) }
        }
    }

    struct Run(&'static str);

    impl Verb for Run {
        type Answer = ();

        async fn apply(&self, tx: &mut Tx) -> Sql<()> {
            sqlx::query(self.0).fetch_all(&mut *tx.conn).await.map(drop)
        }
    }

    async fn writer(place: open::Place) -> (Writer, SqlitePool) {
        let pools = open::open(&place, crate::Durability::Fsync).await.unwrap();
        (Writer::start("test".into(), pools.write, Files::default(), Clock::Backend, Bell::new()), pools.read)
    }

    #[tokio::test]
    async fn a_call_that_fails_spoils_no_neighbour() {
        let dir = tempfile::tempdir().unwrap();
        let (writer, read) = writer(open::Place::File(dir.path().join("a.db"))).await;
        // One thread: all three are in the channel before the writer runs.
        let (a, b, c) = tokio::join!(
            writer.call(Touch("a", false)),
            writer.call(Touch("b", true)),
            writer.call(Touch("c", false))
        );
        assert_eq!((a.unwrap(), c.unwrap()), ("a", "c"));
        assert!(b.unwrap_err().to_string().contains("on purpose"));
        for table in ["SELECT name FROM queues ORDER BY 1", "SELECT lane FROM lanes ORDER BY 1"] {
            let left: Vec<String> = sqlx::query_scalar(table).fetch_all(&read).await.unwrap();
            assert_eq!(left, ["a", "c"], "each once, and nothing of the one that failed");
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_log_that_is_deleted_while_the_lock_is_waited_for_is_not_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let place = open::Place::File(path.clone());
        let pools = open::open(&place, crate::Durability::Fsync).await.unwrap();
        let files = Files::of(&path).unwrap();
        let writer = Writer::start("test".into(), pools.write.clone(), files, Clock::Backend, Bell::new());
        let held = pools.write.acquire().await.unwrap();
        // One thread: while this one sleeps the writer compares the files, and waits for its connection.
        let called = tokio::spawn(async move { writer.call(Touch("a", false)).await });
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        std::fs::remove_file(dir.path().join("a.db-wal")).unwrap();
        drop(held);
        let line = called.await.unwrap().unwrap_err().to_string();
        assert!(line.contains("its -wal or -shm file was deleted"), "{line}");
        let count = "SELECT count(*) FROM lanes";
        let written: i64 = sqlx::query_scalar(count).fetch_one(&pools.read).await.unwrap();
        assert_eq!(written, 0);
        let mut conn = pools.write.acquire().await.unwrap();
        sqlx::raw_sql("BEGIN; ROLLBACK").execute(&mut *conn).await.expect("nothing is left open");
    }

    #[tokio::test]
    async fn a_full_disk_refuses_and_recovers() {
        let dir = tempfile::tempdir().unwrap();
        let (writer, _) = writer(open::Place::File(dir.path().join("a.db"))).await;
        let fill = || Run("INSERT INTO lanes SELECT hex(randomblob(8)), 1, randomblob(100000), 0");
        writer.call(Run("PRAGMA max_page_count = 100")).await.unwrap();
        let mut taken = 0;
        let error = loop {
            match writer.call(fill()).await {
                Ok(()) => taken += 1,
                Err(e) => break e,
            }
        };
        assert!(error.is_refused() && error.to_string().ends_with("storage full"), "{error:?}");
        assert!(taken < 100, "the limit holds");
        writer.call(Run("PRAGMA max_page_count = 100000")).await.unwrap();
        writer.call(fill()).await.unwrap();
    }
}
