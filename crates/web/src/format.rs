//! Numbers, times and dates as people read them.

use chrono::{DateTime, Local, NaiveDate, NaiveDateTime, Utc};
use runnerly::stats::pace;
use runnerly::storage::Message;

/// What stands where there is no value.
pub(crate) const NONE: &str = "–";

/// Metres as kilometres with one decimal and thousands apart: `1,234.5`.
pub(crate) fn km(metres: f64) -> String {
    let tenths = (metres / 100.0).round().max(0.0) as u64;
    format!("{}.{}", count(tenths / 10), tenths % 10)
}

/// A whole number with thousands apart.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (k, digit) in digits.chars().enumerate() {
        if k > 0 && (digits.len() - k).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Metres climbed: `123 m`.
pub(crate) fn metres(metres: f64) -> String {
    format!("{} m", count(metres.round().max(0.0) as u64))
}

/// Seconds per kilometre as `5:12 /km`.
pub(crate) fn pace_km(seconds: Option<f64>) -> String {
    seconds.map_or(NONE.into(), |seconds| format!("{} /km", pace::clock(seconds)))
}

/// Beats per minute.
pub(crate) fn bpm(hr: Option<f64>) -> String {
    hr.map_or(NONE.into(), |hr| format!("{hr:.0}"))
}

/// Seconds as a clock shows them.
pub(crate) fn clock(seconds: i64) -> String {
    pace::clock(seconds as f64)
}

/// Seconds over weeks and years: `123 h 05 min`.
pub(crate) fn hours(seconds: i64) -> String {
    let minutes = seconds.max(0) / 60;
    match minutes / 60 {
        0 => format!("{minutes} min"),
        hours => format!("{} h {:02} min", count(hours as u64), minutes % 60),
    }
}

/// `Sat, 21 Nov 2026`.
pub(crate) fn day(day: NaiveDate) -> String {
    day.format("%a, %-d %b %Y").to_string()
}

/// `21 Nov 2026`.
pub(crate) fn date(day: NaiveDate) -> String {
    day.format("%-d %b %Y").to_string()
}

/// `Sat, 21 Nov 2026, 07:12`.
pub(crate) fn moment(at: NaiveDateTime) -> String {
    at.format("%a, %-d %b %Y, %H:%M").to_string()
}

/// How long ago, in the largest unit that fits.
pub(crate) fn ago(at: DateTime<Utc>) -> String {
    let seconds = (Utc::now() - at).num_seconds();
    let plural = |n: i64, unit: &str| format!("{n} {unit}{} ago", if n == 1 { "" } else { "s" });
    match seconds {
        ..45 => "just now".into(),
        45..5_400 => plural((seconds + 30) / 60, "minute"),
        5_400..129_600 => plural((seconds + 1_800) / 3_600, "hour"),
        _ => plural((seconds + 43_200) / 86_400, "day"),
    }
}

/// Bytes as `3.2 MB`.
pub(crate) fn bytes(size: i64) -> String {
    match size {
        ..1_000 => format!("{size} B"),
        1_000..1_000_000 => format!("{:.0} kB", size as f64 / 1e3),
        _ => format!("{:.1} MB", size as f64 / 1e6),
    }
}

/// `run` or `runs`.
pub(crate) fn runs(number: u64) -> String {
    format!("{} {}", count(number), if number == 1 { "run" } else { "runs" })
}

/// What was planned: `10.0 km · 50:00`; nothing where no figure was.
pub(crate) fn planned(distance_m: Option<f64>, duration_s: Option<i64>) -> String {
    let parts = [distance_m.map(|m| format!("{} km", km(m))), duration_s.map(clock)];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// `New run: 10.2 km in 51:20 (Morning run) – Tuesday's tempo run`.
pub(crate) fn message(message: &Message) -> String {
    let (km, time) = (km(message.distance_m), clock(message.moving_s));
    let name = match message.name.trim() {
        "" => "untitled",
        name => name,
    };
    let planned = message.planned.as_ref();
    let planned =
        planned.map_or_else(String::new, |plan| format!(" – matched {}’s {plan}", message.day.format("%A")));
    format!("New run: {km} km in {time} ({name}){planned}")
}

/// Today where the server is.
pub(crate) fn today() -> NaiveDate {
    Local::now().date_naive()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_once_and_grouped() {
        assert_eq!([0.0, 949.9, 9_999.0, 1_234_567.0].map(km), ["0.0", "0.9", "10.0", "1,234.6"]);
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!((hours(3_661), metres(1_234.5)), ("1 h 01 min".into(), "1,235 m".into()));
        assert_eq!(
            (km(f64::NAN), pace_km(None), bytes(32_000_000)),
            ("0.0".into(), "–".into(), "32.0 MB".into())
        );
    }

    #[test]
    fn ago_uses_the_unit_that_fits() {
        let at = |seconds| ago(Utc::now() - chrono::TimeDelta::seconds(seconds));
        assert_eq!(
            [at(-50), at(60), at(7_200), at(86_400 * 3)],
            ["just now", "1 minute ago", "2 hours ago", "3 days ago"]
        );
    }
}
