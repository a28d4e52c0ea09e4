//! The payloads of Runnerly's jobs: what the web front and the scheduler enqueue, and
//! what the worker handles. Payloads only; no handler is linked from here.

use legwork::{Backoff, Job, Policy, Unique};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The queue of everything that calls Strava, and the limit that it is under: what Strava
/// allows the application, shared by all workers.
pub const STRAVA: &str = "strava";

fn strava() -> Policy {
    let backoff =
        Backoff { base: Duration::from_secs(2), max: Duration::from_secs(900), ..Backoff::default() };
    Policy::default().queue(STRAVA).max_attempts(12u32).timeout(Duration::from_secs(300)).backoff(backoff)
}

/// Fetches an athlete's activities page by page; one at a time per athlete, and at most one
/// more waits: whoever asks while one runs gets a sync that begins after the question.
///
/// ```
/// use legwork::{Job, Unique};
/// let job = runnerly::jobs::SyncAthlete { athlete: 7, full: false };
/// assert_eq!(job.unique(), Some(Unique::key("7").keep_last()));
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SyncAthlete {
    /// Strava's id of the athlete.
    pub athlete: i64,
    /// From the very first activity, rather than from some days before the newest known.
    #[serde(default)]
    pub full: bool,
}

/// What a sync found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncOutcome {
    /// Pages read, the empty last one included.
    pub pages: u32,
    /// Activities on them.
    pub seen: u64,
    /// New ones.
    pub inserted: u64,
    /// Known ones that had changed.
    pub updated: u64,
    /// Known ones as they were.
    pub unchanged: u64,
}

impl Job for SyncAthlete {
    const NAME: &'static str = "athlete.sync";
    type Output = SyncOutcome;

    fn policy() -> Policy {
        strava().timeout(Duration::from_secs(900)).priority(3)
    }

    /// A full sync that waits is not replaced by one that is not full.
    fn unique(&self) -> Option<Unique> {
        let key = if self.full { format!("{} full", self.athlete) } else { self.athlete.to_string() };
        Some(Unique::key(key).keep_last())
    }

    fn serial(&self) -> Option<String> {
        Some(format!("athlete {}", self.athlete))
    }
}

/// Fetches the streams of one run and computes its best efforts and splits.
///
/// ```
/// use legwork::Job;
/// assert_eq!(runnerly::jobs::FetchStreams::policy().queue, "strava");
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FetchStreams {
    /// Strava's id of the athlete.
    pub athlete: i64,
    /// Strava's id of the activity.
    pub activity: i64,
}

impl Job for FetchStreams {
    const NAME: &'static str = "activity.streams";
    /// Whether Strava has streams of it.
    type Output = bool;

    fn policy() -> Policy {
        strava()
    }

    fn unique(&self) -> Option<Unique> {
        Some(self.activity.to_string().into())
    }
}

/// Computes an athlete's statistics anew from everything stored; one at a time, and at most one
/// more waits, however often it is asked for meanwhile.
///
/// ```
/// use legwork::Job;
/// assert_eq!(runnerly::jobs::ComputeStats::NAME, "stats.compute");
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ComputeStats {
    /// Strava's id of the athlete.
    pub athlete: i64,
}

impl Job for ComputeStats {
    const NAME: &'static str = "stats.compute";
    type Output = ();

    fn unique(&self) -> Option<Unique> {
        Some(Unique::key(self.athlete.to_string()).keep_last())
    }

    /// Also where it is part of a flow, which takes no regard of the key.
    fn serial(&self) -> Option<String> {
        Some(format!("stats {}", self.athlete))
    }
}

/// Renews an athlete's access token well before it ends, under a lock. Strava does not count
/// it among the calls that it limits, so it waits for none of them.
///
/// ```
/// use legwork::Job;
/// assert_eq!(runnerly::jobs::RefreshToken::NAME, "token.refresh");
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RefreshToken {
    /// Strava's id of the athlete.
    pub athlete: i64,
}

