//! Events: a fact, told to everybody who has subscribed to it, durably.
//!
//! A subscriber is a job name and a queue; to publish is to enqueue one job for each whose
//! pattern fits the topic, in one atomic step. The list of subscribers is read once and kept; the
//! step holds only if it has not changed since, else it is read again.

use crate::backend::Due;
use crate::backend::{EnqueueBatch, Entry, Guard, NewJob, Setting, Taken};
use crate::client::patiently;
use crate::{Client, Envelope, Error, Flow, Job, JobId, Keep, Result, Step};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use std::collections::HashSet;
use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

/// More subscribers than these are staged as a flow.
const AT_ONCE: usize = 500;
/// How often a publish reads the subscribers again before it gives up.
const TRIES: usize = 50;

/// A fact that others may want to know of; its fields are the payload of their jobs.
///
/// ```
/// # use legwork::*; use serde::{Serialize, Deserialize};
/// #[derive(Serialize)]
/// struct RunAdded { run: u64, race: u64 }
/// impl Event for RunAdded {
///     const TOPIC: &'static str = "race";
///     fn label(&self) -> Option<String> { Some(self.race.to_string()) }
/// }
/// #[derive(Serialize, Deserialize)]
/// struct Notify { run: u64 }
/// impl Job for Notify { const NAME: &'static str = "notify"; type Output = (); }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// jobs.subscribe::<Notify>("race.*").await?;
/// let published = jobs.publish(RunAdded { run: 7, race: 42 }).await?; // to race.42
/// assert_eq!(published.jobs.len(), 1);
/// # Ok(()) }
/// ```
pub trait Event: Serialize {
    /// What it is about: words with dots between, `run.added`.
    const TOPIC: &'static str;

    /// One or more words behind the topic, so that subscribers may choose: `race` and `42` make
    /// `race.42`.
    ///
    /// ```
    /// # use legwork::Event; use serde::Serialize;
    /// #[derive(Serialize)]
    /// struct Started;
    /// impl Event for Started { const TOPIC: &'static str = "app.started"; }
    /// assert_eq!(Started.label(), None);
    /// ```
    fn label(&self) -> Option<String> {
        None
    }
}

/// Who is told of events: a job name and a queue, and the topics.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
/// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
/// jobs.subscribe_raw("run.#", "notify", "mail").await?;
/// let all = jobs.subscribers().await?;
/// assert_eq!((all[0].job.as_str(), all[0].queue.as_str()), ("notify", "mail"));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscriber {
    /// Topics: words with dots between, `*` for any one word, `#` at the end for any rest.
    pub pattern: String,
    /// The name of the job that is enqueued.
    pub job: String,
    /// Its queue.
    pub queue: String,
    /// The version of the payload's shape.
    #[serde(default = "one")]
    pub version: u32,
    /// Its priority.
    #[serde(default = "five")]
    pub priority: u8,
}

fn one() -> u32 {
    1
}

fn five() -> u8 {
    5
}

impl Subscriber {
    /// The name of its setting: one for each pattern, job and queue.
    fn key(&self) -> String {
        format!("{} {} {}", self.pattern, self.job, self.queue)
    }

    pub(crate) fn of(entry: &Entry) -> Option<Subscriber> {
        serde_json::from_str(&entry.value).ok()
    }

    /// Whether it is told of this topic.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// jobs.subscribe_raw("race.*.finished", "notify", "mail").await?;
    /// let all = jobs.subscribers().await?;
    /// assert!(all[0].hears("race.42.finished") && !all[0].hears("race.42"));
    /// # Ok(()) }
    /// ```
    pub fn hears(&self, topic: &str) -> bool {
        let mut words = topic.split('.');
        for part in self.pattern.split('.') {
            match (part, words.next()) {
                ("#", _) => return true,
                ("*", Some(_)) => {}
                (part, Some(word)) if part == word => {}
                _ => return false,
            }
        }
        words.next().is_none()
    }
}

/// The answer to a publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The event's id: published again under it, it reaches nobody twice.
    pub id: JobId,
    /// The ids of the jobs, one for each subscriber; none is no error.
    pub jobs: Vec<JobId>,
}

