//! The one error type of the library.

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
}

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
        Error(Box::new(Inner { kind, message: message.into(), source: None }))
    }

    pub(crate) fn with(
        kind: Kind,
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        Error(Box::new(Inner { kind, message: message.into(), source: Some(source.into()) }))
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
