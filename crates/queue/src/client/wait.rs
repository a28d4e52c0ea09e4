//! Waiting for a job's result.

use super::Client;
use crate::backend::{JobView, Record};
use crate::{Error, Job, JobId, Result, State};
use std::fmt;
use std::time::Duration;

/// Why a wait for a result ended without one.
///
/// ```
/// # use legwork::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let jobs = Client::connect("sqlite::memory:").await.unwrap();
/// let error = jobs.wait_raw(JobId::new()).await.unwrap_err();
/// assert!(matches!(error, WaitError::Missing));
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum WaitError {
    /// There is no such job, or no longer.
    Missing,
    /// It was discarded, with this as its last error.
    Discarded(String),
    /// It was cancelled, for this reason.
    Cancelled(String),
    /// The backend or the result's JSON failed.
    Failed(Error),
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WaitError::Missing => f.write_str("no such job"),
            WaitError::Discarded(error) => write!(f, "the job was discarded: {error}"),
            WaitError::Cancelled(reason) => write!(f, "the job was cancelled: {reason}"),
            WaitError::Failed(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for WaitError {}

impl From<Error> for WaitError {
    fn from(e: Error) -> WaitError {
        WaitError::Failed(e)
    }
}

impl From<WaitError> for Error {
    fn from(e: WaitError) -> Error {
        let kind = match &e {
            WaitError::Failed(_) => match e {
                WaitError::Failed(inner) => return inner,
                _ => crate::error::Kind::Corrupt,
            },
            WaitError::Missing => crate::error::Kind::NotFound,
            _ => crate::error::Kind::Conflict,
        };
        Error::new(kind, e.to_string())
    }
}

impl Client {
    /// Waits until a job has finished and returns its output. Works whatever the job's
    /// retention is, if the wait begins before the job ends. Bound it with
    /// `tokio::time::timeout`.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = u32; }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let id = jobs.enqueue(Ping).await?.id;
    /// let worker = Worker::new(jobs.clone(), ()).handle(|_: Ping, _| async { Ok(42u32) }).start().await?;
    /// assert_eq!(jobs.wait::<Ping>(id).await?, 42);
    /// # worker.stop().await; Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The job is missing, was discarded or cancelled, or its output is of another type.
    pub async fn wait<J: Job>(&self, id: JobId) -> Result<J::Output, WaitError> {
        let mut job = self.ended(id).await?;
        let wrong =
            |e: &dyn fmt::Display| WaitError::Failed(Error::corrupt(format!("result of {}: {e}", J::NAME)));
        if let (Record::Decoded(envelope), Some(result)) = (&job.envelope, &mut job.result) {
            self.chain.open_result(envelope, result).map_err(|e| wrong(&e))?;
        }
        let text = job.result.as_ref().map_or("null", |r| r.get());
        serde_json::from_str(text).map_err(|e| wrong(&format!("not of the expected type: {e}")))
    }

    /// Waits until a job has succeeded and returns it whole.
    ///
    /// ```
    /// # use legwork::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// # let jobs = Client::connect("sqlite::memory:").await.unwrap();
    /// let id = jobs.enqueue_raw("a.job", "{}").await.unwrap().id;
    /// jobs.discard(id).await.unwrap();
    /// assert!(matches!(jobs.wait_raw(id).await, Err(WaitError::Discarded(_))));
    /// # }
    /// ```
    ///
    /// # Errors
    /// The job is missing, was discarded or cancelled.
    pub async fn wait_raw(&self, id: JobId) -> Result<JobView, WaitError> {
        Ok(self.shown(self.ended(id).await?))
    }

    async fn ended(&self, id: JobId) -> Result<JobView, WaitError> {
        let mut wait = Duration::from_millis(2);
        let mut job = self.inner.backend.watch(id).await?;
        loop {
            match job {
                None => return Err(WaitError::Missing),
                Some(job) if job.state.is_final() => return ended(job),
                Some(_) => {}
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 3 / 2).min(Duration::from_millis(200));
            // Watched again and again: interest lasts only for a while, and an outage must
            // not end the wait.
            job = super::driver::patiently(self.options().patience, || self.inner.backend.get(id, true))
                .await?;
        }
    }
}

fn ended(job: JobView) -> Result<JobView, WaitError> {
    let last = job.errors.last().map(|e| e.error.clone());
    match job.state {
        State::Succeeded => Ok(job),
        State::Cancelled => Err(WaitError::Cancelled(job.reason.unwrap_or_default())),
        _ => Err(WaitError::Discarded(last.or(job.reason).unwrap_or_default())),
    }
}
