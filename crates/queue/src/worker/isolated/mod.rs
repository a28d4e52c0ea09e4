//! Handlers in processes of their own, for work that blocks, leaks or crashes.
//!
//! The worker starts its own program again, which builds the same worker; `start` notices
//! that it is a child (an environment variable names its parent) and serves jobs instead of
//! leasing them. What the two say to each other are frames, four bytes of length and JSON, on
//! a socket pair that is the child's standard input: nothing that a handler prints gets in
//! between. `parent` is one end, `child` the other.
//!
//! The parent alone talks of leases: progress, steps and cursors are relayed to it and pass
//! its fence. A child ends when the socket closes, so that none outlives its parent.

mod child;
mod frames;
mod parent;

pub use child::is_child;
pub(super) use child::serve;
#[cfg(feature = "testing")]
pub(crate) use frames::fuzz;
pub(super) use parent::Children;

use super::Context;
use super::builder::Worker;
use super::context::Inner;
use super::handler::Handler;
use super::steps::Told;
use crate::backend::{Fut, Note, Settled};
use crate::{Failure, Job};
use std::ffi::OsString;
use std::pin::Pin;

/// Names the parent of a child process.
const PARENT: &str = "LEGWORK_PARENT";

/// How child processes are started, and when one is replaced by a fresh one.
///
/// ```
/// let often = legwork::Isolation { recycle_after_jobs: Some(100), ..Default::default() };
/// assert_eq!(often.recycle_above_bytes, None);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Isolation {
    /// The arguments of a child; those of this process unless said.
    pub args: Option<Vec<OsString>>,
    /// A child that has run so many jobs is replaced.
    pub recycle_after_jobs: Option<u64>,
    /// A child whose memory is larger than this after a job is replaced (Linux only).
    pub recycle_above_bytes: Option<u64>,
}

/// What former attempts have left, or what becomes of the job because it cannot be read.
pub(super) type Asked<'a> = Pin<Box<dyn Future<Output = Result<Told, Failure>> + Send + 'a>>;

/// What a context in a child asks of its parent.
pub(super) trait Relay: Send + Sync {
    fn note<'a>(&'a self, note: &'a Note) -> Fut<'a, Settled>;
    fn told(&self) -> Asked<'_>;
}

impl<S: Clone + Send + Sync + 'static> Worker<S> {
    /// Adds a handler that runs in a child process: this very program, started again. It may
    /// block, leak, abort or run out of memory, and harms no other job: a child that dies is
    /// charged to its job as a crash (`max_crashes`), and one that does not end in time is
    /// killed. Children are reused, as many as jobs run at a time. Unix only.
    ///
    /// The child runs `main` up to [`Worker::start`], which then does not return: what comes
    /// before it happens in every child; [`crate::is_child`] tells. The handler's state and
    /// client are the child's own. Else as [`Worker::handle`].
    ///
    /// ```no_run
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Convert { file: String }
    /// # impl Job for Convert { const NAME: &'static str = "convert"; type Output = (); }
    /// async fn convert(job: Convert, _: Context<()>) -> Result<(), Failure> {
    ///     # let _ = job;
    ///     Ok(()) // whatever a C library may do to a process
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// let jobs = Client::connect("redis://localhost").await?;
    /// Worker::new(jobs, ()).handle_isolated(convert).run_until(shutdown_signal()).await
    /// # }
    /// ```
    pub fn handle_isolated<J, F, Fut>(self, handler: F) -> Worker<S>
    where
        J: Job,
        F: Fn(J, Context<S>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<J::Output, Failure>> + Send + 'static,
    {
        let handler = Handler::new::<J, F, Fut>(handler).isolated::<J>(self.children.clone());
        self.add::<J>(handler)
    }

    /// How the processes of [`Worker::handle_isolated`] are started and replaced.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Convert { file: String }
    /// # impl Job for Convert { const NAME: &'static str = "convert"; type Output = (); }
    /// # async fn convert(_: Convert, _: Context<()>) -> Result<(), Failure> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let small = Isolation { recycle_above_bytes: Some(512 << 20), ..Isolation::default() };
    /// let worker = Worker::new(jobs, ()).handle_isolated(convert).queue("default", 4).isolation(small);
    /// worker.run_until(async {}).await?;
    /// # Ok(()) }
    /// ```
    pub fn isolation(self, isolation: Isolation) -> Worker<S> {
        self.children.set(isolation);
        self
    }
}

impl Inner {
    pub(super) fn relay(&self) -> Option<&dyn Relay> {
        self.relay.as_deref()
    }
}
