//! What a conformance case holds in its hands: a backend, a clock, and short words.

#[cfg(feature = "sqlite")]
use crate::Clock;
use crate::backend::*;
use crate::{Envelope, JobId, Limit, LimitKey, ManualClock, State};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The lease that cases ask for, in milliseconds.
pub const TTL: i64 = 15_000;

/// Where the manual clock of a case begins.
pub const START_MS: i64 = 1_800_000_000_000;

/// A backend under test with a namespace of its own.
///
/// ```
/// use legwork::testing::harness::{Harness, job, success};
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let h = Harness::in_memory().await;
/// let id = h.put(job("a.job").priority(1)).await;
/// let held = h.take("q").await;
/// h.done(&held, success(0)).await;
/// h.gone(id).await;
/// h.check().await;
/// # }
/// ```
pub struct Harness {
    /// The backend.
    pub backend: Arc<dyn Backend>,
    /// A second connection to the same data, or the first one again where a backend
    /// (`sqlite::memory:`) has no other.
    pub other: Arc<dyn Backend>,
    /// The clock by which both decide.
    pub clock: ManualClock,
    lane: String,
    seq: AtomicU64,
}

/// A job that is about to be enqueued.
#[derive(Clone)]
pub struct Draft(NewJob);

thread_local! {
    /// The jobs of a case go round the shards, where there are several, so that it fares the
    /// same each time.
    static SHARD: Cell<u8> = const { Cell::new(0) };
}

/// A draft of a job of this name, in the queue `q`, due now.
pub fn job(name: &str) -> Draft {
    let mut envelope = Envelope::new(name, "{\"n\":1}").expect("a good name and payload");
    envelope.id = JobId::in_shard(SHARD.replace(SHARD.get().wrapping_add(1)));
    envelope.queue = "q".into();
    Draft(NewJob { record: envelope.encode(), envelope, due: Due::Now, chosen: false })
}

impl Draft {
    /// Changes the envelope, and the record with it.
    pub fn with(mut self, change: impl FnOnce(&mut Envelope)) -> Draft {
        change(&mut self.0.envelope);
        self.0.record = self.0.envelope.encode();
        self
    }

    /// Another queue than `q`.
    pub fn queue(self, queue: &str) -> Draft {
        self.with(|e| e.queue = queue.into())
    }

    /// Another priority than 5.
    pub fn priority(self, priority: u8) -> Draft {
        self.with(|e| e.priority = priority)
    }

    /// A unique key.
    pub fn unique(self, key: &str) -> Draft {
        self.with(|e| e.unique = Some(key.into()))
    }

    /// The scope of the unique key.
    pub fn scope(self, release: Release, conflict: Conflict) -> Draft {
        self.with(|e| e.scope = Scope { release, conflict })
    }

    /// Another payload than `{"n":1}`: a number.
    pub fn payload(self, n: u32) -> Draft {
        let payload = serde_json::value::to_raw_value(&n).expect("a number is JSON");
        self.with(|e| e.payload = payload)
    }

    /// A serial key.
    pub fn serial(self, key: &str) -> Draft {
        self.with(|e| e.serial = Some(key.into()))
    }

    /// A limit key.
    pub fn limit(self, name: &str, key: impl ToString) -> Draft {
        self.with(|e| e.limit = Some(LimitKey::new(name, key)))
    }

    /// What it costs.
    pub fn cost(self, cost: u32) -> Draft {
        self.with(|e| e.cost = cost)
    }

    /// An id that the application chose.
    pub fn chosen(self, id: JobId) -> Draft {
        let mut draft = self.with(|e| e.id = id);
        draft.0.chosen = true;
        draft
    }

    /// When it is due.
    pub fn due(mut self, due: Due) -> Draft {
        self.0.due = due;
        self
    }

    /// Replaces the record by other bytes; the envelope still speaks for the indexes.
    pub fn record(mut self, bytes: &[u8]) -> Draft {
        self.0.record = bytes.into();
        self
    }

    /// The id.
    pub fn id(&self) -> JobId {
        self.0.envelope.id
    }

    /// The job as a backend takes it.
    pub fn into_new(self) -> NewJob {
        self.0
    }
}

/// A job under a lease.
#[derive(Debug, Clone)]
pub struct Held {
    /// The fence.
    pub token: Token,
    /// The job.
    pub id: JobId,
    /// What the lease said of it.
    pub job: LeasedJob,
    /// How many jobs share the batch.
    pub shared: usize,
}

