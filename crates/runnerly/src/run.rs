//! What a run is: an activity with its totals, and the streams recorded while it happened.
//!
//! Everything here is plain data. Distances are metres, times are seconds, heart rates are beats per minute.
//! [`Activity::start_local`] is the wall clock where the run started; every statistic by day, week, month or year
//! uses it and never UTC, because a run at 23:59 on New Year's Eve belongs to the old year.

#[cfg(test)]
pub(crate) mod recordings;
mod strava;
mod streams;

pub use streams::Streams;
pub(crate) use streams::fill_gaps;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};

/// Where an activity came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Fetched from Strava.
    Strava,
    /// Read from a GPX, TCX or FIT file.
    File,
}

/// One recorded activity, of whatever sport, as its totals.
///
/// ```
/// let activity = runnerly::run::Activity::from_strava(&serde_json::json!({
///     "id": 1, "athlete": {"id": 7}, "name": "Morning Run", "sport_type": "Run",
///     "start_date": "2018-01-01T04:59:07Z", "start_date_local": "2017-12-31T23:59:07Z",
///     "distance": 6638, "moving_time": 1980.0, "elapsed_time": 2001, "total_elevation_gain": 12.5
/// })).unwrap();
/// assert!(activity.is_run());
/// assert_eq!(activity.day().to_string(), "2017-12-31");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Activity {
    /// Strava's id, or a negative id derived from the content of an imported file.
    pub id: i64,
    /// Strava's id of the athlete who owns it.
    pub athlete: i64,
    /// The title its owner gave it.
    pub name: String,
    /// Strava's `sport_type`, such as `Run`, `TrailRun` or `Swim`.
    pub sport: String,
    /// The instant it started.
    pub start: DateTime<Utc>,
    /// The wall clock where it started.
    pub start_local: NaiveDateTime,
    /// Strava's name of the time zone, such as `(GMT-05:00) America/New_York`; its offset ignores summer time.
    pub timezone: Option<String>,
    /// Metres covered.
    pub distance_m: f64,
    /// Seconds in motion.
    pub moving_s: i64,
    /// Seconds from start to end, pauses included. Can be a second less than `moving_s` on Strava.
    pub elapsed_s: i64,
    /// Metres climbed.
    pub gain_m: f64,
    /// Mean heart rate in beats per minute, if one was recorded.
    pub average_hr: Option<f64>,
    /// Highest heart rate in beats per minute, if one was recorded.
    pub max_hr: Option<f64>,
    /// Mean cadence in steps per minute of one leg, if one was recorded.
    pub average_cadence: Option<f64>,
    /// Strava's `workout_type`: for runs 0 is the default, 1 a race, 2 a long run, 3 a workout.
    pub workout_type: Option<i64>,
    /// Strava's id of the shoes.
    pub gear: Option<String>,
    /// Whether only its owner may see it.
    pub private: bool,
    /// Where it came from.
    pub source: Source,
}

impl Activity {
    /// Whether it counts as a run: `Run`, `TrailRun` or `VirtualRun`.
    pub fn is_run(&self) -> bool {
        matches!(self.sport.as_str(), "Run" | "TrailRun" | "VirtualRun")
    }

    /// Whether its owner marked it as a race.
    pub fn is_race(&self) -> bool {
        self.is_run() && self.workout_type == Some(1)
    }

    /// The local day it started on.
    pub fn day(&self) -> NaiveDate {
        self.start_local.date()
    }

    /// The seconds its pace is computed from: elapsed time for a race, moving time otherwise, as Strava does.
    pub fn pace_time_s(&self) -> i64 {
        if self.is_race() { self.elapsed_s } else { self.moving_s }
    }
}

/// Why an activity or its streams were refused: the field, and what was wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Invalid {
    /// The field at fault, such as `distance` or `heartrate[12]`.
    pub field: String,
    /// What was found and what is allowed.
    pub reason: String,
}

impl Invalid {
    pub(crate) fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}
