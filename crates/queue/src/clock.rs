//! Where the time of decisions comes from: the backend, or a test's hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// The source of the time by which the backend decides.
///
/// ```
/// use legwork::{Clock, ManualClock};
/// let hand = ManualClock::new(1_000);
/// let clock = Clock::Manual(hand.clone());
/// hand.advance(std::time::Duration::from_secs(2));
/// assert_eq!(clock.manual_ms(), Some(3_000));
/// ```
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The backend's own time: `TIME` of Redis, the system clock beside SQLite.
    #[default]
    Backend,
    /// A test moves the time. Redis accepts it only in a namespace made for testing.
    Manual(ManualClock),
}

impl Clock {
    /// The time of a manual clock in milliseconds since the Unix epoch.
    ///
    /// ```
    /// assert_eq!(legwork::Clock::Backend.manual_ms(), None);
    /// ```
    pub fn manual_ms(&self) -> Option<i64> {
        match self {
            Clock::Backend => None,
            Clock::Manual(hand) => Some(hand.now_ms()),
        }
    }
}

/// A clock that moves only when it is told to. Clones share one hand.
///
/// ```
/// let clock = legwork::ManualClock::new(5);
/// assert_eq!(clock.now_ms(), 5);
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that stands at this many milliseconds since the Unix epoch.
    ///
    /// ```
    /// let clock = legwork::ManualClock::new(1_700_000_000_000);
    /// # let _ = clock;
    /// ```
    pub fn new(ms: i64) -> ManualClock {
        ManualClock(Arc::new(AtomicI64::new(ms)))
    }

    /// Moves the hand forward.
    ///
    /// ```
    /// let clock = legwork::ManualClock::new(0);
    /// clock.advance(std::time::Duration::from_millis(7));
    /// assert_eq!(clock.now_ms(), 7);
    /// ```
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as i64, Ordering::SeqCst);
    }

    /// Moves the hand back, as the clock of a server that was wrong.
    ///
    /// ```
    /// let clock = legwork::ManualClock::new(9);
    /// clock.set_back(std::time::Duration::from_millis(7));
    /// assert_eq!(clock.now_ms(), 2);
    /// ```
    pub fn set_back(&self, by: Duration) {
        self.0.fetch_sub(by.as_millis() as i64, Ordering::SeqCst);
    }

    /// Where the hand stands, in milliseconds since the Unix epoch.
    ///
    /// ```
    /// assert_eq!(legwork::ManualClock::new(9).now_ms(), 9);
    /// ```
    pub fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// The system's time in milliseconds since the Unix epoch.
pub(crate) fn system_ms() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}

/// A span in whole milliseconds, a hundred years at most, so that it can be added to any
/// instant.
pub(crate) fn span_ms(span: std::time::Duration) -> i64 {
    const LONGEST: i64 = 100 * 366 * 86_400_000;
    i64::try_from(span.as_millis()).unwrap_or(LONGEST).min(LONGEST)
}
