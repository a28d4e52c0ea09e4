//! The builder that an enqueue is.

use super::{Client, driver};
use crate::backend::{Conflict, Due, Enqueued, NewJob, Release};
use crate::envelope::{MAX_DEPTH, nesting};
use crate::middleware::{self, Trace, TraceParent};
use crate::name::check_key;
use crate::{Durability, Envelope, Error, Job, JobId, Keep, LimitKey, Policy, Result, Unique};
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest delay taken: ten years.
const MAX_DELAY: Duration = Duration::from_secs(3_652 * 86_400);

/// The end of the year 9999, in milliseconds.
const LAST_INSTANT: u128 = 253_402_300_799_000;

/// The answer to an enqueue.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
/// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
/// let receipt = jobs.enqueue_raw("a.job", "{}").await?;
/// assert!(receipt.created);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The job's id; of the job that stands in its place where `created` is false.
    pub id: JobId,
    /// Whether this call made the job.
    pub created: bool,
    /// Whether a job that waits, `id`, has taken over what this call said of it.
    pub replaced: bool,
    /// How safe it was when this was answered.
    pub durability: Durability,
}

/// An enqueue about to happen: say more about it, then `.await` it.
///
/// ```
/// # use legwork::*; use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// let first = jobs.enqueue_raw("a.job", "{}").unique("athlete 7").delay(Duration::from_secs(60)).await?;
/// let again = jobs.enqueue_raw("a.job", "{}").unique("athlete 7").await?;
/// assert_eq!((again.id, again.created), (first.id, false));
/// # Ok(()) }
/// ```
#[must_use = "an enqueue happens when it is awaited"]
pub struct Enqueue<J = (), T = Client> {
    /// Where the job goes: to a client, or into a transaction's outbox.
    pub(crate) target: T,
    pub(crate) envelope: Result<Envelope>,
    pub(crate) due: Due,
    pub(crate) chosen: bool,
    expires_in: Option<Duration>,
    job: PhantomData<fn() -> J>,
}

impl Client {
    /// Enqueues one job by its type's policy; `.await` the builder.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let receipt = jobs.enqueue(Ping).priority(0).await?;
    /// # let _ = receipt;
    /// # Ok(()) }
    /// ```
    pub fn enqueue<J: Job>(&self, job: J) -> Enqueue<J> {
        Enqueue::new(self.clone(), typed(&job))
    }

    /// Enqueues a job by name with a payload in JSON text: for callers without its type.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// assert!(jobs.enqueue_raw("a.job", "{oops").await.unwrap_err().is_invalid());
    /// # Ok(()) }
    /// ```
    pub fn enqueue_raw(&self, name: &str, payload: &str) -> Enqueue {
        Enqueue::new(self.clone(), Envelope::new(name, payload))
    }

    /// Enqueues many jobs of one type by its policy, in atomic steps of 1,000; over several
    /// shards each step is atomic in each.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping { n: u32 }
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let receipts = jobs.enqueue_many((0..2_500).map(|n| Ping { n })).await?;
    /// assert_eq!(receipts.len(), 2_500);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As a single enqueue; the steps before the failing one have been taken in.
    pub async fn enqueue_many<J: Job>(&self, jobs: impl IntoIterator<Item = J>) -> Result<Vec<Receipt>> {
        let mut all = self.new_jobs(jobs.into_iter())?.into_iter();
        let mut receipts = Vec::with_capacity(all.len());
        loop {
            // The last ones stay where they are.
            let step: Vec<NewJob> = match all.len() {
                0 => return Ok(receipts),
                1..=driver::MAX_BATCH => std::mem::take(&mut all).collect(),
                _ => all.by_ref().take(driver::MAX_BATCH).collect(),
            };
            let ids: Vec<JobId> = step.iter().map(|j| j.envelope.id).collect();
            let answers = self.send(step).await.map_err(|e| e.of_jobs(&ids))?;
            receipts.extend(ids.into_iter().zip(answers).map(|(id, answer)| self.receipt(id, answer)));
        }
    }

    fn receipt(&self, id: JobId, answer: Enqueued) -> Receipt {
        let durability = self.backend().durability();
        let (id, created, replaced) = match answer {
            Enqueued::Created => (id, true, false),
            Enqueued::Existing(other) => (other, false, false),
            Enqueued::Replaced(other) => (other, false, true),
        };
        Receipt { id, created, replaced, durability }
    }

