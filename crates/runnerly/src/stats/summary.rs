//! Everything there is to say about a list of activities, in one value that serialises to JSON.

use super::totals::{self, Totals};
use super::{KM, MILE, eddington, pace, streaks};
use crate::run::Activity;
use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The statistics of one runner. Everything but `activities` is about runs only. Metres are rounded to a tenth.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// How many activities of any sport.
    pub activities: u64,
    /// How many runs.
    pub runs: u64,
    /// Distinct local days with a run.
    pub run_days: u64,
    /// The most days in a row with a run.
    pub longest_day_streak: u32,
    /// The most weeks in a row with a run.
    pub longest_week_streak: u32,
    /// Days in a row until today or yesterday.
    pub current_day_streak: u32,
    /// Weeks in a row until now; the last run is less than seven days ago.
    pub current_week_streak: u32,
    /// Eddington number in kilometres.
    pub eddington_km: u32,
    /// Eddington number in miles.
    pub eddington_mi: u32,
    /// Metres of the longest run, if there is one.
    pub longest_run_m: Option<f64>,
    /// The id of the longest run, if there is one.
    pub longest_run: Option<i64>,
    /// Metres over all runs.
    pub distance_m: f64,
    /// Seconds in motion over all runs.
    pub moving_s: i64,
    /// Seconds over all runs, pauses included.
    pub elapsed_s: i64,
    /// Metres climbed over all runs.
    pub gain_m: f64,
    /// Seconds per kilometre over all runs, from moving time.
    pub pace_s_per_km: Option<f64>,
    /// Totals per year with a run, oldest first.
    pub years: Vec<Year>,
    /// Totals per month with a run, oldest first.
    pub months: Vec<Month>,
    /// Totals per week with a run, oldest first.
    pub weeks: Vec<Week>,
}

/// The totals of one year.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Year {
    /// The year, such as 2017.
    pub year: i32,
    /// Its totals.
    #[serde(flatten)]
    pub totals: Totals,
}

/// The totals of one month.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Month {
    /// The month, as `2017-10`.
    pub month: String,
    /// Its totals.
    #[serde(flatten)]
    pub totals: Totals,
}

/// The totals of one ISO week.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Week {
    /// Its Monday.
    pub week: NaiveDate,
    /// Its totals.
    #[serde(flatten)]
    pub totals: Totals,
}

/// Summarises these activities as of `today`, the runner's local day, which decides whether a streak is alive.
///
/// ```
/// let summary = runnerly::stats::summary::summarize(&[], "2025-10-19".parse().unwrap());
/// assert_eq!(serde_json::to_value(&summary).unwrap()["runs"], 0);
/// ```
pub fn summarize(activities: &[Activity], today: NaiveDate) -> Summary {
    let days: BTreeSet<_> = totals::runs(activities).map(Activity::day).collect();
    let by_day = streaks::days(&days, today);
    let by_week = streaks::weeks(&days, today);
    let all = Totals::of(activities);
    let rounded = all.rounded();
    let longest = totals::longest(activities);
    Summary {
        activities: activities.len() as u64,
        runs: all.runs,
        run_days: days.len() as u64,
        longest_day_streak: by_day.longest,
        longest_week_streak: by_week.longest,
        current_day_streak: by_day.current,
        current_week_streak: by_week.current,
        eddington_km: eddington::of_runs(activities, KM),
        eddington_mi: eddington::of_runs(activities, MILE),
        longest_run_m: longest.map(|run| totals::tenth(run.distance_m)),
        longest_run: longest.map(|run| run.id),
        distance_m: rounded.distance_m,
        moving_s: all.moving_s,
        elapsed_s: all.elapsed_s,
        gain_m: rounded.gain_m,
        pace_s_per_km: pace::seconds_per_km(all.distance_m, all.moving_s as f64),
        years: years(activities),
        months: months(activities),
        weeks: weeks(activities),
    }
}

fn years(activities: &[Activity]) -> Vec<Year> {
    let years = totals::by(activities, |day| day.year());
    years.into_iter().map(|(year, totals)| Year { year, totals: totals.rounded() }).collect()
}

fn months(activities: &[Activity]) -> Vec<Month> {
    let months = totals::by(activities, totals::first_of_month);
    let month = |first: NaiveDate| first.format("%Y-%m").to_string();
    months
        .into_iter()
        .map(|(first, totals)| Month { month: month(first), totals: totals.rounded() })
        .collect()
}

fn weeks(activities: &[Activity]) -> Vec<Week> {
    let weeks = totals::by(activities, totals::monday);
    weeks.into_iter().map(|(week, totals)| Week { week, totals: totals.rounded() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::recordings::activity;
    use serde_json::json;

    #[test]
    fn it_serialises_flat_and_without_dust() {
        let mut swim = activity("2024-01-03T06:00:00", 900.0);
        swim.sport = "Swim".to_owned();
        let runs = [activity("2023-12-31T06:00:00", 1000.1), activity("2023-12-31T18:00:00", 2000.2), swim];
        let json = serde_json::to_value(summarize(&runs, "2024-01-01".parse().unwrap())).unwrap();
        assert_eq!(
            json["years"],
            json!([{"year": 2023, "runs": 2, "distance_m": 3000.3, "moving_s": 900, "elapsed_s": 900, "gain_m": 0.0}])
        );
        assert_eq!(json["months"][0]["month"], "2023-12");
        assert_eq!(json["weeks"][0]["week"], "2023-12-25");
        assert_eq!(
            (&json["activities"], &json["runs"], &json["run_days"]),
            (&json!(3), &json!(2), &json!(1))
        );
        assert_eq!((&json["current_day_streak"], &json["eddington_km"]), (&json!(1), &json!(1)));
        let back: Summary = serde_json::from_value(json).unwrap();
        assert_eq!(back.longest_run_m, Some(2000.2));
    }
}
