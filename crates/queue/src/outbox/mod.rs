//! A job that is enqueued if, and only if, a transaction of the application's own database
//! commits.
//!
//! [`enqueue`] writes the job into a table of that database, inside the transaction that the
//! caller holds; a [`Relay`] hands what has been committed over to the queue: **one job for
//! each row, whatever is killed, with any number of relays**. SQLite (feature `outbox`) and
//! PostgreSQL (feature `outbox-postgres`), to either backend.
//!
//! ```
//! use legwork::{Client, Job, outbox::{self, Relay}};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Receipt { order: i64 }
//! impl Job for Receipt { const NAME: &'static str = "mail.receipt"; type Output = (); }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (pool, _dir) = { let dir = tempfile::tempdir()?; let options = sqlx::sqlite::SqliteConnectOptions::new().filename(dir.path().join("app.db")).create_if_missing(true); (sqlx::SqlitePool::connect_with(options).await?, dir) };
//! let jobs = Client::connect("sqlite::memory:").await?;
//! outbox::migrate(&pool).await?; // or take `outbox::SQLITE` into migrations of your own
//! sqlx::query("CREATE TABLE orders (id INTEGER PRIMARY KEY)").execute(&pool).await?;
//!
//! let mut tx = pool.begin().await?;
//! sqlx::query("INSERT INTO orders VALUES (7)").execute(&mut *tx).await?;
//! let id = outbox::enqueue(&mut tx, Receipt { order: 7 }).priority(2).await?;
//! assert!(jobs.job(id).await?.is_none()); // not before the commit
//! tx.commit().await?;
//!
//! let mut relay = Relay::new(jobs.clone(), pool); // a program spawns `relay.run_until(stop)`
//! assert_eq!(relay.hand_over().await?, 1);
//! assert!(jobs.job(id).await?.is_some());
//! # Ok(()) }
//! ```
//!
//! # Why exactly once
//!
//! * A batch of rows gets a number, **in the database, before** it is sent. There is one such
//!   batch at a time: whoever relays next, after whatever, meets the same rows and number.
//! * The queue takes a batch in only if its number is larger than that of the last one it took,
//!   in the very step that enqueues the jobs ([`Guard::Slot`](crate::backend::Guard)), and keeps
//!   the number for good. So a batch that is sent again, by a relay that died before it could
//!   delete the rows or by one that wakes up an hour later, is refused, also when its jobs have
//!   long finished and nothing is known of them any more.
//! * Rows are marked, not read from a position: one that commits late, with a smaller number
//!   than others that were relayed before it, is not passed over.
//!
//! The turn that a relay takes (`holder`) only saves the others the work; nothing depends on it.

mod database;
mod relay;
mod store;
#[cfg(test)]
mod tests;
mod write;

pub use relay::{Relay, Status, Waker};
pub use sqlx;
pub use store::Source;
pub use write::{Target, Within, enqueue, enqueue_raw};

use crate::Result;

/// The tables for SQLite, one text a version, in order: for migrations of your own.
///
/// ```
/// assert!(legwork::outbox::SQLITE[0].contains("CREATE TABLE legwork_outbox"));
/// ```
pub const SQLITE: &[&str] = &[include_str!("sql/sqlite_0001.sql")];

/// The tables for PostgreSQL (13 or newer), one text a version, in order: for migrations of
/// your own.
///
/// ```
/// assert!(legwork::outbox::POSTGRES[0].contains("CREATE TABLE legwork_outbox"));
/// ```
pub const POSTGRES: &[&str] = &[include_str!("sql/postgres_0001.sql")];

/// Makes the tables where they are missing, by the statements of [`SQLITE`] or [`POSTGRES`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
/// legwork::outbox::migrate(&pool).await?;
/// legwork::outbox::migrate(&pool).await?; // again: nothing to do
/// # Ok(()) }
/// ```
///
/// # Errors
/// Unavailable when the database does not answer; refused when it does not let us.
pub async fn migrate(pool: &impl Source) -> Result<()> {
    pool.migrate().await
}
