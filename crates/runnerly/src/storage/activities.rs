//! Activities: saved by content, listed by date, deleted for good.

use super::{Error, Result, Storage, in_transaction, instant, micros, on_pool, take_turn};
use crate::jobs::TellRuns;
use crate::run::{Activity, Source};
use chrono::{DateTime, NaiveDateTime, Utc};
use legwork::outbox;
use serde_json::Value;
use std::collections::BTreeMap;

/// An activity as the provider told it.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetched {
    /// The activity.
    pub activity: Activity,
    /// What it was read from, if that is to be kept.
    pub raw: Option<Value>,
    /// When the provider said so, by the provider's clock.
    pub read_at: DateTime<Utc>,
}

impl Fetched {
    /// An activity that was read from a file just now.
    pub fn imported(activity: Activity) -> Self {
        Self { activity, raw: None, read_at: Utc::now() }
    }
}

/// What became of activities that were saved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upserted {
    /// Ids that are new.
    pub inserted: Vec<i64>,
    /// Ids that were known and differ.
    pub updated: Vec<i64>,
    /// How many were known and do not differ, were read before what is known, or deleted since. A difference in the raw
    /// JSON alone (kudos, comments) is saved, but counts as none.
    pub unchanged: usize,
}

#[derive(sqlx::FromRow)]
struct Row {
    athlete: i64,
    id: i64,
    name: String,
    sport: String,
    start_at: i64,
    start_local: String,
    timezone: Option<String>,
    distance_m: f64,
    moving_s: i64,
    elapsed_s: i64,
    gain_m: f64,
    average_hr: Option<f64>,
    max_hr: Option<f64>,
    average_cadence: Option<f64>,
    workout_type: Option<i64>,
    gear: Option<String>,
    private: bool,
    source: String,
}

const LOCAL: &str = "%Y-%m-%dT%H:%M:%S%.f";

impl TryFrom<Row> for Activity {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let start_local = NaiveDateTime::parse_from_str(&row.start_local, LOCAL);
        Ok(Self {
            id: row.id,
            athlete: row.athlete,
            name: row.name,
            sport: row.sport,
            start: instant(row.start_at),
            start_local: start_local.map_err(|e| Error::broken("start_local", e))?,
            timezone: row.timezone,
            distance_m: row.distance_m,
            moving_s: row.moving_s,
            elapsed_s: row.elapsed_s,
            gain_m: row.gain_m,
            average_hr: row.average_hr,
            max_hr: row.max_hr,
            average_cadence: row.average_cadence,
            workout_type: row.workout_type,
            gear: row.gear,
            private: row.private,
            source: if row.source == "file" { Source::File } else { Source::Strava },
        })
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT athlete, id, name, sport, start_at, start_local, timezone, distance_m, moving_s, elapsed_s, gain_m, \
             average_hr, max_hr, average_cadence, workout_type, gear, private, source FROM activities ",
            $rest
        )
    };
}

/// A deletion that is older than this answer no longer counts.
const REVIVE: &str = "DELETE FROM tombstones WHERE athlete = $1 AND id = $2 AND deleted_at < $3";

const INSERT: &str = "INSERT INTO activities (athlete, id, name, sport, start_at, start_local, timezone, distance_m, \
    moving_s, elapsed_s, gain_m, average_hr, max_hr, average_cadence, workout_type, gear, private, source, read_at, raw) \
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20 \
    WHERE NOT EXISTS (SELECT 1 FROM tombstones WHERE athlete = $1 AND id = $2) ON CONFLICT (athlete, id) DO NOTHING";

/// Other samples are needed when the recording itself has changed: cropped, or replaced.
const UPDATE: &str = "UPDATE activities SET name = $3, sport = $4, start_at = $5, start_local = $6, timezone = $7, \
    distance_m = $8, moving_s = $9, elapsed_s = $10, gain_m = $11, average_hr = $12, max_hr = $13, \
    average_cadence = $14, workout_type = $15, gear = $16, private = $17, source = $18, read_at = $19, \
    raw = COALESCE($20, raw), \
    stream_state = CASE WHEN start_at = $5 AND distance_m = $8 AND elapsed_s = $10 THEN stream_state ELSE 'unknown' END \
    WHERE athlete = $1 AND id = $2 AND read_at <= $19 AND (name, sport, start_at, start_local, timezone, distance_m, \
    moving_s, elapsed_s, gain_m, average_hr, max_hr, average_cadence, workout_type, gear, private, source) \
    IS DISTINCT FROM ($3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)";

const CONFIRM: &str = "UPDATE activities SET read_at = $3, raw = COALESCE($4, raw) \
    WHERE athlete = $1 AND id = $2 AND read_at <= $3";

