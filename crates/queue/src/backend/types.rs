//! What the verbs take and answer.

use crate::{Envelope, JobId, State};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// When a new job is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// At once.
    Now,
    /// This many milliseconds after the backend's now.
    In(i64),
    /// At this instant.
    At(i64),
}

/// A job to be taken in: its record and what the backend must know of it.
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
#[derive(Debug, Clone)]
pub struct EnqueueBatch {
    /// The lane: one per client connection, random.
    pub lane: String,
    /// The call's number in the lane, growing; a repeated call repeats it.
    pub seq: u64,
    /// The jobs.
    pub jobs: Vec<NewJob>,
}

/// What became of one job of an enqueue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// Taken in.
    Created,
    /// Not taken in: this job stands in its place.
    Existing(JobId),
}

/// What a worker asks for.
#[derive(Debug, Clone)]
pub struct LeaseRequest {
    /// The worker's id of this process start.
    pub worker: String,
    /// Queues in the order wanted, each with how many at most.
    pub queues: Vec<(String, usize)>,
    /// A batch for each job rather than shared ones.
    pub alone: bool,
    /// How long the lease lasts, in milliseconds.
    pub ttl_ms: i64,
}

/// A lease's token: `max(last + 1, microseconds of the backend's clock)`, so that it
/// grows whatever was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(pub u64);

/// Jobs leased together.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The fence.
    pub token: Token,
    /// The queue they came from.
    pub queue: String,
    /// When the lease ends unless extended.
    pub expires_ms: i64,
    /// The backend's time at the lease.
    pub now_ms: i64,
    /// The jobs, in order.
    pub jobs: Vec<LeasedJob>,
}

/// One job under a lease.
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

/// The answer to `extend`.
#[derive(Debug, Clone, Default)]
pub struct Extended {
    /// One a token: whether the lease is still held.
    pub held: Vec<bool>,
    /// Leased jobs whose cancellation is requested.
    pub cancel: Vec<JobId>,
}

/// One lease ended.
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

/// What happened to a leased job.
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
    /// An attempt is spent; `discarded`.
    Discard {
        /// One word: `failed`, `exhausted`, `undecodable`, `crashed`, `operator`, `expired`.
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
    /// No attempt is spent; `blocked` until a worker beats that handles its name and version.
    Park,
}

/// Whether a lease was still held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It was, and the outcome is stored (or this very settle had been stored before).
    Done,
    /// It was not; nothing changed.
    Stale,
}

/// The answer to `promote`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Promoted {
    /// How many became available.
    pub count: usize,
    /// When the next one is due, if any is left.
    pub next_ms: Option<i64>,
}

/// A job whose lease had expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaped {
    /// The job.
    pub id: JobId,
    /// What it became: available, cancelled or discarded.
    pub state: State,
    /// Its crashes by now.
    pub crashes: u32,
}

/// What an operator or client may do to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// blocked by a serial key: refused.
    Retry,
}

/// The answer to `control`.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// Until it is resumed.
    Forever,
    /// Until this instant; an earlier `Until` or `Forever` that lasts longer stays.
    Until(i64),
    /// For this long from the backend's now; as `Until`.
    For(i64),
    /// Not any more.
    Off,
}

/// One failed attempt, crash or other blow, as remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorRecord {
    /// When, milliseconds since the epoch.
    pub at_ms: i64,
    /// The attempt it belongs to, 1 for the first.
    pub attempt: u32,
    /// What was said, cut at 4 KiB.
    pub error: String,
}

/// The errors remembered per job: the newest this many.
pub const MAX_ERRORS: usize = 25;

/// A job as people inspect it.
#[derive(Debug, Clone, Serialize)]
pub struct JobView {
    /// The id.
    pub id: JobId,
    /// Where it stands.
    pub state: State,
    /// The decoded record, or why it cannot be decoded.
    #[serde(flatten)]
    pub envelope: Record,
    /// Attempts spent.
    pub attempts: u32,
    /// Crashes charged.
    pub crashes: u32,
    /// Whether a worker was lost while it held this job.
    pub suspect: bool,
    /// The newest errors, oldest first.
    pub errors: Vec<ErrorRecord>,
    /// When a scheduled or retryable job is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_ms: Option<i64>,
    /// The lease, while leased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<LeaseView>,
    /// Whether its cancellation has been requested.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cancel_requested: bool,
    /// Whether it is parked for a worker that knows its name and version.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub parked: bool,
    /// When it finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_ms: Option<i64>,
    /// Why it was discarded or cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The result of a succeeded job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Box<RawValue>>,
    /// What the handler last said of its progress.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Box<RawValue>>,
}

