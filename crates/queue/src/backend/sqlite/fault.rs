//! What SQLite's errors mean to a caller.

use crate::error::Kind;
use crate::{Error, Result};
use std::fmt;

/// What the statements of a verb return.
pub(super) type Sql<T> = Result<T, sqlx::Error>;

/// A row stands in the way of another.
pub(super) const CONSTRAINT: i32 = 19;

/// The disk is full.
const FULL: i32 = 13;

/// The primary result code of an error of SQLite.
pub(super) fn code(e: &sqlx::Error) -> Option<i32> {
    let code = e.as_database_error()?.code()?.parse::<i32>().ok()?;
    Some(code & 0xff)
}

/// Another connection holds a lock: to be tried again, never to be shown.
pub(super) fn busy(e: &sqlx::Error) -> bool {
    matches!(code(e), Some(5 | 6 | 15))
}

/// The index of the log could not grow, which is what a full disk looks like there.
fn no_room(e: &sqlx::Error) -> bool {
    let code = e.as_database_error().and_then(|e| e.code()?.parse::<i32>().ok());
    code == Some(10 | 19 << 8)
}

/// The connection itself is of no more use.
pub(super) fn fatal(e: &sqlx::Error) -> bool {
    match e {
        sqlx::Error::Database(_) => matches!(code(e), Some(10 | 11 | 14 | 26)),
        sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed | sqlx::Error::PoolClosed => true,
        _ => false,
    }
}

/// A row that is not what it must be.
pub(super) fn broken(what: impl fmt::Display) -> sqlx::Error {
    sqlx::Error::Decode(what.to_string().into())
}

/// The error as callers see it: one line that names the file.
pub(super) fn of(place: &str, e: sqlx::Error) -> Error {
    if let sqlx::Error::Configuration(line) = &e {
        return Error::new(Kind::Refused, format!("{place}: {line}"));
    }
    if let sqlx::Error::Io(io) = &e {
        let line = format!("{place}: the file cannot be read or written ({io})");
        return Error::with(Kind::Unavailable, line, e);
    }
    // The log's index cannot grow: it is on the same disk.
    let (kind, what) = match code(&e).map(|code| if no_room(&e) { FULL } else { code }) {
        Some(5 | 6 | 15) => (Kind::Unavailable, "other processes hold its lock for too long"),
        Some(8) => (Kind::Refused, "the file is read-only"),
        Some(FULL) => (Kind::Suspended, "storage full"),
        Some(11) => (Kind::Corrupt, "the database file is damaged"),
        Some(26) => (Kind::Corrupt, "the file is not a SQLite database"),
        Some(3 | 23) => (Kind::Refused, "permission denied"),
        Some(7) => (Kind::Refused, "out of memory"),
        Some(18) => (Kind::Invalid, "a value is too large"),
        Some(10 | 14) => (Kind::Unavailable, "the file cannot be read or written"),
        _ => {
            let kind = match e {
                sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => Kind::Corrupt,
                _ => Kind::Unavailable,
            };
            return Error::with(kind, format!("{place}: {e}"), e);
        }
    };
    Error::with(kind, format!("{place}: {what}"), e)
}
