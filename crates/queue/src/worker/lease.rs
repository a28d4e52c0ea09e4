//! Asks for jobs whenever there is room, and sleeps on the wake-up otherwise.

use super::ask::{Ask, FEW};
use super::run::{self, Leased};
use super::{Engine, heartbeat};
use crate::Envelope;
use crate::backend::{self, Batch, LeasedJob, Token, WorkerView};
use crate::measure::count;
use futures_util::stream::{FuturesOrdered, StreamExt};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::futures::Notified;
use tokio_util::task::TaskTracker;

/// So many calls for fast jobs are under way at a time, as long as each brings what it asks
/// for: the next ids are leased while the records of the last ones are read.
const UNDERWAY: usize = 4;
/// So many follow each other before others have their turn.
const FOLLOW: usize = 16;

/// Runs until the worker stops and everything inside it is settled.
pub(super) async fn daemon<S: Clone + Send + Sync + 'static>(
    engine: Arc<Engine<S>>,
    settler: tokio::task::JoinHandle<()>,
    beating: heartbeat::Beating,
) {
    let tracker = TaskTracker::new();
    let work = async {
        fetch(&engine, &tracker).await;
        tracker.close();
        tokio::select! {
            () = tracker.wait() => {}
            // What is stuck in its thread has been given up by the watch, and may never end.
            () = async { engine.abort.cancelled().await; engine.all_settled().await } => {}
        }
        engine.all_settled().await;
    };
    let patience = async {
        engine.stop.cancelled().await;
        tokio::time::sleep(engine.settings.drain).await;
        engine.abort.cancel();
        std::future::pending::<()>().await;
    };
    tokio::select! { () = work => {}, () = patience => {}, () = usher(&engine, &tracker) => {} }
    settler.abort();
    beating.stop().await;
    let end = WorkerView { id: engine.health.id.clone(), leaving: true, ..WorkerView::default() };
    let end = engine.health.view(&end);
    let leave = engine.backend.beat(&end);
    let _ = tokio::time::timeout(Duration::from_secs(2), leave).await;
}

async fn fetch<S: Clone + Send + Sync + 'static>(engine: &Arc<Engine<S>>, tracker: &TaskTracker) {
    let mut wakeups = engine.backend.wakeups();
    let mut pause = Duration::from_millis(50);
    while !engine.stop.is_cancelled() {
        // Seen before looking: what arrives after the look wakes the wait below.
        wakeups.borrow_and_update();
        let freed = engine.health.freed.notified();
        if engine.health.is_quiet() {
            tokio::select! { () = freed => {}, () = engine.stop.cancelled() => {} }
            continue;
        }
        let round = round(engine, tracker).await;
        match round.failed {
            Some(e) => {
                tracing::warn!(error = %e, "no lease; trying again");
                tokio::select! { () = tokio::time::sleep(pause) => {}, () = engine.stop.cancelled() => {} }
                pause = (pause * 2).min(Duration::from_secs(2));
            }
            None if round.asked == 0 => full(engine, freed).await,
            // A few that begin in this thread do so before the next call is made: it would have
            // its turn first, for the whole of its way to the backend. Of many the next are to
            // be on their way soon.
            None if round.came <= FEW && round.came > 0 => tokio::task::yield_now().await,
            None if round.came > 0 => {}
            None => {
                pause = Duration::from_millis(50);
                tokio::select! {
                    _ = wakeups.changed() => {}
                    () = tokio::time::sleep(round.wait.unwrap_or(engine.settings.poll).min(engine.settings.poll)) => {}
                    () = freed, if round.asked < engine.lanes.len() => {}
                    () = engine.stop.cancelled() => {}
                }
            }
        }
    }
}

/// One look at all groups.
#[derive(Default)]
struct Round {
    /// How many queues were asked.
    asked: usize,
    /// How many jobs came.
    came: usize,
    /// After what time a limit, or a pause, lets the next job go.
    wait: Option<Duration>,
    failed: Option<crate::Error>,
    /// For which groups the backend did not answer.
    silent: Vec<bool>,
}