impl Held {
    /// The settle of this lease with this outcome.
    pub fn settle(&self, outcome: Outcome) -> Settle {
        let keyed = Envelope::decode(self.id, &self.job.record).is_ok_and(|e| e.keyed());
        Settle { token: self.token, id: self.id, outcome, keyed }
    }
}

/// Success without a result, kept this long.
pub fn success(keep_ms: i64) -> Outcome {
    Outcome::Succeeded { result: None, keep_ms }
}

/// A failed attempt, due again after the wait.
pub fn retry(wait_ms: i64) -> Outcome {
    Outcome::Retry { wait_ms, error: "it failed".into() }
}

/// Not now.
pub fn snooze(wait_ms: i64) -> Outcome {
    Outcome::Snooze { wait_ms }
}

/// Failed for good, kept a day.
pub fn discard() -> Outcome {
    Outcome::Discard { reason: "failed".into(), error: "never".into(), keep_ms: 86_400_000 }
}

/// Called off, kept a day.
pub fn cancel() -> Outcome {
    Outcome::Cancel { reason: "nobody wants it".into(), keep_ms: 86_400_000 }
}

/// Progress, as a note.
pub fn progress(text: &str) -> Note {
    Note::Progress(text.into())
}

/// Took its process down; at most twice.
pub fn crash() -> Outcome {
    Outcome::Crash { error: "it crashed".into(), max: 2, keep_ms: 86_400_000 }
}

/// One of each outcome, with the state that follows from it.
pub fn every_outcome() -> Vec<(Outcome, State)> {
    vec![
        (success(60_000), State::Succeeded),
        (retry(5_000), State::Retryable),
        (snooze(5_000), State::Scheduled),
        (discard(), State::Discarded),
        (cancel(), State::Cancelled),
        (Outcome::HandBack, State::Available),
        (Outcome::Park, State::Blocked),
    ]
}

impl Harness {
    /// A harness around two connections to an empty namespace.
    pub fn new(backend: Arc<dyn Backend>, other: Arc<dyn Backend>, clock: ManualClock) -> Harness {
        Harness { backend, other, clock, lane: JobId::new().to_string(), seq: AtomicU64::new(0) }
    }

    /// A harness around SQLite in memory, whose one connection is all there is.
    ///
    /// # Panics
    /// When it cannot be opened.
    #[cfg(feature = "sqlite")]
    pub async fn in_memory() -> Harness {
        let clock = ManualClock::new(START_MS);
        let opened = sqlite::Sqlite::connect("sqlite::memory:", Clock::Manual(clock.clone())).await;
        let backend = Arc::new(opened.expect("SQLite opens in memory"));
        Harness::new(backend.clone(), backend, clock)
    }

    /// Lets time pass.
    pub fn pass(&self, ms: i64) {
        self.clock.advance(Duration::from_millis(ms.try_into().expect("time goes forward")));
    }

    /// The time by the clock in hand.
    pub fn now(&self) -> i64 {
        self.clock.now_ms()
    }

    /// A batch in this harness's lane with the next number.
    pub fn batch(&self, drafts: impl IntoIterator<Item = Draft>) -> EnqueueBatch {
        let seq = self.seq.fetch_add(1, Ordering::SeqCst) + 1;
        EnqueueBatch {
            lane: self.lane.clone(),
            seq,
            jobs: drafts.into_iter().map(|d| d.0).collect(),
            guard: Guard::None,
            flow: None,
        }
    }

    /// Enqueues one job and says what became of it.
    pub async fn offer(&self, draft: Draft) -> Enqueued {
        let answers = self.backend.enqueue(&self.batch([draft])).await.expect("enqueue").jobs();
        assert_eq!(answers.len(), 1, "one answer a job");
        answers[0]
    }

    /// Enqueues one job that must be taken in.
    pub async fn put(&self, draft: Draft) -> JobId {
        self.put_all([draft]).await[0]
    }

    /// Enqueues jobs in one batch; each must be taken in.
    pub async fn put_all(&self, drafts: impl IntoIterator<Item = Draft>) -> Vec<JobId> {
        let batch = self.batch(drafts);
        let answers = self.backend.enqueue(&batch).await.expect("enqueue").jobs();
        assert_eq!(answers, vec![Enqueued::Created; batch.jobs.len()]);
        batch.jobs.iter().map(|j| j.envelope.id).collect()
    }

