//! Steering jobs and queues.

use super::Client;
use crate::backend::{Action, Controlled, Pause};
use crate::{JobId, Result};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

impl Client {
    /// Calls a job off. A waiting one is `cancelled` at once; of a running one it is
    /// requested: its handler is told within a second, and has the policy's grace to end. What
    /// returns a success after all has succeeded.
    ///
    /// ```
    /// # use legwork::{*, backend::Controlled};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let id = jobs.enqueue_raw("a.job", "{}").await?.id;
    /// assert_eq!(jobs.cancel(id).await?, Controlled::Done(State::Cancelled));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the backend cannot be reached.
    pub async fn cancel(&self, id: JobId) -> Result<Controlled> {
        self.inner.backend.control(id, Action::Cancel).await
    }

    /// Moves a waiting job to the discarded ones.
    ///
    /// ```
    /// # use legwork::{*, backend::Controlled};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let id = jobs.enqueue_raw("a.job", "{}").await?.id;
    /// assert_eq!(jobs.discard(id).await?, Controlled::Done(State::Discarded));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the backend cannot be reached.
    pub async fn discard(&self, id: JobId) -> Result<Controlled> {
        self.inner.backend.control(id, Action::Discard).await
    }

    /// Runs a job now: a scheduled or retryable one becomes available, a final one is put
    /// back (redriven) with its attempts at zero and its history kept.
    ///
    /// ```
    /// # use legwork::{*, backend::Controlled};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let id = jobs.enqueue_raw("a.job", "{}").await?.id;
    /// jobs.discard(id).await?;
    /// assert_eq!(jobs.retry(id).await?, Controlled::Done(State::Available));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the backend cannot be reached.
    pub async fn retry(&self, id: JobId) -> Result<Controlled> {
        self.inner.backend.control(id, Action::Retry).await
    }

    /// Pauses a queue until it is resumed: nothing is leased from it any more; what runs
    /// goes on.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// jobs.pause("mail").await?;
    /// assert_eq!(jobs.queues().await?[0].paused, Some(None));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The name is outside the grammar, or the backend cannot be reached.
    pub async fn pause(&self, queue: &str) -> Result<()> {
        self.set_pause(queue, Pause::Forever).await
    }

    /// Pauses a queue until an instant; a pause that lasts longer stays.
    ///
    /// ```
    /// # use std::time::{Duration, SystemTime};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// jobs.pause_until("strava", SystemTime::now() + Duration::from_secs(900)).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Client::pause`].
    pub async fn pause_until(&self, queue: &str, instant: SystemTime) -> Result<()> {
        let ms = instant.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
        self.set_pause(queue, Pause::Until(ms)).await
    }

    /// Pauses a queue for a while, by the backend's clock; a pause that lasts longer stays.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// jobs.pause_for("strava", std::time::Duration::from_secs(900)).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Client::pause`].
    pub async fn pause_for(&self, queue: &str, wait: Duration) -> Result<()> {
        self.set_pause(queue, Pause::For(crate::clock::span_ms(wait))).await
    }

    /// Resumes a paused queue.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// jobs.pause("mail").await?;
    /// jobs.resume("mail").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Client::pause`].
    pub async fn resume(&self, queue: &str) -> Result<()> {
        self.set_pause(queue, Pause::Off).await
    }

    async fn set_pause(&self, queue: &str, pause: Pause) -> Result<()> {
        crate::check_queue_name(queue)?;
        self.inner.backend.pause(queue, pause).await
    }

    /// Removes everything that waits in a queue, in steps; returns how many jobs went.
    /// What is leased runs on.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// jobs.enqueue_raw("a.job", "{}").await?;
    /// assert_eq!(jobs.purge("default").await?, 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The name is outside the grammar, or the backend cannot be reached.
    pub async fn purge(&self, queue: &str) -> Result<usize> {
        crate::check_queue_name(queue)?;
        let mut gone = 0;
        loop {
            match self.inner.backend.purge(queue, 500).await? {
                0 => return Ok(gone),
                step => gone += step,
            }
        }
    }
}
