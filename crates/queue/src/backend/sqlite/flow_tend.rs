//! What takes a flow more than one step, a slice at a time: its beginning, its cancellation, the
//! sweep that finds what is stuck, and its end. Part of `promote` and `prune`.

use super::fault::{Sql, broken};
use super::flow::{self, CANCELLED, DRAFT, RUNNING, STEP, arrive, bury};
use super::flow_stage::LOOK_MS;
use super::tx::{Job, Tx, job_id};
use crate::backend::{Action, Controlled, Edge};
use crate::{JobId, State};

/// Goes on with the flows of which something is left to do; whether that is still so.
pub(super) async fn tend(tx: &mut Tx) -> Sql<bool> {
    let mut credit = STEP;
    while credit > 0 {
        let next = "SELECT id, work, at FROM flows WHERE work IS NOT NULL ORDER BY id LIMIT 1";
        let next: Option<(Vec<u8>, String, i64)> = sqlx::query_as(next).fetch_optional(&mut *tx.conn).await?;
        let Some((root, what, at)) = next else { break };
        let done = work(tx, job_id(&root)?, &what, at, credit).await?;
        credit = credit.saturating_sub(done.max(20));
    }
    while credit > 0 {
        let untold = "SELECT id FROM flow_nodes WHERE outcome IS NOT NULL AND told = 0 LIMIT 1";
        let untold: Option<Vec<u8>> = sqlx::query_scalar(untold).fetch_optional(&mut *tx.conn).await?;
        let Some(id) = untold else { break };
        credit -= flow::tell(tx, job_id(&id)?, credit).await?;
    }
    Ok(credit == 0)
}

/// One slice of what is left to do of a flow; how many nodes it looked at.
pub(super) async fn work(tx: &mut Tx, root: JobId, what: &str, at: i64, most: usize) -> Sql<usize> {
    let end = at + most as i64;
    match what {
        "begin" => begin(tx, root, at, end).await?,
        "cancel" => call_off(tx, root, at, end).await?,
        "mend" => mend(tx, root, at, end).await?,
        _ => forget(tx, root, at, end).await?,
    }
    let slice = "SELECT count(*) FROM flow_nodes WHERE flow = ? AND ord >= ? AND ord < ?";
    let slice = sqlx::query_scalar::<_, i64>(slice).bind(&root.as_bytes()[..]).bind(at).bind(end);
    let seen = slice.fetch_one(&mut *tx.conn).await? as usize;
    if seen < most {
        close(tx, root, what).await?;
    } else {
        // Whatever else has been set meanwhile begins from the start.
        let on = "UPDATE flows SET at = ?3 WHERE id = ?1 AND work = ?2 AND at = ?4";
        let on = sqlx::query(on).bind(&root.as_bytes()[..]).bind(what).bind(end).bind(at);
        on.execute(&mut *tx.conn).await?;
    }
    Ok(seen)
}

async fn close(tx: &mut Tx, root: JobId, what: &str) -> Sql<()> {
    let bytes = &root.as_bytes()[..];
    if what == "drop" {
        sqlx::query("DELETE FROM flow_nodes WHERE flow = ?").bind(bytes).execute(&mut *tx.conn).await?;
        return sqlx::query("DELETE FROM flows WHERE id = ?")
            .bind(bytes)
            .execute(&mut *tx.conn)
            .await
            .map(drop);
    }
    let done = "UPDATE flows SET work = NULL WHERE id = ? AND work = ?";
    sqlx::query(done).bind(bytes).bind(what).execute(&mut *tx.conn).await?;
    flow::over(tx, root).await
}

/// The nodes of a slice that have not ended.
async fn left(tx: &mut Tx, root: JobId, at: i64, end: i64) -> Sql<Vec<Job>> {
    let left =
        "SELECT id FROM flow_nodes WHERE flow = ? AND ord >= ? AND ord < ? AND outcome IS NULL ORDER BY ord";
    load(tx, left, root, at, end).await
}

async fn load(tx: &mut Tx, sql: &'static str, root: JobId, at: i64, end: i64) -> Sql<Vec<Job>> {
    let ids = sqlx::query_scalar(sql).bind(&root.as_bytes()[..]).bind(at).bind(end);
    let ids: Vec<Vec<u8>> = ids.fetch_all(&mut *tx.conn).await?;
    let mut jobs = Vec::with_capacity(ids.len());
    for id in ids {
        jobs.extend(tx.load(job_id(&id)?).await?);
    }
    Ok(jobs)
}

/// The nodes that wait for nothing.
async fn begin(tx: &mut Tx, root: JobId, at: i64, end: i64) -> Sql<()> {
    let entries = "SELECT id FROM flow_nodes WHERE flow = ? AND ord >= ? AND ord < ? AND kind = 0 AND outcome IS NULL ORDER BY ord";
    for job in load(tx, entries, root, at, end).await? {
        if job.waits {
            arrive(tx, &job).await?;
        }
    }
    Ok(())
}

/// The rest of a flow that was cancelled.
async fn call_off(tx: &mut Tx, root: JobId, at: i64, end: i64) -> Sql<()> {
    for job in left(tx, root, at, end).await? {
        if job.state == State::Leased {
            let mark = sqlx::query("UPDATE jobs SET cancel = 1 WHERE id = ?").bind(&job.id.as_bytes()[..]);
            mark.execute(&mut *tx.conn).await?;
        } else {
            bury(tx, &job, State::Cancelled, "flow cancelled").await?;
        }
    }
    Ok(())
}

