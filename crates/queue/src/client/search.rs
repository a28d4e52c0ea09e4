//! Finding jobs, counting them, and acting on all that were found.

use super::Client;
use crate::backend::{Action, Controlled, Filter, JobView, MOST, Page};
use crate::{JobId, Result, State};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use tokio::task::JoinSet;

/// Without a state, [`Client::jobs`] finds the newest on this many pages.
const PAGES: usize = 20;
/// Calls in flight at once while many jobs are acted on.
const ABREAST: usize = 64;

/// What became of the jobs that a filter found; see [`Client::act`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Acted {
    /// How many fitted when they were looked at.
    pub matched: u64,
    /// How many it was done to.
    pub done: u64,
    /// How many are leased, and their workers have been asked to stop.
    pub requested: u64,
    /// How many did not allow it, by the state they were in.
    pub refused: BTreeMap<String, u64>,
    /// How many had gone by then.
    pub missing: u64,
    /// How many could not be put back because another job holds their unique key.
    pub duplicate: u64,
}

impl Acted {
    fn add(&mut self, outcome: Controlled) {
        self.matched += 1;
        match outcome {
            Controlled::Done(_) => self.done += 1,
            Controlled::Requested => self.requested += 1,
            Controlled::Refused(state) => *self.refused.entry(state.to_string()).or_default() += 1,
            Controlled::Missing => self.missing += 1,
            Controlled::Duplicate(_) => self.duplicate += 1,
        }
    }
}

impl std::ops::AddAssign for Acted {
    fn add_assign(&mut self, other: Acted) {
        self.matched += other.matched;
        self.done += other.done;
        self.requested += other.requested;
        self.missing += other.missing;
        self.duplicate += other.duplicate;
        for (state, count) in other.refused {
            *self.refused.entry(state).or_default() += count;
        }
    }
}

/// Jobs whose newest error is the same one; see [`Client::errors`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorGroup {
    /// What [`Filter::error`] finds them by.
    pub fingerprint: String,
    /// How many jobs there are, of any state.
    pub count: u64,
    /// The one of them that was made last.
    pub example: JobId,
    /// Its newest error.
    pub error: String,
    /// When that was, milliseconds since the epoch.
    pub at_ms: i64,
}

impl Client {
    /// A page of the jobs that fit a filter. However many jobs there are, a bounded number is
    /// looked at, so a page may be short or empty although more follow: go on with its cursor
    /// until there is none. A job that exists and fits throughout is found at least once.
    ///
    /// ```
    /// # use legwork::{*, backend::Filter};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # for n in 0..3 { jobs.enqueue_raw("a.job", "{}").tag("nightly").await?; }
    /// let mut filter = Filter { tag: Some("nightly".into()), limit: 2, ..Filter::default() };
    /// let mut found = 0;
    /// loop {
    ///     let page = jobs.search(&filter).await?;
    ///     found += page.jobs.len();
    ///     filter.cursor = page.cursor;
    ///     if filter.cursor.is_none() { break }
    /// }
    /// assert_eq!(found, 3);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Invalid for a limit of 0, more than 1,000 ids, and a cursor of another filter; else when
    /// the backend cannot be reached.
    pub async fn search(&self, filter: &Filter) -> Result<Page> {
        let mut page = self.inner.backend.search(filter).await?;
        page.jobs = page.jobs.into_iter().map(|job| self.shown(job)).collect();
        Ok(page)
    }

    /// The first jobs that fit a filter, page by page until there are as many as its limit.
    /// Without a state or a term of the index to go by, they are the newest ones on the first 20
    /// pages, which is where it ends however many jobs there are: [`Client::search`] goes on.
    ///
    /// ```
    /// # use legwork::{*, backend::Filter};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let failed = Filter { state: Some(State::Discarded), limit: 50, ..Filter::default() };
    /// assert!(jobs.jobs(&failed).await?.is_empty());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Client::search`].
    pub async fn jobs(&self, filter: &Filter) -> Result<Vec<JobView>> {
        let ordered = filter.state.is_some() || filter.term().is_some();
        if ordered {
            let found = self.inner.backend.list(filter, filter.limit).await?;
            return Ok(found.into_iter().map(|job| self.shown(job)).collect());
        }
        let made =
            |job: &JobView| job.envelope.envelope().and_then(|e| e.made_ms()).or_else(|| job.id.created_ms());
        let mut page = Filter { limit: MOST, ..filter.clone() };
        let mut newest = Vec::new();
        for _ in 0..PAGES {
            let found = self.search(&page).await?;
            newest.extend(found.jobs);
            newest.sort_by_key(|job| Reverse((made(job), job.id)));
            newest.dedup_by_key(|job: &mut JobView| job.id);
            newest.truncate(filter.limit);
            page.cursor = found.cursor;
            if page.cursor.is_none() {
                break;
            }
        }
        Ok(newest)
    }

