//! What was computed: best efforts and splits of one activity; records and statistics of an athlete.

use super::{Error, Result, Storage, in_transaction, instant, micros, on_pool, take_turn};
use crate::stats::efforts::Effort;
use crate::stats::records::{Mark, Record};
use crate::stats::splits::Split;
use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;

#[derive(sqlx::FromRow)]
struct EffortRow {
    activity: i64,
    name: String,
    distance_m: f64,
    elapsed_s: i64,
    start_index: i64,
    end_index: i64,
}

impl From<EffortRow> for Effort {
    fn from(row: EffortRow) -> Self {
        let index = |index: i64| usize::try_from(index).unwrap_or_default();
        let (start, end) = (index(row.start_index), index(row.end_index));
        Self { name: row.name, distance_m: row.distance_m, seconds: row.elapsed_s, start, end }
    }
}

#[derive(sqlx::FromRow)]
struct MarkRow {
    name: String,
    distance_m: f64,
    activity: i64,
    elapsed_s: i64,
    day: String,
}

/// Whether the activity is still there; on PostgreSQL its row stays put until the transaction ends.
macro_rules! activity_is_there {
    ($tx:ident, $athlete:expr, $activity:expr) => {{
        const SQL: &str = "UPDATE activities SET id = id WHERE athlete = $1 AND id = $2";
        sqlx::query(SQL).bind($athlete).bind($activity).execute(&mut *$tx).await?.rows_affected() == 1
    }};
}

fn index(index: usize) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}

/// Collected beforehand: a closure held over an await would cost the future its `Send`.
fn marks(records: &[Record]) -> Vec<(&Record, &Mark)> {
    records.iter().flat_map(|record| record.progression.iter().map(move |mark| (record, mark))).collect()
}

impl Storage {
    /// Replaces the best efforts of an activity. Says whether it is there.
    ///
    /// # Errors
    /// Two efforts over one distance, or the database fails.
    pub async fn save_efforts(&self, athlete: i64, activity: i64, efforts: &[Effort]) -> Result<bool> {
        const CLEAR: &str = "DELETE FROM efforts WHERE athlete = $1 AND activity = $2";
        const SAVE: &str = "INSERT INTO efforts (athlete, activity, distance_m, name, elapsed_s, start_index, end_index) \
            VALUES ($1, $2, $3, $4, $5, $6, $7)";
        Ok(in_transaction!(self, tx => {
            let there = activity_is_there!(tx, athlete, activity);
            sqlx::query(CLEAR).bind(athlete).bind(activity).execute(&mut *tx).await.map(drop)?;
            for effort in efforts.iter().filter(|_| there) {
                let save = sqlx::query(SAVE).bind(athlete).bind(activity).bind(effort.distance_m).bind(&effort.name);
                let save = save.bind(effort.seconds).bind(index(effort.start)).bind(index(effort.end));
                save.execute(&mut *tx).await.map(drop)?;
            }
            there
        }))
    }

