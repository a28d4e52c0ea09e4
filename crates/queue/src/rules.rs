//! What an operator says of a queue: how long it may grow, and what it keeps.

use crate::backend::{Entry, Setting};
use crate::error::Kind;
use crate::{Client, Error, Result, check_queue_name};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The rules of one queue. Each is off where it is none.
///
/// ```
/// let rules = legwork::QueueRules { max_waiting: Some(10_000), ..Default::default() };
/// assert!(!rules.is_empty());
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueRules {
    /// An enqueue that would make more jobs wait (available, scheduled, retryable or blocked)
    /// is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_waiting: Option<u64>,
    /// A finished job goes this many milliseconds after its end, if its own retention is longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_age_ms: Option<i64>,
    /// Of each final state so many jobs are kept, the newest; never more than 10,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_count: Option<u64>,
    /// Of each final state so many bytes of records are kept, the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_bytes: Option<u64>,
}

impl QueueRules {
    /// Whether nothing is said.
    ///
    /// ```
    /// assert!(legwork::QueueRules::default().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        *self == QueueRules::default()
    }

    /// Whether they say what is to be kept.
    pub(crate) fn keep(&self) -> bool {
        self.keep_age_ms.is_some() || self.keep_count.is_some() || self.keep_bytes.is_some()
    }

    /// Whether a finished job stays: the `place`-th of its state from the newest (0 is the
    /// newest), with `bytes` of records up to and with its own.
    #[cfg(feature = "redis")]
    pub(crate) fn keeps(&self, age_ms: i64, place: usize, bytes: u64) -> bool {
        self.keep_age_ms.is_none_or(|most| age_ms < most)
            && self.keep_count.is_none_or(|most| (place as u64) < most)
            && self.keep_bytes.is_none_or(|most| bytes <= most)
    }

    pub(crate) fn of(entry: &Entry) -> QueueRules {
        serde_json::from_str(&entry.value).unwrap_or_default()
    }
}

/// The refusal of an enqueue.
pub(crate) fn full(queue: &str, waiting: i64, limit: i64) -> Error {
    let line =
        format!("queue {queue}: full: {waiting} jobs wait, and its limit is {limit}; nothing was enqueued");
    Error::new(Kind::Refused, line)
}

impl Client {
    /// The rules of every queue that has any, by queue.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// assert!(jobs.queue_rules().await?.is_empty());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the backend cannot be reached.
    pub async fn queue_rules(&self) -> Result<BTreeMap<String, QueueRules>> {
        let all = self.backend().settings(Setting::Queue).await?.entries;
        let rules = all.into_iter().map(|entry| (entry.name.clone(), QueueRules::of(&entry)));
        Ok(rules.filter(|(_, rules)| !rules.is_empty()).collect())
    }

    /// Sets the rules of a queue, in place of those it had. They hold from the next enqueue
    /// on, whoever makes it, and from the next pruning (every 5 s while a worker or a
    /// scheduler runs).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # use legwork::*;
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let rules = QueueRules { max_waiting: Some(1), ..QueueRules::default() };
    /// jobs.set_queue_rules("mail", rules).await?;
    /// jobs.enqueue_raw("a.job", "1").queue("mail").await?;
    /// let error = jobs.enqueue_raw("a.job", "2").queue("mail").await.unwrap_err();
    /// assert!(error.is_refused());
    /// assert_eq!(error.to_string(), "queue mail: full: 1 jobs wait, and its limit is 1; nothing was enqueued");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Invalid for a queue's name outside the grammar and for a negative age; or when the
    /// backend cannot be reached.
    pub async fn set_queue_rules(&self, queue: &str, rules: QueueRules) -> Result<()> {
        check_queue_name(queue)?;
        if rules.keep_age_ms.is_some_and(|ms| ms < 0) {
            return Err(Error::invalid("keep_age_ms: less than 0 is not allowed"));
        }
        let wrong = |e: serde_json::Error| Error::corrupt(format!("rules of queue {queue}: {e}"));
        let entries = self.backend().settings(Setting::Queue).await?.entries;
        let old = entries.iter().find(|entry| entry.name == queue);
        // What a newer program may have said of this queue stays.
        let mut all: Map<String, Value> =
            old.and_then(|entry| serde_json::from_str(&entry.value).ok()).unwrap_or_default();
        for field in ["max_waiting", "keep_age_ms", "keep_count", "keep_bytes"] {
            all.remove(field);
        }
        if let Value::Object(new) = serde_json::to_value(rules).map_err(wrong)? {
            all.extend(new);
        }
        let value = (!all.is_empty()).then(|| Value::Object(all).to_string());
        self.backend().put(Setting::Queue, queue, value.as_deref()).await.map(drop)
    }
}