/// A stored record, decoded where that is possible.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Record {
    /// A good one.
    Decoded(Box<Envelope>),
    /// A broken one: why, and its first 4 KiB, with what is not UTF-8 replaced.
    Broken {
        /// Why it cannot be decoded.
        undecodable: String,
        /// What is stored.
        raw: String,
    },
}

impl Record {
    /// Decodes, or keeps the bytes with the reason.
    pub fn of(id: JobId, bytes: &[u8]) -> Record {
        match Envelope::decode(id, bytes) {
            Ok(envelope) => Record::Decoded(Box::new(envelope)),
            Err(e) => Record::Broken {
                undecodable: e.to_string(),
                raw: String::from_utf8_lossy(&bytes[..bytes.len().min(4096)]).into_owned(),
            },
        }
    }

    /// The envelope, if it could be decoded.
    pub fn envelope(&self) -> Option<&Envelope> {
        match self {
            Record::Decoded(envelope) => Some(envelope),
            Record::Broken { .. } => None,
        }
    }

    /// The queue: that of the envelope, or `default` for a broken record.
    pub fn queue(&self) -> &str {
        self.envelope().map_or("default", |e| &e.queue)
    }

    /// The job's name, or `?` for a broken record.
    pub fn name(&self) -> &str {
        self.envelope().map_or("?", |e| &e.name)
    }
}

/// Who holds a job, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeaseView {
    /// The worker's id.
    pub worker: String,
    /// The fence.
    pub token: Token,
    /// When it ends unless extended.
    pub expires_ms: i64,
}

/// Which jobs to list; `None` means any. At most `limit`.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only in this state.
    pub state: Option<State>,
    /// Only in this queue.
    pub queue: Option<String>,
    /// Only of this name.
    pub name: Option<String>,
    /// At most this many.
    pub limit: usize,
}

/// A queue as people inspect it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct QueueView {
    /// Its name.
    pub name: String,
    /// Jobs by state; states without jobs are absent or zero.
    pub counts: std::collections::BTreeMap<String, u64>,
    /// Jobs that are parked, among the blocked.
    pub parked: u64,
    /// Paused: `Some(None)` for good, `Some(Some(ms))` until that instant. As JSON: `false`,
    /// `true`, or the instant.
    #[serde(serialize_with = "paused_json")]
    pub paused: Option<Option<i64>>,
    /// When the oldest available job was made, where there is one.
    pub oldest_ms: Option<i64>,
    /// Attempts that succeeded since the namespace was made.
    pub processed: u64,
    /// Attempts that failed since the namespace was made.
    pub failed: u64,
}

fn paused_json<S: serde::Serializer>(paused: &Option<Option<i64>>, to: S) -> Result<S::Ok, S::Error> {
    match paused {
        Some(Some(ms)) => to.serialize_i64(*ms),
        other => to.serialize_bool(other.is_some()),
    }
}

impl QueueView {
    /// How many jobs are in this state.
    pub fn count(&self, state: State) -> u64 {
        self.counts.get(state.as_str()).copied().unwrap_or(0)
    }
}

/// A worker as it describes itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerView {
    /// Unique to this start of this process.
    pub id: String,
    /// The host's name.
    pub host: String,
    /// The process id.
    pub pid: u32,
    /// When it started, by the backend's clock.
    pub started_ms: i64,
    /// Its last beat; set by the backend.
    #[serde(default)]
    pub seen_ms: i64,
    /// Its queues, each with its concurrency.
    pub queues: Vec<(String, usize)>,
    /// How many jobs it runs right now.
    pub running: usize,
    /// Whether it has been told to stop.
    pub stopping: bool,
    /// What it handles.
    pub definitions: Vec<Definition>,
}

/// A job name that a worker handles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// The name.
    pub name: String,
    /// The newest version of the payload that it knows.
    pub version: u32,
    /// How its jobs are run.
    pub policy: crate::Policy,
}

/// A schedule as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleView {
    /// Its name, unique in the namespace.
    pub name: String,
    /// The expression as written.
    pub expression: String,
    /// The zone's name.
    pub zone: String,
    /// The job that each slot enqueues.
    pub job: String,
    /// Its payload, JSON.
    pub payload: String,
    /// Its queue.
    pub queue: String,
    /// What happens to slots that passed while no scheduler ran, in words of its own.
    pub missed: String,
    /// The gap and overlap policy, in words of its own.
    pub dst: String,
    /// The last slot that was enqueued, or when the schedule was first stored.
    #[serde(default)]
    pub last_ms: i64,
    /// Whether a slot has been enqueued at all.
    #[serde(default)]
    pub fired: bool,
}
