//! What was kept long enough is forgotten.

use crate::backend::Backend;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(5);
const STEP: usize = 500;

pub(super) async fn daemon(backend: &dyn Backend) {
    loop {
        tokio::time::sleep(EVERY).await;
        loop {
            match backend.prune(STEP).await {
                Ok(gone) if gone >= STEP => tokio::task::yield_now().await,
                Ok(_) => break,
                Err(e) => {
                    tracing::debug!(error = %e, "no pruning; trying again");
                    break;
                }
            }
        }
    }
}
