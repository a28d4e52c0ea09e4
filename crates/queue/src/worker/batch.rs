//! Micro-batches: jobs of one name gathered for one call of their handler. Each stays a job
//! of its own, with its lease, permit, attempt and outcome; only the call is shared.

use super::handler::{Handler, decode, definition, encode};
use super::{Context, Worker};
use crate::failure::panicked;
use crate::middleware::Run;
use crate::{Client, Envelope, Error, Failure, Job};
use serde_json::value::RawValue;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;
use tracing::Instrument;

/// How jobs are gathered; see [`Worker::handle_batch`].
///
/// ```
/// use legwork::BatchOptions;
/// let options = BatchOptions { size: 100, wait: std::time::Duration::from_millis(500) };
/// # let _ = options;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchOptions {
    /// So many make a batch, 1 to 1,000. Each member holds a permit, so that the group of
    /// the queue needs at least as many.
    pub size: usize,
    /// The first waits no longer than this for others, up to a minute.
    pub wait: Duration,
}

/// What a batch handler is told beside its payloads.
///
/// ```
/// # use legwork::*; use serde::{Serialize, Deserialize};
/// # #[derive(Serialize, Deserialize)] struct Index(u64);
/// # impl Job for Index { const NAME: &'static str = "index"; type Output = u64; }
/// async fn index(all: Vec<Index>, cx: BatchContext<&'static str>) -> Result<Vec<Result<u64, Failure>>, Failure> {
///     assert_eq!((*cx.state(), cx.jobs().len()), ("state", all.len()));
///     Ok(all.iter().map(|job| Ok(job.0 * 2)).collect())
/// }
/// ```
pub struct BatchContext<S = ()> {
    state: S,
    jobs: Vec<Context<S>>,
}

impl<S> BatchContext<S> {
    /// The state given to [`Worker::new`]; shown with [`BatchContext`].
    pub fn state(&self) -> &S {
        &self.state
    }

    /// The context of each member, in the order of the payloads: its id, attempt, token,
    /// whether it is called off; shown with [`BatchContext`].
    pub fn jobs(&self) -> &[Context<S>] {
        &self.jobs
    }

    /// The client, to enqueue what follows.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Index(u64);
    /// # impl Job for Index { const NAME: &'static str = "index"; type Output = (); }
    /// async fn index(all: Vec<Index>, cx: BatchContext) -> Result<Vec<Result<(), Failure>>, Failure> {
    ///     cx.client().enqueue_raw("index.refresh", "{}").await?;
    ///     Ok(all.iter().map(|_| Ok(())).collect())
    /// }
    /// ```
    pub fn client(&self) -> &Client {
        self.jobs[0].client()
    }
}

type Said = Result<Option<Box<RawValue>>, Failure>;
type Outcomes<O> = Result<Vec<Result<O, Failure>>, Failure>;
type Running<O> = Pin<Box<dyn Future<Output = Outcomes<O>> + Send>>;

struct Member<J, S> {
    job: J,
    cx: Context<S>,
    tell: oneshot::Sender<Said>,
}

/// Where the jobs of one name wait for each other.
struct Gather<J: Job, S> {
    options: BatchOptions,
    waiting: Mutex<Waiting<J, S>>,
    #[allow(clippy::type_complexity)]
    handler: Box<dyn Fn(Vec<J>, BatchContext<S>) -> Running<J::Output> + Send + Sync>,
}

struct Waiting<J, S> {
    members: Vec<Member<J, S>>,
    /// Rises with every batch that leaves, so that a timer knows its own.
    round: u64,
}

