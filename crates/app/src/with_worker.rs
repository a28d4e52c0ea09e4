//! A worker for the time of a command, where none is alive.

use legwork::{Client, Running};
use runnerly::app::App;
use runnerly_worker::{Concurrency, worker};

/// Starts a worker unless one that handles `name` is alive already.
pub(crate) async fn unless_alive(app: &App, name: &str) -> anyhow::Result<Option<Running>> {
    if alive(&app.jobs, name).await? {
        return Ok(None);
    }
    Ok(Some(worker(app.clone(), Concurrency::default()).start().await?))
}

/// Whether a worker that handles `name` has beaten lately.
pub(crate) async fn alive(jobs: &Client, name: &str) -> anyhow::Result<bool> {
    let workers = jobs.workers().await?;
    Ok(workers.iter().any(|w| !w.stopping && w.definitions.iter().any(|d| d.name == name)))
}
