//! Properties, a second implementation and a model, over many expressions and zones.

use super::texts::*;
use super::*;
use chrono::{Datelike, Duration as Span, NaiveDateTime};
use croner::Cron;
use croner::parser::{CronParser, Seconds};
use proptest::prelude::*;
use proptest::sample::select;

/// The other implementation, told to read day fields that start with a star as we do.
fn croner(text: &str) -> Cron {
    let fields: Vec<&str> = text.split(' ').collect();
    let both = fields[3].starts_with('*') || fields[5].starts_with('*');
    CronParser::builder()
        .seconds(Seconds::Required)
        .dom_and_dow(both)
        .build()
        .parse(text)
        .unwrap_or_else(|e| panic!("croner refuses {text}: {e}"))
}

/// What croner says, as far as our years reach.
fn croner_next(cron: &Cron, after: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
    let slot = cron.find_next_occurrence(&after.with_timezone(&zone), false).ok()?;
    (slot.year() <= 2100).then(|| slot.to_utc())
}

fn agree(text: &str, zone: Tz, after: DateTime<Utc>) -> Result<(), TestCaseError> {
    let cron = croner(text);
    let Ok(expression) = Expression::parse(text) else {
        prop_assert_eq!(croner_next(&cron, after, zone), None, "{} never fires", text);
        return Ok(());
    };
    let mut from = after;
    for _ in 0..6 {
        let ours = expression.next_after(from, zone, DstPolicy::default());
        let theirs = croner_next(&cron, from, zone);
        prop_assert_eq!(ours, theirs, "{} in {} after {}", text, zone, from);
        let Some(slot) = ours else { break };
        from = slot;
    }
    Ok(())
}

