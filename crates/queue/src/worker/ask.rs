//! What to ask for: of which queues, how much, and in what order.

use super::group::Pool;
use super::share::PERMIT;
use super::{Engine, Lane};
use crate::backend::{Batch, LeaseRequest};
use std::collections::VecDeque;
use std::sync::atomic::Ordering;

/// At most this many jobs of a queue in one lease.
const MAX_LEASE: usize = 256;
/// At most this many jobs are held when most of them are leased ahead, so that while some
/// run others are on their way in and out: enough that backend and worker seldom wait for
/// each other, though each is woken late.
const WINDOW: usize = 16 * MAX_LEASE;
/// Fast jobs are leased ahead for about this long.
const AHEAD_NS: u64 = 5_000_000;
/// Jobs slower than this get a lease each, so that none waits behind another and a crash
/// can be charged to the one that caused it.
const SLOW_NS: u64 = 50_000_000;

/// So few jobs that none is likely to follow them at once.
pub(super) const FEW: usize = 8;

/// One call for jobs.
pub(super) struct Ask {
    pub(super) request: LeaseRequest,
    /// The lanes that it asks.
    pub(super) lanes: Vec<usize>,
    /// For a group with weights: what each lane would give if all held enough, and what a
    /// job costs.
    split: Option<(Vec<usize>, u64)>,
}

/// What there is room for in a lane.
#[derive(Clone, Copy)]
struct Room {
    jobs: usize,
    /// As many as the lane alone could fill.
    most: usize,
    /// A lease for each.
    alone: bool,
}

impl Ask {
    /// Takes the room of what is asked, so that a call made meanwhile does not ask for it too.
    pub(super) fn reserve(&self, lanes: &[Lane]) {
        for (lane, (_, jobs)) in self.lanes.iter().zip(&self.request.queues) {
            lanes[*lane].inside.fetch_add(*jobs, Ordering::SeqCst);
        }
    }

    /// Gives the reserved room back: what came takes its own.
    pub(super) fn release(&self, lanes: &[Lane]) {
        for (lane, (_, jobs)) in self.lanes.iter().zip(&self.request.queues) {
            lanes[*lane].inside.fetch_sub(*jobs, Ordering::SeqCst);
        }
    }

    /// Whether a queue of fast jobs gave all that was asked of it: it is likely to hold more.
    pub(super) fn has_more(&self, batches: &[Batch]) -> bool {
        let all = |batch: &Batch| self.request.queues.contains(&(batch.queue.clone(), batch.jobs.len()));
        !self.request.alone && batches.iter().any(|batch| batch.jobs.len() > FEW && all(batch))
    }

    /// Notes whose jobs came, for the weights.
    pub(super) fn answered(&self, pools: &[Pool], lanes: &[Lane], batches: &[Batch]) {
        let Some((split, cost)) = &self.split else { return };
        let of = |lane: &usize| {
            let mine = batches.iter().filter(|batch| batch.queue == lanes[*lane].queue);
            mine.map(|batch| batch.jobs.len()).sum()
        };
        let came: Vec<usize> = self.lanes.iter().map(of).collect();
        pools[lanes[self.lanes[0]].pool].took(&self.lanes, split, &came, *cost);
    }
}

impl<S> Engine<S> {
    /// For all groups of one queue together: those of fast jobs and the others are asked for
    /// apart, because the latter get a lease each.
    pub(super) fn ask_of_ones(&self, alone: bool) -> Option<Ask> {
        let (mut lanes, mut queues) = (Vec::new(), Vec::new());
        for pool in self.health.pools.iter().filter(|pool| pool.lanes.len() == 1) {
            let lane = pool.lanes.start;
            if let Some(room) = self.room(lane).filter(|room| room.alone == alone) {
                lanes.push(lane);
                queues.push((self.lanes[lane].queue.clone(), room.jobs));
            }
        }
        let most = queues.iter().map(|(_, n)| n).sum();
        (most > 0).then(|| Ask { request: self.request(queues, most, alone), lanes, split: None })
    }

    /// The lanes of a group in the order in which they are to be asked now. Among weights, one
    /// of unknown speed comes first: it shares with the others as soon as it is known.
    pub(super) fn order(&self, pool: &Pool) -> VecDeque<usize> {
        let mut order = pool.order();
        if pool.is_weighted() {
            order.sort_by_key(|lane| self.pace(*lane) != 0);
        }
        order.into()
    }

