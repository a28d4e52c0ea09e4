//! What is looked for, and a page of what was found.

use super::JobView;
use crate::{Error, JobId, Result, State};
use serde::Serialize;

/// The most jobs on a page.
pub(crate) const MOST: usize = 1_000;
/// A page is given when this many jobs have been looked at, however few fit.
pub(crate) const LOOKS: usize = 1_000;

/// Which jobs to find: those that fit everything said here. `None` and empty mean any.
///
/// Ids, tags, metadata and error fingerprints have an index; a state has an order of its own.
/// By name, queue or time alone jobs are looked through, a bounded number a page.
///
/// ```
/// use legwork::{State, backend::Filter};
/// let filter = Filter { state: Some(State::Discarded), tag: Some("nightly".into()), ..Filter::default() };
/// assert_eq!(filter.limit, 100);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// One of these; at most 1,000.
    pub ids: Vec<JobId>,
    /// In this state.
    pub state: Option<State>,
    /// In this queue.
    pub queue: Option<String>,
    /// Of this name.
    pub name: Option<String>,
    /// With this tag.
    pub tag: Option<String>,
    /// With this key in its metadata, and with this value where one is said.
    pub meta: Option<(String, Option<String>)>,
    /// Whose newest error has this fingerprint; see [`fingerprint`](crate::fingerprint).
    pub error: Option<String>,
    /// Made at this instant or later, milliseconds since the epoch.
    pub since_ms: Option<i64>,
    /// Made before this instant, milliseconds since the epoch.
    pub until_ms: Option<i64>,
    /// At most this many on a page, 1 to 1,000; 100 by default.
    pub limit: usize,
    /// Where the page begins: what the page before it gave, for the same filter.
    pub cursor: Option<String>,
}

impl Default for Filter {
    fn default() -> Filter {
        Filter {
            ids: Vec::new(),
            state: None,
            queue: None,
            name: None,
            tag: None,
            meta: None,
            error: None,
            since_ms: None,
            until_ms: None,
            limit: 100,
            cursor: None,
        }
    }
}

/// Jobs that fit a [`Filter`], and where to go on.
///
/// ```
/// # use legwork::{*, backend::*};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// # for n in 0..3 { jobs.enqueue_raw("a.job", "{}").await?; }
/// let mut filter = Filter { limit: 2, ..Filter::default() };
/// let page = jobs.search(&filter).await?;
/// filter.cursor = page.cursor;
/// assert_eq!((page.jobs.len(), jobs.search(&filter).await?.jobs.len()), (2, 1));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default, Serialize)]
pub struct Page {
    /// The jobs; may be few or none although more follow.
    pub jobs: Vec<JobView>,
    /// Where the next page begins; none when there is no more.
    pub cursor: Option<String>,
}

/// Something that the index finds jobs by; see [`Backend::terms`](super::Backend::terms).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Term {
    /// `g:TAG`, `d:KEY`, NUL and `VALUE`, or `e:FINGERPRINT`.
    pub term: String,
    /// How many jobs have it.
    pub count: u64,
    /// The one of them that was made last.
    pub newest: JobId,
}

impl Filter {
    /// What the index can find these jobs by: the rarest first.
    pub(crate) fn term(&self) -> Option<String> {
        let error = self.error.as_ref().map(|print| format!("e:{print}"));
        let pair = || self.meta.as_ref().and_then(|(k, v)| Some(format!("d:{k}\0{}", v.as_ref()?)));
        error.or_else(pair).or_else(|| self.tag.as_ref().map(|tag| format!("g:{tag}")))
    }

    /// The beginning of the terms of a metadata key that is looked for with any value.
    pub(crate) fn key(&self) -> Option<String> {
        self.meta.as_ref().filter(|(_, value)| value.is_none()).map(|(key, _)| format!("d:{key}\0"))
    }

    /// The term that says everything that this filter does.
    pub(crate) fn only_term(&self) -> Option<String> {
        let term = self.term()?;
        let mut rest = Filter { limit: self.limit, cursor: self.cursor.clone(), ..Filter::default() };
        match term.as_bytes()[0] {
            b'e' => rest.error.clone_from(&self.error),
            b'd' => rest.meta.clone_from(&self.meta),
            _ => rest.tag.clone_from(&self.tag),
        }
        (rest == *self && self.cursor.is_none()).then_some(term)
    }

    /// Whether it says nothing but a state and a queue.
    pub(crate) fn is_counted(&self) -> bool {
        let (state, queue) = (self.state, self.queue.clone());
        *self == Filter { state, queue, limit: self.limit, ..Filter::default() }
    }