    /// Leases with every word given.
    pub async fn batches(&self, queues: &[(&str, usize)], alone: bool) -> Vec<Batch> {
        let request = LeaseRequest {
            worker: "worker-1".into(),
            queues: queues.iter().map(|(q, n)| (q.to_string(), *n)).collect(),
            most: 1_000,
            alone,
            ttl_ms: TTL,
        };
        let batches = self.backend.lease(&request).await.expect("lease").batches;
        assert!(batches.iter().all(|b| !b.jobs.is_empty()), "a batch holds at least one job");
        batches
    }

    /// Stores the rule of a limit, `NAME` or `NAME/KEY`; `None` drops it.
    pub async fn rule(&self, address: &str, rule: Option<Limit>) {
        let json = rule.map(|rule| serde_json::to_string(&rule).expect("a rule"));
        self.backend.put(Setting::Limit, address, json.as_deref()).await.expect("put");
    }

    /// Puts a queue under a limit.
    pub async fn limit_queue(&self, queue: &str, limit: &str) {
        let json = format!("{{\"limit\":\"{limit}\"}}");
        self.backend.put(Setting::Queue, queue, Some(&json)).await.expect("put");
    }

    /// Changes what may be spent under a limit.
    pub async fn budget(&self, limit: &str, change: Budget) {
        let steer = Steer::Budget { limit: limit.into(), change };
        self.backend.steer("", steer).await.expect("steer");
    }

    /// Leases up to `max` jobs of a queue: those that came, and when to ask again.
    pub async fn ask(&self, queue: &str, max: usize) -> (Vec<Held>, Option<i64>) {
        let queues = vec![(queue.to_owned(), max)];
        let request = LeaseRequest { worker: "w".into(), queues, most: 1_000, alone: false, ttl_ms: TTL };
        let leased = self.backend.lease(&request).await.expect("lease");
        (held(leased.batches), leased.next_ms)
    }

    /// Leases up to `max` jobs of a queue, shared.
    pub async fn lease(&self, queue: &str, max: usize) -> Vec<Held> {
        held(self.batches(&[(queue, max)], false).await)
    }

    /// Leases up to `max` jobs of a queue, each in a batch of its own.
    pub async fn lease_alone(&self, queue: &str, max: usize) -> Vec<Held> {
        held(self.batches(&[(queue, max)], true).await)
    }

    /// Leases the one job that must be next in a queue.
    pub async fn take(&self, queue: &str) -> Held {
        let mut held = self.lease_alone(queue, 1).await;
        assert_eq!(held.len(), 1, "one job is available in {queue}");
        held.remove(0)
    }

    /// The ids that a lease of up to `max` jobs gives, in order.
    pub async fn leased_ids(&self, queue: &str, max: usize) -> Vec<JobId> {
        self.lease(queue, max).await.iter().map(|h| h.id).collect()
    }

    /// Settles one lease.
    pub async fn settle(&self, held: &Held, outcome: Outcome) -> Settled {
        let answers = self.backend.settle(&[held.settle(outcome)]).await.expect("settle");
        assert_eq!(answers.len(), 1, "one answer an item");
        answers[0]
    }

    /// Settles one lease that must still be held.
    pub async fn done(&self, held: &Held, outcome: Outcome) {
        let shown = format!("{outcome:?}");
        assert_eq!(self.settle(held, outcome).await, Settled::Done, "{shown} under a held lease");
    }

    /// Settles one lease that must no longer be held, and changes nothing.
    pub async fn stale(&self, held: &Held, outcome: Outcome) {
        let before = self.shown(held.id).await;
        let shown = format!("{outcome:?}");
        assert_eq!(self.settle(held, outcome).await, Settled::Stale, "{shown} under a lost lease");
        assert_eq!(self.shown(held.id).await, before, "a stale {shown} changes nothing");
    }

    /// A job as text, for comparison.
    pub async fn shown(&self, id: JobId) -> String {
        format!("{:?}", self.backend.get(id, false).await.expect("get"))
    }

    /// One job that must exist.
    pub async fn view(&self, id: JobId) -> JobView {
        self.backend.get(id, false).await.expect("get").unwrap_or_else(|| panic!("job {id} is gone"))
    }

    /// A job's state; none when there is no such job.
    pub async fn state(&self, id: JobId) -> Option<State> {
        self.backend.get(id, false).await.expect("get").map(|v| v.state)
    }