/// What can be derived is derived again, and what is stuck goes on.
async fn mend(tx: &mut Tx, root: JobId, at: i64, end: i64) -> Sql<()> {
    let lost =
        sqlx::query_scalar(include_str!("sql/flow_lost.sql")).bind(&root.as_bytes()[..]).bind(at).bind(end);
    let lost: Vec<Vec<u8>> = lost.fetch_all(&mut *tx.conn).await?;
    for id in lost {
        flow::note(tx, root, job_id(&id)?, State::Discarded as i64, "lost", None).await?;
    }
    let reopen =
        sqlx::query(include_str!("sql/flow_reopen.sql")).bind(&root.as_bytes()[..]).bind(at).bind(end);
    reopen.execute(&mut *tx.conn).await?;
    for job in load(tx, include_str!("sql/flow_stuck.sql"), root, at, end).await? {
        let edges = "SELECT src, policy, done FROM flow_edges WHERE dst = ?";
        let edges: Vec<(Vec<u8>, String, bool)> =
            sqlx::query_as(edges).bind(&job.id.as_bytes()[..]).fetch_all(&mut *tx.conn).await?;
        let kind = "SELECT kind FROM flow_nodes WHERE id = ?";
        let kind: i64 =
            sqlx::query_scalar(kind).bind(&job.id.as_bytes()[..]).fetch_one(&mut *tx.conn).await?;
        for (src, ..) in edges.iter().filter(|(.., done)| !done) {
            // Its end is told again.
            let again = sqlx::query("UPDATE flow_nodes SET told = 0 WHERE id = ? AND outcome IS NOT NULL");
            again.bind(&src[..]).execute(&mut *tx.conn).await?;
        }
        if edges.iter().any(|(.., done)| !done) {
            continue;
        }
        if kind == 0 || !edges.is_empty() && edges[0].1 != Edge::Rescue.letter().to_string() {
            arrive(tx, &job).await?;
        } else {
            let (state, why) = match edges.is_empty() {
                true => (State::Discarded, "lost"),
                false => (State::Cancelled, "not needed"),
            };
            bury(tx, &job, state, why).await?;
        }
    }
    Ok(())
}

/// A flow that was kept long enough, or a draft that nobody has committed.
async fn forget(tx: &mut Tx, root: JobId, at: i64, end: i64) -> Sql<()> {
    let slice = "(SELECT id FROM flow_nodes WHERE flow = ? AND ord >= ? AND ord < ?)";
    for forget in [
        format!("DELETE FROM flow_edges WHERE dst IN {slice}"),
        format!("DELETE FROM flow_drafts WHERE id IN {slice}"),
    ] {
        let forget = sqlx::query(sqlx::AssertSqlSafe(forget)).bind(&root.as_bytes()[..]).bind(at).bind(end);
        forget.execute(&mut *tx.conn).await?;
    }
    Ok(())
}

/// Flows whose time has come: what was kept long enough goes, the others are looked over.
pub(super) async fn look(tx: &mut Tx) -> Sql<()> {
    let look = "UPDATE flows SET look_ms = ?1 + ?2, at = CASE WHEN work IS NULL THEN 0 ELSE at END, \
        work = coalesce(work, CASE WHEN state = 0 OR finished_ms IS NOT NULL THEN 'drop' \
            WHEN state = ?3 THEN 'cancel' ELSE 'mend' END) \
        WHERE id IN (SELECT id FROM flows WHERE look_ms <= ?1 ORDER BY look_ms LIMIT 20)";
    sqlx::query(look).bind(tx.now).bind(LOOK_MS).bind(CANCELLED).execute(&mut *tx.conn).await.map(drop)
}

/// What is done to a whole flow; none where there is no such flow.
pub(super) async fn steer(tx: &mut Tx, root: JobId, action: Action) -> Sql<Controlled> {
    let bytes = &root.as_bytes()[..];
    let find = sqlx::query_as("SELECT state, finished_ms IS NOT NULL FROM flows WHERE id = ?").bind(bytes);
    let found: Option<(i64, bool)> = find.fetch_optional(&mut *tx.conn).await?;
    let (number, finished) = match found {
        None | Some((DRAFT, _)) => return Ok(Controlled::Missing),
        Some(found) => found,
    };
    if finished {
        return Ok(Controlled::Refused(match number {
            flow::SUCCEEDED => State::Succeeded,
            flow::FAILED => State::Discarded,
            CANCELLED => State::Cancelled,
            other => return Err(broken(format!("the state {other} of a flow is not known"))),
        }));
    }
    let (work, state, answer) = match action {
        Action::Cancel => ("cancel", CANCELLED, Controlled::Done(State::Cancelled)),
        Action::Mend if number == RUNNING => ("mend", RUNNING, Controlled::Requested),
        Action::Mend => ("cancel", CANCELLED, Controlled::Requested),
        _ => return Ok(Controlled::Refused(State::Leased)),
    };
    let set = sqlx::query("UPDATE flows SET work = ?2, state = ?3, at = 0 WHERE id = ?1");
    set.bind(bytes).bind(work).bind(state).execute(&mut *tx.conn).await?;
    self::work(tx, root, work, 0, STEP).await?;
    Ok(answer)
}