    /// For a group of several queues: the next of those `left`, and with it whichever follow
    /// it that have as much room. Asked one after the other, because what one gives another
    /// has no room for any more.
    pub(super) fn next_ask(&self, pool: usize, left: &mut VecDeque<usize>) -> Option<Ask> {
        let mut room = None;
        while room.is_none() {
            room = self.room(*left.front()?);
            if room.is_none() {
                left.pop_front();
            }
        }
        let room = room?;
        let mut lanes = Vec::new();
        while let Some(next) = left.front().copied() {
            let same = |r: Room| r.most == room.most && r.alone == room.alone;
            if !self.room(next).is_some_and(same) {
                break;
            }
            lanes.push(next);
            left.pop_front();
        }
        let queue = |lane: &usize| self.lanes[*lane].queue.clone();
        let all = lanes.iter().map(|lane| (queue(lane), room.jobs));
        let cost = PERMIT / room.most as u64 * self.health.pools[pool].permits.size() as u64;
        let split = self.health.pools[pool].split(&lanes, room.jobs, cost);
        let queues = match &split {
            None => all.collect(),
            // First each its share, then whoever holds more what the others left.
            Some(split) => {
                let shares = lanes.iter().zip(split).map(|(lane, n)| (queue(lane), *n));
                shares.filter(|(_, n)| *n > 0).chain(all).collect()
            }
        };
        let request = self.request(queues, room.jobs, room.alone);
        Some(Ask { request, lanes, split: split.map(|split| (split, cost)) })
    }

    fn request(&self, queues: Vec<(String, usize)>, most: usize, alone: bool) -> LeaseRequest {
        let ttl_ms = self.settings.lease.as_millis() as i64;
        LeaseRequest { worker: self.health.id.clone(), queues, most, alone, ttl_ms }
    }

    /// The free permits, and for fast jobs some milliseconds more. What the other queues of
    /// the group hold counts by the share of its own fill that each has reached: so a flood
    /// of fast jobs leaves room for a slow one, and slow ones that hold every permit leave
    /// none for fast ones to wait behind them.
    fn room(&self, number: usize) -> Option<Room> {
        let lane = &self.lanes[number];
        let pool = &self.health.pools[lane.pool];
        let permits = pool.permits.size();
        let others: f64 =
            pool.lanes.clone().filter(|other| *other != number).map(|n| self.fill(n, permits)).sum();
        let (most, ahead) = self.reach(number, permits);
        // A hair more, because sums of such shares may fall short of the whole.
        let taken = (most as f64 * others + 1e-6) as usize;
        let jobs = most.saturating_sub(lane.inside.load(Ordering::SeqCst) + taken);
        // A full pipeline is refilled in large bites: many small leases cost more.
        let bite = if ahead == 0 { 1 } else { most.div_ceil(4).min(MAX_LEASE) };
        let pace = self.pace(number);
        let alone = !lane.gathers && (pace == 0 || pace > SLOW_NS);
        (jobs >= bite).then_some(Room { jobs: jobs.min(MAX_LEASE), most, alone })
    }

    fn fill(&self, number: usize, permits: usize) -> f64 {
        let inside = self.lanes[number].inside.load(Ordering::SeqCst);
        inside as f64 / self.reach(number, permits).0 as f64
    }

    /// How many jobs a lane alone may hold with these permits, and how many of them ahead.
    fn reach(&self, number: usize, permits: usize) -> (usize, usize) {
        let ahead = AHEAD_NS.checked_div(self.pace(number)).unwrap_or(0) as usize * permits;
        ((permits + ahead).min(permits.max(WINDOW)), ahead)
    }

    /// What a job of the lane takes, in nanoseconds; 0 while unknown. Fast queues of a group
    /// with weights go by the slowest of them: then they are asked, and get their shares,
    /// together.
    fn pace(&self, number: usize) -> u64 {
        let of = |n: usize| self.lanes[n].speed.load(Ordering::Relaxed);
        let pool = &self.health.pools[self.lanes[number].pool];
        match of(number) {
            own @ 1..=SLOW_NS if pool.is_weighted() => {
                pool.lanes.clone().map(of).filter(|speed| *speed <= SLOW_NS).max().unwrap_or(own)
            }
            own => own,
        }
    }
}
