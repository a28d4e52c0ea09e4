//! Small durable settings by kind and name, and the guards of an enqueue that ask them.

use super::fault::Sql;
use super::tx::Tx;
use super::writer::Verb;
use crate::backend::{Entry, Guard, Setting, Settings};
use sqlx::SqliteConnection;

pub(super) struct Put(pub(super) Setting, pub(super) String, pub(super) Option<String>);

impl Verb for Put {
    type Answer = Option<Entry>;

    async fn apply(&self, tx: &mut Tx) -> Sql<Option<Entry>> {
        let Put(kind, name, value) = self;
        let old = one(&mut tx.conn, *kind, name).await?;
        if old.as_ref().map(|e| &e.value) == value.as_ref() {
            return Ok(old);
        }
        let grow =
            "INSERT INTO versions VALUES (?1, 1) ON CONFLICT (kind) DO UPDATE SET version = version + 1";
        sqlx::query(grow).bind(kind.as_str()).execute(&mut *tx.conn).await?;
        match kind {
            Setting::Limit => tx.look_again(name).await?,
            Setting::Queue => tx.woke = true,
            _ => {}
        }
        let Some(value) = value else {
            let remove = sqlx::query("DELETE FROM settings WHERE kind = ? AND name = ?");
            remove.bind(kind.as_str()).bind(name).execute(&mut *tx.conn).await?;
            return Ok(old);
        };
        let put = sqlx::query(include_str!("sql/put.sql")).bind(kind.as_str()).bind(name);
        put.bind(value).bind(tx.now).execute(&mut *tx.conn).await?;
        one(&mut tx.conn, *kind, name).await
    }
}

type Columns = (String, String, i64, bool);

fn entry((name, value, last_ms, fired): Columns) -> Entry {
    Entry { name, value, last_ms, fired }
}

async fn one(conn: &mut SqliteConnection, kind: Setting, name: &str) -> Sql<Option<Entry>> {
    let find = "SELECT name, value, last_ms, fired FROM settings WHERE kind = ? AND name = ?";
    let row: Option<Columns> =
        sqlx::query_as(find).bind(kind.as_str()).bind(name).fetch_optional(conn).await?;
    Ok(row.map(entry))
}

/// All settings of a kind; both reads see the same state, in one transaction.
pub(super) async fn all(conn: &mut SqliteConnection, kind: Setting) -> Sql<Settings> {
    use sqlx::Connection;
    let mut tx = conn.begin().await?;
    let version = version(&mut tx, kind).await?;
    let find = "SELECT name, value, last_ms, fired FROM settings WHERE kind = ? ORDER BY name";
    let rows: Vec<Columns> = sqlx::query_as(find).bind(kind.as_str()).fetch_all(&mut *tx).await?;
    Ok(Settings { version: version as u64, entries: rows.into_iter().map(entry).collect() })
}

async fn version(conn: &mut SqliteConnection, kind: Setting) -> Sql<i64> {
    let find = sqlx::query_scalar("SELECT version FROM versions WHERE kind = ?").bind(kind.as_str());
    Ok(find.fetch_optional(conn).await?.unwrap_or(0))
}

/// Whether the guard of an enqueue holds; a slot is taken by that.
pub(super) async fn holds(tx: &mut Tx, guard: &Guard) -> Sql<bool> {
    match guard {
        Guard::None => Ok(true),
        Guard::Slot { kind, name, expect, last } => {
            let take =
                "UPDATE settings SET last_ms = ?4, fired = 1 WHERE kind = ?1 AND name = ?2 AND last_ms = ?3";
            let take = sqlx::query(take).bind(kind.as_str()).bind(name).bind(expect).bind(last);
            Ok(take.execute(&mut *tx.conn).await?.rows_affected() == 1)
        }
        Guard::Settings { kind, version: expect } => {
            Ok(version(&mut tx.conn, *kind).await? == i64::try_from(*expect).unwrap_or(-1))
        }
    }
}
