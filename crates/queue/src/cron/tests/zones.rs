//! Names of zones, and policies as they are written in configuration.

use super::*;

#[test]
fn zones() {
    for (text, zone) in [
        ("", Tz::UTC),
        (" ", Tz::UTC),
        ("UTC", Tz::UTC),
        ("EST5EDT", Tz::EST5EDT),
        ("America/Argentina/Ushuaia", Tz::America__Argentina__Ushuaia),
    ] {
        assert_eq!(parse_zone(text), Ok(zone), "{text}");
    }
    for text in ["Mars/Base", "+25:00", "+02:00", "local", "Europe/Berlin\n", "\u{a0}UTC"] {
        let line = parse_zone(text).unwrap_err().to_string();
        assert!(line.starts_with(&format!("time zone: {text:?} is unknown; allowed: UTC")), "{line}");
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    let line = parse_zone("america/NEW_york").unwrap_err().to_string();
    assert!(line.ends_with("such as America/New_York"), "{line}");
    let line = parse_zone(&"x".repeat(100_000)).unwrap_err().to_string();
    assert!(line.len() < 200, "{line}");
}

#[test]
fn policies_are_words() {
    let policy: DstPolicy = serde_json::from_str(r#"{"on_gap":"skip","on_overlap":"both"}"#).unwrap();
    assert_eq!(policy, DstPolicy { on_gap: OnGap::Skip, on_overlap: OnOverlap::Both });
    assert_eq!(serde_json::from_str::<DstPolicy>("{}").unwrap(), DstPolicy::default());
    for wrong in [r#"{"on_gap":"twice"}"#, r#"{"on_gpa":"run"}"#] {
        assert!(serde_json::from_str::<DstPolicy>(wrong).is_err(), "{wrong}");
    }
}
