//! Natural batching: whatever is enqueued while a call is in flight rides in the next. Where
//! none is, the caller sends himself.

use super::inbox::{Answered, Inbox, LANES, Lane, Order, gone};
use crate::backend::{Backend, EnqueueBatch, Enqueued, Guard, NewJob, Taken};
use crate::error::DOUBT;
use crate::{Error, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

pub(crate) use super::inbox::MAX_BATCH;

/// The tasks that send, and what they are to send.
pub(crate) struct Driver(Arc<Shared>);

struct Shared {
    backend: Arc<dyn Backend>,
    patience: Duration,
    inbox: Inbox,
    /// The one that the tasks run on.
    runtime: Handle,
}

impl Driver {
    /// Starts the tasks on the current runtime; they end when the driver is dropped.
    pub(crate) fn start(backend: Arc<dyn Backend>, patience: Duration) -> Driver {
        let shared = Arc::new(Shared { backend, patience, inbox: Inbox::new(), runtime: Handle::current() });
        for number in 0..LANES {
            tokio::spawn(drive(Task { shared: shared.clone(), number }));
        }
        Driver(shared)
    }

    /// Enqueues up to [`MAX_BATCH`] jobs in one atomic step.
    pub(crate) async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>> {
        let shared = &self.0;
        // What a call waits for is made on the runtime of whoever waits: a connection that another
        // has made would end with that.
        let here = Handle::try_current().is_ok_and(|runtime| runtime.id() == shared.runtime.id());
        if let Some(lane) = here.then(|| shared.inbox.own()).flatten() {
            let sending = Some(Box::pin(alone(shared.clone(), lane, jobs)));
            return Finished { sending, runtime: &shared.runtime }.await;
        }
        self.order(jobs).await?.await.map_err(|_| gone())?
    }

    async fn order(&self, jobs: Vec<NewJob>) -> Result<Answered> {
        self.0.inbox.put(jobs).await
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.inbox.close();
    }
}

/// One of the tasks; however it ends, that is known.
struct Task {
    shared: Arc<Shared>,
    number: usize,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.shared.inbox.ended(self.number);
    }
}

/// A call in its caller's task. A caller that stops waiting still has its job enqueued: the
/// call goes on in a task of its own.
struct Finished<'a, F: Future<Output: Send> + Send + 'static> {
    sending: Option<Pin<Box<F>>>,
    runtime: &'a Handle,
}

