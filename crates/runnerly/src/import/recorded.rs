//! Real files, against what their sources say of them.

use super::{Format, LocalClock, parse};
use crate::run::recordings::recording;
use crate::stats::efforts::best_efforts;

#[test]
fn a_tcx_of_thirteen_laps() {
    let Some(bytes) = recording("run-2020-12-06.tcx") else {
        return;
    };
    let run = parse("run-2020-12-06.tcx", &bytes).unwrap();
    assert_eq!((run.format, run.sport.as_str(), run.name.as_str()), (Format::Tcx, "Run", "run-2020-12-06"));
    assert_eq!((run.streams.len(), run.laps.len()), (1747, 13));
    assert_eq!((run.moving_s, run.elapsed_s), (4923, 5145));
    assert_eq!((run.distance_m * 100.0).round() / 100.0, 12_025.76);
    assert_eq!(run.streams.distance.last(), Some(&12_019.724609));
    assert_eq!(run.start.to_rfc3339(), "2020-12-06T09:36:27+00:00");
    assert_eq!(run.streams.time.last(), Some(&5145));
    assert!((run.average_hr.unwrap() - 148.5).abs() < 1.0 && run.max_hr == Some(163.0));
    assert!((run.average_cadence.unwrap() - 84.4).abs() < 1.0);
    assert_eq!(run.local_clock, LocalClock::Longitude);
    let local = run.clone().in_zone(chrono_tz::America::Recife);
    assert_eq!(
        (local.start_local.to_string().as_str(), local.local_clock),
        ("2020-12-06 06:36:27", LocalClock::Zone)
    );
    assert!(run.id < 0 && run.id == parse("copy.xml", &bytes).unwrap().id);
}

#[test]
fn the_file_and_stravas_streams_of_one_run_agree() {
    let (Some(bytes), Some(strava)) =
        (recording("run-2020-12-06.tcx"), crate::run::recordings::recorded_streams())
    else {
        return;
    };
    let run = parse("run.tcx", &bytes).unwrap();
    assert_eq!(run.streams.time, strava.time);
    let seconds = |efforts: Vec<_>| {
        efforts.iter().map(|e: &crate::stats::efforts::Effort| e.seconds).collect::<Vec<_>>()
    };
    let pairs = seconds(best_efforts(&run.streams)).into_iter().zip(seconds(best_efforts(&strava)));
    assert!(pairs.clone().count() == 7 && pairs.clone().all(|(file, strava)| (file - strava).abs() <= 1));
}

#[test]
fn a_tcx_of_three_miles() {
    let Some(bytes) = recording("run-garmin-hr.tcx") else {
        return;
    };
    let run = parse("run-garmin-hr.tcx", &bytes).unwrap();
    let laps: Vec<_> = run.laps.iter().map(|lap| lap.seconds).collect();
    assert_eq!((run.streams.len(), laps), (384, vec![608.47, 714.80, 669.51]));
    assert_eq!((run.distance_m * 100.0).round() / 100.0, 4_689.24);
    assert_eq!((run.moving_s, run.elapsed_s), (1993, 1993));
    assert_eq!((run.start.to_rfc3339().as_str(), run.max_hr), ("2012-12-26T21:29:53+00:00", Some(189.0)));
    assert_eq!(run.start_local.to_string(), "2012-12-26 16:29:53");
}

#[test]
fn a_gpx_with_missing_readings() {
    let Some(bytes) = recording("run-nike.gpx") else {
        return;
    };
    let run = parse("run-nike.gpx", &bytes).unwrap();
    assert_eq!(
        (run.format, run.sport.as_str(), run.name.as_str()),
        (Format::Gpx, "Run", "domingo corrida matutina")
    );
    assert_eq!((run.streams.len(), run.elapsed_s), (727, 3170));
    assert!((run.distance_m - 8248.07).abs() < 0.01, "{}", run.distance_m);
    assert_eq!(run.start.to_rfc3339(), "2021-07-04T11:23:19.418+00:00");
    assert_eq!(run.streams.heartrate.as_ref().map(|hr| hr[0]), Some(138.0));
    assert!(run.average_hr.is_some() && run.streams.altitude.is_some());
    // A run along the sea: its altitudes lie within 56 cm.
    assert_eq!(run.gain_m, 0.0);
    assert!(run.moving_s > 2500 && run.moving_s <= run.elapsed_s);
}

#[test]
fn a_fit_with_a_local_clock() {
    let Some(bytes) = recording("run-fr645m.fit") else {
        return;
    };
    let run = parse("run-fr645m.fit", &bytes).unwrap();
    assert_eq!((run.format, run.sport.as_str(), run.streams.len()), (Format::Fit, "Run", 1202));
    assert_eq!((run.distance_m, run.moving_s, run.elapsed_s), (5839.77, 3165, 3165));
    assert_eq!((run.average_hr, run.max_hr, run.gain_m), (Some(130.0), Some(160.0), 234.0));
    assert_eq!((run.start.to_rfc3339().as_str(), run.laps.len()), ("2019-09-14T15:22:05+00:00", 6));
    assert_eq!(
        (run.start_local.to_string().as_str(), run.local_clock),
        ("2019-09-14 17:22:05", LocalClock::File)
    );
    let zone = run.in_zone(chrono_tz::Asia::Tokyo);
    assert_eq!(zone.start_local.to_string(), "2019-09-14 17:22:05");
}

#[test]
fn a_short_fit() {
    let Some(bytes) = recording("run-fenix5-short.fit") else {
        return;
    };
    let run = parse("run-fenix5-short.fit", &bytes).unwrap();
    assert_eq!((run.streams.len(), run.distance_m, run.moving_s), (21, 157.56, 57));
    assert_eq!(
        (run.start_local.to_string().as_str(), run.local_clock),
        ("2017-06-11 07:34:09", LocalClock::File)
    );
    let [lat, lng] = run.streams.latlng.as_ref().unwrap()[0];
    assert!((lat - 38.229).abs() < 0.001 && (lng + 122.634).abs() < 0.001, "{lat} {lng}");
    let (activity, streams) = run.into_activity(7);
    assert!(activity.is_run() && activity.id < 0 && activity.athlete == 7 && streams.validate().is_ok());
}
