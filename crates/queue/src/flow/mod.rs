//! Flows: a DAG of jobs as a value, and its life once it has been started.
//!
//! `mod` builds the value, `check` refuses what is no flow, `start` brings it in, `view` looks at
//! it and steers it, `results` hands over inside a handler, `replay` begins again at a node.

mod check;
mod replay;
mod results;
mod start;
mod view;

pub use results::Results;
pub use start::Started;
pub use view::FlowView;

use crate::backend::{Due, Edge};
use crate::client::typed;
use crate::{Envelope, Error, Job, JobId, Keep, Result};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A job of a flow with what is said of it there; any payload is one by itself.
///
/// ```
/// # use legwork::*; use serde::{Serialize, Deserialize};
/// # #[derive(Serialize, Deserialize)] struct Ping;
/// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
/// let step = Step::new(Ping).label("first").queue("mail").delay(std::time::Duration::from_secs(5));
/// let flow = Flow::job(step).then(Ping);
/// assert_eq!(flow.len(), 2);
/// ```
#[derive(Debug)]
pub struct Step {
    id: JobId,
    label: String,
    envelope: Result<Envelope>,
    due: Due,
}

/// A node of a flow: a handle by which others depend on it. It is the id of the job to be.
///
/// ```
/// # use legwork::*; use serde::{Serialize, Deserialize};
/// # #[derive(Serialize, Deserialize)] struct Ping;
/// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
/// let mut flow = Flow::new();
/// let a = flow.add(Ping);
/// let b = flow.after(&[a], Ping);
/// assert_ne!(a.id(), b.id());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Node(JobId);

impl Node {
    /// The id that the job will have.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let mut flow = Flow::new();
    /// let node = flow.add(Ping);
    /// jobs.start(flow).await?;
    /// assert_eq!(jobs.job(node.id()).await?.unwrap().state, State::Available);
    /// # Ok(()) }
    /// ```
    pub fn id(self) -> JobId {
        self.0
    }
}

/// Jobs and what waits for what: built as a value, started with [`crate::Client::start`], all or
/// nothing.
///
/// `then` puts a job behind everything that nothing stands behind yet (the ends); [`Flow::after`]
/// and [`Flow::link`] build any other shape.
///
/// ```
/// # use legwork::*; use serde::{Serialize, Deserialize};
/// # #[derive(Serialize, Deserialize)] struct Fetch { runner: u64 }
/// # impl Job for Fetch { const NAME: &'static str = "fetch"; type Output = u32; }
/// # #[derive(Serialize, Deserialize)] struct Report;
/// # impl Job for Report { const NAME: &'static str = "report"; type Output = u32; }
/// async fn report(_: Report, cx: Context) -> Result<u32, Failure> {
///     Ok(cx.results::<Fetch>().all().await?.iter().sum())
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// let mut flow = Flow::group((1..=3).map(|runner| Fetch { runner }));
/// let last = flow.after(&flow.ends(), Report);
/// jobs.start(flow).await?;
/// # let worker = Worker::new(jobs.clone(), ()).handle(report)
/// #     .handle(|f: Fetch, _: Context| async move { Ok(f.runner as u32) }).start().await?;
/// assert_eq!(jobs.wait::<Report>(last.id()).await?, 6);
/// # worker.stop().await; Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "a flow begins when it is started"]
pub struct Flow {
    name: String,
    keep: Keep,
    steps: Vec<Step>,
    edges: Vec<(JobId, JobId, Edge)>,
    ends: Vec<Node>,
}

impl<J: Job> From<J> for Step {
    fn from(job: J) -> Step {
        Step::new(job)
    }
}

impl Step {
    /// A job under its type's policy. A unique key of its type is not applied: a node always is
    /// a job of its own. A serial key is.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// let flow = Flow::job(Step::new(Ping).label("once"));
    /// # let _ = flow;
    /// ```
    pub fn new<J: Job>(job: J) -> Step {
        Step::of(typed(&job))
    }

    /// A job by name, with a payload in JSON text.
    ///
    /// ```
    /// let flow = legwork::Flow::job(legwork::Step::raw("a.job", "{}"));
    /// assert_eq!(flow.len(), 1);
    /// ```
    pub fn raw(name: &str, payload: &str) -> Step {
        Step::of(Envelope::new(name, payload))
    }

    pub(crate) fn of(envelope: Result<Envelope>) -> Step {
        let id = envelope.as_ref().map_or_else(|_| JobId::new(), |e| e.id);
        let envelope = envelope.map(|e| Envelope { unique: None, ..e });
        Step { id, label: String::new(), envelope, due: Due::Now }
    }

