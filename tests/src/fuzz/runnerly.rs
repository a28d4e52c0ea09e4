//! Files of runs, and what Strava sends.

use super::Target;
use runnerly::import::{Format, Imported, parse};
use runnerly::run::{Activity, Streams};
use runnerly::stats::{KM, efforts::best_efforts, splits::splits};
use serde_json::Value;

pub(super) const TARGETS: &[Target] = &[
    Target { name: "gpx", run: |data| file(data, Format::Gpx) },
    Target { name: "tcx", run: |data| file(data, Format::Tcx) },
    Target { name: "fit", run: fit },
    Target { name: "strava", run: strava },
];

/// What is imported is sane and can be computed with; what is refused is so in one line.
fn file(data: &[u8], format: Format) -> bool {
    match parse("a.file", data) {
        Ok(run) => {
            sane(&run);
            let good = run.format == format;
            let id = run.id;
            let (activity, streams) = run.into_activity(7);
            assert_eq!(activity.id, id);
            computed(&streams);
            good
        }
        Err(e) => {
            let line = e.to_string();
            assert!(!line.contains('\n') && line.starts_with("a.file: "), "not one line: {line:?}");
            false
        }
    }
}

fn sane(run: &Imported) {
    assert!(run.id < 0, "a file's own ids are negative: {}", run.id);
    for (what, number) in [("distance", run.distance_m), ("gain", run.gain_m)] {
        assert!(number.is_finite() && number >= 0.0, "{what}: {number}");
    }
    assert!(run.moving_s >= 0 && run.elapsed_s >= 0, "{} of {} s", run.moving_s, run.elapsed_s);
    assert!(!run.name.chars().any(char::is_control), "{:?}", run.name);
    run.streams.validate().expect("the streams are sane");
}

/// Stored, read back, and counted through.
fn computed(streams: &Streams) {
    let json = serde_json::to_string(streams).expect("streams");
    assert_eq!(&serde_json::from_str::<Streams>(&json).expect("streams"), streams, "as they were stored");
    let all = splits(streams, KM);
    assert!(all.len() <= streams.len() + 1_000_000, "{} splits", all.len());
    best_efforts(streams);
}

/// As it is, and with the checksum that a changed file would have.
fn fit(data: &[u8]) -> bool {
    let good = file(data, Format::Fit);
    let mut mended = data.to_vec();
    let header = data.first().map_or(0, |length| usize::from(*length));
    if header < 12 || data.len() < header + 2 {
        return good;
    }
    let body = (data.len() - header - 2) as u32;
    mended[4..8].copy_from_slice(&body.to_le_bytes());
    if header == 14 {
        let sum = checksum(&mended[..12]);
        mended[12..14].copy_from_slice(&sum.to_le_bytes());
    }
    let end = mended.len() - 2;
    let sum = checksum(&mended[..end]);
    mended[end..].copy_from_slice(&sum.to_le_bytes());
    file(&mended, Format::Fit) || good
}

/// The CRC-16 of FIT.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0u16;
    for byte in bytes {
        sum ^= u16::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ 0xa001 } else { sum >> 1 };
        }
    }
    sum
}

/// An activity, or streams.
fn strava(data: &[u8]) -> bool {
    let Ok(json) = serde_json::from_slice::<Value>(data) else { return false };
    let streams = Streams::from_strava(&json);
    if let Ok(streams) = &streams {
        streams.validate().expect("what is read is sane");
        computed(streams);
    }
    match Activity::from_strava(&json) {
        Ok(run) => {
            assert!(run.distance_m >= 0.0 && run.distance_m.is_finite() && run.moving_s >= 0);
            let _ = (run.is_race(), run.day(), run.pace_time_s());
            true
        }
        Err(e) => {
            assert!(!e.to_string().contains('\n'), "not one line: {e}");
            streams.is_ok()
        }
    }
}
