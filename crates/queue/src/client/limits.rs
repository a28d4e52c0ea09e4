//! Rules of limits, and what is spent under them.

use super::Client;
use crate::backend::{Blocked, Budget, Setting, Steer};
use crate::clock::span_ms;
use crate::limit::{self, Limit};
use crate::{Error, Result};
use serde_json::{Map, Value};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A limit by its name, or one of its keys: to set its rule, and to correct what is counted.
///
/// ```
/// # use legwork::*; use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// let strava = jobs.limit("strava");
/// strava.set(Limit::default().concurrency(4).rate("100/15m:window".parse()?)).await?;
/// jobs.limit_queue("strava", Some("strava")).await?;
/// // The server said it has had enough: nothing is leased for half a minute.
/// strava.block_for(Duration::from_secs(30)).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "a limit is named here; say what to do with it"]
pub struct LimitRef {
    client: Client,
    address: String,
}

impl Client {
    /// A limit by its name.
    ///
    /// ```
    /// # use legwork::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let error = jobs.limit("no spaces").set(Limit::default().concurrency(1)).await.unwrap_err();
    /// assert!(error.is_invalid());
    /// # Ok(()) }
    /// ```
    pub fn limit(&self, name: impl Into<String>) -> LimitRef {
        LimitRef { client: self.clone(), address: name.into() }
    }

    /// All rules, by `NAME` or `NAME/KEY`.
    ///
    /// ```
    /// # use legwork::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// jobs.limit("mail").set(Limit::default().concurrency(2)).await?;
    /// assert_eq!(jobs.limits().await?, [("mail".to_owned(), Limit::default().concurrency(2))]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the backend cannot be reached.
    pub async fn limits(&self) -> Result<Vec<(String, Limit)>> {
        let all = self.inner.backend.settings(Setting::Limit).await?;
        Ok(all.entries.into_iter().map(|entry| (entry.name, limit::rule(&entry.value))).collect())
    }

    /// All limits under which nothing goes now because a server has said so, or somebody has
    /// blocked them, and until when; whether jobs wait under them or not.
    ///
    /// ```
    /// # use legwork::*; use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// jobs.limit("strava").block_for(Duration::from_secs(30)).await?;
    /// assert_eq!(jobs.blocked().await?[0].limit, "strava");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the backend cannot be reached.
    pub async fn blocked(&self) -> Result<Vec<Blocked>> {
        self.inner.backend.blocked().await
    }

    /// Puts a whole queue under a limit, or under none. Queues that name the same limit share it.
    ///
    /// ```
    /// # use legwork::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// jobs.limit("mail").set(Limit::default().concurrency(2)).await?;
    /// jobs.limit_queue("outgoing", Some("mail")).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Invalid for a name outside the grammar; when the backend cannot be reached.
    pub async fn limit_queue(&self, queue: &str, limit: Option<&str>) -> Result<()> {
        if let Some(name) = limit {
            limit::check_name(name)?;
        }
        crate::check_queue_name(queue)?;
        let entries = self.inner.backend.settings(Setting::Queue).await?.entries;
        let old = entries.iter().find(|entry| entry.name == queue);
        // What else is said of the queue stays.
        let mut all: Map<String, Value> =
            old.and_then(|entry| serde_json::from_str(&entry.value).ok()).unwrap_or_default();
        match limit {
            Some(name) => drop(all.insert("limit".into(), name.into())),
            None => drop(all.remove("limit")),
        }
        let json = (!all.is_empty()).then(|| Value::from(all).to_string());
        self.inner.backend.put(Setting::Queue, queue, json.as_deref()).await.map(drop)
    }
}

impl LimitRef {
    /// One key of it: a rule of its own, or its balance.
    ///
    /// ```
    /// # use legwork::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// jobs.limit("tenant").set(Limit::default().concurrency(2)).await?;
    /// jobs.limit("tenant").key("big").set(Limit::default().concurrency(20)).await?;
    /// # Ok(()) }
    /// ```
    pub fn key(mut self, key: impl std::fmt::Display) -> LimitRef {
        self.address = format!("{}/{key}", self.address);
        self
    }

    /// Stores its rule, from this step on: for jobs that wait, whatever they were enqueued
    /// under. What has been spent of a rate of the same span stays spent.
    ///
    /// ```
    /// # use legwork::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// assert!(jobs.limit("mail").set(Limit::default()).await.unwrap_err().is_invalid());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Invalid for a name or a rule that is not allowed; when the backend cannot be reached.
    pub async fn set(&self, rule: Limit) -> Result<()> {
        limit::check_address(&self.address)?;
        rule.check()?;
        let json = serde_json::to_string(&rule).map_err(|e| Error::invalid(format!("limit: {e}")))?;
        self.client.inner.backend.put(Setting::Limit, &self.address, Some(&json)).await.map(drop)
    }

    /// Drops its rule; whether there was one. Keys without a rule take turns, and that is all.
    ///
    /// ```
    /// # use legwork::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// assert!(!jobs.limit("mail").drop_rule().await?);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the backend cannot be reached.
    pub async fn drop_rule(&self) -> Result<bool> {
        Ok(self.client.inner.backend.put(Setting::Limit, &self.address, None).await?.is_some())
    }

    /// A server has told what is left until an instant: no more is leased until then. Of two
    /// words on the same instant (give or take two seconds) the smaller holds, so that answers
    /// may overtake each other.
    ///
    /// ```
    /// # use legwork::*; use std::time::{Duration, SystemTime};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// jobs.limit("strava").told(17, SystemTime::now() + Duration::from_secs(300)).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Invalid for a name that is not allowed; when the backend cannot be reached.
    pub async fn told(&self, remaining: u32, reset: SystemTime) -> Result<()> {
        let reset_ms = reset.duration_since(UNIX_EPOCH).map_or(0, span_ms);
        self.change(Budget::Told { remaining, reset_ms }).await
    }

    /// Nothing is leased for this long, by the backend's clock: what `Retry-After` says.
    ///
    /// ```
    /// # use legwork::*; use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// jobs.limit("strava").block_for(Duration::from_secs(30)).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Invalid for a name that is not allowed; when the backend cannot be reached.
    pub async fn block_for(&self, wait: Duration) -> Result<()> {
        self.change(Budget::Block { wait_ms: span_ms(wait) }).await
    }

    /// Nothing is leased until this instant, by the backend's clock.
    ///
    /// ```
    /// # use legwork::*; use std::time::{Duration, SystemTime};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// jobs.limit("strava").block_until(SystemTime::now() + Duration::from_secs(30)).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Invalid for a name that is not allowed; when the backend cannot be reached.
    pub async fn block_until(&self, instant: SystemTime) -> Result<()> {
        self.told(0, instant).await
    }

    /// Spends this much more than was counted, or gives back what is less than none.
    ///
    /// ```
    /// # use legwork::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// jobs.limit("strava").spend(3).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Invalid for a name that is not allowed; when the backend cannot be reached.
    pub async fn spend(&self, extra: i64) -> Result<()> {
        self.change(Budget::Spend { extra }).await
    }

    /// Forgets what has been spent and told.
    ///
    /// ```
    /// # use legwork::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// jobs.limit("strava").reset().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Invalid for a name that is not allowed; when the backend cannot be reached.
    pub async fn reset(&self) -> Result<()> {
        self.change(Budget::Reset).await
    }

    async fn change(&self, change: Budget) -> Result<()> {
        limit::check_address(&self.address)?;
        let steer = Steer::Budget { limit: self.address.clone(), change };
        self.client.inner.backend.steer("", steer).await.map(drop)
    }
}
