//! What a handler remembers from one attempt to the next: steps that are done, and how far
//! a long iteration has come.

use super::Context;
use super::context::Inner;
use super::hold::Why;
use super::lock;
use crate::backend::{Note, Settled, StepView};
use crate::{Failure, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

/// A cursor is stored this often while it moves, and once more when the handler stops.
const EVERY: Duration = Duration::from_secs(1);
/// The last cursor is not waited for longer: without it some work is repeated.
const LAST: Duration = Duration::from_secs(2);
/// The longest name of a step, in bytes.
const MAX_NAME: usize = 200;

/// The part of a context that remembers. Nothing is read before the first question.
#[derive(Default)]
pub(super) struct Memory {
    told: OnceCell<Told>,
    names: Mutex<HashSet<String>>,
    cursor: tokio::sync::Mutex<Cursor>,
}

/// What former attempts have left.
#[derive(Default)]
pub(super) struct Told {
    steps: HashMap<String, Box<RawValue>>,
    cursor: Option<Box<RawValue>>,
}

/// How far this attempt has come.
#[derive(Default)]
struct Cursor {
    latest: Option<String>,
    stored: Option<String>,
    at: Option<Instant>,
}

impl Told {
    pub(super) fn of(steps: Vec<StepView>, cursor: Option<Box<RawValue>>) -> Told {
        let steps = steps.into_iter().map(|step| (step.name, step.value)).collect();
        Told { steps, cursor }
    }
}

impl Inner {
    async fn told(&self) -> Result<&Told, Failure> {
        let ask = async || {
            #[cfg(unix)]
            if let Some(parent) = self.relay() {
                return parent.told().await;
            }
            let job = self.remembered().await?;
            Ok::<_, Failure>(job.map(|job| Told::of(job.steps, job.cursor)).unwrap_or_default())
        };
        self.memory.told.get_or_try_init(ask).await
    }

    /// Writes down under the fence; a lost lease ends the handler.
    async fn write_down(&self, note: &Note) -> Result<(), Failure> {
        match self.note(note, self.client.options().patience).await {
            Ok(Settled::Done) => Ok(()),
            Ok(Settled::Stale) => {
                self.hold.end(Why::Lost);
                Err(Failure::retry("the lease is lost; another worker may run this job by now"))
            }
            // Too large: another attempt would not make it smaller.
            Err(e) if e.is_invalid() => Err(Failure::discard(e)),
            Err(e) => Err(Failure::retry(e)),
        }
    }

    async fn store_cursor(&self, cursor: &mut Cursor) -> Result<(), Failure> {
        let Some(latest) = cursor.latest.clone().filter(|latest| cursor.stored.as_ref() != Some(latest))
        else {
            return Ok(());
        };
        self.write_down(&Note::Cursor(latest.clone())).await?;
        (cursor.stored, cursor.at) = (Some(latest), Some(Instant::now()));
        Ok(())
    }

    /// Stores the last cursor of a handler that has stopped before its end.
    pub(super) async fn store_last(&self) {
        // Held only while a cursor is stored: nobody does so any more.
        let Ok(mut cursor) = self.memory.cursor.try_lock() else { return };
        if cursor.latest.is_some() {
            let stored = tokio::time::timeout(LAST, self.store_cursor(&mut cursor)).await;
            if !matches!(stored, Ok(Ok(()))) {
                tracing::warn!("the last cursor could not be stored; some work will be repeated");
            }
        }
    }
}

impl<S> Context<S> {
    /// Does something once in the life of the job: the result is stored before the handler
    /// goes on, and a later attempt gets it back without doing the work again.
    ///
    /// Names are unique within a handler (1 to 200 bytes). The work itself may run twice:
    /// when it ended and the worker died before the result was stored. All steps of a job hold
    /// 256 KiB of JSON at most. They outlive retries, snoozes, crashes and hand-backs, and a
    /// redrive of what was discarded or cancelled; they are forgotten when the job succeeds.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Order;
    /// # impl Job for Order { const NAME: &'static str = "order"; type Output = u32;
    /// #     fn policy() -> Policy { Policy::default().backoff(Backoff::fixed(std::time::Duration::ZERO)) } }
    /// async fn order(_: Order, cx: Context<()>) -> Result<u32, Failure> {
    ///     let first: u32 = cx.step("charge", async || Ok(cx.attempt())).await?;
    ///     if cx.attempt() == 1 {
    ///         return Err(Failure::retry("the parcel is not ready"));
    ///     }
    ///     Ok(first)
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # let worker = Worker::new(jobs.clone(), ()).handle(order).start().await?;
    /// let id = jobs.enqueue(Order).await?.id;
    /// assert_eq!(jobs.wait::<Order>(id).await?, 1); // charged in the first attempt only
    /// # worker.stop().await; Ok(()) }
    /// ```
    ///
    /// # Errors
    /// What the work said; the job is called off, out of time or lost; a name used twice in
    /// one attempt; a remembered result of another shape; too much in all; no backend.
    pub async fn step<T, F, Fut>(&self, name: &str, work: F) -> Result<T, Failure>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, Failure>>,
    {
        let inner = &*self.inner;
        let wrong = |what: &str| Failure::discard(format!("step {name:?}: {what}"));
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(wrong("a name has 1 to 200 bytes"));
        }
        if self.is_cancelled() {
            self.check()?;
        }
        if !lock(&inner.memory.names).insert(name.into()) {
            return Err(wrong("this attempt has had a step of that name; each needs its own"));
        }
        // A step that failed may be tried again within the attempt.
        let forget = |failure| {
            lock(&inner.memory.names).remove(name);
            failure
        };
        if let Some(value) = inner.told().await.map_err(forget)?.steps.get(name) {
            tracing::debug!(step = name, "remembered");
            return serde_json::from_str(value.get()).map_err(|e| {
                Failure::retry(format!("step {name:?}: what is remembered has another shape: {e}"))
            });
        }
        let value = work().await.map_err(forget)?;
        let json = serde_json::to_string(&value).map_err(|e| wrong(&format!("not JSON: {e}")))?;
        inner.write_down(&Note::Step { name: name.into(), value: json }).await?;
        Ok(value)
    }

    /// How far a former attempt (or this one) has come, as [`Context::checkpoint`] stored it.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Import;
    /// # impl Job for Import { const NAME: &'static str = "import"; type Output = u32; }
    /// async fn import(_: Import, cx: Context<()>) -> Result<u32, Failure> {
    ///     let mut page = cx.cursor().await?.unwrap_or(1);
    ///     while page < 4 {
    ///         // fetch the page and store it
    ///         page += 1;
    ///         cx.checkpoint(&page).await?;
    ///     }
    ///     Ok(page)
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # let worker = Worker::new(jobs.clone(), ()).handle(import).start().await?;
    /// let id = jobs.enqueue(Import).await?.id;
    /// assert_eq!(jobs.wait::<Import>(id).await?, 4);
    /// # worker.stop().await; Ok(()) }
    /// ```
    ///
    /// # Errors
    /// A stored cursor of another shape, or no backend.
    pub async fn cursor<T: DeserializeOwned>(&self) -> Result<Option<T>, Failure> {
        let latest = self.inner.memory.cursor.lock().await.latest.clone();
        let text = match &latest {
            Some(text) => Some(text.as_str()),
            None => self.inner.told().await?.cursor.as_deref().map(RawValue::get),
        };
        let wrong = |e| Failure::retry(format!("cursor: what is remembered has another shape: {e}"));
        text.map(serde_json::from_str).transpose().map_err(wrong)
    }

    /// Says how far the handler has come, and ends it where it is to end: at a shutdown with a
    /// clean hand-back. It is stored at most once a second, and once more when the handler
    /// stops: after a kill up to a second's work is repeated.
    ///
    /// Shown with [`Context::cursor`].
    ///
    /// # Errors
    /// The handler is to end, as [`Context::check`] says; or as [`Context::step`].
    pub async fn checkpoint<T: Serialize + ?Sized>(&self, at: &T) -> Result<(), Failure> {
        let json =
            serde_json::to_string(at).map_err(|e| Failure::discard(format!("cursor: not JSON: {e}")))?;
        let mut cursor = self.inner.memory.cursor.lock().await;
        cursor.latest = Some(json);
        if cursor.at.is_none_or(|at| at.elapsed() >= EVERY) || self.stop_reason().is_some() {
            self.inner.store_cursor(&mut cursor).await?;
        }
        drop(cursor);
        self.check()
    }

    /// Does the work for each item, in order, and goes on with the next one in a later
    /// attempt: the cursor is how many are done. The items must come in the same order then.
    /// Returns how many there were.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Mail { to: Vec<String> }
    /// # impl Job for Mail { const NAME: &'static str = "mail"; type Output = u64; }
    /// async fn mail(job: Mail, cx: Context<()>) -> Result<u64, Failure> {
    ///     cx.iterate(job.to, async |address| { let _ = address; /* send */ Ok(()) }).await
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # let worker = Worker::new(jobs.clone(), ()).handle(mail).start().await?;
    /// let id = jobs.enqueue(Mail { to: vec!["a@b.example".into()] }).await?.id;
    /// assert_eq!(jobs.wait::<Mail>(id).await?, 1);
    /// # worker.stop().await; Ok(()) }
    /// ```
    ///
    /// # Errors
    /// What the work said; else as [`Context::checkpoint`].
    pub async fn iterate<T, F, Fut>(
        &self,
        items: impl IntoIterator<Item = T>,
        mut work: F,
    ) -> Result<u64, Failure>
    where
        F: FnMut(T) -> Fut,
        Fut: Future<Output = Result<(), Failure>>,
    {
        let mut done: u64 = self.cursor().await?.unwrap_or(0);
        self.check()?;
        for item in items.into_iter().skip(usize::try_from(done).unwrap_or(usize::MAX)) {
            work(item).await?;
            done += 1;
            self.checkpoint(&done).await?;
        }
        Ok(done)
    }

    /// Does the work at `first`, then at what it returns, until that is none; a later attempt
    /// goes on where the last one was. The cursor is where the work is to be done next: a
    /// page's number, a token, a key with whatever has been counted.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Import;
    /// # impl Job for Import { const NAME: &'static str = "import"; type Output = (); }
    /// async fn import(_: Import, cx: Context<()>) -> Result<(), Failure> {
    ///     cx.pages(1, async |page: u32| Ok((page < 9).then_some(page + 1))).await
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # let worker = Worker::new(jobs.clone(), ()).handle(import).start().await?;
    /// let id = jobs.enqueue(Import).await?.id;
    /// jobs.wait::<Import>(id).await?;
    /// # worker.stop().await; Ok(()) }
    /// ```
    ///
    /// # Errors
    /// What the work said; else as [`Context::checkpoint`].
    pub async fn pages<C, F, Fut>(&self, first: C, mut work: F) -> Result<(), Failure>
    where
        C: Serialize + DeserializeOwned,
        F: FnMut(C) -> Fut,
        Fut: Future<Output = Result<Option<C>, Failure>>,
    {
        let mut at = self.cursor().await?.unwrap_or(first);
        self.check()?;
        while let Some(next) = work(at).await? {
            self.checkpoint(&next).await?;
            at = next;
        }
        Ok(())
    }
}
