//! Cron expressions: which instants they mean, in any time zone.
//!
//! | field | values | also |
//! |---|---|---|
//! | second (only with six fields) | 0-59 | |
//! | minute | 0-59 | |
//! | hour | 0-23 | |
//! | day of month | 1-31 | `L` last day, `LW` last weekday, `15W` weekday nearest to the 15th, `?` |
//! | month | 1-12 | `JAN`-`DEC` |
//! | day of week | 0-7, 0 and 7 are Sunday | `SUN`-`SAT`, `FRI#2` second Friday, `6L` last Saturday, `?` |
//!
//! Every field takes `*`, lists `1,15`, ranges `1-5`, and steps `*/15`, `10-40/10`, `5/15`
//! (from 5 on). In place of fields: `@yearly` or `@annually`, `@monthly`, `@weekly`,
//! `@daily` or `@midnight`, `@hourly`, and `@every 90s`.
//!
//! When day of month and day of week are both restricted, a day that matches either is
//! meant; a field that starts with `*`, such as `*/2`, does not count as restricted, and
//! then a day must match both. This is how Vixie cron reads them. `31W` is no day in a
//! month without a 31st.
//!
//! Slots lie in the years 1970 to 2100. What happens where a clock is changed is said by
//! [`DstPolicy`].
//!
//! ```
//! use legwork::cron::{DstPolicy, Expression, Tz};
//!
//! let nightly = Expression::parse("30 2 * * *")?;
//! let after = "2026-03-28T12:00:00Z".parse()?;
//! let slots: Vec<String> = nightly
//!     .upcoming(after, Tz::Europe__Berlin, DstPolicy::default())
//!     .take(2)
//!     .map(|slot| slot.to_rfc3339())
//!     .collect();
//! // Berlin has no 02:30 on the 29th: the slot is the first instant after the gap.
//! assert_eq!(slots, ["2026-03-29T01:00:00+00:00", "2026-03-30T00:30:00+00:00"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod calendar;
mod days;
mod error;
mod interval;
mod parse;
#[cfg(test)]
mod tests;
mod zone;

pub use chrono::{DateTime, Utc};
pub use chrono_tz::{IANA_TZDB_VERSION, Tz};
pub use error::CronError;
pub use zone::{DstPolicy, OnGap, OnOverlap, parse_zone};

use calendar::Calendar;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// The longest expression that is read, in characters.
///
/// ```
/// use legwork::cron::{Expression, MAX_LENGTH};
/// assert!(Expression::parse(&"1,".repeat(MAX_LENGTH)).is_err());
/// ```
pub const MAX_LENGTH: usize = 256;

/// A parsed cron expression: cheap to clone, never changed.
///
/// Two expressions are equal when their texts are. See the [module](self) for the grammar.
///
/// ```
/// use legwork::cron::Expression;
/// let workdays: Expression = "0 9 * * MON-FRI".parse()?;
/// assert_eq!(workdays.to_string(), "0 9 * * MON-FRI");
/// # Ok::<(), legwork::cron::CronError>(())
/// ```
#[derive(Clone)]
pub struct Expression {
    text: Arc<str>,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    /// Every so many seconds since the epoch.
    Every(u64),
    Calendar(Arc<Calendar>),
}

impl Expression {
    /// Reads an expression of five or six fields, or one that starts with `@`.
    ///
    /// # Errors
    /// [`CronError`] names the field, what is wrong and what is allowed. An expression
    /// that names no day at all, such as 30 February, is refused too.
    ///
    /// ```
    /// use legwork::cron::{CronError, Expression};
    /// assert!(Expression::parse("0 0 12 L * ?").is_ok());
    /// assert_eq!(Expression::parse("* * * *"), Err(CronError::FieldCount { found: 4 }));
    /// assert!(Expression::parse("0 0 30 2 *").unwrap_err().to_string().contains("never fires"));
    /// ```
    pub fn parse(text: &str) -> Result<Expression, CronError> {
        check_characters(text)?;
        let trimmed = text.trim_matches([' ', '\t']);
        let kind = match trimmed.strip_prefix('@') {
            Some(word) => shorthand(trimmed, word)?,
            // Untrimmed, so that positions in errors count from the given start.
            None => Kind::Calendar(Calendar::parse(text)?),
        };
        Ok(Expression { text: trimmed.into(), kind })
    }

