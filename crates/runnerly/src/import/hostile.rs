//! Files that are broken or mean harm.

use super::{MAX_BYTES, MAX_SAMPLES, parse};
use crate::run::recordings::recording;
use proptest::prelude::*;

fn refused(bytes: &[u8]) -> String {
    let message = parse("f.x", bytes).unwrap_err().to_string();
    assert!(message.starts_with("f.x: ") && message.len() < 400 && !message.contains('\n'), "{message:?}");
    message
}

fn gpx(points: &str) -> String {
    format!("<gpx><trk><trkseg>{points}</trkseg></trk></gpx>")
}

fn point(lat: &str, lon: &str, rest: &str) -> String {
    format!(r#"<trkpt lat="{lat}" lon="{lon}"><time>2024-05-01T06:00:00Z</time>{rest}</trkpt>"#)
}

#[test]
fn what_is_not_a_run_is_refused_in_one_line() {
    let cases: [(&[u8], &str); 12] = [
        (b"", "f.x: is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "f.x: is not a GPX, TCX or FIT file"),
        (b"hello", "f.x: is not a GPX, TCX or FIT file"),
        (b"\x1f\x8b\x08", "f.x: is compressed with gzip; unpack it first"),
        (b"PK\x03\x04", "f.x: is a ZIP archive; unpack it first"),
        (b"\xff\xfe<\0", "f.x: is UTF-16; XML must be UTF-8"),
        (b"<html><body/></html>", "f.x: is XML, but its root <html> is neither GPX nor TCX"),
        (b"<gpx>\xff</gpx>", "f.x: is not UTF-8 at byte 5"),
        (b"<gpx></gpx>", "f.x: is GPX without a track point"),
        (b"<TrainingCenterDatabase/>", "f.x: is TCX without an activity"),
        (b"<!-- -->", "f.x: ends before its first XML element"),
        (b"\x0e\x10\0\0\0\0\0\0.FIT", "f.x: is cut off: it has 12 bytes of 16"),
    ];
    for (bytes, expected) in cases {
        assert_eq!(refused(bytes), expected);
    }
}

#[test]
fn a_name_cannot_break_the_line() {
    let message = parse(&format!("a\nb\x1b[31m{}", "x".repeat(500)), b"").unwrap_err().to_string();
    assert!(message.starts_with("ab[31mxxx") && message.ends_with(": is empty") && message.len() < 120);
}

#[test]
fn bad_numbers_are_named() {
    for (points, expected) in [
        (point("NaN", "8", ""), "lat of track point 1 is NaN; allowed is -90 to 90"),
        (point("95", "8", ""), "lat of track point 1 is 95; allowed is -90 to 90"),
        (point("50", "inf", ""), "lon of track point 1 is inf; allowed is -180 to 180"),
        (point("50", "8", "<ele>1e999</ele>"), "ele of track point 1 is inf; allowed is -12000 to 100000"),
        (point("50", "8", "<ele>high</ele>"), "ele of track point 1 is \"high\"; expected a number"),
        (
            point("50", "8", "<extensions><hr>-3</hr></extensions>"),
            "hr of track point 1 is -3; allowed is 0 to 1000",
        ),
        (point("50", "8", "<time>noon</time>"), "time of track point 1 is \"noon\"; expected a time such as"),
        ("<trkpt lat='1' lon='1'/>".to_owned(), "has no sample with a time"),
        ("<trkpt lat='1'/>".to_owned(), "track point 1 has no lon"),
    ] {
        let message = refused(gpx(&points).as_bytes());
        assert!(message.starts_with(&format!("f.x: {expected}")), "{message}");
    }
    let early = gpx("<trkpt lat='1' lon='1'><time>0001-01-01T00:00:00Z</time></trkpt>");
    assert!(refused(early.as_bytes()).contains("allowed is 1980 to 2099"));
}

#[test]
fn bombs_are_refused() {
    let bomb = r#"<!DOCTYPE gpx [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><gpx><trk><name>&b;</name></trk></gpx>"#;
    assert_eq!(refused(bomb.as_bytes()), "f.x: has a DOCTYPE, which is not accepted");
    let entity = "<gpx><trk><name>&b;</name></trk></gpx>";
    assert_eq!(refused(entity.as_bytes()), "f.x: has the entity &b; which is not one of XML's own");
    let nested = format!("<gpx>{}", "<a>".repeat(1_000_000));
    assert_eq!(refused(nested.as_bytes()), "f.x: is nested deeper than 64 elements");
    assert!(refused(&vec![b'<'; MAX_BYTES + 1]).contains("allowed are 33554432 (32 MiB)"));
    let many = gpx(&"<trkpt lat='1' lon='1'/>".repeat(MAX_SAMPLES + 1));
    assert_eq!(refused(many.as_bytes()), format!("f.x: has more than {MAX_SAMPLES} samples"));
}

#[test]
fn escapes_and_pauses_are_understood() {
    let at = |second: u32, lat: f64| {
        format!("<trkpt lat='{lat}' lon='8'><time>2024-05-01T06:00:{second:02}+02:00</time></trkpt>")
    };
    let pause =
        format!("{}{}</trkseg><trkseg>{}{}", at(0, 50.0), at(30, 50.001), at(40, 50.5), at(50, 50.5002));
    let text = gpx(&pause).replacen("<trk>", "<trk><name>A &amp; B&#33;</name>", 1);
    let run = parse("x", format!("\u{feff} \n{text}").as_bytes()).unwrap();
    assert_eq!((run.name.as_str(), run.elapsed_s, run.moving_s), ("A & B!", 50, 40));
    assert_eq!(run.distance_m.round(), 133.0);
}

#[test]
fn truncated_at_any_length_a_file_is_refused_in_one_line() {
    for (name, step) in [
        ("run-nike.gpx", 3001),
        ("run-garmin-hr.tcx", 3001),
        ("run-fenix5-short.fit", 13),
        ("run-fr645m.fit", 997),
    ] {
        let Some(bytes) = recording(name) else {
            continue;
        };
        for length in (0..bytes.trim_ascii_end().len()).step_by(step) {
            refused(&bytes[..length]);
        }
    }
}

#[test]
fn a_flipped_bit_in_a_fit_never_panics_and_is_mostly_noticed() {
    let Some(bytes) = recording("run-fenix5-short.fit") else {
        return;
    };
    let (mut noticed, mut tried) = (0, 0);
    for at in (0..bytes.len()).filter(|at| *at < 100 || at % 11 == 0) {
        tried += 1;
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        noticed += usize::from(parse("f.fit", &damaged).is_err());
    }
    assert!(noticed * 100 > tried * 99, "{noticed} of {tried}");
}

proptest! {
    #[test]
    fn noise_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        refused(&bytes);
    }

    #[test]
    fn noise_behind_a_fit_header_is_refused(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut file = vec![12, 16, 0, 0];
        file.extend((body.len() as u32).to_le_bytes());
        file.extend(b".FIT");
        file.extend(&body);
        file.extend([0, 0]);
        // Noise can be well-formed by chance, but it never panics.
        let _ = parse("f.fit", &file);
    }

    #[test]
    fn mangled_xml_never_panics(cut in 0usize..400, junk in "[<>&;/a-z\"= ]{0,12}") {
        let text = gpx(&point("50", "8", "<ele>3</ele>").repeat(3));
        let cut = cut.min(text.len());
        let _ = parse("f.gpx", format!("{}{junk}{}", &text[..cut], &text[cut..]).as_bytes());
    }
}
