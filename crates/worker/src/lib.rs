//! Runnerly's handlers, wired to a Legwork worker: one job, one file.

mod everybody;
mod import;
mod limits;
mod metrics;
mod news;
mod running;
mod stats;
mod streams;
mod sync;
mod token;

pub use metrics::{Recorder, serve_health};
pub use running::{Running, start};

use legwork::Worker;
use runnerly::app::App;
use runnerly::jobs::STRAVA;

/// How many jobs run at a time.
///
/// ```
/// let concurrency = runnerly_worker::Concurrency { strava: 2, default: 4 };
/// # let _ = concurrency;
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Concurrency {
    /// Of those that call Strava.
    pub strava: usize,
    /// Of all others.
    pub default: usize,
}

impl Default for Concurrency {
    fn default() -> Concurrency {
        Concurrency { strava: 4, default: 8 }
    }
}

/// A worker that handles all of Runnerly's jobs.
fn worker(app: App, concurrency: Concurrency) -> Worker<App> {
    Worker::new(app.jobs.clone(), app)
        .handle(sync::sync)
        .handle(streams::fetch)
        .handle(stats::compute)
        .handle(token::refresh)
        .handle(import::import)
        .handle(everybody::sync_everybody)
        .handle(everybody::compute_everybody)
        .handle(news::tell)
        .handle(news::stats)
        .handle(news::plan)
        .handle(news::notify)
        .queue(STRAVA, concurrency.strava)
        .queue("default", concurrency.default)
}
