//! One SQLite file, or a database in memory.
//!
//! The file is authoritative, and everything that moves a job happens in a transaction of
//! the process's one `writer`; readers look beside it. Several processes may use one
//! file: SQLite's write lock serializes their writers, counters are read within the lock,
//! and time is the system's (one machine, one clock) or a test's.

mod audit;
mod batch;
mod bulk;
mod control;
mod enqueue;
mod fault;
mod files;
mod flow;
mod flow_read;
mod flow_stage;
mod flow_tend;
#[cfg(test)]
mod flow_tests;
mod health;
mod index;
mod lease;
mod limits;
mod open;
mod read;
mod rules;
mod search;
mod settings;
mod settle;
mod shared;
mod steps;
mod sweep;
mod turns;
mod tx;
mod unique;
mod wake;
mod workers;
mod writer;

use super::*;
use crate::{Clock, Durability, Error};
use fault::Sql;
use open::Place;
pub use open::Schema;
use sqlx::pool::PoolConnection;
use sqlx::{Sqlite as Driver, SqlitePool};
use std::future::Future;
use writer::Writer;

/// The backend on SQLite.
///
/// ```
/// use legwork::backend::{Backend, sqlite::Sqlite};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> legwork::Result<()> {
/// let backend = Sqlite::connect("sqlite::memory:", legwork::Clock::Backend).await?;
/// assert!(backend.queues().await?.is_empty());
/// # Ok(()) }
/// ```
pub struct Sqlite {
    shown: String,
    memory: bool,
    durability: Durability,
    clock: Clock,
    read: SqlitePool,
    writer: Writer,
    bell: wake::Bell,
}

impl Sqlite {
    /// Opens `sqlite:PATH`, `sqlite:///ABSOLUTE/PATH` or `sqlite::memory:`. A missing file
    /// is created, readable by its owner only; a database in memory is this value's own
    /// and ends with it.
    ///
    /// A file is synced before anything is answered. With `?durability=memory` that is left to
    /// the system: what has been answered outlives every process, but not a power loss.
    ///
    /// ```
    /// # use legwork::{Clock, backend::sqlite::Sqlite};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let Err(error) = Sqlite::connect("sqlite:/no/such/directory/a.db", Clock::Backend).await else { panic!() };
    /// assert!(error.to_string().contains("/no/such/directory"));
    /// # }
    /// ```
    ///
    /// # Errors
    /// One line that names the file: the address or the directory is wrong, the file is
    /// not a database or not ours, cannot be written, or has a newer schema.
    pub async fn connect(url: &str, clock: Clock) -> Result<Sqlite> {
        Sqlite::open(url, clock, None).await
    }