/// Binds an activity to `$1` … `$20`.
macro_rules! bind {
    ($sql:expr, $fetched:expr, $raw:expr) => {{
        let a = &$fetched.activity;
        let source = match a.source {
            Source::Strava => "strava",
            Source::File => "file",
        };
        sqlx::query($sql)
            .bind(a.athlete)
            .bind(a.id)
            .bind(&a.name)
            .bind(&a.sport)
            .bind(micros(a.start))
            .bind(a.start_local.format(LOCAL).to_string())
            .bind(&a.timezone)
            .bind(a.distance_m)
            .bind(a.moving_s)
            .bind(a.elapsed_s)
            .bind(a.gain_m)
            .bind(a.average_hr)
            .bind(a.max_hr)
            .bind(a.average_cadence)
            .bind(a.workout_type)
            .bind(&a.gear)
            .bind(a.private)
            .bind(source)
            .bind(micros($fetched.read_at))
            .bind($raw)
    }};
}

/// What is to be told, by athlete and by whether the runs are new.
#[derive(Default)]
struct News(BTreeMap<(i64, bool), Vec<i64>>);

impl News {
    fn added(&mut self, activity: &Activity) {
        if activity.is_run() {
            self.0.entry((activity.athlete, true)).or_default().push(activity.id);
        }
    }

    /// One that is no run may have been one before.
    fn changed(&mut self, activity: &Activity) {
        self.0.entry((activity.athlete, false)).or_default().push(activity.id);
    }

    fn jobs(self) -> Vec<TellRuns> {
        let tell = |((athlete, added), runs): ((i64, bool), Vec<i64>)| {
            // A payload is bounded; a page of Strava's list is one job.
            let parts = runs.chunks(1_000).map(|part| TellRuns { athlete, added, runs: part.to_vec() });
            parts.collect::<Vec<_>>()
        };
        self.0.into_iter().flat_map(tell).collect()
    }
}

impl Storage {
    /// Saves activities by id, all or none. Saving the same again changes nothing; what was read earlier than what is
    /// known, or before its deletion, is ignored. With them go the jobs that tell of new runs and of changes
    /// ([`TellRuns`]): whatever is killed, who has subscribed hears of what is stored, and of nothing else.
    ///
    /// # Errors
    /// [`Error::UnknownAthlete`], or the database fails.
    pub async fn upsert_activities(&self, activities: &[Fetched]) -> Result<Upserted> {
        // Always in the same order: two batches at once would otherwise wait for each other's athletes for ever.
        let mut ordered: Vec<&Fetched> = activities.iter().collect();
        ordered.sort_by_key(|fetched| (fetched.activity.athlete, fetched.activity.id, fetched.read_at));
        let mut done = Upserted::default();
        let mut news = News::default();
        let mut turn = None;
        in_transaction!(self, tx => {
        for fetched in ordered {
            let athlete = fetched.activity.athlete;
            if turn != Some(athlete) {
                take_turn!(tx, athlete);
                turn = Some(athlete);
            }
            let raw = fetched.raw.as_ref().map(Value::to_string);
            let (id, read_at) = (fetched.activity.id, micros(fetched.read_at));
            sqlx::query(REVIVE).bind(athlete).bind(id).bind(read_at).execute(&mut *tx).await.map(drop)?;
            if bind!(INSERT, fetched, &raw).execute(&mut *tx).await?.rows_affected() == 1 {
                done.inserted.push(id);
                news.added(&fetched.activity);
            } else if bind!(UPDATE, fetched, &raw).execute(&mut *tx).await?.rows_affected() == 1 {
                done.updated.push(id);
                news.changed(&fetched.activity);
            } else {
                let confirm = sqlx::query(CONFIRM).bind(athlete).bind(id).bind(read_at).bind(&raw);
                confirm.execute(&mut *tx).await.map(drop)?;
                done.unchanged += 1;
            }
        }
        for tell in news.jobs() {
            outbox::enqueue(&mut tx, tell).await.map(drop)?;
        }
        });
        Ok(done)
    }