    pub(crate) fn edit(mut self, change: impl FnOnce(&mut Envelope)) -> Step {
        if let Ok(envelope) = &mut self.envelope {
            change(envelope);
        }
        self
    }

    /// What people call it, and [`crate::Context::result_of`] finds it by; unique in its flow, at
    /// most 100 characters.
    ///
    /// ```
    /// let step = legwork::Step::raw("a.job", "{}").label("weekly");
    /// # let _ = step;
    /// ```
    pub fn label(mut self, label: impl Into<String>) -> Step {
        self.label = label.into();
        self
    }

    /// Another queue than the policy's.
    ///
    /// ```
    /// let step = legwork::Step::raw("a.job", "{}").queue("mail");
    /// # let _ = step;
    /// ```
    pub fn queue(self, queue: impl Into<String>) -> Step {
        self.edit(|e| e.queue = queue.into())
    }

    /// Another priority than the policy's, 0 (first) to 9 (last).
    ///
    /// ```
    /// let step = legwork::Step::raw("a.job", "{}").priority(0);
    /// # let _ = step;
    /// ```
    pub fn priority(self, priority: u8) -> Step {
        self.edit(|e| e.priority = priority)
    }

    /// Due this long after its turn has come.
    ///
    /// ```
    /// let step = legwork::Step::raw("a.job", "{}").delay(std::time::Duration::from_secs(60));
    /// # let _ = step;
    /// ```
    pub fn delay(mut self, wait: Duration) -> Step {
        self.due = Due::In(crate::clock::span_ms(wait));
        self
    }

    /// Not before this instant, also when its turn has come.
    ///
    /// ```
    /// let step = legwork::Step::raw("a.job", "{}").at(std::time::SystemTime::now());
    /// # let _ = step;
    /// ```
    pub fn at(mut self, instant: SystemTime) -> Step {
        self.due = Due::At(instant.duration_since(UNIX_EPOCH).map_or(0, crate::clock::span_ms));
        self
    }

    /// At most one job with this key runs at a time.
    ///
    /// ```
    /// let step = legwork::Step::raw("a.job", "{}").serial("athlete 7");
    /// # let _ = step;
    /// ```
    pub fn serial(self, key: impl Into<String>) -> Step {
        self.edit(|e| e.serial = Some(key.into()))
    }

    /// Another number of attempts in all than the policy's, at least 1.
    ///
    /// ```
    /// let step = legwork::Step::raw("a.job", "{}").max_attempts(1);
    /// # let _ = step;
    /// ```
    pub fn max_attempts(self, attempts: u32) -> Step {
        self.edit(|e| e.max_attempts = Some(attempts))
    }

    /// Another limit on the time of one attempt than the policy's.
    ///
    /// ```
    /// let step = legwork::Step::raw("a.job", "{}").timeout(std::time::Duration::from_secs(30));
    /// # let _ = step;
    /// ```
    pub fn timeout(self, timeout: Duration) -> Step {
        self.edit(|e| e.timeout_ms = Some(timeout.as_millis() as u64))
    }

    /// Another retention than the policy's for a job that succeeded or was cancelled. What it
    /// hands over in its flow does not depend on it.
    ///
    /// ```
    /// let step = legwork::Step::raw("a.job", "{}").keep(legwork::Keep::None);
    /// # let _ = step;
    /// ```
    pub fn keep(self, keep: Keep) -> Step {
        self.edit(|e| e.keep_ms = Some(keep.as_ms()))
    }
}

impl Default for Flow {
    fn default() -> Flow {
        Flow::new()
    }
}

impl Flow {
    /// A flow without jobs yet.
    ///
    /// ```
    /// assert!(legwork::Flow::new().is_empty());
    /// ```
    pub fn new() -> Flow {
        let keep = Keep::For(Duration::from_secs(3_600));
        Flow { name: String::new(), keep, steps: Vec::new(), edges: Vec::new(), ends: Vec::new() }
    }

    /// A flow of one job.
    ///
    /// ```
    /// # use legwork::*;
    /// let flow = Flow::job(Step::raw("fetch", "{}")).then(Step::raw("sum", "{}"));
    /// assert_eq!(flow.len(), 2);
    /// ```
    pub fn job(step: impl Into<Step>) -> Flow {
        Flow::group([step])
    }

