//! Orders to workers: what each is to become. Not a list of commands but the state that is
//! wanted, so that an order may be given twice, the last one holds, and one that has been
//! followed can be told from one that has not.

use super::{WorkerState, WorkerView};
use serde::{Deserialize, Serialize};

/// What a worker is to become; see [`crate::Client::order`].
///
/// ```
/// use legwork::backend::Order;
/// let order = Order::Resize { group: "mail".into(), permits: 8 };
/// assert_eq!(serde_json::to_string(&Order::Quiet).unwrap(), r#""quiet""#);
/// # let _ = order;
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Take no more jobs and finish what is held.
    Quiet,
    /// Take jobs again.
    Resume,
    /// Take no more, drain, and end.
    Stop,
    /// Give a group this many permits.
    Resize {
        /// The group.
        group: String,
        /// How many, 1 to 10,000.
        permits: usize,
    },
}

impl Order {
    /// Under what name it is kept, and its value there.
    pub(crate) fn entry(&self, worker: &str) -> (String, String) {
        match self {
            Order::Quiet => (worker.into(), "quiet".into()),
            Order::Resume => (worker.into(), "running".into()),
            Order::Stop => (worker.into(), "stopping".into()),
            Order::Resize { group, permits } => (format!("{worker} {group}"), permits.to_string()),
        }
    }

    /// The order that is kept so; none where no worker could follow it.
    pub(crate) fn of(name: &str, value: &str) -> Option<Order> {
        match (name.split_once(' '), value) {
            (None, "quiet") => Some(Order::Quiet),
            (None, "running") => Some(Order::Resume),
            (None, "stopping") => Some(Order::Stop),
            (None, _) => None,
            (Some((_, group)), permits) => {
                Some(Order::Resize { group: group.into(), permits: permits.parse().ok()? })
            }
        }
    }

    /// Whether a worker that looks so has followed it.
    ///
    /// ```
    /// use legwork::backend::{Order, WorkerState, WorkerView};
    /// let quiet = WorkerView { state: WorkerState::Quiet, ..WorkerView::default() };
    /// assert!(Order::Quiet.is_followed(&quiet) && !Order::Stop.is_followed(&quiet));
    /// ```
    pub fn is_followed(&self, worker: &WorkerView) -> bool {
        match self {
            Order::Quiet => worker.state == WorkerState::Quiet,
            Order::Resume => worker.state == WorkerState::Running,
            Order::Stop => worker.state == WorkerState::Stopping,
            Order::Resize { group, permits } => {
                worker.groups.iter().any(|g| g.name == *group && g.permits == *permits)
            }
        }
    }
}

impl WorkerView {
    /// The names under which orders to it are kept, each with the value that it has come to.
    pub(crate) fn orders(&self) -> Vec<(String, String)> {
        let sizes = self.groups.iter().map(|g| (format!("{} {}", self.id, g.name), g.permits.to_string()));
        std::iter::once((self.id.clone(), self.state.as_str().into())).chain(sizes).collect()
    }
}