/// What came of one call.
struct Answer {
    ask: Ask,
    /// When it was asked: leases end by this, at the latest.
    asked: Instant,
    leased: crate::Result<backend::Leased>,
}

async fn round<S: Clone + Send + Sync + 'static>(engine: &Arc<Engine<S>>, tracker: &TaskTracker) -> Round {
    let mut round = Round { silent: vec![false; engine.health.pools.len()], ..Round::default() };
    ones(engine, tracker, &mut round).await;
    for (number, pool) in engine.health.pools.iter().enumerate().filter(|(_, pool)| pool.lanes.len() > 1) {
        let mut left = engine.order(pool);
        while let Some(ask) = engine.next_ask(number, &mut left) {
            let answer = call(engine, ask).await;
            let_in(engine, tracker, answer, &mut round);
        }
    }
    round.seen(engine);
    round
}

impl Round {
    /// Tells the health of the groups. One that was full was not asked, and is well if the
    /// backend answered for another.
    fn seen<S>(&self, engine: &Engine<S>) {
        if self.asked > 0 && self.silent.contains(&false) {
            let well = engine.health.pools.iter().zip(&self.silent).filter(|(_, silent)| !*silent);
            engine.health.polled(well.map(|(pool, _)| pool));
        }
    }
}

/// Asks for the groups of one queue, and again while they have more. Where there are no other
/// groups the calls do not come to an end for the next round, because then the backend would
/// have nothing to do until the first of it: those of slow jobs have their turn among them.
async fn ones<S: Clone + Send + Sync + 'static>(
    engine: &Arc<Engine<S>>,
    tracker: &TaskTracker,
    round: &mut Round,
) {
    let reserved = |ask: Ask| {
        ask.reserve(&engine.lanes);
        let call = call(engine, ask);
        async move {
            let answer = call.await;
            answer.ask.release(&engine.lanes);
            answer
        }
    };
    // In their order, so that jobs begin in the order of their leases.
    let mut calls: FuturesOrdered<_> =
        [false, true].into_iter().filter_map(|alone| engine.ask_of_ones(alone)).map(reserved).collect();
    let in_order = engine.backend.leases_in_order();
    let only_ones = engine.health.pools.iter().all(|pool| pool.lanes.len() == 1);
    let mut follow = if in_order { FOLLOW } else { 0 };
    while let Some(answer) = calls.next().await {
        let more = let_in(engine, tracker, answer, round) && round.failed.is_none();
        let on = more && !engine.stop.is_cancelled() && !engine.health.is_quiet();
        if on && follow == 0 && in_order && only_ones {
            round.seen(engine);
            calls.extend(engine.ask_of_ones(true).map(reserved));
            follow = FOLLOW;
        }
        while on
            && follow > 0
            && calls.len() < UNDERWAY
            && let Some(ask) = engine.ask_of_ones(false)
        {
            follow -= 1;
            calls.push_back(reserved(ask));
        }
    }
}

/// Asks for jobs.
fn call<S>(engine: &Engine<S>, ask: Ask) -> impl Future<Output = Answer> {
    let asked = Instant::now();
    async move {
        let leased = engine.backend.lease(&ask.request).await;
        Answer { ask, asked, leased }
    }
}

/// Lets in what has come; whether there is likely to be more.
fn let_in<S: Clone + Send + Sync + 'static>(
    engine: &Arc<Engine<S>>,
    tracker: &TaskTracker,
    Answer { ask, asked, leased }: Answer,
    round: &mut Round,
) -> bool {
    round.asked += ask.lanes.len();
    let leased = match leased {
        Ok(leased) => leased,
        Err(e) => {
            ask.lanes.iter().for_each(|lane| round.silent[engine.lanes[*lane].pool] = true);
            round.failed.get_or_insert(e);
            return false;
        }
    };
    let (batches, now_ms) = (leased.batches, leased.now_ms);
    let next = leased.next_ms.map(|at| Duration::from_millis((at - now_ms).max(1) as u64));
    round.wait = round.wait.into_iter().chain(next).min();
    round.came += batches.iter().map(|batch| batch.jobs.len()).sum::<usize>();
    ask.answered(&engine.health.pools, &engine.lanes, &batches);
    let more = ask.has_more(&batches);
    batches.into_iter().for_each(|batch| admit(engine, tracker, batch, asked));
    more
}

