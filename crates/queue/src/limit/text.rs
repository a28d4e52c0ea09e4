//! Limits as people write them: `100/15m:window`, `10/1s:burst=50`.

use super::{Limit, Rate};
use crate::{Error, Result};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

fn span(ms: u64) -> String {
    let (unit, size) = UNITS.iter().rev().find(|(_, size)| ms.is_multiple_of(*size)).unwrap_or(&UNITS[0]);
    format!("{}{unit}", ms / size)
}

fn parse_span(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (_, size) = UNITS.iter().find(|(unit, _)| *unit == &text[digits..])?;
    let count = if digits == 0 { 1 } else { text[..digits].parse().ok()? };
    size.checked_mul(count)
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Rate::Bucket { amount, per_ms, burst } if burst == amount => {
                write!(f, "{amount}/{}", span(per_ms))
            }
            Rate::Bucket { amount, per_ms, burst } => write!(f, "{amount}/{}:burst={burst}", span(per_ms)),
            Rate::Window { amount, length_ms } => write!(f, "{amount}/{}:window", span(length_ms)),
        }
    }
}

impl FromStr for Rate {
    type Err = Error;

    fn from_str(text: &str) -> Result<Rate> {
        let bad = || {
            Error::invalid(format!("rate: {text:?} is not AMOUNT/SPAN, as 100/15m:window or 10/1s:burst=50"))
        };
        let (head, kind) = text.split_once(':').map_or((text, None), |(head, kind)| (head, Some(kind)));
        let (amount, per) = head.split_once('/').ok_or_else(bad)?;
        let amount: u32 = amount.trim().parse().map_err(|_| bad())?;
        let span = Duration::from_millis(parse_span(per.trim()).ok_or_else(bad)?);
        let rate = match kind {
            None => Rate::bucket(amount, span),
            Some("window") => Rate::window(amount, span),
            Some(kind) => {
                let burst = kind.strip_prefix("burst=").ok_or_else(bad)?;
                Rate::bucket(amount, span).burst(burst.parse().map_err(|_| bad())?)
            }
        };
        rate.check()?;
        Ok(rate)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let concurrency = self.concurrency.map(|n| format!("concurrency {n}"));
        let all: Vec<String> =
            concurrency.into_iter().chain(self.rates.iter().map(ToString::to_string)).collect();
        f.write_str(&all.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read() {
        for text in ["100/15m:window", "1000/1d:window", "10/1s", "10/1s:burst=50", "3/250ms", "1/36h"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        assert_eq!("5/h".parse::<Rate>().unwrap().to_string(), "5/1h");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for text in ["", "100", "x/1s", "1/x", "1/1s:x", "1/1s:burst=x", "-1/1s", "1/99999999999999999999s"] {
            let line = text.parse::<Rate>().unwrap_err().to_string();
            assert!(line.starts_with("rate: ") && line.contains("100/15m:window"), "{line}");
        }
        for text in ["0/1s", "1/0s", "1/1s:burst=0", "1/32d"] {
            assert!(text.parse::<Rate>().unwrap_err().to_string().starts_with("rate: "), "{text}");
        }
    }
}