    fn new_jobs<J: Job>(&self, jobs: impl Iterator<Item = J>) -> Result<Vec<NewJob>> {
        // They are large to move: room for as many as are promised, within reason.
        let mut all = Vec::with_capacity(jobs.size_hint().0.min(driver::MAX_BATCH));
        for job in jobs {
            all.push(self.new_job(typed(&job)?, Due::Now, false)?);
        }
        Ok(all)
    }

    /// Checks an envelope, lets the middlewares at it, and makes it ready to be sent.
    pub(crate) fn new_job(&self, mut envelope: Envelope, due: Due, chosen: bool) -> Result<NewJob> {
        check(&envelope, self.options().max_payload)?;
        let due = debounced(&envelope, due);
        if let Some(packing) = envelope.packed.last() {
            let why = "which does not open here, and cannot become another job's";
            return Err(Error::invalid(format!("payload: is packed as {packing}, {why}")));
        }
        // Of a job that this one is a copy of.
        envelope.signature = None;
        self.chain().enqueue(&mut envelope)?;
        if !self.chain().is_empty() {
            check(&envelope, self.options().max_payload)?;
        }
        middleware::carry(&mut envelope, due);
        // A node of a flow keeps the id by which others wait for it.
        if !chosen
            && envelope.flow.is_none()
            && let Some(shard) = self.backend().place(&envelope)
        {
            envelope.id = envelope.id.moved(shard);
        }
        let record = envelope.encode();
        Ok(NewJob { envelope, record, due, chosen })
    }
}

/// When a job is due: what is debounced waits, unless said otherwise.
pub(crate) fn debounced(envelope: &Envelope, due: Due) -> Due {
    match envelope.scope.conflict {
        Conflict::Debounce { wait_ms, .. } if due == Due::Now && envelope.unique.is_some() => {
            Due::In(wait_ms)
        }
        _ => due,
    }
}

/// The envelope of a typed job under its type's policy.
pub(crate) fn typed<J: Job>(job: &J) -> Result<Envelope> {
    crate::check_job_name(J::NAME)?;
    let payload = serde_json::value::to_raw_value(job)
        .map_err(|e| Error::invalid(format!("payload of {}: cannot be written as JSON: {e}", J::NAME)))?;
    let mut envelope = Envelope::from_raw(J::NAME, payload);
    envelope.version = J::VERSION;
    envelope.serial = job.serial();
    (envelope.tags, envelope.meta) = (job.tags(), job.meta().into_iter().collect());
    (envelope.limit, envelope.cost) = (job.limit(), job.cost());
    apply(&mut envelope, &J::policy());
    if let Some(unique) = job.unique() {
        unique.apply(&mut envelope)?;
    }
    Ok(envelope)
}

/// Takes over what a backend must know of a policy; the rest the worker knows itself.
pub(crate) fn apply(envelope: &mut Envelope, policy: &Policy) {
    envelope.queue.clone_from(&policy.queue);
    envelope.priority = policy.priority;
    envelope.max_crashes = (policy.max_crashes != 3).then_some(policy.max_crashes);
}

/// Whether this can be enqueued.
pub(crate) fn check(envelope: &Envelope, max_payload: usize) -> Result<()> {
    crate::check_queue_name(&envelope.queue)?;
    if envelope.priority > 9 {
        return Err(Error::invalid(format!("priority: {} is not 0 (first) to 9 (last)", envelope.priority)));
    }
    if envelope.max_attempts == Some(0) {
        return Err(Error::invalid("max_attempts: 0 is not allowed; use 1 or more"));
    }
    if let Some(limit) = &envelope.limit {
        limit.check()?;
        if envelope.serial.is_some() {
            return Err(Error::invalid(
                "serial: a job has either a serial key or a limit key; a limit of concurrency 1 does as well",
            ));
        }
    }
    if !(1..=1_000_000).contains(&envelope.cost) {
        return Err(Error::invalid(format!("cost: {} is not 1 to 1000000", envelope.cost)));
    }
    for (field, key) in [("unique", &envelope.unique), ("serial", &envelope.serial)] {
        if let Some(key) = key {
            check_key(field, key)?;
        }
    }
    super::labels::check(envelope)?;
    let (size, most) = (envelope.payload.get().len(), max_payload.min(16 << 20));
    if size > most {
        return Err(Error::invalid(format!(
            "payload: {size} bytes is too large; at most {most} (keep big things elsewhere and enqueue where they are)"
        )));
    }
    let deep = nesting(envelope.payload.get());
    if deep > MAX_DEPTH {
        return Err(Error::invalid(format!("payload: nests {deep} deep; at most {MAX_DEPTH}")));
    }
    Ok(())
}

