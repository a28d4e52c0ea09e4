//! The Eddington number: the largest E with at least E days of at least E units each.

use super::totals;
use crate::run::Activity;

/// The Eddington number of these distances per day, each floored to whole units.
///
/// ```
/// let km = [5.0, 5.0, 10.4, 3.2, 8.0, 12.0, 6.0, 6.1, 7.9, 21.1, 4.0, 6.5];
/// assert_eq!(runnerly::stats::eddington::number(km), 6);
/// ```
pub fn number(per_day: impl IntoIterator<Item = f64>) -> u32 {
    // A sum of tenths of metres can fall short of a whole unit by binary dust.
    let mut whole: Vec<u64> = per_day.into_iter().map(|units| (units + 1e-9) as u64).collect();
    whole.sort_unstable_by(|a, b| b.cmp(a));
    whole.iter().zip(1u64..).take_while(|(units, days)| *units >= days).count() as u32
}

/// The Eddington number of these runs, summed per local day, in units of `unit_m` metres.
///
/// ```
/// assert_eq!(runnerly::stats::eddington::of_runs(&[], runnerly::stats::KM), 0);
/// ```
pub fn of_runs(activities: &[Activity], unit_m: f64) -> u32 {
    number(totals::by(activities, |day| day).values().map(|day| day.distance_m / unit_m))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn two_runs_of_one_day_add_up_and_dust_does_not_cost_a_unit() {
        use crate::run::recordings::activity;
        let runs = [activity("2024-01-01T06:00:00", 0.1), activity("2024-01-01T18:00:00", 0.7)];
        // In binary, 0.1 + 0.7 is a little less than 0.8.
        assert_eq!(of_runs(&runs, 0.8), 1);
        assert_eq!(number([f64::NAN, -3.0]), 0);
    }

    proptest! {
        #[test]
        fn it_satisfies_its_definition(days in prop::collection::vec(0.0f64..50.0, 0..60)) {
            let e = number(days.clone());
            let at_least = |units: u32| days.iter().filter(|km| km.floor() >= f64::from(units)).count();
            prop_assert!(at_least(e) >= e as usize);
            prop_assert!(at_least(e + 1) < e as usize + 1);
        }

        #[test]
        fn another_day_never_lowers_it(days in prop::collection::vec(0.0f64..50.0, 0..60), more in 0.0f64..50.0) {
            let mut longer = days.clone();
            longer.push(more);
            let (before, after) = (number(days), number(longer));
            prop_assert!(after == before || after == before + 1);
        }
    }
}
