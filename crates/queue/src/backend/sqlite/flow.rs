//! What follows in a flow from the end of one of its jobs. A node's end is written down with the
//! end of its job; those that wait for it are told at the end of the transaction, a few hundred
//! of them, and the rest by `promote`. Nothing is counted: an edge is open or done.

use super::fault::{Sql, broken};
use super::lease::HOUR_MS;
use super::sweep::WEEK_MS;
use super::tx::{End, Ending, Job, Tx, job_id};
use crate::backend::Edge;
use crate::{JobId, State};
use std::collections::VecDeque;

/// How many edges a transaction follows.
pub(super) const STEP: usize = 500;
/// The states of a flow, as they are stored.
pub(super) const DRAFT: i64 = 0;
pub(super) const RUNNING: i64 = 1;
pub(super) const SUCCEEDED: i64 = 2;
pub(super) const FAILED: i64 = 3;
pub(super) const CANCELLED: i64 = 4;
/// The outcome of a rescue that was not needed.
const UNNEEDED: i64 = 8;
const NOT_NEEDED: &str = "not needed";
/// A flow is remembered at least this long, so that a step whose reply was lost may be repeated.
const REMEMBERED_MS: i64 = 900_000;

/// What transactions have still to tell of nodes that ended in them.
#[derive(Default)]
pub(super) struct Ended(VecDeque<JobId>);

/// Writes down the end of a node, and that its flow has ended with it.
pub(super) async fn follow(tx: &mut Tx, job: &Job, state: State, ending: &Ending<'_>) -> Sql<()> {
    let Some(flow) = job.flow else { return Ok(()) };
    let mut reason = ending.reason.unwrap_or_default().to_owned();
    if let Some(last) = job.errors.last().filter(|_| state != State::Succeeded) {
        reason = format!("{reason}: {}", last.error);
    }
    let outcome = if reason == NOT_NEEDED { UNNEEDED } else { state as i64 };
    note(tx, flow, job.id, outcome, &reason, ending.result).await
}

pub(super) async fn note(
    tx: &mut Tx,
    flow: JobId,
    id: JobId,
    outcome: i64,
    reason: &str,
    result: Option<&str>,
) -> Sql<()> {
    let end = "UPDATE flow_nodes SET outcome = ?2, ended_ms = ?3, reason = ?4, result = ?5 \
               WHERE id = ?1 AND outcome IS NULL";
    let end = sqlx::query(end).bind(&id.as_bytes()[..]).bind(outcome).bind(tx.now);
    let end = end.bind(Some(reason).filter(|r| !r.is_empty())).bind(result);
    if end.execute(&mut *tx.conn).await?.rows_affected() == 0 {
        return Ok(());
    }
    if outcome == 6 || outcome == 7 {
        let bad =
            "UPDATE flows SET bad = 1 WHERE id = ? AND NOT EXISTS (SELECT 1 FROM flow_edges WHERE src = ?)";
        let bad = sqlx::query(bad).bind(&flow.as_bytes()[..]).bind(&id.as_bytes()[..]);
        bad.execute(&mut *tx.conn).await?;
    }
    tx.ended.0.push_back(id);
    over(tx, flow).await
}

/// Ends a flow of which no node is left.
pub(super) async fn over(tx: &mut Tx, flow: JobId) -> Sql<()> {
    let over = "UPDATE flows SET finished_ms = ?2, \
        state = CASE WHEN state = ?3 THEN CASE WHEN bad THEN ?5 ELSE ?4 END ELSE state END, \
        look_ms = ?2 + max(keep_ms, ?6, CASE WHEN state = ?3 AND bad THEN ?7 ELSE 0 END) \
        WHERE id = ?1 AND state > 0 AND finished_ms IS NULL \
          AND NOT EXISTS (SELECT 1 FROM flow_nodes WHERE flow = ?1 AND outcome IS NULL)";
    let over = sqlx::query(over).bind(&flow.as_bytes()[..]).bind(tx.now).bind(RUNNING).bind(SUCCEEDED);
    let over = over.bind(FAILED).bind(REMEMBERED_MS).bind(WEEK_MS);
    over.execute(&mut *tx.conn).await.map(drop)
}

/// Tells of the nodes that have ended in this transaction, as far as it goes.
pub(super) async fn go_on(tx: &mut Tx) -> Sql<()> {
    let mut credit = STEP;
    while credit > 0
        && let Some(id) = tx.ended.0.pop_front()
    {
        credit -= tell(tx, id, credit).await?;
    }
    tx.ended.0.clear();
    Ok(())
}

/// A node that has ended: its flow and state, its outcome, label and name.
type Told = (Vec<u8>, i64, i64, String, String);

