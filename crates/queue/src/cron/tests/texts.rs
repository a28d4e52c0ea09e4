//! Expressions, zones and instants to try, with a liking for days on which clocks change.

use super::*;
use chrono::Duration as Span;
use proptest::prelude::*;
use proptest::sample::select;

pub(super) const ZONES: [Tz; 9] = [
    Tz::UTC,
    Tz::America__New_York,
    Tz::Europe__Berlin,
    Tz::Australia__Lord_Howe,
    Tz::America__Santiago,
    Tz::Africa__Cairo,
    Tz::Asia__Kolkata,
    Tz::Africa__Casablanca,
    Tz::Antarctica__Troll,
];

/// Noon of the day before a change of clocks in one of the zones.
pub(super) const CHANGES: [&str; 14] = [
    "2026-03-07",
    "2026-10-31",
    "2026-03-28",
    "2026-10-24",
    "2026-04-04",
    "2026-10-03",
    "2026-04-04",
    "2026-09-05",
    "2026-04-23",
    "2026-10-29",
    "2026-02-14",
    "2026-03-21",
    "2027-03-13",
    "2027-10-30",
];

pub(super) fn policies() -> impl Strategy<Value = DstPolicy> {
    (select(vec![OnGap::Run, OnGap::Skip]), select(vec![OnOverlap::Once, OnOverlap::Both]))
        .prop_map(|(on_gap, on_overlap)| DstPolicy { on_gap, on_overlap })
}

/// Instants close to a change of clocks, or anywhere from 1970 to 2095.
pub(super) fn instants() -> impl Strategy<Value = DateTime<Utc>> {
    let near = (select(CHANGES.to_vec()), -20_000..130_000_i64)
        .prop_map(|(day, seconds)| at(&format!("{day}T12:00:00Z")) + Span::seconds(seconds));
    let anywhere = (0..3_944_000_000_i64).prop_map(|s| DateTime::from_timestamp(s, 0).unwrap());
    prop_oneof![3 => near, 1 => anywhere]
}

pub(super) fn one(min: u32, max: u32) -> impl Strategy<Value = String> {
    (min..=max).prop_map(|value| value.to_string())
}

pub(super) fn several(min: u32, max: u32) -> impl Strategy<Value = String> {
    let range = (min..=max, min..=max).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b)));
    let items = prop_oneof![one(min, max), range];
    prop::collection::vec(items, 1..4).prop_map(|items| items.join(","))
}

pub(super) fn repeating(min: u32, max: u32) -> impl Strategy<Value = String> {
    let step = (1..=max - min).prop_map(|step| format!("*/{step}"));
    let part = (min..=max, min..=max, 1..=max - min)
        .prop_map(|(a, b, step)| format!("{}-{}/{step}", a.min(b), a.max(b)));
    prop_oneof![Just("*".to_string()), step, part]
}

/// Seconds, minute and hour: one fixed time of day.
pub(super) fn fixed_times() -> impl Strategy<Value = String> {
    (one(0, 59), one(0, 59), one(0, 5)).prop_map(|(s, m, h)| format!("{s} {m} {h}"))
}

/// Seconds, minute and hour, at least one of which repeats.
pub(super) fn repeating_times() -> impl Strategy<Value = String> {
    let any = |min, max| prop_oneof![several(min, max), repeating(min, max)];
    prop_oneof![
        (any(0, 59), any(0, 59), repeating(0, 23)),
        (any(0, 59), repeating(0, 59), any(0, 23)),
        (repeating(0, 59), any(0, 59), any(0, 23)),
    ]
    .prop_filter("a step of its own", |(s, m, h)| [s, m, h].iter().any(|f| f.contains(['*', '/'])))
    .prop_map(|(s, m, h)| format!("{s} {m} {h}"))
}

/// Seconds, minute and hour as lists and ranges.
pub(super) fn listed_times() -> impl Strategy<Value = String> {
    (several(0, 59), several(0, 59), several(0, 23)).prop_map(|(s, m, h)| format!("{s} {m} {h}"))
}

/// Day of month, month and day of week.
pub(super) fn days() -> impl Strategy<Value = String> {
    let day = prop_oneof![
        4 => Just("*".to_string()),
        2 => several(1, 31),
        1 => repeating(1, 31),
        1 => Just("L".to_string()),
        1 => Just("LW".to_string()),
        1 => (1..=31).prop_map(|n| format!("{n}W")),
        1 => (1..=31, 1..=31).prop_map(|(n, m)| format!("{n},{m}W")),
    ];
    let month = prop_oneof![3 => Just("*".to_string()), 1 => several(1, 12)];
    let weekday = prop_oneof![
        4 => Just("*".to_string()),
        2 => several(0, 7),
        1 => repeating(0, 6),
        1 => (0..=7, 1..=5).prop_map(|(d, n)| format!("{d}#{n}")),
        1 => (0..=7).prop_map(|d| format!("{d}L")),
        1 => select(vec!["MON-FRI", "sat,SUN", "FRI#2,TUE"]).prop_map(String::from),
    ];
    (day, month, weekday).prop_map(|(d, m, w)| format!("{d} {m} {w}"))
}

pub(super) fn expressions(times: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (times, days()).prop_map(|(times, days)| format!("{times} {days}"))
}

pub(super) fn any_times() -> impl Strategy<Value = String> {
    prop_oneof![fixed_times(), repeating_times(), listed_times()]
}