impl<S: Clone + Send + Sync + 'static> Worker<S> {
    /// Adds a handler that takes several jobs of a name in one call: as many as come within
    /// `wait` of the first, `size` at most. It returns one outcome a job, in order; an error
    /// of the whole call, a panic, or a wrong number of outcomes is the failure of each.
    /// Beside that every member is a job as any other: with its permit, attempt, retries and
    /// timeout (which counts the gathering in). One that is called off or loses its lease
    /// leaves the others alone.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize}; use std::time::Duration;
    /// # #[derive(Serialize, Deserialize)] struct Index(u64);
    /// # impl Job for Index { const NAME: &'static str = "index"; type Output = usize; }
    /// async fn index(all: Vec<Index>, _: BatchContext) -> Result<Vec<Result<usize, Failure>>, Failure> {
    ///     Ok(all.iter().map(|_| Ok(all.len())).collect())
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let ids = jobs.enqueue_many((0..10).map(Index)).await?;
    /// let options = BatchOptions { size: 10, wait: Duration::from_secs(5) };
    /// let worker = Worker::new(jobs.clone(), ()).handle_batch(options, index).start().await?;
    /// assert_eq!(jobs.wait::<Index>(ids[3].id).await?, 10);
    /// # worker.stop().await; Ok(()) }
    /// ```
    pub fn handle_batch<J, F, Fut>(mut self, options: BatchOptions, handler: F) -> Worker<S>
    where
        J: Job,
        F: Fn(Vec<J>, BatchContext<S>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<Result<J::Output, Failure>>, Failure>> + Send + 'static,
    {
        if !(1..=1_000).contains(&options.size) {
            let line = format!("batch size of {}: {} is not 1 to 1000", J::NAME, options.size);
            self.mistake.get_or_insert(Error::invalid(line));
        }
        if options.wait > Duration::from_secs(60) {
            let line = format!("batch wait of {}: {:?} is more than a minute", J::NAME, options.wait);
            self.mistake.get_or_insert(Error::invalid(line));
        }
        let gather = Arc::new(Gather::<J, S> {
            options,
            waiting: Mutex::new(Waiting { members: Vec::new(), round: 0 }),
            handler: Box::new(move |jobs, cx| Box::pin(handler(jobs, cx))),
        });
        let call = move |envelope: &Envelope, cx: Context<S>| {
            let (job, gather) = (decode::<J>(envelope)?, gather.clone());
            Ok(Box::pin(async move { gather.join(job, cx).await }) as Run<'static>)
        };
        let mut handler = Handler::of(definition::<J>(), Arc::new(call));
        handler.batch = Some(options.size);
        self.add::<J>(handler)
    }
}

impl<J: Job, S: Clone + Send + Sync + 'static> Gather<J, S> {
    /// Waits with the others, and for what the handler says of this one. Whoever is dropped
    /// meanwhile (called off, out of time, its lease lost) is simply gone.
    async fn join(self: Arc<Self>, job: J, cx: Context<S>) -> Said {
        let (tell, mut said) = oneshot::channel();
        let stopping = cx.stopping().clone();
        let round = self.add(Member { job, cx, tell });
        let waits = || super::lock(&self.waiting).round == round;
        let leave = async {
            stopping.cancelled().await;
            if !waits() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            said = &mut said => said.unwrap_or_else(|_| Err(Failure::hand_back())),
            () = leave => Err(Failure::hand_back()),
        }
    }

    /// Adds a member; the round of the batch that it belongs to.
    fn add(self: &Arc<Self>, member: Member<J, S>) -> u64 {
        let mut waiting = super::lock(&self.waiting);
        if member.cx.inner.suspect {
            // It may take its process down, and nobody else's attempt with it.
            self.clone().call(vec![member]);
            return u64::MAX;
        }
        waiting.members.retain(|member| !member.tell.is_closed());
        waiting.members.push(member);
        let round = waiting.round;
        if waiting.members.len() >= self.options.size {
            waiting.round += 1;
            let all = std::mem::take(&mut waiting.members);
            self.clone().call(all);
        } else if waiting.members.len() == 1 {
            let gather = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(gather.options.wait).await;
                gather.flush(round);
            });
        }
        round
    }

    fn flush(self: &Arc<Self>, round: u64) {
        let mut waiting = super::lock(&self.waiting);
        let stops = waiting.members.first().is_some_and(|m| m.cx.stopping().is_cancelled());
        if waiting.round == round && !stops {
            waiting.round += 1;
            let all = std::mem::take(&mut waiting.members);
            self.clone().call(all);
        }
    }

    /// Calls the handler for those who are still there, on a task of its own: it ends with
    /// the last of them.
    fn call(self: Arc<Self>, mut members: Vec<Member<J, S>>) {
        members.retain(|member| !member.tell.is_closed());
        let Some(first) = members.first() else { return };
        let state = first.cx.state.clone();
        let span = tracing::error_span!("batch", name = J::NAME, jobs = members.len());
        let (mut jobs, mut cxs, mut tells) = (Vec::new(), Vec::new(), Vec::new());
        for Member { job, cx, tell } in members {
            jobs.push(job);
            cxs.push(cx);
            tells.push(tell);
        }
        let run = async move {
            let cx = BatchContext { state, jobs: cxs };
            // Called within the task, so that a panic before the first wait is caught as well.
            let mut running = tokio::spawn(async move { (self.handler)(jobs, cx).await }.in_current_span());
            let deserted = async {
                for tell in &mut tells {
                    tell.closed().await;
                }
            };
            let ended = tokio::select! {
                biased;
                ended = &mut running => ended,
                () = deserted => {
                    running.abort();
                    return;
                }
            };
            let said = match ended {
                Ok(said) => share::<J>(said, tells.len()),
                Err(e) if e.is_panic() => each(&panicked(&*e.into_panic()), tells.len()),
                Err(_) => each(&Failure::hand_back(), tells.len()),
            };
            for (tell, said) in tells.into_iter().zip(said) {
                // Whoever has left meanwhile is somebody else's by now, or called off.
                let _ = tell.send(said);
            }
        };
        tokio::spawn(run.instrument(span));
    }
}

/// What the call said, for each member.
fn share<J: Job>(said: Outcomes<J::Output>, members: usize) -> Vec<Said> {
    match said {
        Ok(all) if all.len() == members => {
            all.into_iter().map(|one| one.and_then(|output| encode::<J>(&output))).collect()
        }
        Ok(all) => {
            let line =
                format!("the batch handler of {} gave {} outcomes for {members} jobs", J::NAME, all.len());
            each(&Failure::retry(line), members)
        }
        Err(failure) => each(&failure, members),
    }
}

fn each(failure: &Failure, members: usize) -> Vec<Said> {
    let copy = || Failure { verdict: failure.verdict, message: failure.message.clone() };
    (0..members).map(|_| Err(copy())).collect()
}
