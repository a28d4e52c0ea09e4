//! Renews leases, shows signs of life and keeps the namespace in order, on a thread with a
//! runtime and a connection of its own: a handler that blocks every thread of the worker's
//! runtime does not lose its lease, and a stopped process does.

use super::blocking::Threads;
use super::held::Held;
use super::running::Health;
use super::{Engine, Lane, Settings};
use crate::backend::{Backend, Order, Setting, Token, WorkerState, WorkerView};
use crate::{Client, Error, Result, maintain};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The wait between two tries while the backend does not answer.
const RETRY: Duration = Duration::from_millis(200);
/// How often orders are looked for.
const LOOK: Duration = Duration::from_secs(1);
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
        stopping: CancellationToken::clone(&engine.stop),
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
            let mut tokens = self.held.tokens();
            wait = every;
            // Leases of one shard go together: one that does not answer costs no other its own.
            let shard = |token: &Token| token.shard(backend.shards());
            tokens.sort_by_key(shard);
            let steps = tokens.chunk_by(|a, b| shard(a) == shard(b)).flat_map(|some| some.chunks(STEP));
            for step in steps {
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

    /// Says at once when this worker takes no more, and looks every second whether it is
    /// meant by an order.
    async fn show_life(&self, backend: &dyn Backend) {
        loop {
            let (beaten, mut view) = (Instant::now(), self.health.view(&self.view));
            let stopping = self.stopping.is_cancelled();
            if stopping {
                view.state = WorkerState::Stopping;
            }
            view.stuck = self.threads.stuck()
                + self.lanes.iter().map(|l| l.stuck.load(Ordering::Relaxed)).sum::<usize>();
            match backend.beat(&view).await {
                Ok(orders) if !orders.is_empty() && !stopping => {
                    orders.into_iter().for_each(|order| self.obey(order));
                    // Shown at once, which is how an order is known to be followed.
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
                Ok(_) => {}
                Err(e) => tracing::debug!(error = %e, "no beat"),
            }
            loop {
                tokio::select! {
                    () = tokio::time::sleep(LOOK.min(self.settings.beat)) => {}
                    () = self.stopping.cancelled(), if !stopping => break,
                }
                let changed = !stopping && self.health.is_quiet() != (view.state == WorkerState::Quiet);
                if changed || beaten.elapsed() >= self.settings.beat || self.is_meant(backend).await {
                    break;
                }
            }
        }
    }

    /// Whether an order to this worker is kept: a look that writes nothing.
    async fn is_meant(&self, backend: &dyn Backend) -> bool {
        let Ok(orders) = backend.settings(Setting::Worker).await else { return false };
        orders.entries.iter().any(|order| order.name.starts_with(&self.view.id))
    }

    fn obey(&self, order: Order) {
        tracing::info!(?order, "an order");
        match order {
            Order::Quiet => self.health.set_quiet(true),
            Order::Resume => self.health.set_quiet(false),
            Order::Stop => self.stopping.cancel(),
            Order::Resize { group, permits } => {
                if let Err(e) = self.health.resize(&group, permits) {
                    tracing::warn!(error = %e, "an order that cannot be followed");
                }
            }
        }
    }
}