    /// The best efforts of an activity, the shortest first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn efforts(&self, athlete: i64, activity: i64) -> Result<Vec<Effort>> {
        const SQL: &str = "SELECT activity, name, distance_m, elapsed_s, start_index, end_index FROM efforts \
            WHERE athlete = $1 AND activity = $2 ORDER BY distance_m";
        let rows = on_pool!(self, pool => {
            sqlx::query_as::<_, EffortRow>(SQL).bind(athlete).bind(activity).fetch_all(pool).await?
        });
        Ok(rows.into_iter().map(Effort::from).collect())
    }

    /// The best efforts of every activity of an athlete that has any, by the activity's id.
    ///
    /// # Errors
    /// The database fails.
    pub async fn all_efforts(&self, athlete: i64) -> Result<BTreeMap<i64, Vec<Effort>>> {
        const SQL: &str = "SELECT activity, name, distance_m, elapsed_s, start_index, end_index FROM efforts \
            WHERE athlete = $1 ORDER BY activity, distance_m";
        let rows =
            on_pool!(self, pool => sqlx::query_as::<_, EffortRow>(SQL).bind(athlete).fetch_all(pool).await?);
        let mut efforts = BTreeMap::<_, Vec<_>>::new();
        for row in rows {
            efforts.entry(row.activity).or_default().push(row.into());
        }
        Ok(efforts)
    }

    /// Replaces the splits of an activity in one unit (`km` or `mile`). Says whether the activity is there.
    ///
    /// # Errors
    /// They cannot be written as JSON, or the database fails.
    pub async fn save_splits(
        &self,
        athlete: i64,
        activity: i64,
        unit: &str,
        splits: &[Split],
    ) -> Result<bool> {
        const SAVE: &str = "INSERT INTO splits (athlete, activity, unit, body) VALUES ($1, $2, $3, $4) \
            ON CONFLICT (athlete, activity, unit) DO UPDATE SET body = excluded.body";
        let body = serde_json::to_string(splits).map_err(|e| Error::broken("splits", e))?;
        Ok(in_transaction!(self, tx => {
            let there = activity_is_there!(tx, athlete, activity);
            if there {
                sqlx::query(SAVE).bind(athlete).bind(activity).bind(unit).bind(&body).execute(&mut *tx).await.map(drop)?;
            }
            there
        }))
    }

    /// The splits of an activity in one unit.
    ///
    /// # Errors
    /// They cannot be read back, or the database fails.
    pub async fn splits(&self, athlete: i64, activity: i64, unit: &str) -> Result<Option<Vec<Split>>> {
        const SQL: &str = "SELECT body FROM splits WHERE athlete = $1 AND activity = $2 AND unit = $3";
        let body: Option<String> = on_pool!(self, pool => {
            sqlx::query_scalar(SQL).bind(athlete).bind(activity).bind(unit).fetch_optional(pool).await?
        });
        body.map(|body| serde_json::from_str(&body).map_err(|e| Error::broken("splits", e))).transpose()
    }

    /// Replaces the records of an athlete. A mark whose activity has been deleted meanwhile is left out.
    ///
    /// # Errors
    /// [`Error::UnknownAthlete`]; two marks of one activity over one distance; the database fails.
    pub async fn save_records(&self, athlete: i64, records: &[Record]) -> Result<()> {
        const CLEAR: &str = "DELETE FROM records WHERE athlete = $1";
        const SAVE: &str = "INSERT INTO records (athlete, distance_m, name, activity, elapsed_s, day) \
            VALUES ($1, $2, $3, $4, $5, $6)";
        in_transaction!(self, tx => {
            take_turn!(tx, athlete);
            sqlx::query(CLEAR).bind(athlete).execute(&mut *tx).await.map(drop)?;
            for (record, mark) in marks(records) {
                if activity_is_there!(tx, athlete, mark.activity) {
                    let save = sqlx::query(SAVE).bind(athlete).bind(record.distance_m).bind(&record.name);
                    let save = save.bind(mark.activity).bind(mark.seconds).bind(mark.day.to_string());
                    save.execute(&mut *tx).await.map(drop)?;
                }
            }
        });
        Ok(())
    }

    /// The records of an athlete, the shortest distance first.
    ///
    /// # Errors
    /// They cannot be read back, or the database fails.
    pub async fn records(&self, athlete: i64) -> Result<Vec<Record>> {
        // Every mark of a progression is faster than the one before.
        const SQL: &str = "SELECT name, distance_m, activity, elapsed_s, day FROM records WHERE athlete = $1 \
            ORDER BY distance_m, elapsed_s DESC, day";
        let rows =
            on_pool!(self, pool => sqlx::query_as::<_, MarkRow>(SQL).bind(athlete).fetch_all(pool).await?);
        let mut records: Vec<Record> = Vec::new();
        for MarkRow { name, distance_m, activity, elapsed_s: seconds, day } in rows {
            let day = day.parse().map_err(|e| Error::broken("day of a record", e))?;
            let mark = Mark { activity, day, seconds };
            match records.last_mut().filter(|last| last.distance_m == distance_m) {
                Some(last) => last.progression.push(mark),
                None => records.push(Record { name, distance_m, progression: vec![mark] }),
            }
        }
        Ok(records)
    }

    /// Saves computed statistics under a name, unless later ones are there. `computed_at` is when their computation
    /// began to read. Says whether they were saved.
    ///
    /// # Errors
    /// [`Error::UnknownAthlete`]; they cannot be written as JSON; the database fails.
    pub async fn save_stats(
        &self,
        athlete: i64,
        name: &str,
        stats: &impl Serialize,
        computed_at: DateTime<Utc>,
    ) -> Result<bool> {
        const SQL: &str = "INSERT INTO stats (athlete, name, body, computed_at) VALUES ($1, $2, $3, $4) \
            ON CONFLICT (athlete, name) DO UPDATE SET body = excluded.body, computed_at = excluded.computed_at \
            WHERE stats.computed_at <= excluded.computed_at";
        let body = serde_json::to_string(stats).map_err(|e| Error::broken("stats", e))?;
        let saved = on_pool!(self, pool => {
            let save = sqlx::query(SQL).bind(athlete).bind(name).bind(&body).bind(micros(computed_at));
            save.execute(pool).await.map(|done| done.rows_affected())
        });
        saved.map(|rows| rows == 1).map_err(|e| Error::of_athlete(e, athlete))
    }

    /// Statistics saved under a name, and when they were computed.
    ///
    /// # Errors
    /// They cannot be read back, or the database fails.
    pub async fn stats<T: DeserializeOwned>(
        &self,
        athlete: i64,
        name: &str,
    ) -> Result<Option<(T, DateTime<Utc>)>> {
        const SQL: &str = "SELECT body, computed_at FROM stats WHERE athlete = $1 AND name = $2";
        let row: Option<(String, i64)> = on_pool!(self, pool => {
            sqlx::query_as(SQL).bind(athlete).bind(name).fetch_optional(pool).await?
        });
        let Some((body, at)) = row else {
            return Ok(None);
        };
        Ok(Some((serde_json::from_str(&body).map_err(|e| Error::broken("stats", e))?, instant(at))))
    }
}