/// The slots in `minutes` minutes from `start`, by watching the clock minute by minute.
fn watched(
    cron: &Cron,
    fixed: bool,
    zone: Tz,
    policy: DstPolicy,
    start: DateTime<Utc>,
    minutes: i64,
) -> Vec<DateTime<Utc>> {
    let civil = |at: DateTime<Utc>| at.with_timezone(&zone).naive_local();
    let meant = |civil: NaiveDateTime| cron.is_time_matching(&civil.and_utc()).unwrap();
    // The latest time that the clock has shown, from well before the start.
    let mut shown = (0..600).map(|m| civil(start - Span::minutes(m))).max().unwrap();
    let mut found = Vec::new();
    for minute in 1..=minutes {
        let now = start + Span::minutes(minute);
        let clock = civil(now);
        let again = clock <= shown;
        let jumped = (1..(clock - shown).num_minutes()).any(|m| meant(shown + Span::minutes(m)));
        let carried = jumped && fixed && policy.on_gap == OnGap::Run;
        let repeats = !fixed || policy.on_overlap == OnOverlap::Both;
        if carried || (meant(clock) && (!again || repeats)) {
            found.push(now);
        }
        shown = shown.max(clock);
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn slots_are_later_and_in_order(
        text in expressions(any_times()),
        zone in select(ZONES.to_vec()),
        policy in policies(),
        after in instants(),
        nanos in 0..1_000_000_000_i64,
    ) {
        let Ok(expression) = Expression::parse(&text) else { return Ok(()) };
        let after = after + Span::nanoseconds(nanos);
        let mut last = after;
        for slot in expression.upcoming(after, zone, policy).take(20) {
            prop_assert!(slot > last, "{text} in {zone}: {slot} after {last}");
            prop_assert_eq!(slot.timestamp_subsec_nanos(), 0);
            // Asked from anywhere in between, the answer is the same slot.
            let between = last + (slot - last) / 2;
            prop_assert_eq!(expression.next_after(between, zone, policy), Some(slot));
            last = slot;
        }
    }

    #[test]
    fn croner_agrees_on_fixed_times(
        text in expressions(fixed_times()), zone in select(ZONES.to_vec()), after in instants(),
    ) {
        agree(&text, zone, after)?;
    }

    #[test]
    fn croner_agrees_on_repeating_times(
        text in expressions(repeating_times()), zone in select(ZONES.to_vec()), after in instants(),
    ) {
        agree(&text, zone, after)?;
    }

    // Lists and ranges of fixed times are left out where clocks change: croner takes
    // them for repeating there, and repeats or drops a slot.
    #[test]
    fn croner_agrees_on_listed_times_where_no_clock_changes(
        text in expressions(listed_times()),
        zone in select(vec![Tz::UTC, Tz::Asia__Kolkata]),
        after in instants(),
    ) {
        agree(&text, zone, after)?;
    }

    #[test]
    fn a_watched_clock_agrees(
        (fixed, times) in prop_oneof![
            (Just(true), (several(0, 59), several(0, 3))),
            (Just(false), (several(0, 59), repeating(0, 23))),
            (Just(false), (repeating(0, 59), Just("*".to_string()))),
        ],
        zone in select(ZONES.to_vec()),
        policy in policies(),
        change in select(CHANGES.to_vec()),
        offset in 0..1_440_i64,
    ) {
        prop_assume!(fixed != (times.0.contains(['*', '/']) || times.1.contains(['*', '/'])));
        let text = format!("0 {} {} * * *", times.0, times.1);
        let start = at(&format!("{change}T06:00:00Z")) + Span::minutes(offset);
        let minutes = 1_440;
        let expected = watched(&croner(&text), fixed, zone, policy, start, minutes);
        let found: Vec<_> = read(&text)
            .upcoming(start, zone, policy)
            .take_while(|slot| *slot <= start + Span::minutes(minutes))
            .collect();
        prop_assert_eq!(found, expected, "{} in {} from {}, {:?}", text, zone, start, policy);
    }

    #[test]
    fn no_text_panics(text in any::<String>(), zone in any::<String>()) {
        let _ = (Expression::parse(&text), parse_zone(&zone));
    }

    #[test]
    fn no_nearly_right_text_panics(
        fields in prop::collection::vec("[-0-9*/,?#LWafnor@]{1,3}", 4..8), after in instants(),
    ) {
        let text = fields.join(" ");
        match Expression::parse(&text) {
            Ok(right) => {
                prop_assert_eq!(right.to_string(), text);
                let slot = right.next_after(after, Tz::UTC, DstPolicy::default());
                prop_assert!(slot.is_none_or(|slot| slot > after));
            }
            Err(error) => prop_assert!(error.to_string().contains("; "), "{}", error),
        }
    }

    #[test]
    fn intervals_keep_their_distance(seconds in 1..=31_622_400_u64, after in instants()) {
        let expression = read(&format!("@every {seconds}s"));
        let slot = expression.next_after(after, Tz::UTC, DstPolicy::default()).unwrap();
        prop_assert_eq!(slot.timestamp() % seconds as i64, 0);
        prop_assert!(slot > after && slot - after <= Span::seconds(seconds as i64));
    }
}

#[test]
fn what_the_other_implementation_says_of_each_form() {
    // The forms of the table of differences on which both must agree, from one instant.
    let after = at("2026-11-21T10:07:30Z");
    for text in [
        "0 */5 * * * *",
        "0 0 0 * * 0",
        "0 0 0 * * 1",
        "0 0 0 * * 7",
        "0 0 9 1 * MON",
        "0 0 0 L * *",
        "0 0 0 15W * *",
        "0 0 0 * * FRI#2",
        "0 0 0 * * 6L",
        "0 0 0 29 2 *",
    ] {
        let theirs = croner_next(&croner(text), after, Tz::UTC);
        assert!(theirs.is_some(), "{text}");
        assert_eq!(read(text).next_after(after, Tz::UTC, DstPolicy::default()), theirs, "{text}");
    }
}

#[test]
fn no_slot_is_dropped_where_croner_drops_one() {
    // London, 25 March 2029: 01:00 +00:00 becomes 02:00 +01:00, and both seconds lie in the gap.
    let zone = Tz::Europe__London;
    let found = slots("0,15 0 1 25 3 *", zone, DstPolicy::default(), "2029-03-24T12:00:00Z", 2);
    assert_eq!(found, ["2029-03-25 02:00:00+01:00", "2030-03-25 01:00:00+00:00"]);
}
