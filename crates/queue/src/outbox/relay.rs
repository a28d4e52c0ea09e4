//! Out of the outbox: what has been committed is handed over to the queue.

use super::store::{Ask, Batch, Claim, Settle, Source, Waiting};
use crate::backend::{Due, EnqueueBatch, Guard, NewJob, Setting, Taken};
use crate::measure::count;
use crate::{Client, Envelope, Error, JobId, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// At most this many rows in a batch.
const MOST: i64 = 500;
/// The longest wait after a failure.
const LONGEST: Duration = Duration::from_secs(2);

/// Hands over what the outbox of one database holds. Run one in each process, or in two for
/// safety: they take turns, and where they do not, the queue refuses what it has already.
///
/// ```
/// # use legwork::{outbox, *};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
/// # outbox::migrate(&pool).await?;
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// let relay = outbox::Relay::new(jobs, pool);
/// relay.run_until(async {}).await?; // `shutdown_signal()` in a program
/// # Ok(()) }
/// ```
#[must_use = "a relay hands over when it is told to"]
pub struct Relay {
    client: Client,
    source: Arc<dyn Source>,
    /// This relay's name, for its turn.
    holder: String,
    every: Duration,
    turn: Duration,
    /// The name of the outbox in the queue, and the mark that stands there: twice the number
    /// of the last batch that was taken in, or one more where a number was spoilt.
    pub(super) fence: Option<(String, i64)>,
    /// After a refusal: so many rows are handed over one by one, to find the one.
    single: usize,
    wake: Arc<Notify>,
}

/// What an outbox holds; see [`Relay::status`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Rows that wait to be handed over.
    pub waiting: u64,
    /// How long the oldest of them has waited.
    pub oldest: Option<Duration>,
    /// Rows that the queue cannot take; why stands in their column `refused`.
    pub refused: u64,
}

/// Tells a relay of this process that something was committed; see [`Relay::waker`].
#[derive(Debug, Clone)]
pub struct Waker(Arc<Notify>);

impl Waker {
    /// Wakes the relay. Only a hint, which saves it the wait until its next look.
    ///
    /// ```
    /// # use legwork::{outbox, *};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
    /// # outbox::migrate(&pool).await?;
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let waker = outbox::Relay::new(jobs, pool).waker();
    /// waker.wake(); // behind `tx.commit()`
    /// # Ok(()) }
    /// ```
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

/// What came of one look.
enum Step {
    Handed(usize),
    Nothing,
    Standby(Duration),
}

/// What the queue said to a batch.
enum Offered {
    Taken,
    Changed,
    /// These rows cannot be taken, and why; none where it is not known which.
    Refused(Vec<(i64, String)>),
}

impl Relay {
    /// A relay from the database of `pool` to the queue of `client`.
    ///
    /// ```
    /// # use legwork::{outbox, *};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let relay = outbox::Relay::new(jobs, pool.clone());
    /// assert!(relay.status().await.unwrap_err().to_string().contains("outbox::migrate"));
    /// # Ok(()) }
    /// ```
    pub fn new(client: Client, pool: impl Source) -> Relay {
        Relay {
            client,
            source: Arc::new(pool),
            holder: JobId::new().to_string(),
            every: Duration::from_millis(200),
            turn: Duration::from_secs(2),
            fence: None,
            single: 0,
            wake: Arc::default(),
        }
    }

    /// How often it looks for new rows; 200 ms by default, 10 ms at least. A look that finds
    /// nothing is one small read.
    ///
    /// ```
    /// # use legwork::{outbox, *};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let relay = outbox::Relay::new(jobs, pool).every(std::time::Duration::from_secs(1));
    /// # let _ = relay;
    /// # Ok(()) }
    /// ```
    pub fn every(mut self, every: Duration) -> Relay {
        self.every = every.max(Duration::from_millis(10));
        self
    }

    /// A handle with which code of this process can wake the relay behind a commit.
    ///
    /// ```
    /// # use legwork::{outbox, *};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let relay = outbox::Relay::new(jobs, pool);
    /// let waker = relay.waker(); // for the state of a web front
    /// # let _ = waker;
    /// # Ok(()) }
    /// ```
    pub fn waker(&self) -> Waker {
        Waker(self.wake.clone())
    }

