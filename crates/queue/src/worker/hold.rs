//! One held job: why it must end, if it must, and who settles it.

use super::lock;
use super::terms::Terms;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Shared by the job's own task, its context, and the watch on the heartbeat's thread.
#[derive(Default)]
pub(super) struct Hold {
    /// Its place in its batch.
    pub(super) place: usize,
    ended: OnceLock<CancellationToken>,
    why: AtomicU8,
    ended_at: OnceLock<Instant>,
    acknowledged: AtomicBool,
    terms: OnceLock<Terms>,
    owner: Mutex<Owner>,
}

/// Why a running job is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) enum Why {
    /// The lease is gone, as the backend said: somebody else may run it by now.
    Lost,
    /// The lease is over by this worker's own clock, and the backend cannot be asked: it
    /// may have granted one more, and then the job is handed back.
    Overdue,
    /// It was called off.
    Cancelled,
    /// Its time is over.
    Timeout,
}

/// Who settles a job: the first that takes it, and nobody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Owner {
    #[default]
    Nobody,
    /// Its own task, in the normal course.
    Life,
    /// The watch, because its task is stuck; whether its permit was replaced.
    Watch { replaced: bool },
}

impl Hold {
    pub(super) fn at(place: usize) -> Hold {
        Hold { place, ..Hold::default() }
    }

    /// Fires when the job must end. Made for the first that waits for it: most jobs are over
    /// before anybody does.
    pub(super) fn ended(&self) -> &CancellationToken {
        self.ended.get_or_init(CancellationToken::new)
    }

    pub(super) fn end(&self, why: Why) {
        let code = match why {
            Why::Lost => 1,
            Why::Overdue => 2,
            Why::Cancelled => 3,
            Why::Timeout => 4,
        };
        // A lost lease outranks all: nothing may be settled any more. A timeout outranks
        // nothing: who was called off meanwhile is not to be tried again.
        let new = |old| (old != 1 && (old == 0 || code != 4)).then_some(code);
        self.why.fetch_update(Ordering::SeqCst, Ordering::SeqCst, new).ok();
        self.ended_at.get_or_init(Instant::now);
        self.ended().cancel();
    }

    pub(super) fn why(&self) -> Option<Why> {
        match self.why.load(Ordering::SeqCst) {
            0 => None,
            1 => Some(Why::Lost),
            2 => Some(Why::Overdue),
            3 => Some(Why::Cancelled),
            _ => Some(Why::Timeout),
        }
    }

    /// Whether the handler may tidy up, or is to be dropped at once.
    pub(super) fn has_grace(&self) -> bool {
        matches!(self.why(), Some(Why::Cancelled | Why::Timeout))
    }

    /// Says under which terms the attempt begins.
    pub(super) fn begin(&self, terms: Terms) -> &Terms {
        self.terms.get_or_init(|| terms)
    }

    pub(super) fn terms(&self) -> Option<&Terms> {
        self.terms.get()
    }

    /// Whether the backend knows that this worker has seen the request to cancel.
    pub(super) fn is_acknowledged(&self) -> bool {
        self.acknowledged.load(Ordering::Relaxed)
    }

    pub(super) fn acknowledge(&self) {
        self.acknowledged.store(true, Ordering::Relaxed);
    }

    /// The job's own task has come to its end: whether it is still the one to settle.
    pub(super) fn claim(&self) -> Result<(), Stuck> {
        let mut owner = lock(&self.owner);
        match *owner {
            Owner::Watch { replaced } => Err(Stuck { replaced }),
            _ => {
                *owner = Owner::Life;
                Ok(())
            }
        }
    }

    /// Takes the job from a task that is stuck; `replace` says, before anybody else can
    /// see it, whether there is another permit. None where the task was faster.
    pub(super) fn take_over(&self, replace: impl FnOnce() -> bool) -> Option<bool> {
        let mut owner = lock(&self.owner);
        if *owner != Owner::Nobody {
            return None;
        }
        let replaced = replace();
        *owner = Owner::Watch { replaced };
        Some(replaced)
    }

    /// Whether the attempt should have ended, at the latest `margin` before now, and nobody
    /// has settled it.
    pub(super) fn overrun(&self, now: Instant, abort: Option<Instant>, margin: Duration) -> bool {
        let Some(terms) = self.terms.get() else { return false };
        let limit = terms.timeout.and_then(|t| terms.since.checked_add(t)?.checked_add(terms.grace));
        let grace = if self.has_grace() { terms.grace } else { Duration::ZERO };
        let ended = self.ended_at.get().and_then(|at| at.checked_add(grace));
        let due = [limit, ended, abort].into_iter().flatten().min();
        let over = due.and_then(|due| due.checked_add(margin)).is_some_and(|at| at <= now);
        over && *lock(&self.owner) == Owner::Nobody
    }
}

/// The watch has settled the job already.
pub(super) struct Stuck {
    pub(super) replaced: bool,
}
