//! One invented activity before it is run: enough to compute everything else.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

/// Kinds of sport that are invented; named as Strava names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Sport {
    Run,
    TrailRun,
    VirtualRun,
    Ride,
    Swim,
}

/// How the effort is spread over an activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Shape {
    Steady,
    Progressive,
    Intervals,
    Long,
    Race,
}

/// What happens in one activity. Its numbers all follow from this and its id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) id: i64,
    pub(crate) athlete: i64,
    pub(crate) name: String,
    pub(crate) sport: Sport,
    pub(crate) shape: Shape,
    pub(crate) start: DateTime<Utc>,
    pub(crate) zone: Tz,
    /// Where it starts: latitude and longitude.
    pub(crate) place: (f64, f64),
    /// Metres between valley and hill.
    pub(crate) hills: f64,
    /// Metres to go.
    pub(crate) distance: f64,
    /// Metres per second while moving.
    pub(crate) speed: f64,
    /// Heart rate at an easy and at full effort, when it was measured.
    pub(crate) heart: Option<(f64, f64)>,
    pub(crate) gear: Option<String>,
    /// On a treadmill: no positions, no altitude.
    pub(crate) indoor: bool,
    /// Typed in by hand: no streams at all.
    pub(crate) manual: bool,
    pub(crate) only_me: bool,
    /// Deleted long ago: still takes a place in the paging, is never shown.
    pub(crate) ghost: bool,
}

impl Sport {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Run => "Run",
            Self::TrailRun => "TrailRun",
            Self::VirtualRun => "VirtualRun",
            Self::Ride => "Ride",
            Self::Swim => "Swim",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Run, Self::TrailRun, Self::VirtualRun, Self::Ride, Self::Swim]
            .into_iter()
            .find(|sport| sport.name() == name)
    }

    pub(crate) fn on_foot(self) -> bool {
        matches!(self, Self::Run | Self::TrailRun | Self::VirtualRun)
    }

    /// The deprecated `type` field knows no variants of running.
    pub(crate) fn old_type(name: &str) -> &str {
        match name {
            "TrailRun" => "Run",
            other => other,
        }
    }
}

impl Shape {
    /// Strava's `workout_type` for runs.
    pub(crate) fn workout_type(self) -> i64 {
        match self {
            Self::Steady | Self::Progressive => 0,
            Self::Race => 1,
            Self::Long => 2,
            Self::Intervals => 3,
        }
    }
}

impl Plan {
    /// Seconds it will take, give or take the pauses.
    pub(crate) fn expected_s(&self) -> i64 {
        (self.distance / self.speed) as i64
    }

    pub(crate) fn has_positions(&self) -> bool {
        !self.indoor && !self.manual && self.sport != Sport::Swim
    }
}

/// The id of an activity uploaded at `uploaded`: ids grow with upload time, and
/// the last three bits tell whose it is, so that an id is found without a search.
pub(crate) fn id_at(uploaded: DateTime<Utc>, owner: usize) -> i64 {
    // Strava reached this id at this instant; 59 a second keeps ids positive
    // for any history a simulation holds.
    const ID: i64 = 13_060_185_020;
    const SECONDS: i64 = 1_733_500_925;
    let id = ID + (uploaded.timestamp() - SECONDS) * 59;
    id.max(1_000) / 8 * 8 + owner as i64 % 8
}

/// Which athlete, by number, an invented id belongs to.
pub(crate) fn owner_of(id: i64) -> usize {
    id.rem_euclid(8) as usize
}

/// When the device handed it over: minutes after the end, now and then days.
pub(crate) fn upload_time(plan: &Plan, late_days: i64) -> DateTime<Utc> {
    plan.start + TimeDelta::seconds(plan.expected_s() * 11 / 10 + 180) + TimeDelta::days(late_days)
}
