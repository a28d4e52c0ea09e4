//! What the tests of Runnerly's programs share: a look into its database, and the worked
//! numbers of the recorded athlete.

use ::runnerly::secret::Keyring;
use ::runnerly::storage::Storage;
use serde_json::Value;
use std::path::Path;

/// The recorded athlete.
pub const RECORDED: i64 = 26_462_176;

/// A second look at the database of a data directory, beside the program that writes it.
pub async fn storage(data_dir: &Path) -> Storage {
    let keys = Keyring::load(None, data_dir).expect("the key opens");
    let url = format!("sqlite:{}", data_dir.join("runnerly.db").display());
    Storage::open(&url, keys).await.expect("the database opens")
}

/// Compares what `runnerly stats --json` printed with the worked numbers.
pub fn assert_worked_numbers(stats: &Value) {
    assert_eq!((&stats["activities"], &stats["runs"]), (&1_132.into(), &908.into()));
    let worked = [
        (2017, 29, 334_599.8, 107_399, 109_004, 1_843.1),
        (2018, 107, 1_227_851.9, 379_559, 393_662, 8_214.7),
        (2019, 66, 675_113.7, 215_875, 217_978, 4_571.8),
        (2020, 89, 950_842.5, 304_546, 319_418, 5_755.1),
        (2021, 53, 577_065.3, 187_167, 189_123, 3_043.9),
        (2022, 93, 1_019_767.1, 342_174, 346_819, 4_888.0),
    ];
    for (year, runs, distance, moving, elapsed, gain) in worked {
        let wanted = serde_json::json!({
            "year": year, "runs": runs, "distance_m": distance,
            "moving_s": moving, "elapsed_s": elapsed, "gain_m": gain,
        });
        let found = stats["years"].as_array().and_then(|all| all.iter().find(|y| y["year"] == year));
        assert_eq!(found, Some(&wanted));
    }
    let weeks = [
        ("2025-09-22", 5, 74_640.5, 26_864),
        ("2025-09-29", 5, 84_059.4, 30_174),
        ("2025-10-06", 5, 80_484.5, 28_097),
        ("2025-10-13", 4, 55_154.2, 18_673),
    ];
    for (monday, runs, distance, moving) in weeks {
        let found = stats["weeks"].as_array().and_then(|all| all.iter().find(|w| w["week"] == monday));
        let found = found.unwrap_or_else(|| panic!("no week of {monday}"));
        assert_eq!(
            (&found["runs"], &found["distance_m"], &found["moving_s"]),
            (&runs.into(), &distance.into(), &moving.into())
        );
    }
    for (month, runs, distance) in [("2024-01", 14, 148_411.3), ("2024-02", 9, 88_497.0)] {
        let found = stats["months"].as_array().and_then(|all| all.iter().find(|m| m["month"] == month));
        let found = found.unwrap_or_else(|| panic!("no month {month}"));
        assert_eq!((&found["runs"], &found["distance_m"]), (&runs.into(), &distance.into()));
    }
}

/// Three kilometres in a quarter of an hour, this morning, a point every ten seconds.
pub fn gpx_of_today() -> String {
    let day = chrono::Utc::now().date_naive();
    let point = |i: u32| {
        let (lat, minute, second) = (48.0 + f64::from(i) * 0.0003, i / 6, i % 6 * 10);
        format!(
            r#"<trkpt lat="{lat:.6}" lon="11.5"><ele>520</ele><time>{day}T07:{minute:02}:{second:02}Z</time></trkpt>"#
        )
    };
    let points: String = (0..91).map(point).collect();
    format!(
        r#"<?xml version="1.0"?><gpx version="1.1" creator="test" xmlns="http://www.topografix.com/GPX/1/1"><trk><name>Round the lake</name><type>running</type><trkseg>{points}</trkseg></trk></gpx>"#
    )
}
