//! Training plans: what an athlete means to run, and which run came of it.

use crate::run::{Activity, Invalid};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};

/// How far a run may be from what was planned, as a share of the plan, and still be it.
pub const TOLERANCE: f64 = 0.25;
/// The most planned runs of an athlete.
pub const MOST: i64 = 1_000;

/// A run that is planned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// Its id, chosen by whoever makes it.
    pub id: String,
    /// Whose it is.
    pub athlete: i64,
    /// The athlete's local date.
    pub day: NaiveDate,
    /// What kind of run: "tempo run", "long run".
    pub name: String,
    /// How far, in metres, if that is planned.
    pub distance_m: Option<f64>,
    /// How long, in seconds, if that is planned.
    pub duration_s: Option<i64>,
    /// Anything else.
    pub note: String,
    /// The activity that came of it.
    pub activity: Option<i64>,
}

/// Where a planned run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// A run came of it.
    Done,
    /// Its day has passed without one.
    Missed,
    /// Its day is today or to come.
    Upcoming,
}

impl Standing {
    /// As programs and pages write it.
    ///
    /// ```
    /// assert_eq!(runnerly::plan::Standing::Missed.as_str(), "missed");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Done => "done",
            Standing::Missed => "missed",
            Standing::Upcoming => "upcoming",
        }
    }
}

impl Planned {
    /// Where it stands on a day.
    pub fn standing(&self, today: NaiveDate) -> Standing {
        match self.activity {
            Some(_) => Standing::Done,
            None if self.day < today => Standing::Missed,
            None => Standing::Upcoming,
        }
    }

    /// Refuses what cannot be a plan.
    ///
    /// # Errors
    /// The field, what was wrong with it, and what is allowed.
    pub fn check(&self) -> Result<(), Invalid> {
        let plain = |text: &str| !text.chars().any(|c| c.is_control() && c != '\n' && c != '\r');
        let (year_least, year_most) = (2000, 2199);
        let year = chrono::Datelike::year(&self.day);
        if !(year_least..=year_most).contains(&year) {
            return Err(Invalid::new(
                "day",
                format!("{}; allowed are years {year_least} to {year_most}", self.day),
            ));
        }
        if self.name.trim().is_empty() || self.name.chars().count() > 80 || !plain(&self.name) {
            return Err(Invalid::new("name", "allowed are 1 to 80 characters in one line"));
        }
        if self.note.chars().count() > 500 || !plain(&self.note) {
            return Err(Invalid::new("note", "allowed are at most 500 characters"));
        }
        if self.distance_m.is_some_and(|m| !(100.0..=1_000_000.0).contains(&m)) {
            return Err(Invalid::new("distance", "allowed are 0.1 to 1000 km"));
        }
        if self.duration_s.is_some_and(|s| !(60..=7 * 86_400).contains(&s)) {
            return Err(Invalid::new("duration", "allowed are 1 minute to 7 days"));
        }
        Ok(())
    }

    /// How far a run is from this plan, 0 for not at all; none where it is not the one.
    fn distance_to(&self, run: &Candidate) -> Option<f64> {
        let off = |planned: f64, run: f64| (run - planned).abs() / planned;
        let distance = self.distance_m.map(|planned| off(planned, run.distance_m));
        let duration = self.duration_s.map(|planned| off(planned as f64, run.moving_s as f64));
        let fits = [distance, duration].into_iter().flatten().all(|off| off <= TOLERANCE);
        // A plan without figures takes any run, but leaves those to others that fit them.
        let far = distance
            .into_iter()
            .chain(duration)
            .fold(None, |a: Option<f64>, b| Some(a.unwrap_or(0.0).max(b)));
        (self.day == run.day && fits).then(|| far.unwrap_or(1.0))
    }
}

/// What of a run matters to a plan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// The activity's id.
    pub id: i64,
    /// The local day it started on.
    pub day: NaiveDate,
    /// Metres covered.
    pub distance_m: f64,
    /// Seconds in motion.
    pub moving_s: i64,
}

impl From<&Activity> for Candidate {
    fn from(run: &Activity) -> Candidate {
        Candidate { id: run.id, day: run.day(), distance_m: run.distance_m, moving_s: run.moving_s }
    }
}