    /// Whether a job fits.
    pub(crate) fn fits(&self, job: &JobView) -> bool {
        let envelope = job.envelope.envelope();
        let asked = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|wanted| wanted == is);
        let made = || envelope.and_then(|e| e.made_ms()).or_else(|| job.id.created_ms());
        (self.ids.is_empty() || self.ids.contains(&job.id))
            && self.state.is_none_or(|state| state == job.state)
            && asked(&self.name, job.envelope.name())
            && (asked(&self.queue, job.envelope.queue()) || envelope.is_none())
            && self.tag.as_ref().is_none_or(|tag| envelope.is_some_and(|e| e.tags.contains(tag)))
            && self.meta.as_ref().is_none_or(|(key, value)| {
                let has = envelope.and_then(|e| e.meta.get(key));
                has.is_some_and(|has| value.as_ref().is_none_or(|value| value == has))
            })
            && self
                .error
                .as_ref()
                .is_none_or(|print| job.errors.last().is_some_and(|e| e.fingerprint() == *print))
            && self.since_ms.is_none_or(|since| made().is_some_and(|made| made >= since))
            && self.until_ms.is_none_or(|until| made().is_some_and(|made| made < until))
    }

    /// Checks the numbers, and opens the cursor: the place within the backend's own order.
    pub(crate) fn place(&self, backend: &str) -> Result<Option<Vec<u8>>> {
        if self.limit == 0 {
            return Err(Error::invalid("limit: 0 is not allowed; 1 to 1000 jobs a page"));
        }
        if self.ids.len() > MOST {
            return Err(Error::invalid(format!("ids: {} are too many; at most {MOST}", self.ids.len())));
        }
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        let wrong = || Error::invalid("cursor: not one that a search of this filter here has given");
        let rest = cursor.strip_prefix(&self.mark(backend)).ok_or_else(wrong)?;
        let digits = rest.as_bytes().chunks(2).map(|pair| {
            let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
            u8::from_str_radix(pair, 16).ok()
        });
        digits.collect::<Option<Vec<u8>>>().map(Some).ok_or_else(wrong)
    }

    /// A place as a cursor that only this filter takes back.
    pub(crate) fn cursor(&self, backend: &str, place: &[u8]) -> String {
        let digits = place.iter().map(|byte| format!("{byte:02x}"));
        digits.fold(self.mark(backend), |text, digits| text + &digits)
    }

    /// What ties a cursor to its filter, so that no other is taken for a place in another order.
    fn mark(&self, backend: &str) -> String {
        let asked = Filter { limit: 0, cursor: None, ..self.clone() };
        let hash = format!("{backend}{asked:?}").bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        format!("{:08x}", hash >> 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cursor_belongs_to_its_filter() {
        let filter = Filter { tag: Some("nightly".into()), ..Filter::default() };
        let cursor = Some(filter.cursor("redis", b"\0place"));
        let place = |filter: Filter, backend| Filter { cursor: cursor.clone(), ..filter }.place(backend);
        assert_eq!(place(filter.clone(), "redis").unwrap().unwrap(), b"\0place");
        assert!(place(Filter { limit: 7, ..filter.clone() }, "redis").is_ok(), "a page may be larger");
        assert!(place(filter, "sqlite").unwrap_err().to_string().starts_with("cursor: "));
        assert!(place(Filter::default(), "redis").unwrap_err().is_invalid());
    }

    #[test]
    fn what_one_term_says() {
        let tag = Filter { tag: Some("a".into()), ..Filter::default() };
        assert_eq!(tag.only_term().as_deref(), Some("g:a"));
        let more = Filter { state: Some(State::Leased), ..tag };
        assert_eq!((more.only_term(), more.term().as_deref()), (None, Some("g:a")));
        let pair = Filter { meta: Some(("k".into(), Some("v".into()))), ..more };
        assert_eq!(pair.term().as_deref(), Some("d:k\0v"));
        let key = Filter { meta: Some(("k".into(), None)), ..Filter::default() };
        assert_eq!((key.term(), key.key().as_deref()), (None, Some("d:k\0")));
    }

    proptest! {
        #[test]
        fn no_cursor_makes_it_panic(cursor in ".{0,60}") {
            let _ = Filter { cursor: Some(cursor), ..Filter::default() }.place("redis");
        }

        #[test]
        fn a_place_comes_back(place in proptest::collection::vec(any::<u8>(), 0..60)) {
            let filter = Filter::default();
            let cursor = Some(filter.cursor("redis", &place));
            prop_assert_eq!(Filter { cursor, ..filter }.place("redis").unwrap().unwrap(), place);
        }
    }
}
