//! What can be wrong with an expression or a zone, each as one clear line.

/// Why a cron expression, an interval or a time zone was refused.
///
/// The text is one line: what was looked at, what was wrong and what is allowed.
/// Positions count characters of the given text from 1.
///
/// ```
/// use legwork::cron::Expression;
/// let error = Expression::parse("*/0 * * * *").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "minute: \"*/0\" at position 1 has a step of 0; \
///      allowed: 0-59, with lists, ranges and steps of 1 to 60"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CronError {
    /// The text is longer than an expression may be.
    #[error("cron expression: {length} characters; at most {} are allowed", super::MAX_LENGTH)]
    TooLong {
        /// How many characters were given.
        length: usize,
    },
    /// A character that no field can hold, such as a full-width digit or a no-break space.
    #[error(
        "cron expression: character {character:?} at position {position}; \
         allowed: printable ASCII, with spaces or tabs between fields"
    )]
    Character {
        /// The character.
        character: char,
        /// Where it stands.
        position: usize,
    },
    /// Neither five nor six fields.
    #[error(
        "cron expression: found {found} field{}; allowed: 5 (minute, hour, day of month, month, \
         day of week), or 6 with seconds first",
        if *.found == 1 { "" } else { "s" }
    )]
    FieldCount {
        /// How many fields were given.
        found: usize,
    },
    /// One item of one field is wrong.
    #[error("{field}: {value:?} at position {position} {problem}; allowed: {allowed}")]
    Field {
        /// The field, such as `minute` or `day of week`.
        field: &'static str,
        /// The item as it was given.
        value: String,
        /// Where the item starts.
        position: usize,
        /// What is wrong with it.
        problem: String,
        /// What the field accepts.
        allowed: String,
    },
    /// A word after `@` that has no meaning here.
    #[error(
        "cron expression: {value:?} is unknown; allowed: @yearly, @annually, @monthly, @weekly, \
         @daily, @midnight, @hourly, or @every with a duration"
    )]
    Shorthand {
        /// The text as it was given.
        value: String,
    },
    /// The duration after `@every` is wrong.
    #[error(
        "@every: {value:?} {problem}; allowed: 1s to 366d in whole days, hours, minutes and \
         seconds, such as 90s, 15m or 1h30m"
    )]
    Every {
        /// The duration as it was given.
        value: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// No day from 1970 to 2100 matches, as with 30 February.
    #[error(
        "cron expression: {value:?} never fires; allowed: a day that its months have, \
         in the years 1970 to 2100"
    )]
    NeverFires {
        /// The expression as it was given.
        value: String,
    },
    /// Not the name of a time zone.
    #[error(
        "time zone: {value:?} is unknown; allowed: UTC or an IANA name such as {}",
        .suggestion.unwrap_or("Europe/Berlin")
    )]
    Zone {
        /// The name as it was given, cut after 64 characters.
        value: String,
        /// A zone whose name differs only in case.
        suggestion: Option<&'static str>,
    },
}
