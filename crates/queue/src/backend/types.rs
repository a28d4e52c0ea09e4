//! What the verbs take and answer.

use super::{FlowStep, Setting};
pub use crate::limit::{Blocked, Budget, LimitView};
use crate::{Envelope, JobId, State};
use serde::{Deserialize, Serialize};

/// When a new job is due.
///
/// ```
/// use legwork::backend::Due;
/// let past = Due::At(0); // available at once, as Due::Now
/// let soon = Due::In(60_000);
/// # let _ = (past, soon);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// At once.
    Now,
    /// This many milliseconds after the backend's now.
    In(i64),
    /// At this instant, milliseconds since the epoch.
    At(i64),
}

/// A job to be taken in: its record and what the backend must know of it. Made as
/// [`EnqueueBatch`] shows.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// What the record says, for indexes.
    pub envelope: Envelope,
    /// The encoded envelope.
    pub record: Vec<u8>,
    /// When it is due.
    pub due: Due,
    /// Whether an application chose the id, so that a record of that id may exist.
    pub chosen: bool,
}

/// Jobs of one call, and the call's place in its lane.
///
/// ```
/// use legwork::{Envelope, backend::{Due, EnqueueBatch, Guard, NewJob}};
/// let envelope = Envelope::new("a.job", "{}").unwrap();
/// let job = NewJob { record: envelope.encode(), envelope, due: Due::Now, chosen: false };
/// let batch = EnqueueBatch { lane: "lane 1".into(), seq: 1, jobs: vec![job], guard: Guard::None, flow: None };
/// # let _ = batch;
/// ```
#[derive(Debug, Clone)]
pub struct EnqueueBatch {
    /// The lane: one per client connection, random.
    pub lane: String,
    /// The call's number in the lane, growing; a repeated call repeats it.
    pub seq: u64,
    /// The jobs.
    pub jobs: Vec<NewJob>,
    /// What must hold for the batch to be taken in.
    pub guard: Guard,
    /// The flow that the jobs are nodes of; see [`FlowStep`].
    pub flow: Option<FlowStep>,
}

/// What must hold, in the very step of an enqueue, for its jobs to be taken in.
///
/// ```
/// use legwork::backend::{Guard, Setting};
/// let name = "nightly".to_owned();
/// let slot = Guard::Slot { kind: Setting::Schedule, name, expect: 1_000, last: 61_000 };
/// assert_ne!(slot, Guard::None);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Guard {
    /// Nothing.
    #[default]
    None,
    /// The setting's `last_ms` is `expect`; it becomes `last`. No lane is needed: of any
    /// number of such calls, one is taken.
    Slot {
        /// The setting's kind.
        kind: Setting,
        /// Its name.
        name: String,
        /// What its `last_ms` must be.
        expect: i64,
        /// What it becomes.
        last: i64,
    },
    /// No setting of this kind has changed since this version was read.
    Settings {
        /// The kind.
        kind: Setting,
        /// The version, from [`Backend::settings`](super::Backend::settings).
        version: u64,
    },
}

/// The answer to [`Backend::enqueue`](super::Backend::enqueue).
///
/// ```
/// use legwork::backend::{Enqueued, Taken};
/// assert_eq!(Taken::Jobs(vec![Enqueued::Created]).jobs(), [Enqueued::Created]);
/// assert_eq!(Taken::Changed.jobs(), []);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// Taken in; one answer a job, in order.
    Jobs(Vec<Enqueued>),
    /// The guard did not hold; nothing was done.
    Changed,
}

impl Taken {
    /// The answers; none when nothing was done.
    ///
    /// ```
    /// assert!(legwork::backend::Taken::Changed.jobs().is_empty());
    /// ```
    pub fn jobs(self) -> Vec<Enqueued> {
        match self {
            Taken::Jobs(all) => all,
            Taken::Changed => Vec::new(),
        }
    }
}

