//! The contract between the library and a backend. Ours alone: it may change in any
//! release; users meet it only in tests.
//!
//! What every backend keeps (each line has its conformance cases in `testing`):
//!
//! 1. A job is in exactly one state, and one verb moves it, atomically. [`Backend::audit`]
//!    checks that the counts add up.
//! 2. [`Backend::settle`], [`Backend::extend`] and [`Backend::note`] carry the lease's
//!    token. A wrong token changes nothing and answers `Stale`; the repetition of a settle
//!    whose reply was lost answers `Done`. Tokens only ever grow.
//! 3. What follows from an outcome (result kept, unique key released, permits freed and
//!    those who wait for them given a turn) happens in the same atomic step.
//! 4. The time of decisions is the backend's ([`Backend::now`]), or a test's.
//! 5. A wake-up is a hint; the claim is [`Backend::lease`].
//! 6. [`Backend::enqueue`] is idempotent: by `(lane, seq)` for a repeated call, by id for
//!    ids that an application chose.

mod flows;
mod health;
mod orders;
mod search;
mod types;
mod views;
mod wide;
pub use crate::unique::{Conflict, Release, Scope};
pub use flows::*;
pub use health::*;
pub use orders::*;
pub use search::*;
pub use types::*;
pub use views::*;

#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "sqlite")]
pub mod sqlite;

use crate::{Durability, Envelope, JobId, Result};
use std::future::Future;
use std::pin::Pin;
use tokio::sync::watch;

