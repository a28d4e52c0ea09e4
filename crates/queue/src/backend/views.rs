//! What people inspect: jobs, queues, workers and schedules as they are stored.

use super::Token;
use crate::{Envelope, JobId, State};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// One failed attempt, crash or other blow, as a [`JobView`] remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorRecord {
    /// When, milliseconds since the epoch.
    pub at_ms: i64,
    /// The attempt it belongs to, 1 for the first.
    pub attempt: u32,
    /// What was said, cut at 4 KiB.
    pub error: String,
}

impl ErrorRecord {
    /// What it shares with other errors of its cause; see [`fingerprint`](crate::fingerprint).
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # let id = jobs.enqueue_raw("a.job", "{}").await?.id;
    /// # let ask = LeaseRequest { worker: "w1".into(), queues: vec![("default".into(), 1)], alone: false, ttl_ms: 15_000, most: 1 };
    /// # let token = jobs.backend().lease(&ask).await?.batches[0].token;
    /// # let outcome = Outcome::Retry { wait_ms: 0, error: "run 7 is gone".into() };
    /// # jobs.backend().settle(&[Settle { token, id, outcome, keyed: false }]).await?;
    /// let job = jobs.job(id).await?.unwrap();
    /// assert_eq!(job.errors[0].fingerprint(), fingerprint("run 8 is gone"));
    /// # Ok(()) }
    /// ```
    pub fn fingerprint(&self) -> String {
        crate::fingerprint(&self.error)
    }
}

/// The error of a job whose worker was lost while it held it alone.
pub(crate) const LOST: &str = "its worker was lost while it ran";

/// The errors remembered per job: the newest this many.
///
/// ```
/// # fn show(job: &legwork::backend::JobView) {
/// let newest_first = job.errors.iter().rev().take(legwork::backend::MAX_ERRORS);
/// # let _ = newest_first;
/// # }
/// ```
pub const MAX_ERRORS: usize = 25;

/// A job as people inspect it.
///
/// ```
/// # use legwork::{*, backend::*};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// let id = jobs.enqueue_raw("a.job", "{}").await?.id;
/// let job = jobs.job(id).await?.unwrap();
/// assert_eq!((job.state, job.attempts, job.lease), (State::Available, 0, None));
/// assert!(job.errors.is_empty() && job.result.is_none());
/// # Ok(()) }
/// ```
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
    /// When a scheduled or retryable job is due, milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_ms: Option<i64>,
    /// The lease, while leased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<LeaseView>,
    /// Whether its cancellation has been requested.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cancel_requested: bool,
    /// Whether the worker that holds it has seen that, and told its handler.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cancel_acknowledged: bool,
    /// Whether it is parked for a worker that knows its name and version.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub parked: bool,
    /// When it finished, milliseconds since the epoch.
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
    /// The steps whose results are remembered, in their order. Only in a job that was asked
    /// for by its id, never in a list; so it is with the cursor.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepView>,
    /// How far a long iteration has come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Box<RawValue>>,
    /// What keeps an available job waiting although there may be room for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limited: Option<Limited>,
}

/// Why a job waits under its limit key: a part of [`JobView`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limited {
    /// The key, `NAME/KEY`.
    pub key: String,
    /// When it may start at the soonest, where a rate says so; until a permit is free else.
    pub until_ms: Option<i64>,
}

impl JobView {
    /// As it is listed.
    pub(crate) fn brief(self) -> JobView {
        JobView { steps: Vec::new(), cursor: None, ..self }
    }
}

/// A step that is done: a part of [`JobView`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepView {
    /// Its name.
    pub name: String,
    /// Its result, JSON.
    pub value: Box<RawValue>,
}

impl StepView {
    /// How a step is stored: a newline, its name as JSON, a blank, its value. The first is
    /// how the line begins, by which it is found.
    pub(crate) fn line(name: &str, value: &str) -> (String, String) {
        let mark = format!("\n{} ", serde_json::to_string(name).unwrap_or_default());
        // A line break can only stand between the tokens of a JSON text.
        let line = format!("{mark}{}", value.replace(['\n', '\r'], " "));
        (mark, line)
    }

    /// The refusal of what would make them too large.
    pub(crate) fn too_many(bytes: i64) -> crate::Error {
        let most = super::MAX_STEPS;
        crate::Error::invalid(format!(
            "steps: {bytes} bytes, with the cursor, are more than the {most} of a job"
        ))
    }

    /// The steps in stored lines; what is none is left out.
    pub(crate) fn lines(text: &str) -> Vec<StepView> {
        let step = |line: &str| {
            let mut parts = serde_json::Deserializer::from_str(line).into_iter::<&RawValue>();
            let name = serde_json::from_str(parts.next()?.ok()?.get()).ok()?;
            Some(StepView { name, value: parts.next()?.ok()?.to_owned() })
        };
        text.lines().filter_map(step).collect()
    }
}