impl Job for RefreshToken {
    const NAME: &'static str = "token.refresh";
    type Output = ();

    fn policy() -> Policy {
        strava().queue("default").priority(1)
    }

    fn unique(&self) -> Option<Unique> {
        Some(self.athlete.to_string().into())
    }
}

/// Enqueues a [`SyncAthlete`] for every connected athlete.
///
/// ```
/// use legwork::Job;
/// assert_eq!(runnerly::jobs::SyncEverybody::NAME, "everybody.sync");
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SyncEverybody {}

impl Job for SyncEverybody {
    const NAME: &'static str = "everybody.sync";
    /// How many athletes.
    type Output = u64;
}

/// Enqueues a [`ComputeStats`] for every athlete.
///
/// ```
/// use legwork::Job;
/// assert_eq!(runnerly::jobs::ComputeEverybody::NAME, "everybody.stats");
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ComputeEverybody {}

impl Job for ComputeEverybody {
    const NAME: &'static str = "everybody.stats";
    /// How many athletes.
    type Output = u64;
}

/// Parses an uploaded GPX, TCX or FIT file into an activity.
///
/// ```
/// use legwork::Job;
/// assert_eq!(runnerly::jobs::ImportFile::policy().max_attempts, 3);
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImportFile {
    /// The athlete to whom it belongs.
    pub athlete: i64,
    /// The id of the stored upload.
    pub upload: String,
}

impl Job for ImportFile {
    const NAME: &'static str = "file.import";
    /// The id of the activity that came of it.
    type Output = i64;

    fn policy() -> Policy {
        Policy::default().max_attempts(3u32).timeout(Duration::from_secs(60))
    }

    fn unique(&self) -> Option<Unique> {
        Some(self.upload.clone().into())
    }
}

/// Publishes [`RunsAdded`](crate::events::RunsAdded) or
/// [`RunsChanged`](crate::events::RunsChanged): what stands in the outbox until the runs are
/// committed.
///
/// ```
/// use legwork::Job;
/// assert_eq!(runnerly::jobs::TellRuns::NAME, "run.tell");
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TellRuns {
    /// Whose runs.
    pub athlete: i64,
    /// Whether they are new, rather than changed.
    pub added: bool,
    /// Their ids.
    pub runs: Vec<i64>,
}

impl Job for TellRuns {
    const NAME: &'static str = "run.tell";
    /// How many were told.
    type Output = usize;
}

/// Hears of runs and asks for statistics: once for all that comes within a second.
///
/// ```
/// use legwork::Job;
/// assert_eq!(runnerly::jobs::FollowStats::NAME, "run.stats");
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FollowStats {
    /// Whose runs.
    pub athlete: i64,
}

impl Job for FollowStats {
    const NAME: &'static str = "run.stats";
    type Output = ();
}

/// Hears of runs, and of changes to the plan: finds out which runs came of which planned ones.
///
/// ```
/// use legwork::{Job, Unique};
/// let job = runnerly::jobs::MatchPlan { athlete: 7 };
/// assert_eq!(job.unique(), Some(Unique::key("7").keep_last()));
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MatchPlan {
    /// Whose plan.
    pub athlete: i64,
}

impl Job for MatchPlan {
    const NAME: &'static str = "run.plan";
    /// How many planned runs were run.
    type Output = usize;

    fn unique(&self) -> Option<Unique> {
        Some(Unique::key(self.athlete.to_string()).keep_last())
    }
}

/// Hears of new runs and leaves a message to their athlete for each.
///
/// ```
/// use legwork::Job;
/// assert_eq!(runnerly::jobs::NotifyAthlete::NAME, "run.notify");
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NotifyAthlete {
    /// Whose runs.
    pub athlete: i64,
    /// Their ids.
    pub runs: Vec<i64>,
}

impl Job for NotifyAthlete {
    const NAME: &'static str = "run.notify";
    /// How many messages are new.
    type Output = u64;
}
