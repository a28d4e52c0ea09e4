//! A flow begun again at one of its nodes.

use super::view::missing;
use super::{Flow, FlowView, Node, Started, Step};
use crate::backend::{Due, Edge, FlowAsk, FlowNode, Given, Guard};
use crate::{Client, Error, JobId, Keep, Result, State};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

impl Client {
    /// Starts a new flow made of a node and all that stand behind it, under ids of their own;
    /// what those outside it have returned is handed over as it was. The old flow stays as it is.
    ///
    /// ```
    /// # use legwork::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let flow = Flow::job(Step::raw("fetch", "{}")).then(Step::raw("sum", "{}"));
    /// let old = jobs.start(flow).await?;
    /// jobs.discard(old.nodes[0]).await?;
    /// let new = jobs.replay(old.id, old.nodes[0]).await?;
    /// assert_eq!(new.nodes.len(), 2);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Not found when there is no such flow or node, or the record of one of the jobs is no longer
    /// kept; conflict when the flow has not ended, or the node waits for one that failed (replay
    /// that one).
    pub async fn replay(&self, flow: JobId, node: JobId) -> Result<Started> {
        let conflict = |line: String| Error::new(crate::error::Kind::Conflict, line);
        let view = self.flow(flow).await?.ok_or_else(|| missing(flow))?;
        if view.head.finished_ms.is_none() {
            return Err(conflict(format!("replay: flow {flow} has not ended; cancel it first")));
        }
        let edges = self.edges(&view).await?;
        let again = behind(node, &view, &edges)?;
        let old: HashMap<JobId, &FlowNode> = view.nodes.iter().map(|n| (n.id, n)).collect();
        let (mut new, mut ids) = (Flow::new().name(view.head.name.clone()), HashMap::new());
        new.keep = Keep::For(Duration::from_secs(3_600));
        for node in view.nodes.iter().filter(|n| again.contains(&n.id)) {
            ids.insert(node.id, new.add(self.step(node).await?));
        }
        let (mut copies, mut askers) = (HashMap::new(), HashSet::new());
        for (from, to, edge) in edges.into_iter().filter(|(_, to, _)| again.contains(to)) {
            if let Some(from) = ids.get(&from) {
                new.link(*from, ids[&to], edge);
                continue;
            }
            let Some(outer) = old.get(&from) else { continue };
            let failed = outer.state != Some(State::Succeeded);
            if failed && matches!(edge, Edge::Fail | Edge::CancelRest) {
                return Err(conflict(format!("replay: it waits for {from}, which failed; replay that one")));
            }
            askers.insert(to);
            let copy = copies.entry(from).or_insert_with(JobId::new);
            new.link(Node(*copy), ids[&to], edge);
        }
        let given = self.given(flow, copies, askers).await?;
        let started = self.start_as(JobId::new(), new, given, Guard::None).await?;
        started.ok_or_else(|| conflict("flow: its draft was forgotten before it was committed".into()))
    }

    /// All edges of a flow.
    async fn edges(&self, view: &FlowView) -> Result<Vec<(JobId, JobId, Edge)>> {
        let mut edges = Vec::new();
        for node in &view.nodes {
            edges.extend(node.after.iter().map(|(from, edge)| (*from, node.id, *edge)));
            let mut from = node.after.len();
            while from < node.inputs {
                let ask = FlowAsk::Inputs { root: view.head.id, node: node.id, from, limit: 500 };
                let page = self.backend().flow(&ask).await?;
                if page.nodes.is_empty() {
                    break;
                }
                from += page.nodes.len();
                let edge = |n: FlowNode| (n.id, node.id, n.edge.unwrap_or_default());
                edges.extend(page.nodes.into_iter().map(edge));
            }
        }
        Ok(edges)
    }

    /// A node's job, as a step of another flow.
    async fn step(&self, node: &FlowNode) -> Result<Step> {
        let gone = || {
            let line = format!("replay: the record of job {} ({}) is no longer kept", node.id, node.name);
            Error::new(crate::error::Kind::NotFound, line)
        };
        let job = self.job(node.id).await?.ok_or_else(gone)?;
        let mut envelope = job.envelope.envelope().cloned().ok_or_else(gone)?;
        (envelope.id, envelope.flow, envelope.created_ms) = (JobId::new(), None, None);
        Ok(Step { id: envelope.id, label: node.label.clone(), envelope: Ok(envelope), due: Due::Now })
    }

    /// The outcomes of nodes outside, with what they have returned, under ids of their own.
    async fn given(
        &self,
        flow: JobId,
        copies: HashMap<JobId, JobId>,
        askers: HashSet<JobId>,
    ) -> Result<Vec<Given>> {
        let mut all = HashMap::new();
        for node in askers {
            let (mut from, mut total) = (0, 1);
            while from < total {
                let page =
                    self.backend().flow(&FlowAsk::Inputs { root: flow, node, from, limit: 500 }).await?;
                (from, total) = (from + page.nodes.len().max(1), page.total);
                for node in page.nodes {
                    if let Some(copy) = copies.get(&node.id) {
                        all.insert(*copy, Given { node: FlowNode { id: *copy, ..node } });
                    }
                }
            }
        }
        Ok(all.into_values().collect())
    }
}

/// A node and all that stand behind it.
fn behind(node: JobId, view: &FlowView, edges: &[(JobId, JobId, Edge)]) -> Result<HashSet<JobId>> {
    if !view.nodes.iter().any(|n| n.id == node && !n.given) {
        let line = format!("replay: flow {} has no node {node}", view.head.id);
        return Err(Error::new(crate::error::Kind::NotFound, line));
    }
    let mut after: HashMap<JobId, Vec<JobId>> = HashMap::new();
    for (from, to, _) in edges {
        after.entry(*from).or_default().push(*to);
    }
    let (mut all, mut left) = (HashSet::new(), vec![node]);
    while let Some(id) = left.pop() {
        if all.insert(id) {
            left.extend(after.get(&id).into_iter().flatten());
        }
    }
    Ok(all)
}
