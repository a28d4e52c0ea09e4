//! What others may want to know of: facts about runs. Storing a run and saying so is one
//! transaction ([`Storage::upsert_activities`](crate::storage::Storage::upsert_activities)); who
//! is told follows from who has subscribed.

use legwork::Event;
use serde::{Deserialize, Serialize};

/// Runs of an athlete were stored for the first time, together: a page of a list, or one file.
///
/// ```
/// use legwork::Event;
/// assert_eq!(runnerly::events::RunsAdded::TOPIC, "run.added");
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunsAdded {
    /// Whose.
    pub athlete: i64,
    /// Their ids.
    pub runs: Vec<i64>,
}

impl Event for RunsAdded {
    const TOPIC: &'static str = "run.added";
}

/// Activities of an athlete that were known differ from before: in length, day, or sport.
///
/// ```
/// use legwork::Event;
/// assert_eq!(runnerly::events::RunsChanged::TOPIC, "run.changed");
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunsChanged {
    /// Whose.
    pub athlete: i64,
    /// Their ids.
    pub runs: Vec<i64>,
}

impl Event for RunsChanged {
    const TOPIC: &'static str = "run.changed";
}
