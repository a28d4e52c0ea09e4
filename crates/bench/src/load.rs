//! The jobs that are measured: 200 bytes of payload, a handler that does nothing but count.

use crate::raw::Id;
use anyhow::{Result, bail};
use legwork::{Client, Context, Envelope, Failure, Job, Keep, LimitKey, Policy, Unique};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Bytes of JSON of every payload.
pub(crate) const PAYLOAD: usize = 200;

/// How many keys the jobs of [`Keyed`] are spread over.
pub(crate) const KEYS: usize = 1_000;

/// What differs from one kind of job to another.
pub(crate) trait Kind: Send + Sync + 'static {
    const NAME: &'static str;
    type Output: Serialize + DeserializeOwned + Send + 'static;
    fn output() -> Self::Output;
    fn policy() -> Policy {
        Policy::default().keep(Keep::None)
    }
    fn unique() -> Option<Unique> {
        None
    }
    fn limit(_n: usize) -> Option<LimitKey> {
        None
    }
}

/// A job of a kind: its number, and text up to the size wanted.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) struct Load<K> {
    pub(crate) n: usize,
    text: String,
    #[serde(skip)]
    kind: PhantomData<K>,
}

impl<K: Kind> Load<K> {
    pub(crate) fn new(n: usize) -> Load<K> {
        let rest = r#"{"n":,"text":""}"#.len() + n.checked_ilog10().unwrap_or(0) as usize + 1;
        Load { n, text: "x".repeat(PAYLOAD - rest), kind: PhantomData }
    }
}

impl<K: Kind> Job for Load<K> {
    const NAME: &'static str = K::NAME;
    type Output = K::Output;

    fn policy() -> Policy {
        K::policy()
    }

    fn unique(&self) -> Option<Unique> {
        K::unique()
    }

    fn limit(&self) -> Option<LimitKey> {
        K::limit(self.n)
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $name:literal $output:ty = $value:expr; { $($rest:tt)* })*) => { $(
        $(#[$doc])*
        pub(crate) struct $kind;
        impl Kind for $kind {
            const NAME: &'static str = $name;
            type Output = $output;
            fn output() -> $output { $value }
            $($rest)*
        }
    )* };
}

kinds! {
    /// Nothing is kept of it.
    Plain "bench.plain" () = (); {}
    /// The defaults: kept an hour.
    Kept "bench.kept" () = (); { fn policy() -> Policy { Policy::default() } }
    /// Kept with a result.
    Answered "bench.answered" String = "done, and this is my word".into(); {
        fn policy() -> Policy { Policy::default() }
    }
    /// One at a time of each of [`KEYS`] keys.
    Keyed "bench.keyed" () = (); {
        fn limit(n: usize) -> Option<LimitKey> { Some(LimitKey::new("site", n % KEYS)) }
    }
    /// One of each payload until it is finished.
    Once "bench.once" () = (); { fn unique() -> Option<Unique> { Some(Unique::payload()) } }
}

/// Counts what runs, and how often each.
pub(crate) struct Tally {
    seen: Vec<AtomicU8>,
    ran: AtomicUsize,
    want: AtomicUsize,
    reached: Notify,
}

impl Tally {
    /// For jobs numbered from 0 to below `jobs`.
    pub(crate) fn new(jobs: usize) -> Arc<Tally> {
        let seen = (0..jobs).map(|_| AtomicU8::new(0)).collect();
        Arc::new(Tally { seen, ran: 0.into(), want: jobs.into(), reached: Notify::new() })
    }

    fn count(&self, n: usize) {
        if let Some(times) = self.seen.get(n) {
            times.fetch_add(1, Ordering::Relaxed);
        }
        if self.ran.fetch_add(1, Ordering::Relaxed) + 1 >= self.want.load(Ordering::Relaxed) {
            self.reached.notify_waiters();
        }
    }

    pub(crate) fn ran(&self) -> usize {
        self.ran.load(Ordering::Relaxed)
    }

    /// Waits until so many runs have been counted; fails when none is for a minute.
    pub(crate) async fn reach(&self, want: usize) -> Result<()> {
        self.want.store(want, Ordering::Relaxed);
        loop {
            let reached = self.reached.notified();
            let before = self.ran();
            if before >= want {
                return Ok(());
            }
            let patience = std::time::Duration::from_secs(60);
            if tokio::time::timeout(patience, reached).await.is_err() && self.ran() == before {
                bail!("{before} of {want} jobs have run, and no other for a minute");
            }
        }
    }

    /// Fails unless every job ran once.
    pub(crate) fn check(&self) -> Result<()> {
        let of = |times: u8| self.seen.iter().filter(|n| n.load(Ordering::Relaxed) == times).count();
        let (never, once) = (of(0), of(1));
        let more = self.seen.len() - never - once;
        if never + more > 0 {
            bail!("of {} jobs {never} never ran and {more} ran more than once", self.seen.len());
        }
        Ok(())
    }
}

/// The handler.
pub(crate) async fn handle<K: Kind>(job: Load<K>, cx: Context<Arc<Tally>>) -> Result<K::Output, Failure> {
    cx.state().count(job.n);
    Ok(K::output())
}

/// Enqueues the jobs of a range of numbers, a thousand a call, from so many callers at once.
pub(crate) async fn fill<K: Kind>(
    client: &Client,
    numbers: std::ops::Range<usize>,
    callers: usize,
) -> Result<()> {
    let next = Arc::new(AtomicUsize::new(numbers.start));
    let mut all = JoinSet::<Result<()>>::new();
    for _ in 0..callers {
        let (client, next, end) = (client.clone(), next.clone(), numbers.end);
        all.spawn(async move {
            loop {
                let from = next.fetch_add(1_000, Ordering::Relaxed);
                if from >= end {
                    return Ok(());
                }
                client.enqueue_many((from..(from + 1_000).min(end)).map(Load::<K>::new)).await?;
            }
        });
    }
    while let Some(done) = all.join_next().await {
        done??;
    }
    Ok(())
}

/// The same bytes for a bare client: ids and records.
pub(crate) fn records(numbers: std::ops::Range<usize>) -> Result<Vec<(Id, Vec<u8>)>> {
    numbers
        .map(|n| {
            let payload = serde_json::to_string(&Load::<Plain>::new(n))?;
            let envelope = Envelope::new(Plain::NAME, &payload)?;
            Ok((*envelope.id.as_bytes(), envelope.encode()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_payload_has_the_size_that_is_said() {
        for n in [0, 9, 10, 99_999, 9_999_999] {
            assert_eq!(serde_json::to_string(&Load::<Plain>::new(n)).unwrap().len(), PAYLOAD, "{n}");
        }
    }

    #[test]
    fn a_job_that_ran_twice_or_never_is_told() {
        let tally = Tally::new(3);
        [0, 1, 1].into_iter().for_each(|n| tally.count(n));
        let line = tally.check().unwrap_err().to_string();
        assert_eq!(line, "of 3 jobs 1 never ran and 1 ran more than once");
        tally.seen[2].store(1, Ordering::Relaxed);
        tally.seen[1].store(1, Ordering::Relaxed);
        assert!(tally.check().is_ok());
    }
}
