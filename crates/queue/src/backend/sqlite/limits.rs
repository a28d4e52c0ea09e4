//! Rules of limits, and what is spent under them.

use super::fault::Sql;
use super::tx::Tx;
use super::writer::Verb;
use crate::backend::{Blocked, Budget, LimitView, Setting};
use crate::limit::{self, Book, Limit};
use sqlx::SqliteConnection;
use std::collections::HashMap;

/// When a key that waits for a permit has its turn: never by the clock.
pub(super) const FULL: i64 = i64::MAX;

/// The rules and books that one call has opened.
#[derive(Default)]
pub(super) struct Books {
    rules: HashMap<String, Limit>,
    books: HashMap<String, Option<Book>>,
    changed: Vec<String>,
}

async fn stored(conn: &mut SqliteConnection, name: &str) -> Sql<Option<Limit>> {
    let find = sqlx::query_scalar("SELECT value FROM settings WHERE kind = ? AND name = ?");
    let found: Option<String> = find.bind(Setting::Limit.as_str()).bind(name).fetch_optional(conn).await?;
    Ok(found.map(|json| limit::rule(&json)))
}

/// The rule of a name, or of a key, which may have one of its own.
pub(super) async fn rule(conn: &mut SqliteConnection, key: &str) -> Sql<Limit> {
    let name = key.split('/').next().unwrap_or_default();
    if name == limit::SERIAL {
        return Ok(Limit::default().concurrency(1));
    }
    let own = if name == key { None } else { stored(conn, key).await? };
    match own {
        Some(own) => Ok(own),
        None => Ok(stored(conn, name).await?.unwrap_or_default()),
    }
}

async fn spent(conn: &mut SqliteConnection, key: &str) -> Sql<Option<String>> {
    sqlx::query_scalar("SELECT spent FROM rates WHERE key = ?").bind(key).fetch_optional(conn).await
}

async fn keep(conn: &mut SqliteConnection, key: &str, json: Option<String>) -> Sql<()> {
    let keep = match &json {
        Some(json) => sqlx::query("INSERT OR REPLACE INTO rates VALUES (?, ?)").bind(key).bind(json),
        None => sqlx::query("DELETE FROM rates WHERE key = ?").bind(key),
    };
    keep.execute(conn).await.map(drop)
}

/// The limit that a queue names.
pub(super) async fn of_queue(conn: &mut SqliteConnection, queue: &str) -> Sql<Option<String>> {
    let find = sqlx::query_scalar("SELECT value FROM settings WHERE kind = ? AND name = ?");
    let found: Option<String> = find.bind(Setting::Queue.as_str()).bind(queue).fetch_optional(conn).await?;
    Ok(found.and_then(|json| limit::of_rules(&json)))
}

/// The queues that name a limit.
pub(super) async fn sharing(conn: &mut SqliteConnection, named: &str) -> Sql<Vec<String>> {
    let find =
        sqlx::query_as("SELECT name, value FROM settings WHERE kind = ?").bind(Setting::Queue.as_str());
    let all: Vec<(String, String)> = find.fetch_all(conn).await?;
    let names = |json: &str| limit::of_rules(json).as_deref() == Some(named);
    Ok(all.into_iter().filter(|(_, json)| names(json)).map(|(name, _)| name).collect())
}

impl Books {
    pub(super) async fn rule(&mut self, tx: &mut Tx, key: &str) -> Sql<Limit> {
        if let Some(rule) = self.rules.get(key) {
            return Ok(rule.clone());
        }
        let rule = rule(&mut tx.conn, key).await?;
        self.rules.insert(key.into(), rule.clone());
        Ok(rule)
    }

    async fn open(&mut self, tx: &mut Tx, key: &str) -> Sql<()> {
        if !self.books.contains_key(key) {
            let rule = self.rule(tx, key).await?;
            let spent = spent(&mut tx.conn, key).await?;
            self.books.insert(key.into(), Book::open(&rule, spent.as_deref(), tx.now));
        }
        Ok(())
    }

    /// When this much may be spent; none for now.
    pub(super) async fn when(&mut self, tx: &mut Tx, key: &str, cost: f64) -> Sql<Option<i64>> {
        self.open(tx, key).await?;
        Ok(self.books[key].as_ref().and_then(|book| book.when(cost)))
    }

    /// How many jobs of cost 1 it allows; what may go alone counts as one.
    pub(super) async fn affords(&mut self, tx: &mut Tx, key: &str, most: usize) -> Sql<usize> {
        if most == 0 || self.when(tx, key, 1.0).await?.is_some() {
            return Ok(0);
        }
        let left = self.books[key].as_ref().map_or(f64::INFINITY, Book::left);
        Ok(most.min((left + 1e-6).clamp(1.0, 1e9) as usize))
    }

    pub(super) fn spend(&mut self, key: &str, cost: f64) {
        if let Some(Some(book)) = self.books.get_mut(key) {
            book.spend(cost);
            if !self.changed.iter().any(|k| k == key) {
                self.changed.push(key.into());
            }
        }
    }

    /// Stores what has been spent.
    pub(super) async fn close(mut self, tx: &mut Tx) -> Sql<()> {
        for key in &self.changed {
            if let Some(Some(book)) = self.books.remove(key) {
                keep(&mut tx.conn, key, book.close()).await?;
            }
        }
        Ok(())
    }
}