    /// Jobs that run side by side.
    ///
    /// ```
    /// # use legwork::*;
    /// let flow = Flow::group((0..10).map(|n| Step::raw("fetch", &n.to_string())));
    /// assert_eq!(flow.ends().len(), 10);
    /// ```
    pub fn group<S: Into<Step>>(steps: impl IntoIterator<Item = S>) -> Flow {
        let mut flow = Flow::new();
        for step in steps {
            flow.add(step);
        }
        flow
    }

    /// Jobs that run one after the other.
    ///
    /// ```
    /// # use legwork::*;
    /// let flow = Flow::chain((0..3).map(|n| Step::raw("step", &n.to_string())));
    /// assert_eq!(flow.ends().len(), 1);
    /// ```
    pub fn chain<S: Into<Step>>(steps: impl IntoIterator<Item = S>) -> Flow {
        steps.into_iter().fold(Flow::new(), |flow, step| flow.then(step))
    }

    /// Flows side by side, as one.
    ///
    /// ```
    /// # use legwork::*;
    /// let one = || Flow::job(Step::raw("fetch", "{}")).then(Step::raw("sum", "{}"));
    /// assert_eq!(Flow::all([one(), one()]).then(Step::raw("report", "{}")).len(), 5);
    /// ```
    pub fn all(flows: impl IntoIterator<Item = Flow>) -> Flow {
        let mut all = Flow::new();
        for flow in flows {
            all.steps.extend(flow.steps);
            all.edges.extend(flow.edges);
            all.ends.extend(flow.ends);
        }
        all
    }

    /// A name for people; at most 100 characters.
    ///
    /// ```
    /// let flow = legwork::Flow::new().name("week 47");
    /// # let _ = flow;
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Flow {
        self.name = name.into();
        self
    }

    /// How long the flow, with what its nodes returned, stays inspectable once it has ended: an
    /// hour unless said, a quarter of an hour at least, a week where it failed.
    ///
    /// ```
    /// let flow = legwork::Flow::new().keep(legwork::Keep::For(std::time::Duration::from_secs(86_400)));
    /// # let _ = flow;
    /// ```
    pub fn keep(mut self, keep: Keep) -> Flow {
        self.keep = keep;
        self
    }

    /// Adds a job that waits for nothing.
    ///
    /// ```
    /// # use legwork::*;
    /// let mut flow = Flow::new();
    /// let node = flow.add(Step::raw("fetch", "{}"));
    /// assert_eq!(flow.ends(), [node]);
    /// ```
    pub fn add(&mut self, step: impl Into<Step>) -> Node {
        let step = step.into();
        let node = Node(step.id);
        self.steps.push(step);
        self.ends.push(node);
        node
    }

    /// Adds a job that waits for these, with [`Edge::Fail`].
    ///
    /// ```
    /// # use legwork::*;
    /// let mut flow = Flow::new();
    /// let (a, b) = (flow.add(Step::raw("a", "{}")), flow.add(Step::raw("b", "{}")));
    /// let c = flow.after(&[a, b], Step::raw("c", "{}"));
    /// assert_eq!(flow.ends(), [c]);
    /// ```
    pub fn after(&mut self, before: &[Node], step: impl Into<Step>) -> Node {
        self.after_with(Edge::Fail, before, step)
    }

    /// Adds a job that waits for these, with this policy.
    ///
    /// ```
    /// # use legwork::*;
    /// let mut flow = Flow::new();
    /// let a = flow.add(Step::raw("a", "{}"));
    /// let mail = flow.after_with(Edge::Rescue, &[a], Step::raw("mail", "{}"));
    /// # let _ = mail;
    /// ```
    pub fn after_with(&mut self, edge: Edge, before: &[Node], step: impl Into<Step>) -> Node {
        let node = self.add(step);
        for from in before {
            self.edges.push((from.0, node.0, edge));
        }
        self.ends.retain(|end| !before.contains(end));
        node
    }

    /// Lets one node wait for another.
    ///
    /// ```
    /// # use legwork::*;
    /// let mut flow = Flow::new();
    /// let (a, b) = (flow.add(Step::raw("a", "{}")), flow.add(Step::raw("b", "{}")));
    /// flow.link(a, b, Edge::Ignore);
    /// assert_eq!(flow.ends(), [b]);
    /// ```
    pub fn link(&mut self, from: Node, to: Node, edge: Edge) {
        self.edges.push((from.0, to.0, edge));
        self.ends.retain(|end| *end != from);
    }

