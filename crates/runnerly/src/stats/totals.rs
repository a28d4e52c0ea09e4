//! Sums over runs, grouped by local day, week, month or year.

use super::pace;
use crate::run::Activity;
use chrono::{Datelike, Days, NaiveDate};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Sums over some runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// How many runs.
    pub runs: u64,
    /// Metres covered.
    pub distance_m: f64,
    /// Seconds in motion.
    pub moving_s: i64,
    /// Seconds from start to end, pauses included.
    pub elapsed_s: i64,
    /// Metres climbed.
    pub gain_m: f64,
}

impl Totals {
    /// The sums over those of `activities` that are runs.
    ///
    /// ```
    /// assert_eq!(runnerly::stats::totals::Totals::of(&[]).runs, 0);
    /// ```
    pub fn of<'a>(activities: impl IntoIterator<Item = &'a Activity>) -> Self {
        let mut totals = Self::default();
        runs(activities).for_each(|run| totals.add(run));
        totals
    }

    /// Counts one more run.
    pub fn add(&mut self, run: &Activity) {
        self.runs += 1;
        self.distance_m += run.distance_m;
        self.moving_s = self.moving_s.saturating_add(run.moving_s);
        self.elapsed_s = self.elapsed_s.saturating_add(run.elapsed_s);
        self.gain_m += run.gain_m;
    }

    /// Seconds per kilometre: all moving time over all distance, never a mean of paces. `None` without distance.
    pub fn pace_s_per_km(&self) -> Option<f64> {
        pace::seconds_per_km(self.distance_m, self.moving_s as f64)
    }

    /// The same with metres rounded to a tenth, the precision of the inputs, so that no binary dust is shown.
    pub fn rounded(self) -> Self {
        Self { distance_m: tenth(self.distance_m), gain_m: tenth(self.gain_m), ..self }
    }
}

/// Rounded to one decimal.
pub(crate) fn tenth(metres: f64) -> f64 {
    (metres * 10.0).round() / 10.0
}

/// Those activities that are runs.
pub fn runs<'a>(activities: impl IntoIterator<Item = &'a Activity>) -> impl Iterator<Item = &'a Activity> {
    activities.into_iter().filter(|activity| activity.is_run())
}

/// Sums over runs, grouped by what `key` makes of the local day.
///
/// ```
/// use chrono::Datelike;
/// let years = runnerly::stats::totals::by(&[], |day| day.year());
/// assert!(years.is_empty());
/// ```
pub fn by<'a, K: Ord>(
    activities: impl IntoIterator<Item = &'a Activity>,
    key: impl Fn(NaiveDate) -> K,
) -> BTreeMap<K, Totals> {
    let mut groups = BTreeMap::new();
    for run in runs(activities) {
        groups.entry(key(run.day())).or_insert_with(Totals::default).add(run);
    }
    groups
}

/// The Monday of the ISO week that `day` lies in.
pub fn monday(day: NaiveDate) -> NaiveDate {
    let since = u64::from(day.weekday().num_days_from_monday());
    day.checked_sub_days(Days::new(since)).unwrap_or(day)
}

/// The first day of the month that `day` lies in.
pub fn first_of_month(day: NaiveDate) -> NaiveDate {
    day.with_day(1).unwrap_or(day)
}

/// The longest run by distance; of equals, the earliest.
pub fn longest<'a>(activities: impl IntoIterator<Item = &'a Activity>) -> Option<&'a Activity> {
    runs(activities).reduce(|best, run| match run.distance_m.total_cmp(&best.distance_m) {
        std::cmp::Ordering::Greater => run,
        std::cmp::Ordering::Equal if run.start < best.start => run,
        _ => best,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::recordings::activity;

    #[test]
    fn only_runs_count_and_by_local_day() {
        let mut swim = activity("2024-03-01T06:00:00", 1000.0);
        swim.sport = "Swim".to_owned();
        let runs = [activity("2023-12-31T23:59:07", 5000.1), activity("2024-01-01T00:10:00", 5000.2), swim];
        let years = by(&runs, |day| day.year());
        assert_eq!(years.iter().map(|(year, t)| (*year, t.runs)).collect::<Vec<_>>(), [(2023, 1), (2024, 1)]);
        assert_eq!(Totals::of(&runs).rounded().distance_m, 10000.3);
        assert_eq!(longest(&runs).map(|run| run.distance_m), Some(5000.2));
    }

    #[test]
    fn weeks_begin_on_monday_across_years() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        assert_eq!(monday(day("2025-01-01")), day("2024-12-30"));
        assert_eq!(monday(day("2024-12-30")), day("2024-12-30"));
        assert_eq!(monday(NaiveDate::MIN), NaiveDate::MIN);
    }
}
