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
///     fn policy() -> Policy { Policy::default().queue("strava").max_attempts(8) }
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
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// #[derive(Serialize, Deserialize)]
    /// struct Ping;
    /// impl Job for Ping {
    ///     const NAME: &'static str = "ping";
    ///     type Output = ();
    ///     fn policy() -> Policy { Policy::default().max_attempts(3) }
    /// }
    /// assert_eq!(Ping::policy().max_attempts, 3);
    /// ```
    fn policy() -> Policy {
        Policy::default()
    }

    /// The unique key of this payload: at most one unfinished job of this name has it.
    /// An enqueue may say another.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// #[derive(Serialize, Deserialize)]
    /// struct Sync { athlete: u64 }
    /// impl Job for Sync {
    ///     const NAME: &'static str = "sync";
    ///     type Output = ();
    ///     fn unique(&self) -> Option<String> { Some(format!("athlete {}", self.athlete)) }
    /// }
    /// assert_eq!(Sync { athlete: 7 }.unique().unwrap(), "athlete 7");
    /// ```
    fn unique(&self) -> Option<String> {
        None
    }

    /// The serial key of this payload: at most one job with it runs at a time.
    /// An enqueue may say another.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// #[derive(Serialize, Deserialize)]
    /// struct Sync { athlete: u64 }
    /// impl Job for Sync {
    ///     const NAME: &'static str = "sync";
    ///     type Output = ();
    ///     fn serial(&self) -> Option<String> { Some(format!("athlete {}", self.athlete)) }
    /// }
    /// assert_eq!(Sync { athlete: 7 }.serial().unwrap(), "athlete 7");
    /// ```
    fn serial(&self) -> Option<String> {
        None
    }
}
