//! Looking at jobs, queues, workers and schedules, and saying why nothing moves.

use super::Client;
use crate::backend::{Definition, JobView, QueueView, ScheduleView, WorkerState, WorkerView};
use crate::{Envelope, JobId, Result, State};
use std::collections::BTreeMap;

/// A worker that has not beaten for this long counts as gone.
const ALIVE_MS: i64 = 20_000;

/// What is known of a job name.
///
/// ```
/// # use legwork::{*, backend::*};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// assert!(matches!(jobs.lookup("a.job").await?, Lookup::NoneKnown));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Lookup {
    /// Workers have published what they handle, and this name is among it.
    Known(Box<Definition>),
    /// They have, and it is not; these names are known.
    Unknown(Vec<String>),
    /// No worker has published anything yet.
    NoneKnown,
}

/// Queues, workers and the backend's time at one instant.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
/// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
/// let id = jobs.enqueue_raw("a.job", "{}").await?.id;
/// let job = jobs.job(id).await?.unwrap();
/// let why = jobs.snapshot().await?.why(&job).unwrap();
/// assert_eq!(why, "no worker is running");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The backend's time, milliseconds since the epoch.
    pub now_ms: i64,
    /// The queues by name.
    pub queues: BTreeMap<String, QueueView>,
    /// The workers.
    pub workers: Vec<WorkerView>,
}

impl Client {
    /// One job, whole; `None` when there is none of that id, or no longer.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// assert!(jobs.job(legwork::JobId::new()).await?.is_none());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the backend cannot be reached.
    pub async fn job(&self, id: JobId) -> Result<Option<JobView>> {
        Ok(self.inner.backend.get(id, false).await?.map(|job| self.shown(job)))
    }

    /// A job as people see it: opened by the middlewares, as far as they can.
    pub(super) fn shown(&self, mut job: JobView) -> JobView {
        self.chain.show(&mut job);
        job
    }

    /// Every queue with its counts, by name.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// jobs.enqueue_raw("a.job", "{}").await?;
    /// assert_eq!(jobs.queues().await?[0].count(legwork::State::Available), 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the backend cannot be reached.
    pub async fn queues(&self) -> Result<Vec<QueueView>> {
        let mut queues = self.inner.backend.queues().await?;
        for (name, rules) in self.queue_rules().await? {
            match queues.iter_mut().find(|queue| queue.name == name) {
                Some(queue) => queue.rules = rules,
                None => queues.push(QueueView { name, rules, ..QueueView::default() }),
            }
        }
        queues.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(queues)
    }

    /// The workers that beat lately.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// assert!(jobs.workers().await?.is_empty());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the backend cannot be reached.
    pub async fn workers(&self) -> Result<Vec<WorkerView>> {
        Ok(self.snapshot().await?.workers)
    }

    /// The schedules as stored.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// assert!(jobs.schedules().await?.is_empty());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the backend cannot be reached.
    pub async fn schedules(&self) -> Result<Vec<ScheduleView>> {
        self.inner.backend.schedules().await
    }

    /// What workers have published about a job name.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// let known = jobs.lookup("a.job").await?;
    /// # let _ = known;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the backend cannot be reached.
    pub async fn lookup(&self, name: &str) -> Result<Lookup> {
        let workers = self.inner.backend.workers().await?;
        let all = || workers.iter().flat_map(|w| &w.definitions);
        if let Some(known) = all().filter(|d| d.name == name).max_by_key(|d| d.version) {
            return Ok(Lookup::Known(Box::new(known.clone())));
        }
        let mut names: Vec<String> = all().map(|d| d.name.clone()).collect();
        names.sort();
        names.dedup();
        Ok(if names.is_empty() { Lookup::NoneKnown } else { Lookup::Unknown(names) })
    }

    /// Queues, live workers and the time, for [`Snapshot::why`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// assert!(jobs.snapshot().await?.queues.is_empty());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the backend cannot be reached.
    pub async fn snapshot(&self) -> Result<Snapshot> {
        let now_ms = self.inner.backend.now().await?;
        let queues = self.queues().await?.into_iter().map(|q| (q.name.clone(), q)).collect();
        let mut workers = self.inner.backend.workers().await?;
        workers.retain(|w| now_ms - w.seen_ms < ALIVE_MS);
        Ok(Snapshot { now_ms, queues, workers })
    }
}

impl Snapshot {
    /// Why a job is not running, in one line; `None` when it runs, has finished, or is
    /// simply next.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// let id = jobs.enqueue_raw("a.job", "{}").delay(std::time::Duration::from_secs(90)).await?.id;
    /// let job = jobs.job(id).await?.unwrap();
    /// assert!(jobs.snapshot().await?.why(&job).unwrap().starts_with("not due for "));
    /// # Ok(()) }
    /// ```
    pub fn why(&self, job: &JobView) -> Option<String> {
        let envelope = job.envelope.envelope();
        match job.state {
            State::Leased | State::Succeeded | State::Discarded | State::Cancelled => None,
            State::Blocked if job.parked => {
                Some(format!("parked: {}", envelope.map_or_else(String::new, |e| self.parked(e))))
            }
            State::Blocked => Some("waits for other jobs of its flow".into()),
            State::Scheduled | State::Retryable => {
                let left = job.due_ms.unwrap_or(0) - self.now_ms;
                (left > 0).then(|| format!("not due for {}", short(left)))
            }
            State::Available => self
                .paused(job.envelope.queue())
                .or_else(|| self.unserved(job.envelope.queue()))
                .or_else(|| self.unknown(envelope.map(|e| e.name.as_str())?))
                .or_else(|| job.limited.as_ref().map(|l| self.limited(&l.key, l.until_ms)))
                .or_else(|| self.limited_queue(job.envelope.queue())),
        }
    }

