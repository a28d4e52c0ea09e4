//! Threads for handlers that block: a pool of their own, so that they stand in nobody's way.

use super::builder::Worker;
use super::handler::Handler;
use super::{Context, lock};
use crate::{Error, Failure, Job};
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;
use tokio::sync::oneshot;

/// A thread that has had nothing to do for so long ends.
const IDLE: Duration = Duration::from_secs(10);

type Task = Box<dyn FnOnce() + Send>;

/// The pool of one worker; it ends with the last handler that uses it.
pub(super) struct Threads(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    /// In order; a task whose attempt is over does nothing.
    waiting: VecDeque<Task>,
    /// How many may work at a time.
    size: usize,
    threads: usize,
    idle: usize,
    /// Threads whose attempt is over and that have not come back; others work in their place,
    /// up to as many again.
    stuck: usize,
    closed: bool,
}

impl State {
    fn room(&self) -> bool {
        self.threads < self.size + self.stuck.min(self.size)
    }
}

/// One task, seen from the attempt that waits for it.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Waits,
    Runs,
    /// Its attempt is over.
    Abandoned,
    Done,
}

/// Dropped with the attempt: nobody waits any more.
struct Attempt {
    shared: Arc<Shared>,
    phase: Arc<Mutex<Phase>>,
}

impl Threads {
    pub(super) fn new() -> Threads {
        Threads(Arc::default())
    }

    pub(super) fn resize(&self, size: usize) {
        lock(&self.0.state).size = size;
    }

    pub(super) fn stuck(&self) -> usize {
        lock(&self.0.state).stuck
    }

    /// Runs work on a thread of the pool. When the future is dropped, work that has not
    /// begun does not begin, and a thread that works on is replaced.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (answer, answered) = oneshot::channel();
        let attempt = Attempt { shared: self.0.clone(), phase: Arc::default() };
        let (shared, phase) = (self.0.clone(), attempt.phase.clone());
        let task = move || {
            if !enter(&phase) {
                return;
            }
            let said = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            leave(&shared, &phase);
            let _ = answer.send(said.unwrap_or_else(|panic| Err(crate::failure::panicked(&*panic))));
        };
        self.0.submit(Box::new(task))?;
        let said = answered.await.unwrap_or_else(|_| Err(Failure::retry("the worker's threads have ended")));
        drop(attempt);
        said
    }
}

/// The thread takes up the task: false when its attempt is over.
fn enter(phase: &Mutex<Phase>) -> bool {
    let mut phase = lock(phase);
    let waits = *phase == Phase::Waits;
    if waits {
        *phase = Phase::Runs;
    }
    waits
}

fn leave(shared: &Shared, phase: &Mutex<Phase>) {
    let was = std::mem::replace(&mut *lock(phase), Phase::Done);
    if was == Phase::Abandoned {
        lock(&shared.state).stuck -= 1;
        tracing::warn!("a handler that blocked its thread has ended; what it said is not heard");
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let mut phase = lock(&self.phase);
        if matches!(*phase, Phase::Runs | Phase::Waits) {
            let runs = *phase == Phase::Runs;
            *phase = Phase::Abandoned;
            // Counted under the task's lock, so that its end comes after.
            if runs {
                lock(&self.shared.state).stuck += 1;
                crate::measure::count!("legwork_stuck_total", 1, "queue" => "");
                let _ = self.shared.submit(Box::new(|| {}));
            }
        }
    }
}

impl Shared {
    fn submit(self: &Arc<Shared>, task: Task) -> Result<(), Failure> {
        let mut state = lock(&self.state);
        state.waiting.push_back(task);
        if state.idle >= state.waiting.len() || !state.room() {
            self.work.notify_one();
            return Ok(());
        }
        let shared = self.clone();
        let thread = std::thread::Builder::new().name("legwork-blocking".into());
        match thread.spawn(move || shared.serve()) {
            Ok(_) => state.threads += 1,
            // Whoever works takes it up later.
            Err(e) if state.threads > 0 => tracing::warn!(error = %e, "no more threads to block"),
            Err(e) => {
                state.waiting.pop_back();
                return Err(Failure::retry(format!("no thread for a handler that blocks: {e}")));
            }
        }
        Ok(())
    }

