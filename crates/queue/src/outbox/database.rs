//! SQLite and PostgreSQL: the same statements but for the clock and the lock.

use super::relay::Status;
use super::store::{Ask, Batch, Claim, Fut, Sealed, Settle, Source, Waiting, fitting, number};
use super::write::{Row, Target};
use crate::error::Kind;
use crate::{Error, JobId, Result};
use std::time::Duration;

fn wrong(e: sqlx::Error) -> Error {
    use sqlx::Error as Sql;
    let kind = match &e {
        Sql::Io(_) | Sql::Tls(_) | Sql::PoolTimedOut | Sql::PoolClosed | Sql::WorkerCrashed => {
            Kind::Unavailable
        }
        _ => Kind::Refused,
    };
    let text = e.to_string();
    let missing = text.contains("legwork_outbox") && (text.contains("no such") || text.contains("not exist"));
    let line = match missing {
        true => format!("outbox: the tables are missing ({text}); make them with outbox::migrate"),
        false => format!("outbox: {text}"),
    };
    Error::with(kind, line, e)
}

type Columns = (i64, String, String, Option<i64>, Option<i64>, i64);

fn waiting((seq, id, record, delay_ms, due_ms, age_ms): Columns) -> Waiting {
    // An id that somebody edited must not stop the others: its row is refused alone.
    let id: Option<JobId> = id.parse().ok();
    Waiting { seq, id, record: record.into_bytes(), delay_ms, due_ms, age_ms }
}

