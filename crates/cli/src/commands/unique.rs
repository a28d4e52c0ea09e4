//! What `enqueue` says of a unique key.

use crate::parse;
use clap::{Args, ValueEnum};
use legwork::Unique;
use std::time::Duration;

#[derive(Debug, Args)]
pub(crate) struct Uniqueness {
    /// At most one job of this name holds this key; until it has finished, unless said otherwise
    #[arg(long, value_name = "KEY", group = "key")]
    unique: Option<String>,
    /// The key is made of these fields of the payload: athlete,year
    #[arg(long, value_name = "FIELDS", value_delimiter = ',', group = "key")]
    unique_fields: Vec<String>,
    /// Until when the key is held; last: one runs and one waits, with the newest payload
    #[arg(long, value_name = "WHEN", requires = "key")]
    until: Option<Until>,
    /// The key is held at least this long: 10m, 24h
    #[arg(long, value_name = "TIME", value_parser = parse::time, requires = "key", conflicts_with = "until")]
    unique_for: Option<Duration>,
    /// Due this long after the last enqueue, with the newest payload
    #[arg(long, value_name = "TIME", value_parser = parse::time, requires = "key")]
    debounce: Option<Duration>,
    /// The longest wait that debouncing makes
    #[arg(long, value_name = "TIME", value_parser = parse::time, requires = "debounce")]
    at_most: Option<Duration>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Until {
    Started,
    Finished,
    Last,
}

impl Uniqueness {
    /// What the options say, if any is given.
    pub(super) fn unique(self) -> Option<Unique> {
        let fields: Vec<&str> = self.unique_fields.iter().map(String::as_str).collect();
        let mut unique = match self.unique {
            Some(key) => Unique::key(key),
            None if fields.is_empty() => return None,
            None => Unique::fields(&fields),
        };
        unique = match self.until {
            Some(Until::Started) => unique.until_started(),
            Some(Until::Finished) => unique.until_finished(),
            Some(Until::Last) => unique.keep_last(),
            None => unique,
        };
        if let Some(time) = self.unique_for {
            unique = unique.for_time(time);
        }
        if let Some(wait) = self.debounce {
            unique = unique.debounce(wait);
        }
        if let Some(most) = self.at_most {
            unique = unique.at_most(most);
        }
        Some(unique)
    }
}
