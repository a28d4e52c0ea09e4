//! What the end-to-end tests share: real processes with their output, conditions with a
//! deadline, private servers.
//!
//! Every process is started in a group of its own and killed, with its children, when its
//! handle is dropped.

mod browser;
pub mod fuzz;
mod postgres;
mod process;
pub mod proxy;
pub mod runnerly;
pub mod shim;
pub mod sqlite;
pub mod storm;
pub mod totalq;
pub mod world;
pub mod zones;

pub use browser::Browser;
pub use postgres::Postgres;
pub use process::{Done, Process, Program, binary};

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// The recordings of real runs, where this machine has them.
pub fn recordings() -> Option<PathBuf> {
    let at = root().join("../shared/strava");
    at.join("strava-activities-1132.jsonl").exists().then_some(at)
}

/// A port of loopback that was free a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).map_or(0, |a| a.port())
}

/// Polls a condition until it yields something; panics with `what` after `limit`.
pub async fn until<T>(what: &str, limit: Duration, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = condition().await {
            return found;
        }
        assert!(started.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// Waits for a span of time: for the test whose fault is that time passes.
pub async fn passed(span: Duration) {
    let started = Instant::now();
    until("time passes", span + Duration::from_secs(5), || async {
        (started.elapsed() >= span).then_some(())
    })
    .await;
}

/// Says visibly that a test was skipped, or fails it where everything must be there.
pub fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "missing under CI: {why}");
    eprintln!("skipped: {why}");
}

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
