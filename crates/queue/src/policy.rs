//! How a job is to be run: attempts, backoff, timeout, retention.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a finished job stays inspectable.
///
/// ```
/// use legwork::Keep;
/// assert_eq!(Keep::For(std::time::Duration::from_secs(1)).as_ms(), 1_000);
/// assert_eq!(Keep::None.as_ms(), 0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// Gone at once (a caller that waits for it still gets its result).
    None,
    /// Kept this long, and at most 10,000 per queue and state.
    For(Duration),
}

impl Keep {
    /// Milliseconds; 0 for [`Keep::None`].
    ///
    /// ```
    /// assert_eq!(legwork::Keep::None.as_ms(), 0);
    /// ```
    pub fn as_ms(self) -> i64 {
        match self {
            Keep::None => 0,
            Keep::For(d) => crate::clock::span_ms(d),
        }
    }
}

/// Exponential backoff with jitter: the n-th retry waits `base · factor^(n-1)`, at most
/// `max`, of which a random share of up to `jitter` is taken off.
///
/// ```
/// use legwork::Backoff;
/// use std::time::Duration;
/// let backoff = Backoff { jitter: 0.0, ..Backoff::default() };
/// assert_eq!(backoff.delay(1, 0.5), Duration::from_secs(1));
/// assert_eq!(backoff.delay(3, 0.5), Duration::from_secs(4));
/// assert_eq!(backoff.delay(60, 0.5), Duration::from_secs(600));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Backoff {
    /// The first wait.
    pub base: Duration,
    /// What each further wait is multiplied by; at least 1.
    pub factor: f64,
    /// The longest wait.
    pub max: Duration,
    /// The share of a wait, 0 to 1, that chance may take off.
    pub jitter: f64,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff { base: Duration::from_secs(1), factor: 2.0, max: Duration::from_secs(600), jitter: 0.25 }
    }
}

impl Backoff {
    /// The same wait each time, without jitter.
    ///
    /// ```
    /// use std::time::Duration;
    /// let second = Duration::from_secs(1);
    /// assert_eq!(legwork::Backoff::fixed(second).delay(9, 0.3), second);
    /// ```
    pub fn fixed(wait: Duration) -> Backoff {
        Backoff { base: wait, factor: 1.0, max: wait, jitter: 0.0 }
    }

    /// The wait before the retry that follows the `failed`-th failed attempt (1 for the
    /// first). `chance` is a random number from 0 to 1.
    ///
    /// ```
    /// let wait = legwork::Backoff::default().delay(2, 1.0);
    /// assert_eq!(wait, std::time::Duration::from_millis(1_500));
    /// ```
    pub fn delay(&self, failed: u32, chance: f64) -> Duration {
        let power = failed.saturating_sub(1).min(1_000) as i32;
        let max = self.max.as_secs_f64();
        let full = (self.base.as_secs_f64() * self.factor.max(1.0).powi(power)).min(max);
        let full = if full.is_finite() { full } else { max };
        let kept = 1.0 - self.jitter.clamp(0.0, 1.0) * chance.clamp(0.0, 1.0);
        Duration::try_from_secs_f64(full * kept).unwrap_or(self.max)
    }
}

/// What a job's type says about how it is run; an enqueue may say otherwise for one job.
///
/// ```
/// use legwork::Policy;
/// use std::time::Duration;
/// let policy = Policy::default().queue("strava").max_attempts(8).timeout(Duration::from_secs(30));
/// assert_eq!(policy.queue, "strava");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// The queue, `default` unless said.
    pub queue: String,
    /// 0 (first) to 9 (last); 5 unless said.
    pub priority: u8,
    /// How many attempts in all before the job is discarded; 10 unless said.
    pub max_attempts: u32,
    /// How many times the job may take its worker down; 3 unless said.
    pub max_crashes: u32,
    /// How long one attempt may take; no limit unless said. Then the handler is told, by
    /// `Context::cancelled`, and has the grace to end by itself.
    pub timeout: Option<Duration>,
    /// How long a handler may go on after it was told that its time is over or that its job
    /// is called off, before it is dropped; 2 s unless said.
    #[serde(default = "two_seconds")]
    pub grace: Duration,
    /// How retries are spaced.
    pub backoff: Backoff,
    /// How long a succeeded or cancelled job is kept; an hour unless said.
    pub keep: Keep,
    /// How long a discarded job is kept; seven days unless said.
    pub keep_discarded: Keep,
}

fn two_seconds() -> Duration {
    Duration::from_secs(2)
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            queue: "default".into(),
            priority: 5,
            max_attempts: 10,
            max_crashes: 3,
            timeout: None,
            grace: two_seconds(),
            backoff: Backoff::default(),
            keep: Keep::For(Duration::from_secs(3_600)),
            keep_discarded: Keep::For(Duration::from_secs(7 * 86_400)),
        }
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty => $example:expr;)*) => { impl Policy { $(
        $(#[$doc])*
        ///
        /// ```
        #[doc = concat!("let policy = legwork::Policy::default().", stringify!($name), "(", $example, ");")]
        /// # let _ = policy;
        /// ```
        #[must_use]
        pub fn $name(mut self, value: $type) -> Policy {
            self.$name = value.into();
            self
        }
    )* } };
}

setters! {
    /// The queue that jobs of this type go to.
    queue: impl Into<String> => "\"mail\"";
    /// The priority, 0 (first) to 9 (last).
    priority: u8 => "2";
    /// Attempts in all, at least 1.
    max_attempts: u32 => "8";
    /// How many times a job may take its worker down before it is discarded.
    max_crashes: u32 => "3";
    /// How long one attempt may take.
    timeout: impl Into<Option<Duration>> => "std::time::Duration::from_secs(30)";
    /// How long a handler may go on after it was told to end.
    grace: Duration => "std::time::Duration::from_millis(500)";
    /// How retries are spaced.
    backoff: Backoff => "legwork::Backoff::default()";
    /// How long a succeeded or cancelled job stays inspectable.
    keep: Keep => "legwork::Keep::None";
    /// How long a discarded job stays inspectable.
    keep_discarded: Keep => "legwork::Keep::None";
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_wait_lies_between_its_jittered_floor_and_the_maximum(
            failed in 0u32..5_000, chance in 0.0f64..=1.0, jitter in 0.0f64..=1.0, factor in 0.0f64..50.0
        ) {
            let b = Backoff { factor, jitter, ..Backoff::default() };
            let wait = b.delay(failed, chance).as_secs_f64();
            let full = Backoff { jitter: 0.0, ..b }.delay(failed, chance).as_secs_f64();
            prop_assert!(wait <= b.max.as_secs_f64() && wait <= full + 1e-9);
            prop_assert!(wait + 1e-6 >= full * (1.0 - jitter));
        }

        #[test]
        fn without_jitter_waits_never_shrink(failed in 1u32..200) {
            let b = Backoff { jitter: 0.0, ..Backoff::default() };
            prop_assert!(b.delay(failed, 0.0) <= b.delay(failed + 1, 0.0));
        }
    }
}
