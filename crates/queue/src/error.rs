//! The one error type of the library.

use crate::JobId;
use std::fmt;

/// What the library returns: an [`Error`] unless said otherwise.
///
/// ```
/// fn id(text: &str) -> legwork::Result<legwork::JobId> {
///     text.parse()
/// }
/// assert!(id("x").is_err());
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed: one opaque error with questions to ask it. Expected outcomes
/// (a duplicate, a stale lease) are values, never errors.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let error = legwork::Client::connect("http://example").await.unwrap_err();
/// assert!(error.is_invalid() && !error.is_unavailable());
/// # }
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    doubted: Vec<JobId>,
}

/// How a message ends that leaves open whether a call took effect.
pub(crate) const DOUBT: &str = "; it may be there or not";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The backend could not be reached, or gave no answer in time: whether the call
    /// took effect is unknown, and repeating it is safe.
    Unavailable,
    /// The caller gave something that is not allowed.
    Invalid,
    NotFound,
    /// The state of the job or queue does not allow the action.
    Conflict,
    /// The backend refused, and nothing was changed: out of memory, disk full, rights.
    Refused,
    /// Refused and nothing changed, for a reason that passes without anything being done
    /// about the call: a full disk, too few replicas, a password that was rotated.
    Suspended,
    /// Stored data is not what it must be.
    Corrupt,
}

impl Error {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error(Box::new(Inner { kind, message: message.into(), source: None, doubted: Vec::new() }))
    }

    pub(crate) fn with(
        kind: Kind,
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        let mut error = Error::new(kind, message);
        error.0.source = Some(source.into());
        error
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Error {
        Error::new(Kind::Invalid, message)
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Error {
        Error::new(Kind::Unavailable, message)
    }

    pub(crate) fn corrupt(message: impl Into<String>) -> Error {
        Error::new(Kind::Corrupt, message)
    }

    /// The same error once more, for each of many callers that share one call.
    pub(crate) fn again(&self) -> Error {
        Error::new(self.0.kind, self.0.message.clone())
    }

    /// The error of an enqueue of these jobs: where it got no answer it names them.
    pub(crate) fn of_jobs(mut self, ids: &[JobId]) -> Error {
        let (Some(first), true) = (ids.first(), self.is_unavailable()) else { return self };
        let which = match ids.len() {
            1 => format!("job {first}"),
            count => format!("{count} jobs from {first} on"),
        };
        let said = self.0.message.strip_suffix(DOUBT).unwrap_or(&self.0.message);
        self.0.message = format!("{said}{}", DOUBT.replace("it", &which));
        self.0.doubted = ids.to_vec();
        self
    }

    /// The jobs that may have been enqueued or not, where an enqueue got no answer. To enqueue
    /// one again [under its id](crate::Enqueue::id) makes no second one, for as long as the
    /// first is kept.
    ///
    /// ```
    /// # use legwork::{*, testing::faulty::*}; use std::{sync::Arc, time::Duration};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # let faulty = FaultyBackend::new(jobs.backend().clone()).share(Some("enqueue"), 1.0, Fault::After);
    /// # let hasty = ClientOptions { patience: Duration::ZERO, ..ClientOptions::default() };
    /// # let cut_off = Client::over(Arc::new(faulty), hasty);
    /// // It is taken in, and the answer is lost.
    /// let error = cut_off.enqueue_raw("a.job", "{}").await.unwrap_err();
    /// let [id] = error.in_doubt() else { panic!("one job") };
    /// assert!(error.to_string().contains(&id.to_string()));
    /// assert!(!jobs.enqueue_raw("a.job", "{}").id(*id).await?.created);
    /// # Ok(()) }
    /// ```
    pub fn in_doubt(&self) -> &[JobId] {
        &self.0.doubted
    }

    /// The backend was not reached or did not answer; repeating the call is safe.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let error = legwork::Client::connect("redis://127.0.0.1:1").await.unwrap_err();
    /// assert!(error.is_unavailable());
    /// # }
    /// ```
    pub fn is_unavailable(&self) -> bool {
        self.0.kind == Kind::Unavailable
    }

    /// What the caller gave is not allowed; the message names the field.
    ///
    /// ```
    /// assert!("x".parse::<legwork::JobId>().unwrap_err().is_invalid());
    /// ```
    pub fn is_invalid(&self) -> bool {
        self.0.kind == Kind::Invalid
    }

    /// There is no such job, queue or schedule.
    ///
    /// ```
    /// assert!(!"x".parse::<legwork::JobId>().unwrap_err().is_not_found());
    /// ```
    pub fn is_not_found(&self) -> bool {
        self.0.kind == Kind::NotFound
    }

    /// The state of the job or queue does not allow the action.
    ///
    /// ```
    /// assert!(!"x".parse::<legwork::JobId>().unwrap_err().is_conflict());
    /// ```
    pub fn is_conflict(&self) -> bool {
        self.0.kind == Kind::Conflict
    }

    /// The backend refused and changed nothing (out of memory, disk full, rights).
    ///
    /// ```
    /// assert!(!"x".parse::<legwork::JobId>().unwrap_err().is_refused());
    /// ```
    pub fn is_refused(&self) -> bool {
        matches!(self.0.kind, Kind::Refused | Kind::Suspended)
    }

    /// Whether the same call may fare better later, as it stands.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self.0.kind, Kind::Unavailable | Kind::Suspended)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.0.message)?;
        match &self.0.source {
            Some(source) => write!(f, " ({source})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|s| &**s as _)
    }
}
