//! Bringing a flow in: in one call where it is small, else as a draft in steps, and one commit.

use super::{Flow, check};
use crate::backend::{EnqueueBatch, FlowStep, Given, Guard, NewEdge, NewJob, NewNode, Taken};
use crate::client::patiently;
use crate::{Client, Error, JobId, Result};
use std::collections::HashSet;

/// Nodes and edges of one step; a flow of one step may have twice as many edges.
const STEP: usize = 500;

/// A flow that has begun.
///
/// ```
/// # use legwork::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// let started = jobs.start(Flow::job(Step::raw("a.job", "{}"))).await?;
/// assert_eq!(jobs.flow(started.id).await?.unwrap().nodes[0].id, started.nodes[0]);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// The flow's id.
    pub id: JobId,
    /// The ids of its jobs, in the order in which they were added.
    pub nodes: Vec<JobId>,
}

impl Client {
    /// Starts a flow, all or nothing: up to 500 jobs in one atomic step, larger ones staged in
    /// steps that nobody sees and made real by one commit.
    ///
    /// ```
    /// # use legwork::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let flow = Flow::group((0..3).map(|n| Step::raw("fetch", &n.to_string()))).then(Step::raw("sum", "{}"));
    /// let started = jobs.start(flow).await?;
    /// assert_eq!(jobs.flow(started.id).await?.unwrap().head.left, 4);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Invalid for what is no flow (no job, a circle, a node of another flow, two jobs of one
    /// label, more than 100,000 jobs or 500,000 edges) or for a job that an enqueue would
    /// refuse; unavailable when the backend does not answer: then nothing of it will run.
    pub async fn start(&self, flow: Flow) -> Result<Started> {
        self.around(self.start_as(JobId::new(), flow, Vec::new(), Guard::None)).await?.ok_or_else(|| {
            Error::new(crate::error::Kind::Conflict, "flow: its draft was forgotten before it was committed")
        })
    }

    /// As [`Client::start`], under an id given, with outcomes of another flow, and under a guard;
    /// none where the guard did not hold.
    pub(crate) async fn start_as(
        &self,
        root: JobId,
        flow: Flow,
        given: Vec<Given>,
        guard: Guard,
    ) -> Result<Option<Started>> {
        let given_ids: HashSet<JobId> = given.iter().map(|g| g.node.id).collect();
        let (inner, outer): (Vec<_>, Vec<_>) =
            flow.edges.iter().copied().partition(|(from, ..)| !given_ids.contains(from));
        let flow = Flow { edges: inner, ..flow };
        check::check(&flow)?;
        // The flow lives where the first job that is bound to a shard must; the rest agree, or are refused.
        let bound = flow.steps.iter().filter_map(|step| step.envelope.as_ref().ok());
        let root =
            bound.filter_map(|e| self.backend().place(e)).next().map_or(root, |shard| root.moved(shard));
        let waits: HashSet<JobId> = flow.edges.iter().map(|(_, to, _)| *to).collect();
        let (name, keep_ms) = (flow.name, flow.keep.as_ms());
        let mut edges: Vec<NewEdge> =
            outer.into_iter().chain(flow.edges).map(|(from, to, edge)| NewEdge { from, to, edge }).collect();
        // Stable: what one node waits for stays in the order declared.
        edges.sort_by_key(|edge| edge.to);
        let nodes = flow.steps.iter().map(|step| step.id).collect();
        let mut jobs = Vec::with_capacity(flow.steps.len());
        for step in flow.steps {
            let node = NewNode { label: step.label, entry: !waits.contains(&step.id) };
            let mut envelope = step.envelope?;
            envelope.flow = Some(root);
            jobs.push((self.new_job(envelope, step.due, false)?, node));
        }
        let empty = |commit| FlowStep {
            root,
            name: name.clone(),
            keep_ms,
            nodes: Vec::new(),
            given: Vec::new(),
            edges: Vec::new(),
            commit,
        };
        let mut steps = Vec::new();
        if jobs.len() + given.len() <= STEP && edges.len() <= 2 * STEP {
            steps.push(fill(empty(true), jobs, given, edges));
        } else {
            // Outcomes that are given come before the edges that lead from them.
            for some in chunks(given) {
                steps.push(fill(empty(false), Vec::new(), some, Vec::new()));
            }
            steps.extend(chunks(jobs).map(|some| fill(empty(false), some, Vec::new(), Vec::new())));
            steps.extend(chunks(edges).map(|some| fill(empty(false), Vec::new(), Vec::new(), some)));
            steps.push((empty(true), Vec::new()));
        }
        for (n, (step, jobs)) in steps.into_iter().enumerate() {
            let (lane, seq) = (root.to_string(), n as u64 + 1);
            let batch = EnqueueBatch { lane, seq, jobs, guard: guard.clone(), flow: Some(step) };
            let patience = self.options().patience;
            let taken = self.around(patiently(patience, || self.backend().enqueue(&batch))).await?;
            if taken == Taken::Changed {
                return Ok(None);
            }
        }
        Ok(Some(Started { id: root, nodes }))
    }
}

fn fill(
    mut step: FlowStep,
    jobs: Vec<(NewJob, NewNode)>,
    given: Vec<Given>,
    edges: Vec<NewEdge>,
) -> (FlowStep, Vec<NewJob>) {
    let (jobs, nodes) = jobs.into_iter().unzip();
    (step.nodes, step.given, step.edges) = (nodes, given, edges);
    (step, jobs)
}

fn chunks<T>(all: Vec<T>) -> impl Iterator<Item = Vec<T>> {
    let mut all = all.into_iter();
    std::iter::from_fn(move || {
        let some: Vec<T> = all.by_ref().take(STEP).collect();
        (!some.is_empty()).then_some(some)
    })
}
