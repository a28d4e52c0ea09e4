//! Into the outbox: inside a transaction that the caller holds.

use super::store;
use crate::backend::Due;
use crate::client::{check, typed};
use crate::{Enqueue, Envelope, Error, Job, JobId, MAX_PAYLOAD, Result};
use std::future::IntoFuture;
use std::pin::Pin;

/// One row about to be written.
pub struct Row {
    pub(super) id: JobId,
    pub(super) name: String,
    pub(super) record: String,
    pub(super) delay_ms: Option<i64>,
    pub(super) due_ms: Option<i64>,
}

/// What a job can be written into: a transaction of sqlx (or a connection, and then the job
/// stands at once), of SQLite or, with the feature `outbox-postgres`, of PostgreSQL.
///
/// ```
/// async fn place(tx: &mut impl legwork::outbox::Target, order: i64) -> Result<(), legwork::Error> {
///     legwork::outbox::enqueue_raw(tx, "orders.ship", &order.to_string()).await?;
///     Ok(())
/// }
/// ```
pub trait Target: store::Sealed + Send {
    /// Writes one row.
    #[doc(hidden)]
    fn write(&mut self, row: Row) -> impl Future<Output = Result<()>> + Send;
}

/// The outbox to which an [`Enqueue`] goes; see [`enqueue`].
pub struct Within<'t, C: ?Sized> {
    tx: &'t mut C,
}

/// Writes a job into the outbox, by its type's policy: say more with the words of [`Enqueue`],
/// then `.await` it. It answers the id that the job will have. A `delay` counts from now, not
/// from the commit or from when a relay comes by; a unique key is looked at when the job is
/// handed over, and where another job holds it then, the row is done with.
///
/// ```
/// # use legwork::{outbox, *}; use serde::{Serialize, Deserialize};
/// # #[derive(Serialize, Deserialize)] struct Ping;
/// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
/// # outbox::migrate(&pool).await?;
/// let mut tx = pool.begin().await?;
/// outbox::enqueue(&mut tx, Ping).delay(std::time::Duration::from_secs(60)).unique("one").await?;
/// tx.rollback().await?; // and nothing was enqueued
/// # Ok(()) }
/// ```
///
/// # Errors
/// As [`Client::enqueue`](crate::Client::enqueue) for what is not allowed; unavailable or
/// refused when the database is.
pub fn enqueue<J: Job, C: Target + ?Sized>(tx: &mut C, job: J) -> Enqueue<J, Within<'_, C>> {
    Enqueue::new(Within { tx }, typed(&job))
}

/// As [`enqueue`], by name and with a payload in JSON text.
///
/// ```
/// # use legwork::outbox;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
/// # outbox::migrate(&pool).await?;
/// let mut tx = pool.begin().await?;
/// assert!(outbox::enqueue_raw(&mut tx, "a.job", "{oops").await.unwrap_err().is_invalid());
/// # Ok(()) }
/// ```
pub fn enqueue_raw<'t, C: Target + ?Sized>(
    tx: &'t mut C,
    name: &str,
    payload: &str,
) -> Enqueue<(), Within<'t, C>> {
    Enqueue::new(Within { tx }, Envelope::new(name, payload))
}

impl<'t, J: 'static, C: Target + ?Sized> IntoFuture for Enqueue<J, Within<'t, C>> {
    type Output = Result<JobId>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<JobId>> + Send + 't>>;

    fn into_future(self) -> Self::IntoFuture {
        let Enqueue { target, envelope, due, .. } = self;
        Box::pin(async move {
            let mut envelope = envelope?;
            let due = crate::client::debounced(&envelope, due);
            crate::middleware::carry(&mut envelope, due);
            check(&envelope, MAX_PAYLOAD)?;
            let record = String::from_utf8(envelope.encode())
                .map_err(|e| Error::corrupt(format!("outbox: the record is not UTF-8: {e}")))?;
            let (delay_ms, due_ms) = match due {
                Due::Now => (None, None),
                Due::In(ms) => (Some(ms), None),
                Due::At(ms) => (None, Some(ms)),
            };
            let (id, name) = (envelope.id, envelope.name);
            target.tx.write(Row { id, name, record, delay_ms, due_ms }).await?;
            Ok(id)
        })
    }
}