impl Tx {
    /// Gives a key its turn in a queue, if it has none.
    pub(super) async fn join(&mut self, queue: &str, key: &str) -> Sql<()> {
        let turn = self.tail(1);
        let join = sqlx::query("INSERT INTO keys VALUES (?, ?, ?, 0) ON CONFLICT DO NOTHING");
        join.bind(queue).bind(key).bind(turn).execute(&mut *self.conn).await.map(drop)
    }

    /// A permit of a key has become free: whoever waits for it has a turn.
    pub(super) async fn free(&mut self, key: Option<&str>) -> Sql<()> {
        let Some(key) = key else { return Ok(()) };
        let turn = self.tail(1);
        let free =
            "UPDATE keys SET after_ms = 0, turn = ?2 WHERE key = ?1 AND after_ms = 9223372036854775807";
        let freed = sqlx::query(free).bind(key).bind(turn).execute(&mut *self.conn).await?;
        self.woke |= freed.rows_affected() > 0;
        Ok(())
    }

    /// A job of this queue has left its lease: if the queue is under a limit, others that share
    /// it may go on.
    pub(super) async fn free_queue(&mut self, queue: &str) -> Sql<()> {
        if !self.woke && of_queue(&mut self.conn, queue).await?.is_some() {
            self.woke = true;
        }
        Ok(())
    }

    /// What waits under a limit, or one key of it, looks again at once: its rule has changed.
    pub(super) async fn look_again(&mut self, address: &str) -> Sql<()> {
        let turn = self.tail(1);
        let again = "UPDATE keys SET after_ms = 0, turn = ?2
            WHERE after_ms > 0 AND (key = ?1 OR substr(key, 1, length(?1) + 1) = ?1 || '/')";
        sqlx::query(again).bind(address).bind(turn).execute(&mut *self.conn).await?;
        self.woke = true;
        Ok(())
    }
}

/// Changes what may be spent under a limit, or under that of the queue.
pub(super) struct Change {
    pub(super) queue: String,
    pub(super) limit: String,
    pub(super) change: Budget,
}

impl Verb for Change {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx) -> Sql<()> {
        let limit = match self.limit.is_empty() {
            true => of_queue(&mut tx.conn, &self.queue).await?,
            false => Some(self.limit.clone()),
        };
        let Some(limit) = limit else { return Ok(()) };
        let rule = rule(&mut tx.conn, &limit).await?;
        let before = spent(&mut tx.conn, &limit).await?;
        let after = Book::change(&rule, before.as_deref(), tx.now, self.change);
        keep(&mut tx.conn, &limit, after).await?;
        if matches!(self.change, Budget::Spend { .. } | Budget::Reset) {
            tx.look_again(&limit).await?;
        }
        Ok(())
    }
}

/// What limits a queue: the limit that it names, then its keys.
pub(super) async fn views(conn: &mut SqliteConnection, queue: &str, now: i64) -> Sql<Vec<LimitView>> {
    let keys = sqlx::query_as(include_str!("sql/keys_of.sql")).bind(queue);
    let keys: Vec<(String, i64, i64, i64)> = keys.fetch_all(&mut *conn).await?;
    let count = sqlx::query_scalar("SELECT n1 FROM queues WHERE name = ?").bind(queue);
    let waiting: i64 = count.fetch_optional(&mut *conn).await?.unwrap_or(0);
    let mut all = Vec::new();
    if let Some(name) = of_queue(conn, queue).await? {
        let mut in_use = 0;
        for queue in sharing(conn, &name).await? {
            let count = sqlx::query_scalar("SELECT n2 FROM queues WHERE name = ?").bind(queue);
            in_use += count.fetch_optional(&mut *conn).await?.unwrap_or(0i64);
        }
        all.push(view(conn, name, in_use, waiting, now).await?);
    }
    for (key, _, waiting, in_use) in keys {
        all.push(view(conn, key, in_use, waiting, now).await?);
    }
    Ok(all)
}

/// The limits under which nothing goes, whether jobs wait or not.
pub(super) async fn blocked(conn: &mut SqliteConnection, now: i64) -> Sql<Vec<Blocked>> {
    let find = sqlx::query_as("SELECT key, spent FROM rates WHERE instr(spent, '\"t\":') > 0 ORDER BY key");
    let told: Vec<(String, String)> = find.fetch_all(conn).await?;
    Ok(told.into_iter().filter_map(|(limit, spent)| Blocked::of(limit, &spent, now)).collect())
}

async fn view(
    conn: &mut SqliteConnection,
    limit: String,
    in_use: i64,
    waiting: i64,
    now: i64,
) -> Sql<LimitView> {
    let rule = rule(conn, &limit).await?;
    let book = Book::open(&rule, spent(conn, &limit).await?.as_deref(), now);
    Ok(LimitView {
        in_use: in_use.max(0) as u64,
        concurrency: rule.concurrency,
        waiting: waiting.max(0) as u64,
        left: book.as_ref().map(|book| (book.left() + 1e-6).floor() as i64),
        next_ms: book.and_then(|book| book.when(1.0)),
        limit,
    })
}
