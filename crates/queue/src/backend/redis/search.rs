//! Finding jobs: where a filter's jobs are named, and how a page goes on.
//!
//! Scripts name a bounded number of jobs, each with the place to go on behind it; the jobs
//! themselves are read afterwards and judged by what they are then.

use super::{Redis, decode, scripts};
use crate::backend::{Filter, JobView, Page, Term};
use crate::{Error, JobId, Result, State};
use std::collections::HashMap;

/// Jobs named at once.
const NAMED: usize = 200;
/// A page is given after this many scripts, however few jobs fit.
const STEPS: usize = 5;

/// Where the jobs of a filter are named.
enum Source {
    /// The filter names them itself.
    Ids,
    /// A sorted set: `due`, or a term of the index.
    Ranked(String),
    /// All terms of the index that begin so.
    Key(String),
    Available,
    Leased,
    Final(State),
    /// A hash with jobs as its fields, in no order.
    Scanned(&'static str),
}

/// Some jobs, and how to go on.
pub(super) struct Step {
    ids: Vec<JobId>,
    /// The place behind each; none for a scan.
    places: Vec<Vec<u8>>,
    /// The place behind all; none at the end.
    next: Option<Vec<u8>>,
}

impl Step {
    /// The place behind one of the jobs. A scan cannot stop in the middle of a step: the place
    /// carries the jobs that are left of it.
    fn place(&self, at: usize) -> Vec<u8> {
        if let Some(place) = self.places.get(at) {
            return place.clone();
        }
        let mut place = self.next.clone().unwrap_or_else(|| b"end".to_vec());
        place.push(b'|');
        self.ids[at + 1..].iter().for_each(|id| place.extend_from_slice(id.as_bytes()));
        place
    }
}

fn sources(filter: &Filter) -> Vec<Source> {
    if !filter.ids.is_empty() {
        return vec![Source::Ids];
    }
    if let Some(term) = filter.term() {
        return vec![Source::Ranked(format!("ix:{term}"))];
    }
    if let Some(key) = filter.key() {
        return vec![Source::Key(key)];
    }
    match filter.state {
        // The live ones first: a job that finishes meanwhile is met among the finished.
        None => vec![Source::Scanned("jobs"), Source::Scanned("fin")],
        Some(State::Available) => vec![Source::Available],
        Some(State::Leased) => vec![Source::Leased],
        Some(State::Scheduled | State::Retryable) => vec![Source::Ranked("due".into())],
        Some(State::Blocked) => vec![Source::Scanned("meta")],
        Some(state) => vec![Source::Final(state)],
    }
}

impl Redis {
    pub(super) async fn find(&self, filter: &Filter) -> Result<Page> {
        let (sources, place) = (sources(filter), filter.place("redis")?);
        let (mut stage, mut at) = match place.as_deref() {
            None => (0, Vec::new()),
            Some([stage, at @ ..]) if usize::from(*stage) < sources.len() => {
                (usize::from(*stage), at.to_vec())
            }
            Some(_) => return Err(Error::invalid("cursor: not one that a search has given")),
        };
        let cursor = |stage: usize, at: &[u8]| Some(filter.cursor("redis", &[&[stage as u8], at].concat()));
        let (mut jobs, most) = (Vec::new(), filter.limit.min(crate::backend::MOST));
        for _ in 0..STEPS {
            let step = self.step(&sources[stage], filter, &at, most - jobs.len()).await?;
            let views = self.view(&step.ids, false).await?;
            let mut views: HashMap<_, _> = views.into_iter().map(|view| (view.id, view)).collect();
            for (n, id) in step.ids.iter().enumerate() {
                // A job may have moved since it was named: it is judged as what it is now.
                jobs.extend(views.remove(id).filter(|view| filter.fits(view)).map(JobView::brief));
                if jobs.len() == most && n + 1 < step.ids.len() {
                    return Ok(Page { jobs, cursor: cursor(stage, &step.place(n)) });
                }
            }
            match step.next {
                Some(next) => at = next,
                None if stage + 1 == sources.len() => return Ok(Page { jobs, cursor: None }),
                None => (stage, at) = (stage + 1, Vec::new()),
            }
            if jobs.len() == most {
                break;
            }
        }
        Ok(Page { jobs, cursor: cursor(stage, &at) })
    }

    async fn step(&self, source: &Source, filter: &Filter, at: &[u8], left: usize) -> Result<Step> {
        let (queue, many) = (filter.queue.as_deref().unwrap_or_default(), left.min(NAMED));
        // Where most may not fit, many are looked at.
        let want = if filter.name.is_some() || filter.queue.is_some() { NAMED } else { many.max(20) };
        let script = match source {
            Source::Ids => return Ok(given(filter, at)),
            Source::Ranked(key) => return self.ranked(key, filter, at, want).await,
            Source::Key(key) => return self.keyed(key, filter, at, want).await,
            Source::Scanned(hash) => return self.scanned(hash, filter, at, many).await,
            Source::Available => &scripts::IDS_AVAILABLE,
            Source::Leased => &scripts::IDS_LEASED,
            Source::Final(_) => &scripts::IDS_FINAL,
        };
        let mut call = self.script(script);
        if let Source::Final(state) = source {
            call.arg(state.as_str());
        }
        named(self.run(script, call.arg(queue).arg(at).arg(want)).await?)
    }

