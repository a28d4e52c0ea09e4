//! Natural batching: whatever is enqueued while a call is in flight rides in the next.

use crate::backend::{Backend, EnqueueBatch, Enqueued, Guard, NewJob};
use crate::error::DOUBT;
use crate::{Error, Result};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, mpsc, oneshot};

/// At most this many jobs in one call to the backend.
pub(crate) const MAX_BATCH: usize = 1_000;
/// So many calls are in flight at a time, each in a lane of its own: while one is answered the
/// next is written. More would make the batches smaller.
const LANES: usize = 2;

struct Order {
    jobs: Vec<NewJob>,
    answer: oneshot::Sender<Result<Vec<Enqueued>>>,
}

/// What waits to be sent. One lane at a time takes from it.
struct Inbox {
    orders: mpsc::Receiver<Order>,
    /// Had no room in the last batch, and begins the next.
    held: Option<Order>,
}

/// The tasks that send, and the channel to them.
pub(crate) struct Driver {
    orders: mpsc::Sender<Order>,
}

impl Driver {
    /// Starts the tasks on the current runtime; they end when the driver is dropped.
    pub(crate) fn start(backend: Arc<dyn Backend>, patience: Duration) -> Driver {
        let (orders, inbox) = mpsc::channel(MAX_BATCH);
        let inbox = Arc::new(Mutex::new(Inbox { orders: inbox, held: None }));
        for _ in 0..LANES {
            tokio::spawn(drive(backend.clone(), patience, inbox.clone()));
        }
        Driver { orders }
    }

    /// Enqueues up to [`MAX_BATCH`] jobs in one atomic step.
    pub(crate) async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>> {
        self.order(jobs).await?.await.map_err(|_| gone())?
    }

    async fn order(&self, jobs: Vec<NewJob>) -> Result<oneshot::Receiver<Result<Vec<Enqueued>>>> {
        let (answer, answered) = oneshot::channel();
        self.orders.send(Order { jobs, answer }).await.map_err(|_| gone())?;
        Ok(answered)
    }
}

/// As [`Driver::enqueue`], each job by the driver of its shard: a step in each.
pub(crate) async fn spread(
    drivers: &[Driver],
    backend: &dyn Backend,
    jobs: Vec<NewJob>,
) -> Result<Vec<Enqueued>> {
    let total = jobs.len();
    let mut parts: Vec<(Vec<usize>, Vec<NewJob>)> = drivers.iter().map(|_| Default::default()).collect();
    for (number, job) in jobs.into_iter().enumerate() {
        let e = &job.envelope;
        let shard = backend.place(e).unwrap_or_else(|| e.id.shard(drivers.len() as u8));
        let (numbers, mine) = &mut parts[usize::from(shard)];
        numbers.push(number);
        mine.push(job);
    }
    let mut sent = Vec::new();
    for (driver, (numbers, mine)) in drivers.iter().zip(parts).filter(|(_, (_, jobs))| !jobs.is_empty()) {
        sent.push((numbers, driver.order(mine).await?));
    }
    // All are under way before the first is waited for.
    let mut all = vec![None; total];
    for (numbers, answered) in sent {
        let answers = answered.await.map_err(|_| gone())??;
        numbers.into_iter().zip(answers).for_each(|(number, answer)| all[number] = Some(answer));
    }
    Ok(all.into_iter().flatten().collect())
}

fn gone() -> Error {
    Error::unavailable("the runtime on which the client was made has ended")
}

impl Inbox {
    /// What rides in the next call: whatever waits, at least one; none when the driver is gone.
    async fn batch(&mut self) -> Option<Vec<Order>> {
        let first = match self.held.take() {
            Some(order) => order,
            None => self.orders.recv().await?,
        };
        let mut size = first.jobs.len();
        let mut orders = vec![first];
        while size < MAX_BATCH {
            let Ok(order) = self.orders.try_recv() else { break };
            if size + order.jobs.len() > MAX_BATCH {
                self.held = Some(order);
                break;
            }
            size += order.jobs.len();
            orders.push(order);
        }
        Some(orders)
    }
}

