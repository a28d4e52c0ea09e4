//! `@every`: slots at a fixed distance, counted from the Unix epoch.

use super::CronError;
use chrono::{DateTime, Utc};

const LONGEST: u64 = 366 * 86_400;

/// Reads `90s` or `1h 30m` as seconds.
pub(super) fn parse(text: &str) -> Result<u64, CronError> {
    let fail = |problem| CronError::Every { value: text.into(), problem };
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = take(rest, |b| b.is_ascii_digit());
        if number.is_empty() {
            return Err(fail("is not a duration"));
        }
        let (unit, after) = take(after, |b| b.is_ascii_alphabetic());
        let unit = match unit.to_ascii_lowercase().as_str() {
            "s" | "sec" | "secs" | "second" | "seconds" => 1,
            "m" | "min" | "mins" | "minute" | "minutes" => 60,
            "h" | "hr" | "hrs" | "hour" | "hours" => 3_600,
            "d" | "day" | "days" => 86_400,
            "" => return Err(fail("has a number without a unit")),
            _ => return Err(fail("has an unknown unit")),
        };
        // A number beyond the type saturates, and is then out of range.
        let part = number.parse().unwrap_or(u64::MAX).saturating_mul(unit);
        total = total.saturating_add(part);
        rest = after.trim_start_matches([' ', '\t']);
    }
    match total {
        _ if text.is_empty() => Err(fail("is not a duration")),
        0 => Err(fail("is too short")),
        1..=LONGEST => Ok(total),
        _ => Err(fail("is too long")),
    }
}

/// The longest start of `text` whose bytes all pass, and what follows it. ASCII only.
fn take(text: &str, pass: impl Fn(u8) -> bool) -> (&str, &str) {
    text.split_at(text.bytes().take_while(|&b| pass(b)).count())
}

/// The first multiple of `every` seconds since the epoch that lies after `after`.
pub(super) fn next_after(every: u64, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let every = i64::try_from(every).ok()?;
    let passed = after.timestamp().div_euclid(every);
    DateTime::from_timestamp((passed + 1).checked_mul(every)?, 0)
}
