//! Renews leases, shows signs of life and keeps the namespace in order, on a thread with a
//! runtime and a connection of its own: a handler that blocks every thread of the worker's
//! runtime does not lose its lease, and a stopped process does.

use super::blocking::Threads;
use super::held::Held;
use super::running::Health;
use super::{Engine, Lane, Settings};
use crate::backend::{Backend, WorkerState, WorkerView};
use crate::{Client, Error, Result, maintain};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The wait between two tries while the backend does not answer.
const RETRY: Duration = Duration::from_millis(200);
/// At most this many leases in one call.
const STEP: usize = 1_000;

/// The thread, and how to end it.
pub(super) struct Beating {
    done: CancellationToken,
    thread: std::thread::JoinHandle<()>,
}

impl Beating {
    pub(super) async fn stop(self) {
        self.done.cancel();
        let _ = tokio::task::spawn_blocking(move || self.thread.join()).await;
    }
}

pub(super) struct Beat {
    client: Client,
    pub(super) held: Arc<Held>,
    pub(super) lanes: Arc<[Lane]>,
    pub(super) health: Arc<Health>,
    pub(super) settings: Settings,
    threads: Arc<Threads>,
    pub(super) abort: CancellationToken,
    /// Where the handlers run.
    pub(super) handlers: tokio::runtime::Handle,
    stopping: CancellationToken,
    view: WorkerView,
}

pub(super) fn start<S>(engine: &Engine<S>, view: WorkerView) -> Result<Beating> {
    let beat = Beat {
        client: engine.client.clone(),
        held: engine.held.clone(),
        lanes: engine.lanes.clone(),
        threads: engine.threads.clone(),
        abort: engine.abort.clone(),
        handlers: tokio::runtime::Handle::current(),
        health: engine.health.clone(),
        settings: engine.settings,
        stopping: engine.stop.clone(),
        view,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::with(crate::error::Kind::Refused, "worker: no runtime for the heartbeat", e))?;
    // The worker's own connection hears of them; this thread asks by itself as well.
    let wakeups = engine.backend.wakeups();
    let done = CancellationToken::new();
    let until = done.clone();
    let thread = std::thread::Builder::new()
        .name("legwork-heartbeat".into())
        .spawn(move || {
            runtime.block_on(until.run_until_cancelled(beat.run(until.clone(), wakeups)));
        })
        .map_err(|e| Error::with(crate::error::Kind::Refused, "worker: no thread for the heartbeat", e))?;
    Ok(Beating { done, thread })
}

impl Beat {
    async fn run(self, done: CancellationToken, wakeups: watch::Receiver<u64>) {
        let backend = loop {
            match self.client.reopen().await {
                Ok(backend) => break backend,
                Err(e) => {
                    tracing::warn!(error = %e, "the heartbeat has no connection; trying again")
                }
            }
            self.held.end_overdue(Instant::now());
            tokio::time::sleep(RETRY).await;
        };
        let maintenance = async {
            if self.settings.maintain {
                maintain::run(backend.clone(), self.settings.lease, done).await;
            }
        };
        tokio::join!(
            self.renew(&*backend),
            self.watch(&*backend, wakeups),
            self.show_life(&*backend),
            maintenance
        );
    }

    /// Renews every third of a lease, so that two renewals may fail before one is lost.
    async fn renew(&self, backend: &dyn Backend) {
        let every = self.settings.lease / 3;
        let mut wait = every;
        loop {
            tokio::time::sleep(wait).await;
            let tokens = self.held.tokens();
            wait = every;
            for step in tokens.chunks(STEP) {
                let asked = Instant::now();
                let call = backend.extend(step, self.settings.lease.as_millis() as i64);
                match tokio::time::timeout(every, call).await {
                    Ok(Ok(extended)) => {
                        for (token, held) in step.iter().zip(extended.held) {
                            match held {
                                true => self.held.extended(*token, asked + self.settings.lease),
                                false => self.held.lost(*token),
                            }
                        }
                    }
                    Ok(Err(e)) => {
                        tracing::warn!(error = %e, "leases could not be renewed; trying again");
                        wait = RETRY.min(every);
                    }
                    Err(_) => {
                        tracing::warn!("no answer to the renewal of leases; trying again");
                        wait = RETRY.min(every);
                    }
                }
            }
            self.held.end_overdue(Instant::now());
        }
    }

    async fn show_life(&self, backend: &dyn Backend) {
        loop {
            let mut view = self.health.view(&self.view);
            let stopping = self.stopping.is_cancelled();
            if stopping {
                view.state = WorkerState::Stopping;
            }
            view.stuck = self.threads.stuck()
                + self.lanes.iter().map(|l| l.stuck.load(Ordering::Relaxed)).sum::<usize>();
            if let Err(e) = backend.beat(&view).await {
                tracing::debug!(error = %e, "no beat");
            }
            tokio::select! {
                () = tokio::time::sleep(self.settings.beat) => {}
                // Told at once that this worker takes no more.
                () = self.stopping.cancelled(), if !stopping => {}
            }
        }
    }
}
