//! The simulation's own time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

/// A clock with an origin and a speed.
///
/// At speed 900 a rate limit window of 15 minutes turns every second. Clones
/// share the jumps made by [`SimClock::advance`].
///
/// ```
/// use std::time::Duration;
/// use strava_sim::SimClock;
///
/// let clock = SimClock::at("2026-01-31T08:00:00Z".parse().unwrap(), 1.0);
/// clock.advance(Duration::from_secs(6 * 3600));
/// assert!(clock.now().to_rfc3339().starts_with("2026-01-31T14:00:0"));
/// ```
#[derive(Clone, Debug)]
pub struct SimClock {
    origin: DateTime<Utc>,
    started: Instant,
    speed: f64,
    jumped_ms: Arc<AtomicI64>,
}

impl SimClock {
    /// The real time, running `speed` times as fast from now on (1.0 = real).
    #[must_use]
    pub fn real(speed: f64) -> Self {
        Self::at(Utc::now(), speed)
    }

    /// Starts at `origin` and runs `speed` times as fast as real time.
    ///
    /// A speed that is not a finite number of 0 or more counts as 1; 0 stands still.
    #[must_use]
    pub fn at(origin: DateTime<Utc>, speed: f64) -> Self {
        let speed = if speed.is_finite() && speed >= 0.0 { speed } else { 1.0 };
        Self { origin, started: Instant::now(), speed, jumped_ms: Arc::default() }
    }

    /// The simulation's present.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        let run_ms = self.started.elapsed().as_secs_f64() * 1000.0 * self.speed;
        let ms = (run_ms as i64).saturating_add(self.jumped_ms.load(Ordering::Relaxed));
        TimeDelta::try_milliseconds(ms)
            .and_then(|run| self.origin.checked_add_signed(run))
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// Jumps ahead by `by` of simulated time.
    pub fn advance(&self, by: Duration) {
        let by_ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        let add = |now: i64| Some(now.saturating_add(by_ms));
        // The closure never declines, so the update cannot fail.
        let _ = self.jumped_ms.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// The present in epoch seconds.
    pub(crate) fn epoch(&self) -> i64 {
        self.now().timestamp()
    }

    /// The present in the format of the HTTP `Date` header.
    pub(crate) fn http_date(&self) -> String {
        self.now().format("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }
}

impl Default for SimClock {
    fn default() -> Self {
        Self::real(1.0)
    }
}
