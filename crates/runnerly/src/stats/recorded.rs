//! The statistics of real recordings, against numbers that Strava or independent tools computed.

use super::totals::{Totals, by, first_of_month, longest, monday};
use super::{KM, MILE, climb, efforts, grade, pace, splits, spread, summary, zones};
use crate::run::recordings::{recorded_activities, recorded_json, recorded_streams};
use chrono::{Datelike, NaiveDate};
use serde_json::Value;

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

#[test]
fn totals_per_year() {
    let Some(activities) = recorded_activities() else {
        return;
    };
    let years = by(&activities, |day| day.year());
    for (year, runs, distance_m, moving_s, elapsed_s, gain_m, pace) in [
        (2017, 29, 334_599.8, 107_399, 109_004, 1_843.1, 320.98),
        (2018, 107, 1_227_851.9, 379_559, 393_662, 8_214.7, 309.12),
        (2019, 66, 675_113.7, 215_875, 217_978, 4_571.8, 319.76),
        (2020, 89, 950_842.5, 304_546, 319_418, 5_755.1, 320.29),
        (2021, 53, 577_065.3, 187_167, 189_123, 3_043.9, 324.34),
        (2022, 93, 1_019_767.1, 342_174, 346_819, 4_888.0, 335.54),
    ] {
        assert_eq!(years[&year].rounded(), Totals { runs, distance_m, moving_s, elapsed_s, gain_m });
        assert!((years[&year].pace_s_per_km().unwrap() - pace).abs() < 0.005, "{year}");
    }
}

#[test]
fn totals_per_week_and_month() {
    let Some(activities) = recorded_activities() else {
        return;
    };
    let weeks = by(&activities, monday);
    for (week, runs, distance_m, moving_s) in [
        ("2025-09-22", 5, 74_640.5, 26_864),
        ("2025-09-29", 5, 84_059.4, 30_174),
        ("2025-10-06", 5, 80_484.5, 28_097),
        ("2025-10-13", 4, 55_154.2, 18_673),
    ] {
        let found = weeks[&day(week)].rounded();
        assert_eq!((found.runs, found.distance_m, found.moving_s), (runs, distance_m, moving_s), "{week}");
    }
    let months = by(&activities, first_of_month);
    for (month, runs, distance_m) in [("2024-01-01", 14, 148_411.3), ("2024-02-01", 9, 88_497.0)] {
        let found = months[&day(month)].rounded();
        assert_eq!((found.runs, found.distance_m), (runs, distance_m), "{month}");
    }
}

#[test]
fn the_report_of_a_month() {
    let Some(activities) = recorded_activities() else {
        return;
    };
    let month: Vec<_> =
        activities.into_iter().filter(|run| first_of_month(run.day()) == day("2025-09-01")).collect();
    let found = summary::summarize(&month, day("2025-09-30"));
    assert_eq!((found.runs, found.run_days, found.distance_m), (18, 18, 256_091.1));
    assert_eq!((found.moving_s, found.elapsed_s, found.gain_m), (93_900, 95_281, 1_587.0));
    assert!((found.pace_s_per_km.unwrap() - 366.67).abs() < 0.005);
    assert_eq!((found.longest_run_m, found.longest_run), (Some(30_637.4), Some(15_955_495_969)));
    let with_hr =
        month.iter().filter(|run| run.is_run()).filter_map(|run| Some((run.average_hr?, run.moving_s)));
    assert!((splits::weighted_mean(with_hr).unwrap() - 144.28).abs() < 0.005);
}

#[test]
fn days_are_local() {
    let Some(activities) = recorded_activities() else {
        return;
    };
    let runs = activities.iter().filter(|run| run.is_run());
    assert_eq!(runs.clone().filter(|run| run.start.date_naive() != run.day()).count(), 26);
    let mut utc: Vec<_> = runs.clone().cloned().collect();
    utc.iter_mut().for_each(|run| run.start_local = run.start.naive_utc());
    let wrong = by(&utc, |day| day.year())[&2018].rounded();
    assert_eq!((wrong.runs, wrong.distance_m), (108, 1_234_490.3));
    let eve = runs.clone().find(|run| run.id == 1_335_501_607).unwrap();
    assert_eq!((eve.day(), eve.start.year()), (day("2017-12-31"), 2018));
    assert_eq!(longest(&activities).map(|run| run.is_race()), Some(true));
}

#[test]
fn strava_divides_by_elapsed_time_for_races() {
    let Some(activities) = recorded_activities() else {
        return;
    };
    let json = crate::run::recordings::recording("strava-activities-1132.jsonl").unwrap();
    let lines = std::str::from_utf8(&json).unwrap().lines();
    let mut checked = 0;
    for (run, line) in activities.iter().zip(lines).filter(|(run, _)| run.is_run()) {
        let line: Value = serde_json::from_str(line).unwrap();
        let speed = run.distance_m / run.pace_time_s() as f64;
        assert!((speed - line["average_speed"].as_f64().unwrap()).abs() <= 0.0011, "{}", run.id);
        checked += 1;
    }
    assert_eq!(checked, 908);
}