    /// Deletes an activity and all that was computed from it, as of `at` by the provider's clock. Answers that were read
    /// before then do not bring it back. Says whether there was one.
    ///
    /// # Errors
    /// [`Error::UnknownAthlete`], or the database fails.
    pub async fn delete_activity(&self, athlete: i64, id: i64, at: DateTime<Utc>) -> Result<bool> {
        const BURY: &str = "INSERT INTO tombstones (athlete, id, deleted_at) VALUES ($1, $2, $3) \
            ON CONFLICT (athlete, id) DO UPDATE SET deleted_at = excluded.deleted_at \
            WHERE tombstones.deleted_at < excluded.deleted_at";
        const DELETE: &str = "DELETE FROM activities WHERE athlete = $1 AND id = $2 AND read_at <= $3";
        // An activity that was read after the deletion is there: the deletion is old news.
        const LIVES: &str = "SELECT COUNT(*) FROM activities WHERE athlete = $1 AND id = $2";
        let deleted = in_transaction!(self, tx => {
            take_turn!(tx, athlete);
            let deleted = sqlx::query(DELETE).bind(athlete).bind(id).bind(micros(at)).execute(&mut *tx).await?;
            let lives: i64 = sqlx::query_scalar(LIVES).bind(athlete).bind(id).fetch_one(&mut *tx).await?;
            if lives == 0 {
                sqlx::query(BURY).bind(athlete).bind(id).bind(micros(at)).execute(&mut *tx).await.map(drop)?;
            }
            deleted.rows_affected()
        });
        Ok(deleted == 1)
    }

    /// Activities of an athlete, the latest first: at most `limit`, after the first `offset`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn activities(&self, athlete: i64, limit: u32, offset: u32) -> Result<Vec<Activity>> {
        const SQL: &str = select!("WHERE athlete = $1 ORDER BY start_at DESC, id DESC LIMIT $2 OFFSET $3");
        let (limit, offset) = (i64::from(limit), i64::from(offset));
        let rows = on_pool!(self, pool => {
            sqlx::query_as::<_, Row>(SQL).bind(athlete).bind(limit).bind(offset).fetch_all(pool).await?
        });
        rows.into_iter().map(Activity::try_from).collect()
    }

    /// All activities of an athlete, the earliest first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn all_activities(&self, athlete: i64) -> Result<Vec<Activity>> {
        const SQL: &str = select!("WHERE athlete = $1 ORDER BY start_at, id");
        let rows = on_pool!(self, pool => sqlx::query_as::<_, Row>(SQL).bind(athlete).fetch_all(pool).await?);
        rows.into_iter().map(Activity::try_from).collect()
    }

    /// How many activities of an athlete there are.
    ///
    /// # Errors
    /// The database fails.
    pub async fn count_activities(&self, athlete: i64) -> Result<i64> {
        const SQL: &str = "SELECT COUNT(*) FROM activities WHERE athlete = $1";
        Ok(on_pool!(self, pool => sqlx::query_scalar(SQL).bind(athlete).fetch_one(pool).await?))
    }

    /// One activity.
    ///
    /// # Errors
    /// The database fails.
    pub async fn activity(&self, athlete: i64, id: i64) -> Result<Option<Activity>> {
        const SQL: &str = select!("WHERE athlete = $1 AND id = $2");
        let row = on_pool!(self, pool => {
            sqlx::query_as::<_, Row>(SQL).bind(athlete).bind(id).fetch_optional(pool).await?
        });
        row.map(Activity::try_from).transpose()
    }

    /// What an activity was read from, if it is still kept.
    ///
    /// # Errors
    /// The database fails.
    pub async fn raw_activity(&self, athlete: i64, id: i64) -> Result<Option<Value>> {
        const SQL: &str = "SELECT raw FROM activities WHERE athlete = $1 AND id = $2";
        let raw: Option<Option<String>> = on_pool!(self, pool => {
            sqlx::query_scalar(SQL).bind(athlete).bind(id).fetch_optional(pool).await?
        });
        let parse = |raw: String| serde_json::from_str(&raw).map_err(|e| Error::broken("raw activity", e));
        raw.flatten().map(parse).transpose()
    }

    /// Forgets the provider's own words (raw JSON and samples) about activities that were last read before `before`; what
    /// was computed from them stays. Imported files are not touched. Says how many activities it concerned.
    ///
    /// # Errors
    /// The database fails.
    pub async fn purge_raw(&self, before: DateTime<Utc>) -> Result<u64> {
        const STREAMS: &str = "DELETE FROM streams WHERE EXISTS (SELECT 1 FROM activities a WHERE \
            a.athlete = streams.athlete AND a.id = streams.activity AND a.source = 'strava' AND a.read_at < $1)";
        const RAW: &str =
            "UPDATE activities SET raw = NULL WHERE source = 'strava' AND read_at < $1 AND raw IS NOT NULL";
        let before = micros(before);
        Ok(in_transaction!(self, tx => {
            sqlx::query(STREAMS).bind(before).execute(&mut *tx).await.map(drop)?;
            sqlx::query(RAW).bind(before).execute(&mut *tx).await?.rows_affected()
        }))
    }
}