    fn serve(&self) {
        let mut state = lock(&self.state);
        loop {
            // One too many: a stuck thread has come back.
            let spare = state.threads > state.size + state.stuck.min(state.size);
            if let Some(task) = state.waiting.pop_front() {
                drop(state);
                task();
                state = lock(&self.state);
                continue;
            }
            if state.closed || spare {
                break;
            }
            state.idle += 1;
            let (next, waited) =
                self.work.wait_timeout(state, IDLE).unwrap_or_else(std::sync::PoisonError::into_inner);
            state = next;
            state.idle -= 1;
            if waited.timed_out() && state.waiting.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        lock(&self.0.state).closed = true;
        self.0.work.notify_all();
    }
}

/// Wakes a thread that waits for a future.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Unpark>) {
        self.0.unpark();
    }
}

impl<S> Context<S> {
    /// Waits for a future in a handler that blocks ([`Worker::handle_blocking`]), such as
    /// those of this context and its client. In an async handler use `.await`: this blocks
    /// the thread.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Crunch;
    /// # impl Job for Crunch { const NAME: &'static str = "crunch"; type Output = (); }
    /// fn crunch(_: Crunch, cx: Context<()>) -> Result<(), Failure> {
    ///     cx.block_on(cx.progress(0.5, "halfway"))?;
    ///     Ok(())
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # let worker = Worker::new(jobs.clone(), ()).handle_blocking(crunch).start().await?;
    /// # let id = jobs.enqueue(Crunch).await?.id;
    /// # jobs.wait::<Crunch>(id).await?;
    /// # worker.stop().await; Ok(()) }
    /// ```
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut future = pin!(future);
        loop {
            match future.as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
                Poll::Ready(output) => return output,
                Poll::Pending => std::thread::park(),
            }
        }
    }
}

impl<S: Clone + Send + Sync + 'static> Worker<S> {
    /// Adds a handler that blocks: a plain function, run on a pool of threads of its own, so
    /// that it stands in the way of no async handler. It cannot be dropped: it looks at
    /// [`Context::is_cancelled`] now and then. If it does not end in time its job is settled
    /// without it, and its thread is replaced until it comes back. Else as [`Worker::handle`].
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Crunch { upto: u64 }
    /// # impl Job for Crunch { const NAME: &'static str = "crunch"; type Output = u64; }
    /// fn crunch(job: Crunch, cx: Context<()>) -> Result<u64, Failure> {
    ///     let mut sum = 0;
    ///     for n in 0..=job.upto {
    ///         cx.check()?;
    ///         sum += n;
    ///     }
    ///     Ok(sum)
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let worker = Worker::new(jobs.clone(), ()).handle_blocking(crunch).start().await?;
    /// let id = jobs.enqueue(Crunch { upto: 10 }).await?.id;
    /// assert_eq!(jobs.wait::<Crunch>(id).await?, 55);
    /// # worker.stop().await; Ok(()) }
    /// ```
    pub fn handle_blocking<J, F>(self, handler: F) -> Worker<S>
    where
        J: Job,
        F: Fn(J, Context<S>) -> Result<J::Output, Failure> + Send + Sync + 'static,
    {
        let handler = Handler::blocking::<J, F>(handler, self.threads.clone());
        self.add::<J>(handler)
    }

    /// How many threads there are for handlers that block (1 to 10,000; as many as the worker
    /// has permits at its start, unless said). They are started when they are needed; a job that waits
    /// for one uses up its own time. A number out of range fails the start.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Crunch { upto: u64 }
    /// # impl Job for Crunch { const NAME: &'static str = "crunch"; type Output = u64; }
    /// # fn crunch(job: Crunch, _: Context<()>) -> Result<u64, Failure> { Ok((0..=job.upto).sum()) }
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let worker = Worker::new(jobs, ()).handle_blocking(crunch).queue("default", 16).blocking_threads(4);
    /// worker.run_until(async {}).await?;
    /// # Ok(()) }
    /// ```
    pub fn blocking_threads(mut self, threads: usize) -> Worker<S> {
        if !(1..=10_000).contains(&threads) {
            let line = format!("blocking threads: {threads} is not 1 to 10000");
            self.mistake.get_or_insert(Error::invalid(line));
        }
        self.blocking = Some(threads);
        self
    }
}
