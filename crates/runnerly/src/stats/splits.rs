//! Splits per kilometre or mile, and which intervals between samples were spent in motion.

use crate::run::Streams;
use serde::{Deserialize, Serialize};

/// One split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// Its place, from 1.
    pub number: u32,
    /// Metres covered; a little more or less than the unit, because a split ends at a sample.
    pub distance_m: f64,
    /// Seconds, pauses included.
    pub elapsed_s: i64,
    /// Seconds in motion.
    pub moving_s: i64,
    /// Metres the last sample lies above the first, if altitude was recorded.
    pub elevation_m: Option<f64>,
    /// Mean heart rate in motion, if one was recorded.
    pub average_hr: Option<f64>,
}

/// The splits of `unit_m` metres; the last one is what remains.
///
/// A split ends at the first sample at or beyond its boundary. `unit_m` must be above zero, or there are none.
///
/// ```
/// use runnerly::{run::Streams, stats::{KM, splits::splits}};
/// let run = Streams { time: vec![0, 300, 450], distance: vec![0.0, 1000.0, 1500.0], ..Streams::default() };
/// assert_eq!(splits(&run, KM).iter().map(|s| s.elapsed_s).collect::<Vec<_>>(), [300, 150]);
/// ```
pub fn splits(streams: &Streams, unit_m: f64) -> Vec<Split> {
    let moving = moving(streams);
    let ends = boundaries(&streams.distance, unit_m);
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts
        .zip(&ends)
        .zip(1..)
        .map(|((start, end), number)| split(streams, &moving, number, start, *end))
        .collect()
}

/// The sample that ends each split.
fn boundaries(distance: &[f64], unit_m: f64) -> Vec<usize> {
    let mut ends = Vec::new();
    if distance.len() < 2 || unit_m.is_nan() || unit_m <= 0.0 {
        return ends;
    }
    let mut next = unit_m;
    for (k, metres) in distance.iter().enumerate().skip(1) {
        if *metres >= next {
            ends.push(k);
            // After a gap in the recording one sample may pass several boundaries.
            next = unit_m * ((metres / unit_m).floor() + 1.0);
        }
    }
    if ends.last() != Some(&(distance.len() - 1)) {
        ends.push(distance.len() - 1);
    }
    ends
}

fn split(streams: &Streams, moving: &[bool], number: u32, start: usize, end: usize) -> Split {
    let intervals = || (start + 1..=end).filter(|k| moving[*k]).map(|k| (k, interval(streams, k)));
    let average_hr =
        streams.heartrate.as_ref().and_then(|hr| weighted_mean(intervals().map(|(k, dt)| (hr[k], dt))));
    Split {
        number,
        distance_m: streams.distance[end] - streams.distance[start],
        elapsed_s: streams.time[end] - streams.time[start],
        moving_s: intervals().map(|(_, dt)| dt).sum(),
        elevation_m: streams.altitude.as_ref().map(|altitude| altitude[end] - altitude[start]),
        average_hr,
    }
}

/// Seconds between sample `k` and the one before it.
pub(crate) fn interval(streams: &Streams, k: usize) -> i64 {
    streams.time[k].saturating_sub(streams.time[k - 1]).max(0)
}

/// The mean of values that each held for some seconds. `None` if they held for none.
pub(crate) fn weighted_mean(values: impl Iterator<Item = (f64, i64)>) -> Option<f64> {
    let (sum, seconds) = values.fold((0.0, 0), |(sum, all), (value, dt)| (sum + value * dt as f64, all + dt));
    (seconds > 0).then(|| sum / seconds as f64)
}

/// Metres per second above which a runner counts as moving where the recording does not say: 1.5 km/h.
const STANDING: f64 = 1.5 / 3.6;

/// For each sample, whether the runner moved in the interval that ends there. The first is always false.
pub fn moving(streams: &Streams) -> Vec<bool> {
    let moved = |k: usize| match &streams.moving {
        _ if k == 0 => false,
        Some(moving) => moving[k],
        None => streams.distance[k] - streams.distance[k - 1] > STANDING * interval(streams, k) as f64,
    };
    (0..streams.len()).map(moved).collect()
}

/// Seconds in motion.
///
/// ```
/// use runnerly::{run::Streams, stats::splits::moving_seconds};
/// let run = Streams { time: vec![0, 10, 70], distance: vec![0.0, 30.0, 31.0], ..Streams::default() };
/// assert_eq!(moving_seconds(&run), 10);
/// ```
pub fn moving_seconds(streams: &Streams) -> i64 {
    let moving = moving(streams);
    (1..streams.len()).filter(|k| moving[*k]).map(|k| interval(streams, k)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{KM, MILE};
    use proptest::prelude::*;

    #[test]
    fn a_gap_over_several_boundaries_makes_one_split() {
        let run = Streams {
            time: vec![0, 10, 2000, 2300],
            distance: vec![0.0, 30.0, 5400.0, 6000.0],
            ..Streams::default()
        };
        let distances: Vec<_> = splits(&run, KM).iter().map(|split| split.distance_m).collect();
        assert_eq!(distances, [5400.0, 600.0]);
        assert!(splits(&run, 0.0).is_empty() && splits(&Streams::default(), KM).is_empty());
    }

    proptest! {
        #[test]
        fn splits_sum_to_the_whole(steps in prop::collection::vec((0i64..60, 0.0f64..700.0), 2..200), mile: bool) {
            let mut run = Streams::default();
            let (mut t, mut d) = (0, 0.0);
            for (dt, dd) in steps {
                (t, d) = (t + dt, d + dd);
                run.time.push(t);
                run.distance.push(d);
            }
            let splits = splits(&run, if mile { MILE } else { KM });
            let distance: f64 = splits.iter().map(|split| split.distance_m).sum();
            prop_assert!((distance - (d - run.distance[0])).abs() < 1e-6);
            prop_assert_eq!(splits.iter().map(|split| split.elapsed_s).sum::<i64>(), t - run.time[0]);
            prop_assert_eq!(splits.iter().map(|split| split.moving_s).sum::<i64>(), moving_seconds(&run));
            prop_assert!(splits.iter().all(|split| split.moving_s <= split.elapsed_s));
        }
    }
}
