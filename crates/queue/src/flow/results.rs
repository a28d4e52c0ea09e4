//! What a node is handed by those that it waited for.

use crate::backend::{FlowAsk, FlowNode};
use crate::client::patiently;
use crate::{Client, Context, Error, Job, JobId, Result, State};
use serde::de::DeserializeOwned;
use std::collections::VecDeque;
use std::marker::PhantomData;

/// Inputs of one page.
const PAGE: usize = 200;

/// What a node was handed, in the order declared, read page by page: ten thousand results need
/// not fit into memory at once.
///
/// ```
/// # use legwork::*; use serde::{Serialize, Deserialize};
/// # #[derive(Serialize, Deserialize)] struct Fetch;
/// # impl Job for Fetch { const NAME: &'static str = "fetch"; type Output = u32; }
/// # #[derive(Serialize, Deserialize)] struct Sum;
/// # impl Job for Sum { const NAME: &'static str = "sum"; type Output = u32; }
/// async fn sum(_: Sum, cx: Context) -> Result<u32, Failure> {
///     let (mut all, mut sum) = (cx.results::<Fetch>(), 0);
///     while let Some(one) = all.next().await? {
///         sum += one;
///     }
///     Ok(sum)
/// }
/// # let _ = sum;
/// ```
pub struct Results<T> {
    client: Client,
    flow: Option<JobId>,
    node: JobId,
    name: &'static str,
    next: usize,
    total: Option<usize>,
    page: VecDeque<FlowNode>,
    output: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Results<T> {
    /// The next of them; `None` after the last.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = bool; }
    /// async fn ping(_: Ping, cx: Context) -> Result<bool, Failure> {
    ///     Ok(cx.results::<Ping>().next().await?.is_none()) // in no flow, nothing is handed over
    /// }
    /// # let _ = ping;
    /// ```
    ///
    /// # Errors
    /// A result is not of the type, or the backend cannot be reached.
    pub async fn next(&mut self) -> Result<Option<T>> {
        while let Some(node) = self.input().await? {
            if node.name == self.name && node.state == Some(State::Succeeded) {
                return self.decode(node).map(Some);
            }
        }
        Ok(None)
    }

    /// All that are left.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = u32; }
    /// async fn ping(_: Ping, cx: Context) -> Result<u32, Failure> {
    ///     Ok(cx.results::<Ping>().all().await?.len() as u32)
    /// }
    /// # let _ = ping;
    /// ```
    ///
    /// # Errors
    /// As [`Results::next`].
    pub async fn all(mut self) -> Result<Vec<T>> {
        let mut all = Vec::new();
        while let Some(one) = self.next().await? {
            all.push(one);
        }
        Ok(all)
    }
}

impl<T> Results<T> {
    async fn input(&mut self) -> Result<Option<FlowNode>> {
        let Some(root) = self.flow else { return Ok(None) };
        if self.page.is_empty() && self.total.is_none_or(|total| self.next < total) {
            let ask = FlowAsk::Inputs { root, node: self.node, from: self.next, limit: PAGE };
            let backend = self.client.backend();
            let page = patiently(self.client.options().patience, || backend.flow(&ask)).await?;
            self.next += page.nodes.len();
            // A page that is empty before the end would come again for ever.
            self.total = Some(if page.nodes.is_empty() { self.next } else { page.total });
            self.page = page.nodes.into();
        }
        Ok(self.page.pop_front())
    }
}

impl<T: DeserializeOwned> Results<T> {
    fn decode(&self, mut node: FlowNode) -> Result<T> {
        let opened = self.client.chain().open_node(&mut node);
        opened.map_err(|e| Error::corrupt(format!("result of {}: {e}", node.name)))?;
        let text = node.result.as_ref().map_or("null", |result| result.get());
        serde_json::from_str(text)
            .map_err(|e| Error::corrupt(format!("result of {}: not of the expected type: {e}", node.name)))
    }
}

impl<S> Context<S> {
    fn inputs<T>(&self, name: &'static str) -> Results<T> {
        let (client, flow, node) = (self.client().clone(), self.flow(), self.id());
        Results { client, flow, node, name, next: 0, total: None, page: VecDeque::new(), output: PhantomData }
    }

    /// What the jobs `J` that this node waited for have returned; those that failed are left out.
    /// Nothing where the job is in no flow.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Fetch;
    /// # impl Job for Fetch { const NAME: &'static str = "fetch"; type Output = u32; }
    /// # #[derive(Serialize, Deserialize)] struct Sum;
    /// # impl Job for Sum { const NAME: &'static str = "sum"; type Output = u32; }
    /// async fn sum(_: Sum, cx: Context) -> Result<u32, Failure> {
    ///     Ok(cx.results::<Fetch>().all().await?.iter().sum())
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let mut flow = Flow::group([Fetch, Fetch]);
    /// let last = flow.after(&flow.ends(), Sum);
    /// jobs.start(flow).await?;
    /// # let worker = Worker::new(jobs.clone(), ()).handle(sum).handle(|_: Fetch, _| async { Ok(21u32) }).start().await?;
    /// assert_eq!(jobs.wait::<Sum>(last.id()).await?, 42);
    /// # worker.stop().await; Ok(()) }
    /// ```
    pub fn results<J: Job>(&self) -> Results<J::Output> {
        self.inputs(J::NAME)
    }

    /// What the one with this label has returned; `None` where it failed.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Fetch;
    /// # impl Job for Fetch { const NAME: &'static str = "fetch"; type Output = u32; }
    /// # #[derive(Serialize, Deserialize)] struct Sum;
    /// # impl Job for Sum { const NAME: &'static str = "sum"; type Output = u32; }
    /// async fn sum(_: Sum, cx: Context) -> Result<u32, Failure> {
    ///     Ok(cx.result_of::<Fetch>("runs").await?.unwrap_or(0))
    /// }
    /// # let _ = (sum, Step::new(Fetch).label("runs"));
    /// ```
    ///
    /// # Errors
    /// Not found where this node waited for none with this label; corrupt where it is of another
    /// type; unavailable when the backend does not answer.
    pub async fn result_of<J: Job>(&self, label: &str) -> Result<Option<J::Output>> {
        let mut all = self.inputs::<J::Output>(J::NAME);
        while let Some(node) = all.input().await? {
            if node.label == label {
                return (node.state == Some(State::Succeeded)).then(|| all.decode(node)).transpose();
            }
        }
        let line = format!("result: this job waited for none with the label {label:?}");
        Err(Error::new(crate::error::Kind::NotFound, line))
    }

    /// Those that this node waited for, or was called by, which failed: each with its name, label
    /// and reason.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Alarm;
    /// # impl Job for Alarm { const NAME: &'static str = "alarm"; type Output = Vec<String>; }
    /// async fn alarm(_: Alarm, cx: Context) -> Result<Vec<String>, Failure> {
    ///     Ok(cx.failures().await?.into_iter().filter_map(|node| node.reason).collect())
    /// }
    /// # let _ = alarm;
    /// ```
    ///
    /// # Errors
    /// When the backend cannot be reached.
    pub async fn failures(&self) -> Result<Vec<FlowNode>> {
        let (mut all, mut failed) = (self.inputs::<()>(""), Vec::new());
        while let Some(node) = all.input().await? {
            let unneeded = node.reason.as_deref() == Some("not needed");
            if matches!(node.state, Some(State::Discarded | State::Cancelled)) && !unneeded {
                failed.push(node);
            }
        }
        Ok(failed)
    }
}
