//! What is accepted, and what it means in UTC.

use super::*;

fn next(text: &str) -> String {
    // A Saturday.
    let after = "2026-11-21T10:07:30Z";
    slots(text, Tz::UTC, DstPolicy::default(), after, 1)
        .pop()
        .map(|slot| slot.trim_end_matches("+00:00").to_owned())
        .unwrap_or_else(|| panic!("{text} has no slot"))
}

#[test]
fn fields_and_shorthands() {
    for (text, expected) in [
        ("*/5 * * * *", "2026-11-21 10:10:00"),
        ("* * * * * *", "2026-11-21 10:07:31"),
        ("*/20 * * * * *", "2026-11-21 10:07:40"),
        ("15 30 9 * * *", "2026-11-22 09:30:15"),
        ("0\t12  * * *", "2026-11-21 12:00:00"),
        ("  0 12 * * * ", "2026-11-21 12:00:00"),
        ("5/15 * * * *", "2026-11-21 10:20:00"),
        ("10-40/10 * * * *", "2026-11-21 10:10:00"),
        ("0,59,9 * * * *", "2026-11-21 10:09:00"),
        ("00 07 * * *", "2026-11-22 07:00:00"),
        ("*/60 * * * *", "2026-11-21 11:00:00"),
        ("0 0 1 JAN,jul *", "2027-01-01 00:00:00"),
        ("0 0 1 feb-apr/2 *", "2027-02-01 00:00:00"),
        ("0 0 29 2 *", "2028-02-29 00:00:00"),
        ("0 0 ? * MON", "2026-11-23 00:00:00"),
        ("0 0 1 * ?", "2026-12-01 00:00:00"),
        ("@yearly", "2027-01-01 00:00:00"),
        ("@annually", "2027-01-01 00:00:00"),
        ("@monthly", "2026-12-01 00:00:00"),
        ("@weekly", "2026-11-22 00:00:00"),
        ("@daily", "2026-11-22 00:00:00"),
        ("@Midnight", "2026-11-22 00:00:00"),
        ("@hourly", "2026-11-21 11:00:00"),
    ] {
        assert_eq!(next(text), expected, "{text}");
    }
}

#[test]
fn weekdays_are_numbered_as_in_vixie_cron() {
    for (text, expected) in [
        ("0 0 * * 0", "2026-11-22"),
        ("0 0 * * 7", "2026-11-22"),
        ("0 0 * * sun", "2026-11-22"),
        ("0 0 * * 1", "2026-11-23"),
        ("0 0 * * 6", "2026-11-28"),
        ("0 0 * * MON-FRI", "2026-11-23"),
        ("0 0 * * 6-7", "2026-11-22"),
        ("0 0 * * SAT-SUN", "2026-11-22"),
        ("0 0 * * */3", "2026-11-22"),
        ("0 0 * * 2/2", "2026-11-24"),
    ] {
        assert_eq!(dates(text, "2026-11-21T10:00:00Z", 1), [expected], "{text}");
    }
    // Sunday counts once: 0, 2, 4, 6.
    assert_eq!(
        dates("0 0 * * */2", "2026-11-21T10:00:00Z", 5),
        ["2026-11-22", "2026-11-24", "2026-11-26", "2026-11-28", "2026-11-29"]
    );
}

#[test]
fn either_day_field_is_enough_when_both_restrict() {
    assert_eq!(dates("0 9 1 * MON", "2026-11-21T10:00:00Z", 3), ["2026-11-23", "2026-11-30", "2026-12-01"]);
    assert_eq!(
        dates("0 0 15W,L * FRI#2", "2026-11-01T00:00:00Z", 4),
        ["2026-11-13", "2026-11-16", "2026-11-30", "2026-12-11"]
    );
    // A day that never comes leaves the other field alone.
    assert_eq!(dates("0 0 30 2 MON", "2027-02-20T00:00:00Z", 2), ["2027-02-22", "2028-02-07"]);
    // A field that starts with a star does not count as restricted.
    assert_eq!(dates("0 0 */2 * MON", "2026-11-21T10:00:00Z", 3), ["2026-11-23", "2026-12-07", "2026-12-21"]);
    assert_eq!(dates("0 0 1 * */2", "2026-11-21T10:00:00Z", 2), ["2026-12-01", "2027-04-01"]);
}

