//! What the API says of activities and efforts.

use chrono::{DateTime, NaiveDateTime, Utc};
use runnerly::run::{Activity, Source};
use runnerly::stats::efforts::Effort;
use runnerly::stats::pace;
use serde::Serialize;
use utoipa::ToSchema;

/// An activity as its totals.
#[derive(Serialize, ToSchema)]
pub(super) struct ActivityView {
    /// Its id.
    id: String,
    /// Whose it is.
    athlete: String,
    /// Its title.
    name: String,
    /// Strava's sport type, such as `Run`.
    sport: String,
    /// When it started.
    #[schema(value_type = String, format = DateTime)]
    start: DateTime<Utc>,
    /// The wall clock where it started, without a zone.
    #[schema(value_type = String)]
    start_local: NaiveDateTime,
    /// Metres covered.
    distance_m: f64,
    /// Seconds in motion.
    moving_s: i64,
    /// Seconds from start to end.
    elapsed_s: i64,
    /// Seconds per kilometre.
    pace_s_per_km: Option<f64>,
    /// Metres climbed.
    gain_m: f64,
    /// Mean heart rate, beats per minute.
    average_hr: Option<f64>,
    /// Highest heart rate, beats per minute.
    max_hr: Option<f64>,
    /// Whether it was a race.
    race: bool,
    /// Whether only its owner may see it at Strava.
    private: bool,
    /// `strava` or `file`.
    source: &'static str,
}

impl From<&Activity> for ActivityView {
    fn from(a: &Activity) -> ActivityView {
        ActivityView {
            id: a.id.to_string(),
            athlete: a.athlete.to_string(),
            name: a.name.clone(),
            sport: a.sport.clone(),
            start: a.start,
            start_local: a.start_local,
            distance_m: a.distance_m,
            moving_s: a.moving_s,
            elapsed_s: a.elapsed_s,
            pace_s_per_km: pace::seconds_per_km(a.distance_m, a.pace_time_s() as f64),
            gain_m: a.gain_m,
            average_hr: a.average_hr,
            max_hr: a.max_hr,
            race: a.is_race(),
            private: a.private,
            source: match a.source {
                Source::Strava => "strava",
                Source::File => "file",
            },
        }
    }
}

/// The fastest stretch over one distance within one activity.
#[derive(Serialize, ToSchema)]
pub(super) struct EffortView {
    /// The name of the distance, such as `5K`.
    name: String,
    /// Its metres.
    distance_m: f64,
    /// Seconds taken.
    seconds: i64,
    /// The sample it starts at.
    start: usize,
    /// The sample it ends at.
    end: usize,
}

impl From<Effort> for EffortView {
    fn from(e: Effort) -> EffortView {
        let Effort { name, distance_m, seconds, start, end } = e;
        EffortView { name, distance_m, seconds, start, end }
    }
}