/// A publish about to happen: `.await` it.
///
/// ```
/// # use legwork::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// # jobs.subscribe_raw("run.added", "notify", "mail").await?;
/// let id = JobId::new();
/// let first = jobs.publish_raw("run.added", "{}").id(id).await?;
/// assert_eq!(jobs.publish_raw("run.added", "{}").id(id).await?, first); // told once
/// assert_eq!(jobs.queues().await?[0].count(State::Available), 1);
/// # Ok(()) }
/// ```
#[must_use = "an event is published when it is awaited"]
pub struct Publish {
    client: Client,
    id: JobId,
    topic: String,
    payload: Result<Box<RawValue>>,
}

/// The subscribers as they were last read.
#[derive(Default)]
pub(crate) struct Cache(Mutex<Option<Arc<Known>>>);

struct Known {
    version: u64,
    all: Vec<Subscriber>,
}

impl Client {
    /// Publishes an event to all that have subscribed to its topic, in one atomic step; more than
    /// 500 of them are staged, and made real by one. An event without subscribers is no error.
    ///
    /// ```
    /// # use legwork::*; use serde::Serialize;
    /// #[derive(Serialize)]
    /// struct RunAdded { run: u64 }
    /// impl Event for RunAdded { const TOPIC: &'static str = "run.added"; }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// assert!(jobs.publish(RunAdded { run: 7 }).await?.jobs.is_empty());
    /// # Ok(()) }
    /// ```
    pub fn publish<E: Event>(&self, event: E) -> Publish {
        let payload = to_raw_value(&event)
            .map_err(|e| Error::invalid(format!("payload of {}: cannot be written as JSON: {e}", E::TOPIC)));
        let topic = event.label().map_or_else(|| E::TOPIC.into(), |label| format!("{}.{label}", E::TOPIC));
        Publish { client: self.clone(), id: JobId::new(), topic, payload }
    }

    /// Publishes an event by its whole topic, with a payload in JSON text.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// assert!(jobs.publish_raw("no topic", "{}").await.unwrap_err().is_invalid());
    /// # Ok(()) }
    /// ```
    pub fn publish_raw(&self, topic: &str, payload: &str) -> Publish {
        let payload =
            serde_json::from_str(payload).map_err(|e| Error::invalid(format!("payload: not JSON: {e}")));
        Publish { client: self.clone(), id: JobId::new(), topic: topic.into(), payload }
    }

    /// Lets jobs of this type be enqueued, by their policy, for every event whose topic fits. The
    /// event's JSON is their payload. To subscribe again changes nothing.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// #[derive(Serialize, Deserialize)]
    /// struct Notify { run: u64 }
    /// impl Job for Notify { const NAME: &'static str = "notify"; type Output = (); }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// jobs.subscribe::<Notify>("run.added").await?;
    /// assert_eq!(jobs.subscribers().await?.len(), 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Invalid for what is no pattern; unavailable when the backend cannot be reached.
    pub async fn subscribe<J: Job>(&self, pattern: &str) -> Result<()> {
        let policy = J::policy();
        let (job, queue) = (J::NAME.into(), policy.queue);
        let priority = policy.priority;
        self.subscribe_as(Subscriber { pattern: pattern.into(), job, queue, version: J::VERSION, priority })
            .await
    }

    /// Lets jobs of this name be enqueued in this queue for every event whose topic fits.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// assert!(jobs.subscribe_raw("run.#.added", "notify", "mail").await.unwrap_err().is_invalid());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Invalid for what is no pattern, name or queue; unavailable when the backend cannot be
    /// reached.
    pub async fn subscribe_raw(&self, pattern: &str, job: &str, queue: &str) -> Result<()> {
        let (pattern, job, queue) = (pattern.into(), job.into(), queue.into());
        self.subscribe_as(Subscriber { pattern, job, queue, version: one(), priority: five() }).await
    }

    async fn subscribe_as(&self, subscriber: Subscriber) -> Result<()> {
        check("pattern", &subscriber.pattern, true)?;
        crate::check_job_name(&subscriber.job)?;
        crate::check_queue_name(&subscriber.queue)?;
        let value = serde_json::to_string(&subscriber).map_err(|e| Error::invalid(e.to_string()))?;
        let (backend, key) = (self.backend(), subscriber.key());
        let put = || backend.put(Setting::Subscriber, &key, Some(&value));
        patiently(self.options().patience, put).await.map(drop)
    }