    async fn ranked(&self, key: &str, filter: &Filter, at: &[u8], want: usize) -> Result<Step> {
        let mut call = self.script(&scripts::IDS_RANKED);
        let index = key != "due";
        let bound =
            |ms: Option<i64>, none: &str| ms.filter(|_| index).map_or(none.into(), |ms| ms.to_string());
        call.arg(key).arg(u8::from(index));
        call.arg(bound(filter.since_ms, "-inf")).arg(bound(filter.until_ms, "+inf")).arg(at).arg(want);
        named(self.run(&scripts::IDS_RANKED, &call).await?)
    }

    /// The terms that begin so, one after the other. A place is a term, 1, and a place in it.
    async fn keyed(&self, begins: &str, filter: &Filter, at: &[u8], want: usize) -> Result<Step> {
        let split = at.iter().position(|byte| *byte == 1);
        let (from, rest) = split.map_or((begins.as_bytes(), &b""[..]), |n| (&at[..n], &at[n + 1..]));
        let from = String::from_utf8_lossy(from).into_owned();
        let Some(term) = self.terms_from(&from, 1).await?.pop().filter(|t| t.term.starts_with(begins)) else {
            return Ok(Step { ids: Vec::new(), places: Vec::new(), next: None });
        };
        let rest = if term.term == from { rest } else { b"" };
        let mut step = self.ranked(&format!("ix:{}", term.term), filter, rest, want).await?;
        let place = |place: &[u8]| [term.term.as_bytes(), b"\x01", place].concat();
        step.places.iter_mut().for_each(|behind| *behind = place(behind));
        // Behind the term: nothing lies between it and itself with a zero.
        let behind = [term.term.as_bytes(), b"\0\x01"].concat();
        step.next = Some(step.next.map_or(behind, |next| place(&next)));
        Ok(step)
    }

    /// A place is a cursor of Redis, a bar and ids that are left; or, in a hash that is read in
    /// one step, `=` and the id behind which the rest is shown, in their order.
    async fn scanned(&self, hash: &str, filter: &Filter, at: &[u8], want: usize) -> Result<Step> {
        let after = at.strip_prefix(b"=").and_then(JobId::from_slice);
        let (from, left) = match at.iter().position(|byte| *byte == b'|') {
            _ if after.is_some() => (&b""[..], &b""[..]),
            Some(bar) => (&at[..bar], &at[bar + 1..]),
            None => (at, &b""[..]),
        };
        if !left.is_empty() {
            let ids = left.chunks(16).filter_map(JobId::from_slice).collect();
            let next = (from != b"end").then(|| from.to_vec());
            return Ok(Step { ids, places: Vec::new(), next });
        }
        let mut call = self.script(&scripts::IDS_SCANNED);
        call.arg(hash).arg(filter.name.as_deref().unwrap_or_default());
        call.arg(filter.queue.as_deref().unwrap_or_default()).arg(from).arg(want);
        let mut reply = decode::Reply::of(self.run(&scripts::IDS_SCANNED, &call).await?)?;
        let next = Some(decode::bytes(reply.next()?)?).filter(|next| !next.is_empty());
        let ids = reply.rest().map(|value| decode::id(&decode::bytes(value)?));
        let mut ids = ids.collect::<Result<Vec<_>>>()?;
        if !from.is_empty() || next.is_some() {
            return Ok(Step { ids, places: Vec::new(), next });
        }
        ids.sort();
        ids.retain(|id| after.is_none_or(|after| *id > after));
        let more = ids.len() > want;
        ids.truncate(want);
        let places: Vec<_> = ids.iter().map(|id| [b"=", id.as_bytes().as_slice()].concat()).collect();
        Ok(Step { next: places.last().filter(|_| more).cloned(), ids, places })
    }

    /// The terms of the index from this one on.
    pub(super) async fn terms_from(&self, from: &str, limit: usize) -> Result<Vec<Term>> {
        let (mut from, mut all) = (from.to_owned(), Vec::new());
        while all.len() < limit {
            let want = (limit - all.len()).min(NAMED);
            let mut call = self.script(&scripts::TERMS);
            call.arg(&from).arg(want);
            let mut rest = decode::Reply::of(self.run(&scripts::TERMS, &call).await?)?.rest();
            let before = all.len();
            while let (Some(term), Some(count), Some(newest)) = (rest.next(), rest.next(), rest.next()) {
                let (count, newest) = (decode::number(count)? as u64, decode::id(&decode::bytes(newest)?)?);
                all.push(Term { term: decode::text(term)?, count, newest });
            }
            match all.last() {
                Some(last) if all.len() == before + want => from = format!("{}\0", last.term),
                _ => break,
            }
        }
        Ok(all)
    }
}

/// The ids that the filter names; a place is how many of them have been shown.
fn given(filter: &Filter, at: &[u8]) -> Step {
    let from = std::str::from_utf8(at).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let end = filter.ids.len();
    let ids: Vec<_> = filter.ids.iter().skip(from).take(NAMED).copied().collect();
    let place = |n: usize| n.to_string().into_bytes();
    let places: Vec<_> = (from + 1..=end).take(ids.len()).map(place).collect();
    let next = places.last().filter(|_| from + ids.len() < end).cloned();
    Step { ids, places, next }
}

/// The answer of a script that names jobs.
pub(super) fn named(value: redis::Value) -> Result<Step> {
    let mut reply = decode::Reply::of(value)?;
    let next = Some(decode::bytes(reply.next()?)?).filter(|next| !next.is_empty());
    let (mut rest, mut ids, mut places) = (reply.rest(), Vec::new(), Vec::new());
    while let (Some(id), Some(place)) = (rest.next(), rest.next()) {
        ids.push(decode::id(&decode::bytes(id)?)?);
        places.push(decode::bytes(place)?);
    }
    Ok(Step { ids, places, next })
}
