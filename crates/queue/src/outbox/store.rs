//! What a relay asks of the application's database; `database` answers.

use super::relay::Status;
use crate::{JobId, Result};
use std::pin::Pin;

/// A row that is being handed over.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) seq: i64,
    pub(super) id: Option<JobId>,
    pub(super) record: Vec<u8>,
    pub(super) delay_ms: Option<i64>,
    pub(super) due_ms: Option<i64>,
    /// How long ago it was written, by the database's clock.
    pub(super) age_ms: i64,
}

/// The one batch that is being handed over.
#[derive(Debug, Clone)]
pub struct Batch {
    pub(super) number: i64,
    pub(super) rows: Vec<Waiting>,
}

/// What a relay is told when it asks for work.
#[derive(Debug, Clone)]
pub enum Claim {
    /// This batch is to be handed over: a new one, or one that somebody began with.
    Batch(Batch),
    /// There is nothing.
    Nothing,
    /// It is another relay's turn, for this many milliseconds unless it comes again.
    Standby(i64),
}

/// How a relay asks.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// The relay's own name.
    pub(super) holder: &'a str,
    /// How long its turn lasts, in milliseconds.
    pub(super) turn_ms: i64,
    /// Takes the turn whoever has it.
    pub(super) force: bool,
    /// A new batch gets a larger number than this one.
    pub(super) above: i64,
    /// At most this many rows.
    pub(super) most: i64,
}

/// What is to become of rows.
#[derive(Debug, Clone)]
pub enum Settle {
    /// They have been handed over.
    Done,
    /// They have not, and wait again; these for good, with the reason.
    Back(Vec<(i64, String)>),
}

pub(super) type Fut<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Only sqlx's own connections and pools are sources and targets.
pub trait Sealed {}

/// A pool of connections to the application's database: `SqlitePool`, or, with the feature
/// `outbox-postgres`, `PgPool`.
///
/// ```
/// fn relay(jobs: legwork::Client, pool: impl legwork::outbox::Source) -> legwork::outbox::Relay {
///     legwork::outbox::Relay::new(jobs, pool)
/// }
/// ```
pub trait Source: Sealed + Send + Sync + 'static {
    /// Makes the tables.
    #[doc(hidden)]
    fn migrate(&self) -> Fut<'_, ()>;
    /// The name under which the queue knows this outbox.
    #[doc(hidden)]
    fn fence(&self) -> Fut<'_, String>;
    /// Whether anything waits: a look that neither writes nor locks.
    #[doc(hidden)]
    fn waits(&self) -> Fut<'_, bool>;
    /// Asks for the batch to hand over.
    #[doc(hidden)]
    fn claim<'a>(&'a self, ask: Ask<'a>) -> Fut<'a, Claim>;
    /// Ends a batch; does nothing when it has ended.
    #[doc(hidden)]
    fn settle<'a>(&'a self, number: i64, settle: &'a Settle) -> Fut<'a, ()>;
    /// Ends a relay's turn.
    #[doc(hidden)]
    fn release<'a>(&'a self, holder: &'a str) -> Fut<'a, ()>;
    /// What waits.
    #[doc(hidden)]
    fn status(&self) -> Fut<'_, Status>;
}

/// At most this many bytes of records in a batch of more than one.
const MAX_BYTES: i64 = 4 << 20;

/// How many of these rows make a batch.
pub(super) fn fitting(sizes: &[i64]) -> i64 {
    let mut sum = 0i64;
    let fits = sizes.iter().take_while(|size| {
        sum = sum.saturating_add(**size);
        sum <= MAX_BYTES
    });
    (fits.count() as i64).max(1)
}

/// The number of a new batch: larger than all before. By a random step, so that two copies of
/// one database that are both relayed, which nobody should do, hardly ever use the same.
pub(super) fn number(last: i64, above: i64) -> i64 {
    let random = JobId::new();
    let step = u16::from_be_bytes([random.as_bytes()[12], random.as_bytes()[13]]);
    last.max(above) + 1 + i64::from(step)
}
