//! The data calls.

use super::{Error, Strava};
use crate::run::{Activity, Invalid, Streams};
use crate::storage::Fetched;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde_json::Value;

/// An athlete as Strava knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Athlete {
    /// Strava's id.
    pub id: i64,
    /// First and last name, as far as given.
    pub name: String,
    /// All that Strava sent.
    pub raw: Value,
}

/// Which part of an athlete's activities to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListActivities {
    /// The page, from 1.
    pub page: u32,
    /// Activities per page, 1 to 200.
    pub per_page: u32,
    /// Only those that started later; Strava then lists the oldest first.
    pub after: Option<DateTime<Utc>>,
    /// Only those that started earlier.
    pub before: Option<DateTime<Utc>>,
}

impl Default for ListActivities {
    fn default() -> Self {
        Self { page: 1, per_page: 200, after: None, before: None }
    }
}

/// One page of the list. Do not believe its order, and expect the same activity on two pages when one is uploaded
/// meanwhile.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The activities that could be read.
    pub activities: Vec<Fetched>,
    /// Those that could not. One broken record does not hold up the others.
    pub refused: Vec<Refused>,
}

impl Page {
    /// Whether the list has ended. A page may be short and not the last: only an empty one ends the list.
    pub fn is_end(&self) -> bool {
        self.activities.is_empty() && self.refused.is_empty()
    }
}

/// A record that is not an activity.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// Its id, if it has one.
    pub id: Option<i64>,
    /// What is wrong with it.
    pub why: Invalid,
}

/// Totals of an athlete's runs as Strava counts them: only those visible to everyone. Not the sum of the list.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RunTotals {
    /// Runs.
    pub count: i64,
    /// Metres.
    pub distance_m: f64,
    /// Seconds in motion.
    pub moving_s: f64,
    /// Seconds in all.
    pub elapsed_s: f64,
    /// Metres climbed.
    pub gain_m: f64,
}

/// Strava's own statistics of an athlete's runs.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stats {
    /// The last four weeks.
    pub recent: RunTotals,
    /// This year.
    pub year: RunTotals,
    /// Ever.
    pub all: RunTotals,
}

impl Strava {
    /// The athlete who owns `token`.
    ///
    /// # Errors
    /// As any call.
    pub async fn athlete(&self, token: &SecretString) -> Result<Athlete, Error> {
        Athlete::read(&self.get(token, "/athlete", &[]).await?.json)
    }

    /// One page of the activities of the athlete who owns `token`.
    ///
    /// # Errors
    /// As any call.
    pub async fn activities(&self, token: &SecretString, list: &ListActivities) -> Result<Page, Error> {
        let mut query = vec![
            ("page", list.page.max(1).to_string()),
            ("per_page", list.per_page.clamp(1, 200).to_string()),
        ];
        // Whole seconds: Strava takes milliseconds for a date in the far future.
        query.extend(list.after.map(|after| ("after", after.timestamp().to_string())));
        query.extend(list.before.map(|before| ("before", before.timestamp().to_string())));
        let answer = self.get(token, "/athlete/activities", &query).await?;
        Page::read(answer.json, answer.at)
    }

    /// One activity with everything Strava knows of it (laps, splits, its own best efforts).
    ///
    /// # Errors
    /// [`Error::NotFound`] when it was deleted, or hidden from us; else as any call.
    pub async fn activity(&self, token: &SecretString, id: i64) -> Result<Fetched, Error> {
        let answer = self.get(token, &format!("/activities/{id}"), &[]).await?;
        let activity =
            Activity::from_strava(&answer.json).map_err(|why| Error::malformed(why.to_string()))?;
        Ok(Fetched { activity, raw: Some(answer.json), read_at: answer.at })
    }