    /// How much waits, and for how long: for a gauge and an alarm.
    ///
    /// ```
    /// # use legwork::{outbox, *};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
    /// # outbox::migrate(&pool).await?;
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// outbox::enqueue_raw(&mut pool.acquire().await?, "a.job", "{}").await?;
    /// let status = outbox::Relay::new(jobs, pool).status().await?;
    /// assert_eq!((status.waiting, status.refused), (1, 0));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Unavailable or refused as the database is.
    pub async fn status(&self) -> Result<Status> {
        self.source.status().await
    }

    /// Hands over everything that waits now, whoever's turn it is, and says how many jobs
    /// that were: for tests, and for programs that end soon.
    ///
    /// ```
    /// # use legwork::{outbox, *};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
    /// # outbox::migrate(&pool).await?;
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// outbox::enqueue_raw(&mut pool.acquire().await?, "a.job", "{}").await?;
    /// let mut relay = outbox::Relay::new(jobs, pool);
    /// assert_eq!(relay.hand_over().await?, 1);
    /// assert_eq!(relay.hand_over().await?, 0);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Unavailable or refused as the database and the queue are. What was handed over before
    /// stays so.
    pub async fn hand_over(&mut self) -> Result<usize> {
        let mut all = 0;
        loop {
            match self.step(true).await? {
                Step::Handed(n) => all += n,
                Step::Nothing | Step::Standby(_) => return Ok(all),
            }
        }
    }

    /// Hands over what is committed until `stop` is ready. It may be dropped or killed at any
    /// moment. Outages of the database and of the queue are waited out.
    ///
    /// ```
    /// # use legwork::{outbox, *};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let error = outbox::Relay::new(jobs, pool).run_until(async {}).await.unwrap_err();
    /// assert!(error.to_string().contains("the tables are missing"));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// At the start, when the database answers and has no outbox.
    pub async fn run_until(mut self, stop: impl Future<Output = ()>) -> Result<()> {
        if let Err(e) = self.source.fence().await
            && !e.is_unavailable()
        {
            return Err(e);
        }
        let (source, holder) = (self.source.clone(), self.holder.clone());
        tokio::select! { () = stop => {}, () = self.run() => {} }
        // The next one need not wait for the end of this turn.
        let _ = tokio::time::timeout(LONGEST, source.release(&holder)).await;
        Ok(())
    }

    async fn run(&mut self) {
        let mut pause = Duration::from_millis(50);
        loop {
            let wait = match self.step(false).await {
                Ok(Step::Handed(_)) => Duration::ZERO,
                Ok(Step::Nothing) => self.every,
                Ok(Step::Standby(wait)) => wait,
                Err(e) => {
                    tracing::warn!(error = %e, "nothing is handed over; trying again");
                    pause = (pause * 2).min(LONGEST);
                    tokio::time::sleep(pause).await;
                    continue;
                }
            };
            pause = Duration::from_millis(50);
            if !wait.is_zero() {
                tokio::select! { () = tokio::time::sleep(wait) => {}, () = self.wake.notified() => {} }
            }
        }
    }

    async fn step(&mut self, force: bool) -> Result<Step> {
        let step = self.look(force).await;
        if step.is_err() {
            // Whether the queue took the batch in is not known: its mark will tell.
            self.fence = None;
        }
        step
    }

    async fn look(&mut self, force: bool) -> Result<Step> {
        if !self.source.waits().await? {
            return Ok(Step::Nothing);
        }
        let (_, mark) = self.mark().await?;
        let ask = Ask {
            holder: &self.holder,
            turn_ms: self.turn.as_millis() as i64,
            force,
            above: mark / 2,
            most: if self.single > 0 { 1 } else { MOST },
        };
        match self.source.claim(ask).await? {
            Claim::Nothing => Ok(Step::Nothing),
            Claim::Standby(ms) => {
                Ok(Step::Standby(Duration::from_millis(ms.clamp(10, 1_000).unsigned_abs())))
            }
            Claim::Batch(batch) => {
                self.single = self.single.saturating_sub(1);
                Ok(Step::Handed(self.send(&batch).await?))
            }
        }
    }

