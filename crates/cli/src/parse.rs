//! The values that options take. Each error names the field, what was wrong and what is
//! allowed.

use chrono::{DateTime, Utc};
use legwork::backend::redis::Role;
use legwork::{JobId, LimitKey, State};
use std::time::Duration;

/// Ten years: the longest that a job waits or a queue is paused.
const LONGEST: Duration = Duration::from_secs(3_652 * 86_400);

type Parsed<T> = Result<T, String>;

pub(crate) fn role(text: &str) -> Parsed<Role> {
    text.parse().map_err(|e: legwork::Error| e.to_string())
}

/// Major and minor number of a Redis; what follows is not asked for.
pub(crate) fn version(text: &str) -> Parsed<(u32, u32)> {
    let mut parts = text.splitn(3, '.').map(str::parse);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor)), None | Some(Ok(_))) if major < 100 && minor < 100 => {
            Ok((major, minor))
        }
        _ => Err(format!("server version: {text:?} is none; use X.Y, as 7.2")),
    }
}

/// The number of a known hole, as `CVE-2024-46981`.
pub(crate) fn cve(text: &str) -> Parsed<String> {
    let digits = |part: Option<&str>, least| {
        part.is_some_and(|part| part.len() >= least && part.bytes().all(|b| b.is_ascii_digit()))
    };
    let upper = text.to_ascii_uppercase();
    let mut parts = upper.split('-');
    let good = parts.next() == Some("CVE") && digits(parts.next(), 4) && digits(parts.next(), 4);
    match good && parts.next().is_none() {
        true => Ok(upper),
        false => Err(format!("accept: {} is no CVE; use CVE-YEAR-NUMBER, as CVE-2024-46981", quoted(text))),
    }
}

pub(crate) fn user(text: &str) -> Parsed<String> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    match text {
        "" => Err("user: is empty; use letters, digits, . _ and -".into()),
        _ if text.chars().all(good) => Ok(text.into()),
        _ => Err(format!("user: {text:?}: use letters, digits, . _ and -")),
    }
}

pub(crate) fn sha256(text: &str) -> Parsed<String> {
    let hex = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    // Not shown: it might be the password itself.
    hex.then(|| text.to_lowercase())
        .ok_or("password hash: is not a SHA-256; use 64 hexadecimal digits".into())
}

pub(crate) fn queue(text: &str) -> Parsed<String> {
    legwork::check_queue_name(text).map_err(|e| e.to_string())?;
    Ok(text.into())
}

pub(crate) fn name(text: &str) -> Parsed<String> {
    legwork::check_job_name(text).map_err(|e| e.to_string())?;
    Ok(text.into())
}

pub(crate) fn id(text: &str) -> Parsed<JobId> {
    text.parse().map_err(|e: legwork::Error| e.to_string())
}

pub(crate) fn state(text: &str) -> Parsed<State> {
    text.parse().map_err(|e: legwork::Error| e.to_string())
}

/// `KEY` or `KEY=VALUE`.
pub(crate) fn meta(text: &str) -> Parsed<(String, Option<String>)> {
    let (key, value) = text.split_once('=').map_or((text, None), |(key, value)| (key, Some(value)));
    if key.is_empty() {
        return Err(format!("meta: {} has no key; use KEY or KEY=VALUE", quoted(text)));
    }
    Ok((key.into(), value.map(Into::into)))
}

/// `KEY=VALUE`.
pub(crate) fn label(text: &str) -> Parsed<(String, String)> {
    match meta(text)? {
        (key, Some(value)) => Ok((key, value)),
        _ => Err(format!("meta: {} has no value; use KEY=VALUE", quoted(text))),
    }
}

/// `NAME/KEY`; what either may be is checked by the library.
pub(crate) fn limit_key(text: &str) -> Parsed<LimitKey> {
    match text.split_once('/') {
        Some((name, key)) if !name.is_empty() && !key.is_empty() => Ok(LimitKey::new(name, key)),
        _ => Err(format!("limit: {} is not NAME/KEY, as strava.athlete/7", quoted(text))),
    }
}

pub(crate) fn cost(text: &str) -> Parsed<u32> {
    number("cost", text, 1, 1_000_000)
}

pub(crate) fn fingerprint(text: &str) -> Parsed<String> {
    if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return Ok(text.into());
    }
    Err(format!("error: {} is not a fingerprint; legwork errors lists them", quoted(text)))
}

