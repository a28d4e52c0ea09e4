//! Everything Runnerly remembers, in SQLite (one file, no server) or PostgreSQL.
//!
//! [`Storage`] is the only door. Every method is one transaction and can be repeated: the second call changes nothing.
//! An activity belongs to an athlete, so both ids are asked for everywhere and nobody reads another's runs by guessing.
//! What was read from the provider earlier never replaces what was read later.
//!
//! A job that must follow from what is stored is written into the outbox within the same transaction; the [relay]
//! hands it over to the queue.
//!
//! [relay]: Storage::relay

mod activities;
mod athletes;
mod error;
mod messages;
mod open;
mod plan;
mod results;
mod streams;
mod tokens;
mod uploads;

pub use activities::{Fetched, Upserted};
pub use athletes::{Athlete, Connection, Sync};
pub use error::Error;
pub use messages::Message;
pub use streams::StreamState;
pub use tokens::{Fresh, Held, RefreshError, RefreshLease, Saved};
pub use uploads::{Upload, UploadState};

use crate::secret::Keyring;
use chrono::{DateTime, Utc};
use sqlx::{PgPool, SqlitePool};
use std::sync::Arc;

/// The result of a storage call.
pub type Result<T> = std::result::Result<T, Error>;

#[derive(Clone)]
enum Db {
    Sqlite(SqlitePool),
    Pg(PgPool),
}

/// The repository. Clones share their connections.
#[derive(Clone)]
pub struct Storage {
    db: Db,
    keys: Arc<Keyring>,
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let db = match self.db {
            Db::Sqlite(_) => "sqlite",
            Db::Pg(_) => "postgres",
        };
        f.debug_struct("Storage").field("db", &db).finish_non_exhaustive()
    }
}

/// Runs the same statements on whichever pool there is: the SQL is common, the types are not.
macro_rules! on_pool {
    ($storage:expr, $pool:ident => $body:expr) => {
        match &$storage.db {
            $crate::storage::Db::Sqlite($pool) => $body,
            $crate::storage::Db::Pg($pool) => $body,
        }
    };
}

/// Runs the same statements in one transaction, rolled back when the body returns early. On SQLite it takes the write
/// lock at once: a transaction that reads first and writes later fails as soon as two do so.
macro_rules! in_transaction {
    ($storage:expr, $tx:ident => $body:expr) => {
        match &$storage.db {
            $crate::storage::Db::Sqlite(pool) => {
                let mut $tx = pool.begin_with("BEGIN IMMEDIATE").await?;
                let done = $body;
                $tx.commit().await?;
                done
            }
            $crate::storage::Db::Pg(pool) => {
                let mut $tx = pool.begin().await?;
                let done = $body;
                $tx.commit().await?;
                done
            }
        }
    };
}

/// Waits for its turn at an athlete until the transaction ends. On PostgreSQL a deletion could otherwise overtake the
/// insertion it should see; on SQLite the write lock is turn enough.
macro_rules! take_turn {
    ($tx:ident, $athlete:expr) => {{
        const SQL: &str = "UPDATE athletes SET id = id WHERE id = $1";
        if sqlx::query(SQL).bind($athlete).execute(&mut *$tx).await?.rows_affected() == 0 {
            return Err($crate::storage::Error::UnknownAthlete($athlete));
        }
    }};
}

use {in_transaction, on_pool, take_turn};

/// The text of a statement that needs the database's own clock, for both databases.
macro_rules! with_now {
    ($storage:expr, $before:literal $(, $after:literal)*) => {
        match &$storage.db {
            $crate::storage::Db::Sqlite(_) => {
                concat!($before $(, "CAST(unixepoch('now', 'subsec') * 1000000 AS INTEGER)", $after)*)
            }
            $crate::storage::Db::Pg(_) => {
                concat!($before $(, "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)", $after)*)
            }
        }
    };
}

use with_now;

/// An instant as it is stored: both databases agree on integers, and on little else about time.
fn micros(at: DateTime<Utc>) -> i64 {
    at.timestamp_micros()
}

fn instant(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}

#[cfg(test)]
mod tests;