/// A stored record, decoded where that is possible.
///
/// ```
/// use legwork::{JobId, backend::Record};
/// let broken = Record::of(JobId::new(), b"junk");
/// assert!(matches!(broken, Record::Broken { raw, .. } if raw == "junk"));
/// ```
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
    ///
    /// ```
    /// use legwork::{Envelope, backend::Record};
    /// let envelope = Envelope::new("a.job", "{}").unwrap();
    /// let record = Record::of(envelope.id, &envelope.encode());
    /// assert!(matches!(record, Record::Decoded(_)));
    /// ```
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
    ///
    /// ```
    /// use legwork::{Envelope, backend::Record};
    /// let envelope = Envelope::new("a.job", "{}").unwrap();
    /// let record = Record::of(envelope.id, &envelope.encode());
    /// assert_eq!(record.envelope().unwrap().version, 1);
    /// ```
    pub fn envelope(&self) -> Option<&Envelope> {
        match self {
            Record::Decoded(envelope) => Some(envelope),
            Record::Broken { .. } => None,
        }
    }

    /// The queue: that of the envelope, or `default` for a broken record.
    ///
    /// ```
    /// use legwork::{Envelope, backend::Record};
    /// let envelope = Envelope::new("a.job", "{}").unwrap();
    /// let record = Record::of(envelope.id, &envelope.encode());
    /// assert_eq!(record.queue(), "default");
    /// ```
    pub fn queue(&self) -> &str {
        self.envelope().map_or("default", |e| &e.queue)
    }

    /// The job's name, or `?` for a broken record.
    ///
    /// ```
    /// use legwork::{Envelope, backend::Record};
    /// let envelope = Envelope::new("a.job", "{}").unwrap();
    /// let record = Record::of(envelope.id, &envelope.encode());
    /// assert_eq!(record.name(), "a.job");
    /// ```
    pub fn name(&self) -> &str {
        self.envelope().map_or("?", |e| &e.name)
    }
}

/// Who holds a job, and until when: a part of [`JobView`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeaseView {
    /// The worker's id.
    pub worker: String,
    /// The fence.
    pub token: Token,
    /// When it ends unless extended, milliseconds since the epoch.
    pub expires_ms: i64,
}

/// A queue as people inspect it.
///
/// ```
/// # use legwork::{*, backend::*};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// # let id = jobs.enqueue_raw("a.job", "{}").await?.id;
/// let queue = &jobs.queues().await?[0];
/// assert_eq!((queue.name.as_str(), queue.parked, queue.paused), ("default", 0, None));
/// # let _ = id;
/// # Ok(()) }
/// ```
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
    /// Its rules, as a client tells them; a backend leaves them out.
    #[serde(skip_serializing_if = "crate::QueueRules::is_empty")]
    pub rules: crate::QueueRules,
    /// The limit that the queue names, then up to a hundred of its keys under which jobs wait.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<super::LimitView>,
}

fn paused_json<S: serde::Serializer>(paused: &Option<Option<i64>>, to: S) -> Result<S::Ok, S::Error> {
    match paused {
        Some(Some(ms)) => to.serialize_i64(*ms),
        other => to.serialize_bool(other.is_some()),
    }
}

impl QueueView {
    /// How many jobs are in this state.
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # let id = jobs.enqueue_raw("a.job", "{}").await?.id;
    /// let queue = &jobs.queues().await?[0];
    /// assert_eq!((queue.count(State::Available), queue.count(State::Leased)), (1, 0));
    /// # let _ = id;
    /// # Ok(()) }
    /// ```
    pub fn count(&self, state: State) -> u64 {
        self.counts.get(state.as_str()).copied().unwrap_or(0)
    }
}

/// A worker as it describes itself.
///
/// ```
/// # use legwork::*; use serde::{Serialize, Deserialize};
/// # #[derive(Serialize, Deserialize)] struct Ping;
/// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// # let running = Worker::new(jobs.clone(), ()).handle(|_: Ping, _| async { Ok(()) }).start().await?;
/// let worker = &jobs.workers().await?[0];
/// assert_eq!((worker.groups[0].name.as_str(), worker.groups[0].permits), ("default", 16));
/// assert!(worker.serves("default"));
/// assert_eq!(worker.definitions[0].name, "ping");
/// # running.stop().await;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerView {
    /// Unique to this start of this process.
    pub id: String,
    /// The host's name.
    pub host: String,
    /// The process id.
    pub pid: u32,
    /// When it started, by the backend's clock, milliseconds since the epoch.
    pub started_ms: i64,
    /// Its last beat, milliseconds since the epoch; set by the backend.
    #[serde(default)]
    pub seen_ms: i64,
    /// Its groups of queues.
    pub groups: Vec<GroupView>,
    /// How many jobs it runs right now.
    pub running: usize,
    /// Whether it takes jobs.
    pub state: WorkerState,
    /// Whether each of its groups has looked for work with success of late.
    pub ready: bool,
    /// How many of its handlers block their thread past their time and cannot be ended.
    #[serde(default)]
    pub stuck: usize,
    /// Whether it ends now, and is to be forgotten.
    #[serde(skip)]
    pub leaving: bool,
    /// What it handles.
    pub definitions: Vec<Definition>,
}

