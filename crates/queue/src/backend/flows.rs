//! Flows, as the verbs take and answer them.

use crate::{Error, JobId, State};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fmt;
use std::str::FromStr;

/// What the end of a job means for one that depends on it.
///
/// ```
/// use legwork::backend::Edge;
/// assert_eq!("cancel_rest".parse::<Edge>().unwrap(), Edge::CancelRest);
/// assert_eq!(Edge::default(), Edge::Fail);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edge {
    /// If it fails, the dependant is discarded with the reason `dependency`, and so on down.
    #[default]
    Fail,
    /// Its failure counts as done: the dependant runs without that result.
    Ignore,
    /// If it fails, the dependant runs at once, without waiting for the rest.
    Continue,
    /// If it fails, the dependant is discarded and the whole flow is cancelled.
    CancelRest,
    /// The dependant runs only if it fails, at the first failure; where nothing fails it is
    /// cancelled with the reason `not needed`.
    Rescue,
}

impl Edge {
    /// Every policy.
    ///
    /// ```
    /// assert_eq!(legwork::backend::Edge::ALL.len(), 5);
    /// ```
    pub const ALL: [Edge; 5] = [Edge::Fail, Edge::Ignore, Edge::Continue, Edge::CancelRest, Edge::Rescue];

    /// Its word.
    ///
    /// ```
    /// assert_eq!(legwork::backend::Edge::Rescue.as_str(), "rescue");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Edge::Fail => "fail",
            Edge::Ignore => "ignore",
            Edge::Continue => "continue",
            Edge::CancelRest => "cancel_rest",
            Edge::Rescue => "rescue",
        }
    }

    /// The letter under which it is stored.
    pub(crate) fn letter(self) -> char {
        match self {
            Edge::CancelRest => 'x',
            other => other.as_str().as_bytes()[0] as char,
        }
    }

    pub(crate) fn of_letter(letter: u8) -> Option<Edge> {
        Edge::ALL.into_iter().find(|edge| edge.letter() as u32 == u32::from(letter))
    }
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Edge {
    type Err = Error;

    fn from_str(text: &str) -> Result<Edge, Error> {
        Edge::ALL.into_iter().find(|edge| edge.as_str() == text).ok_or_else(|| {
            let shown: String = text.chars().take(30).collect();
            Error::invalid(format!(
                "edge: {shown:?} is not known; use fail, ignore, continue, cancel_rest or rescue"
            ))
        })
    }
}

/// One step by which a flow is taken in; its nodes are the jobs of the batch. Steps are numbered
/// by the batch's `seq` from 1, and a step repeated does nothing. Until the step that commits,
/// nobody sees the flow and nothing of it runs; a draft that is not committed within an hour is
/// forgotten. `Changed` is answered for a draft that is gone.
///
/// ```
/// # use legwork::{*, backend::*};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// let root = JobId::new();
/// let envelope = Envelope { flow: Some(root), ..Envelope::new("a.job", "{}")? };
/// let id = envelope.id;
/// let job = NewJob { record: envelope.encode(), envelope, due: Due::Now, chosen: false };
/// let step = FlowStep {
///     root, name: "one".into(), keep_ms: 3_600_000, commit: true,
///     nodes: vec![NewNode { label: String::new(), entry: true }], given: vec![], edges: vec![],
/// };
/// let batch = EnqueueBatch { lane: String::new(), seq: 1, jobs: vec![job], guard: Guard::None, flow: Some(step) };
/// jobs.backend().enqueue(&batch).await?;
/// assert_eq!(jobs.job(id).await?.unwrap().state, State::Available);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct FlowStep {
    /// The flow's id.
    pub root: JobId,
    /// What people call it; may be empty.
    pub name: String,
    /// How long it is kept once it has ended, in milliseconds; at least a quarter of an hour,
    /// and a week where it failed.
    pub keep_ms: i64,
    /// What there is to say of each job of the batch, in order.
    pub nodes: Vec<NewNode>,
    /// Nodes of another flow whose outcomes are handed over to nodes of this one.
    pub given: Vec<Given>,
    /// Edges between nodes of this step or an earlier one; those to one node together.
    pub edges: Vec<NewEdge>,
    /// Whether the flow is whole, and begins.
    pub commit: bool,
}

/// A node of a flow that is taken in; see [`FlowStep`].
#[derive(Debug, Clone)]
pub struct NewNode {
    /// What people call it; may be empty.
    pub label: String,
    /// Whether it waits for nothing but the commit.
    pub entry: bool,
}

