//! Workers' signs of life.

use super::fault::{Sql, broken};
use super::settings::Put;
use super::tx::{End, Tx, job_id};
use super::writer::Verb;
use crate::backend::{Order, Setting, WorkerView};

/// At most this many parked jobs of a name come back with one beat.
const MAX_UNPARKED: i64 = 1_000;

pub(super) struct Beat(pub(super) WorkerView);

impl Verb for Beat {
    type Answer = Vec<Order>;

    async fn apply(&self, tx: &mut Tx) -> Sql<Vec<Order>> {
        let left = orders(tx, &self.0).await?;
        if self.0.leaving {
            let leave = sqlx::query("DELETE FROM workers WHERE id = ?").bind(&self.0.id);
            leave.execute(&mut *tx.conn).await?;
            return Ok(left);
        }
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
        Ok(left)
    }
}

/// The orders that the worker has not followed yet; those that it has go.
async fn orders(tx: &mut Tx, worker: &WorkerView) -> Sql<Vec<Order>> {
    let mut left = Vec::new();
    let find = "SELECT name, value FROM settings WHERE kind = 'worker'";
    let all: Vec<(String, String)> = sqlx::query_as(find).fetch_all(&mut *tx.conn).await?;
    for (name, now) in if all.is_empty() { Vec::new() } else { worker.orders() } {
        let Some((_, wanted)) = all.iter().find(|(n, _)| *n == name) else { continue };
        if *wanted == now || worker.leaving {
            Put(Setting::Worker, name, None).apply(tx).await?;
        } else {
            left.extend(Order::of(&name, wanted));
        }
    }
    Ok(left)
}