    /// A job behind all the ends, the new end: a fan-in where they are many. If one of them
    /// fails, it is discarded.
    ///
    /// ```
    /// # use legwork::*;
    /// let flow = Flow::group((0..10).map(|n| Step::raw("fetch", &n.to_string()))).then(Step::raw("sum", "{}"));
    /// assert_eq!(flow.ends().len(), 1);
    /// ```
    pub fn then(self, step: impl Into<Step>) -> Flow {
        self.then_with(Edge::Fail, step)
    }

    /// As [`Flow::then`], with another policy.
    ///
    /// ```
    /// # use legwork::*;
    /// let fetch = Flow::group((0..10).map(|n| Step::raw("fetch", &n.to_string())));
    /// let flow = fetch.then_with(Edge::Ignore, Step::raw("sum", "{}")); // runs whatever fails
    /// # let _ = flow;
    /// ```
    pub fn then_with(mut self, edge: Edge, step: impl Into<Step>) -> Flow {
        let ends = self.ends();
        self.after_with(edge, &ends, step);
        self
    }

    /// Another flow behind this one: each of its beginnings waits for each of the ends.
    ///
    /// ```
    /// # use legwork::*;
    /// let fetch = Flow::group((0..2).map(|n| Step::raw("fetch", &n.to_string())));
    /// let mail = Flow::group((0..3).map(|n| Step::raw("mail", &n.to_string())));
    /// assert_eq!(fetch.then_flow(mail).ends().len(), 3);
    /// ```
    pub fn then_flow(mut self, next: Flow) -> Flow {
        let held: std::collections::HashSet<JobId> = next.edges.iter().map(|(_, to, _)| *to).collect();
        for step in next.steps.iter().filter(|step| !held.contains(&step.id)) {
            self.edges.extend(self.ends.iter().map(|end| (end.0, step.id, Edge::Fail)));
        }
        self.steps.extend(next.steps);
        self.edges.extend(next.edges);
        self.ends = next.ends;
        self
    }

    /// A callback: runs once all the ends have ended, however. The ends stay the ends.
    ///
    /// ```
    /// # use legwork::*;
    /// let batch = Flow::group((0..9).map(|n| Step::raw("mail", &n.to_string())));
    /// let flow = batch.on_complete(Step::raw("count", "{}")).on_failure(Step::raw("alarm", "{}"));
    /// assert_eq!(flow.len(), 11);
    /// ```
    pub fn on_complete(self, step: impl Into<Step>) -> Flow {
        self.callback(Edge::Ignore, step)
    }

    /// A callback: runs once all the ends have succeeded; discarded when one fails.
    ///
    /// ```
    /// # use legwork::*;
    /// let flow = Flow::job(Step::raw("mail", "{}")).on_success(Step::raw("count", "{}"));
    /// # let _ = flow;
    /// ```
    pub fn on_success(self, step: impl Into<Step>) -> Flow {
        self.callback(Edge::Fail, step)
    }

    /// A callback: runs at the first failure of one of the ends; cancelled with the reason
    /// `not needed` when none fails.
    ///
    /// ```
    /// # use legwork::*;
    /// let flow = Flow::job(Step::raw("mail", "{}")).on_failure(Step::raw("alarm", "{}"));
    /// # let _ = flow;
    /// ```
    pub fn on_failure(self, step: impl Into<Step>) -> Flow {
        self.callback(Edge::Rescue, step)
    }

    fn callback(mut self, edge: Edge, step: impl Into<Step>) -> Flow {
        let ends = self.ends();
        self.after_with(edge, &ends, step);
        self.ends = ends;
        self
    }

    /// The nodes that nothing stands behind.
    ///
    /// ```
    /// assert!(legwork::Flow::new().ends().is_empty());
    /// ```
    pub fn ends(&self) -> Vec<Node> {
        self.ends.clone()
    }

    /// How many jobs it has.
    ///
    /// ```
    /// assert_eq!(legwork::Flow::new().len(), 0);
    /// ```
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether it has no job.
    ///
    /// ```
    /// assert!(legwork::Flow::new().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

/// A name or label within its bounds.
fn check_words(what: &str, words: &str) -> Result<()> {
    if words.chars().count() > 100 || words.chars().any(char::is_control) {
        let shown: String = words.chars().take(30).collect();
        let allowed = "at most 100 characters, none of them a control character";
        return Err(Error::invalid(format!("{what}: {shown:?}… is not allowed; {allowed}")));
    }
    Ok(())
}
