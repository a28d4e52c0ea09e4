//! Time zones, and what to do where a clock jumps forward or goes back.

use super::CronError;
use chrono::{DateTime, Duration, NaiveDateTime, Offset, TimeZone, Timelike, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use serde::{Deserialize, Serialize};

/// What happens to a slot whose time of day does not exist, because the clock jumped over it.
///
/// Concerns expressions with a fixed time of day only; see [`DstPolicy`].
///
/// ```
/// use legwork::cron::{DstPolicy, OnGap};
/// assert_eq!(DstPolicy::default().on_gap, OnGap::Run);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnGap {
    /// It is due at the first instant after the gap, once for all times in the gap.
    #[default]
    Run,
    /// It is not due at all.
    Skip,
}

/// What happens to a slot whose time of day exists twice, because the clock went back.
///
/// Concerns expressions with a fixed time of day only; see [`DstPolicy`].
///
/// ```
/// use legwork::cron::{DstPolicy, OnOverlap};
/// assert_eq!(DstPolicy::default().on_overlap, OnOverlap::Once);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnOverlap {
    /// It is due in the first pass only.
    #[default]
    Once,
    /// It is due in both passes.
    Both,
}

/// The rule for the days on which a clock is changed.
///
/// It concerns expressions with a fixed time of day: those without `*` and `/` in their
/// second, minute and hour. All others repeat through the day: they are due whenever the
/// clock shows a time that they name, so never inside a gap, and in both passes of an
/// overlap.
///
/// ```
/// use legwork::cron::DstPolicy;
/// let policy: DstPolicy = serde_json::from_str(r#"{"on_gap": "skip"}"#)?;
/// assert_eq!(serde_json::to_string(&policy)?, r#"{"on_gap":"skip","on_overlap":"once"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DstPolicy {
    /// For a time of day that does not exist.
    pub on_gap: OnGap,
    /// For a time of day that exists twice.
    pub on_overlap: OnOverlap,
}

/// Reads the IANA name of a time zone; an empty text is UTC.
///
/// # Errors
/// [`CronError::Zone`] for any other text, offsets such as `+02:00` among them: an offset
/// has no rule for the days on which clocks are changed.
///
/// ```
/// use legwork::cron::{Tz, parse_zone};
/// assert_eq!(parse_zone("Europe/Berlin")?, Tz::Europe__Berlin);
/// assert_eq!(parse_zone("")?, Tz::UTC);
/// assert!(parse_zone("Mars/Base").is_err());
/// # Ok::<(), legwork::cron::CronError>(())
/// ```
pub fn parse_zone(text: &str) -> Result<Tz, CronError> {
    let name = text.trim_matches([' ', '\t']);
    if name.is_empty() {
        return Ok(Tz::UTC);
    }
    name.parse().map_err(|_| CronError::Zone {
        value: name.chars().take(64).collect(),
        suggestion: TZ_VARIANTS.iter().map(|zone| zone.name()).find(|known| known.eq_ignore_ascii_case(name)),
    })
}

/// A stretch of civil time that a zone's clock shows twice.
pub(super) struct Overlap {
    /// The first civil time shown twice.
    pub(super) begin: NaiveDateTime,
    /// The first civil time after it that is shown once again.
    pub(super) end: NaiveDateTime,
    /// The instant at which the second pass starts.
    pub(super) turn: DateTime<Utc>,
}

impl Overlap {
    /// The overlap in which `at` lies, in either pass.
    pub(super) fn around(at: DateTime<Utc>, zone: Tz) -> Option<Overlap> {
        let civil = at.with_timezone(&zone).naive_local().with_nanosecond(0)?;
        let pair = zone.from_local_datetime(&civil);
        let (first, second) = (pair.earliest()?.to_utc(), pair.latest()?.to_utc());
        if first == second {
            return None;
        }
        // The clock goes back once between the two: halve the stretch until it is found.
        let (before, after) = (offset(first, zone), offset(second, zone));
        let (mut low, mut high) = (first, second);
        while high - low > Duration::seconds(1) {
            let middle = low + Duration::seconds((high - low).num_seconds() / 2);
            if offset(middle, zone) == before {
                low = middle;
            } else {
                high = middle;
            }
        }
        Some(Overlap { begin: high.naive_utc() + after, end: high.naive_utc() + before, turn: high })
    }
}

fn offset(at: DateTime<Utc>, zone: Tz) -> Duration {
    let seconds = at.with_timezone(&zone).offset().fix().local_minus_utc();
    Duration::seconds(seconds.into())
}
