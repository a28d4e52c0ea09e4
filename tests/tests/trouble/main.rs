//! Backends in trouble: memory and disks that are full, servers that load, are demoted, forget
//! scripts or answer nobody, rights that are gone, power that fails, clocks that step. Real
//! servers and real workers; what ran is read from the ledger outside the system.

mod clocks;
mod disk;
mod many;
mod memory;
mod network;
mod power;
mod replies;
mod rights;
mod schedules;

use std::time::Duration;

/// Longer than two leases of the workers in these tests.
const TWO_LEASES: Duration = Duration::from_millis(2_200);
/// For what takes no time worth mentioning on a machine that is not busy.
const SOON: Duration = Duration::from_secs(20);

/// A client that gives up at once, to see what a caller without patience sees.
async fn impatient(url: &str) -> legwork::Client {
    let options = legwork::ClientOptions { patience: Duration::ZERO, ..Default::default() };
    legwork::Client::connect_with(url, options).await.expect("the queue opens")
}

/// The environment of a process, borrowed.
fn pairs(env: &[(String, String)]) -> Vec<(&str, &str)> {
    env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}