impl<J, T> Enqueue<J, T> {
    pub(crate) fn new(target: T, envelope: Result<Envelope>) -> Enqueue<J, T> {
        Enqueue { target, envelope, due: Due::Now, chosen: false, expires_in: None, job: PhantomData }
    }

    pub(super) fn edit(mut self, change: impl FnOnce(&mut Envelope)) -> Self {
        if let Ok(envelope) = &mut self.envelope {
            change(envelope);
        }
        self
    }

    fn try_edit(mut self, change: impl FnOnce(&mut Envelope) -> Result<()>) -> Self {
        if let Ok(envelope) = &mut self.envelope
            && let Err(error) = change(envelope)
        {
            self.envelope = Err(error);
        }
        self
    }

    /// Takes over the queue, the priority and the crash limit of a policy: for callers that have
    /// it without the type, as a worker published it. Say it before anything that differs from
    /// it. Attempts, timeout, backoff and retention stay the worker's to know.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// let policy = legwork::Policy::default().queue("mail");
    /// let id = jobs.enqueue_raw("a.job", "{}").policy(&policy).priority(0).await?.id;
    /// assert_eq!(jobs.job(id).await?.unwrap().envelope.queue(), "mail");
    /// # Ok(()) }
    /// ```
    pub fn policy(self, policy: &Policy) -> Self {
        self.edit(|e| apply(e, policy))
    }

    /// Another queue than the policy's; a name outside the grammar fails the `.await`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// let id = jobs.enqueue_raw("a.job", "{}").queue("mail").await?.id;
    /// assert_eq!(jobs.job(id).await?.unwrap().envelope.queue(), "mail");
    /// assert!(jobs.enqueue_raw("a.job", "{}").queue("no spaces").await.unwrap_err().is_invalid());
    /// # Ok(()) }
    /// ```
    pub fn queue(self, queue: impl Into<String>) -> Self {
        self.edit(|e| e.queue = queue.into())
    }

    /// Another priority than the policy's: 0 (first) to 9 (last), anything else fails the
    /// `.await`. Strict: while a queue has jobs of a smaller number, those of a larger one wait.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// jobs.enqueue_raw("a.job", "{}").priority(0).await?;
    /// assert!(jobs.enqueue_raw("a.job", "{}").priority(10).await.unwrap_err().is_invalid());
    /// # Ok(()) }
    /// ```
    pub fn priority(self, priority: u8) -> Self {
        self.edit(|e| e.priority = priority)
    }

    /// Due after this wait, by the backend's clock, to the millisecond; more than ten years
    /// fails the `.await`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// let id = jobs.enqueue_raw("a.job", "{}").delay(std::time::Duration::from_secs(60)).await?.id;
    /// assert_eq!(jobs.job(id).await?.unwrap().state, legwork::State::Scheduled);
    /// # Ok(()) }
    /// ```
    pub fn delay(mut self, wait: Duration) -> Self {
        if wait > MAX_DELAY {
            self.envelope = Err(Error::invalid("delay: more than ten years is not allowed"));
        } else {
            self.due = Due::In(wait.as_millis() as i64);
        }
        self
    }

