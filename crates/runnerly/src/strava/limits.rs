//! The application's rate limit, as the headers of every answer tell it: two windows (a quarter hour and a UTC day),
//! each for all calls and for reads alone. The numbers have changed before and will again, so none is written here.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use std::time::{Duration, Instant};

/// Calls made in one window, and how many it allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Calls made.
    pub used: u32,
    /// Calls allowed.
    pub limit: u32,
}

impl Count {
    /// Whether fewer than `spare + 1` calls are left.
    fn is_spent(self, spare: u32) -> bool {
        self.limit > 0 && self.used >= self.allowed(spare)
    }

    /// How many calls there are, `spare` of them left unused. The last call of all is never held back.
    fn allowed(self, spare: u32) -> u32 {
        self.limit.saturating_sub(spare.min(self.limit.saturating_sub(1)))
    }
}

/// The two windows of one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// The quarter hour that began at :00, :15, :30 or :45.
    pub short: Count,
    /// The day that ends at midnight UTC.
    pub day: Count,
}

/// When calls are possible again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// The end of the window, by Strava's clock.
    pub until: DateTime<Utc>,
    /// Whether it is the day's window.
    pub daily: bool,
    /// How long that is from now. Add up to half a minute at random, so that not everybody comes back at once.
    pub wait: Duration,
}

/// What one window still allows, reads and all calls together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Calls left.
    pub calls: u32,
    /// Calls in a whole window.
    pub allowed: u32,
    /// How long a window is, by Strava's clock.
    pub length: Duration,
    /// How long this one goes on, by Strava's clock.
    pub ends_in: Duration,
}

/// How much of the rate limit was used when Strava last answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// When that was, by Strava's clock.
    pub at: DateTime<Utc>,
    /// All calls, if the answer told.
    pub overall: Option<Windows>,
    /// Reads alone, if the answer told.
    pub read: Option<Windows>,
    /// When the answer came, by a clock that nobody sets.
    seen: Instant,
}

impl Usage {
    /// Reads the headers of an answer; `None` when it tells nothing about the limit.
    pub(super) fn read(headers: &HeaderMap) -> Option<Self> {
        let usage = Self::read_any(headers);
        (usage.overall.is_some() || usage.read.is_some()).then_some(usage)
    }

    fn read_any(headers: &HeaderMap) -> Self {
        // Header names compare without regard to case, which Strava's own spellings need.
        let windows = |limit, usage| windows(pair(headers, limit)?, pair(headers, usage)?);
        Self {
            at: server_time(headers).unwrap_or_else(Utc::now),
            overall: windows("x-ratelimit-limit", "x-ratelimit-usage"),
            read: windows("x-readratelimit-limit", "x-readratelimit-usage"),
            seen: Instant::now(),
        }
    }

    /// When to come back after a refusal with these headers: when `Retry-After` says, else at the end of the day if a
    /// day's window is spent, else at the end of the quarter hour, also when the headers tell nothing.
    pub(super) fn at_refusal(headers: &HeaderMap) -> Pause {
        let usage = Self::read_any(headers);
        let daily = usage.windows().any(|windows| windows.day.is_spent(0));
        let told = headers.get(RETRY_AFTER).and_then(|told| told.to_str().ok()?.trim().parse::<u32>().ok());
        match told {
            Some(seconds) => {
                let until = usage.at + TimeDelta::seconds(seconds.into());
                Pause { until, daily, wait: Duration::from_secs(seconds.into()) }
            }
            None => pause(usage.at, daily),
        }
    }

    /// Whether to stop now, leaving `spare` calls of every window unused, and until when: `pause(1)` stops one call
    /// before the limit, `pause(0)` only where the next call would be refused.
    ///
    /// Windows that have ended since the answer count as fresh.
    pub fn pause(&self, spare: u32) -> Option<Pause> {
        self.pause_at_speed(spare, 1.0)
    }

    /// As [`Usage::pause`], for a simulated Strava whose clock runs `speed` times as fast as ours.
    pub fn pause_at_speed(&self, spare: u32, speed: f64) -> Option<Pause> {
        self.pause_at(self.now_at_speed(speed), spare)
    }

