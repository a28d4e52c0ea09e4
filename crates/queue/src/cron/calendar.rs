//! From sets of values to instants: civil times first, then what a zone makes of them.

use super::days::Days;
use super::parse::Fields;
use super::zone::Overlap;
use super::{CronError, DstPolicy, OnGap, OnOverlap};
use chrono::{DateTime, Datelike, Duration, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};
use std::str::FromStr;
use std::sync::Arc;

/// Five or six fields, made ready to be asked for civil times.
pub(super) struct Calendar {
    /// Enumerates civil times, as if the whole world lived in UTC; see `next_civil`.
    times: ::cron::Schedule,
    /// Which of the enumerated days are meant; `None` when all are.
    days: Option<Days>,
    /// A fixed time of day, which a gap or an overlap must not drop or repeat.
    fixed: bool,
}

impl Calendar {
    pub(super) fn parse(text: &str) -> Result<Arc<Calendar>, CronError> {
        let fields = Fields::parse(text)?;
        let calendar = Calendar {
            times: ::cron::Schedule::from_str(&fields.canonical())
                .expect("lists of numbers within their bounds are always accepted"),
            days: (!fields.days.is_plain()).then_some(fields.days),
            fixed: fields.fixed,
        };
        match calendar.next_civil(start()) {
            Some(_) => Ok(Arc::new(calendar)),
            None => Err(CronError::NeverFires { value: text.trim_matches([' ', '\t']).into() }),
        }
    }

    pub(super) fn next_after(
        &self,
        after: DateTime<Utc>,
        zone: Tz,
        policy: DstPolicy,
    ) -> Option<DateTime<Utc>> {
        // Beyond these years there are no slots, and civil time may not be representable.
        if after.year() > 2100 {
            return None;
        }
        let after = after.max(start().and_utc());
        let here = after.with_timezone(&zone).naive_local();
        let Some(overlap) = Overlap::around(after, zone) else {
            return self.first_pass(here, zone, policy);
        };
        let repeats = !self.fixed || policy.on_overlap == OnOverlap::Both;
        let second_pass = |from| {
            let civil = self.next_civil(from).filter(|c| repeats && *c < overlap.end)?;
            Some(zone.from_local_datetime(&civil).latest()?.to_utc())
        };
        if after < overlap.turn {
            let slot = self.first_pass(here, zone, policy);
            if slot.is_some_and(|slot| slot < overlap.turn) {
                return slot;
            }
            second_pass(just_before(overlap.begin)).or(slot)
        } else {
            second_pass(here).or_else(|| self.first_pass(here.max(just_before(overlap.end)), zone, policy))
        }
    }

    /// The first instant at which the clock shows a civil time after `from` that is meant.
    fn first_pass(&self, mut from: NaiveDateTime, zone: Tz, policy: DstPolicy) -> Option<DateTime<Utc>> {
        loop {
            let civil = self.next_civil(from)?;
            if let Some(slot) = zone.from_local_datetime(&civil).earliest() {
                return Some(slot.to_utc());
            }
            let gap_end = GapInfo::new(&civil, &zone).and_then(|gap| gap.end);
            match gap_end {
                Some(end) if self.fixed && policy.on_gap == OnGap::Run => {
                    return Some(end.to_utc());
                }
                Some(end) => from = just_before(end.naive_local()),
                None => from = civil,
            }
        }
    }

    /// The first civil time strictly after `from` that is meant.
    fn next_civil(&self, mut from: NaiveDateTime) -> Option<NaiveDateTime> {
        loop {
            let civil = self.times.after(&from.and_utc()).next()?.naive_utc();
            match &self.days {
                Some(days) if !days.matches(civil.date()) => {
                    from = just_before((civil.date() + Duration::days(1)).and_time(NaiveTime::MIN));
                }
                _ => return Some(civil),
            }
        }
    }
}

/// A second before `civil`, so that a search strictly after it can find `civil`.
fn just_before(civil: NaiveDateTime) -> NaiveDateTime {
    civil - Duration::seconds(1)
}

/// A little before the first slot that any zone can have.
fn start() -> NaiveDateTime {
    NaiveDate::default().and_time(NaiveTime::MIN) - Duration::days(2)
}