    /// Ends a subscription; whether there was one. What was published before is not undone.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// jobs.subscribe_raw("run.added", "notify", "mail").await?;
    /// assert!(jobs.unsubscribe("run.added", "notify", "mail").await?);
    /// assert!(!jobs.unsubscribe("run.added", "notify", "mail").await?);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the backend cannot be reached.
    pub async fn unsubscribe(&self, pattern: &str, job: &str, queue: &str) -> Result<bool> {
        let key = format!("{pattern} {job} {queue}");
        Ok(self.backend().put(Setting::Subscriber, &key, None).await?.is_some())
    }

    /// All subscribers, by pattern, job and queue.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// assert!(jobs.subscribers().await?.is_empty());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the backend cannot be reached.
    pub async fn subscribers(&self) -> Result<Vec<Subscriber>> {
        let mut all = self.known().await?.all.clone();
        all.sort_by_key(Subscriber::key);
        Ok(all)
    }

    /// The subscribers, as they stand.
    async fn known(&self) -> Result<Arc<Known>> {
        let backend = self.backend();
        let read = patiently(self.options().patience, || backend.settings(Setting::Subscriber)).await?;
        let all = read.entries.iter().filter_map(Subscriber::of).collect();
        let known = Arc::new(Known { version: read.version, all });
        *self.subscribers_known().0.lock().unwrap_or_else(|e| e.into_inner()) = Some(known.clone());
        Ok(known)
    }
}

impl Publish {
    /// An id of your own choosing: published again under it, also after a lost reply, the event
    /// reaches nobody twice, for as long as the jobs of the first time are kept.
    ///
    /// ```
    /// # use legwork::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let id = JobId::new();
    /// assert_eq!(jobs.publish_raw("run.added", "{}").id(id).await?.id, id);
    /// # Ok(()) }
    /// ```
    pub fn id(mut self, id: JobId) -> Publish {
        self.id = id;
        self
    }

    async fn send(self) -> Result<Published> {
        let Publish { client, id, topic, payload } = self;
        check("topic", &topic, false)?;
        let payload = payload?;
        let held = client.subscribers_known().0.lock().unwrap_or_else(|e| e.into_inner()).clone();
        let mut known = held;
        for _ in 0..TRIES {
            let fresh = known.is_none();
            let now = match known.take() {
                Some(known) => known,
                None => client.known().await?,
            };
            let all = told(&now.all, &topic);
            if all.is_empty() {
                if fresh {
                    return Ok(Published { id, jobs: Vec::new() });
                }
                // Nothing would be sent, so that nothing could be refused: somebody may have come.
                continue;
            }
            let guard = Guard::Settings { kind: Setting::Subscriber, version: now.version };
            let jobs = match all.len() > AT_ONCE {
                true => staged(&client, id, &topic, &payload, all, guard, now.version).await?,
                false => at_once(&client, id, &payload, all, guard).await?,
            };
            if let Some(jobs) = jobs {
                return Ok(Published { id, jobs });
            }
        }
        let line = format!("publish: the subscribers changed {TRIES} times meanwhile; nobody was told");
        Err(Error::new(crate::error::Kind::Conflict, line))
    }
}

impl IntoFuture for Publish {
    type Output = Result<Published>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Published>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let client = self.client.clone();
        Box::pin(async move { client.around(self.send()).await })
    }
}

/// Who is told: each job and queue once, whatever the number of its patterns that fit.
fn told<'a>(all: &'a [Subscriber], topic: &str) -> Vec<&'a Subscriber> {
    let mut seen = HashSet::new();
    all.iter().filter(|s| s.hears(topic) && seen.insert((&s.job, &s.queue))).collect()
}

fn envelope(id: JobId, payload: &RawValue, to: &Subscriber) -> Envelope {
    let mut envelope = Envelope::from_raw(&to.job, payload.to_owned());
    (envelope.id, envelope.queue, envelope.priority) = (id, to.queue.clone(), to.priority);
    envelope.version = to.version;
    envelope
}