    /// The first slot strictly after `after`, with times of day read in `zone`.
    ///
    /// `None` when there is none until the end of 2100. A slot never depends on the
    /// `after` from which it was found, so any number of schedulers agree on the slots.
    ///
    /// ```
    /// use legwork::cron::{DateTime, DstPolicy, Expression, Tz, Utc};
    /// let after: DateTime<Utc> = "2026-11-21T08:00:00Z".parse()?;
    /// let noon = Expression::parse("0 12 * * *")?;
    /// let slot = noon.next_after(after, Tz::America__New_York, DstPolicy::default());
    /// assert_eq!(slot, Some("2026-11-21T17:00:00Z".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_after(&self, after: DateTime<Utc>, zone: Tz, policy: DstPolicy) -> Option<DateTime<Utc>> {
        match &self.kind {
            Kind::Every(seconds) => interval::next_after(*seconds, after),
            Kind::Calendar(calendar) => calendar.next_after(after, zone, policy),
        }
    }

    /// All slots strictly after `after`, in order.
    ///
    /// ```
    /// use legwork::cron::{DstPolicy, Expression, Tz};
    /// let hourly = Expression::parse("@hourly")?;
    /// let after = "2026-11-21T08:10:00Z".parse()?;
    /// let slot = hourly.upcoming(after, Tz::UTC, DstPolicy::default()).nth(2);
    /// assert_eq!(slot, Some("2026-11-21T11:00:00Z".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn upcoming(
        &self,
        after: DateTime<Utc>,
        zone: Tz,
        policy: DstPolicy,
    ) -> impl Iterator<Item = DateTime<Utc>> {
        let next = move |slot: DateTime<Utc>| self.next_after(slot, zone, policy);
        std::iter::successors(next(after), move |&slot| next(slot))
    }

    /// The distance between slots of an `@every`; `None` for all other expressions.
    ///
    /// The slots are the multiples of this distance since the Unix epoch, in every zone.
    ///
    /// ```
    /// use legwork::cron::Expression;
    /// use std::time::Duration;
    /// assert_eq!(Expression::parse("@every 1h30m")?.every(), Some(Duration::from_secs(5_400)));
    /// assert_eq!(Expression::parse("@hourly")?.every(), None);
    /// # Ok::<(), legwork::cron::CronError>(())
    /// ```
    pub fn every(&self) -> Option<Duration> {
        match self.kind {
            Kind::Every(seconds) => Some(Duration::from_secs(seconds)),
            Kind::Calendar(_) => None,
        }
    }
}

fn check_characters(text: &str) -> Result<(), CronError> {
    let length = text.chars().count();
    if length > MAX_LENGTH {
        return Err(CronError::TooLong { length });
    }
    let allowed = |c: char| c.is_ascii_graphic() || c == ' ' || c == '\t';
    match text.chars().enumerate().find(|&(_, c)| !allowed(c)) {
        Some((at, character)) => Err(CronError::Character { character, position: at + 1 }),
        None => Ok(()),
    }
}

fn shorthand(text: &str, word: &str) -> Result<Kind, CronError> {
    let (name, rest) = word.split_once([' ', '\t']).unwrap_or((word, ""));
    let fields = match (name.to_ascii_lowercase().as_str(), rest) {
        ("every", duration) => {
            let duration = duration.trim_start_matches([' ', '\t']);
            return Ok(Kind::Every(interval::parse(duration)?));
        }
        ("yearly" | "annually", "") => "0 0 1 1 *",
        ("monthly", "") => "0 0 1 * *",
        ("weekly", "") => "0 0 * * 0",
        ("daily" | "midnight", "") => "0 0 * * *",
        ("hourly", "") => "0 * * * *",
        _ => return Err(CronError::Shorthand { value: text.into() }),
    };
    Ok(Kind::Calendar(Calendar::parse(fields)?))
}

impl FromStr for Expression {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Expression, CronError> {
        Expression::parse(text)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.text).finish()
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Expression) -> bool {
        self.text == other.text
    }
}

impl Eq for Expression {}

impl Hash for Expression {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}
