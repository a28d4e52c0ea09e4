//! Which days an expression means, with the rules that a set of numbers cannot say.

use chrono::{Datelike, NaiveDate, Weekday};

/// The two fields for days, read together.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Days {
    /// Days of the month, bits 1 to 31.
    pub(super) month_days: u64,
    /// `nW`: the weekday nearest to day `n`, within its month.
    pub(super) nearest: u64,
    /// `L`: the last day of the month.
    pub(super) last: bool,
    /// `LW`: the last Monday to Friday of the month.
    pub(super) last_weekday: bool,
    /// Days of the week, bit 0 is Sunday.
    pub(super) weekdays: u64,
    /// For each day of the week: bit `n` for its `n`th in the month, bit 0 for its last.
    pub(super) nth: [u8; 7],
    /// Both fields restrict the day, so that either may match.
    pub(super) either: bool,
}

const ANY_MONTH_DAY: u64 = 0xffff_fffe;
const ANY_WEEKDAY: u64 = 0x7f;

impl Days {
    /// Sets of days of the month and of the week whose common days contain every match.
    pub(super) fn candidates(&self) -> (u64, u64) {
        if self.either {
            return (ANY_MONTH_DAY, ANY_WEEKDAY);
        }
        let mut days = self.month_days;
        if self.last {
            days |= 0b1111 << 28;
        }
        if self.last_weekday {
            days |= 0b11_1111 << 26;
        }
        // The nearest weekday is at most two days away.
        let near = self.nearest;
        days |= near | near << 1 | near << 2 | near >> 1 | near >> 2;
        let counted = (0..7).filter(|&day| self.nth[day] != 0);
        let weekdays = counted.fold(self.weekdays, |set, day| set | 1 << day);
        (days & ANY_MONTH_DAY, weekdays)
    }

    /// Whether [`candidates`](Days::candidates) says it all.
    pub(super) fn is_plain(&self) -> bool {
        !self.either && !self.last && !self.last_weekday && self.nearest == 0 && self.nth == [0; 7]
    }

    /// Whether `date` is meant.
    pub(super) fn matches(&self, date: NaiveDate) -> bool {
        let (by_month, by_week) = (self.matches_month(date), self.matches_week(date));
        if self.either { by_month || by_week } else { by_month && by_week }
    }

    fn matches_month(&self, date: NaiveDate) -> bool {
        let (day, length) = (date.day(), u32::from(date.num_days_in_month()));
        if self.month_days & (1 << day) != 0 || (self.last && day == length) {
            return true;
        }
        let meant = |n: u32| nearest_weekday(date, n) == Some(day);
        (self.last_weekday && meant(length))
            || (day.saturating_sub(2)..=day + 2).any(|n| self.nearest & (1 << n) != 0 && meant(n))
    }

    fn matches_week(&self, date: NaiveDate) -> bool {
        let weekday = date.weekday().num_days_from_sunday();
        let nth = self.nth[weekday as usize];
        let is_last = date.day() + 7 > u32::from(date.num_days_in_month());
        self.weekdays & (1 << weekday) != 0
            || nth & (1 << date.day().div_ceil(7)) != 0
            || (nth & 1 != 0 && is_last)
    }
}

/// The Monday to Friday nearest to day `n` in the month of `date`; none in a shorter month.
fn nearest_weekday(date: NaiveDate, n: u32) -> Option<u32> {
    let length = u32::from(date.num_days_in_month());
    Some(match date.with_day(n)?.weekday() {
        Weekday::Sat if n == 1 => 3,
        Weekday::Sat => n - 1,
        Weekday::Sun if n == length => n - 2,
        Weekday::Sun => n + 1,
        _ => n,
    })
}
