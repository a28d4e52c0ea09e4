//! Reading an activity from Strava's JSON, which differs from its own documentation: integers arrive as floats and
//! floats as integers, and what is unknown is absent, null or empty.

use super::{Activity, Invalid, Source};
use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::Value;

impl Activity {
    /// Reads a `SummaryActivity` or `DetailedActivity` as Strava sends it.
    ///
    /// `distance`, `moving_time`, `elapsed_time` and `total_elevation_gain` count as 0 when absent or null (a manual
    /// entry may lack them).
    ///
    /// # Errors
    /// Names the first field that is missing, of the wrong type, negative or out of range.
    pub fn from_strava(json: &Value) -> Result<Self, Invalid> {
        if !json.is_object() {
            return Err(Invalid::new("activity", "expected a JSON object"));
        }
        let start = date(json, "start_date")?;
        Ok(Self {
            id: id("id", json.get("id"))?,
            athlete: id("athlete.id", json.pointer("/athlete/id"))?,
            name: text(json, "name")?.unwrap_or_default(),
            sport: sport(json)?,
            start,
            start_local: local(json)?.unwrap_or(start.naive_utc()),
            timezone: text(json, "timezone")?,
            distance_m: total(json, "distance")?,
            moving_s: total(json, "moving_time")?.round() as i64,
            elapsed_s: total(json, "elapsed_time")?.round() as i64,
            gain_m: total(json, "total_elevation_gain")?,
            average_hr: number(json, "average_heartrate")?,
            max_hr: number(json, "max_heartrate")?,
            average_cadence: number(json, "average_cadence")?,
            workout_type: number(json, "workout_type")?.map(|n| n as i64),
            gear: text(json, "gear_id")?,
            private: flag(json, "private") || json.get("visibility").is_some_and(|v| v == "only_me"),
            source: Source::Strava,
        })
    }
}

/// The largest distance, time or climb believed of one activity; beyond it sums would lose whole metres.
const MAX_TOTAL: f64 = 1e12;

fn present<'a>(json: &'a Value, field: &str) -> Option<&'a Value> {
    json.get(field).filter(|value| !value.is_null())
}

fn id(field: &str, value: Option<&Value>) -> Result<i64, Invalid> {
    let value = value.ok_or_else(|| Invalid::new(field, "missing; expected a whole number"))?;
    value.as_i64().ok_or_else(|| Invalid::new(field, "expected a whole number"))
}

fn sport(json: &Value) -> Result<String, Invalid> {
    // Records from before 2022 can lack sport_type; `type` is its deprecated, coarser predecessor.
    let sport = match text(json, "sport_type")? {
        Some(sport) => Some(sport),
        None => text(json, "type")?,
    };
    sport.ok_or_else(|| Invalid::new("sport_type", "missing; expected a name such as Run"))
}

fn date(json: &Value, field: &str) -> Result<DateTime<Utc>, Invalid> {
    let value = text(json, field)?.ok_or_else(|| Invalid::new(field, "missing; expected a date and time"))?;
    DateTime::parse_from_rfc3339(&value)
        .map(|at| at.with_timezone(&Utc))
        .map_err(|_| Invalid::new(field, "expected a date and time such as 2020-12-06T09:36:27Z"))
}

/// `start_date_local` is the local wall clock with a `Z` that does not mean UTC.
fn local(json: &Value) -> Result<Option<NaiveDateTime>, Invalid> {
    present(json, "start_date_local")
        .map(|_| date(json, "start_date_local").map(|at| at.naive_utc()))
        .transpose()
}

fn text(json: &Value, field: &str) -> Result<Option<String>, Invalid> {
    match present(json, field) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Invalid::new(field, "expected a string")),
    }
}

fn number(json: &Value, field: &str) -> Result<Option<f64>, Invalid> {
    let Some(value) = present(json, field) else {
        return Ok(None);
    };
    let number = value.as_f64().ok_or_else(|| Invalid::new(field, "expected a number"))?;
    if (0.0..=MAX_TOTAL).contains(&number) {
        Ok(Some(number))
    } else {
        Err(Invalid::new(field, format!("is {number}; allowed is 0 to {MAX_TOTAL:e}")))
    }
}

fn total(json: &Value, field: &str) -> Result<f64, Invalid> {
    Ok(number(json, field)?.unwrap_or(0.0))
}

fn flag(json: &Value, field: &str) -> bool {
    json.get(field).and_then(Value::as_bool).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sample() -> Value {
        json!({
            "id": 2770639342612791510i64, "athlete": {"id": 7, "resource_state": 1}, "name": "Run", "sport_type": "Run",
            "start_date": "2018-01-01T04:59:07Z", "start_date_local": "2017-12-31T23:59:07Z", "workout_type": 1,
            "distance": 6638, "moving_time": 1980.0, "elapsed_time": 2001, "total_elevation_gain": 0,
            "visibility": "only_me", "gear_id": null, "start_latlng": []
        })
    }

    #[test]
    fn numbers_come_as_integers_or_floats_and_large_ids_stay_exact() {
        let activity = Activity::from_strava(&sample()).unwrap();
        assert_eq!(activity.id, 2770639342612791510);
        assert_eq!((activity.distance_m, activity.moving_s, activity.elapsed_s), (6638.0, 1980, 2001));
        assert_eq!(activity.day(), NaiveDateTime::default().date() + chrono::Days::new(17531));
        assert!(activity.is_race() && activity.private && activity.average_hr.is_none());
        assert_eq!(activity.pace_time_s(), 2001);
    }

    #[test]
    fn a_bad_field_is_named() {
        let cases = [
            ("id", json!("12"), "id: expected a whole number"),
            ("athlete", json!(null), "athlete.id: missing; expected a whole number"),
            ("distance", json!(-1), "distance: is -1; allowed is 0 to 1e12"),
            ("distance", json!("far"), "distance: expected a number"),
            ("moving_time", json!(1e300), "moving_time: is 1"),
            ("start_date", json!("yesterday"), "start_date: expected a date and time such as"),
            ("start_date_local", json!(5), "start_date_local: expected a string"),
            ("sport_type", json!(null), "sport_type: missing"),
        ];
        for (field, value, expected) in cases {
            let mut json = sample();
            json[field] = value;
            let message = Activity::from_strava(&json).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{field}: {message}");
        }
        assert_eq!(Activity::from_strava(&json!([])).unwrap_err().field, "activity");
    }
}