pub(crate) fn since(text: &str) -> Parsed<DateTime<Utc>> {
    past("since", text)
}

pub(crate) fn before(text: &str) -> Parsed<DateTime<Utc>> {
    past("until", text)
}

/// An instant, or how long ago it was.
fn past(field: &str, text: &str) -> Parsed<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.to_utc());
    }
    let ago =
        duration(field, text).map_err(|line| format!("{line}, or an instant (2026-12-24T18:00:00Z)"))?;
    Ok(Utc::now() - ago)
}

pub(crate) fn limit(text: &str) -> Parsed<usize> {
    number("limit", text, 1, 1_000).map(|n| n as usize)
}

pub(crate) fn permits(text: &str) -> Parsed<usize> {
    number("permits", text, 1, 10_000).map(|n| n as usize)
}

pub(crate) fn priority(text: &str) -> Parsed<u8> {
    number("priority", text, 0, 9).map(|n| n as u8)
}

pub(crate) fn attempts(text: &str) -> Parsed<u32> {
    number("max-attempts", text, 1, u32::MAX)
}

fn number(field: &str, text: &str, least: u32, most: u32) -> Parsed<u32> {
    match text.parse() {
        Ok(n) if (least..=most).contains(&n) => Ok(n),
        _ => Err(format!("{field}: {} is not a whole number from {least} to {most}", quoted(text))),
    }
}

pub(crate) fn delay(text: &str) -> Parsed<Duration> {
    duration("delay", text)
}

pub(crate) fn pause(text: &str) -> Parsed<Duration> {
    let span = duration("for", text)?;
    if span.is_zero() {
        return Err("for: a pause of no time is not allowed; use 1ms or more".into());
    }
    Ok(span)
}

fn duration(field: &str, text: &str) -> Parsed<Duration> {
    use humantime::DurationError::{NumberOverflow, UnknownUnit};
    const ALLOWED: &str = "use a number with a unit: 500ms, 5s, 10m, 2h, 7d";
    let given = quoted(text);
    if text.trim_start().starts_with('-') {
        return Err(format!("{field}: {given} is negative; {ALLOWED}"));
    }
    let span = match humantime::parse_duration(text) {
        Ok(_) if bare(text) => return Err(format!("{field}: {given} has no unit; {ALLOWED}")),
        Ok(span) => span,
        Err(NumberOverflow) if !text.contains('.') => LONGEST * 2,
        Err(UnknownUnit { unit, .. }) if unit.is_empty() => {
            return Err(format!("{field}: {given} has no unit; {ALLOWED}"));
        }
        Err(UnknownUnit { unit, .. }) => {
            return Err(format!("{field}: {given} has the unknown unit {}; {ALLOWED}", quoted(&unit)));
        }
        Err(_) => return Err(format!("{field}: {given} is not a duration; {ALLOWED}")),
    };
    if span > LONGEST {
        return Err(format!("{field}: {given} is more than ten years, which is not allowed"));
    }
    Ok(span)
}

/// Whether it is a number alone: a `0` without a unit is taken by the duration's grammar.
fn bare(text: &str) -> bool {
    text.trim().bytes().all(|b| b.is_ascii_digit())
}

pub(crate) fn at(text: &str) -> Parsed<DateTime<Utc>> {
    instant("at", text)
}

fn instant(field: &str, text: &str) -> Parsed<DateTime<Utc>> {
    const ALLOWED: &str = "use RFC 3339 with a zone: 2026-12-24T18:00:00Z or 2026-12-24T18:00:00+01:00";
    DateTime::parse_from_rfc3339(text)
        .map(|at| at.to_utc())
        .map_err(|e| format!("{field}: {} is not an instant ({e}); {ALLOWED}", quoted(text)))
}

pub(crate) fn until(text: &str) -> Parsed<DateTime<Utc>> {
    let at = instant("until", text)?;
    let away = at - Utc::now();
    if away <= chrono::Duration::zero() {
        return Err(format!("until: {} has passed already", quoted(text)));
    }
    if away.to_std().is_ok_and(|away| away > LONGEST) {
        return Err(format!("until: {} is more than ten years away, which is not allowed", quoted(text)));
    }
    Ok(at)
}

/// What was given, escaped and not longer than a line.
fn quoted(text: &str) -> String {
    format!("{:?}", crate::words::cut(text, 60))
}

