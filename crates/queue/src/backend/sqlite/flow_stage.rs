//! Taking flows in: steps of a draft, and the commit.

use super::enqueue::Row;
use super::fault::{Sql, broken};
use super::flow::{DRAFT, RUNNING, over};
use super::settings::holds;
use super::tx::Tx;
use super::writer::Verb;
use crate::backend::{Due, EnqueueBatch, Enqueued, FlowStep, Guard, NewNode, Taken};
use crate::{JobId, State};
use sqlx::QueryBuilder;

/// A draft that is not committed is forgotten after this long.
const DRAFT_MS: i64 = 3_600_000;
/// How often a flow is looked over.
pub(super) const LOOK_MS: i64 = 60_000;
/// Rows in one statement.
const ROWS: usize = 100;

pub(super) struct Stage {
    seq: i64,
    guard: Guard,
    rows: Vec<Row>,
    step: FlowStep,
}

impl Stage {
    pub(super) fn of(batch: &EnqueueBatch, step: &FlowStep) -> Stage {
        let rows = batch.jobs.iter().map(Row::of).collect();
        Stage { seq: batch.seq as i64, guard: batch.guard.clone(), rows, step: step.clone() }
    }
}

impl Verb for Stage {
    type Answer = Taken;

    async fn apply(&self, tx: &mut Tx) -> Sql<Taken> {
        let root = &self.step.root.as_bytes()[..];
        let find = sqlx::query_as(
            "SELECT CASE WHEN work IS NULL THEN state ELSE -1 END, step FROM flows WHERE id = ?",
        )
        .bind(root);
        let found: Option<(i64, i64)> = find.fetch_optional(&mut *tx.conn).await?;
        let taken = || Taken::Jobs(vec![Enqueued::Created; self.rows.len()]);
        match found {
            Some((_, step)) if step >= self.seq => return Ok(taken()),
            Some((DRAFT, step)) if step == self.seq - 1 => {}
            None if self.seq == 1 => {}
            _ => return Ok(Taken::Changed),
        }
        if !holds(tx, &self.guard).await? {
            return Ok(Taken::Changed);
        }
        let begin = "INSERT INTO flows (id, name, state, step, created_ms, keep_ms, look_ms) \
            VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO UPDATE SET step = ?3, look_ms = ?6";
        let begin = sqlx::query(begin).bind(root).bind(&self.step.name).bind(self.seq).bind(tx.now);
        begin.bind(self.step.keep_ms).bind(tx.now.saturating_add(DRAFT_MS)).execute(&mut *tx.conn).await?;
        self.nodes(tx).await?;
        self.edges(tx).await?;
        if self.step.commit {
            commit(tx, self.step.root).await?;
        }
        Ok(taken())
    }
}

impl Stage {
    /// The place of the first node of this step.
    async fn first(&self, tx: &mut Tx) -> Sql<i64> {
        let last = "SELECT coalesce(max(ord) + 1, 0) FROM flow_nodes WHERE flow = ?";
        sqlx::query_scalar(last).bind(&self.step.root.as_bytes()[..]).fetch_one(&mut *tx.conn).await
    }

    async fn nodes(&self, tx: &mut Tx) -> Sql<()> {
        let all: Vec<(&Row, &NewNode)> = self.rows.iter().zip(&self.step.nodes).collect();
        let root = &self.step.root.as_bytes()[..];
        for some in all.chunks(ROWS) {
            let first = self.first(tx).await?;
            let columns =
                "INSERT INTO flow_nodes (id, flow, ord, kind, label, name, queue, wait_ms, due_ms) ";
            let mut insert = QueryBuilder::new(columns);
            insert.push_values(some.iter().zip(first..), |mut values, ((row, node), ord)| {
                let (wait, due) = match row.due {
                    Due::Now => (None, None),
                    Due::In(ms) => (Some(ms), None),
                    Due::At(ms) => (None, Some(ms)),
                };
                values.push_bind(&row.id.as_bytes()[..]).push_bind(root).push_bind(ord);
                values.push_bind(i64::from(!node.entry)).push_bind(&*node.label);
                values.push_bind(&*row.name).push_bind(&*row.queue).push_bind(wait).push_bind(due);
            });
            insert.build().execute(&mut *tx.conn).await?;
            let mut insert =
                QueryBuilder::new("INSERT INTO flow_drafts (id, record, priority, limit_key, cost) ");
            insert.push_values(some, |mut values, (row, _)| {
                values.push_bind(&row.id.as_bytes()[..]).push_bind(&row.record[..]);
                values.push_bind(row.priority).push_bind(row.limit.as_deref()).push_bind(row.cost);
            });
            insert.build().execute(&mut *tx.conn).await?;
        }
        for row in self.rows.iter().filter(|row| !row.terms.is_empty()) {
            tx.index(row.id, row.made_ms.unwrap_or(tx.now), &row.terms).await?;
        }
        for given in &self.step.given {
            let (node, first) = (&given.node, self.first(tx).await?);
            let outcome = node.state.map_or(State::Discarded as i64, |state| state as i64);
            let insert = "INSERT INTO flow_nodes (id, flow, ord, kind, label, name, queue, outcome, ended_ms, \
                reason, result, told) VALUES (?, ?, ?, 2, ?, ?, ?, ?, ?, ?, ?, 1)";
            let insert = sqlx::query(insert).bind(&node.id.as_bytes()[..]).bind(root).bind(first);
            let insert = insert.bind(&node.label).bind(&node.name).bind(&node.queue).bind(outcome);
            let insert = insert.bind(node.finished_ms.unwrap_or(tx.now)).bind(&node.reason);
            insert.bind(node.result.as_ref().map(|r| r.get())).execute(&mut *tx.conn).await?;
        }
        Ok(())
    }

