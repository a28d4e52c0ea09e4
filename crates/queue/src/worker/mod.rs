//! The pool that runs handlers. `builder` starts it and `running` answers for it. One
//! daemon, one file: `lease` asks for jobs, `run` is the life of one job, `settle` ends
//! leases in batches, `heartbeat` renews them from a thread of its own
//! and `watch` looks from there after what runs, `shutdown` says when.

mod ask;
mod batch;
mod blocking;
mod builder;
mod context;
mod group;
mod handler;
mod heartbeat;
mod held;
mod hold;
#[cfg(feature = "testing")]
mod inline;
#[cfg(unix)]
mod isolated;
mod lease;
#[cfg(all(test, feature = "testing"))]
mod lease_tests;
mod permits;
mod run;
mod running;
mod settle;
mod share;
mod shutdown;
mod span;
mod steps;
mod stopping;
mod terms;
mod watch;

pub use batch::{BatchContext, BatchOptions};
pub use builder::Worker;
pub use context::Context;
pub use group::Group;
pub(crate) use group::check_permits;
#[cfg(feature = "testing")]
pub(crate) use inline::{Attempted, Inline};
#[cfg(all(unix, feature = "testing"))]
pub(crate) use isolated::fuzz as fuzz_frames;
#[cfg(unix)]
pub use isolated::{Isolation, is_child};
pub use running::Running;
pub use shutdown::shutdown_signal;
pub use stopping::StopReason;

use crate::Client;
use crate::backend::{Backend, WorkerView};
use blocking::Threads;
use handler::Handler;
use held::Held;
use running::Health;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How a worker keeps time.
#[derive(Debug, Clone, Copy)]
struct Settings {
    lease: Duration,
    drain: Duration,
    beat: Duration,
    poll: Duration,
    maintain: bool,
    /// How many permits of a queue may be replaced; as many as it has where none is said.
    max_stuck: Option<usize>,
}

/// Everything that the daemons of one worker share.
struct Engine<S> {
    client: Client,
    backend: Arc<dyn Backend>,
    state: S,
    handlers: HashMap<String, Handler<S>>,
    lanes: Arc<[Lane]>,
    held: Arc<Held>,
    settles: mpsc::Sender<settle::Done>,
    health: Arc<Health>,
    settings: Settings,
    /// No more leases. Behind a pointer, because every context has it: a clone of the token
    /// itself takes a lock that all share.
    stop: Arc<CancellationToken>,
    /// Drop what still runs and hand it back.
    abort: CancellationToken,
    /// Threads for handlers that block.
    threads: Arc<Threads>,
}

/// An engine that stands still, the end of the settler's channel, and what it shows of itself.
type Prepared<S> = (Arc<Engine<S>>, mpsc::Receiver<settle::Done>, WorkerView);

/// One queue of this worker.
struct Lane {
    queue: String,
    /// The group it belongs to, by its number.
    pool: usize,
    /// Whether all its handlers take several jobs: then jobs share leases however slow they
    /// are, because a crash could not be charged to one of them anyway.
    gathers: bool,
    /// Jobs leased and not yet settled, and those that are asked for while others are under way.
    inside: AtomicUsize,
    /// Moving average of a run in nanoseconds; 0 while unknown.
    speed: AtomicU64,
    /// Handlers that block their thread and were given up.
    stuck: AtomicUsize,
}

impl Lane {
    fn new(queue: &str, pool: usize, gathers: bool) -> Lane {
        Lane {
            queue: queue.into(),
            pool,
            gathers,
            inside: AtomicUsize::new(0),
            speed: AtomicU64::new(0),
            stuck: AtomicUsize::new(0),
        }
    }

    /// Takes a run's duration into the moving average.
    fn ran(&self, took: Duration) {
        let new = (took.as_nanos() as u64).max(1);
        let old = self.speed.load(Ordering::Relaxed);
        self.speed.store(if old == 0 { new } else { (old * 7 + new) / 8 }, Ordering::Relaxed);
    }
}

/// State shared by the mutex of a daemon that panicked is still good: every critical
/// section here leaves it whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