async fn drive(backend: Arc<dyn Backend>, patience: Duration, inbox: Arc<Mutex<Inbox>>) {
    let lane = crate::JobId::new().to_string();
    let mut seq = 0;
    loop {
        let Some(orders) = inbox.lock().await.batch().await else { return };
        seq += 1;
        let Some(orders) = send(&*backend, patience, &lane, seq, orders).await else {
            continue;
        };
        // A queue is full: only those whose jobs it is to take are refused.
        for order in orders {
            seq += 1;
            send(&*backend, patience, &lane, seq, vec![order]).await;
        }
    }
}

/// Sends orders in one call; gives them back where the call was refused and they may fare
/// better one by one.
async fn send(
    backend: &dyn Backend,
    patience: Duration,
    lane: &str,
    seq: u64,
    mut orders: Vec<Order>,
) -> Option<Vec<Order>> {
    let sizes: Vec<usize> = orders.iter().map(|order| order.jobs.len()).collect();
    let mut jobs = std::mem::take(&mut orders[0].jobs);
    jobs.reserve_exact(sizes[1..].iter().sum());
    orders[1..].iter_mut().for_each(|order| jobs.append(&mut order.jobs));
    let batch = EnqueueBatch { lane: lane.into(), seq, jobs, guard: Guard::None, flow: None };
    let mut tries = 0;
    let answer = patiently(patience, || {
        tries += 1;
        backend.enqueue(&batch)
    });
    let answer = match answer.await {
        // A try before this one may have taken the jobs in: where the server refuses the whole call
        // (out of memory, a right that is gone), it has not looked whether that is so. Sent again under
        // another number they could be there twice.
        Err(e) if tries > 1 && e.is_refused() => Err(Error::unavailable(format!("{e}{DOUBT}"))),
        answer => answer,
    };
    match answer {
        Ok(all) => {
            let mut all = all.jobs().into_iter();
            for (order, count) in orders.into_iter().zip(sizes) {
                // A caller that stopped waiting still has its job enqueued.
                let _ = order.answer.send(Ok(all.by_ref().take(count).collect()));
            }
        }
        Err(e) if e.is_refused() && orders.len() > 1 => {
            let mut jobs = batch.jobs.into_iter();
            for (order, count) in orders.iter_mut().zip(sizes) {
                order.jobs = jobs.by_ref().take(count).collect();
            }
            return Some(orders);
        }
        Err(e) => {
            for order in orders {
                let _ = order.answer.send(Err(e.again()));
            }
        }
    }
    None
}

/// Repeats a call that is safe to repeat while the backend does not answer.
pub(crate) async fn patiently<'a, T>(
    patience: Duration,
    call: impl FnMut() -> crate::backend::Fut<'a, T>,
) -> Result<T> {
    repeatedly(patience, Error::is_unavailable, call).await
}

/// As [`patiently`], also while the backend takes no writes: for what a worker has to say,
/// which is not lost because a disk is full for a while.
pub(crate) async fn persistently<'a, T>(
    patience: Duration,
    call: impl FnMut() -> crate::backend::Fut<'a, T>,
) -> Result<T> {
    repeatedly(patience, Error::is_passing, call).await
}

async fn repeatedly<'a, T>(
    patience: Duration,
    again: fn(&Error) -> bool,
    mut call: impl FnMut() -> crate::backend::Fut<'a, T>,
) -> Result<T> {
    let started = Instant::now();
    let mut wait = Duration::from_millis(20);
    loop {
        match call().await {
            Err(e) if again(&e) && started.elapsed().saturating_add(wait) < patience => {
                tracing::warn!(error = %e, "the backend does not answer; trying again");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(Duration::from_millis(250));
            }
            other => return other,
        }
    }
}
