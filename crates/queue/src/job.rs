//! The payload of a job, as a type.

use crate::Policy;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A typed payload. The type *is* the job: its fields are what the handler gets.
///
/// ```
/// use legwork::{Job, Policy};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize)]
/// struct FetchRuns { runner: u64 }
///
/// impl Job for FetchRuns {
///     const NAME: &'static str = "runs.fetch";
///     type Output = Vec<u64>;
///     fn policy() -> Policy { Policy::default().queue("strava").max_attempts(8u32) }
/// }
/// assert_eq!(FetchRuns::policy().queue, "strava");
/// ```
pub trait Job: Serialize + DeserializeOwned + Send + 'static {
    /// The stable name on the wire, `[a-z0-9][a-z0-9_.-]{0,63}`; never a Rust path.
    const NAME: &'static str;

    /// The version of the payload's shape. A worker parks what is newer than it knows.
    const VERSION: u32 = 1;

    /// What a handler returns when it succeeds; `()` where nothing is to be kept.
    type Output: Serialize + DeserializeOwned + Send + 'static;

    /// How jobs of this type are run unless an enqueue says otherwise.
    fn policy() -> Policy {
        Policy::default()
    }

    /// The unique key of this payload: at most one unfinished job of this name has it.
    /// An enqueue may say another.
    fn unique(&self) -> Option<String> {
        None
    }

    /// The serial key of this payload: at most one job with it runs at a time.
    /// An enqueue may say another.
    fn serial(&self) -> Option<String> {
        None
    }
}
