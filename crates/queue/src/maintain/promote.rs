//! Due jobs become available.

use crate::backend::Backend;
use std::time::Duration;

/// At most this many in one step, so that no script runs long.
const STEP: usize = 250;
/// A job enqueued with a shorter delay than the present wait is at most this late.
const LONGEST: Duration = Duration::from_millis(250);

pub(super) async fn daemon(backend: &dyn Backend) {
    loop {
        let mut wait = LONGEST;
        match backend.promote(STEP).await {
            Ok(promoted) if promoted.count >= STEP => wait = Duration::ZERO,
            Ok(promoted) => {
                if let (Some(next), Ok(now)) = (promoted.next_ms, backend.now().await) {
                    wait = wait.min(Duration::from_millis((next - now).max(1) as u64));
                }
            }
            Err(e) => {
                tracing::debug!(error = %e, "no promotion; trying again");
                wait = Duration::from_secs(1);
            }
        }
        tokio::time::sleep(wait).await;
    }
}
