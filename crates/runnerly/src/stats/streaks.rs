//! Days and weeks in a row.

use super::totals::monday;
use chrono::NaiveDate;
use std::collections::BTreeSet;

/// The length of the longest streak and of the one still alive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Streaks {
    /// The longest ever.
    pub longest: u32,
    /// The one still alive, 0 if none is.
    pub current: u32,
}

/// Streaks of active days. The current one lives while the last active day is today or yesterday.
///
/// ```
/// let days = ["2024-02-28", "2024-02-29", "2024-03-01"].map(|day| day.parse().unwrap());
/// let streaks = runnerly::stats::streaks::days(&days.into(), "2024-03-02".parse().unwrap());
/// assert_eq!((streaks.longest, streaks.current), (3, 3));
/// ```
pub fn days(active: &BTreeSet<NaiveDate>, today: NaiveDate) -> Streaks {
    streaks(active, 1, alive(active, today, 2))
}

/// Streaks of weeks, from Monday, with an active day. The current one lives while the last active day is less than
/// seven days ago.
pub fn weeks(active: &BTreeSet<NaiveDate>, today: NaiveDate) -> Streaks {
    let mondays = active.iter().map(|day| monday(*day)).collect();
    streaks(&mondays, 7, alive(active, today, 7))
}

/// A day after `today` also counts as alive: it is already tomorrow east of the server.
fn alive(active: &BTreeSet<NaiveDate>, today: NaiveDate, days: i64) -> bool {
    active.last().is_some_and(|last| (today - *last).num_days() < days)
}

fn streaks(dates: &BTreeSet<NaiveDate>, step: i64, alive: bool) -> Streaks {
    let (mut longest, mut length) = (0, 0);
    let mut previous: Option<NaiveDate> = None;
    for date in dates {
        let follows = previous.is_some_and(|previous| (*date - previous).num_days() == step);
        length = if follows { length + 1 } else { 1 };
        longest = longest.max(length);
        previous = Some(*date);
    }
    Streaks { longest, current: if alive { length } else { 0 } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_streak_lives_through_yesterday() {
        let active = ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-05", "2024-01-06"].map(day).into();
        for (today, current) in [("2024-01-06", 2), ("2024-01-07", 2), ("2024-01-08", 0), ("2024-01-05", 2)] {
            assert_eq!(days(&active, day(today)), Streaks { longest: 3, current }, "{today}");
        }
        assert_eq!(days(&BTreeSet::new(), day("2024-01-01")), Streaks::default());
    }

    #[test]
    fn a_week_streak_lives_for_less_than_seven_days() {
        // Sunday, the Wednesday after it, and the Monday after that: three weeks, across the new year.
        let active = ["2023-12-31", "2024-01-03", "2024-01-08"].map(day).into();
        for (today, current) in [("2024-01-08", 3), ("2024-01-14", 3), ("2024-01-15", 0)] {
            assert_eq!(weeks(&active, day(today)), Streaks { longest: 3, current }, "{today}");
        }
    }

    proptest! {
        #[test]
        fn the_current_streak_is_never_longer_than_the_longest(offsets in prop::collection::btree_set(0u64..60, 0..40)) {
            let active: BTreeSet<_> = offsets.iter().map(|n| day("2024-01-01") + chrono::Days::new(*n)).collect();
            let streaks = days(&active, day("2024-02-29"));
            prop_assert!(streaks.current <= streaks.longest);
            prop_assert!(streaks.longest as usize <= active.len());
            prop_assert_eq!(streaks.longest == 0, active.is_empty());
        }
    }
}
