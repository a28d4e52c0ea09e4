//! How safe a job is before its enqueue is answered.

use crate::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// How safe a job is before its enqueue is answered.
///
/// ```
/// use legwork::Durability;
/// assert_eq!("replicated:2".parse::<Durability>().unwrap(), Durability::Replicated(2));
/// assert_eq!(Durability::Fsync.to_string(), "fsync");
/// assert!("paper".parse::<Durability>().unwrap_err().is_invalid());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Durability {
    /// The server has it. What becomes of it when the server dies is what the server was told
    /// to keep; a SQLite file keeps it unless the whole machine dies.
    #[default]
    Memory,
    /// It has been synced to the disk: a power loss does not take it.
    Fsync,
    /// So many replicas have it: a failover to one of them does not lose it.
    Replicated(u8),
}

impl Durability {
    /// Whether who has this has that as well.
    pub(crate) fn covers(self, wanted: Durability) -> bool {
        match (self, wanted) {
            (_, Durability::Memory) => true,
            (Durability::Replicated(has), Durability::Replicated(n)) => has >= n,
            (has, wanted) => has == wanted,
        }
    }

    const ALLOWED: &str = "use memory, fsync or replicated:N, N from 1 to 16";
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Durability::Memory => f.write_str("memory"),
            Durability::Fsync => f.write_str("fsync"),
            Durability::Replicated(n) => write!(f, "replicated:{n}"),
        }
    }
}

impl FromStr for Durability {
    type Err = Error;

    fn from_str(text: &str) -> Result<Durability> {
        let number = |text: &str| text.parse().ok().filter(|n| (1..=16).contains(n));
        match text.split_once(':') {
            None if text == "memory" => Ok(Durability::Memory),
            None if text == "fsync" => Ok(Durability::Fsync),
            Some(("replicated", n)) if n.bytes().all(|b| b.is_ascii_digit()) && number(n).is_some() => {
                Ok(Durability::Replicated(number(n).unwrap_or(1)))
            }
            _ => Err(Error::invalid(format!("durability: {text:?} is none; {}", Durability::ALLOWED))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Durability;

    #[test]
    fn spellings() {
        for (text, wanted) in [
            ("memory", Some(Durability::Memory)),
            ("fsync", Some(Durability::Fsync)),
            ("replicated:1", Some(Durability::Replicated(1))),
            ("replicated:16", Some(Durability::Replicated(16))),
            ("replicated:0", None),
            ("replicated:17", None),
            ("replicated:+1", None),
            ("replicated", None),
            ("Memory", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<Durability>().ok(), wanted, "{text}");
            if let Some(wanted) = wanted {
                assert_eq!(wanted.to_string(), text);
            }
        }
    }
}