    /// What the windows of that answer allow, `spare` calls of each left unused: the quarter hour and the day, without
    /// one that has ended since. `speed` is how fast Strava's clock runs.
    pub fn left_at_speed(&self, spare: u32, speed: f64) -> Vec<Left> {
        let now = self.now_at_speed(speed);
        let short: fn(Windows) -> Count = |windows| windows.short;
        let day: fn(Windows) -> Count = |windows| windows.day;
        let left = |(daily, count): (bool, fn(Windows) -> Count)| {
            let length = if daily { DAY } else { QUARTER };
            let counts = || self.windows().map(count).filter(|count| count.limit > 0);
            let allowed = counts().map(|count| count.allowed(spare)).min()?;
            let calls = counts().map(|count| count.allowed(spare).saturating_sub(count.used)).min()?;
            let lasts = self.at.timestamp().div_euclid(length) == now.timestamp().div_euclid(length);
            let length = Duration::from_secs(length.unsigned_abs());
            lasts.then(|| Left { calls, allowed, length, ends_in: pause(now, daily).wait })
        };
        [(false, short), (true, day)].into_iter().filter_map(left).collect()
    }

    fn now_at_speed(&self, speed: f64) -> DateTime<Utc> {
        let passed = self.seen.elapsed().mul_f64(speed.clamp(1.0, 1e6));
        self.at + TimeDelta::from_std(passed).unwrap_or(TimeDelta::MAX / 2)
    }

    fn pause_at(&self, now: DateTime<Utc>, spare: u32) -> Option<Pause> {
        let same =
            |seconds: i64| self.at.timestamp().div_euclid(seconds) == now.timestamp().div_euclid(seconds);
        if same(DAY) && self.windows().any(|windows| windows.day.is_spent(spare)) {
            return Some(pause(now, true));
        }
        (same(QUARTER) && self.windows().any(|windows| windows.short.is_spent(spare)))
            .then(|| pause(now, false))
    }

    fn windows(&self) -> impl Iterator<Item = Windows> {
        [self.overall, self.read].into_iter().flatten()
    }

    /// Whether this tells more than `other`: answers can overtake each other.
    pub(super) fn is_newer_than(&self, other: &Self) -> bool {
        let used = |usage: &Self| usage.windows().map(|windows| windows.day.used).max();
        (self.at, used(self)) >= (other.at, used(other))
    }
}

const QUARTER: i64 = 900;
const DAY: i64 = 86_400;

fn pause(now: DateTime<Utc>, daily: bool) -> Pause {
    let window = if daily { DAY } else { QUARTER };
    let seconds = window - now.timestamp().rem_euclid(window);
    let until = DateTime::from_timestamp(now.timestamp() + seconds, 0).unwrap_or(now);
    Pause { until, daily, wait: (until - now).to_std().unwrap_or_default() }
}

fn pair(headers: &HeaderMap, name: &str) -> Option<[u32; 2]> {
    let (short, day) = headers.get(name)?.to_str().ok()?.split_once(',')?;
    Some([short.trim().parse().ok()?, day.trim().parse().ok()?])
}

fn windows(limit: [u32; 2], used: [u32; 2]) -> Option<Windows> {
    let [short, day] = [0, 1].map(|k| Count { used: used[k], limit: limit[k] });
    Some(Windows { short, day })
}

