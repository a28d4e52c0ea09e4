//! Runnerly's schedules, run by Legwork's scheduler. Any number of processes may run them:
//! each slot is enqueued once.

use legwork::{Client, Missed, Schedule, Scheduler};
use runnerly::jobs::{ComputeEverybody, SyncEverybody};

/// When things happen of themselves.
///
/// ```
/// let times = runnerly_scheduler::Times::default();
/// assert_eq!(times.zone, "UTC");
/// ```
#[derive(Debug, Clone)]
pub struct Times {
    /// When every connected athlete is synced.
    pub sync: String,
    /// When every athlete's statistics are computed anew.
    pub stats: String,
    /// The zone that both mean.
    pub zone: String,
}

impl Default for Times {
    fn default() -> Times {
        Times { sync: "*/30 * * * *".into(), stats: "15 3 * * *".into(), zone: "UTC".into() }
    }
}

/// A scheduler with Runnerly's schedules, ready to be run.
///
/// # Errors
/// An expression or the zone is wrong.
pub fn scheduler(jobs: Client, times: &Times) -> Result<Scheduler, legwork::Error> {
    let sync = Schedule::new("everybody-sync", &times.sync, SyncEverybody {})?;
    let stats = Schedule::new("everybody-stats", &times.stats, ComputeEverybody {})?;
    // A sync makes up for any number of missed ones.
    Ok(Scheduler::new(jobs)
        .add(sync.zone(&times.zone)?.missed(Missed::One))
        .add(stats.zone(&times.zone)?.missed(Missed::One)))
}