async fn at_once(
    client: &Client,
    id: JobId,
    payload: &RawValue,
    all: Vec<&Subscriber>,
    guard: Guard,
) -> Result<Option<Vec<JobId>>> {
    let event = id.to_string();
    let new = |to: &&Subscriber| {
        let id = JobId::derived(&["event", &event, &to.job, &to.queue], id.as_bytes()[15]);
        let mut envelope = envelope(id, payload, to);
        envelope.created_ms = Some(crate::clock::system_ms());
        client.new_job(envelope, Due::Now, true)
    };
    let jobs = all.iter().map(new).collect::<Result<Vec<NewJob>>>()?;
    let ids = jobs.iter().map(|job| job.envelope.id).collect();
    // A lane of its own for each try: what has been refused may be sent again.
    let lane = format!("event {}", JobId::new());
    let batch = EnqueueBatch { lane, seq: 1, jobs, guard, flow: None };
    let taken = patiently(client.options().patience, || client.backend().enqueue(&batch)).await?;
    Ok((taken != Taken::Changed).then_some(ids))
}

async fn staged(
    client: &Client,
    id: JobId,
    topic: &str,
    payload: &RawValue,
    all: Vec<&Subscriber>,
    guard: Guard,
    version: u64,
) -> Result<Option<Vec<JobId>>> {
    let root = JobId::derived(&["event", &id.to_string(), &version.to_string()], id.as_bytes()[15]);
    let steps = all.into_iter().map(|to| Step::of(Ok(envelope(JobId::new(), payload, to))));
    let flow = Flow::group(steps).name(format!("event {topic}").chars().take(100).collect::<String>());
    let started = client.start_as(root, flow.keep(Keep::None), Vec::new(), guard).await?;
    Ok(started.map(|started| started.nodes))
}

/// Words with dots between; of a pattern also `*` for a word and `#` at its end.
fn check(field: &str, text: &str, pattern: bool) -> Result<()> {
    let word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    };
    let mut words = text.split('.').peekable();
    let mut good = !text.is_empty() && text.len() <= 200;
    while let Some(one) = words.next() {
        good &= word(one) || pattern && (one == "*" || one == "#" && words.peek().is_none());
    }
    if good {
        return Ok(());
    }
    let shown: String = text.chars().take(50).collect();
    let more = if pattern { ", * for any one word, # at the end for any rest" } else { "" };
    Err(Error::invalid(format!(
        "{field}: {shown:?} is not words of letters, digits, _ and - with dots between{more}; at most 200 bytes"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_said() {
        let hears = |pattern: &str, topic| {
            check("pattern", pattern, true).unwrap();
            let (job, queue) = ("a.job".into(), "q".into());
            Subscriber { pattern: pattern.into(), job, queue, version: 1, priority: 5 }.hears(topic)
        };
        for (pattern, fits, fits_not) in [
            ("run.added", &["run.added"][..], &["run", "run.added.x", "run.gone"][..]),
            ("race.*", &["race.42"], &["race", "race.42.end", "run.42"]),
            ("race.#", &["race", "race.42", "race.42.end"], &["run", "racer"]),
            ("#", &["race", "race.42"], &[]),
            ("*.added", &["run.added"], &["added", "a.run.added"]),
        ] {
            assert!(fits.iter().all(|topic| hears(pattern, topic)), "{pattern} fits {fits:?}");
            assert!(
                !fits_not.iter().any(|topic| hears(pattern, topic)),
                "{pattern} does not fit {fits_not:?}"
            );
        }
    }

    #[test]
    fn what_is_no_topic_or_pattern_is_refused() {
        for bad in ["", ".", "a.", ".a", "a..b", "a b", "a.ü", "a\0", &"a".repeat(201)] {
            assert!(check("topic", bad, false).is_err() && check("pattern", bad, true).is_err(), "{bad:?}");
        }
        for bad in ["#.a", "a.#.b", "a*", "a.#b"] {
            assert!(check("pattern", bad, true).is_err(), "{bad:?}");
        }
        let line = check("topic", "race.*", false).unwrap_err().to_string();
        assert!(line.starts_with("topic: \"race.*\" is not words"), "{line}");
    }
}