    /// The samples of one activity. `None` when there are none: entered by hand, deleted, or without time or distance.
    ///
    /// # Errors
    /// As any call.
    pub async fn streams(&self, token: &SecretString, id: i64) -> Result<Option<Streams>, Error> {
        let query = [("keys", STREAMS.to_owned()), ("key_by_type", "true".to_owned())];
        match self.get(token, &format!("/activities/{id}/streams"), &query).await {
            Ok(answer) => read_streams(&answer.json),
            Err(Error::NotFound) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Strava's own statistics of an athlete, who must be the one that owns `token`.
    ///
    /// # Errors
    /// As any call.
    pub async fn stats(&self, token: &SecretString, athlete: i64) -> Result<Stats, Error> {
        let answer = self.get(token, &format!("/athletes/{athlete}/stats"), &[]).await?;
        Ok(Stats::read(&answer.json))
    }
}

const STREAMS: &str = "time,distance,latlng,altitude,heartrate,cadence,moving,grade_smooth";

impl Athlete {
    pub(super) fn read(json: &Value) -> Result<Self, Error> {
        let id = json
            .get("id")
            .and_then(whole)
            .ok_or_else(|| Error::malformed("athlete.id: expected a whole number"))?;
        let names = ["firstname", "lastname"]
            .map(|field| json.get(field).and_then(Value::as_str).unwrap_or_default());
        Ok(Self { id, name: names.join(" ").trim().to_owned(), raw: json.clone() })
    }
}

impl Page {
    pub(super) fn read(json: Value, read_at: DateTime<Utc>) -> Result<Self, Error> {
        let Value::Array(records) = json else {
            return Err(Error::malformed("expected a list of activities"));
        };
        let mut page = Self { activities: Vec::with_capacity(records.len()), refused: Vec::new() };
        for raw in records {
            match Activity::from_strava(&raw) {
                Ok(activity) => page.activities.push(Fetched { activity, raw: Some(raw), read_at }),
                Err(why) => page.refused.push(Refused { id: raw.get("id").and_then(whole), why }),
            }
        }
        Ok(page)
    }
}

impl Stats {
    pub(super) fn read(json: &Value) -> Self {
        let totals = |name| RunTotals::read(json.get(name).unwrap_or(&Value::Null));
        Self {
            recent: totals("recent_run_totals"),
            year: totals("ytd_run_totals"),
            all: totals("all_run_totals"),
        }
    }
}

impl RunTotals {
    fn read(json: &Value) -> Self {
        let number = |name| json.get(name).and_then(Value::as_f64).unwrap_or_default();
        Self {
            count: json.get("count").and_then(whole).unwrap_or_default(),
            distance_m: number("distance"),
            moving_s: number("moving_time"),
            elapsed_s: number("elapsed_time"),
            gain_m: number("elevation_gain"),
        }
    }
}

/// A whole number, also when it was sent as a float that is one exactly.
fn whole(value: &Value) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let float = || value.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < EXACT).map(|n| n as i64);
    value.as_i64().or_else(float)
}

pub(super) fn read_streams(json: &Value) -> Result<Option<Streams>, Error> {
    let has = |name| json.get(name).is_some_and(|stream| !stream.is_null());
    let nothing = json.is_null() || json.as_array().is_some_and(Vec::is_empty);
    if nothing || (json.is_object() && !(has("time") && has("distance"))) {
        return Ok(None);
    }
    Streams::from_strava(json).map(Some).map_err(|why| Error::malformed(why.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_broken_record_does_not_hold_up_the_page() {
        let good =
            json!({"id": 1, "athlete": {"id": 7}, "sport_type": "Run", "start_date": "2018-01-01T04:59:07Z"});
        let page = Page::read(json!([good, {"id": 2.0}, null]), Utc::now()).unwrap();
        assert_eq!((page.activities.len(), page.activities[0].activity.id), (1, 1));
        assert_eq!(page.refused.iter().map(|refused| refused.id).collect::<Vec<_>>(), [Some(2), None]);
        assert!(!page.is_end() && Page::read(json!([]), Utc::now()).unwrap().is_end());
        assert!(Page::read(json!({}), Utc::now()).is_err());
    }

    #[test]
    fn an_athlete_may_lack_everything_but_the_id() {
        let athlete = Athlete::read(&json!({"id": 12.0, "firstname": null, "lastname": "Block"})).unwrap();
        assert_eq!((athlete.id, athlete.name.as_str()), (12, "Block"));
        for bad in [json!({}), json!({"id": 1.5}), json!({"id": "7"}), json!(null)] {
            assert!(Athlete::read(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn streams_without_time_or_distance_are_absent() {
        for nothing in [json!([]), json!({}), json!(null), json!({"time": {"data": [0]}, "distance": null})] {
            assert_eq!(read_streams(&nothing), Ok(None), "{nothing}");
        }
        let uneven = json!({"time": {"data": [0]}, "distance": {"data": []}});
        assert!(matches!(read_streams(&uneven), Err(Error::Malformed { .. })));
        assert!(matches!(read_streams(&json!([1])), Err(Error::Malformed { .. })));
    }
}
