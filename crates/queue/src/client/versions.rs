//! Which versions of which payloads wait, and who could run them.

use super::Client;
use crate::backend::Filter;
use crate::{Result, State};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// Jobs of one page, and at most so many pages of each state.
const PAGE: usize = 1_000;
const PAGES: usize = 100;

/// One version of one job name, as [`Client::versions`] counts it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionView {
    /// The job's name.
    pub name: String,
    /// The version of the payload.
    pub version: u32,
    /// Jobs of it that have not finished, the parked ones among them.
    pub queued: u64,
    /// Those that are parked.
    pub parked: u64,
    /// The ids of the workers that know the name and this version or a newer one.
    pub workers: Vec<String>,
}

/// The answer to [`Client::versions`].
///
/// ```
/// # use legwork::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// jobs.enqueue_raw("a.job", "{}").version(2).await?;
/// let seen = jobs.versions().await?;
/// assert!(seen.whole);
/// assert_eq!((seen.versions[0].version, seen.versions[0].queued), (2, 1));
/// assert!(seen.versions[0].workers.is_empty(), "nobody could run it");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Versions {
    /// By name and version.
    pub versions: Vec<VersionView>,
    /// Whether every unfinished job was looked at; else the counts are of those that were.
    pub whole: bool,
}

impl Client {
    /// The versions of payloads that are still queued, and those that workers know: what an
    /// upcaster or a key is needed for. Looks at a bounded number of jobs of each state.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; const VERSION: u32 = 3; type Output = (); }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let worker = Worker::new(jobs.clone(), ()).handle(|_: Ping, _| async { Ok(()) }).start().await?;
    /// let known = &jobs.versions().await?.versions[0];
    /// assert_eq!((known.version, known.queued, known.workers.len()), (3, 0, 1));
    /// # worker.stop().await; Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the backend cannot be reached.
    pub async fn versions(&self) -> Result<Versions> {
        let workers = self.workers().await?;
        let definitions = || workers.iter().flat_map(|w| &w.definitions);
        let mut counts: BTreeMap<(String, u32), (u64, u64)> =
            definitions().map(|d| ((d.name.clone(), d.version), (0, 0))).collect();
        let (mut whole, mut met) = (true, HashSet::new());
        for state in State::ALL.iter().filter(|state| !state.is_final()) {
            let mut filter = Filter { state: Some(*state), limit: PAGE, ..Filter::default() };
            for page in 1.. {
                let found = self.inner.backend.search(&filter).await?;
                // One that moves on in the meantime is met twice.
                for job in found.jobs.into_iter().filter(|job| met.insert(job.id)) {
                    let version = job.envelope.envelope().map_or(0, |e| e.version);
                    let count = counts.entry((job.envelope.name().into(), version)).or_default();
                    count.0 += 1;
                    count.1 += u64::from(job.parked);
                }
                filter.cursor = found.cursor;
                whole &= page < PAGES || filter.cursor.is_none();
                if page == PAGES || filter.cursor.is_none() {
                    break;
                }
            }
        }
        let view = |((name, version), (queued, parked)): ((String, u32), (u64, u64))| {
            let knows = |d: &&crate::backend::Definition| d.name == name && d.version >= version;
            let able = workers.iter().filter(|w| w.definitions.iter().any(|d| knows(&d)));
            let workers = able.map(|w| w.id.clone()).collect();
            VersionView { name, version, queued, parked, workers }
        };
        Ok(Versions { versions: counts.into_iter().map(view).collect(), whole })
    }
}