/// The future that a verb returns.
///
/// ```
/// # use legwork::{*, backend::*};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// let now: Fut<'_, i64> = jobs.backend().now();
/// assert!(now.await? > 0);
/// # Ok(()) }
/// ```
pub type Fut<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// The verbs. All instants are milliseconds since the Unix epoch by the backend's clock;
/// all lists may be empty, and then nothing happens.
///
/// ```
/// # use legwork::{*, backend::*};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// let backend = jobs.backend();
/// let id = jobs.enqueue_raw("a.job", "{}").await?.id;
/// assert_eq!(backend.control(id, Action::Cancel).await?, Controlled::Done(State::Cancelled));
/// assert_eq!(backend.get(id, false).await?.unwrap().state, State::Cancelled);
/// # Ok(()) }
/// ```
pub trait Backend: Send + Sync + 'static {
    /// `redis` or `sqlite`, and where: for messages and `doctor`, without secrets.
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// assert!(jobs.backend().describe().starts_with("sqlite"));
    /// # Ok(()) }
    /// ```
    fn describe(&self) -> String;

    /// How many shards the namespace has. What its cases say of order and of atomic batches
    /// holds within each.
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// assert_eq!(jobs.backend().shards(), 1);
    /// # Ok(()) }
    /// ```
    fn shards(&self) -> u8 {
        1
    }

    /// Whether leases are carried out in the order in which they are asked for: then
    /// a worker may ask for the next jobs before the last ones have come, and runs them in order.
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// assert!(!jobs.backend().leases_in_order());
    /// # Ok(()) }
    /// ```
    fn leases_in_order(&self) -> bool {
        false
    }

    /// How safe a job is when its enqueue is answered.
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// assert_eq!(jobs.backend().durability(), Durability::Memory);
    /// # Ok(()) }
    /// ```
    fn durability(&self) -> Durability {
        Durability::Memory
    }

    /// The shard that such a job must live in, because of its flow, its queue or its keys;
    /// none where it may live in any. Its id had better name it: it is looked for there first.
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// assert_eq!(jobs.backend().place(&Envelope::new("a.job", "{}")?), None);
    /// # Ok(()) }
    /// ```
    fn place(&self, envelope: &Envelope) -> Option<u8> {
        let _ = envelope;
        None
    }

    /// The backend's time, milliseconds since the Unix epoch.
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// let hand = ManualClock::new(1_000);
    /// let options = ClientOptions { clock: Clock::Manual(hand.clone()), ..Default::default() };
    /// let jobs = Client::connect_with("sqlite::memory:", options).await?;
    /// assert_eq!(jobs.backend().now().await?, 1_000);
    /// # Ok(()) }
    /// ```
    fn now(&self) -> Fut<'_, i64>;

    /// Takes in a batch; one answer a job, in order. Jobs whose due instant has passed (or
    /// is none) become `available` at the tail of their queue and priority, others
    /// `scheduled`.
    ///
    /// `Existing(id)` is answered, and nothing changed, when another job of the same name
    /// holds the unique key (see [`Scope`]), or (for `chosen` ids) when a record of that id
    /// exists in any state. `Replaced(id)` is answered when the scope of the new job says
    /// so and the holder still waits: it has become the new job, but for its id. A call
    /// repeated with the same `(lane, seq)` answers as it did the first time; a lane's last
    /// answer is remembered at least ten minutes. When the batch's guard does not hold,
    /// nothing is done and the answer is `Changed`.
    ///
    /// Jobs of a flow come in `blocked`, in steps; see [`FlowStep`].
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let envelope = Envelope::new("a.job", "{}")?;
    /// let job = NewJob { record: envelope.encode(), envelope, due: Due::Now, chosen: false };
    /// let batch = EnqueueBatch { lane: "lane 1".into(), seq: 1, jobs: vec![job], guard: Guard::None, flow: None };
    /// assert_eq!(jobs.backend().enqueue(&batch).await?.jobs(), [Enqueued::Created]);
    /// assert_eq!(jobs.backend().enqueue(&batch).await?.jobs(), [Enqueued::Created]); // repeated
    /// assert_eq!(jobs.queues().await?[0].count(State::Available), 1);
    /// # Ok(()) }
    /// ```
    fn enqueue<'a>(&'a self, batch: &'a EnqueueBatch) -> Fut<'a, Taken>;

    /// Leases up to `max` available jobs from each queue asked for, by priority and then
    /// first in first out, skipping paused queues. A shared batch holds one token; with
    /// `alone`, and for a job marked suspect, a job gets a batch of its own. A job
    /// with a cancel request becomes `cancelled`.
    ///
    /// Jobs with a limit key (a serial key is one) wait key by key: keys take turns, and within
    /// a key priorities are strict. A key at its limit blocks nobody else. Where a queue holds
    /// jobs of both kinds, each gets half of a call.
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # let id = jobs.enqueue_raw("a.job", "{}").await?.id;
    /// let ask = LeaseRequest { worker: "w1".into(), queues: vec![("default".into(), 1)], most: 1_000, alone: false, ttl_ms: 15_000 };
    /// let batches = jobs.backend().lease(&ask).await?.batches;
    /// assert_eq!(batches[0].jobs[0].id, id);
    /// assert!(jobs.backend().lease(&ask).await?.batches.is_empty());
    /// # Ok(()) }
    /// ```
    fn lease<'a>(&'a self, request: &'a LeaseRequest) -> Fut<'a, Leased>;

    /// Renews leases; one answer a token, in order: whether it is still held. Also returns
    /// the ids of leased jobs, of any worker, whose cancellation has been requested.
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # let id = jobs.enqueue_raw("a.job", "{}").await?.id;
    /// # let ask = LeaseRequest { worker: "w1".into(), queues: vec![("default".into(), 1)], most: 1_000, alone: false, ttl_ms: 15_000 };
    /// let batch = &jobs.backend().lease(&ask).await?.batches[0];
    /// let answer = jobs.backend().extend(&[batch.token, Token(1)], 15_000).await?;
    /// assert_eq!(answer.held, [true, false]);
    /// # Ok(()) }
    /// ```
    fn extend<'a>(&'a self, tokens: &'a [Token], ttl_ms: i64) -> Fut<'a, Extended>;

    /// Ends leases; one answer an item, in order. A batch whose jobs have all been settled
    /// is closed. See [`Outcome`] for what becomes of each.
    ///
    /// `Done` also for the repetition of the very settle that ended this lease;
    /// `Stale` when the job is not (or no longer) held under this token.
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # let id = jobs.enqueue_raw("a.job", "{}").await?.id;
    /// # let ask = LeaseRequest { worker: "w1".into(), queues: vec![("default".into(), 1)], most: 1_000, alone: false, ttl_ms: 15_000 };
    /// let batch = &jobs.backend().lease(&ask).await?.batches[0];
    /// let outcome = Outcome::Succeeded { result: Some("42".into()), keep_ms: 60_000 };
    /// let late = Settle { token: Token(1), id, outcome: outcome.clone(), keyed: false };
    /// let mine = Settle { token: batch.token, id, outcome, keyed: false };
    /// assert_eq!(jobs.backend().settle(&[late, mine]).await?, [Settled::Stale, Settled::Done]);
    /// # Ok(()) }
    /// ```
    fn settle<'a>(&'a self, items: &'a [Settle]) -> Fut<'a, Vec<Settled>>;

    /// Writes down what a leased job says: its progress, a step, its cursor, or that its
    /// worker has seen a request for its cancellation. Safe to repeat.
    ///
    /// Refused as invalid, and nothing changed, where the steps and the cursor of the job
    /// would hold more than [`MAX_STEPS`] bytes. They stay with the job through every outcome
    /// and a redrive, until it succeeds.
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # let id = jobs.enqueue_raw("a.job", "{}").await?.id;
    /// # let ask = LeaseRequest { worker: "w1".into(), queues: vec![("default".into(), 1)], most: 1_000, alone: false, ttl_ms: 15_000 };
    /// let batch = &jobs.backend().lease(&ask).await?.batches[0];
    /// assert_eq!(jobs.backend().note(batch.token, id, &Note::Progress("0.5".into())).await?, Settled::Done);
    /// assert_eq!(jobs.backend().note(Token(1), id, &Note::Progress("0.9".into())).await?, Settled::Stale);
    /// # Ok(()) }
    /// ```
    fn note<'a>(&'a self, token: Token, id: JobId, note: &'a Note) -> Fut<'a, Settled>;

    /// Makes up to `limit` due jobs (scheduled, retryable) available, earliest first.
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let hand = ManualClock::new(1_000);
    /// # let options = ClientOptions { clock: Clock::Manual(hand.clone()), ..Default::default() };
    /// # let jobs = Client::connect_with("sqlite::memory:", options).await?;
    /// jobs.enqueue_raw("a.job", "{}").delay(std::time::Duration::from_secs(5)).await?;
    /// assert_eq!(jobs.backend().promote(100).await?, Promoted { count: 0, next_ms: Some(6_000) });
    /// hand.advance(std::time::Duration::from_secs(5));
    /// assert_eq!(jobs.backend().promote(100).await?, Promoted { count: 1, next_ms: None });
    /// # Ok(()) }
    /// ```
    fn promote(&self, limit: usize) -> Fut<'_, Promoted>;

    /// Takes back up to `limit` expired batches. Their jobs become available again at the
    /// head of their queue without an attempt spent. A job that was leased alone (its batch held one job) is charged
    /// one crash and marked suspect (or discarded with the reason `crashed` when it has
    /// reached its limit); members of a shared batch are only marked suspect. A job with a
    /// cancel request becomes `cancelled`.
    ///
    /// With `outage` (the caller could not reach the backend before this call) every lease
    /// is renewed by `ttl_ms` instead, once per `ttl_ms`, and nobody is charged.
    ///
    /// A lease that ends later than one renewed at this instant would (the backend's clock
    /// has been set back) is cut to that: whoever holds it has time to renew it.
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let hand = ManualClock::new(1_000);
    /// # let options = ClientOptions { clock: Clock::Manual(hand.clone()), ..Default::default() };
    /// # let jobs = Client::connect_with("sqlite::memory:", options).await?;
    /// # let id = jobs.enqueue_raw("a.job", "{}").await?.id;
    /// # let ask = LeaseRequest { worker: "w1".into(), queues: vec![("default".into(), 1)], most: 1_000, alone: false, ttl_ms: 15_000 };
    /// jobs.backend().lease(&ask).await?;
    /// hand.advance(std::time::Duration::from_secs(16));
    /// let reaped = jobs.backend().reap(100, false, 15_000).await?;
    /// assert_eq!((reaped[0].id, reaped[0].state), (id, State::Available));
    /// # Ok(()) }
    /// ```
    fn reap(&self, limit: usize, outage: bool, ttl_ms: i64) -> Fut<'_, Vec<Reaped>>;

    /// Forgets up to `limit` finished jobs whose retention has passed, and the records of
    /// workers not seen for an hour. Returns how many jobs went.
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let hand = ManualClock::new(1_000);
    /// # let options = ClientOptions { clock: Clock::Manual(hand.clone()), ..Default::default() };
    /// # let jobs = Client::connect_with("sqlite::memory:", options).await?;
    /// # let id = jobs.enqueue_raw("a.job", "{}").await?.id;
    /// jobs.cancel(id).await?; // kept for an hour
    /// assert_eq!(jobs.backend().prune(100).await?, 0);
    /// hand.advance(std::time::Duration::from_secs(3_601));
    /// assert_eq!(jobs.backend().prune(100).await?, 1);
    /// # Ok(()) }
    /// ```
    fn prune(&self, limit: usize) -> Fut<'_, usize>;

    /// Acts on one job for an operator or client; see [`Action`].
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let id = jobs.enqueue_raw("a.job", "{}").await?.id;
    /// assert_eq!(jobs.backend().control(id, Action::Discard).await?, Controlled::Done(State::Discarded));
    /// assert_eq!(jobs.backend().control(id, Action::Cancel).await?, Controlled::Refused(State::Discarded));
    /// assert_eq!(jobs.backend().control(JobId::new(), Action::Retry).await?, Controlled::Missing);
    /// # Ok(()) }
    /// ```
    fn control<'a>(&'a self, id: JobId, action: Action) -> Fut<'a, Controlled>;

    /// Pauses, resumes or empties a queue; see [`Steer`] for what each does and answers.
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// for _ in 0..3 { jobs.enqueue_raw("a.job", "{}").await?; }
    /// assert_eq!(jobs.backend().steer("default", Steer::Purge(2)).await?, 2);
    /// jobs.backend().steer("default", Steer::Pause(Pause::For(60_000))).await?;
    /// assert!(jobs.queues().await?[0].paused.is_some());
    /// # Ok(()) }
    /// ```
    fn steer<'a>(&'a self, queue: &'a str, steer: Steer) -> Fut<'a, usize>;

    /// One job, whole. With `watch` interest in its end is registered: for a minute after it
    /// finishes its record stays, whatever its retention.
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let id = jobs.enqueue_raw("a.job", "{}").keep(Keep::None).await?.id;
    /// assert_eq!(jobs.backend().get(id, true).await?.unwrap().envelope.name(), "a.job");
    /// # Ok(()) }
    /// ```
    fn get(&self, id: JobId, watch: bool) -> Fut<'_, Option<JobView>>;

    /// A page of the jobs that fit a filter. However many jobs there are, a bounded number is
    /// looked at, so a page may be short or empty although more follow: the cursor tells.
    /// Finished jobs come with the newest end first, scheduled and retryable ones soonest
    /// first, those found by the index newest first, others in no order.
    ///
    /// From the first page to the last, a job that exists and fits throughout is found at least
    /// once; with a state it must stay in it, without one it must not be put back when it has
    /// finished.
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # let id = jobs.enqueue_raw("a.job", "{}").await?.id;
    /// let filter = Filter { name: Some("a.job".into()), limit: 10, ..Filter::default() };
    /// assert_eq!(jobs.backend().search(&filter).await?.jobs.len(), 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Invalid for a limit of 0, more than 1,000 ids, and a cursor of another filter.
    fn search<'a>(&'a self, filter: &'a Filter) -> Fut<'a, Page>;

    /// What the index finds jobs by: up to `limit` terms from this one on, in the order of
    /// their bytes.
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// jobs.enqueue_raw("a.job", "{}").tag("nightly").await?;
    /// let term = &jobs.backend().terms("g:", 10).await?[0];
    /// assert_eq!((term.term.as_str(), term.count), ("g:nightly", 1));
    /// # Ok(()) }
    /// ```
    fn terms<'a>(&'a self, from: &'a str, limit: usize) -> Fut<'a, Vec<Term>>;

    /// Every queue that has or had jobs, or is paused, with counts by state.
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # let id = jobs.enqueue_raw("a.job", "{}").await?.id;
    /// assert_eq!(jobs.backend().queues().await?[0].name, "default");
    /// # Ok(()) }
    /// ```
    fn queues(&self) -> Fut<'_, Vec<QueueView>>;

    /// All limits under which nothing goes now because a server has said so, or somebody has
    /// blocked them, by name: whether jobs wait under them or not.
    ///
    /// ```
    /// # use legwork::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// assert!(jobs.backend().blocked().await?.is_empty());
    /// # Ok(()) }
    /// ```
    fn blocked(&self) -> Fut<'_, Vec<Blocked>>;

    /// A worker's sign of life, with what it handles; answers with the [`Order`]s that it has
    /// not followed yet. One that it has come to is over. Jobs parked for a name and version
    /// that it handles become available again. With `leaving` it is forgotten, and so are
    /// orders to it.
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let mut worker = WorkerView { id: "w1".into(), host: "here".into(), ..WorkerView::default() };
    /// assert!(jobs.backend().beat(&worker).await?.is_empty());
    /// jobs.order("w1", &Order::Quiet).await?;
    /// assert_eq!(jobs.backend().beat(&worker).await?, [Order::Quiet]);
    /// worker.state = WorkerState::Quiet;
    /// assert!(jobs.backend().beat(&worker).await?.is_empty());
    /// worker.leaving = true;
    /// jobs.backend().beat(&worker).await?;
    /// assert!(jobs.backend().workers().await?.is_empty());
    /// # Ok(()) }
    /// ```
    fn beat<'a>(&'a self, worker: &'a WorkerView) -> Fut<'a, Vec<Order>>;

    /// The workers seen within the last hour, with the instant of their last beat.
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// assert!(jobs.backend().workers().await?.is_empty());
    /// # Ok(()) }
    /// ```
    fn workers(&self) -> Fut<'_, Vec<WorkerView>>;

    /// Stores a setting under its name, or drops it where `value` is none. One that is stored
    /// again keeps its `last_ms`; a new one begins at the backend's now. Returns the setting
    /// as it stands, or the one that went.
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let stored = jobs.backend().put(Setting::Queue, "mail", Some("{}")).await?.expect("stored");
    /// assert!(stored.last_ms > 0 && !stored.fired);
    /// assert_eq!(jobs.backend().put(Setting::Queue, "mail", None).await?, Some(stored));
    /// assert_eq!(jobs.backend().put(Setting::Queue, "mail", None).await?, None);
    /// # Ok(()) }
    /// ```
    fn put<'a>(&'a self, kind: Setting, name: &'a str, value: Option<&'a str>) -> Fut<'a, Option<Entry>>;

    /// All settings of a kind by name, and the version that each change of one raises.
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let before = jobs.backend().settings(Setting::Limit).await?;
    /// jobs.backend().put(Setting::Limit, "strava", Some("{}")).await?;
    /// let after = jobs.backend().settings(Setting::Limit).await?;
    /// assert!(after.version > before.version && after.entries.len() == 1);
    /// # Ok(()) }
    /// ```
    fn settings(&self, kind: Setting) -> Fut<'_, Settings>;

    /// Bumps whenever work may have become available. Mark it seen, look for work, then
    /// wait for it: in that order no wake-up is lost. A hint only; poll as well.
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let mut wakeups = jobs.backend().wakeups();
    /// wakeups.borrow_and_update();
    /// let id = jobs.enqueue_raw("a.job", "{}").await?.id;
    /// wakeups.changed().await.expect("the backend lives");
    /// # let _ = id;
    /// # Ok(()) }
    /// ```
    fn wakeups(&self) -> watch::Receiver<u64>;

    /// Reads flows: a list of them, a slice of one's nodes, or of what a node depends on. Flows
    /// that are not committed are not there.
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let page = jobs.backend().flow(&FlowAsk::List(10)).await?;
    /// assert!(page.flows.is_empty());
    /// # Ok(()) }
    /// ```
    fn flow<'a>(&'a self, ask: &'a FlowAsk) -> Fut<'a, FlowPage>;

    /// Checks that the counts by state add up and that every index entry has its record;
    /// each line returned is a broken invariant. Changes nothing. It is for tests: on Redis it
    /// is one script over everything, which blocks the server while it runs.
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// assert_eq!(jobs.backend().audit().await?, Vec::<String>::new());
    /// # Ok(()) }
    /// ```
    fn audit(&self) -> Fut<'_, Vec<String>>;

    /// What [`Backend::audit`] finds, and which of it can be mended; with `really` that is done,
    /// in the same step. What was mended may uncover more: repeat until nothing can be. It
    /// blocks a Redis as the audit does.
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// assert!(jobs.backend().mend(false).await?.is_empty());
    /// # Ok(()) }
    /// ```
    fn mend(&self, really: bool) -> Fut<'_, Vec<Fault>> {
        let _ = really;
        Box::pin(async move {
            let lines = self.audit().await?.into_iter();
            Ok(lines.map(|line| Fault { line, mendable: false }).collect())
        })
    }

    /// What is to be known of the server or file under the queue: how it keeps data, whether it
    /// has room, what is known of its version. Cheap, and changes nothing.
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// assert!(jobs.backend().examine().await?.iter().any(|f| f.line.contains("nothing is kept")));
    /// # Ok(()) }
    /// ```
    fn examine(&self) -> Fut<'_, Vec<Finding>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}