/// What an operator does to a queue; see [`Backend::steer`](super::Backend::steer).
///
/// ```
/// use legwork::backend::{Pause, Steer};
/// assert_ne!(Steer::Pause(Pause::Forever), Steer::Purge(100));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Steer {
    /// Pauses it (nothing is leased from it), until an instant where one is given, or
    /// resumes it. Answers 0.
    Pause(Pause),
    /// Removes up to this many waiting jobs (available, scheduled, retryable, blocked) for
    /// good, releasing their keys. Answers how many went; repeat until 0.
    Purge(usize),
    /// Changes what may be spent under a limit (`NAME` or `NAME/KEY`), or under the one that
    /// the queue names where this is empty. Answers 0.
    Budget {
        /// The limit.
        limit: String,
        /// The change.
        change: Budget,
    },
}

/// What became of one job of an enqueue; see [`Backend::enqueue`](super::Backend::enqueue).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// Taken in.
    Created,
    /// Not taken in: this job stands in its place.
    Existing(JobId),
    /// Taken in by this job, which waits and holds its unique key: it is the new one now.
    Replaced(JobId),
}

/// What a worker asks for; see [`Backend::lease`](super::Backend::lease).
#[derive(Debug, Clone)]
pub struct LeaseRequest {
    /// The worker's id of this process start.
    pub worker: String,
    /// Queues in the order wanted, each with how many at most. A queue may stand there twice:
    /// first with its share, then with what others leave.
    pub queues: Vec<(String, usize)>,
    /// How many at most from all of them together.
    pub most: usize,
    /// A batch for each job rather than shared ones.
    pub alone: bool,
    /// How long the lease lasts, in milliseconds.
    pub ttl_ms: i64,
}

/// A lease's token: `max(last + 1, microseconds of the backend's clock)`, so that it
/// grows whatever was lost.
///
/// ```
/// use legwork::backend::Token;
/// assert!(Token(8) > Token(7));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(pub u64);

impl Token {
    /// The shard that gave it, in a namespace of so many.
    pub(crate) fn shard(self, shards: u8) -> u64 {
        if shards > 1 { self.0 % 256 } else { 0 }
    }
}

/// Jobs leased together.
///
/// ```
/// # use legwork::{*, backend::*};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// # let id = jobs.enqueue_raw("a.job", "{}").await?.id;
/// # let ask = LeaseRequest { worker: "w1".into(), queues: vec![("default".into(), 1)], most: 1_000, alone: false, ttl_ms: 15_000 };
/// let batch = &jobs.backend().lease(&ask).await?.batches[0];
/// assert_eq!(batch.expires_ms, batch.now_ms + 15_000);
/// assert_eq!((batch.jobs[0].id, batch.jobs[0].attempts), (id, 0));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Batch {
    /// The fence.
    pub token: Token,
    /// The queue they came from.
    pub queue: String,
    /// When the lease ends unless extended, milliseconds since the epoch.
    pub expires_ms: i64,
    /// The backend's time at the lease.
    pub now_ms: i64,
    /// The jobs, in order.
    pub jobs: Vec<LeasedJob>,
}

/// The answer to [`Backend::lease`](super::Backend::lease).
///
/// ```
/// # use legwork::{*, backend::*};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// let ask = LeaseRequest { worker: "w1".into(), queues: vec![("default".into(), 1)], most: 1_000, alone: false, ttl_ms: 15_000 };
/// let leased = jobs.backend().lease(&ask).await?;
/// assert!(leased.batches.is_empty() && leased.next_ms.is_none());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Leased {
    /// The jobs.
    pub batches: Vec<Batch>,
    /// The backend's time at the lease.
    pub now_ms: i64,
    /// When a rate, or a pause, lets the next job go that waits for it now: ask again then.
    pub next_ms: Option<i64>,
}

/// One job under a lease, as a [`Batch`] carries it.
#[derive(Debug, Clone)]
pub struct LeasedJob {
    /// The id.
    pub id: JobId,
    /// The record as stored; decoding it is the worker's business.
    pub record: Vec<u8>,
    /// Attempts spent before this one.
    pub attempts: u32,
    /// Times it took its worker down.
    pub crashes: u32,
    /// Whether a worker was lost while it held this job.
    pub suspect: bool,
}