/// Which run came of which planned one: on the same local day, within [`TOLERANCE`] of all that
/// is planned. The best pair first; no run counts for two plans, no plan for two runs. The answer
/// depends on nothing but what is given, in whatever order.
///
/// ```
/// use runnerly::plan::{Candidate, Planned, matches};
/// let day = "2026-05-05".parse().unwrap();
/// let tempo = Planned {
///     id: "a".into(), athlete: 7, day, name: "tempo run".into(), distance_m: Some(10_000.0),
///     duration_s: None, note: String::new(), activity: None,
/// };
/// let run = |id, distance_m| Candidate { id, day, distance_m, moving_s: 3_000 };
/// let found = matches(&[tempo], &[run(1, 5_000.0), run(2, 9_600.0), run(3, 10_200.0)]);
/// assert_eq!(found["a"], 3);
/// ```
pub fn matches(planned: &[Planned], runs: &[Candidate]) -> BTreeMap<String, i64> {
    let mut pairs: Vec<(f64, &str, i64)> = Vec::new();
    for plan in planned {
        let fits = runs.iter().filter_map(|run| Some((plan.distance_to(run)?, plan.id.as_str(), run.id)));
        pairs.extend(fits);
    }
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| (a.1, a.2).cmp(&(b.1, b.2))));
    let (mut found, mut taken) = (BTreeMap::new(), HashSet::new());
    for (_, plan, run) in pairs {
        if !found.contains_key(plan) && taken.insert(run) {
            found.insert(plan.to_owned(), run);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(n: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 5, n).unwrap()
    }

    fn plan(id: &str, on: u32, distance_km: Option<f64>, minutes: Option<i64>) -> Planned {
        let (distance_m, duration_s) = (distance_km.map(|km| km * 1_000.0), minutes.map(|m| m * 60));
        let (id, name, note) = (id.to_owned(), "tempo run".to_owned(), String::new());
        Planned { id, athlete: 7, day: day(on), name, distance_m, duration_s, note, activity: None }
    }

    fn run(id: i64, on: u32, km: f64, minutes: i64) -> Candidate {
        Candidate { id, day: day(on), distance_m: km * 1_000.0, moving_s: minutes * 60 }
    }

    fn pairs(planned: &[Planned], runs: &[Candidate]) -> Vec<(String, i64)> {
        matches(planned, runs).into_iter().collect()
    }

    #[test]
    fn a_run_of_the_day_within_tolerance_is_the_planned_one() {
        let ten = [plan("a", 5, Some(10.0), None)];
        assert_eq!(pairs(&ten, &[run(1, 5, 12.5, 60)]), [("a".to_owned(), 1)]);
        for other in [run(1, 5, 12.6, 60), run(1, 5, 7.4, 60), run(1, 4, 10.0, 60), run(1, 6, 10.0, 60)] {
            assert_eq!(pairs(&ten, &[other]), [], "{other:?}");
        }
        let both = [plan("a", 5, Some(10.0), Some(50))];
        assert_eq!(pairs(&both, &[run(1, 5, 10.0, 70)]), [], "too slow to be it");
        assert_eq!(pairs(&both, &[run(1, 5, 10.0, 55)]).len(), 1);
        assert_eq!(pairs(&[plan("a", 5, None, None)], &[run(1, 5, 3.0, 20)]).len(), 1, "any run will do");
    }

    #[test]
    fn the_best_match_goes_first_and_nothing_counts_twice() {
        let two = [plan("a", 5, Some(10.0), None), plan("b", 5, Some(11.0), None)];
        let one = [run(1, 5, 11.0, 60)];
        assert_eq!(pairs(&two, &one), [("b".to_owned(), 1)]);
        let both = [run(1, 5, 11.0, 60), run(2, 5, 9.0, 50)];
        assert_eq!(pairs(&two, &both), [("a".to_owned(), 2), ("b".to_owned(), 1)]);
        // A plan without figures takes what the others leave.
        let loose = [plan("a", 5, None, None), plan("b", 5, Some(10.0), None)];
        assert_eq!(pairs(&loose, &one), [("b".to_owned(), 1)]);
        assert_eq!(pairs(&loose, &both), [("a".to_owned(), 2), ("b".to_owned(), 1)]);
    }

    #[test]
    fn a_plan_stands_by_its_day_and_its_run() {
        let mut tempo = plan("a", 5, None, None);
        assert_eq!(tempo.standing(day(5)), Standing::Upcoming);
        assert_eq!(tempo.standing(day(6)), Standing::Missed);
        tempo.activity = Some(1);
        assert_eq!(tempo.standing(day(6)), Standing::Done);
    }

    #[test]
    fn what_cannot_be_a_plan_is_refused_by_field() {
        let good = plan("a", 5, Some(10.0), Some(50));
        assert_eq!(good.check(), Ok(()));
        let refused = |spoil: &dyn Fn(&mut Planned)| {
            let mut bad = good.clone();
            spoil(&mut bad);
            bad.check().unwrap_err().to_string()
        };
        assert!(refused(&|p| p.name = " ".into()).starts_with("name: allowed are 1 to 80"));
        assert!(refused(&|p| p.name = "a\nb\0".into()).starts_with("name: "));
        assert!(refused(&|p| p.note = "x".repeat(501)).starts_with("note: "));
        assert!(refused(&|p| p.distance_m = Some(f64::NAN)).starts_with("distance: "));
        assert!(refused(&|p| p.distance_m = Some(-1.0)).starts_with("distance: "));
        assert!(refused(&|p| p.duration_s = Some(0)).starts_with("duration: "));
        assert!(refused(&|p| p.day = NaiveDate::MAX).starts_with("day: "));
    }

    proptest! {
        #[test]
        fn no_run_and_no_plan_counts_twice_in_whatever_order(
            plans in prop::collection::vec((1u32..4, prop::option::of(1.0f64..20.0)), 0..8),
            runs in prop::collection::vec((1u32..4, 1.0f64..20.0), 0..8),
        ) {
            let plans: Vec<_> =
                plans.iter().enumerate().map(|(n, (on, km))| plan(&n.to_string(), *on, *km, None)).collect();
            let runs: Vec<_> =
                runs.iter().enumerate().map(|(n, (on, km))| run(n as i64, *on, *km, 30)).collect();
            let found = matches(&plans, &runs);
            let taken: HashSet<_> = found.values().collect();
            prop_assert_eq!(taken.len(), found.len());
            let (mut back, mut snur) = (plans.clone(), runs.clone());
            back.reverse();
            snur.reverse();
            prop_assert_eq!(&matches(&back, &snur), &found);
            // Nobody is left over who could have had each other.
            for plan in plans.iter().filter(|p| !found.contains_key(&p.id)) {
                let left = runs.iter().find(|r| !taken.contains(&r.id) && plan.distance_to(r).is_some());
                prop_assert!(left.is_none(), "{:?} and {:?}", plan, left);
            }
        }
    }
}