macro_rules! database {
    ($db:ident, $pool:ident, $conn:ident, begin $begin:literal, now $now:literal, lock $lock:literal,
     turn $turn:literal, there $there:literal, tables $tables:expr) => {
        use super::*;
        use sqlx::pool::PoolConnection;
        use sqlx::{Transaction, query, query_as, query_scalar, $conn, $db, $pool};

        impl Sealed for $pool {}
        impl Sealed for $conn {}
        impl Sealed for Transaction<'_, $db> {}
        impl Sealed for PoolConnection<$db> {}

        impl Target for $conn {
            async fn write(&mut self, row: Row) -> Result<()> {
                let insert = concat!(
                    "INSERT INTO legwork_outbox (id, name, record, delay_ms, due_ms, made_ms) ",
                    "VALUES ($1, $2, $3, $4, $5, ",
                    $now,
                    ")"
                );
                let insert = query(insert).bind(row.id.to_string()).bind(row.name).bind(row.record);
                insert.bind(row.delay_ms).bind(row.due_ms).execute(self).await.map_err(wrong)?;
                Ok(())
            }
        }

        impl Target for Transaction<'_, $db> {
            async fn write(&mut self, row: Row) -> Result<()> {
                (**self).write(row).await
            }
        }

        impl Target for PoolConnection<$db> {
            async fn write(&mut self, row: Row) -> Result<()> {
                (**self).write(row).await
            }
        }

        impl Source for $pool {
            fn migrate(&self) -> Fut<'_, ()> {
                Box::pin(async move { migrate(self).await.map_err(wrong) })
            }

            fn fence(&self) -> Fut<'_, String> {
                let find = query_scalar("SELECT fence FROM legwork_outbox_relay WHERE one = 1");
                Box::pin(async move { find.fetch_one(self).await.map_err(wrong) })
            }

            fn waits(&self) -> Fut<'_, bool> {
                let look = query_scalar("SELECT EXISTS (SELECT 1 FROM legwork_outbox WHERE refused IS NULL)");
                Box::pin(async move { look.fetch_one(self).await.map_err(wrong) })
            }

            fn claim<'a>(&'a self, ask: Ask<'a>) -> Fut<'a, Claim> {
                Box::pin(async move { claim(self, ask).await.map_err(wrong) })
            }

            fn settle<'a>(&'a self, number: i64, end: &'a Settle) -> Fut<'a, ()> {
                Box::pin(async move { settle(self, number, end).await.map_err(wrong) })
            }

            fn release<'a>(&'a self, holder: &'a str) -> Fut<'a, ()> {
                let end =
                    query("UPDATE legwork_outbox_relay SET holder = NULL, until_ms = 0 WHERE holder = $1");
                Box::pin(async move { end.bind(holder).execute(self).await.map(drop).map_err(wrong) })
            }

            fn status(&self) -> Fut<'_, Status> {
                Box::pin(async move { status(self).await.map_err(wrong) })
            }
        }

        type Sql<T> = sqlx::Result<T>;

        async fn migrate(pool: &$pool) -> Sql<()> {
            let mut tx = pool.begin_with($begin).await?;
            // Two programs may start at once.
            query($turn).execute(&mut *tx).await?;
            let there: bool = query_scalar($there).fetch_one(&mut *tx).await?;
            if !there {
                for text in $tables {
                    sqlx::raw_sql(*text).execute(&mut *tx).await?;
                }
            }
            tx.commit().await
        }

        async fn claim(pool: &$pool, ask: Ask<'_>) -> Sql<Claim> {
            let mut tx = pool.begin_with($begin).await?;
            let look = concat!(
                "SELECT batch, holder, until_ms, ",
                $now,
                " FROM legwork_outbox_relay WHERE one = 1",
                $lock
            );
            let (last, holder, until, now): (i64, Option<String>, i64, i64) =
                query_as(look).fetch_one(&mut *tx).await?;
            if !ask.force && holder.is_some_and(|h| h != ask.holder) && until > now {
                return Ok(Claim::Standby(until - now));
            }
            let begun = "SELECT MIN(batch) FROM legwork_outbox WHERE batch IS NOT NULL";
            let begun: Option<i64> = query_scalar(begun).fetch_one(&mut *tx).await?;
            let number = match begun {
                Some(number) => number,
                None => number(last, ask.above),
            };
            if begun.is_none() && !mark(&mut tx, number, ask.most).await? {
                return Ok(Claim::Nothing);
            }
            let turn = "UPDATE legwork_outbox_relay SET holder = $1, until_ms = $2, batch = $3 WHERE one = 1";
            let turn = query(turn).bind(ask.holder).bind(now + ask.turn_ms).bind(last.max(number));
            turn.execute(&mut *tx).await?;
            let read = concat!(
                "SELECT seq, id, record, delay_ms, due_ms, ",
                $now,
                " - made_ms ",
                "FROM legwork_outbox WHERE batch = $1 ORDER BY seq"
            );
            let rows: Vec<Columns> = query_as(read).bind(number).fetch_all(&mut *tx).await?;
            tx.commit().await?;
            Ok(Claim::Batch(Batch { number, rows: rows.into_iter().map(waiting).collect() }))
        }

        /// Gives the oldest rows that wait a number; whether there were any. A row that
        /// commits meanwhile, with a smaller `seq`, is in this batch or in the next.
        async fn mark(conn: &mut $conn, number: i64, most: i64) -> Sql<bool> {
            let sizes = "SELECT CAST(LENGTH(record) AS BIGINT) FROM legwork_outbox \
                         WHERE batch IS NULL AND refused IS NULL ORDER BY seq LIMIT $1";
            let sizes: Vec<i64> = query_scalar(sizes).bind(most).fetch_all(&mut *conn).await?;
            let mark = "UPDATE legwork_outbox SET batch = $1 WHERE seq IN (SELECT seq FROM legwork_outbox \
                        WHERE batch IS NULL AND refused IS NULL ORDER BY seq LIMIT $2)";
            let mark = query(mark).bind(number).bind(fitting(&sizes));
            Ok(mark.execute(conn).await?.rows_affected() > 0)
        }

        async fn settle(pool: &$pool, number: i64, end: &Settle) -> Sql<()> {
            let mut tx = pool.begin_with($begin).await?;
            let (refused, all): (&[_], _) = match end {
                Settle::Done => (&[], "DELETE FROM legwork_outbox WHERE batch = $1"),
                Settle::Back(refused) => (refused, "UPDATE legwork_outbox SET batch = NULL WHERE batch = $1"),
            };
            let aside = "UPDATE legwork_outbox SET batch = NULL, refused = $1 WHERE seq = $2 AND batch = $3";
            for (seq, why) in refused {
                query(aside).bind(why).bind(*seq).bind(number).execute(&mut *tx).await?;
            }
            query(all).bind(number).execute(&mut *tx).await?;
            tx.commit().await
        }

        async fn status(pool: &$pool) -> Sql<Status> {
            let count = concat!(
                "SELECT COUNT(*) - COUNT(refused), COUNT(refused), ",
                "MAX(CASE WHEN refused IS NULL THEN ",
                $now,
                " - made_ms END) FROM legwork_outbox"
            );
            let (waiting, refused, oldest): (i64, i64, Option<i64>) = query_as(count).fetch_one(pool).await?;
            Ok(Status {
                waiting: waiting.unsigned_abs(),
                oldest: oldest.map(|ms| Duration::from_millis(ms.max(0).unsigned_abs())),
                refused: refused.unsigned_abs(),
            })
        }
    };
}

mod sqlite {
    database!(
        Sqlite, SqlitePool, SqliteConnection,
        // The lock from the start: a transaction that reads first may not write later.
        begin "BEGIN IMMEDIATE",
        now "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
        lock "",
        turn "SELECT 1",
        there "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'legwork_outbox')",
        tables crate::outbox::SQLITE
    );
}

#[cfg(feature = "outbox-postgres")]
mod postgres {
    database!(
        Postgres, PgPool, PgConnection,
        begin "BEGIN ISOLATION LEVEL READ COMMITTED",
        now "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
        lock " FOR UPDATE",
        turn "SELECT pg_advisory_xact_lock(5494810216)",
        there "SELECT to_regclass('legwork_outbox') IS NOT NULL",
        tables crate::outbox::POSTGRES
    );
}