    /// Hands one batch over, or finds that it has been, and ends it in the database.
    pub(super) async fn send(&mut self, batch: &Batch) -> Result<usize> {
        let (taken, spoilt) = (batch.number * 2, batch.number * 2 + 1);
        let (end, handed) = loop {
            let (name, mark) = self.mark().await?;
            if mark == taken {
                break (Settle::Done, batch.rows.len());
            }
            // Spoilt; or larger, and then this batch was marked in a state of the database
            // from before others were handed over, which a backup brought back.
            if mark > taken {
                break (Settle::Back(Vec::new()), 0);
            }
            match self.offer(batch, &name, mark, taken).await? {
                Offered::Taken => self.fence = Some((name, taken)),
                Offered::Changed => self.fence = None,
                Offered::Refused(rows) => {
                    // Nobody may take it in any more before its rows wait again.
                    if self.take(&name, mark, spoilt, Vec::new()).await? {
                        tracing::warn!(rows = batch.rows.len(), refused = ?rows, "the queue cannot take these");
                        self.fence = Some((name, spoilt));
                        self.single = batch.rows.len();
                        break (Settle::Back(rows), 0);
                    }
                    self.fence = None;
                }
            }
        };
        self.source.settle(batch.number, &end).await?;
        count!("legwork_outbox_jobs_total", handed);
        Ok(handed)
    }

    /// The name of this outbox in the queue, and the mark that stands there.
    pub(super) async fn mark(&mut self) -> Result<(String, i64)> {
        if let Some(fence) = &self.fence {
            return Ok(fence.clone());
        }
        let name = self.source.fence().await?;
        let entry = self.client.backend().put(Setting::Outbox, &name, Some("{}")).await?;
        let entry = entry.ok_or_else(|| Error::corrupt("outbox: the queue keeps no mark"))?;
        Ok(self.fence.insert((name, entry.last_ms)).clone())
    }

    async fn offer(&self, batch: &Batch, name: &str, mark: i64, next: i64) -> Result<Offered> {
        let (mut jobs, mut refused) = (Vec::new(), Vec::new());
        for row in &batch.rows {
            match self.job(row) {
                Ok(job) => jobs.push(job),
                Err(e) => refused.push((row.seq, e.to_string())),
            }
        }
        if !refused.is_empty() {
            return Ok(Offered::Refused(refused));
        }
        match (self.take(name, mark, next, jobs).await, &batch.rows[..]) {
            (Ok(true), _) => Ok(Offered::Taken),
            (Ok(false), _) => Ok(Offered::Changed),
            (Err(e), [row]) if e.is_invalid() => Ok(Offered::Refused(vec![(row.seq, e.to_string())])),
            (Err(e), _) if e.is_invalid() => Ok(Offered::Refused(Vec::new())),
            (Err(e), _) => Err(e),
        }
    }

    fn job(&self, row: &Waiting) -> Result<NewJob> {
        let id = row.id.ok_or_else(|| Error::invalid("id: not a UUID"))?;
        let envelope = Envelope::decode(id, &row.record)?;
        let due = match (row.delay_ms, row.due_ms) {
            (Some(delay), _) => Due::In((delay - row.age_ms.max(0)).max(0)),
            (None, Some(at)) => Due::At(at),
            (None, None) => Due::Now,
        };
        // Chosen: should the queue lose its mark, the jobs that it still knows are not
        // enqueued again.
        self.client.new_job(envelope, due, true)
    }

    /// Enqueues if the mark stands where it did, and moves it, in one step.
    pub(super) async fn take(&self, name: &str, expect: i64, last: i64, jobs: Vec<NewJob>) -> Result<bool> {
        let guard = Guard::Slot { kind: Setting::Outbox, name: name.into(), expect, last };
        let batch = EnqueueBatch { lane: name.into(), seq: 0, jobs, guard, flow: None };
        Ok(self.client.backend().enqueue(&batch).await? != Taken::Changed)
    }
}
