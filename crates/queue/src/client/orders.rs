//! Steering workers from afar.

use super::Client;
use crate::backend::{Order, Setting, WorkerState};
use crate::{Error, Result};

impl Client {
    /// Tells a worker to take no more, to go on, to stop, or to resize a group. The order is
    /// kept until the worker has followed it (within two seconds or so, while it can reach
    /// the backend), and then shows in [`Client::workers`]; a later order of its kind takes
    /// its place, and it goes with the worker.
    ///
    /// ```
    /// # use legwork::{*, backend::Order}; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # async fn ping(_: Ping, _: Context<()>) -> Result<(), Failure> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let worker = Worker::new(jobs.clone(), ()).handle(ping).start().await?;
    /// jobs.order(worker.id(), &Order::Resize { group: "default".into(), permits: 8 }).await?;
    /// while jobs.workers().await?[0].groups[0].permits != 8 {
    ///     tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    /// }
    /// # worker.stop().await; Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Not found when no such worker is known, invalid when it has no such group or for a
    /// number that is not allowed, a conflict when it stops already, and when the backend
    /// cannot be reached.
    pub async fn order(&self, worker: &str, order: &Order) -> Result<()> {
        let all = self.inner.backend.workers().await?;
        let Some(known) = all.iter().find(|w| w.id == worker) else {
            let line = format!("worker: there is none with the id {worker:?}");
            return Err(Error::new(crate::error::Kind::NotFound, line));
        };
        if let Order::Resize { group, permits } = order {
            crate::worker::check_permits(group, *permits)?;
            if !known.groups.iter().any(|g| g.name == *group) {
                let names: Vec<_> = known.groups.iter().map(|g| g.name.as_str()).collect();
                let line =
                    format!("group: worker {worker} has none named {group:?}; it has {}", names.join(", "));
                return Err(Error::invalid(line));
            }
        }
        if known.state == WorkerState::Stopping && *order != Order::Stop {
            let line = format!("worker {worker}: it stops already");
            return Err(Error::new(crate::error::Kind::Conflict, line));
        }
        let (name, value) = order.entry(worker);
        self.inner.backend.put(Setting::Worker, &name, Some(&value)).await.map(drop)
    }
}