    async fn edges(&self, tx: &mut Tx) -> Sql<()> {
        let mut place: Option<(JobId, i64)> = None;
        let mut rows = Vec::with_capacity(self.step.edges.len());
        for edge in &self.step.edges {
            let ord = match place {
                Some((to, ord)) if to == edge.to => ord + 1,
                _ => {
                    let last = "SELECT coalesce(max(ord) + 1, 0) FROM flow_edges WHERE dst = ?";
                    sqlx::query_scalar(last).bind(&edge.to.as_bytes()[..]).fetch_one(&mut *tx.conn).await?
                }
            };
            place = Some((edge.to, ord));
            rows.push((edge, ord));
        }
        for some in rows.chunks(ROWS) {
            let mut insert = QueryBuilder::new("INSERT INTO flow_edges (src, dst, ord, policy) ");
            insert.push_values(some, |mut values, (edge, ord)| {
                values.push_bind(&edge.from.as_bytes()[..]).push_bind(&edge.to.as_bytes()[..]);
                values.push_bind(ord).push_bind(edge.edge.letter().to_string());
            });
            insert.build().execute(&mut *tx.conn).await?;
        }
        Ok(())
    }
}

/// A draft becomes a flow.
async fn commit(tx: &mut Tx, root: JobId) -> Sql<()> {
    let bytes = &root.as_bytes()[..];
    let sizes = "SELECT queue, count(*) FROM flow_nodes WHERE flow = ? AND kind < 2 GROUP BY queue";
    let sizes: Vec<(String, i64)> = sqlx::query_as(sizes).bind(bytes).fetch_all(&mut *tx.conn).await?;
    let all = sizes.iter().map(|(_, n)| *n as usize).sum::<usize>();
    let places = "SELECT count(*) FROM flow_nodes WHERE flow = ?";
    let places: i64 = sqlx::query_scalar(places).bind(bytes).fetch_one(&mut *tx.conn).await?;
    let first = tx.tail(places as usize);
    // What another flow gives had ended before this one began.
    let given =
        "UPDATE flow_edges SET done = 1 WHERE src IN (SELECT id FROM flow_nodes WHERE flow = ? AND kind = 2)";
    sqlx::query(given).bind(bytes).execute(&mut *tx.conn).await?;
    let jobs = sqlx::query(include_str!("sql/flow_commit.sql")).bind(bytes).bind(first);
    if jobs.execute(&mut *tx.conn).await?.rows_affected() as usize != all {
        return Err(broken("a draft of a flow has lost nodes"));
    }
    let indexed = "UPDATE jobs SET indexed = 1 WHERE id IN (SELECT n.id FROM flow_nodes AS n \
        JOIN terms AS t ON t.id = n.id WHERE n.flow = ?)";
    sqlx::query(indexed).bind(bytes).execute(&mut *tx.conn).await?;
    for (queue, n) in sizes {
        tx.count(&queue, None, Some(State::Blocked), n as usize);
    }
    let drop = "DELETE FROM flow_drafts WHERE id IN (SELECT id FROM flow_nodes WHERE flow = ?)";
    sqlx::query(drop).bind(bytes).execute(&mut *tx.conn).await?;
    let run = "UPDATE flows SET state = ?2, work = 'begin', at = 0, look_ms = ?3 WHERE id = ?1";
    let run = sqlx::query(run).bind(bytes).bind(RUNNING).bind(tx.now.saturating_add(LOOK_MS));
    run.execute(&mut *tx.conn).await?;
    tx.woke = true;
    over(tx, root).await?;
    super::flow_tend::work(tx, root, "begin", 0, super::flow::STEP).await?;
    Ok(())
}