/// The instant in the `Date` header.
pub(super) fn server_time(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    let date = headers.get(DATE)?.to_str().ok()?;
    DateTime::parse_from_rfc2822(date).ok().map(|date| date.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(date: &str, overall: [&str; 2], read: [&str; 2]) -> HeaderMap {
        let values = [
            ("Date", date),
            ("X-RateLimit-Limit", overall[0]),
            ("x-Ratelimit-usage", overall[1]),
            ("X-Readratelimit-Limit", read[0]),
            ("X-ReadRateLimit-Usage", read[1]),
        ];
        let parsed = values.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        parsed.into_iter().collect()
    }

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_refusal_lasts_to_the_end_of_the_window_that_is_spent() {
        let date = "Mon, 20 Oct 2025 21:26:33 GMT";
        let short = Usage::at_refusal(&headers(date, ["200,2000", "100,333"], ["100,1000", "100,333"]));
        assert_eq!((short.until, short.daily), (time("2025-10-20T21:30:00Z"), false));
        assert_eq!(short.wait, Duration::from_secs(207));
        for (overall, read) in [("100,333", "100,1000"), ("1,2000", "1,999")] {
            let day = Usage::at_refusal(&headers(date, ["200,2000", overall], ["100,1000", read]));
            assert_eq!((day.until, day.daily), (time("2025-10-21T00:00:00Z"), true));
        }
        let silent = Usage::at_refusal(&HeaderMap::new());
        assert!(!silent.daily && silent.wait <= Duration::from_secs(900));
        let mut told = headers(date, ["200,2000", "100,333"], ["100,1000", "100,333"]);
        told.insert(RETRY_AFTER, "30".parse().unwrap());
        let told = Usage::at_refusal(&told);
        assert_eq!((told.until, told.wait), (time("2025-10-20T21:27:03Z"), Duration::from_secs(30)));
    }

    #[test]
    fn what_is_left_is_the_less_of_reads_and_all_calls() {
        let date = "Mon, 20 Oct 2025 21:26:33 GMT";
        let usage = Usage::read(&headers(date, ["200,2000", "90,333"], ["100,1000", "40,40"])).unwrap();
        let left = usage.left_at_speed(1, 1.0);
        let told: Vec<_> = left.iter().map(|l| (l.calls, l.allowed, l.length.as_secs())).collect();
        assert_eq!(told, [(59, 99, 900), (959, 999, 86_400)]);
        let ends: Vec<_> = left.iter().map(|l| l.ends_in.as_secs_f64()).collect();
        assert!((205.0..=207.0).contains(&ends[0]) && (9_205.0..=9_207.0).contains(&ends[1]), "{ends:?}");
        let over = Usage::read(&headers(date, ["200,2000", "200,2333"], ["", ""])).unwrap();
        assert!(over.left_at_speed(1, 1.0).iter().all(|left| left.calls == 0));
        let none = Usage::read(&headers(date, ["0,0", "0,0"], ["", ""])).unwrap();
        assert_eq!(none.left_at_speed(1, 1.0), []);
    }

    #[test]
    fn a_pause_starts_one_call_early_and_ends_with_its_window() {
        let date = "Mon, 20 Oct 2025 21:26:33 GMT";
        let usage = Usage::read(&headers(date, ["200,2000", "99,333"], ["100,1000", "99,333"])).unwrap();
        assert_eq!(usage.read.unwrap().short, Count { used: 99, limit: 100 });
        assert_eq!(usage.pause(0), None);
        assert_eq!(usage.pause(1).unwrap().until, time("2025-10-20T21:30:00Z"));
        assert!(usage.pause_at(time("2025-10-20T21:29:59Z"), 1).is_some());
        assert_eq!(usage.pause_at(time("2025-10-20T21:30:00Z"), 1), None);
        let usage = Usage::read(&headers(date, ["200,2000", "1,1999"], ["100,1000", "1,3"])).unwrap();
        assert!(usage.pause(1).unwrap().daily);
        assert_eq!(usage.pause_at(time("2025-10-21T00:00:00Z"), 1), None);
    }

    #[test]
    fn a_tiny_limit_still_lets_calls_through() {
        let usage = |used| Usage::read(&headers("", ["1,5", used], ["", ""])).unwrap();
        assert_eq!(usage("0,0").pause(1), None);
        assert!(usage("1,1").pause(1).is_some());
    }

    #[test]
    fn headers_that_say_nothing_are_no_usage() {
        for value in ["", "100", "a,b", "1,2,3", "-1,5", "99999999999,1"] {
            assert_eq!(Usage::read(&headers("", [value, value], [value, value])), None, "{value}");
        }
        assert_eq!(Usage::read(&headers("", ["0,0", "0,0"], ["", ""])).unwrap().pause(1), None);
    }

    #[test]
    fn an_answer_that_was_overtaken_is_older() {
        let usage = |second, used| {
            let date = format!("Mon, 20 Oct 2025 21:26:{second} GMT");
            Usage::read(&headers(&date, ["200,2000", used], ["", ""])).unwrap()
        };
        assert!(usage("34", "1,300").is_newer_than(&usage("33", "99,333")));
        assert!(!usage("33", "98,332").is_newer_than(&usage("33", "99,333")));
    }
}