    /// Why nothing of a queue is running, in one line; `None` when there is no reason.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// jobs.pause("mail").await?;
    /// assert_eq!(jobs.snapshot().await?.why_queue("mail").unwrap(), "paused");
    /// # Ok(()) }
    /// ```
    pub fn why_queue(&self, queue: &str) -> Option<String> {
        let view = self.queues.get(queue)?;
        if let Some(paused) = self.paused(queue) {
            return Some(paused);
        }
        let waits =
            view.count(State::Available) + view.count(State::Scheduled) + view.count(State::Retryable);
        if waits > 0
            && let Some(unserved) = self.unserved(queue)
        {
            return Some(unserved);
        }
        if view.count(State::Available) > 0
            && let Some(limited) = self.limited_queue(queue)
        {
            return Some(limited);
        }
        let waiting = waits + view.count(State::Blocked);
        if let Some(limit) = view.rules.max_waiting.filter(|limit| waiting >= *limit) {
            return Some(format!("full: {waiting} wait, and its limit is {limit}"));
        }
        (view.parked > 0)
            .then(|| format!("{} parked for a worker that knows their name and version", view.parked))
    }

    fn paused(&self, queue: &str) -> Option<String> {
        match self.queues.get(queue)?.paused? {
            None => Some("paused".into()),
            Some(until) => Some(format!("paused for another {}", short(until - self.now_ms))),
        }
    }

    fn limited(&self, key: &str, until: Option<i64>) -> String {
        match until {
            Some(until) => format!("limited by {key} for another {}", short(until - self.now_ms)),
            None => format!("limited by {key}: all its permits are in use"),
        }
    }

    /// The limit that the queue names, where it lets nothing go now.
    fn limited_queue(&self, queue: &str) -> Option<String> {
        let limit = self.queues.get(queue)?.limits.iter().find(|l| !l.limit.contains('/'))?;
        let full = limit.concurrency.is_some_and(|most| limit.in_use >= u64::from(most));
        (full || limit.next_ms.is_some()).then(|| self.limited(&limit.limit, limit.next_ms))
    }

    fn unserved(&self, queue: &str) -> Option<String> {
        if self.workers.is_empty() {
            return Some("no worker is running".into());
        }
        let mut serving = self.workers.iter().filter(|w| w.serves(queue)).peekable();
        if serving.peek().is_none() {
            return Some(format!("no worker serves the queue {queue}"));
        }
        serving
            .all(|w| w.state != WorkerState::Running)
            .then(|| format!("every worker of the queue {queue} is quiet"))
    }

    /// What a parked job lacks, as far as its record and the workers tell.
    fn parked(&self, job: &Envelope) -> String {
        let what = format!("{} version {}", job.name, job.version);
        let knows = |d: &Definition| d.name == job.name && d.version >= job.version;
        if !self.workers.iter().flat_map(|w| &w.definitions).any(knows) {
            return format!("no worker knows {what}");
        }
        match (job.packed.last(), job.signature.as_deref().and_then(|s| s.split_once(':'))) {
            (Some(packing), _) => format!("no worker could open it so far, it is packed as {packing}"),
            (None, Some((key, _))) => {
                format!("no worker could verify it so far, it is signed by the key {key}")
            }
            (None, None) => format!("waits for the next beat of a worker that takes {what}"),
        }
    }

    fn unknown(&self, name: &str) -> Option<String> {
        let known = self.workers.iter().flat_map(|w| &w.definitions).any(|d| d.name == name);
        (!known).then(|| format!("no worker knows the name {name}"))
    }
}

/// A span of time as people read it: `850ms`, `12s`, `3m 20s`, `2h 5m`, `4d 1h`.
fn short(ms: i64) -> String {
    let s = ms.max(0) / 1000;
    match s {
        0 => format!("{}ms", ms.max(0)),
        1..60 => format!("{s}s"),
        60..3_600 => format!("{}m {}s", s / 60, s % 60),
        3_600..86_400 => format!("{}h {}m", s / 3_600, s % 3_600 / 60),
        _ => format!("{}d {}h", s / 86_400, s % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn spans_are_short() {
        let all = [
            (-5, "0ms"),
            (850, "850ms"),
            (12_000, "12s"),
            (200_000, "3m 20s"),
            (7_500_000, "2h 5m"),
            (349_200_000, "4d 1h"),
        ];
        for (ms, text) in all {
            assert_eq!(short(ms), text);
        }
    }
}
