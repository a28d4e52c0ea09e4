//! The states of a job, and which of them are final.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Where a job stands. A job is in exactly one state at any instant.
///
/// ```
/// use legwork::State;
/// assert!(State::Discarded.is_final());
/// assert_eq!("leased".parse::<State>().unwrap(), State::Leased);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Due at a later instant; no attempt has been spent on that wait.
    Scheduled,
    /// Ready to be leased.
    Available,
    /// A worker holds it under a lease.
    Leased,
    /// Failed, and due again after a backoff.
    Retryable,
    /// Waits for its serial key, or is parked for a worker that knows its name.
    Blocked,
    /// Finished well.
    Succeeded,
    /// Failed for good; kept for inspection and redrive.
    Discarded,
    /// Called off.
    Cancelled,
}

impl State {
    /// Every state, in the order in which people read them.
    ///
    /// ```
    /// let last = legwork::State::ALL.into_iter().filter(|s| s.is_final());
    /// assert_eq!(last.count(), 3);
    /// ```
    pub const ALL: [State; 8] = [
        State::Scheduled,
        State::Available,
        State::Leased,
        State::Retryable,
        State::Blocked,
        State::Succeeded,
        State::Discarded,
        State::Cancelled,
    ];

    /// Whether a job in this state will never move again by itself.
    ///
    /// ```
    /// assert!(!legwork::State::Retryable.is_final());
    /// ```
    pub fn is_final(self) -> bool {
        matches!(self, State::Succeeded | State::Discarded | State::Cancelled)
    }

    /// The word used on the wire, in the CLI and in metrics.
    ///
    /// ```
    /// assert_eq!(legwork::State::Available.as_str(), "available");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            State::Scheduled => "scheduled",
            State::Available => "available",
            State::Leased => "leased",
            State::Retryable => "retryable",
            State::Blocked => "blocked",
            State::Succeeded => "succeeded",
            State::Discarded => "discarded",
            State::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for State {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<State, crate::Error> {
        State::ALL.into_iter().find(|s| s.as_str() == text).ok_or_else(|| {
            let all: Vec<_> = State::ALL.iter().map(|s| s.as_str()).collect();
            crate::Error::invalid(format!("state: {text:?} is none of {}", all.join(", ")))
        })
    }
}
