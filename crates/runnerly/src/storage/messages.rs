//! Messages to an athlete: one for each new run. What one says is made when it is shown, so that
//! it agrees with the run's name and the plan as they are by then.

use super::{Error, Result, Storage, in_transaction, instant, micros, on_pool};
use chrono::{DateTime, NaiveDate, Utc};

/// A message: there is a new run.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The run.
    pub activity: i64,
    /// Its name.
    pub name: String,
    /// The local day it started on.
    pub day: NaiveDate,
    /// Its metres.
    pub distance_m: f64,
    /// Its seconds in motion.
    pub moving_s: i64,
    /// What was planned for it: the planned run's name.
    pub planned: Option<String>,
    /// When the message was made.
    pub made_at: DateTime<Utc>,
    /// Whether it was marked as read.
    pub read: bool,
}

#[derive(sqlx::FromRow)]
struct Row {
    activity: i64,
    name: String,
    start_local: String,
    distance_m: f64,
    moving_s: i64,
    planned: Option<String>,
    made_at: i64,
    read_at: Option<i64>,
}

impl TryFrom<Row> for Message {
    type Error = Error;

    fn try_from(row: Row) -> Result<Message> {
        let day = row.start_local.get(..10).unwrap_or_default().parse();
        Ok(Message {
            activity: row.activity,
            name: row.name,
            day: day.map_err(|e| Error::broken("start_local", e))?,
            distance_m: row.distance_m,
            moving_s: row.moving_s,
            planned: row.planned,
            made_at: instant(row.made_at),
            read: row.read_at.is_some(),
        })
    }
}

impl Storage {
    /// Makes a message of each of these activities that is there, is a run, started at `since` or
    /// later, and has none yet: to say the same again changes nothing. Says how many are new.
    ///
    /// # Errors
    /// The database fails.
    pub async fn announce(&self, athlete: i64, runs: &[i64], since: DateTime<Utc>) -> Result<u64> {
        const SQL: &str = "INSERT INTO messages (athlete, activity, made_at) SELECT athlete, id, $4 FROM activities \
            WHERE athlete = $1 AND id = $2 AND start_at >= $3 AND sport IN ('Run', 'TrailRun', 'VirtualRun') \
            ON CONFLICT (athlete, activity) DO NOTHING";
        let (since, now) = (micros(since), micros(Utc::now()));
        Ok(in_transaction!(self, tx => {
            let mut new = 0;
            for run in runs {
                let say = sqlx::query(SQL).bind(athlete).bind(run).bind(since).bind(now);
                new += say.execute(&mut *tx).await?.rows_affected();
            }
            new
        }))
    }

    /// Messages to an athlete, the latest first, at most `limit`.
    ///
    /// # Errors
    /// They cannot be read back, or the database fails.
    pub async fn messages(&self, athlete: i64, limit: u32) -> Result<Vec<Message>> {
        const SQL: &str = "SELECT m.activity, a.name, a.start_local, a.distance_m, a.moving_s, p.name AS planned, \
            m.made_at, m.read_at FROM messages m JOIN activities a ON a.athlete = m.athlete AND a.id = m.activity \
            LEFT JOIN planned p ON p.athlete = m.athlete AND p.activity = m.activity \
            WHERE m.athlete = $1 ORDER BY m.made_at DESC, a.start_at DESC, m.activity LIMIT $2";
        let limit = i64::from(limit);
        let rows = on_pool!(self, pool => {
            sqlx::query_as::<_, Row>(SQL).bind(athlete).bind(limit).fetch_all(pool).await?
        });
        rows.into_iter().map(Message::try_from).collect()
    }

    /// How many messages to an athlete were not read.
    ///
    /// # Errors
    /// The database fails.
    pub async fn unread(&self, athlete: i64) -> Result<i64> {
        const SQL: &str = "SELECT COUNT(*) FROM messages WHERE athlete = $1 AND read_at IS NULL";
        Ok(on_pool!(self, pool => sqlx::query_scalar(SQL).bind(athlete).fetch_one(pool).await?))
    }

    /// Marks as read what was made until an instant, that of the latest message shown: one that
    /// comes meanwhile stays unread. Says how many that were.
    ///
    /// # Errors
    /// The database fails.
    pub async fn read_messages(&self, athlete: i64, until: DateTime<Utc>) -> Result<u64> {
        const SQL: &str =
            "UPDATE messages SET read_at = $3 WHERE athlete = $1 AND made_at <= $2 AND read_at IS NULL";
        let (until, now) = (micros(until), micros(Utc::now()));
        Ok(on_pool!(self, pool => {
            sqlx::query(SQL).bind(athlete).bind(until).bind(now).execute(pool).await?.rows_affected()
        }))
    }
}