/// An edge of a flow that is taken in; see [`FlowStep`].
#[derive(Debug, Clone, Copy)]
pub struct NewEdge {
    /// What is waited for.
    pub from: JobId,
    /// What waits.
    pub to: JobId,
    /// What the end of the one means for the other.
    pub edge: Edge,
}

/// An outcome that comes from another flow; see [`FlowStep`].
#[derive(Debug, Clone)]
pub struct Given {
    /// The node, as it stands in the other flow, under an id of its own.
    pub node: FlowNode,
}

/// What is asked of the flows; see [`Backend::flow`](super::Backend::flow).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowAsk {
    /// The newest flows, at most this many.
    List(usize),
    /// A flow and a slice of its nodes, in the order in which they were added.
    Nodes {
        /// The flow.
        root: JobId,
        /// The first node, 0 for the very first.
        from: usize,
        /// How many at most.
        limit: usize,
    },
    /// A slice of what a node depends on, in the order declared, with the results. Pages of
    /// large results may be shorter than asked for.
    Inputs {
        /// The flow.
        root: JobId,
        /// The node.
        node: JobId,
        /// The first, 0 for the very first.
        from: usize,
        /// How many at most.
        limit: usize,
    },
}

/// The answer to [`Backend::flow`](super::Backend::flow).
#[derive(Debug, Clone, Default)]
pub struct FlowPage {
    /// The flows; of a question about one, that flow, or none where it is not known.
    pub flows: Vec<FlowHead>,
    /// The nodes of the slice.
    pub nodes: Vec<FlowNode>,
    /// How many nodes or inputs there are in all.
    pub total: usize,
}

/// Where a flow stands.
///
/// ```
/// use legwork::backend::FlowState;
/// assert!(FlowState::Failed.is_final());
/// assert_eq!("running".parse::<FlowState>().unwrap(), FlowState::Running);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FlowState {
    /// Nodes are left.
    Running,
    /// It has ended, and every failure in it was taken up by an edge.
    Succeeded,
    /// It has ended, and a failure was taken up by no edge.
    Failed,
    /// It was called off; it has ended once no node is left.
    Cancelled,
}

impl FlowState {
    /// Its word.
    ///
    /// ```
    /// assert_eq!(legwork::backend::FlowState::Running.as_str(), "running");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            FlowState::Running => "running",
            FlowState::Succeeded => "succeeded",
            FlowState::Failed => "failed",
            FlowState::Cancelled => "cancelled",
        }
    }

    /// Whether nothing new begins in it any more.
    ///
    /// ```
    /// assert!(!legwork::backend::FlowState::Running.is_final());
    /// ```
    pub fn is_final(self) -> bool {
        self != FlowState::Running
    }
}

impl fmt::Display for FlowState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for FlowState {
    type Err = Error;

    fn from_str(text: &str) -> Result<FlowState, Error> {
        let all = [FlowState::Running, FlowState::Succeeded, FlowState::Failed, FlowState::Cancelled];
        all.into_iter().find(|state| state.as_str() == text).ok_or_else(|| {
            let shown: String = text.chars().take(30).collect();
            Error::invalid(format!(
                "state of a flow: {shown:?} is not running, succeeded, failed or cancelled"
            ))
        })
    }
}

/// A flow in a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FlowHead {
    /// Its id.
    pub id: JobId,
    /// What people call it; may be empty.
    pub name: String,
    /// Where it stands.
    pub state: FlowState,
    /// When it was started, milliseconds since the epoch.
    pub created_ms: i64,
    /// When its last node ended.
    pub finished_ms: Option<i64>,
    /// How many nodes it has.
    pub nodes: u64,
    /// How many of them have not ended.
    pub left: u64,
    /// How many were discarded or cancelled, but for those that were not needed.
    pub failed: u64,
}

/// A node of a flow, or one that another depends on.
#[derive(Debug, Clone, Serialize)]
pub struct FlowNode {
    /// The job's id.
    pub id: JobId,
    /// What people call it; may be empty.
    pub label: String,
    /// The job's name.
    pub name: String,
    /// Its queue.
    pub queue: String,
    /// Where it stands; none where its record is lost.
    pub state: Option<State>,
    /// When it ended, milliseconds since the epoch.
    pub finished_ms: Option<i64>,
    /// Why it was discarded or cancelled.
    pub reason: Option<String>,
    /// What it returned; of inputs only.
    pub result: Option<Box<RawValue>>,
    /// Whether it comes from another flow.
    pub given: bool,
    /// Of inputs only: what its end means for the node that asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edge: Option<Edge>,
    /// How many nodes it depends on.
    pub inputs: usize,
    /// The first 100 of them.
    pub after: Vec<(JobId, Edge)>,
}