impl WorkerView {
    /// Whether it takes jobs of this queue; a quiet worker does, later. Shown above.
    pub fn serves(&self, queue: &str) -> bool {
        let mut queues = self.groups.iter().flat_map(|group| &group.queues);
        self.state != WorkerState::Stopping && queues.any(|(name, _)| name == queue)
    }
}

/// Whether a worker takes jobs: a part of [`WorkerView`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkerState {
    /// It does.
    #[default]
    Running,
    /// Not for the time being; it finishes what it holds.
    Quiet,
    /// Never again; it finishes what it holds, as far as it gets, and ends.
    Stopping,
}

impl WorkerState {
    /// As it is written: `running`, `quiet` or `stopping`.
    ///
    /// ```
    /// assert_eq!(legwork::backend::WorkerState::Quiet.as_str(), "quiet");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            WorkerState::Running => "running",
            WorkerState::Quiet => "quiet",
            WorkerState::Stopping => "stopping",
        }
    }
}

/// Queues that share permits: a part of [`WorkerView`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupView {
    /// Its name, unique in the worker.
    pub name: String,
    /// How many of its jobs may run at a time.
    pub permits: usize,
    /// How many run right now; more than `permits` for a while after it was made smaller.
    pub running: usize,
    /// Whether its queues are served in strict order rather than by weight.
    pub strict: bool,
    /// Its queues in order, each with its weight.
    pub queues: Vec<(String, u32)>,
}

/// A job name that a worker handles: a part of [`WorkerView`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// The name.
    pub name: String,
    /// The newest version of the payload that it knows.
    pub version: u32,
    /// How its jobs are run.
    pub policy: crate::Policy,
}

/// The kinds of small durable settings that a backend keeps by name.
///
/// ```
/// assert_eq!(legwork::backend::Setting::Limit.as_str(), "limit");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Setting {
    /// Schedules, by name.
    Schedule,
    /// Subscribers to events.
    Subscriber,
    /// Rules of limits.
    Limit,
    /// Rules of queues.
    Queue,
    /// Orders to workers.
    Worker,
    /// Outboxes, with the last batch that each has handed over.
    Outbox,
}

impl Setting {
    /// Its word, as it is stored.
    ///
    /// ```
    /// assert_eq!(legwork::backend::Setting::Schedule.as_str(), "schedule");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Setting::Schedule => "schedule",
            Setting::Subscriber => "subscriber",
            Setting::Limit => "limit",
            Setting::Queue => "queue",
            Setting::Worker => "worker",
            Setting::Outbox => "outbox",
        }
    }
}

/// A setting as stored.
///
/// ```
/// # use legwork::{*, backend::*};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// let entry = jobs.backend().put(Setting::Limit, "strava", Some("{}")).await?.expect("stored");
/// assert_eq!((entry.name.as_str(), entry.value.as_str(), entry.fired), ("strava", "{}", false));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name, unique in its kind.
    pub name: String,
    /// What it holds, JSON.
    pub value: String,
    /// When it was first stored, or what a [`Guard::Slot`](super::Guard) last made of it.
    pub last_ms: i64,
    /// Whether a [`Guard::Slot`](super::Guard) has held at all.
    pub fired: bool,
}

/// All settings of a kind; the answer to [`Backend::settings`](super::Backend::settings).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Grows with every change to a setting of this kind.
    pub version: u64,
    /// By name.
    pub entries: Vec<Entry>,
}

/// A schedule as stored.
///
/// ```
/// # use legwork::*; use serde::{Serialize, Deserialize};
/// # #[derive(Serialize, Deserialize)] struct Report;
/// # impl Job for Report { const NAME: &'static str = "report"; type Output = (); }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// Scheduler::new(jobs.clone()).cron("nightly", "0 3 * * *", Report)?.run_until(async {}).await?;
/// let stored = &jobs.schedules().await?[0];
/// assert_eq!((stored.job.as_str(), stored.missed.as_str(), stored.fired), ("report", "one", false));
/// # Ok(()) }
/// ```
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

impl ScheduleView {
    /// The schedule that a setting holds; none where it holds something else.
    ///
    /// ```
    /// use legwork::backend::{Entry, ScheduleView};
    /// let entry = Entry { name: "odd".into(), value: "7".into(), last_ms: 0, fired: false };
    /// assert!(ScheduleView::of(&entry).is_none());
    /// ```
    pub fn of(entry: &Entry) -> Option<ScheduleView> {
        let view: ScheduleView = serde_json::from_str(&entry.value).ok()?;
        Some(ScheduleView { last_ms: entry.last_ms, fired: entry.fired, ..view })
    }
}
