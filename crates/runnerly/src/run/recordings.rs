//! What tests share: real recordings where they are present, and small made-up activities.

use super::{Activity, Source, Streams};
use chrono::NaiveDateTime;

/// The content of a recording, or `None` with a visible note when it is not there.
pub(crate) fn recording(name: &str) -> Option<Vec<u8>> {
    let path = format!("{}/../../../shared/strava/{name}", env!("CARGO_MANIFEST_DIR"));
    match std::fs::read(&path) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            println!("skipped: no recording {name}: {error}");
            None
        }
    }
}

/// A recording in JSON.
pub(crate) fn recorded_json(name: &str) -> Option<serde_json::Value> {
    recording(name).map(|bytes| serde_json::from_slice(&bytes).unwrap())
}

/// The recorded streams of activity 4437021783.
pub(crate) fn recorded_streams() -> Option<Streams> {
    recorded_json("strava-streams-4437021783.json").map(|json| Streams::from_strava(&json).unwrap())
}

/// The 1,132 recorded activities.
pub(crate) fn recorded_activities() -> Option<Vec<Activity>> {
    let bytes = recording("strava-activities-1132.jsonl")?;
    let lines = std::str::from_utf8(&bytes).unwrap().lines();
    Some(lines.map(|line| Activity::from_strava(&serde_json::from_str(line).unwrap()).unwrap()).collect())
}

/// A run of five minutes per kilometre, in UTC, whose id is its start in seconds.
pub(crate) fn activity(start: &str, distance_m: f64) -> Activity {
    let start_local: NaiveDateTime = start.parse().unwrap();
    let seconds = (distance_m * 0.3) as i64;
    Activity {
        id: start_local.and_utc().timestamp(),
        athlete: 1,
        name: "Run".to_owned(),
        sport: "Run".to_owned(),
        start: start_local.and_utc(),
        start_local,
        timezone: None,
        distance_m,
        moving_s: seconds,
        elapsed_s: seconds,
        gain_m: 0.0,
        average_hr: None,
        max_hr: None,
        average_cadence: None,
        workout_type: None,
        gear: None,
        private: false,
        source: Source::Strava,
    }
}
