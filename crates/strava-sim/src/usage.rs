//! Counting requests against the rate limits.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::Limits;

const WINDOW_S: i64 = 15 * 60;
const DAY_S: i64 = 24 * 60 * 60;

/// What has been used of the present window and the present UTC day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Usage {
    window: i64,
    day: i64,
    overall: (u32, u32),
    read: (u32, u32),
}

/// What was decided about one request, with the figures for its headers.
#[derive(Clone, Copy)]
pub(crate) struct Charge {
    pub(crate) refused: bool,
    limits: Limits,
    usage: Usage,
}

impl Usage {
    /// Counts one request at `now` (epoch seconds) and says whether it is refused.
    pub(crate) fn charge(&mut self, limits: Limits, now: i64, reads: bool) -> Charge {
        self.turn(now);
        let spent = |used: (u32, u32), limit: (u32, u32)| used.0 >= limit.0 || used.1 >= limit.1;
        let refused = spent(self.overall, limits.overall) || (reads && spent(self.read, limits.read));
        // A refused request is free in the short window, but not in the day:
        // the recordings show a day counter that moved while nothing was served.
        count(&mut self.overall, refused);
        if reads {
            count(&mut self.read, refused);
        }
        Charge { refused, limits, usage: *self }
    }

    /// Both counters as they stand at `now`: overall, read.
    pub(crate) fn at(mut self, now: i64) -> ((u32, u32), (u32, u32)) {
        self.turn(now);
        (self.overall, self.read)
    }

    fn turn(&mut self, now: i64) {
        if self.window != now.div_euclid(WINDOW_S) {
            self.window = now.div_euclid(WINDOW_S);
            (self.overall.0, self.read.0) = (0, 0);
        }
        if self.day != now.div_euclid(DAY_S) {
            self.day = now.div_euclid(DAY_S);
            (self.overall.1, self.read.1) = (0, 0);
        }
    }
}

fn count(used: &mut (u32, u32), refused: bool) {
    if !refused {
        used.0 = used.0.saturating_add(1);
    }
    used.1 = used.1.saturating_add(1);
}

impl Charge {
    /// The same answer as if the short window were spent.
    pub(crate) fn exhausted(mut self) -> Self {
        self.usage.overall.0 = self.usage.overall.0.max(self.limits.overall.0);
        self.usage.read.0 = self.usage.read.0.max(self.limits.read.0);
        self
    }

    /// Writes the four headers.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        put(headers, "x-ratelimit-limit", self.limits.overall);
        put(headers, "x-ratelimit-usage", self.usage.overall);
        put(headers, "x-readratelimit-limit", self.limits.read);
        put(headers, "x-readratelimit-usage", self.usage.read);
    }
}

/// Writes one "short,day" header.
pub(crate) fn put(headers: &mut HeaderMap, name: &'static str, (short, day): (u32, u32)) {
    if let Ok(value) = HeaderValue::from_str(&format!("{short},{day}")) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { overall: (3, 5), read: (2, 5) };

    #[test]
    fn refused_requests_count_against_the_day_only() {
        let mut usage = Usage::default();
        let refused: Vec<bool> = (0..4).map(|_| usage.charge(LIMITS, 10, true).refused).collect();
        assert_eq!(refused, [false, false, true, true]);
        assert_eq!(usage.at(10), ((2, 4), (2, 4)));
        // The next window serves one more, then the day is spent.
        assert!(!usage.charge(LIMITS, 901, true).refused);
        assert_eq!(usage.at(901), ((1, 5), (1, 5)));
        assert!(usage.charge(LIMITS, 1_801, true).refused);
        assert_eq!(usage.at(DAY_S), ((0, 0), (0, 0)));
    }

    #[test]
    fn a_call_that_writes_is_not_read() {
        let mut usage = Usage::default();
        usage.charge(LIMITS, 10, false);
        assert_eq!(usage.at(10), ((1, 1), (0, 0)));
    }
}
