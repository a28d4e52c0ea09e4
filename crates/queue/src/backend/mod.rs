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
//! 3. What follows from an outcome (result kept, unique key released, the next holder of a
//!    serial key let in) happens in the same atomic step.
//! 4. The time of decisions is the backend's ([`Backend::now`]), or a test's.
//! 5. A wake-up is a hint; the claim is [`Backend::lease`].
//! 6. [`Backend::enqueue`] is idempotent: by `(lane, seq)` for a repeated call, by id for
//!    ids that an application chose.

mod types;
pub use types::*;

#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "sqlite")]
pub mod sqlite;

use crate::{JobId, Result};
use std::future::Future;
use std::pin::Pin;
use tokio::sync::watch;

/// The future that a verb returns.
pub type Fut<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// The verbs. All instants are milliseconds since the Unix epoch by the backend's clock;
/// all lists may be empty, and then nothing happens.
pub trait Backend: Send + Sync + 'static {
    /// `redis` or `sqlite`, and where: for messages and `doctor`, without secrets.
    fn describe(&self) -> String;

    /// The backend's time, milliseconds since the Unix epoch.
    fn now(&self) -> Fut<'_, i64>;

    /// Takes in a batch; one answer a job, in order. Jobs whose due instant has passed (or
    /// is none) become `available` at the tail of their queue and priority, others
    /// `scheduled`.
    ///
    /// `Existing(id)` is answered, and nothing changed, when an unfinished job of the same
    /// name holds the unique key, or (for `chosen` ids) when a record of that id exists in
    /// any state. A call repeated with the same `(lane, seq)` answers as it did the first
    /// time; a lane's last answer is remembered at least ten minutes.
    fn enqueue<'a>(&'a self, batch: &'a EnqueueBatch) -> Fut<'a, Vec<Enqueued>>;

    /// Leases up to `max` available jobs from each queue asked for, by priority and then
    /// first in first out, skipping paused queues. A shared batch holds one token; with
    /// `alone`, and for a job marked suspect, a job gets a batch of its own. A job whose
    /// serial key is held by another leased job becomes `blocked` instead; one with a
    /// cancel request becomes `cancelled`.
    fn lease<'a>(&'a self, request: &'a LeaseRequest) -> Fut<'a, Vec<Batch>>;

    /// Renews leases; one answer a token, in order: whether it is still held. Also returns
    /// the ids of leased jobs, of any worker, whose cancellation has been requested.
    fn extend<'a>(&'a self, tokens: &'a [Token], ttl_ms: i64) -> Fut<'a, Extended>;

    /// Ends leases; one answer an item, in order. A batch whose jobs have all been settled
    /// is closed. See [`Outcome`] for what becomes of each.
    ///
    /// `Done` also for the repetition of the very settle that ended this lease;
    /// `Stale` when the job is not (or no longer) held under this token.
    fn settle<'a>(&'a self, items: &'a [Settle]) -> Fut<'a, Vec<Settled>>;

    /// Stores a leased job's progress (a JSON text), replacing what was there.
    fn note<'a>(&'a self, token: Token, id: JobId, progress: &'a str) -> Fut<'a, Settled>;

    /// Makes up to `limit` due jobs (scheduled, retryable) available, earliest first.
    fn promote(&self, limit: usize) -> Fut<'_, Promoted>;

    /// Takes back up to `limit` expired batches. Their jobs become available again at the
    /// head of their queue without an attempt spent. A job that was leased alone is charged
    /// one crash and marked suspect (or discarded with the reason `crashed` when it has
    /// reached its limit); members of a shared batch are only marked suspect. A job with a
    /// cancel request becomes `cancelled`.
    ///
    /// With `outage` (the caller could not reach the backend before this call) every lease
    /// is renewed by `ttl_ms` instead, once per `ttl_ms`, and nobody is charged.
    fn reap(&self, limit: usize, outage: bool, ttl_ms: i64) -> Fut<'_, Vec<Reaped>>;

    /// Forgets up to `limit` finished jobs whose retention has passed, and the records of
    /// workers not seen for an hour. Returns how many jobs went.
    fn prune(&self, limit: usize) -> Fut<'_, usize>;

    /// Acts on one job for an operator or client; see [`Action`].
    fn control<'a>(&'a self, id: JobId, action: Action) -> Fut<'a, Controlled>;

    /// Pauses a queue (nothing is leased from it), until an instant where one is given, or
    /// resumes it.
    fn pause<'a>(&'a self, queue: &'a str, pause: Pause) -> Fut<'a, ()>;

    /// Removes up to `limit` waiting jobs (available, scheduled, retryable, blocked) of a
    /// queue for good, releasing their keys. Returns how many went; call until 0.
    fn purge<'a>(&'a self, queue: &'a str, limit: usize) -> Fut<'a, usize>;

    /// One job, whole.
    fn get(&self, id: JobId) -> Fut<'_, Option<JobView>>;

    /// Registers interest in a job's end: for a minute after it finishes its record stays,
    /// whatever its retention. Returns the job as it stands.
    fn watch(&self, id: JobId) -> Fut<'_, Option<JobView>>;

    /// A page of jobs, newest first where the state has an order of its own.
    fn list<'a>(&'a self, filter: &'a Filter) -> Fut<'a, Vec<JobView>>;

    /// Every queue that has or had jobs, or is paused, with counts by state.
    fn queues(&self) -> Fut<'_, Vec<QueueView>>;

    /// A worker's sign of life, with what it handles. Jobs parked for a name and version
    /// that it handles become available again.
    fn beat<'a>(&'a self, worker: &'a WorkerView) -> Fut<'a, ()>;

    /// Forgets a worker that has ended in good order.
    fn leave<'a>(&'a self, worker: &'a str) -> Fut<'a, ()>;

    /// The workers seen within the last hour, with the instant of their last beat.
    fn workers(&self) -> Fut<'_, Vec<WorkerView>>;

    /// Stores a schedule under its name; keeps its `last` where one of that name exists.
    /// Returns the record as stored.
    fn put_schedule<'a>(&'a self, schedule: &'a ScheduleView) -> Fut<'a, ScheduleView>;

    /// Removes a schedule; whether there was one.
    fn drop_schedule<'a>(&'a self, name: &'a str) -> Fut<'a, bool>;

    /// All schedules by name.
    fn schedules(&self) -> Fut<'_, Vec<ScheduleView>>;

    /// In one step: if the schedule's `last` is still `expect`, sets it to `last` and
    /// enqueues the jobs (as [`Backend::enqueue`] does chosen ids). False when another
    /// scheduler was first or the schedule is gone.
    fn fire<'a>(&'a self, name: &'a str, expect: i64, last: i64, jobs: &'a [NewJob]) -> Fut<'a, bool>;

    /// Bumps whenever work may have become available. Mark it seen, look for work, then
    /// wait for it: in that order no wake-up is lost. A hint only; poll as well.
    fn wakeups(&self) -> watch::Receiver<u64>;

    /// Checks that the counts by state add up and that every index entry has its record;
    /// each line returned is a broken invariant. Changes nothing.
    fn audit(&self) -> Fut<'_, Vec<String>>;
}
