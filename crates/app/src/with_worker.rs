//! A worker for the time of a command, where none is alive.

use legwork::Client;
use legwork::backend::WorkerState;
use runnerly::app::App;
use runnerly_worker::Concurrency;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A live worker beats every five seconds; one that was killed is taken for alive no longer
/// than this.
const FRESH_MS: i64 = 7_000;
/// How often to look whether somebody still works.
const LOOK: Duration = Duration::from_secs(1);

/// Sees to it that somebody works while a command waits: starts a worker of its own as soon
/// as none is alive, also when the one that was alive at first dies meanwhile.
pub(crate) struct Standby {
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Standby {
    pub(crate) fn start(app: &App, name: &'static str) -> Standby {
        let stop = CancellationToken::new();
        let task = tokio::spawn(stand_by(app.clone(), name, stop.clone()));
        Standby { stop, task }
    }

    /// Ends the worker of its own, if there is one, in good order.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.task.await?
    }
}

async fn stand_by(app: App, name: &'static str, stop: CancellationToken) -> anyhow::Result<()> {
    while alive(&app.jobs, name).await? {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    let own = runnerly_worker::start(app, Concurrency::default()).await?;
    stop.cancelled().await;
    own.stop().await;
    Ok(())
}

/// Whether a worker that handles `name` has beaten just now.
pub(crate) async fn alive(jobs: &Client, name: &str) -> anyhow::Result<bool> {
    let seen = jobs.snapshot().await?;
    let fresh =
        seen.workers.iter().filter(|w| w.state == WorkerState::Running && seen.now_ms - w.seen_ms < FRESH_MS);
    Ok(fresh.into_iter().any(|w| w.definitions.iter().any(|d| d.name == name)))
}
