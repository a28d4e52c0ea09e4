//! The payload of a job, as a type.

use crate::middleware::Unreadable;
use crate::{LimitKey, Policy, Unique};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

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

    /// The version of the payload's shape. Raise it with every change that an older payload or
    /// an older worker would not bear, and write [`Job::upcast`]. A worker parks what is newer
    /// than it knows.
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

    /// Turns a payload of an older version into the next one's shape: from 1 to 2, from 2 to 3,
    /// as often as it takes. Unless it is written, older payloads are parked, not guessed at.
    ///
    /// ```
    /// # use legwork::{*, middleware::Unreadable}; use serde::{Serialize, Deserialize};
    /// use serde_json::Value;
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Remind { seconds: u64 } // version 1 had minutes
    ///
    /// impl Job for Remind {
    ///     const NAME: &'static str = "remind";
    ///     const VERSION: u32 = 2;
    ///     type Output = ();
    ///     fn upcast(version: u32, payload: Value) -> Result<Value, Unreadable> {
    ///         match version {
    ///             1 => {
    ///                 let minutes = payload["minutes"].as_u64().ok_or("minutes: not a number")?;
    ///                 Ok(serde_json::json!({ "seconds": minutes * 60 }))
    ///             }
    ///             other => Err(Unreadable::Unknown(format!("version {other}"))),
    ///         }
    ///     }
    /// }
    /// let new = Remind::upcast(1, serde_json::json!({ "minutes": 2 })).unwrap();
    /// assert_eq!(new["seconds"], 120);
    /// ```
    ///
    /// # Errors
    /// [`Unreadable::Broken`], or any error with `?`: the payload is not what that version's was;
    /// the job is discarded as `undecodable`. [`Unreadable::Unknown`]: there is no way from that
    /// version; the job is parked.
    fn upcast(version: u32, payload: Value) -> Result<Value, Unreadable> {
        let _ = payload;
        Err(Unreadable::Unknown(format!("version {version} of {} has no upcaster here", Self::NAME)))
    }

    /// What makes this payload unique: by default at most one unfinished job of this name
    /// has the key. An enqueue may say another.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// #[derive(Serialize, Deserialize)]
    /// struct Sync { athlete: u64 }
    /// impl Job for Sync {
    ///     const NAME: &'static str = "sync";
    ///     type Output = ();
    ///     fn unique(&self) -> Option<Unique> { Some(format!("athlete {}", self.athlete).into()) }
    /// }
    /// assert_eq!(Sync { athlete: 7 }.unique().unwrap(), Unique::key("athlete 7"));
    /// ```
    fn unique(&self) -> Option<Unique> {
        None
    }

    /// The limit under which this payload runs, with its key. What the limit allows is a rule
    /// stored under its name ([`Client::limit`](crate::Client::limit)); without one, jobs of
    /// different keys take turns, and that is all. An enqueue may say another.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// #[derive(Serialize, Deserialize)]
    /// struct Fetch { athlete: u64 }
    /// impl Job for Fetch {
    ///     const NAME: &'static str = "fetch";
    ///     type Output = ();
    ///     fn limit(&self) -> Option<LimitKey> { Some(LimitKey::new("athlete", self.athlete)) }
    /// }
    /// assert_eq!(Fetch { athlete: 7 }.limit().unwrap().to_string(), "athlete/7");
    /// ```
    fn limit(&self) -> Option<LimitKey> {
        None
    }

    /// What this payload spends of the rates of its limits; 1 unless said.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// #[derive(Serialize, Deserialize)]
    /// struct Fetch { pages: u32 }
    /// impl Job for Fetch {
    ///     const NAME: &'static str = "fetch";
    ///     type Output = ();
    ///     fn cost(&self) -> u32 { self.pages }
    /// }
    /// assert_eq!(Fetch { pages: 3 }.cost(), 3);
    /// ```
    fn cost(&self) -> u32 {
        1
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

    /// The tags of this payload, by which the job is found; an enqueue may add others.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// #[derive(Serialize, Deserialize)]
    /// struct Sync { athlete: u64 }
    /// impl Job for Sync {
    ///     const NAME: &'static str = "sync";
    ///     type Output = ();
    ///     fn tags(&self) -> Vec<String> { vec!["strava".into()] }
    /// }
    /// assert_eq!(Sync { athlete: 7 }.tags(), ["strava"]);
    /// ```
    fn tags(&self) -> Vec<String> {
        Vec::new()
    }

    /// The metadata of this payload, keys with their values, by which the job is found; an
    /// enqueue may add others.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// #[derive(Serialize, Deserialize)]
    /// struct Sync { athlete: u64 }
    /// impl Job for Sync {
    ///     const NAME: &'static str = "sync";
    ///     type Output = ();
    ///     fn meta(&self) -> Vec<(String, String)> { vec![("athlete".into(), self.athlete.to_string())] }
    /// }
    /// assert_eq!(Sync { athlete: 7 }.meta()[0].1, "7");
    /// ```
    fn meta(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}
