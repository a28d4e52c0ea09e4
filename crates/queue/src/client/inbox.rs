//! What waits to be enqueued, and who sends it: a lane that is free, or the caller himself.

use crate::backend::{Enqueued, NewJob};
use crate::{Error, JobId, Result};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use tokio::sync::{Semaphore, oneshot};

/// At most this many jobs in one call to the backend.
pub(crate) const MAX_BATCH: usize = 1_000;
/// So many calls of tasks are in flight at a time, each in a lane of its own: while one is
/// answered the next is written. More would make the batches smaller.
pub(super) const LANES: usize = 2;

/// The answers to the jobs of an order, when they come.
pub(super) type Answered = oneshot::Receiver<Result<Vec<Enqueued>>>;

/// Jobs that are enqueued in one step, and who waits for the answers.
pub(super) struct Order {
    pub(super) jobs: Vec<NewJob>,
    pub(super) answer: oneshot::Sender<Result<Vec<Enqueued>>>,
}

/// Calls one after the other, each with a number of its own.
pub(super) struct Lane {
    pub(super) name: String,
    pub(super) seq: u64,
}

impl Lane {
    pub(super) fn new() -> Lane {
        Lane { name: JobId::new().to_string(), seq: 0 }
    }
}

/// Where callers leave their orders for the tasks that send.
pub(super) struct Inbox {
    state: Mutex<State>,
    /// For more orders: while nobody answers, callers come and give up.
    room: Semaphore,
}

struct State {
    orders: VecDeque<Order>,
    /// Of the tasks that wait for an order.
    asleep: [Option<Waker>; LANES],
    /// A task has been woken and nobody has taken anything since: it will take what comes.
    woken: bool,
    /// Tasks that have not ended.
    alive: usize,
    /// The lane of a caller who sends himself; none while one does.
    own: Option<Lane>,
    /// Nobody calls any more.
    closed: bool,
}

impl Inbox {
    pub(super) fn new() -> Inbox {
        let state = State {
            orders: VecDeque::new(),
            asleep: Default::default(),
            woken: false,
            alive: LANES,
            own: Some(Lane::new()),
            closed: false,
        };
        Inbox { state: Mutex::new(state), room: Semaphore::new(MAX_BATCH) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A lane for a caller who sends himself, while nothing else waits or is in flight. It is to be
    /// given [back](Inbox::back).
    pub(super) fn own(&self) -> Option<Lane> {
        let mut state = self.lock();
        // A task that has ended never wakes again, so that this says as well that all are alive.
        let quiet = state.orders.is_empty() && state.asleep.iter().all(Option::is_some);
        state.own.take_if(|_| quiet)
    }

    pub(super) fn back(&self, lane: Lane) {
        self.lock().own = Some(lane);
    }

    /// Leaves an order, once there is room.
    pub(super) async fn put(&self, jobs: Vec<NewJob>) -> Result<Answered> {
        self.room.acquire().await.map_err(|_| gone())?.forget();
        let (answer, answered) = oneshot::channel();
        let mut state = self.lock();
        if state.alive == 0 {
            return Err(gone());
        }
        state.orders.push_back(Order { jobs, answer });
        let task = state.next();
        drop(state);
        task.into_iter().for_each(Waker::wake);
        Ok(answered)
    }

    /// What rides in the next call of this task: whatever waits, at least one; none when nobody
    /// calls any more.
    pub(super) async fn batch(&self, task: usize) -> Option<Vec<Order>> {
        std::future::poll_fn(|cx| {
            let mut state = self.lock();
            state.asleep[task] = None;
            let (taken, next) = (state.take(), state.next());
            if taken.is_empty() && !state.closed {
                state.asleep[task] = Some(cx.waker().clone());
                return Poll::Pending;
            }
            drop(state);
            self.room.add_permits(taken.len());
            next.into_iter().for_each(Waker::wake);
            Poll::Ready((!taken.is_empty()).then_some(taken))
        })
        .await
    }

    /// Lets the tasks send what waits, and end.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let all = std::mem::take(&mut state.asleep);
        drop(state);
        all.into_iter().flatten().for_each(Waker::wake);
    }

    /// A task has ended, mostly with its runtime. After the last one nothing is sent, and who
    /// waits hears of it.
    pub(super) fn ended(&self, task: usize) {
        let mut state = self.lock();
        state.alive -= 1;
        state.asleep[task] = None;
        // It may have been the one that was woken.
        state.woken = false;
        let next = state.next();
        let mut lost = VecDeque::new();
        if state.alive == 0 {
            self.room.close();
            lost = std::mem::take(&mut state.orders);
        }
        drop(state);
        drop(lost);
        next.into_iter().for_each(Waker::wake);
    }
}

impl State {
    /// What fits into one call.
    fn take(&mut self) -> Vec<Order> {
        self.woken = false;
        let (mut size, mut count) = (0, 0);
        while let Some(order) = self.orders.get(count)
            && (count == 0 || size + order.jobs.len() <= MAX_BATCH)
        {
            size += order.jobs.len();
            count += 1;
        }
        self.orders.drain(..count).collect()
    }

    /// The task to be woken for what waits, where none has been.
    fn next(&mut self) -> Option<Waker> {
        if self.woken || self.orders.is_empty() {
            return None;
        }
        let task = self.asleep.iter_mut().find_map(Option::take);
        self.woken = task.is_some();
        task
    }
}

pub(super) fn gone() -> Error {
    Error::unavailable("the runtime on which the client was made has ended")
}
