//! Asks for jobs whenever there is room, and sleeps on the wake-up otherwise.

use super::{Engine, heartbeat, run};
use crate::Envelope;
use crate::backend::{Batch, LeaseRequest, LeasedJob, Token};
use crate::measure::count;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
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
    tracker.wait().await;
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
        let request = engine.request();
        if request.queues.is_empty() {
            tokio::select! { () = freed => {}, () = engine.stop.cancelled() => {} }
            continue;
        }
        let asked = Instant::now();
        match engine.backend.lease(&request).await {
            Ok(batches) if batches.is_empty() => {
                engine.health.polled();
                pause = Duration::from_millis(50);
                tokio::select! {
                    _ = wakeups.changed() => {}
                    () = tokio::time::sleep(engine.settings.poll) => {}
                    () = freed, if request.queues.len() < engine.lanes.len() => {}
                    () = engine.stop.cancelled() => {}
                }
            }
            Ok(batches) => {
                engine.health.polled();
                batches
                    .into_iter()
                    .for_each(|batch| admit(engine, tracker, batch, asked));
            }
            Err(e) => {
                tracing::warn!(error = %e, "no lease; trying again");
                tokio::select! { () = tokio::time::sleep(pause) => {}, () = engine.stop.cancelled() => {} }
                pause = (pause * 2).min(Duration::from_secs(2));
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
    engine.lanes[lane]
        .inside
        .fetch_add(batch.jobs.len(), Ordering::SeqCst);
    let deadline = asked + engine.settings.lease;
    let last_chance = batch.jobs.iter().any(is_last_chance);
    let ids = batch.jobs.iter().map(|j| j.id);
    let holds = engine
        .held
        .add(batch.token, lane, deadline, last_chance, ids);
    for (job, hold) in batch.jobs.into_iter().zip(holds) {
        let life = run::life(engine.clone(), lane, batch.token, job, hold, last_chance);
        tracker.spawn(life);
    }
}

/// Whether one more crash would be the job's last.
fn is_last_chance(job: &LeasedJob) -> bool {
    let limit = || {
        Envelope::decode(job.id, &job.record)
            .ok()
            .and_then(|e| e.max_crashes)
            .unwrap_or(3)
    };
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
    fn request(&self) -> LeaseRequest {
        let mut queues = Vec::new();
        let mut alone = false;
        for lane in &self.lanes {
            let inside = lane.inside.load(Ordering::SeqCst);
            let speed = lane.speed.load(Ordering::Relaxed);
            let ahead = match speed {
                0 => 0,
                ns => (AHEAD_NS / ns) as usize * lane.concurrency,
            };
            let room = (lane.concurrency + ahead)
                .min(lane.concurrency.max(MAX_LEASE))
                .saturating_sub(inside);
            // A full pipeline is refilled in large bites: many small leases cost more.
            let bite = if ahead == 0 {
                1
            } else {
                MAX_LEASE.min(lane.concurrency + ahead) / 4
            };
            if room >= bite.max(1) {
                queues.push((lane.queue.clone(), room.min(MAX_LEASE)));
                alone |= speed == 0 || speed > SLOW_NS;
            }
        }
        LeaseRequest {
            worker: self.health.id.clone(),
            queues,
            alone,
            ttl_ms: self.settings.lease.as_millis() as i64,
        }
    }

    /// Waits until every job inside has been settled or given up.
    async fn all_settled(&self) {
        loop {
            let freed = self.freed.notified();
            if self
                .lanes
                .iter()
                .all(|l| l.inside.load(Ordering::SeqCst) == 0)
            {
                return;
            }
            // Bounded by the settler: it gives up a settle when its lease is over.
            tokio::select! { () = freed => {}, () = tokio::time::sleep(Duration::from_millis(50)) => {} }
        }
    }
}
