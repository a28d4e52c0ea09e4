//! Asks for jobs whenever there is room, and sleeps on the wake-up otherwise.

use super::{Engine, heartbeat, run};
use crate::Envelope;
use crate::backend::{Batch, LeaseRequest, LeasedJob, Token};
use crate::measure::count;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::sync::futures::Notified;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

/// At most this many jobs of a queue in one lease.
const MAX_LEASE: usize = 256;
/// Fast jobs are leased ahead for about this long.
const AHEAD_NS: u64 = 5_000_000;
/// Jobs slower than this get a lease each, so that none waits behind another and a crash
/// can be charged to the one that caused it.
const SLOW_NS: u64 = 50_000_000;

/// Runs until the worker stops and everything inside it is settled.
pub(super) async fn daemon<S: Clone + Send + Sync + 'static>(
    engine: Arc<Engine<S>>,
    settler: tokio::task::JoinHandle<()>,
    beating: heartbeat::Beating,
) {
    let tracker = TaskTracker::new();
    fetch(&engine, &tracker).await;
    tracker.close();
    tokio::select! {
        () = tracker.wait() => {}
        // What is stuck in its thread has been given up by the watch, and may never end.
        () = async { engine.abort.cancelled().await; engine.all_settled().await } => {}
    }
    engine.all_settled().await;
    settler.abort();
    beating.stop().await;
    let leave = engine.backend.leave(&engine.health.id);
    let _ = tokio::time::timeout(Duration::from_secs(2), leave).await;
}

async fn fetch<S: Clone + Send + Sync + 'static>(engine: &Arc<Engine<S>>, tracker: &TaskTracker) {
    let mut wakeups = engine.backend.wakeups();
    let mut pause = Duration::from_millis(50);
    while !engine.stop.is_cancelled() {
        // Seen before looking: what arrives after the look wakes the wait below.
        wakeups.borrow_and_update();
        let freed = engine.freed.notified();
        let requests = engine.requests();
        if requests.is_empty() {
            full(engine, freed).await;
            continue;
        }
        let asked_all = requests.iter().map(|r| r.queues.len()).sum::<usize>() == engine.lanes.len();
        match lease(engine, tracker, requests).await {
            Ok(0) => {
                engine.health.polled();
                pause = Duration::from_millis(50);
                tokio::select! {
                    _ = wakeups.changed() => {}
                    () = tokio::time::sleep(engine.settings.poll) => {}
                    () = freed, if !asked_all => {}
                    () = engine.stop.cancelled() => {}
                }
            }
            Ok(_) => engine.health.polled(),
            Err(e) => {
                tracing::warn!(error = %e, "no lease; trying again");
                tokio::select! { () = tokio::time::sleep(pause) => {}, () = engine.stop.cancelled() => {} }
                pause = (pause * 2).min(Duration::from_secs(2));
            }
        }
    }
}

/// Asks, and lets in what comes; returns how many batches did.
async fn lease<S: Clone + Send + Sync + 'static>(
    engine: &Arc<Engine<S>>,
    tracker: &TaskTracker,
    requests: Vec<LeaseRequest>,
) -> crate::Result<usize> {
    let mut came = 0;
    for request in requests {
        let asked = Instant::now();
        let batches = engine.backend.lease(&request).await?;
        came += batches.len();
        batches.into_iter().for_each(|batch| admit(engine, tracker, batch, asked));
    }
    Ok(came)
}

/// Every permit is taken. A worker that is merely busy is ready all the same: it asks the
/// backend for the time now and then.
async fn full<S>(engine: &Engine<S>, freed: Notified<'_>) {
    tokio::select! {
        () = freed => {}
        () = engine.stop.cancelled() => {}
        () = tokio::time::sleep(engine.settings.poll) => {
            if engine.backend.now().await.is_ok() {
                engine.health.polled();
            }
        }
    }
}