#[test]
fn the_summary_of_all_activities() {
    let Some(activities) = recorded_activities() else {
        return;
    };
    let found = summary::summarize(&activities, day("2025-10-20"));
    assert_eq!((found.activities, found.runs), (1132, 908));
    assert_eq!(found.years.iter().map(|year| year.totals.runs).sum::<u64>(), 908);
    assert_eq!(found.months.iter().map(|month| month.totals.runs).sum::<u64>(), 908);
    assert_eq!(found.weeks.iter().map(|week| week.totals.runs).sum::<u64>(), 908);
    assert!(found.current_day_streak >= 2 && found.current_week_streak >= 4);
    assert_eq!(summary::summarize(&activities, day("2026-11-21")).current_week_streak, 0);
    let text = serde_json::to_string(&found.years[0]).unwrap();
    let expected = r#"{"year":2017,"runs":29,"distance_m":334599.8,"moving_s":107399,"elapsed_s":109004,"gain_m":1843.1}"#;
    assert_eq!(text, expected);
}

#[test]
fn best_efforts_equal_stravas() {
    let (Some(streams), Some(activity)) =
        (recorded_streams(), recorded_json("strava-activity-4437021783.json"))
    else {
        return;
    };
    let found = efforts::best_efforts(&streams);
    let strava = activity["best_efforts"].as_array().unwrap();
    assert_eq!((found.len(), strava.len()), (7, 7));
    for (ours, theirs) in found.iter().zip(strava) {
        // Strava has written both 1k and 1K.
        assert!(ours.name.eq_ignore_ascii_case(theirs["name"].as_str().unwrap()), "{}", ours.name);
        assert_eq!(ours.distance_m, theirs["distance"].as_f64().unwrap());
        assert_eq!(ours.seconds, theirs["elapsed_time"].as_i64().unwrap(), "{}", ours.name);
    }
    let stretches = [(1363, 1417), (390, 503), (376, 516), (374, 600), (372, 826), (75, 787), (33, 1474)];
    assert_eq!(found.iter().map(|effort| (effort.start, effort.end)).collect::<Vec<_>>(), stretches);
}

#[test]
fn the_distances_are_those_that_strava_reports() {
    let Some(activity) = recorded_json("strava-activity-1946417534-marathon.json") else {
        return;
    };
    let mut theirs: Vec<_> = activity["best_efforts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|effort| (effort["name"].as_str().unwrap(), effort["distance"].as_f64().unwrap()))
        .collect();
    theirs.sort_by(|a, b| a.1.total_cmp(&b.1));
    assert_eq!(theirs, efforts::DISTANCES);
}

#[test]
fn splits_equal_stravas() {
    let (Some(streams), Some(activity)) =
        (recorded_streams(), recorded_json("strava-activity-4437021783.json"))
    else {
        return;
    };
    for (unit, name, count) in [(KM, "splits_metric", 13), (MILE, "splits_standard", 8)] {
        let ours = splits::splits(&streams, unit);
        let theirs = activity[name].as_array().unwrap();
        assert_eq!((ours.len(), theirs.len()), (count, count));
        let mut moving_differs = 0;
        for (ours, theirs) in ours.iter().zip(theirs) {
            let number = |field: &str| theirs[field].as_f64().unwrap();
            let close = |found: f64, field: &str, within: f64| {
                assert!(
                    (found - number(field)).abs() <= within,
                    "{name} {}: {field} is {found}",
                    ours.number
                );
            };
            close(f64::from(ours.number), "split", 0.0);
            close(ours.distance_m, "distance", 0.0501);
            close(ours.elapsed_s as f64, "elapsed_time", 0.0);
            close(ours.moving_s as f64, "moving_time", 2.0);
            close(ours.elevation_m.unwrap(), "elevation_difference", 0.0501);
            moving_differs += usize::from(ours.moving_s as f64 != number("moving_time"));
            close(ours.average_hr.unwrap(), "average_heartrate", 0.001);
        }
        assert_eq!(moving_differs, 1, "{name}");
    }
}

#[test]
fn moving_time_and_pace() {
    let Some(streams) = recorded_streams() else {
        return;
    };
    assert_eq!(splits::moving_seconds(&streams), 4781);
    for (seconds, expected, text) in [(4783.0, 397.93, "6:38"), (5145.0, 428.05, "7:08")] {
        let found = pace::seconds_per_km(12_019.7, seconds).unwrap();
        assert!((found - expected).abs() < 0.005);
        assert_eq!(pace::clock(found), text);
    }
}

#[test]
fn zones_histogram_and_slope() {
    let Some(streams) = recorded_streams() else {
        return;
    };
    let zones = zones::Zones::given(vec![0.0, 111.0, 139.0, 152.0, 166.0]).unwrap();
    let time = zones.time_in(&streams).unwrap();
    assert_eq!((time.below_s, time.zones_s), (0, vec![21, 621, 1575, 2564, 0]));
    let bins = spread::pace_histogram(&streams);
    let expected = [
        (240, 332),
        (270, 520),
        (300, 432),
        (330, 304),
        (360, 255),
        (390, 212),
        (420, 333),
        (450, 269),
        (480, 386),
    ];
    for (bin, seconds) in expected {
        assert_eq!(bins[&bin], seconds, "{bin}");
    }
    assert!((grade::flat_distance(&streams).unwrap() - 12_022.95).abs() < 0.005);
    assert!((grade::adjusted_pace(&streams, 4783.0).unwrap() - 397.82).abs() < 0.005);
}

#[test]
fn climb_with_hysteresis() {
    let Some(streams) = recorded_streams() else {
        return;
    };
    let altitude = streams.altitude.unwrap();
    for (threshold, expected) in [(0.0, 15.3), (0.5, 6.1), (1.0, 6.0), (climb::THRESHOLD_M, 6.0), (3.0, 3.0)]
    {
        let found = climb::gain(&altitude, threshold);
        assert!((found - expected).abs() < 0.05, "{threshold}: {found}");
    }
}