/// Tells up to `most` of those that wait for a node that it has ended; how many it told, at
/// least 1.
pub(super) async fn tell(tx: &mut Tx, id: JobId, most: usize) -> Sql<usize> {
    let find = "SELECT f.id, f.state, n.outcome, n.label, n.name FROM flow_nodes AS n \
                JOIN flows AS f ON f.id = n.flow WHERE n.id = ? AND n.outcome IS NOT NULL";
    let found = sqlx::query_as(find).bind(&id.as_bytes()[..]);
    let found: Option<Told> = found.fetch_optional(&mut *tx.conn).await?;
    let Some((flow, state, outcome, label, name)) = found else {
        return Ok(1);
    };
    let mut edges: Vec<(Vec<u8>, i64, String)> = Vec::new();
    if state == RUNNING {
        let open = "SELECT dst, ord, policy FROM flow_edges WHERE src = ? AND done = 0 ORDER BY dst LIMIT ?";
        edges =
            sqlx::query_as(open).bind(&id.as_bytes()[..]).bind(most as i64).fetch_all(&mut *tx.conn).await?;
    }
    let called = if label.is_empty() { name } else { label };
    for (to, ord, policy) in &edges {
        let done = "UPDATE flow_edges SET done = 1 WHERE dst = ? AND ord = ?";
        sqlx::query(done).bind(&to[..]).bind(ord).execute(&mut *tx.conn).await?;
        let policy = policy.bytes().next().and_then(Edge::of_letter);
        let policy = policy.ok_or_else(|| broken("the policy of an edge is not known"))?;
        edge(tx, job_id(&flow)?, job_id(to)?, policy, outcome, &called).await?;
    }
    if edges.len() < most {
        let told = sqlx::query("UPDATE flow_nodes SET told = 1 WHERE id = ?").bind(&id.as_bytes()[..]);
        told.execute(&mut *tx.conn).await?;
    }
    Ok(edges.len().max(1))
}

/// What the end of one node means for one that waits for it.
async fn edge(tx: &mut Tx, flow: JobId, to: JobId, policy: Edge, outcome: i64, called: &str) -> Sql<()> {
    let lost = outcome == 6 || outcome == 7;
    let open = "SELECT EXISTS (SELECT 1 FROM flow_edges WHERE dst = ? AND done = 0)";
    let last = !sqlx::query_scalar::<_, bool>(open).bind(&to.as_bytes()[..]).fetch_one(&mut *tx.conn).await?;
    if !last && (outcome == 5 || policy == Edge::Ignore) {
        return Ok(());
    }
    let Some(job) = tx.load(to).await?.filter(|job| job.waits) else {
        return Ok(());
    };
    match policy {
        Edge::Fail | Edge::CancelRest if lost => depends(tx, flow, job, policy, called).await,
        Edge::Continue | Edge::Rescue if lost => arrive(tx, &job).await,
        Edge::Rescue if last => bury(tx, &job, State::Cancelled, NOT_NEEDED).await,
        Edge::Fail | Edge::CancelRest | Edge::Continue if outcome == UNNEEDED => {
            bury(tx, &job, State::Cancelled, NOT_NEEDED).await
        }
        _ if last => arrive(tx, &job).await,
        _ => Ok(()),
    }
}

/// A failure that is fatal to what depends on it.
async fn depends(tx: &mut Tx, flow: JobId, mut job: Job, policy: Edge, called: &str) -> Sql<()> {
    sqlx::query("UPDATE flows SET bad = 1 WHERE id = ?")
        .bind(&flow.as_bytes()[..])
        .execute(&mut *tx.conn)
        .await?;
    if policy == Edge::CancelRest {
        let cancel = "UPDATE flows SET state = ?2, work = 'cancel', at = 0 WHERE id = ?1";
        sqlx::query(cancel).bind(&flow.as_bytes()[..]).bind(CANCELLED).execute(&mut *tx.conn).await?;
    }
    job.blow(tx.now, job.attempts, &format!("it depends on {called}, which failed"));
    tx.store(&job, false).await?;
    bury(tx, &job, State::Discarded, "dependency").await
}

/// A node ends without having run.
pub(super) async fn bury(tx: &mut Tx, job: &Job, state: State, reason: &str) -> Sql<()> {
    let keep_ms = if state == State::Discarded { WEEK_MS } else { HOUR_MS };
    tx.finish(job, state, Ending { keep_ms, reason: Some(reason), result: None }).await
}

/// A node's turn has come.
pub(super) async fn arrive(tx: &mut Tx, job: &Job) -> Sql<()> {
    let put_off = sqlx::query_as("SELECT wait_ms, due_ms FROM flow_nodes WHERE id = ?");
    let put_off: Option<(Option<i64>, Option<i64>)> =
        put_off.bind(&job.id.as_bytes()[..]).fetch_optional(&mut *tx.conn).await?;
    let (wait, due) = put_off.unwrap_or_default();
    let due = due.or_else(|| wait.map(|ms| tx.now.saturating_add(ms)));
    match due.filter(|due| *due > tx.now) {
        Some(due) => {
            tx.woke = true;
            tx.delay(job, State::Scheduled, due).await
        }
        None => tx.available(job, End::Tail).await,
    }
}