impl<F: Future<Output: Send> + Send + 'static> Future for Finished<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // Taken out, so that one which dies is not gone on with.
        let Some(mut sending) = self.sending.take() else { return Poll::Pending };
        let answer = sending.as_mut().poll(cx);
        if answer.is_pending() {
            self.sending = Some(sending);
        }
        answer
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for Finished<'_, F> {
    fn drop(&mut self) {
        if let Some(sending) = self.sending.take() {
            self.runtime.spawn(sending);
        }
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

/// A call of the caller's own.
async fn alone(shared: Arc<Shared>, mut lane: Lane, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>> {
    let (answer, _) = call(&shared, &mut lane, jobs).await;
    shared.inbox.back(lane);
    answer
}

async fn drive(task: Task) {
    let (shared, mut lane) = (&task.shared, Lane::new());
    while let Some(orders) = shared.inbox.batch(task.number).await {
        let Some(orders) = send(shared, &mut lane, orders).await else {
            continue;
        };
        // A queue is full: only those whose jobs it is to take are refused.
        for order in orders {
            send(shared, &mut lane, vec![order]).await;
        }
    }
}

/// Sends orders in one call; gives them back where the call was refused and they may fare
/// better one by one.
async fn send(shared: &Shared, lane: &mut Lane, mut orders: Vec<Order>) -> Option<Vec<Order>> {
    let sizes: Vec<usize> = orders.iter().map(|order| order.jobs.len()).collect();
    let mut jobs = std::mem::take(&mut orders[0].jobs);
    jobs.reserve_exact(sizes[1..].iter().sum());
    orders[1..].iter_mut().for_each(|order| jobs.append(&mut order.jobs));
    match call(shared, lane, jobs).await {
        (Ok(all), _) => {
            let mut all = all.into_iter();
            for (order, count) in orders.into_iter().zip(sizes) {
                // A caller that stopped waiting still has its job enqueued.
                let _ = order.answer.send(Ok(all.by_ref().take(count).collect()));
            }
        }
        (Err(e), jobs) if e.is_refused() && orders.len() > 1 => {
            let mut jobs = jobs.into_iter();
            for (order, count) in orders.iter_mut().zip(sizes) {
                order.jobs = jobs.by_ref().take(count).collect();
            }
            return Some(orders);
        }
        (Err(e), _) => {
            for order in orders {
                let _ = order.answer.send(Err(e.again()));
            }
        }
    }
    None
}

/// The next call of a lane, and the jobs back.
async fn call(shared: &Shared, lane: &mut Lane, jobs: Vec<NewJob>) -> (Result<Vec<Enqueued>>, Vec<NewJob>) {
    lane.seq += 1;
    let batch = EnqueueBatch { lane: lane.name.clone(), seq: lane.seq, jobs, guard: Guard::None, flow: None };
    let mut tries = 0;
    let answer = patiently(shared.patience, || {
        tries += 1;
        shared.backend.enqueue(&batch)
    });
    let answer = match answer.await {
        // A try before this one may have taken the jobs in: where the server refuses the whole call
        // (out of memory, a right that is gone), it has not looked whether that is so. Sent again under
        // another number they could be there twice.
        Err(e) if tries > 1 && e.is_refused() => Err(Error::unavailable(format!("{e}{DOUBT}"))),
        answer => answer.map(Taken::jobs),
    };
    (answer, batch.jobs)
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

#[cfg(all(test, feature = "testing", feature = "sqlite"))]
mod tests {
    use super::*;
    use crate::backend::sqlite::Sqlite;
    use crate::testing::faulty::{Fault, FaultyBackend};
    use crate::{Client, ClientOptions, Clock};
    use std::future::IntoFuture;

    /// A client whose first call takes a while, and is to be sent by its caller.
    async fn slow_at_first() -> (Client, Arc<FaultyBackend>) {
        let sqlite = Arc::new(Sqlite::connect("sqlite::memory:", Clock::Backend).await.unwrap());
        let wait = Fault::Delay(Duration::from_millis(20));
        let backend = Arc::new(FaultyBackend::new(sqlite).nth("enqueue", 1, wait));
        let client = Client::over(backend.clone(), ClientOptions::default());
        let inbox = &client.inner.drivers[0].0.inbox;
        while inbox.own().map(|lane| inbox.back(lane)).is_none() {
            tokio::task::yield_now().await;
        }
        (client, backend)
    }

    async fn waiting(client: &Client) -> u64 {
        client.queues().await.unwrap().iter().map(|queue| queue.count(crate::State::Available)).sum()
    }

    #[tokio::test]
    async fn a_caller_who_sends_himself_and_gives_up_has_his_job_all_the_same() {
        let (client, _) = slow_at_first().await;
        let mut call = client.enqueue_raw("a.job", "{}").into_future();
        tokio::select! { biased; _ = &mut call => panic!("not at once"), () = std::future::ready(()) => {} }
        let inbox = &client.inner.drivers[0].0.inbox;
        assert!(inbox.own().is_none(), "he has the lane");
        // Whoever comes meanwhile waits for nobody.
        assert!(client.enqueue_raw("a.job", "{}").await.unwrap().created);
        assert_eq!(waiting(&client).await, 1);
        drop(call);
        let deadline = Instant::now() + Duration::from_secs(10);
        while waiting(&client).await < 2 || inbox.own().map(|lane| inbox.back(lane)).is_none() {
            assert!(Instant::now() < deadline, "the call has not gone on, or keeps its lane");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn who_comes_while_a_call_is_in_flight_rides_in_the_next() {
        let (client, backend) = slow_at_first().await;
        let one = |_| client.enqueue_raw("a.job", "{}").into_future();
        let crowd: tokio::task::JoinSet<_> = (0..2 * MAX_BATCH + 501).map(one).collect();
        assert!(crowd.join_all().await.into_iter().all(|receipt| receipt.unwrap().created));
        assert_eq!(backend.calls("enqueue"), 4, "the first alone, the others in as few as hold them");
        assert_eq!(waiting(&client).await, 2_501);
    }

    #[test]
    fn a_runtime_that_has_ended_is_named() {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (first, second) = (runtime(), runtime());
        let (client, _) = first.block_on(slow_at_first());
        let mut before = client.enqueue_raw("a.job", "{}").into_future();
        let errors = second.block_on(async {
            tokio::select! { biased; _ = &mut before => panic!("not at once"), () = std::future::ready(()) => {} }
            first.shutdown_background();
            [before.await.unwrap_err(), client.enqueue_raw("a.job", "{}").await.unwrap_err()]
        });
        for error in errors {
            assert!(error.to_string().contains("has ended"), "{error}");
        }
    }
}
