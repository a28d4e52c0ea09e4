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

impl Times {
    /// Whether the expressions and the zone are right; asks nothing of the queue.
    ///
    /// ```
    /// let never = runnerly_scheduler::Times { sync: "0 0 30 2 *".into(), ..Default::default() };
    /// assert!(never.check().is_err());
    /// ```
    ///
    /// # Errors
    /// One of them is wrong; the line says how.
    pub fn check(&self) -> Result<(), legwork::Error> {
        self.schedules().map(drop)
    }

    fn schedules(&self) -> Result<[Schedule; 2], legwork::Error> {
        let sync = Schedule::new("everybody-sync", &self.sync, SyncEverybody {})?;
        let stats = Schedule::new("everybody-stats", &self.stats, ComputeEverybody {})?;
        // A sync makes up for any number of missed ones.
        Ok([sync.zone(&self.zone)?.missed(Missed::One), stats.zone(&self.zone)?.missed(Missed::One)])
    }
}

/// A scheduler with Runnerly's schedules, ready to be run.
///
/// # Errors
/// An expression or the zone is wrong.
pub fn scheduler(jobs: Client, times: &Times) -> Result<Scheduler, legwork::Error> {
    let [sync, stats] = times.schedules()?;
    Ok(Scheduler::new(jobs).schedule(sync).schedule(stats))
}
