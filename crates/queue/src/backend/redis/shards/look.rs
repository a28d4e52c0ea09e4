//! What people look at, put together from all shards.

use super::{Shards, seen};
use crate::backend::*;
use crate::{Error, Result, State};
use futures_util::future::join_all;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// How far a search has come in one shard.
#[derive(Clone)]
enum Place {
    Start,
    At(String),
    End,
}

impl Place {
    fn of(cursor: Option<String>) -> Place {
        cursor.map_or(Place::End, Place::At)
    }

    fn write(&self, to: &mut Vec<u8>) {
        match self {
            Place::Start => to.extend([1, 0, 0]),
            Place::End => to.extend([0, 0, 0]),
            Place::At(cursor) => {
                to.push(2);
                to.extend((cursor.len() as u16).to_be_bytes());
                to.extend(cursor.as_bytes());
            }
        }
    }

    fn read(from: &mut &[u8]) -> Option<Place> {
        let [kind, high, low, rest @ ..] = *from else { return None };
        let text = rest.get(..usize::from(u16::from_be_bytes([*high, *low])))?;
        *from = &rest[text.len()..];
        match kind {
            0 => Some(Place::End),
            1 => Some(Place::Start),
            2 => Some(Place::At(String::from_utf8(text.to_vec()).ok()?)),
            _ => None,
        }
    }
}

/// What comes first in the order of a filter.
fn rank(filter: &Filter, job: &JobView) -> (i64, Reverse<Option<i64>>) {
    if !filter.ids.is_empty() {
        let place = filter.ids.iter().position(|id| *id == job.id);
        return (place.map_or(i64::MAX, |n| n as i64), Reverse(None));
    }
    if filter.term().is_some() || filter.key().is_some() {
        let made = job.envelope.envelope().and_then(|e| e.made_ms()).or_else(|| job.id.created_ms());
        return (0, Reverse(made));
    }
    match filter.state {
        Some(State::Scheduled | State::Retryable) => (job.due_ms.unwrap_or(0), Reverse(None)),
        Some(state) if state.is_final() => (0, Reverse(job.finished_ms)),
        _ => (0, Reverse(None)),
    }
}

impl Shards {
    /// How many jobs each shard gives to a page, when these come first of what each has.
    fn shares(&self, filter: &Filter, pages: &[Page]) -> Vec<usize> {
        let mut heads = vec![0; pages.len()];
        for _ in 0..filter.limit.min(1_000) {
            let next = (0..pages.len())
                .filter_map(|shard| Some((rank(filter, pages[shard].jobs.get(heads[shard])?), shard)))
                .min();
            match next {
                Some((_, shard)) => heads[shard] += 1,
                None => break,
            }
        }
        heads
    }

    async fn pages(&self, filter: &Filter, from: &[Place], limits: &[usize]) -> Result<Vec<Page>> {
        let asked = self.parts.iter().enumerate().map(|(shard, part)| async move {
            let cursor = match &from[shard] {
                Place::Start => None,
                Place::At(cursor) => Some(cursor.clone()),
                Place::End => return Ok(Page::default()),
            };
            if limits[shard] == 0 {
                return Ok(Page { jobs: Vec::new(), cursor });
            }
            let filter = Filter { limit: limits[shard], cursor, ..filter.clone() };
            let mut page = part.redis.search(&filter).await?;
            page.jobs = page.jobs.into_iter().map(|job| seen(job, shard)).collect();
            Ok(page)
        });
        join_all(asked).await.into_iter().collect()
    }