/// The answer to [`Backend::extend`](super::Backend::extend).
#[derive(Debug, Clone, Default)]
pub struct Extended {
    /// One a token: whether the lease is still held.
    pub held: Vec<bool>,
    /// Leased jobs whose cancellation is requested.
    pub cancel: Vec<JobId>,
}

/// One lease ended; see [`Backend::settle`](super::Backend::settle).
#[derive(Debug, Clone)]
pub struct Settle {
    /// The lease.
    pub token: Token,
    /// The job.
    pub id: JobId,
    /// What happened.
    pub outcome: Outcome,
    /// Whether the job has a unique or a serial key to release.
    pub keyed: bool,
}

/// The reason of a job that was discarded because its time to start had passed: no attempt is
/// spent, and it does not count as a failure.
///
/// ```
/// assert_eq!(legwork::backend::EXPIRED, "expired");
/// ```
pub const EXPIRED: &str = "expired";

/// What happened to a leased job. One whose cancellation had been requested becomes
/// `cancelled` (kept an hour) by every outcome that would have it run again.
///
/// ```
/// # use legwork::{*, backend::*};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// # let id = jobs.enqueue_raw("a.job", "{}").await?.id;
/// # let ask = LeaseRequest { worker: "w1".into(), queues: vec![("default".into(), 1)], most: 1_000, alone: false, ttl_ms: 15_000 };
/// let batch = &jobs.backend().lease(&ask).await?.batches[0];
/// let outcome = Outcome::Retry { wait_ms: 5_000, error: "busy".into() };
/// jobs.backend().settle(&[Settle { token: batch.token, id, outcome, keyed: false }]).await?;
/// let job = jobs.job(id).await?.unwrap();
/// assert_eq!((job.state, job.attempts), (State::Retryable, 1));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub enum Outcome {
    /// An attempt is spent; becomes `succeeded`, kept for `keep_ms` (0: gone at once).
    Succeeded {
        /// The result, JSON, or none where the output is `()`.
        result: Option<String>,
        /// Retention in milliseconds.
        keep_ms: i64,
    },
    /// An attempt is spent; `retryable`, due after the wait.
    Retry {
        /// The wait in milliseconds.
        wait_ms: i64,
        /// Why.
        error: String,
    },
    /// No attempt is spent; `scheduled`, due after the wait.
    Snooze {
        /// The wait in milliseconds.
        wait_ms: i64,
    },
    /// An attempt is spent (none with the reason [`EXPIRED`]: it was not begun); `discarded`.
    Discard {
        /// One word: `failed`, `exhausted`, `undecodable`, `crashed`, `expired` or `operator`.
        reason: String,
        /// Why.
        error: String,
        /// Retention in milliseconds.
        keep_ms: i64,
    },
    /// No attempt is spent; `cancelled`.
    Cancel {
        /// Why.
        reason: String,
        /// Retention in milliseconds.
        keep_ms: i64,
    },
    /// No attempt is spent; `available` again at the head of its queue.
    HandBack,
    /// It took down the process that ran it: no attempt is spent, a crash is charged;
    /// `available` again at the head of its queue and suspect, or `discarded` with the
    /// reason `crashed` when this was the last that it may cause.
    Crash {
        /// How the process ended.
        error: String,
        /// How many crashes the job may cause.
        max: u32,
        /// Retention in milliseconds, where it is discarded.
        keep_ms: i64,
    },
    /// No attempt is spent; `blocked` until a worker beats that handles its name and version.
    Park,
}

/// What is written down beside a leased job; see [`Backend::note`](super::Backend::note).
///
/// ```
/// # use legwork::{*, backend::*};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// # let id = jobs.enqueue_raw("a.job", "{}").await?.id;
/// # let ask = LeaseRequest { worker: "w1".into(), queues: vec![("default".into(), 1)], most: 1_000, alone: false, ttl_ms: 15_000 };
/// # let token = jobs.backend().lease(&ask).await?.batches[0].token;
/// let step = Note::Step { name: "fetch".into(), value: "[1,2]".into() };
/// jobs.backend().note(token, id, &step).await?;
/// jobs.backend().note(token, id, &step).await?; // the same call, repeated
/// let job = jobs.job(id).await?.unwrap();
/// assert_eq!((job.steps.len(), job.steps[0].value.get()), (1, "[1,2]"));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// Its progress, a JSON text, replacing what was there.
    Progress(String),
    /// The result of a step, a JSON text on one line, under its name; the first one of a
    /// name stays.
    Step {
        /// The step's name, unique in the job.
        name: String,
        /// Its result, JSON.
        value: String,
    },
    /// How far a long iteration has come, a JSON text, replacing what was there.
    Cursor(String),
    /// The worker that holds it has seen that its cancellation is requested.
    CancelSeen,
}