    /// Due at this instant of the backend's clock; one that has passed means at once, one after
    /// the year 9999 fails the `.await`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// let past = std::time::SystemTime::UNIX_EPOCH;
    /// let id = jobs.enqueue_raw("a.job", "{}").at(past).await?.id;
    /// assert_eq!(jobs.job(id).await?.unwrap().state, legwork::State::Available);
    /// # Ok(()) }
    /// ```
    pub fn at(mut self, instant: SystemTime) -> Self {
        let ms = instant.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis());
        if ms > LAST_INSTANT {
            self.envelope = Err(Error::invalid("at: an instant after the year 9999 is not allowed"));
        } else {
            self.due = Due::At(ms as i64);
        }
        self
    }

    /// At most one job of this name holds this key: a text of 1 to 256 bytes without control
    /// characters, held until the job has finished; or what [`Unique`] says. A second enqueue
    /// answers with the id of the first. What this says later than another `unique` counts.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// let first = jobs.enqueue_raw("a.job", "{}").unique("athlete 7").await?;
    /// let again = jobs.enqueue_raw("a.job", "{}").unique("athlete 7").await?;
    /// assert_eq!((again.id, again.created), (first.id, false));
    /// jobs.cancel(first.id).await?;
    /// assert!(jobs.enqueue_raw("a.job", "{}").unique("athlete 7").await?.created);
    /// # Ok(()) }
    /// ```
    pub fn unique(self, unique: impl Into<Unique>) -> Self {
        let unique = unique.into();
        self.try_edit(|e| unique.apply(e))
    }

    /// At most one such job in this time: its unique key, or where it has none one made of the
    /// whole payload, is held until it has finished and at least this long after its enqueue;
    /// see [`Unique::for_time`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # use std::time::Duration;
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// let minute = Duration::from_secs(60);
    /// assert!(jobs.enqueue_raw("a.job", "7").unique_for(minute).await?.created);
    /// assert!(!jobs.enqueue_raw("a.job", "7").unique_for(minute).await?.created);
    /// assert!(jobs.enqueue_raw("a.job", "8").unique_for(minute).await?.created);
    /// # Ok(()) }
    /// ```
    pub fn unique_for(self, time: Duration) -> Self {
        self.try_edit(|e| {
            if e.unique.is_none() {
                Unique::payload().apply(e)?;
            }
            e.scope.release = Release::After(crate::clock::span_ms(time));
            Ok(())
        })
    }

    /// At most one job with this key (1 to 256 bytes without control characters) runs at a
    /// time, whatever its name or queue; the others stay available. It is a limit key of the
    /// built-in limit `serial`, so a job has this or [`Enqueue::limit`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// for step in ["[1]", "[2]"] {
    ///     jobs.enqueue_raw("a.job", step).serial("athlete 7").await?;
    /// }
    /// assert_eq!(jobs.queues().await?[0].count(legwork::State::Available), 2);
    /// # Ok(()) }
    /// ```
    pub fn serial(self, key: impl Into<String>) -> Self {
        self.edit(|e| e.serial = Some(key.into()))
    }

    /// Runs it under a limit with this key (1 to 256 bytes without control characters). What
    /// the limit allows is a rule of its own; without one its keys take turns, and that is all.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// jobs.enqueue_raw("a.job", "{}").limit("strava.athlete", 7).cost(3).await?;
    /// let both = jobs.enqueue_raw("a.job", "{}").limit("strava.athlete", 7).serial("athlete 7");
    /// assert!(both.await.unwrap_err().is_invalid());
    /// # Ok(()) }
    /// ```
    pub fn limit(self, name: impl Into<String>, key: impl ToString) -> Self {
        let limit = LimitKey::new(name, key);
        self.edit(|e| e.limit = Some(limit))
    }

    /// What it spends of the rates of its limits when it is leased, 1 to 1,000,000; 1 unless
    /// said.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// jobs.enqueue_raw("a.job", "{}").cost(3).await?;
    /// assert!(jobs.enqueue_raw("a.job", "{}").cost(0).await.unwrap_err().is_invalid());
    /// # Ok(()) }
    /// ```
    pub fn cost(self, cost: u32) -> Self {
        self.edit(|e| e.cost = cost)
    }

    /// An id of your own choosing, so that enqueuing twice makes one job, for as long as the
    /// first is kept.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// let id = legwork::JobId::new();
    /// assert!(jobs.enqueue_raw("a.job", "{}").id(id).await?.created);
    /// assert!(!jobs.enqueue_raw("a.job", "{}").id(id).await?.created);
    /// # Ok(()) }
    /// ```
    pub fn id(mut self, id: JobId) -> Self {
        self.chosen = true;
        self.edit(|e| {
            e.id = id;
            e.created_ms = id.created_ms().is_none().then(crate::clock::system_ms);
        })
    }

    /// Another number of attempts in all than the policy's; 0 fails the `.await`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// jobs.enqueue_raw("a.job", "{}").max_attempts(1).await?;
    /// assert!(jobs.enqueue_raw("a.job", "{}").max_attempts(0).await.unwrap_err().is_invalid());
    /// # Ok(()) }
    /// ```
    pub fn max_attempts(self, attempts: u32) -> Self {
        self.edit(|e| e.max_attempts = Some(attempts))
    }

    /// Another limit on the time of one attempt than the policy's, to the millisecond. An
    /// attempt that takes longer is dropped and counts as failed.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// let id = jobs.enqueue_raw("a.job", "{}").timeout(std::time::Duration::from_secs(30)).await?.id;
    /// let job = jobs.job(id).await?.unwrap();
    /// assert_eq!(job.envelope.envelope().unwrap().timeout_ms, Some(30_000));
    /// # Ok(()) }
    /// ```
    pub fn timeout(self, timeout: Duration) -> Self {
        self.edit(|e| e.timeout_ms = Some(timeout.as_millis() as u64))
    }

    /// Not to be started after this instant of the backend's clock: a job that a worker meets
    /// later is discarded with the reason `expired`; no attempt is spent. An attempt that has
    /// begun goes on; a retry after the instant expires. One after the year 9999 fails the
    /// `.await`.
    ///
    /// ```
    /// # use legwork::*; use std::time::{Duration, SystemTime};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let tonight = SystemTime::now() + Duration::from_secs(3_600);
    /// jobs.enqueue_raw("remind", "{}").expires_at(tonight).await?;
    /// # Ok(()) }
    /// ```
    pub fn expires_at(mut self, instant: SystemTime) -> Self {
        self.expires_in = None;
        let ms = instant.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis());
        self.try_edit(|e| {
            if ms > LAST_INSTANT {
                return Err(Error::invalid("expires_at: an instant after the year 9999 is not allowed"));
            }
            e.expires_ms = Some(ms as i64);
            Ok(())
        })
    }

    /// As [`Enqueue::expires_at`], this long after the enqueue; more than ten years fails the
    /// `.await`. The backend is asked for its time.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// let id = jobs.enqueue_raw("remind", "{}").expires_in(std::time::Duration::from_secs(60)).await?.id;
    /// assert!(jobs.job(id).await?.unwrap().envelope.envelope().unwrap().expires_ms.is_some());
    /// # Ok(()) }
    /// ```
    pub fn expires_in(mut self, time: Duration) -> Self {
        self.expires_in = Some(time);
        self.try_edit(|e| match time > MAX_DELAY {
            true => Err(Error::invalid("expires_in: more than ten years is not allowed")),
            // By this clock, where no backend is asked.
            false => {
                e.expires_ms = Some(crate::clock::system_ms().saturating_add(crate::clock::span_ms(time)));
                Ok(())
            }
        })
    }

    /// Another retention than the policy's for a job that succeeded or was cancelled.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// jobs.enqueue_raw("a.job", "{}").keep(legwork::Keep::None).await?;
    /// # Ok(()) }
    /// ```
    pub fn keep(self, keep: Keep) -> Self {
        self.edit(|e| e.keep_ms = Some(keep.as_ms()))
    }

    /// The trace that the job is a part of, where it is not that of the attempt that enqueues it.
    ///
    /// ```
    /// # use legwork::{*, middleware::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    /// let id = jobs.enqueue_raw("a.job", "{}").trace(header.parse()?).await?.id;
    /// let job = jobs.job(id).await?.unwrap();
    /// assert_eq!(job.envelope.envelope().unwrap().trace.unwrap().parent.to_string(), header);
    /// # Ok(()) }
    /// ```
    pub fn trace(self, parent: TraceParent) -> Self {
        self.edit(|e| e.trace = Some(Trace { parent, later: false }))
    }

    /// The version of the payload's shape, where it is not the type's (or 1). A worker that
    /// knows only older ones parks the job.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// let id = jobs.enqueue_raw("a.job", "{}").version(2).await?.id;
    /// let job = jobs.job(id).await?.unwrap();
    /// assert_eq!(job.envelope.envelope().unwrap().version, 2);
    /// # Ok(()) }
    /// ```
    pub fn version(self, version: u32) -> Self {
        self.edit(|e| e.version = version)
    }
}

impl<J: 'static> IntoFuture for Enqueue<J> {
    type Output = Result<Receipt>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Receipt>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Enqueue { target: client, envelope, due, chosen, expires_in, .. } = self;
        Box::pin(async move {
            let mut envelope = envelope?;
            if let Some(time) = expires_in {
                let now = driver::patiently(client.inner.options.patience, || client.inner.backend.now());
                envelope.expires_ms = Some(now.await?.saturating_add(crate::clock::span_ms(time)));
            }
            let job = client.new_job(envelope, due, chosen)?;
            let id = job.envelope.id;
            let answers = client.send(vec![job]).await.map_err(|e| e.of_jobs(&[id]))?;
            let answer = answers.into_iter().next().ok_or_else(|| Error::corrupt("enqueue: no answer"))?;
            Ok(client.receipt(id, answer))
        })
    }
}
