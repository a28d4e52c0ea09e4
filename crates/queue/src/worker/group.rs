//! Queues that share permits: as they are said, and as they run.

use super::lock;
use super::permits::Permits;
use super::share::Shares;
use crate::backend::GroupView;
use crate::{Error, Result};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

/// As many permits as a group may have.
const MAX_PERMITS: usize = 10_000;
/// As heavy as a queue may be.
const MAX_WEIGHT: u32 = 1_000;

/// Queues that share permits in a worker: [`crate::Worker::group`].
///
/// ```
/// use legwork::Group;
/// let urgent_first = Group::strict("mail", 8, ["password", "newsletter"]);
/// let in_shares = Group::weighted("io", 32, [("high", 6), ("default", 3), ("low", 1)]);
/// # let _ = (urgent_first, in_shares);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub(super) name: String,
    pub(super) permits: usize,
    pub(super) strict: bool,
    pub(super) queues: Vec<(String, u32)>,
}

impl Group {
    /// A group in which a queue is served only while those before it hold nothing that could
    /// run. At most `permits` of its jobs (1 to 10,000) run at a time.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # async fn ping(_: Ping, _: Context<()>) -> Result<(), Failure> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let group = Group::strict("mail", 8, ["password", "newsletter"]);
    /// let worker = Worker::new(jobs, ()).handle(ping).group(group).start().await?;
    /// # worker.stop().await; Ok(()) }
    /// ```
    pub fn strict<'a>(name: &str, permits: usize, queues: impl IntoIterator<Item = &'a str>) -> Group {
        let queues = queues.into_iter().map(|queue| (queue.into(), 1)).collect();
        Group { name: name.into(), permits, strict: true, queues }
    }

    /// A group whose queues get shares of its leases by their weights (1 to 1,000) while they
    /// hold jobs; what one leaves goes to the others, and none is starved.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # async fn ping(_: Ping, _: Context<()>) -> Result<(), Failure> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let group = Group::weighted("io", 32, [("high", 6), ("default", 3), ("low", 1)]);
    /// let worker = Worker::new(jobs, ()).handle(ping).group(group).start().await?;
    /// # worker.stop().await; Ok(()) }
    /// ```
    pub fn weighted<'a>(
        name: &str,
        permits: usize,
        queues: impl IntoIterator<Item = (&'a str, u32)>,
    ) -> Group {
        let queues = queues.into_iter().map(|(queue, weight)| (queue.into(), weight)).collect();
        Group { name: name.into(), permits, strict: false, queues }
    }

    /// What is wrong with it, beside the groups that stand already.
    pub(super) fn check(&self, others: &[Group]) -> Result<()> {
        let Group { name, queues, .. } = self;
        let refused = |what: String| Err(Error::invalid(format!("group {name}: {what}")));
        for (at, (queue, weight)) in queues.iter().enumerate() {
            crate::check_queue_name(queue)?;
            if !(1..=MAX_WEIGHT).contains(weight) {
                return refused(format!("the weight {weight} of {queue} is not 1 to {MAX_WEIGHT}"));
            }
            let before = others.iter().flat_map(|g| &g.queues).chain(&queues[..at]);
            if before.into_iter().any(|(other, _)| other == queue) {
                return refused(format!("the queue {queue:?} is named twice"));
            }
        }
        crate::name::check("group", name)?;
        check_permits(name, self.permits)?;
        if others.iter().any(|other| other.name == *name) {
            return refused("the name is used twice".into());
        }
        if queues.is_empty() {
            return refused("a group needs at least one queue".into());
        }
        Ok(())
    }
}

pub(crate) fn check_permits(group: &str, permits: usize) -> Result<()> {
    match permits {
        1..=MAX_PERMITS => Ok(()),
        n => Err(Error::invalid(format!("concurrency of {group}: {n} is not 1 to {MAX_PERMITS}"))),
    }
}

/// A group at work.
pub(super) struct Pool {
    pub(super) name: String,
    pub(super) permits: Permits,
    /// Its queues, as numbers of the worker's lanes.
    pub(super) lanes: std::ops::Range<usize>,
    queues: Vec<(String, u32)>,
    shares: Option<Mutex<Shares>>,
    /// Milliseconds after the worker's start of the last look that succeeded; -1 for never.
    pub(super) polled: AtomicI64,
}

impl Pool {
    pub(super) fn new(group: &Group, lanes: std::ops::Range<usize>) -> Pool {
        let weights = group.queues.iter().map(|(_, weight)| *weight);
        Pool {
            name: group.name.clone(),
            permits: Permits::new(group.permits),
            lanes,
            queues: group.queues.clone(),
            shares: (!group.strict).then(|| Mutex::new(Shares::new(weights))),
            polled: AtomicI64::new(-1),
        }
    }

    pub(super) fn is_weighted(&self) -> bool {
        self.shares.is_some()
    }

    /// Its lanes in the order in which they are to be asked now.
    pub(super) fn order(&self) -> Vec<usize> {
        match &self.shares {
            None => self.lanes.clone().collect(),
            Some(shares) => lock(shares).order().iter().map(|n| self.lanes.start + n).collect(),
        }
    }

    /// What each of these lanes may give of this room, where weights say so.
    pub(super) fn split(&self, lanes: &[usize], room: usize, cost: u64) -> Option<Vec<usize>> {
        let shares = self.shares.as_ref()?;
        Some(lock(shares).split(&self.own(lanes), room, cost))
    }

    pub(super) fn took(&self, lanes: &[usize], split: &[usize], came: &[usize], cost: u64) {
        if let Some(shares) = &self.shares {
            lock(shares).took(&self.own(lanes), split, came, cost);
        }
    }

    fn own(&self, lanes: &[usize]) -> Vec<usize> {
        lanes.iter().map(|lane| lane - self.lanes.start).collect()
    }

    pub(super) fn view(&self) -> GroupView {
        GroupView {
            name: self.name.clone(),
            permits: self.permits.size(),
            running: self.permits.in_use(),
            strict: !self.is_weighted(),
            queues: self.queues.clone(),
        }
    }

    pub(super) fn polled_ms(&self) -> i64 {
        self.polled.load(Ordering::Relaxed)
    }
}
