//! What SQLite can do: a bare loop of sqlx over the same records, in a WAL, every commit synced.

use crate::bench::Bench;
use crate::machine::Sample;
use crate::raw::{Id, Kept};
use anyhow::{Result, bail};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection, QueryBuilder, Row as _, SqliteConnection};
use std::str::FromStr;

const SCHEMA: &str = "CREATE TABLE jobs (ord INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, record BLOB NOT NULL, \
    token INTEGER, result TEXT)";
const LEASE: &str = "UPDATE jobs SET token = ? WHERE ord IN (SELECT ord FROM jobs WHERE ord > ? AND token IS NULL \
    ORDER BY ord LIMIT ?) RETURNING ord, id, record";

async fn open(bench: &mut Bench) -> Result<SqliteConnection> {
    let options = SqliteConnectOptions::from_str(&bench.empty()?)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", "4000")
        .pragma("cache_size", "-65536");
    let mut db = SqliteConnection::connect_with(&options).await?;
    sqlx::query(SCHEMA).execute(&mut db).await?;
    Ok(db)
}

async fn insert(db: &mut SqliteConnection, jobs: &[(Id, Vec<u8>)]) -> Result<()> {
    let mut tx = db.begin().await?;
    let mut query = QueryBuilder::new("INSERT INTO jobs (id, record) ");
    query.push_values(jobs, |mut row, (id, record)| {
        row.push_bind(&id[..]).push_bind(&record[..]);
    });
    query.build().execute(&mut *tx).await?;
    Ok(tx.commit().await?)
}

/// One connection that writes so many in a transaction.
pub(crate) async fn enqueue(bench: &mut Bench, records: &[(Id, Vec<u8>)], each: usize) -> Result<Sample> {
    let mut db = open(bench).await?;
    let meter = bench.meter();
    for some in records.chunks(each) {
        insert(&mut db, some).await?;
    }
    Ok(bench.stop(meter, records.len()))
}

/// One connection that settles a batch and leases the next in a transaction.
pub(crate) async fn drain(
    bench: &mut Bench,
    records: &[(Id, Vec<u8>)],
    batch: usize,
    kept: Kept,
) -> Result<Sample> {
    let mut db = open(bench).await?;
    for some in records.chunks(1_000) {
        insert(&mut db, some).await?;
    }
    let meter = bench.meter();
    let done = empty(&mut db, batch, kept).await?;
    if done != records.len() {
        bail!("the bare loop has drained {done} of {} jobs", records.len());
    }
    Ok(bench.stop(meter, done))
}

async fn empty(db: &mut SqliteConnection, batch: usize, kept: Kept) -> Result<usize> {
    let end = match kept {
        Kept::Nothing => "DELETE FROM jobs WHERE ord BETWEEN ? AND ? AND token = ?",
        Kept::Records => "UPDATE jobs SET token = -1 WHERE ord BETWEEN ? AND ? AND token = ?",
        Kept::Results => {
            "UPDATE jobs SET token = -1, result = '\"done, and this is my word\"' WHERE ord BETWEEN ? AND ? AND token = ?"
        }
    };
    let (mut done, mut token, mut last) = (0, 0, (0i64, 0i64));
    loop {
        let mut tx = db.begin().await?;
        if last.1 > 0 {
            let ended = sqlx::query(end).bind(last.0).bind(last.1).bind(token).execute(&mut *tx).await?;
            done += ended.rows_affected() as usize;
        }
        token += 1;
        let lease = sqlx::query(LEASE).bind(token).bind(last.1).bind(batch as i64);
        let leased = lease.fetch_all(&mut *tx).await?;
        tx.commit().await?;
        let orders = leased.iter().map(|row| row.get::<i64, _>(0));
        let Some(highest) = orders.clone().max() else { return Ok(done) };
        last = (orders.min().unwrap_or(0), highest);
    }
}
