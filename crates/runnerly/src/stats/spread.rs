//! How running spreads: over paces within a run, over the days of a calendar, over shoes.

use super::splits::{interval, moving};
use super::totals::{self, Totals};
use crate::run::{Activity, Streams};
use chrono::NaiveDate;
use std::collections::BTreeMap;

/// The width of a bin of the pace histogram, in seconds per kilometre.
pub const BIN_S: i64 = 30;

/// The slowest bin of the pace histogram: 30 minutes per kilometre; slower seconds count there.
const SLOWEST_S: i64 = 1800;

/// Seconds in motion per bin of [`BIN_S`] seconds per kilometre, by the lower bound of the bin. The streams must be
/// [valid](Streams::validate). GPS makes single intervals noisy.
///
/// ```
/// use runnerly::{run::Streams, stats::spread::pace_histogram};
/// let run = Streams { time: vec![0, 300], distance: vec![0.0, 1000.0], ..Streams::default() };
/// assert_eq!(pace_histogram(&run), [(300, 300)].into());
/// ```
pub fn pace_histogram(streams: &Streams) -> BTreeMap<i64, i64> {
    let moving = moving(streams);
    let mut bins = BTreeMap::new();
    for k in (1..streams.len()).filter(|k| moving[*k]) {
        let (seconds, metres) = (interval(streams, k), streams.distance[k] - streams.distance[k - 1]);
        if seconds > 0 && metres > 0.0 {
            let pace = (seconds as f64 * 1000.0 / metres) as i64;
            *bins.entry((pace / BIN_S * BIN_S).min(SLOWEST_S)).or_insert(0) += seconds;
        }
    }
    bins
}

/// Metres run per local day, for a calendar.
pub fn calendar(activities: &[Activity]) -> BTreeMap<NaiveDate, f64> {
    totals::by(activities, |day| day).into_iter().map(|(day, totals)| (day, totals.distance_m)).collect()
}

/// The shade of a day in a calendar, from 0 (no run) to 5 (20 km and more), one per 5 km begun.
///
/// ```
/// use runnerly::stats::spread::shade;
/// assert_eq!([0.0, 400.0, 5_000.0, 19_999.0, 42_195.0].map(shade), [0, 1, 2, 4, 5]);
/// ```
pub fn shade(distance_m: f64) -> u8 {
    if distance_m > 0.0 { 1 + (distance_m / 5000.0).min(4.0) as u8 } else { 0 }
}

/// Totals per pair of shoes, by Strava's id; runs without are left out. Strava's own total of a pair also counts other
/// sports and corrections by hand.
pub fn gear(activities: &[Activity]) -> BTreeMap<&str, Totals> {
    let mut shoes = BTreeMap::new();
    for run in totals::runs(activities) {
        if let Some(gear) = &run.gear {
            shoes.entry(gear.as_str()).or_insert_with(Totals::default).add(run);
        }
    }
    shoes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::recordings::activity;

    #[test]
    fn days_and_shoes_add_up() {
        let mut runs = vec![activity("2024-01-01T06:00:00", 3000.0), activity("2024-01-01T18:00:00", 4000.0)];
        runs[1].gear = Some("g1".to_owned());
        assert_eq!(calendar(&runs).into_values().collect::<Vec<_>>(), [7000.0]);
        assert_eq!(gear(&runs).get("g1").map(|totals| totals.distance_m), Some(4000.0));
    }

    #[test]
    fn standing_and_stepping_back_are_not_a_pace() {
        let run = Streams {
            time: vec![0, 10, 10, 20, 1_000_000],
            distance: vec![0.0, 0.0, 5.0, 1.0, 1.1],
            moving: Some(vec![true; 5]),
            ..Streams::default()
        };
        assert_eq!(pace_histogram(&run), [(SLOWEST_S, 999_980)].into());
    }
}
