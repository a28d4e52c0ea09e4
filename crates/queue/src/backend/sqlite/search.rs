//! Finding jobs: a page goes on behind the key of the last job seen, in the order of an index.

use super::fault::Sql;
use super::read;
use super::tx::{ids_json, job_id};
use crate::backend::{Filter, JobView, LOOKS, MOST, Page, Term};
use crate::{JobId, State};
use serde::{Deserialize, Serialize};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use std::collections::HashMap;

/// Jobs read at once.
const READ: usize = 200;

/// Where a job stands in the order of its source: text, two numbers, id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Place(String, i64, i64, Vec<u8>);

impl Place {
    /// In front of everything, in a source that goes up or down.
    fn front(up: bool) -> Place {
        match up {
            true => Place(String::new(), i64::MIN, i64::MIN, Vec::new()),
            false => Place("\u{10ffff}".into(), i64::MAX, i64::MAX, vec![0xff; 17]),
        }
    }

    /// A place out of a cursor; none where it is not one.
    pub(super) fn of(cursor: &[u8]) -> Option<Place> {
        serde_json::from_slice(cursor).ok()
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// A page of jobs, and the place behind it.
pub(super) async fn page(
    conn: &mut SqliteConnection,
    filter: &Filter,
    place: Option<Place>,
) -> Sql<(Page, Option<Place>)> {
    let most = filter.limit.min(MOST);
    let mut place = place.unwrap_or_else(|| Place::front(goes_up(filter)));
    let (mut jobs, mut looked) = (Vec::new(), 0);
    while looked < LOOKS {
        let named = name(conn, filter, &place).await?;
        let mut views = whole(conn, named.iter().map(|(id, _)| id)).await?;
        for (n, (id, behind)) in named.iter().enumerate() {
            // A job may have moved since it was named: it is judged as what it is now.
            jobs.extend(views.remove(id).filter(|view| filter.fits(view)).map(JobView::brief));
            if jobs.len() == most && (n + 1 < named.len() || named.len() == READ) {
                return Ok((Page { jobs, cursor: None }, Some(behind.clone())));
            }
        }
        looked += named.len();
        match named.into_iter().nth(READ - 1) {
            Some((_, behind)) => place = behind,
            None => return Ok((Page { jobs, cursor: None }, None)),
        }
    }
    Ok((Page { jobs, cursor: None }, Some(place)))
}

/// Jobs by id, those that are there.
async fn whole(
    conn: &mut SqliteConnection,
    ids: impl Iterator<Item = &JobId>,
) -> Sql<HashMap<JobId, JobView>> {
    let mut find = QueryBuilder::new(include_str!("sql/view.sql"));
    find.push(" WHERE j.id IN (SELECT unhex(value) FROM json_each(").push_bind(ids_json(ids)).push("))");
    let rows = find.build().fetch_all(conn).await?;
    rows.iter().map(|row| read::view(row).map(|view| (view.id, view))).collect()
}

fn goes_up(filter: &Filter) -> bool {
    !filter.ids.is_empty()
        || (filter.term().is_none() && filter.key().is_none())
            && matches!(
                filter.state,
                Some(State::Scheduled | State::Retryable | State::Available | State::Blocked)
            )
}

/// The next jobs of the filter's source, each with its place: fewer than [`READ`] at its end.
async fn name(conn: &mut SqliteConnection, filter: &Filter, place: &Place) -> Sql<Vec<(JobId, Place)>> {
    if !filter.ids.is_empty() {
        let mut ids: Vec<_> = filter.ids.iter().filter(|id| id.as_bytes()[..] > place.3[..]).collect();
        ids.sort();
        ids.dedup();
        let of = |id: &JobId| (*id, Place(String::new(), 0, 0, id.as_bytes().to_vec()));
        return Ok(ids.into_iter().take(READ).map(of).collect());
    }
    let indexed = filter.term().is_some() || filter.key().is_some();
    let state = filter.state.filter(|state| state.is_final() && !indexed);
    let Some(state) = state else {
        return asked(conn, source(filter, place)).await;
    };
    // Queue by queue, for their index has the queue in front; together, the newest end first.
    let queues: Vec<String> = match &filter.queue {
        Some(queue) => vec![queue.clone()],
        None => sqlx::query_scalar("SELECT name FROM queues").fetch_all(&mut *conn).await?,
    };
    let mut all = Vec::new();
    for queue in &queues {
        all.extend(asked(conn, ended(queue, state, place)).await?);
    }
    all.sort_by(|(_, a), (_, b)| b.cmp(a));
    all.truncate(READ);
    Ok(all)
}

async fn asked(conn: &mut SqliteConnection, mut find: QueryBuilder<Sqlite>) -> Sql<Vec<(JobId, Place)>> {
    find.push(" LIMIT ").push_bind(READ as i64);
    let rows: Vec<(Vec<u8>, Vec<u8>, i64, i64)> = find.build_query_as().fetch_all(conn).await?;
    let place = |(id, text, a, b): (Vec<u8>, Vec<u8>, i64, i64)| {
        Ok((job_id(&id)?, Place(String::from_utf8_lossy(&text).into_owned(), a, b, id)))
    };
    rows.into_iter().map(place).collect()
}

/// Finished jobs of a queue, the newest end first.
fn ended(queue: &str, state: State, place: &Place) -> QueryBuilder<Sqlite> {
    let mut find = QueryBuilder::new("SELECT id, x'', finished_ms, 0 FROM jobs WHERE queue = ");
    find.push_bind(queue).push(format!(" AND state = {} AND state >= 5", state as i64));
    find.push(" AND (finished_ms, id) < (").push_bind(place.1).push(", ").push_bind(&place.3[..]);
    find.push(") ORDER BY finished_ms DESC, id DESC");
    find
}

/// Every other source: one statement each, along an index.
fn source(filter: &Filter, place: &Place) -> QueryBuilder<Sqlite> {
    let Place(text, a, b, id) = place;
    if let Some(term) = filter.term() {
        let mut find = QueryBuilder::new("SELECT id, x'', made_ms, 0 FROM terms WHERE term = ");
        find.push_bind(term.into_bytes());
        find.push(" AND (made_ms, id) < (").push_bind(a).push(", ").push_bind(&id[..]);
        find.push(") AND made_ms >= ").push_bind(filter.since_ms.unwrap_or(i64::MIN));
        find.push(" AND made_ms < ").push_bind(filter.until_ms.unwrap_or(i64::MAX));
        find.push(" ORDER BY made_ms DESC, id DESC");
        return find;
    }
    if let Some(key) = filter.key() {
        // From the last value to the first, so that one index serves the whole order.
        let mut end = key.clone().into_bytes();
        end.pop();
        end.push(1);
        let mut find = QueryBuilder::new("SELECT id, term, made_ms, 0 FROM terms WHERE term >= ");
        find.push_bind(key.into_bytes()).push(" AND term < ").push_bind(end);
        find.push(" AND (term, made_ms, id) < (").push_bind(text.as_bytes()).push(", ").push_bind(a);
        find.push(", ").push_bind(&id[..]).push(") ORDER BY term DESC, made_ms DESC, id DESC");
        return find;
    }
    let (select, behind, order) = match filter.state {
        Some(State::Scheduled | State::Retryable) => {
            ("x'', due_ms, 0 FROM jobs WHERE state IN (0, 3)", "due_ms, id) > (", "due_ms, id")
        }
        Some(State::Available) => (
            "CAST(queue AS BLOB), priority + 10 * (limit_key IS NOT NULL), ord FROM jobs WHERE state = 1",
            "queue, priority + 10 * (limit_key IS NOT NULL), ord) > (",
            "queue, priority + 10 * (limit_key IS NOT NULL), ord",
        ),
        Some(State::Blocked) => {
            ("CAST(queue AS BLOB), ord, 0 FROM jobs WHERE state = 4", "queue, ord) > (", "queue, ord")
        }
        // By way of the batches: leased jobs have no index of their own.
        Some(State::Leased) => (
            concat!(
                "x'', token, 0 FROM jobs WHERE state = 2 AND id IN (",
                include_str!("sql/leased.sql"),
                ")"
            ),
            "token, id) < (",
            "token DESC, id DESC",
        ),
        _ => ("x'', 0, 0 FROM jobs WHERE true", "id) < (", "id DESC"),
    };
    let mut find = QueryBuilder::new("SELECT id, ");
    find.push(select);
    let one_queue = filter.queue.as_ref();
    let one_queue = one_queue.filter(|_| matches!(filter.state, Some(State::Available | State::Blocked)));
    if let Some(queue) = one_queue {
        find.push(" AND queue = ").push_bind(queue);
    }
    find.push(" AND (").push(behind);
    let mut values = find.separated(", ");
    // No two places in a queue are the same: there the id is not asked for.
    let placed = behind.starts_with("queue");
    if placed {
        values.push_bind(&text[..]);
    }
    if !behind.starts_with("id") {
        values.push_bind(a);
    }
    if behind.starts_with("queue, priority") {
        values.push_bind(b);
    }
    if !placed {
        values.push_bind(&id[..]);
    }
    find.push(") ORDER BY ").push(order);
    find
}

/// The terms of the index from this one on.
pub(super) async fn terms(conn: &mut SqliteConnection, from: &str, limit: usize) -> Sql<Vec<Term>> {
    let find = "SELECT t.term, count(*), (SELECT n.id FROM terms AS n WHERE n.term = t.term
                ORDER BY n.made_ms DESC, n.id DESC LIMIT 1)
                FROM terms AS t WHERE t.term >= ? GROUP BY t.term ORDER BY t.term LIMIT ?";
    let find = sqlx::query_as(find).bind(from.as_bytes()).bind(i64::try_from(limit).unwrap_or(i64::MAX));
    let rows: Vec<(Vec<u8>, i64, Vec<u8>)> = find.fetch_all(conn).await?;
    let term = |(term, count, newest): (Vec<u8>, i64, Vec<u8>)| {
        let term = String::from_utf8_lossy(&term).into_owned();
        Ok(Term { term, count: count as u64, newest: job_id(&newest)? })
    };
    rows.into_iter().map(term).collect()
}