    /// How many jobs fit a filter: what [`Client::act`] would act on. From the counters where
    /// the filter says only a queue and a state, from the index where it says only a tag, a pair
    /// of metadata or an error; else the jobs are looked through, page by page.
    ///
    /// ```
    /// # use legwork::{*, backend::Filter};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// jobs.enqueue_raw("a.job", "{}").tag("nightly").await?;
    /// let nightly = Filter { tag: Some("nightly".into()), ..Filter::default() };
    /// assert_eq!(jobs.count(&nightly).await?, 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Client::search`].
    pub async fn count(&self, filter: &Filter) -> Result<u64> {
        if filter.is_counted() {
            let queues = self.queues().await?;
            let wanted = queues.iter().filter(|q| filter.queue.as_ref().is_none_or(|name| *name == q.name));
            let states = filter.state.map_or(State::ALL.to_vec(), |state| vec![state]);
            return Ok(wanted.flat_map(|q| states.iter().map(|state| q.count(*state))).sum());
        }
        if let Some(term) = filter.only_term() {
            let found = self.inner.backend.terms(&term, 1).await?;
            return Ok(found.iter().find(|found| found.term == term).map_or(0, |found| found.count));
        }
        let mut page = Filter { limit: MOST, ..filter.clone() };
        let mut count = 0;
        loop {
            let found = self.search(&page).await?;
            count += found.jobs.len() as u64;
            page.cursor = found.cursor;
            if page.cursor.is_none() {
                return Ok(count);
            }
        }
    }

    /// Does something to all jobs that fit a filter, page by page and so in bounded memory;
    /// [`Client::count`] says beforehand how many there are. Each job is judged by the state it
    /// is in when its turn comes; a waiting job that finishes meanwhile is not run once more.
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # for n in 0..3 { jobs.enqueue_raw("a.job", "{}").tag("nightly").await?; }
    /// let nightly = Filter { tag: Some("nightly".into()), ..Filter::default() };
    /// let acted = jobs.act(&nightly, Action::Cancel).await?;
    /// assert_eq!((acted.matched, acted.done), (3, 3));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Client::search`]; what had been done before stays done. [`Client::act_page`] can go
    /// on where it stopped.
    pub async fn act(&self, filter: &Filter, action: Action) -> Result<Acted> {
        let mut page = Filter { limit: MOST, ..filter.clone() };
        let mut acted = Acted::default();
        loop {
            let (step, cursor) = self.act_page(&page, action).await?;
            acted += step;
            page.cursor = cursor;
            if page.cursor.is_none() {
                return Ok(acted);
            }
        }
    }

    /// One page of [`Client::act`]: what became of its jobs, and the cursor of the next page,
    /// none at the end. A page that failed may be repeated: nothing is done twice to a job.
    ///
    /// ```
    /// # use legwork::{*, backend::*};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # for n in 0..3 { jobs.enqueue_raw("a.job", "{}").tag("nightly").await?; }
    /// let nightly = Filter { tag: Some("nightly".into()), limit: 2, ..Filter::default() };
    /// let (acted, cursor) = jobs.act_page(&nightly, Action::Discard).await?;
    /// assert_eq!((acted.done, cursor.is_some()), (2, true));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Client::search`].
    pub async fn act_page(&self, filter: &Filter, action: Action) -> Result<(Acted, Option<String>)> {
        let page = self.search(filter).await?;
        let (mut acted, mut running) = (Acted::default(), JoinSet::new());
        for job in page.jobs {
            if running.len() == ABREAST {
                acted.add(joined(running.join_next().await)?);
            }
            let (backend, action) = (self.inner.backend.clone(), meant(action, job.state));
            running.spawn(async move { backend.control(job.id, action).await });
        }
        while !running.is_empty() {
            acted.add(joined(running.join_next().await)?);
        }
        Ok((acted, page.cursor))
    }

    /// The errors that most jobs have for their newest, the most frequent first, at most `limit`.
    /// Jobs that succeeded later are among them for as long as they are kept.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// for group in jobs.errors(10).await? {
    ///     println!("{} jobs: {}", group.count, group.error);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the backend cannot be reached.
    pub async fn errors(&self, limit: usize) -> Result<Vec<ErrorGroup>> {
        let (mut top, mut from) = (Vec::new(), "e:".to_owned());
        loop {
            let terms = self.inner.backend.terms(&from, MOST).await?;
            let Some(last) = terms.last() else { break };
            let more = terms.len() == MOST && last.term.starts_with("e:");
            from = format!("{}\0", last.term);
            top.extend(terms.into_iter().filter(|term| term.term.starts_with("e:")));
            top.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.term.cmp(&b.term)));
            top.truncate(limit);
            if !more {
                break;
            }
        }
        let mut groups = Vec::with_capacity(top.len());
        for term in top {
            // One that has gone since takes its place in the list with it.
            let newest = self.job(term.newest).await?.and_then(|job| job.errors.into_iter().next_back());
            groups.extend(newest.map(|error| ErrorGroup {
                fingerprint: term.term[2..].to_owned(),
                count: term.count,
                example: term.newest,
                error: error.error,
                at_ms: error.at_ms,
            }));
        }
        Ok(groups)
    }
}

/// A retry of a job that was seen waiting must not run it once more when it has finished since.
fn meant(action: Action, seen: State) -> Action {
    match action {
        Action::Retry if seen.is_final() => Action::Redrive,
        Action::Retry => Action::Hurry,
        action => action,
    }
}

fn joined(
    done: Option<std::result::Result<Result<Controlled>, tokio::task::JoinError>>,
) -> Result<Controlled> {
    match done {
        Some(Ok(outcome)) => outcome,
        Some(Err(e)) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
        _ => Err(crate::Error::unavailable("the runtime stops")),
    }
}