    /// What schema the file has that an address names; writes nothing.
    ///
    /// ```
    /// # use legwork::backend::sqlite::Sqlite;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// assert!(Sqlite::schema("sqlite:/no/such/directory/a.db").await.unwrap_err().is_invalid());
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Sqlite::connect`], but for what only writing finds out.
    pub async fn schema(url: &str) -> Result<Schema> {
        open::schema(&open::place(url)?).await
    }

    /// As [`Sqlite::connect`]; enqueues are to be this safe, whatever the URL says.
    pub(crate) async fn open(url: &str, clock: Clock, wanted: Option<Durability>) -> Result<Sqlite> {
        let place = open::place(url)?;
        let durability = open::durability(url, &place, wanted)?;
        let pools = open::open(&place, durability).await?;
        let shown = match &place {
            Place::Memory => "sqlite::memory:".into(),
            Place::File(path) => format!("sqlite:{}", path.display()),
        };
        let files = match &place {
            Place::Memory => files::Files::default(),
            Place::File(path) => files::Files::of(path).map_err(|e| fault::of(&shown, e))?,
        };
        let bell = wake::Bell::new();
        let writer = Writer::start(shown.clone(), pools.write, files, clock.clone(), bell.clone());
        let memory = place == Place::Memory;
        Ok(Sqlite { shown, memory, durability, clock, read: pools.read, writer, bell })
    }

    fn time(&self) -> i64 {
        self.clock.manual_ms().unwrap_or_else(crate::clock::system_ms)
    }

    /// Looks, on a connection that does not write.
    async fn look<T, F>(&self, look: impl FnOnce(PoolConnection<Driver>) -> F) -> Result<T>
    where
        F: Future<Output = Sql<T>>,
    {
        let looked = async { look(self.read.acquire().await?).await };
        looked.await.map_err(|e| fault::of(&self.shown, e))
    }
}

impl Backend for Sqlite {
    fn describe(&self) -> String {
        self.shown.clone()
    }

    fn durability(&self) -> Durability {
        self.durability
    }

    fn now(&self) -> Fut<'_, i64> {
        Box::pin(async { Ok(self.time()) })
    }

    fn enqueue<'a>(&'a self, batch: &'a EnqueueBatch) -> Fut<'a, Taken> {
        if let Some(step) = &batch.flow {
            return Box::pin(self.writer.call(flow_stage::Stage::of(batch, step)));
        }
        if batch.jobs.is_empty() && !matches!(batch.guard, Guard::Slot { .. }) {
            return Box::pin(async { Ok(Taken::Jobs(Vec::new())) });
        }
        Box::pin(async {
            let taken = self.writer.call(enqueue::Enqueue::of(batch)).await?;
            taken.map_err(|rules::Full(queue, waiting, limit)| crate::rules::full(&queue, waiting, limit))
        })
    }

    fn lease<'a>(&'a self, request: &'a LeaseRequest) -> Fut<'a, Leased> {
        Box::pin(self.writer.call(lease::Lease(request.clone())))
    }

    fn extend<'a>(&'a self, tokens: &'a [Token], ttl_ms: i64) -> Fut<'a, Extended> {
        if tokens.is_empty() {
            // Asked for twice a second by every worker: no need for the write lock.
            let marked = self.look(async move |mut conn| read::cancels(&mut conn).await);
            return Box::pin(async { Ok(Extended { held: Vec::new(), cancel: marked.await? }) });
        }
        Box::pin(self.writer.call(lease::Extend(tokens.into(), ttl_ms)))
    }

    fn settle<'a>(&'a self, items: &'a [Settle]) -> Fut<'a, Vec<Settled>> {
        if items.is_empty() {
            return Box::pin(async { Ok(Vec::new()) });
        }
        Box::pin(self.writer.call(settle::SettleAll(items.into())))
    }

    fn note<'a>(&'a self, token: Token, id: JobId, note: &'a Note) -> Fut<'a, Settled> {
        Box::pin(
            async move { steps::told(self.writer.call(steps::WriteDown(token, id, note.clone())).await?) },
        )
    }

    fn promote(&self, limit: usize) -> Fut<'_, Promoted> {
        Box::pin(self.writer.call(sweep::Promote(limit)))
    }

    fn reap(&self, limit: usize, outage: bool, ttl_ms: i64) -> Fut<'_, Vec<Reaped>> {
        Box::pin(self.writer.call(sweep::Reap { limit, outage, ttl_ms }))
    }

    fn prune(&self, limit: usize) -> Fut<'_, usize> {
        Box::pin(self.writer.call(sweep::Prune(limit)))
    }

    fn control<'a>(&'a self, id: JobId, action: Action) -> Fut<'a, Controlled> {
        Box::pin(self.writer.call(control::Control(id, action)))
    }

    fn steer<'a>(&'a self, queue: &'a str, steer: Steer) -> Fut<'a, usize> {
        Box::pin(async move {
            match steer {
                Steer::Pause(pause) => {
                    self.writer.call(control::PauseQueue(queue.into(), pause)).await.map(|()| 0)
                }
                Steer::Purge(limit) => self.writer.call(control::Purge(queue.into(), limit)).await,
                Steer::Budget { limit, change } => {
                    let change = limits::Change { queue: queue.into(), limit, change };
                    self.writer.call(change).await.map(|()| 0)
                }
            }
        })
    }

    fn get(&self, id: JobId, watch: bool) -> Fut<'_, Option<JobView>> {
        Box::pin(async move {
            if watch {
                self.writer.call(control::Watch(id)).await?;
            }
            self.look(async move |mut conn| read::get(&mut conn, id).await).await
        })
    }

    fn search<'a>(&'a self, filter: &'a Filter) -> Fut<'a, Page> {
        Box::pin(async move {
            let wrong = || Error::invalid("cursor: not one that a search has given");
            let place = filter.place("sqlite")?;
            let place = place.map(|at| search::Place::of(&at).ok_or_else(wrong)).transpose()?;
            let found = self.look(async move |mut conn| search::page(&mut conn, filter, place).await);
            let (page, behind) = found.await?;
            Ok(Page { cursor: behind.map(|at| filter.cursor("sqlite", &at.bytes())), ..page })
        })
    }

    fn terms<'a>(&'a self, from: &'a str, limit: usize) -> Fut<'a, Vec<Term>> {
        Box::pin(self.look(async move |mut conn| search::terms(&mut conn, from, limit).await))
    }

    fn queues(&self) -> Fut<'_, Vec<QueueView>> {
        let now = self.time();
        Box::pin(self.look(async move |mut conn| read::queues(&mut conn, now).await))
    }

    fn blocked(&self) -> Fut<'_, Vec<Blocked>> {
        let now = self.time();
        Box::pin(self.look(async move |mut conn| limits::blocked(&mut conn, now).await))
    }

    fn beat<'a>(&'a self, worker: &'a WorkerView) -> Fut<'a, Vec<Order>> {
        Box::pin(self.writer.call(workers::Beat(worker.clone())))
    }

    fn workers(&self) -> Fut<'_, Vec<WorkerView>> {
        let now = self.time();
        Box::pin(self.look(async move |mut conn| read::workers(&mut conn, now).await))
    }

    fn put<'a>(&'a self, kind: Setting, name: &'a str, value: Option<&'a str>) -> Fut<'a, Option<Entry>> {
        Box::pin(self.writer.call(settings::Put(kind, name.into(), value.map(Into::into))))
    }

    fn settings(&self, kind: Setting) -> Fut<'_, Settings> {
        Box::pin(self.look(async move |mut conn| settings::all(&mut conn, kind).await))
    }

    fn wakeups(&self) -> watch::Receiver<u64> {
        self.bell.listen((!self.memory).then(|| self.read.clone()))
    }

    fn flow<'a>(&'a self, ask: &'a FlowAsk) -> Fut<'a, FlowPage> {
        Box::pin(self.look(async move |mut conn| flow_read::page(&mut conn, ask).await))
    }

    fn examine(&self) -> Fut<'_, Vec<Finding>> {
        Box::pin(async move {
            let mut all = health::of_settings(&self.shown, self.memory, self.durability);
            if !self.memory {
                let lines = self.look(async move |mut conn| health::quick_check(&mut conn).await).await?;
                all.extend(lines.into_iter().map(|line| Finding::new(Gravity::Danger, "file", line)));
            }
            Ok(all)
        })
    }

    fn audit(&self) -> Fut<'_, Vec<String>> {
        Box::pin(self.look(async move |mut conn| audit::audit(&mut conn).await))
    }
}
