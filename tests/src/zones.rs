//! Schedules in six zones whose clocks change at different instants, one of them by half an
//! hour, two of them at midnight.

use legwork::{Job, Missed, Schedule};
use serde::{Deserialize, Serialize};

/// The zones.
pub const ZONES: [&str; 6] =
    ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "Africa/Cairo", "UTC"];

/// When each zone's schedules fire.
pub const EXPRESSIONS: [&str; 3] = ["15 2 * * *", "15 0 * * *", "45 * * * *"];

/// What a slot enqueues: which zone and which expression it is of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Slot {
    /// The zone, by its place.
    pub zone: usize,
    /// The expression, by its place.
    pub expression: usize,
}

impl Job for Slot {
    const NAME: &'static str = "probe.slot";
    type Output = ();
}

/// Every expression in every zone; no slot may be missed.
///
/// # Errors
/// None that is to be expected.
pub fn schedules() -> legwork::Result<Vec<Schedule>> {
    let mut all = Vec::new();
    for (zone, name) in ZONES.iter().enumerate() {
        for (expression, text) in EXPRESSIONS.iter().enumerate() {
            let schedule = Schedule::new(&format!("s{zone}-{expression}"), text, Slot { zone, expression })?;
            all.push(schedule.zone(name)?.missed(Missed::All { cap: 1_000 }));
        }
    }
    Ok(all)
}
