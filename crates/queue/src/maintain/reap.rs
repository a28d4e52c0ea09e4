//! Expired leases are taken back.

use crate::State;
use crate::backend::Backend;
use crate::measure::count;
use std::time::Duration;

/// A dead worker's jobs run again within a lease and this.
const SWEEP: Duration = Duration::from_secs(2);
/// At most this many batches in one step.
const STEP: usize = 100;

pub(super) async fn daemon(backend: &dyn Backend, lease: Duration) {
    let every = SWEEP.min(lease / 3);
    // Whether the backend could not be reached, or took no writes, at the last try: then
    // nobody could renew, and nobody is charged for it.
    let mut outage = false;
    loop {
        tokio::time::sleep(every).await;
        loop {
            match backend.reap(STEP, outage, lease.as_millis() as i64).await {
                Ok(reaped) => {
                    outage = false;
                    for job in &reaped {
                        count!("legwork_leases_reaped_total", 1);
                        match job.state {
                            State::Discarded => {
                                tracing::error!(id = %job.id, crashes = job.crashes, "took its worker down too often; discarded")
                            }
                            _ => {
                                tracing::warn!(id = %job.id, crashes = job.crashes, state = %job.state, "its worker was lost; taken back")
                            }
                        }
                    }
                    if reaped.is_empty() {
                        break;
                    }
                }
                Err(e) => {
                    outage |= e.is_passing();
                    tracing::debug!(error = %e, "no sweep; trying again");
                    break;
                }
            }
        }
    }
}