fn admit<S: Clone + Send + Sync + 'static>(
    engine: &Arc<Engine<S>>,
    tracker: &TaskTracker,
    batch: Batch,
    asked: Instant,
) {
    let Some(lane) = engine.lanes.iter().position(|l| l.queue == batch.queue) else {
        return;
    };
    count!("legwork_jobs_leased_total", batch.jobs.len(), "queue" => batch.queue);
    engine.lanes[lane].inside.fetch_add(batch.jobs.len(), Ordering::SeqCst);
    let deadline = asked + engine.settings.lease;
    let last_chance = batch.jobs.iter().any(is_last_chance);
    let ids = batch.jobs.iter().map(|j| j.id);
    let holds = engine.held.add(batch.token, lane, deadline, last_chance, ids);
    for (job, hold) in batch.jobs.into_iter().zip(holds) {
        let turn = Turn::at(&engine.lanes[lane].permits);
        let life = run::life(engine.clone(), lane, batch.token, job, hold, last_chance, turn);
        tracker.spawn(life);
    }
}

/// A job's place in the line for a permit. It is taken when the job is let in, not when its
/// task first runs: tasks start in any order, and jobs leased ahead must run in theirs.
pub(super) enum Turn {
    Now(OwnedSemaphorePermit),
    Later(Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send>>),
}

impl Turn {
    fn at(permits: &Arc<Semaphore>) -> Turn {
        if let Ok(permit) = permits.clone().try_acquire_owned() {
            return Turn::Now(permit);
        }
        let permits = permits.clone();
        let mut later = Box::pin(async move { permits.acquire_owned().await.ok() });
        // The first look joins the line; the task that waits looks again with its own waker.
        match later.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(permit)) => Turn::Now(permit),
            Poll::Ready(None) => Turn::Later(Box::pin(std::future::ready(None))),
            Poll::Pending => Turn::Later(later),
        }
    }

    pub(super) async fn come(self) -> Option<OwnedSemaphorePermit> {
        match self {
            Turn::Now(permit) => Some(permit),
            Turn::Later(later) => later.await,
        }
    }
}

/// Whether one more crash would be the job's last.
fn is_last_chance(job: &LeasedJob) -> bool {
    let limit = || Envelope::decode(job.id, &job.record).ok().and_then(|e| e.max_crashes).unwrap_or(3);
    job.crashes > 0 && job.crashes + 1 >= limit()
}

impl<S> Engine<S> {
    /// Lets jobs on their last chance run one at a time in this process, so that a death
    /// tells which one caused it. The oldest waits until it is the only one inside; the
    /// others are told to come back later.
    pub(super) async fn isolate(&self, token: Token) -> bool {
        loop {
            let freed = self.freed.notified();
            match self.held.last_chances()[..] {
                [only] if only == token => return true,
                [first, ..] if first == token => freed.await,
                _ => return false,
            }
        }
    }

    /// What there is room for: the free permits, and for fast jobs some milliseconds more.
    /// Queues of fast jobs and of others are asked for apart: these get a lease each.
    fn requests(&self) -> Vec<LeaseRequest> {
        let mut wanted: [Vec<(String, usize)>; 2] = Default::default();
        for lane in self.lanes.iter() {
            let speed = lane.speed.load(Ordering::Relaxed);
            let ahead = AHEAD_NS.checked_div(speed).unwrap_or(0) as usize * lane.concurrency;
            let most = (lane.concurrency + ahead).min(lane.concurrency.max(MAX_LEASE));
            let room = most.saturating_sub(lane.inside.load(Ordering::SeqCst));
            // A full pipeline is refilled in large bites: many small leases cost more.
            let bite = if ahead == 0 { 1 } else { most.min(MAX_LEASE).div_ceil(4) };
            if room >= bite {
                let alone = speed == 0 || speed > SLOW_NS;
                wanted[usize::from(alone)].push((lane.queue.clone(), room.min(MAX_LEASE)));
            }
        }
        let request = |(queues, alone): (Vec<(String, usize)>, bool)| LeaseRequest {
            worker: self.health.id.clone(),
            most: queues.iter().map(|(_, n)| n).sum(),
            queues,
            alone,
            ttl_ms: self.settings.lease.as_millis() as i64,
        };
        wanted.into_iter().zip([false, true]).filter(|(queues, _)| !queues.is_empty()).map(request).collect()
    }

    /// Waits until every job inside has been settled or given up.
    async fn all_settled(&self) {
        loop {
            let freed = self.freed.notified();
            if self.held.is_empty() {
                return;
            }
            // Bounded by the settler: it gives up a settle when its lease is over.
            tokio::select! { () = freed => {}, () = tokio::time::sleep(Duration::from_millis(50)) => {} }
        }
    }
}
