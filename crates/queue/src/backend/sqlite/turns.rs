//! The keys of a queue take turns: leasing what has a limit key.

use super::fault::Sql;
use super::lease::{Candidate, candidates_of, fit, store};
use super::limits::{Books, FULL};
use super::tx::Tx;
use crate::backend::{Batch, LeaseRequest};

/// At most this many keys have their turn at once.
const KEYS: usize = 200;

/// What a queue may still start in this call, under the limit that it names.
pub(super) struct Ceiling {
    pub(super) limit: Option<String>,
    /// Until when its rate lets nothing go.
    pub(super) stop: Option<i64>,
}

/// Where a key goes after its turn.
enum Next {
    Ring,
    /// It keeps its place: the queue may start no more.
    Head,
    After(i64),
    Gone,
}

/// Leases up to `want` jobs that have limit keys.
pub(super) async fn turns(
    tx: &mut Tx,
    request: &LeaseRequest,
    queue: &str,
    want: usize,
    books: &mut Books,
    ceiling: &mut Ceiling,
) -> Sql<Vec<Batch>> {
    let turn = tx.tail(1);
    let warm = "UPDATE keys SET after_ms = 0, turn = ?3 WHERE queue = ?1 AND after_ms BETWEEN 1 AND ?2";
    sqlx::query(warm).bind(queue).bind(tx.now).bind(turn).execute(&mut *tx.conn).await?;
    let (mut batches, mut got) = (Vec::new(), 0);
    for _ in 0..8 {
        let left = want - got;
        let find = "SELECT key FROM keys WHERE queue = ? AND after_ms = 0 ORDER BY turn, key LIMIT ?";
        let find = sqlx::query_scalar(find).bind(queue).bind(left.min(KEYS) as i64);
        let keys: Vec<String> = match left > 0 && ceiling.stop.is_none() {
            true => find.fetch_all(&mut *tx.conn).await?,
            false => Vec::new(),
        };
        let each = (left / keys.len().max(1)).max(1);
        let mut picked = Vec::new();
        for key in &keys {
            let most = each.min(left - picked.len());
            let next = match ceiling.stop.is_none() && most > 0 {
                true => draw(tx, queue, key, most, books, ceiling, &mut picked).await?,
                false => Next::Head,
            };
            seat(tx, queue, key, next).await?;
        }
        if keys.is_empty() {
            break;
        }
        for group in fit(tx, request, picked).await? {
            got += group.len();
            batches.push(store(tx, request, queue, group, true).await?);
        }
    }
    Ok(batches)
}

/// Picks up to `most` jobs of a key that may start now; where the key goes next.
async fn draw(
    tx: &mut Tx,
    queue: &str,
    key: &str,
    most: usize,
    books: &mut Books,
    ceiling: &mut Ceiling,
    picked: &mut Vec<Candidate>,
) -> Sql<Next> {
    let mut room = usize::MAX;
    if let Some(permits) = books.rule(tx, key).await?.concurrency {
        let held = "SELECT count(*) FROM jobs WHERE limit_key = ? AND state = 2 AND limit_key IS NOT NULL";
        let held: i64 = sqlx::query_scalar(held).bind(key).fetch_one(&mut *tx.conn).await?;
        room = (i64::from(permits) - held).max(0) as usize;
    }
    if room == 0 {
        return Ok(Next::After(FULL));
    }
    if let Some(cools) = books.when(tx, key, 1.0).await? {
        return Ok(Next::After(cools));
    }
    let asked = most.min(room);
    let found = candidates_of(tx, queue, key, asked).await?;
    let (seen, before) = (found.len(), picked.len());
    for job in found {
        let cost = f64::from(job.cost);
        if let Some(cools) = books.when(tx, key, cost).await? {
            return Ok(Next::After(cools));
        }
        if let Some(limit) = &ceiling.limit {
            ceiling.stop = books.when(tx, limit, cost).await?;
            if ceiling.stop.is_some() {
                return Ok(Next::Head);
            }
            if !job.cancel {
                books.spend(limit, cost);
            }
        }
        if !job.cancel {
            books.spend(key, cost);
        }
        picked.push(job);
    }
    let cancelled = picked[before..].iter().filter(|job| job.cancel).count();
    Ok(match seen {
        seen if seen < asked => Next::Gone,
        seen if seen - cancelled == room => Next::After(FULL),
        _ => Next::Ring,
    })
}

async fn seat(tx: &mut Tx, queue: &str, key: &str, next: Next) -> Sql<()> {
    let after_ms = match next {
        Next::Head => return Ok(()),
        Next::Gone => {
            let gone = sqlx::query("DELETE FROM keys WHERE queue = ? AND key = ?").bind(queue).bind(key);
            return gone.execute(&mut *tx.conn).await.map(drop);
        }
        Next::Ring => 0,
        Next::After(ms) => ms,
    };
    let turn = tx.tail(1);
    let seat = sqlx::query("UPDATE keys SET turn = ?3, after_ms = ?4 WHERE queue = ?1 AND key = ?2");
    seat.bind(queue).bind(key).bind(turn).bind(after_ms).execute(&mut *tx.conn).await.map(drop)
}

/// When the next key of a queue may spend again.
pub(super) async fn next_warm(tx: &mut Tx, queue: &str) -> Sql<Option<i64>> {
    let next = "SELECT min(after_ms) FROM keys WHERE queue = ? AND after_ms > 0 AND after_ms < ?";
    sqlx::query_scalar(next).bind(queue).bind(FULL).fetch_one(&mut *tx.conn).await
}
