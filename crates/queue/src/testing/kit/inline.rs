//! Inline mode: what is enqueued runs before the enqueue is answered.

use super::{Shared, TestKit};
use crate::{Client, Error, Result};
use std::pin::Pin;
use std::sync::{Arc, Weak};

/// Jobs that enqueue jobs, inside one another, go no deeper than this.
const DEEPEST: usize = 16;

tokio::task_local! {
    /// How many jobs of a kit run inside one another on this task.
    static DEPTH: usize;
}

pub(super) fn depth() -> usize {
    DEPTH.try_with(|depth| *depth).unwrap_or(0)
}

/// Runs a future one deeper.
pub(super) async fn deeper<F: Future>(work: F) -> F::Output {
    DEPTH.scope(depth() + 1, work).await
}

/// What is done around an enqueue.
pub(crate) trait Around: Send + Sync {
    /// May refuse it.
    fn before(&self) -> Result<()>;
    /// Before it is answered.
    fn after(&self) -> Pin<Box<dyn Future<Output = Result<()>> + Send + '_>>;
}

struct Inline(Weak<Shared>);

impl Around for Inline {
    fn before(&self) -> Result<()> {
        if depth() < DEEPEST {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "inline: jobs have enqueued jobs {DEEPEST} deep; does one enqueue itself?"
        )))
    }

    fn after(&self) -> Pin<Box<dyn Future<Output = Result<()>> + Send + '_>> {
        Box::pin(async move {
            match self.0.upgrade() {
                Some(shared) => shared.run(None, usize::MAX).await.map(drop),
                None => Ok(()),
            }
        })
    }
}

pub(super) fn surround(client: &Client, shared: &Arc<Shared>) {
    client.surround(Arc::new(Inline(Arc::downgrade(shared))));
}

impl TestKit {
    /// From here on every enqueue is answered when what is available has run: also those of
    /// handlers, inside one another, 16 deep at most (a deeper one is refused). What waits
    /// for an instant waits for [`TestKit::advance`].
    ///
    /// ```
    /// # use legwork::{*, testing::TestKit}; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Half { of: u32 }
    /// # impl Job for Half { const NAME: &'static str = "half"; type Output = u32; }
    /// # async fn half(job: Half, _: Context<()>) -> Result<u32, Failure> { Ok(job.of / 2) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// let kit = TestKit::new().await.worker(|jobs| Worker::new(jobs, ()).handle(half)).inline();
    /// let id = kit.client().enqueue(Half { of: 8 }).await?.id;
    /// assert_eq!(kit.client().job(id).await?.unwrap().state, State::Succeeded);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn inline(self) -> TestKit {
        if self.shared.inline.set(()).is_ok() {
            self.shared.surround_all();
        }
        self
    }
}
