//! A worker of Runnerly's, started: what must stand before it, and what runs beside it.

use crate::{Concurrency, limits, news, worker};
use legwork::Worker;
use runnerly::app::App;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A running worker and the relay beside it, which hands over what stands in the outbox.
pub struct Running {
    worker: legwork::Running,
    relay: JoinHandle<()>,
    ended: CancellationToken,
}

/// Puts what calls Strava under its limit, subscribes to what happens to runs, and starts a
/// worker with a relay.
///
/// ```no_run
/// # async fn example(app: runnerly::app::App) -> Result<(), legwork::Error> {
/// let running = runnerly_worker::start(app, runnerly_worker::Concurrency::default()).await?;
/// running.stop().await;
/// # Ok(()) }
/// ```
///
/// # Errors
/// The queue cannot be reached.
pub async fn start(app: App, concurrency: Concurrency) -> Result<Running, legwork::Error> {
    limits::govern(&app.jobs).await?;
    // Before the first event is published, or it would reach nobody.
    news::subscribe(&app.jobs).await?;
    let relay = app.storage.relay(&app.jobs);
    let worker: Worker<App> = worker(app, concurrency);
    let worker = worker.start().await?;
    let ended = CancellationToken::new();
    let until = ended.clone().cancelled_owned();
    let relay = tokio::spawn(async move {
        if let Err(e) = relay.run_until(until).await {
            tracing::error!(error = %e, "nothing will be handed over from the outbox");
        }
    });
    Ok(Running { worker, relay, ended })
}

impl Running {
    /// The worker itself.
    pub fn worker(&self) -> &legwork::Running {
        &self.worker
    }

    /// Stops in good order: the worker ends or hands back what it holds.
    pub async fn stop(self) {
        self.worker.stop().await;
        self.ended.cancel();
        // It ends at once, or its rows are handed over by the next one.
        let _ = self.relay.await;
    }
}