#[test]
fn last_days_and_nearest_weekdays() {
    for (text, expected) in [
        // 31 Jan 2027 is a Sunday, 28 Feb too, 31 Mar a Wednesday.
        ("0 0 L * *", ["2027-01-31", "2027-02-28", "2027-03-31"]),
        ("0 0 LW * *", ["2027-01-29", "2027-02-26", "2027-03-31"]),
        ("0 0 lw,l * *", ["2027-01-29", "2027-01-31", "2027-02-26"]),
        // 15 May 2027 is a Saturday, 15 Aug a Sunday.
        ("0 0 15W 5-8 *", ["2027-05-14", "2027-06-15", "2027-07-15"]),
        ("0 0 15w 8 *", ["2027-08-16", "2028-08-15", "2029-08-15"]),
        // 1 May 2027 is a Saturday: not back into April.
        ("0 0 1W 4-6 *", ["2027-04-01", "2027-05-03", "2027-06-01"]),
        // 31 Jan is a Sunday: not on into February, which has no 31st.
        ("0 0 31W * *", ["2027-01-29", "2027-03-31", "2027-05-31"]),
        ("0 0 * * FRI#2", ["2027-01-08", "2027-02-12", "2027-03-12"]),
        ("0 0 * * 5#5", ["2027-01-29", "2027-04-30", "2027-07-30"]),
        ("0 0 * * 7#1", ["2027-01-03", "2027-02-07", "2027-03-07"]),
        ("0 0 * * 6L", ["2027-01-30", "2027-02-27", "2027-03-27"]),
        ("0 0 * * SunL", ["2027-01-31", "2027-02-28", "2027-03-28"]),
        ("0 0 * * 1#1,1L", ["2027-01-04", "2027-01-25", "2027-02-01"]),
    ] {
        assert_eq!(dates(text, "2027-01-01T00:00:00Z", 3), expected, "{text}");
    }
    let leap = dates("0 0 L 2 *", "2028-01-01T00:00:00Z", 2);
    assert_eq!(leap, ["2028-02-29", "2029-02-28"]);
}

#[test]
fn intervals_are_counted_from_the_epoch() {
    for (text, seconds) in [
        ("@every 1s", 1),
        ("@every 90s", 90),
        ("@every 15m", 900),
        ("@every 1h30m", 5_400),
        ("@EVERY  1h 30min ", 5_400),
        ("@every\t366d", 366 * 86_400),
        ("@every 366days", 366 * 86_400),
    ] {
        assert_eq!(read(text).every(), Some(Duration::from_secs(seconds)), "{text}");
    }
    let every = read("@every 90s");
    let slot = |after| every.next_after(at(after), Tz::Asia__Kolkata, DstPolicy::default()).unwrap();
    // Whoever asks, and whenever: the same slots.
    assert_eq!(slot("2026-11-21T00:00:00Z"), at("2026-11-21T00:01:30Z"));
    assert_eq!(slot("2026-11-21T00:01:29.9Z"), at("2026-11-21T00:01:30Z"));
    assert_eq!(slot("2026-11-21T00:01:30Z"), at("2026-11-21T00:03:00Z"));
    assert_eq!(slot("1969-12-31T23:59:59.5Z"), at("1970-01-01T00:00:00Z"));
}

#[test]
fn slots_lie_strictly_after_and_on_whole_seconds() {
    let noon = read("0 12 * * *");
    for (after, expected) in [
        ("2026-11-21T11:59:59.999999999Z", "2026-11-21T12:00:00Z"),
        ("2026-11-21T12:00:00Z", "2026-11-22T12:00:00Z"),
        ("2026-11-21T12:00:00.000000001Z", "2026-11-22T12:00:00Z"),
        ("2026-12-31T23:59:59Z", "2027-01-01T12:00:00Z"),
    ] {
        let slot = noon.next_after(at(after), Tz::UTC, DstPolicy::default());
        assert_eq!(slot, Some(at(expected)), "{after}");
    }
}

#[test]
fn the_ends_of_time_are_no_panic() {
    let policy = DstPolicy::default();
    for zone in [Tz::UTC, Tz::Pacific__Kiritimati, Tz::Pacific__Niue] {
        for text in ["* * * * *", "0 0 L * FRI#2", "0 0 1 1 *"] {
            let expression = read(text);
            let first = expression.next_after(DateTime::<Utc>::MIN_UTC, zone, policy);
            assert_eq!(first, expression.next_after(at("1969-12-30T00:00:00Z"), zone, policy));
            assert!(first.is_some(), "{text}");
            for end in [DateTime::<Utc>::MAX_UTC, at("2101-01-01T00:00:00Z")] {
                assert_eq!(expression.next_after(end, zone, policy), None, "{text}");
            }
        }
    }
    let every = read("@every 366d");
    assert_eq!(every.next_after(DateTime::<Utc>::MAX_UTC, Tz::UTC, policy), None);
    assert!(every.next_after(DateTime::<Utc>::MIN_UTC, Tz::UTC, policy).is_some());
    assert_eq!(read("0 0 29 2 *").next_after(at("2096-03-01T00:00:00Z"), Tz::UTC, policy), None);
}

#[test]
fn expressions_are_their_text() {
    let expression = read(" 0 0 * * * ");
    assert_eq!(expression.to_string(), "0 0 * * *");
    assert_eq!(format!("{expression:>12}"), "   0 0 * * *");
    assert_eq!(format!("{expression:?}"), r#"Expression("0 0 * * *")"#);
    assert_eq!(expression, "0 0 * * *".parse().unwrap());
    assert_ne!(expression, read("@daily"));
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    shared(&expression);
}
