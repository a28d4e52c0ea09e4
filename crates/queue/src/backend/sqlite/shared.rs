//! What the writers of one file share within a process: a worker's heartbeat has one of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How often the emptying of the log is tried, and at the least where readers hold it up: each
/// try makes all writers wait.
const EMPTY_EVERY: Duration = Duration::from_secs(30);
const EMPTY_RARELY: Duration = Duration::from_secs(600);

/// How long, in milliseconds, writers of this process have waited for the lock of a file or
/// held it, at the most since the last sweep. A process that is stopped amid a transaction
/// holds up everybody's renewals; and when it goes on, its own sweep comes first.
pub(super) type Stalls = Arc<AtomicI64>;

#[derive(Default)]
pub(super) struct Shared {
    pub(super) stalls: Stalls,
    emptying: Mutex<Emptying>,
}

/// When the log may be emptied next.
#[derive(Default)]
struct Emptying {
    next: Option<Instant>,
    held_up: u32,
}

impl Shared {
    /// The one of a file; in memory each has its own.
    pub(super) fn of(file: Option<&Path>) -> Arc<Shared> {
        static ALL: Mutex<BTreeMap<PathBuf, Weak<Shared>>> = Mutex::new(BTreeMap::new());
        let Some(file) = file else { return Arc::default() };
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, shared| shared.strong_count() > 0);
        if let Some(known) = all.get(file).and_then(Weak::upgrade) {
            return known;
        }
        let new = Arc::default();
        all.insert(file.into(), Arc::downgrade(&new));
        new
    }

    /// Whether the log is to be emptied now: by one of them, and not again for a while.
    pub(super) fn may_empty(&self, now: Instant) -> bool {
        let mut emptying = self.emptying.lock().unwrap_or_else(PoisonError::into_inner);
        if emptying.next.is_some_and(|next| now < next) {
            return false;
        }
        emptying.next = Some(now + EMPTY_EVERY);
        true
    }

    /// What came of it: somebody reads, and the next try comes after twice as long; or nobody does.
    pub(super) fn emptied(&self, now: Instant, held_up: bool) {
        let mut emptying = self.emptying.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = EMPTY_EVERY * 2_u32.pow(emptying.held_up);
        emptying.held_up = if held_up { (emptying.held_up + 1).min(5) } else { 0 };
        emptying.next = Some(now + if held_up { wait.min(EMPTY_RARELY) } else { EMPTY_EVERY });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_of_a_file_empty_its_log_in_turns_and_ever_more_rarely() {
        let (one, other) = (Shared::of(Some(Path::new("/a"))), Shared::of(Some(Path::new("/a"))));
        assert!(!Arc::ptr_eq(&one, &Shared::of(Some(Path::new("/b")))));
        let (mut now, mut waits) = (Instant::now(), Vec::new());
        for _ in 0..7 {
            assert!(one.may_empty(now) && !other.may_empty(now), "one of them");
            one.emptied(now, true);
            let begun = now;
            while !other.may_empty(now) {
                now += Duration::from_secs(10);
            }
            waits.push((now - begun).as_secs());
            now += EMPTY_RARELY;
        }
        assert_eq!(waits, [30, 60, 120, 240, 480, 600, 600]);
        assert!(one.may_empty(now));
        one.emptied(now, false);
        assert!(!other.may_empty(now + EMPTY_EVERY - Duration::from_secs(1)));
        assert!(other.may_empty(now + EMPTY_EVERY), "nobody reads any more");
    }
}
