//! Looking at flows, and steering them.

use crate::backend::{Action, Controlled, FlowAsk, FlowHead, FlowNode};
use crate::client::patiently;
use crate::{Client, Error, JobId, Result};
use std::time::Duration;

/// Nodes of one page.
pub(super) const PAGE: usize = 500;

/// A flow as a graph, as it stands.
///
/// ```
/// # use legwork::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// let flow = Flow::job(Step::raw("fetch", "{}")).then(Step::raw("sum", "{}").label("sum"));
/// let id = jobs.start(flow).await?.id;
/// let view = jobs.flow(id).await?.unwrap();
/// let sum = view.node("sum").unwrap();
/// assert_eq!((sum.state, sum.after[0].0), (Some(State::Blocked), view.nodes[0].id));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, serde::Serialize)]
pub struct FlowView {
    /// The flow in a line.
    #[serde(flatten)]
    pub head: FlowHead,
    /// Its nodes, in the order in which they were added, each with what it waits for.
    #[serde(rename = "graph")]
    pub nodes: Vec<FlowNode>,
}

impl FlowView {
    /// The node with this label.
    ///
    /// ```
    /// # use legwork::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let id = jobs.start(Flow::job(Step::raw("a.job", "{}").label("a"))).await?.id;
    /// assert_eq!(jobs.flow(id).await?.unwrap().node("a").unwrap().name, "a.job");
    /// # Ok(()) }
    /// ```
    pub fn node(&self, label: &str) -> Option<&FlowNode> {
        self.nodes.iter().find(|node| node.label == label)
    }
}

impl Client {
    /// The newest flows, at most `limit` (1,000 at the very most).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
    /// assert!(jobs.flows(20).await?.is_empty());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the backend cannot be reached.
    pub async fn flows(&self, limit: usize) -> Result<Vec<FlowHead>> {
        Ok(self.backend().flow(&FlowAsk::List(limit)).await?.flows)
    }

    /// A flow with all its nodes, read page by page; `None` when there is none of that id, or no
    /// longer.
    ///
    /// ```
    /// # use legwork::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// assert!(jobs.flow(JobId::new()).await?.is_none());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the backend cannot be reached.
    pub async fn flow(&self, id: JobId) -> Result<Option<FlowView>> {
        let mut nodes = Vec::new();
        loop {
            let ask = FlowAsk::Nodes { root: id, from: nodes.len(), limit: PAGE };
            let mut page = self.backend().flow(&ask).await?;
            let Some(head) = page.flows.pop() else {
                return Ok(None);
            };
            let last = page.nodes.is_empty();
            nodes.append(&mut page.nodes);
            if last || nodes.len() >= page.total {
                return Ok(Some(FlowView { head, nodes }));
            }
        }
    }

    /// A flow in a line.
    pub(crate) async fn flow_head(&self, id: JobId) -> Result<Option<FlowHead>> {
        let ask = FlowAsk::Nodes { root: id, from: 0, limit: 1 };
        Ok(patiently(self.options().patience, || self.backend().flow(&ask)).await?.flows.pop())
    }

    /// Waits until no node of a flow is left, and returns how it ended. Bound it with
    /// `tokio::time::timeout`.
    ///
    /// ```
    /// # use legwork::{*, backend::FlowState};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let started = jobs.start(Flow::job(Step::raw("a.job", "{}"))).await?;
    /// jobs.cancel_flow(started.id).await?;
    /// assert_eq!(jobs.wait_flow(started.id).await?.state, FlowState::Cancelled);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Not found when there is no such flow, or no longer; unavailable when the backend does not
    /// answer.
    pub async fn wait_flow(&self, id: JobId) -> Result<FlowHead> {
        let mut wait = Duration::from_millis(2);
        loop {
            match self.flow_head(id).await? {
                None => return Err(missing(id)),
                Some(head) if head.finished_ms.is_some() => return Ok(head),
                Some(_) => {}
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 3 / 2).min(Duration::from_millis(200));
        }
    }

    /// Calls a flow off: nodes that wait are cancelled, in steps; of those that run it is
    /// requested. `Refused` when it has ended.
    ///
    /// ```
    /// # use legwork::{*, backend::Controlled};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let id = jobs.start(Flow::job(Step::raw("a.job", "{}"))).await?.id;
    /// assert_eq!(jobs.cancel_flow(id).await?, Controlled::Done(State::Cancelled));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the backend cannot be reached.
    pub async fn cancel_flow(&self, id: JobId) -> Result<Controlled> {
        self.backend().control(id, Action::Cancel).await
    }

    /// Derives again what the nodes of a flow wait for, so that one that was stuck goes on. Every
    /// worker does so by itself once a minute, where it finds a reason.
    ///
    /// ```
    /// # use legwork::{*, backend::Controlled};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let id = jobs.start(Flow::job(Step::raw("a.job", "{}"))).await?.id;
    /// assert_eq!(jobs.mend_flow(id).await?, Controlled::Requested);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the backend cannot be reached.
    pub async fn mend_flow(&self, id: JobId) -> Result<Controlled> {
        self.backend().control(id, Action::Mend).await
    }
}

pub(super) fn missing(id: JobId) -> Error {
    Error::new(crate::error::Kind::NotFound, format!("flow: there is none with the id {id}, or no longer"))
}