/// The steps and the cursor of one job hold at most this many bytes together: 256 KiB.
///
/// ```
/// assert_eq!(legwork::backend::MAX_STEPS, 262_144);
/// ```
pub const MAX_STEPS: usize = 256 * 1024;

/// Whether a lease was still held; see [`Backend::settle`](super::Backend::settle).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It was, and the outcome is stored (or this very settle had been stored before).
    Done,
    /// It was not; nothing changed.
    Stale,
}

/// The answer to [`Backend::promote`](super::Backend::promote).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Promoted {
    /// How many became available.
    pub count: usize,
    /// When the next one is due, if any is left.
    pub next_ms: Option<i64>,
}

/// A job whose lease had expired; see [`Backend::reap`](super::Backend::reap).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaped {
    /// The job.
    pub id: JobId,
    /// What it became: available, cancelled or discarded.
    pub state: State,
    /// Its crashes by now.
    pub crashes: u32,
}

/// What an operator or client may do to a job, or to a flow by its id: it can be cancelled and
/// mended. A flow that runs is answered as `leased`, one that failed as `discarded`.
///
/// ```
/// # use legwork::{*, backend::*};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// let id = jobs.enqueue_raw("a.job", "{}").await?.id;
/// assert_eq!(jobs.backend().control(id, Action::Retry).await?, Controlled::Done(State::Available));
/// assert_eq!(jobs.backend().control(id, Action::Cancel).await?, Controlled::Done(State::Cancelled));
/// assert_eq!(jobs.backend().control(id, Action::Cancel).await?, Controlled::Refused(State::Cancelled));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Waiting jobs become `cancelled` (kept an hour); for a leased one a durable mark is
    /// left that its worker sees. Final jobs: refused.
    Cancel,
    /// Waiting jobs become `discarded` with the reason `operator` (kept seven days);
    /// leased or final ones: refused.
    Discard,
    /// Scheduled and retryable jobs become available now; parked ones too; final ones are
    /// put back with attempts and crashes at zero and their errors kept (`Duplicate` when
    /// another job holds the unique key by now). Available: nothing to do. Leased, or
    /// blocked by a serial key or in a flow: refused. So is a final one whose flow is still
    /// known: what followed from its end has happened.
    Retry,
    /// Derives again what a flow's nodes wait for, from what is recorded of them, so that a flow
    /// that was stuck goes on. A job that is no flow is missing to it.
    Mend,
    /// As `Retry`, for what waits; final jobs: refused.
    Hurry,
    /// As `Retry`, for final jobs; any other: refused.
    Redrive,
}

/// The answer to [`Backend::control`](super::Backend::control); shown with [`Action`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controlled {
    /// It is so; the state the job is in now.
    Done(State),
    /// A cancellation was requested of the worker that holds it.
    Requested,
    /// There is no such job.
    Missing,
    /// A job in this state does not allow it; nothing changed.
    Refused(State),
    /// This job holds the unique key; nothing changed.
    Duplicate(JobId),
}

/// How a queue is paused.
///
/// ```
/// # use legwork::{*, backend::*};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// jobs.backend().steer("mail", Steer::Pause(Pause::Forever)).await?;
/// jobs.backend().steer("mail", Steer::Pause(Pause::For(1_000))).await?; // shorter: changes nothing
/// assert_eq!(jobs.queues().await?[0].paused, Some(None));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// Until it is resumed.
    Forever,
    /// Until this instant, milliseconds since the epoch; an earlier `Until` or `Forever` that lasts longer stays.
    Until(i64),
    /// For this many milliseconds from the backend's now; as `Until`.
    For(i64),
    /// Not any more.
    Off,
}