    /// Each shard gives a page; the first jobs of them all are the page, and a shard that has
    /// given more than stands there is asked again for just that, so that its cursor stands
    /// behind the last job shown.
    pub(super) async fn page(&self, filter: &Filter) -> Result<Page> {
        let mark = format!("redis/{}", self.number());
        let mut from = match filter.place(&mark)? {
            None => vec![Place::Start; self.parts.len()],
            Some(bytes) => {
                let mut rest = bytes.as_slice();
                let places: Option<Vec<_>> = self.parts.iter().map(|_| Place::read(&mut rest)).collect();
                places.ok_or_else(|| Error::invalid("cursor: not one that a search has given"))?
            }
        };
        let mut pages = self.pages(filter, &from, &vec![filter.limit; self.parts.len()]).await?;
        let shares = self.shares(filter, &pages);
        let over: Vec<usize> = (0..pages.len()).filter(|n| pages[*n].jobs.len() > shares[*n]).collect();
        if !over.is_empty() {
            let limits: Vec<usize> =
                (0..pages.len()).map(|n| if over.contains(&n) { shares[n] } else { 0 }).collect();
            let again = self.pages(filter, &from, &limits).await?;
            for (n, page) in again.into_iter().enumerate().filter(|(n, _)| over.contains(n)) {
                pages[n] = page;
            }
        }
        let mut jobs = Vec::new();
        for (n, page) in pages.into_iter().enumerate() {
            if shares[n] > 0 || !over.contains(&n) {
                from[n] = Place::of(page.cursor);
            }
            jobs.extend(page.jobs);
        }
        jobs.sort_by_cached_key(|job| rank(filter, job));
        let more = from.iter().any(|place| !matches!(place, Place::End));
        let mut place = Vec::new();
        from.iter().for_each(|one| one.write(&mut place));
        Ok(Page { jobs, cursor: more.then(|| filter.cursor(&mark, &place)) })
    }

    pub(super) async fn all_terms(&self, from: &str, limit: usize) -> Result<Vec<Term>> {
        let mut all: BTreeMap<String, Term> = BTreeMap::new();
        for term in self.all(|redis| redis.terms(from, limit)).await?.into_iter().flatten() {
            match all.get_mut(&term.term) {
                Some(known) => {
                    known.count += term.count;
                    known.newest = known.newest.max(term.newest);
                }
                None => drop(all.insert(term.term.clone(), term)),
            }
        }
        Ok(all.into_values().take(limit).collect())
    }

    pub(super) async fn all_queues(&self) -> Result<Vec<QueueView>> {
        let mut all: BTreeMap<String, QueueView> = BTreeMap::new();
        for queue in self.all(|redis| redis.queues()).await?.into_iter().flatten() {
            match all.get_mut(&queue.name) {
                Some(known) => add(known, queue),
                None => drop(all.insert(queue.name.clone(), queue)),
            }
        }
        Ok(all.into_values().collect())
    }

    /// Where shards differ the last instant: by then nothing holds a job back anywhere.
    pub(super) async fn all_blocked(&self) -> Result<Vec<Blocked>> {
        let mut all: BTreeMap<String, i64> = BTreeMap::new();
        for Blocked { limit, until_ms } in self.all(|redis| redis.blocked()).await?.into_iter().flatten() {
            let known = all.entry(limit).or_insert(until_ms);
            *known = until_ms.max(*known);
        }
        Ok(all.into_iter().map(|(limit, until_ms)| Blocked { limit, until_ms }).collect())
    }

    pub(super) async fn flows(&self, ask: &FlowAsk) -> Result<FlowPage> {
        match ask {
            FlowAsk::Nodes { root, .. } | FlowAsk::Inputs { root, .. } => {
                self.parts[self.home(*root)].redis.flow(ask).await
            }
            FlowAsk::List(limit) => {
                let mut page = FlowPage::default();
                for some in self.all(|redis| redis.flow(ask)).await? {
                    page.flows.extend(some.flows);
                    page.total += some.total;
                }
                page.flows.sort_by_key(|flow| Reverse((flow.created_ms, flow.id)));
                page.flows.truncate(*limit);
                Ok(page)
            }
        }
    }
}

/// Adds what another shard has of a queue.
fn add(known: &mut QueueView, more: QueueView) {
    for (state, count) in more.counts {
        *known.counts.entry(state).or_default() += count;
    }
    known.parked += more.parked;
    known.processed += more.processed;
    known.failed += more.failed;
    known.paused = known.paused.or(more.paused);
    known.oldest_ms = known.oldest_ms.into_iter().chain(more.oldest_ms).min();
    for limit in more.limits {
        match known.limits.iter_mut().find(|one| one.limit == limit.limit) {
            Some(one) => {
                one.in_use += limit.in_use;
                one.waiting += limit.waiting;
                // A limit is spent in one shard: where it is untouched, all of it is left.
                one.left = one.left.into_iter().chain(limit.left).min();
                one.next_ms = one.next_ms.max(limit.next_ms);
            }
            None => known.limits.push(limit),
        }
    }
}
