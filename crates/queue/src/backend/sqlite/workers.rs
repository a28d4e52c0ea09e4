//! Workers' signs of life, and schedules.

use super::enqueue::{Row, insert};
use super::fault::{Sql, broken};
use super::tx::{End, Tx, job_id};
use super::writer::Verb;
use crate::backend::{ScheduleView, WorkerView};

/// At most this many parked jobs of a name come back with one beat.
const MAX_UNPARKED: i64 = 1_000;

pub(super) struct Beat(pub(super) WorkerView);

impl Verb for Beat {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx) -> Sql<()> {
        let view = serde_json::to_string(&self.0).map_err(broken)?;
        let beat = sqlx::query("INSERT OR REPLACE INTO workers (id, view, seen_ms) VALUES (?, ?, ?)");
        beat.bind(&self.0.id).bind(view).bind(tx.now).execute(&mut *tx.conn).await?;
        for handled in &self.0.definitions {
            let find = sqlx::query_scalar(include_str!("sql/unpark.sql")).bind(&handled.name);
            let parked = find.bind(handled.version).bind(MAX_UNPARKED).fetch_all(&mut *tx.conn).await?;
            // In reverse, so that the first of them ends up in front.
            for id in parked.iter().rev() {
                let id: &Vec<u8> = id;
                if let Some(job) = tx.load(job_id(id)?).await? {
                    tx.available(&job, End::Head).await?;
                }
            }
        }
        Ok(())
    }
}

pub(super) struct Leave(pub(super) String);

impl Verb for Leave {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx) -> Sql<()> {
        let leave = sqlx::query("DELETE FROM workers WHERE id = ?").bind(&self.0);
        leave.execute(&mut *tx.conn).await.map(drop)
    }
}

pub(super) struct PutSchedule(pub(super) ScheduleView);

impl Verb for PutSchedule {
    type Answer = ScheduleView;

    async fn apply(&self, tx: &mut Tx) -> Sql<ScheduleView> {
        let mut schedule = self.0.clone();
        if schedule.last_ms == 0 {
            schedule.last_ms = tx.now;
        }
        let view = serde_json::to_string(&schedule).map_err(broken)?;
        let put = sqlx::query_as(include_str!("sql/schedule.sql")).bind(&schedule.name).bind(view);
        let put = put.bind(schedule.last_ms).bind(schedule.fired);
        (schedule.last_ms, schedule.fired) = put.fetch_one(&mut *tx.conn).await?;
        Ok(schedule)
    }
}

pub(super) struct DropSchedule(pub(super) String);

impl Verb for DropSchedule {
    type Answer = bool;

    async fn apply(&self, tx: &mut Tx) -> Sql<bool> {
        let remove = sqlx::query("DELETE FROM schedules WHERE name = ?").bind(&self.0);
        Ok(remove.execute(&mut *tx.conn).await?.rows_affected() == 1)
    }
}

pub(super) struct Fire {
    pub(super) name: String,
    pub(super) expect: i64,
    pub(super) last: i64,
    pub(super) rows: Vec<Row>,
}

impl Verb for Fire {
    type Answer = bool;

    async fn apply(&self, tx: &mut Tx) -> Sql<bool> {
        let fire = "UPDATE schedules SET last_ms = ?3, fired = 1 WHERE name = ?1 AND last_ms = ?2";
        let fire = sqlx::query(fire).bind(&self.name).bind(self.expect).bind(self.last);
        if fire.execute(&mut *tx.conn).await?.rows_affected() == 0 {
            return Ok(false);
        }
        insert(tx, &self.rows).await?;
        Ok(true)
    }
}
