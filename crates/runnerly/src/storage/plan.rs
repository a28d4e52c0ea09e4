//! Planned runs, and which activity came of each.

use super::{Error, Result, Storage, in_transaction, on_pool, take_turn};
use crate::jobs::MatchPlan;
use crate::plan::{Candidate, MOST, Planned, matches};
use chrono::NaiveDate;
use legwork::outbox;

#[derive(sqlx::FromRow)]
pub(super) struct Row {
    athlete: i64,
    id: String,
    day: String,
    name: String,
    distance_m: Option<f64>,
    duration_s: Option<i64>,
    note: String,
    activity: Option<i64>,
}

impl TryFrom<Row> for Planned {
    type Error = Error;

    fn try_from(row: Row) -> Result<Planned> {
        let Row { athlete, id, day, name, distance_m, duration_s, note, activity } = row;
        let day = read_day(&day)?;
        Ok(Planned { id, athlete, day, name, distance_m, duration_s, note, activity })
    }
}

fn read_day(text: &str) -> Result<NaiveDate> {
    text.parse().map_err(|e| Error::broken("day", e))
}

/// What came of a plan is nothing once the activity is deleted.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT p.athlete, p.id, p.day, p.name, p.distance_m, p.duration_s, p.note, a.id AS activity \
             FROM planned p LEFT JOIN activities a ON a.athlete = p.athlete AND a.id = p.activity ",
            $rest
        )
    };
}

impl Storage {
    /// Keeps a planned run, or changes the one of this id, and lets the plan be matched anew.
    /// What came of it is not the caller's to say.
    ///
    /// # Errors
    /// [`Error::UnknownAthlete`], [`Error::PlanFull`], or the database fails.
    pub async fn save_planned(&self, plan: &Planned) -> Result<()> {
        const COUNT: &str = "SELECT COUNT(*) FROM planned WHERE athlete = $1 AND id <> $2";
        const SAVE: &str = "INSERT INTO planned (athlete, id, day, name, distance_m, duration_s, note) \
            VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (athlete, id) DO UPDATE SET day = excluded.day, \
            name = excluded.name, distance_m = excluded.distance_m, duration_s = excluded.duration_s, \
            note = excluded.note";
        let (athlete, day) = (plan.athlete, plan.day.to_string());
        in_transaction!(self, tx => {
            take_turn!(tx, athlete);
            let others: i64 = sqlx::query_scalar(COUNT).bind(athlete).bind(&plan.id).fetch_one(&mut *tx).await?;
            if others >= MOST {
                return Err(Error::PlanFull);
            }
            let save = sqlx::query(SAVE).bind(athlete).bind(&plan.id).bind(&day).bind(&plan.name);
            let save = save.bind(plan.distance_m).bind(plan.duration_s).bind(&plan.note);
            save.execute(&mut *tx).await.map(drop)?;
            outbox::enqueue(&mut tx, MatchPlan { athlete }).await.map(drop)?;
        });
        Ok(())
    }

    /// Forgets a planned run. Says whether there was one.
    ///
    /// # Errors
    /// The database fails.
    pub async fn delete_planned(&self, athlete: i64, id: &str) -> Result<bool> {
        const SQL: &str = "DELETE FROM planned WHERE athlete = $1 AND id = $2";
        Ok(in_transaction!(self, tx => {
            let gone = sqlx::query(SQL).bind(athlete).bind(id).execute(&mut *tx).await?.rows_affected() == 1;
            if gone {
                // Its run may be another's now.
                outbox::enqueue(&mut tx, MatchPlan { athlete }).await.map(drop)?;
            }
            gone
        }))
    }

    /// One planned run.
    ///
    /// # Errors
    /// It cannot be read back, or the database fails.
    pub async fn planned(&self, athlete: i64, id: &str) -> Result<Option<Planned>> {
        const SQL: &str = select!("WHERE p.athlete = $1 AND p.id = $2");
        let row = on_pool!(self, pool => {
            sqlx::query_as::<_, Row>(SQL).bind(athlete).bind(id).fetch_optional(pool).await?
        });
        row.map(Planned::try_from).transpose()
    }

    /// What came of which plan: the planned run of an activity, if there is one.
    ///
    /// # Errors
    /// It cannot be read back, or the database fails.
    pub async fn planned_of(&self, athlete: i64, activity: i64) -> Result<Option<Planned>> {
        const SQL: &str = select!("WHERE p.athlete = $1 AND p.activity = $2");
        let row = on_pool!(self, pool => {
            sqlx::query_as::<_, Row>(SQL).bind(athlete).bind(activity).fetch_optional(pool).await?
        });
        row.map(Planned::try_from).transpose()
    }

    /// The plan of an athlete, the earliest day first.
    ///
    /// # Errors
    /// It cannot be read back, or the database fails.
    pub async fn plan(&self, athlete: i64) -> Result<Vec<Planned>> {
        const SQL: &str = select!("WHERE p.athlete = $1 ORDER BY p.day, p.id");
        let rows = on_pool!(self, pool => sqlx::query_as::<_, Row>(SQL).bind(athlete).fetch_all(pool).await?);
        rows.into_iter().map(Planned::try_from).collect()
    }

    /// Finds out which runs came of an athlete's plan, from all that is stored: to do so again
    /// changes nothing. Says how many did.
    ///
    /// # Errors
    /// [`Error::UnknownAthlete`]; what is stored cannot be read back; the database fails.
    pub async fn match_plan(&self, athlete: i64) -> Result<usize> {
        const PLAN: &str = select!("WHERE p.athlete = $1");
        const RUNS: &str = "SELECT id, start_local, distance_m, moving_s FROM activities WHERE athlete = $1 \
            AND sport IN ('Run', 'TrailRun', 'VirtualRun') \
            AND substr(start_local, 1, 10) IN (SELECT day FROM planned WHERE athlete = $1)";
        const CLEAR: &str = "UPDATE planned SET activity = NULL WHERE athlete = $1 AND activity IS NOT NULL";
        const SET: &str = "UPDATE planned SET activity = $3 WHERE athlete = $1 AND id = $2";
        // Read and written under one lock: of two at once, the later one has seen all that the
        // earlier one saw.
        Ok(in_transaction!(self, tx => {
            take_turn!(tx, athlete);
            let plan: Vec<Row> = sqlx::query_as(PLAN).bind(athlete).fetch_all(&mut *tx).await?;
            let runs: Vec<(i64, String, f64, i64)> = sqlx::query_as(RUNS).bind(athlete).fetch_all(&mut *tx).await?;
            let found = pair(plan, runs)?;
            sqlx::query(CLEAR).bind(athlete).execute(&mut *tx).await.map(drop)?;
            for (id, activity) in &found {
                sqlx::query(SET).bind(athlete).bind(id).bind(activity).execute(&mut *tx).await.map(drop)?;
            }
            found.len()
        }))
    }
}

type Runs = Vec<(i64, String, f64, i64)>;

fn pair(plan: Vec<Row>, runs: Runs) -> Result<Vec<(String, i64)>> {
    let plan = plan.into_iter().map(Planned::try_from).collect::<Result<Vec<_>>>()?;
    let run = |(id, start, distance_m, moving_s): (i64, String, f64, i64)| {
        let day = read_day(start.get(..10).unwrap_or_default())?;
        Ok(Candidate { id, day, distance_m, moving_s })
    };
    let runs = runs.into_iter().map(run).collect::<Result<Vec<_>>>()?;
    Ok(matches(&plan, &runs).into_iter().collect())
}
