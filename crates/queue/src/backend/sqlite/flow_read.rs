//! Looking at flows, without the write lock.

use super::fault::{Sql, broken};
use super::flow::{CANCELLED, FAILED, RUNNING, SUCCEEDED};
use super::tx::{job_id, state};
use crate::backend::{Edge, FlowAsk, FlowHead, FlowNode, FlowPage, FlowState};
use crate::{JobId, State};
use serde_json::value::RawValue;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row, SqliteConnection};

const HEAD: &str = "SELECT id, name, state, created_ms, finished_ms, \
    (SELECT count(*) FROM flow_nodes AS n WHERE n.flow = f.id) AS nodes, \
    (SELECT count(*) FROM flow_nodes AS n WHERE n.flow = f.id AND n.outcome IS NULL) AS left_over, \
    (SELECT count(*) FROM flow_nodes AS n WHERE n.flow = f.id AND n.outcome IN (6, 7) AND n.kind < 2) AS failed \
    FROM flows AS f WHERE state > 0";
const NODE: &str = "n.id, n.kind, n.label, n.name, n.queue, n.outcome, n.ended_ms, n.reason, \
    (SELECT state FROM jobs AS j WHERE j.id = n.id) AS state";
/// A page of inputs ends once its results are longer than this.
const MUCH: usize = 4 << 20;

pub(super) async fn page(conn: &mut SqliteConnection, ask: &FlowAsk) -> Sql<FlowPage> {
    match *ask {
        FlowAsk::List(limit) => {
            let all = format!("{HEAD} ORDER BY created_ms DESC, id DESC LIMIT ?");
            let all = sqlx::query(AssertSqlSafe(all)).bind(limit as i64).fetch_all(conn).await?;
            let flows = all.iter().map(head).collect::<Sql<_>>()?;
            Ok(FlowPage { flows, ..FlowPage::default() })
        }
        FlowAsk::Nodes { root, from, limit } => nodes(conn, root, from, limit).await,
        FlowAsk::Inputs { root, node, from, limit } => inputs(conn, root, node, from, limit).await,
    }
}

async fn one(conn: &mut SqliteConnection, root: JobId) -> Sql<Vec<FlowHead>> {
    let find = format!("{HEAD} AND id = ?");
    let found = sqlx::query(AssertSqlSafe(find)).bind(&root.as_bytes()[..]).fetch_optional(conn).await?;
    found.iter().map(head).collect()
}

async fn nodes(conn: &mut SqliteConnection, root: JobId, from: usize, limit: usize) -> Sql<FlowPage> {
    let flows = one(conn, root).await?;
    let Some(flow) = flows.first() else {
        return Ok(FlowPage::default());
    };
    let total = flow.nodes as usize;
    let find = format!(
        "SELECT {NODE}, NULL AS result, NULL AS policy, \
         (SELECT count(*) FROM flow_edges AS e WHERE e.dst = n.id) AS inputs \
         FROM flow_nodes AS n WHERE flow = ? AND ord >= ? ORDER BY ord LIMIT ?"
    );
    let rows = sqlx::query(AssertSqlSafe(find)).bind(&root.as_bytes()[..]).bind(from as i64);
    let rows = rows.bind(limit.clamp(1, 1_000) as i64).fetch_all(&mut *conn).await?;
    let mut nodes: Vec<FlowNode> = rows.iter().map(node).collect::<Sql<_>>()?;
    for node in nodes.iter_mut().filter(|node| node.inputs > 0) {
        let after = "SELECT src, policy FROM flow_edges WHERE dst = ? ORDER BY ord LIMIT 100";
        let after = sqlx::query_as(after).bind(&node.id.as_bytes()[..]);
        let after: Vec<(Vec<u8>, String)> = after.fetch_all(&mut *conn).await?;
        node.after =
            after.iter().map(|(src, policy)| Ok((job_id(src)?, edge(policy)?))).collect::<Sql<_>>()?;
    }
    Ok(FlowPage { flows, nodes, total })
}

async fn inputs(
    conn: &mut SqliteConnection,
    root: JobId,
    node: JobId,
    from: usize,
    limit: usize,
) -> Sql<FlowPage> {
    let flows = one(conn, root).await?;
    let total = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM flow_edges WHERE dst = ?");
    let total = total.bind(&node.as_bytes()[..]).fetch_one(&mut *conn).await? as usize;
    let find = format!(
        "SELECT {NODE}, n.result, e.policy, 0 AS inputs FROM flow_edges AS e JOIN flow_nodes AS n ON n.id = e.src \
         WHERE e.dst = ? AND e.ord >= ? ORDER BY e.ord LIMIT ?"
    );
    let rows = sqlx::query(AssertSqlSafe(find)).bind(&node.as_bytes()[..]).bind(from as i64);
    let rows = rows.bind(limit.clamp(1, 1_000) as i64).fetch_all(conn).await?;
    let (mut nodes, mut size) = (Vec::new(), 0);
    for row in &rows {
        let node = self::node(row)?;
        size += node.result.as_ref().map_or(0, |r| r.get().len());
        if size > MUCH && !nodes.is_empty() {
            break; // the rest with the next page
        }
        nodes.push(node);
    }
    Ok(FlowPage { flows, nodes, total })
}

fn edge(policy: &str) -> Sql<Edge> {
    let edge = policy.bytes().next().and_then(Edge::of_letter);
    edge.ok_or_else(|| broken("the policy of an edge is not known"))
}

fn head(row: &SqliteRow) -> Sql<FlowHead> {
    Ok(FlowHead {
        id: job_id(row.try_get("id")?)?,
        name: row.try_get("name")?,
        state: match row.try_get("state")? {
            RUNNING => FlowState::Running,
            SUCCEEDED => FlowState::Succeeded,
            FAILED => FlowState::Failed,
            CANCELLED => FlowState::Cancelled,
            other => return Err(broken(format!("the state {other} of a flow is not known"))),
        },
        created_ms: row.try_get("created_ms")?,
        finished_ms: row.try_get("finished_ms")?,
        nodes: row.try_get::<i64, _>("nodes")? as u64,
        left: row.try_get::<i64, _>("left_over")? as u64,
        failed: row.try_get::<i64, _>("failed")? as u64,
    })
}

fn node(row: &SqliteRow) -> Sql<FlowNode> {
    let outcome: Option<i64> = row.try_get("outcome")?;
    let live: Option<i64> = row.try_get("state")?;
    let policy: Option<String> = row.try_get("policy")?;
    let result: Option<String> = row.try_get("result")?;
    Ok(FlowNode {
        id: job_id(row.try_get("id")?)?,
        label: row.try_get("label")?,
        name: row.try_get("name")?,
        queue: row.try_get("queue")?,
        state: match outcome {
            Some(8) => Some(State::Cancelled),
            other => other.or(live).map(state).transpose()?,
        },
        finished_ms: row.try_get("ended_ms")?,
        reason: row.try_get("reason")?,
        result: result.and_then(|json| RawValue::from_string(json).ok()),
        given: row.try_get::<i64, _>("kind")? == 2,
        edge: policy.as_deref().map(edge).transpose()?,
        inputs: row.try_get::<i64, _>("inputs")? as usize,
        after: Vec::new(),
    })
}