/// A rule that is given, or lifted with `none`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Said<T>(pub(crate) Option<T>);

impl<T> Said<T> {
    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> Said<U> {
        Said(self.0.map(f))
    }
}

impl Said<u64> {
    pub(crate) fn max_waiting(text: &str) -> Parsed<Said<u64>> {
        Said::count("max-waiting", text)
    }

    pub(crate) fn keep_count(text: &str) -> Parsed<Said<u64>> {
        Said::count("keep-count", text)
    }

    fn count(field: &str, text: &str) -> Parsed<Said<u64>> {
        let wrong = |_| format!("{field}: {} is not a whole number from 0, or none", quoted(text));
        if text == "none" { Ok(Said(None)) } else { text.parse().map(|n| Said(Some(n))).map_err(wrong) }
    }

    pub(crate) fn keep_bytes(text: &str) -> Parsed<Said<u64>> {
        const ALLOWED: &str = "is not a number of bytes, as 500000, 64KiB, 10MiB or 1GiB, or none";
        let wrong = || format!("keep-bytes: {} {ALLOWED}", quoted(text));
        if text == "none" {
            return Ok(Said(None));
        }
        let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("", 1)];
        let cut = units.iter().find_map(|(unit, n)| Some((text.strip_suffix(unit)?, *n)));
        let (digits, unit) = cut.unwrap_or((text, 1));
        let n: u64 = digits.parse().map_err(|_| wrong())?;
        n.checked_mul(unit).map(|n| Said(Some(n))).ok_or_else(wrong)
    }
}

impl Said<Duration> {
    pub(crate) fn time(text: &str) -> Parsed<Said<Duration>> {
        if text == "none" { Ok(Said(None)) } else { duration("keep-age", text).map(|d| Said(Some(d))) }
    }
}

pub(crate) fn time(text: &str) -> Parsed<Duration> {
    duration("time", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit_and_a_bound() {
        assert_eq!(delay("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(delay("1h 30m"), Ok(Duration::from_secs(5_400)));
        let wrong = [
            ("5", "has no unit"),
            ("0", "has no unit"),
            ("1h 5", "has no unit"),
            ("5 parsecs", "unknown unit \"parsecs\""),
            ("-5s", "is negative"),
            ("1000000d", "more than ten years"),
            ("99999999999999999999999s", "more than ten years"),
            ("", "is not a duration"),
            ("soon", "is not a duration"),
        ];
        for (text, part) in wrong {
            let line = delay(text).unwrap_err();
            assert!(line.starts_with("delay: ") && line.contains(part), "{text}: {line}");
        }
        assert!(pause("0s").unwrap_err().starts_with("for: "));
    }

    #[test]
    fn numbers_say_their_range() {
        assert_eq!(limit("1000"), Ok(1_000));
        for text in ["0", "-1", "1001", "1e6", "", "five", "４"] {
            assert!(limit(text).unwrap_err().ends_with("from 1 to 1000"), "{text}");
        }
        assert_eq!(priority("0"), Ok(0));
        assert!(priority("10").is_err());
        assert!(attempts("0").is_err());
    }

    #[test]
    fn what_a_filter_takes() {
        assert_eq!(meta("k=v=1"), Ok(("k".into(), Some("v=1".into()))));
        assert_eq!(meta("k"), Ok(("k".into(), None)));
        assert!(meta("=v").unwrap_err().starts_with("meta: "));
        assert_eq!(fingerprint("0123456789ab"), Ok("0123456789ab".into()));
        assert!(fingerprint("0123456789AB").unwrap_err().starts_with("error: "));
        assert!(since("2h").unwrap() < Utc::now() - chrono::Duration::minutes(119));
        assert!(since("2020-01-01T00:00:00Z").is_ok());
        assert!(before("soon").unwrap_err().starts_with("until: "));
    }

    #[test]
    fn instants_lie_ahead() {
        assert!(until("2020-01-01T00:00:00Z").unwrap_err().contains("has passed"));
        assert!(until("9999-01-01T00:00:00Z").unwrap_err().contains("ten years"));
        assert!(until("tomorrow").unwrap_err().contains("RFC 3339"));
        let soon = Utc::now() + chrono::Duration::hours(1);
        assert_eq!(until(&soon.to_rfc3339()), Ok(soon));
    }
}
