//! What keeps a namespace in order: `promote` makes due jobs available, `reap` takes back
//! expired leases, `prune` forgets what was kept long enough. Every worker runs all three;
//! any number may, each step is atomic.

mod promote;
mod prune;
mod reap;

use crate::backend::Backend;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Runs the three daemons until `stop`. `lease` is the namespace's usual lease: what an
/// outage adds to every lease.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
/// # let jobs = legwork::Client::connect("sqlite::memory:").await?;
/// let stop = tokio_util::sync::CancellationToken::new();
/// let lease = std::time::Duration::from_secs(15);
/// let daemons = tokio::spawn(legwork::maintain::run(jobs.backend().clone(), lease, stop.clone()));
/// stop.cancel();
/// daemons.await.unwrap();
/// # Ok(()) }
/// ```
pub async fn run(backend: Arc<dyn Backend>, lease: Duration, stop: CancellationToken) {
    let all = async {
        tokio::join!(promote::daemon(&*backend), reap::daemon(&*backend, lease), prune::daemon(&*backend));
    };
    stop.run_until_cancelled(all).await;
}
