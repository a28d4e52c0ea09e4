//! The grammar of job names and queue names.

use crate::Error;

/// Checks a queue name: `[a-z0-9][a-z0-9_.-]{0,63}`.
///
/// ```
/// assert!(legwork::check_queue_name("strava").is_ok());
/// assert!(legwork::check_queue_name("a b").is_err());
/// ```
///
/// # Errors
/// One line that names the field, what was wrong and what is allowed.
pub fn check_queue_name(text: &str) -> Result<(), Error> {
    check("queue", text)
}

/// Checks a job name; the grammar is that of queue names.
///
/// ```
/// assert!(legwork::check_job_name("runs.fetch").is_ok());
/// ```
///
/// # Errors
/// One line that names the field, what was wrong and what is allowed.
pub fn check_job_name(text: &str) -> Result<(), Error> {
    check("job name", text)
}

/// Whether a text is in the grammar of names.
pub(crate) fn is_allowed(text: &str) -> bool {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    !text.is_empty()
        && text.len() <= 64
        && plain(text.as_bytes()[0])
        && text.bytes().all(|c| plain(c) || matches!(c, b'_' | b'.' | b'-'))
}

pub(crate) fn check(field: &str, text: &str) -> Result<(), Error> {
    const ALLOWED: &str = "1 to 64 of a-z 0-9 _ . - and a letter or digit first";
    if is_allowed(text) {
        return Ok(());
    }
    let shown: String = text.chars().take(70).collect();
    Err(Error::invalid(format!("{field}: {shown:?} is not allowed; use {ALLOWED}")))
}

/// Checks a unique or serial key: 1 to 256 bytes without control characters.
pub(crate) fn check_key(field: &str, text: &str) -> Result<(), Error> {
    if !text.is_empty() && text.len() <= 256 && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Error::invalid(format!("{field}: must be 1 to 256 bytes without control characters")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammar() {
        for good in ["a", "runs.fetch", "0-x_y", &"q".repeat(64)] {
            assert!(check_queue_name(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "../x", "a{b}", "A", ".a", "é", "a\0b", "a\n", &"q".repeat(65)] {
            let line = check_queue_name(bad).unwrap_err().to_string();
            assert!(line.starts_with("queue: ") && !line.contains('\n'), "{line}");
        }
    }
}