/// Every permit is taken. A worker that is merely busy is ready all the same: it asks the
/// backend now and then, for something that may write, as everything it needs does.
async fn full<S>(engine: &Engine<S>, freed: Notified<'_>) {
    tokio::select! {
        () = freed => {}
        () = engine.stop.cancelled() => {}
        () = tokio::time::sleep(engine.settings.poll) => {
            if engine.backend.extend(&[], engine.settings.lease.as_millis() as i64).await.is_ok() {
                engine.health.polled(engine.health.pools.iter());
            }
        }
    }
}

/// Looks after the lines: lets begin whom a permit has been added for, and ends who is called
/// off before it had one.
pub(super) async fn usher<S: Clone + Send + Sync + 'static>(engine: &Arc<Engine<S>>, tracker: &TaskTracker) {
    let mut aborted = false;
    loop {
        tokio::select! {
            () = engine.health.line.notified() => {}
            () = engine.abort.cancelled(), if !aborted => aborted = true,
        }
        for number in 0..engine.health.pools.len() {
            let permits = &engine.health.pools[number].permits;
            let leaving = permits.leave(|waiting| aborted || waiting.hold.why().is_some());
            if !leaving.is_empty() {
                // On its own: a settler that waits for the backend takes no more for now, and is
                // not to hold up who has a permit.
                let engine = engine.clone();
                tracker.spawn(async move {
                    for leased in leaving {
                        run::call_off(&engine, leased).await;
                    }
                });
            }
            begin(engine, tracker, number);
        }
    }
}

/// As many tasks as there are permits for jobs in line.
fn begin<S: Clone + Send + Sync + 'static>(engine: &Arc<Engine<S>>, tracker: &TaskTracker, pool: usize) {
    while let Some(first) = engine.health.pools[pool].permits.begin() {
        tracker.spawn(run::permit(engine.clone(), pool, first));
    }
}

fn admit<S: Clone + Send + Sync + 'static>(
    engine: &Arc<Engine<S>>,
    tracker: &TaskTracker,
    batch: Batch,
    asked: Instant,
) {
    let Some(lane) = engine.lanes.iter().position(|l| l.queue == batch.queue) else { return };
    let pool = engine.lanes[lane].pool;
    engine.health.pools[pool].permits.join(leased(engine, lane, batch, asked));
    begin(engine, tracker, pool);
    if engine.abort.is_cancelled() {
        engine.health.line.notify_one();
    }
}

/// Takes the jobs of a batch in: from now on they are held.
pub(super) fn leased<S>(
    engine: &Engine<S>,
    lane: usize,
    batch: Batch,
    asked: Instant,
) -> impl Iterator<Item = Leased> + use<S> {
    count!("legwork_jobs_leased_total", batch.jobs.len(), "queue" => batch.queue);
    engine.lanes[lane].inside.fetch_add(batch.jobs.len(), Ordering::SeqCst);
    let deadline = asked + engine.settings.lease;
    let last_chance = batch.jobs.iter().any(is_last_chance);
    let ids = batch.jobs.iter().map(|j| j.id);
    let Batch { token, now_ms, .. } = batch;
    let holds = engine.held.add(token, lane, deadline, last_chance, ids);
    let all = batch.jobs.into_iter().zip(holds);
    all.map(move |(job, hold)| Leased { token, now_ms, asked, lane, job, hold, last_chance })
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
            let freed = self.health.freed.notified();
            match self.held.last_chances()[..] {
                [only] if only == token => return true,
                [first, ..] if first == token => freed.await,
                _ => return false,
            }
        }
    }

    /// Waits until every job inside has been settled or given up.
    async fn all_settled(&self) {
        loop {
            let freed = self.health.freed.notified();
            if self.held.is_empty() {
                return;
            }
            // Bounded by the settler: it gives up a settle when its lease is over.
            tokio::select! { () = freed => {}, () = tokio::time::sleep(Duration::from_millis(50)) => {} }
        }
    }
}
