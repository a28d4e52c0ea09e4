//! What a handler returns when it did not succeed.

use std::fmt;
use std::time::Duration;

/// Why an attempt ended without success, and what is to happen next.
///
/// `?` works on any error, `anyhow::Error` and `&str` included, and means "retry with
/// backoff"; the constructors say anything else.
///
/// ```
/// use legwork::Failure;
/// fn parse(text: &str) -> Result<i32, Failure> { Ok(text.parse::<i32>()?) }
/// assert!(parse("x").unwrap_err().to_string().contains("invalid digit"));
/// ```
pub struct Failure {
    pub(crate) verdict: Verdict,
    pub(crate) message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Verdict {
    Retry,
    RetryIn(Duration),
    Snooze(Duration),
    Discard,
    Cancel,
    HandBack,
    /// Only the library says so: of a child process.
    Crash,
}

impl Failure {
    fn new(verdict: Verdict, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
        let error = error.into();
        let mut message = error.to_string();
        let mut next = error.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            // Many errors already repeat their cause in their own words.
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            next = cause.source();
        }
        Failure { verdict, message }
    }

    /// Try again after the policy's backoff; the attempt is spent.
    ///
    /// ```
    /// let failure = legwork::Failure::retry("the server was busy");
    /// assert_eq!(failure.to_string(), "the server was busy");
    /// ```
    pub fn retry(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
        Failure::new(Verdict::Retry, error)
    }

    /// Try again after this wait rather than the policy's; the attempt is spent.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let failure = legwork::Failure::retry_in(Duration::from_secs(9), "busy");
    /// assert_eq!(failure.to_string(), "busy");
    /// ```
    pub fn retry_in(wait: Duration, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
        Failure::new(Verdict::RetryIn(wait), error)
    }

    /// Not now: the job is `scheduled` again after this wait and no attempt is spent, however
    /// often: for limits of somebody else's, as "come back in a quarter of an hour".
    ///
    /// ```
    /// let failure = legwork::Failure::snooze(std::time::Duration::from_secs(60));
    /// assert_eq!(failure.to_string(), "snoozed");
    /// ```
    pub fn snooze(wait: Duration) -> Failure {
        Failure { verdict: Verdict::Snooze(wait), message: "snoozed".into() }
    }

    /// Stopped in the middle because the worker stops: the job goes back to the head of its
    /// queue for another worker, and no attempt is spent. Where the worker does not stop it
    /// is a snooze of one second.
    ///
    /// ```
    /// assert_eq!(legwork::Failure::hand_back().to_string(), "handed back");
    /// ```
    pub fn hand_back() -> Failure {
        Failure { verdict: Verdict::HandBack, message: "handed back".into() }
    }

    /// Never again: the job is `discarded` with the reason `failed`, and kept for inspection
    /// and redrive as long as its policy's `keep_discarded` says.
    ///
    /// ```
    /// let failure = legwork::Failure::discard("no such athlete");
    /// assert_eq!(failure.to_string(), "no such athlete");
    /// ```
    pub fn discard(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
        Failure::new(Verdict::Discard, error)
    }

    /// The job is called off, nobody wants it any more: it becomes `cancelled`, and no attempt
    /// is spent.
    ///
    /// ```
    /// let failure = legwork::Failure::cancel("the athlete has left");
    /// assert_eq!(failure.to_string(), "the athlete has left");
    /// ```
    pub fn cancel(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
        Failure::new(Verdict::Cancel, reason)
    }
}

/// What a caught panic makes of an attempt.
pub(crate) fn panicked(panic: &(dyn std::any::Any + Send)) -> Failure {
    let said = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
    Failure::retry(format!("panicked: {}", said.unwrap_or_else(|| "without a message".into())))
}

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::retry(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({:?})", self.verdict, self.message)
    }
}