    /// Checks a job's state.
    pub async fn is(&self, id: JobId, state: State) {
        assert_eq!(self.state(id).await, Some(state), "the state of {id}");
    }

    /// The payload of a job, as text.
    pub async fn payload(&self, id: JobId) -> String {
        let view = self.view(id).await;
        view.envelope.envelope().map(|e| e.payload.get().to_owned()).expect("a payload")
    }

    /// Checks the states of jobs, in order.
    pub async fn are(&self, ids: &[JobId], states: &[State]) {
        let mut found = Vec::new();
        for id in ids {
            found.push(self.state(*id).await);
        }
        assert_eq!(found, states.iter().map(|s| Some(*s)).collect::<Vec<_>>());
    }

    /// Checks that a job is gone.
    pub async fn gone(&self, id: JobId) {
        assert_eq!(self.state(id).await, None, "{id} is gone");
    }

    /// Promotes what is due.
    pub async fn promote(&self) -> Promoted {
        self.backend.promote(1_000).await.expect("promote")
    }

    /// Takes back what has expired.
    pub async fn reap(&self) -> Vec<Reaped> {
        self.backend.reap(1_000, false, TTL).await.expect("reap")
    }

    /// Lets every lease expire and takes it back.
    pub async fn lose(&self) -> Vec<Reaped> {
        self.pass(TTL + 1);
        self.reap().await
    }

    /// Acts on a job.
    pub async fn control(&self, id: JobId, action: Action) -> Controlled {
        self.backend.control(id, action).await.expect("control")
    }

    /// A queue's view; an empty one where the backend knows none of that name.
    pub async fn queue(&self, name: &str) -> QueueView {
        let all = self.backend.queues().await.expect("queues");
        all.into_iter().find(|q| q.name == name).unwrap_or_default()
    }

    /// The ids that a filter lists, sorted.
    pub async fn listed(&self, filter: Filter) -> Vec<JobId> {
        let mut ids: Vec<_> =
            self.backend.list(&filter, filter.limit).await.expect("list").iter().map(|v| v.id).collect();
        ids.sort();
        ids
    }

    /// Brings a fresh draft into a state, under a key-free path where it has no keys.
    /// Returns its lease where it holds one.
    pub async fn bring(&self, draft: Draft, state: State) -> (JobId, Option<Held>) {
        let queue = draft.0.envelope.queue.clone();
        if state == State::Scheduled {
            return (self.put(draft.due(Due::In(3_600_000))).await, None);
        }
        let id = self.put(draft).await;
        if state == State::Available {
            return (id, None);
        }
        let held = self.take(&queue).await;
        assert_eq!(held.id, id, "nothing else waits in {queue}");
        if let Some((outcome, _)) = every_outcome().into_iter().find(|(_, s)| *s == state) {
            self.done(&held, outcome).await;
        }
        self.is(id, state).await;
        (id, (state == State::Leased).then_some(held))
    }

    /// What must hold after every case: the audit finds nothing, the counts of every
    /// queue are those of its lists, and every job listed is found by its id.
    pub async fn check(&self) {
        let broken = self.backend.audit().await.expect("audit");
        assert!(broken.is_empty(), "the audit found: {broken:#?}");
        for queue in self.backend.queues().await.expect("queues") {
            for state in State::ALL {
                let filter =
                    Filter { state: Some(state), queue: Some(queue.name.clone()), ..Filter::default() };
                let listed = self.backend.list(&filter, 20_000).await.expect("list");
                let count = queue.count(state);
                assert_eq!(count, listed.len() as u64, "{state} jobs of {} counted and listed", queue.name);
                for view in listed.iter().take(50) {
                    assert_eq!(view.state, state, "{} is listed under its state", view.id);
                    self.is(view.id, state).await;
                }
                let parked = listed.iter().filter(|v| v.parked).count() as u64;
                assert!(state != State::Blocked || parked == queue.parked, "parked jobs of {}", queue.name);
            }
        }
    }
}

/// The jobs of batches, in order.
fn held(batches: Vec<Batch>) -> Vec<Held> {
    let of = |b: Batch| {
        let (token, shared) = (b.token, b.jobs.len());
        b.jobs.into_iter().map(move |job| Held { token, id: job.id, job, shared })
    };
    batches.into_iter().flat_map(of).collect()
}
