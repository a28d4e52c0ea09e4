//! Best efforts: the fastest stretch of a given length within one run.

use crate::run::Streams;
use serde::{Deserialize, Serialize};

/// The distances a best effort is computed for: Strava's names and metres, shortest first.
pub const DISTANCES: [(&str, f64); 13] = [
    ("400m", 400.0),
    ("1/2 mile", 805.0),
    ("1K", 1000.0),
    ("1 mile", 1609.0),
    ("2 mile", 3219.0),
    ("5K", 5000.0),
    ("10K", 10000.0),
    ("15K", 15000.0),
    ("10 mile", 16090.0),
    ("20K", 20000.0),
    ("Half-Marathon", 21097.0),
    ("30K", 30000.0),
    ("Marathon", 42195.0),
];

/// The fastest stretch of one length within one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Effort {
    /// One of the names in [`DISTANCES`].
    pub name: String,
    /// Its length in metres.
    pub distance_m: f64,
    /// Whole seconds it took, pauses included.
    pub seconds: i64,
    /// The sample it begins at.
    pub start: usize,
    /// The sample it ends at.
    pub end: usize,
}

/// The best efforts of a run over all [`DISTANCES`] that it is long enough for.
///
/// ```
/// use runnerly::{run::Streams, stats::efforts::best_efforts};
/// let run = Streams { time: vec![0, 100, 190], distance: vec![0.0, 400.0, 800.0], ..Streams::default() };
/// assert_eq!(best_efforts(&run)[0].seconds, 90);
/// ```
pub fn best_efforts(streams: &Streams) -> Vec<Effort> {
    let distance = climbing(&streams.distance);
    DISTANCES
        .iter()
        .filter_map(|(name, metres)| {
            let (seconds, start, end) = fastest(&streams.time, &distance, *metres)?;
            Some(Effort { name: (*name).to_owned(), distance_m: *metres, seconds, start, end })
        })
        .collect()
}

/// Recordings step back now and then; a stretch must not gain from it.
fn climbing(distance: &[f64]) -> Vec<f64> {
    let mut furthest = f64::NEG_INFINITY;
    distance
        .iter()
        .map(|metres| {
            furthest = furthest.max(*metres);
            furthest
        })
        .collect()
}

/// The seconds and the first and last sample of the fastest stretch of at least `metres`; of equals, the first.
///
/// A stretch between samples is a little too long; its time is cut in proportion, then floored, as Strava does.
fn fastest(time: &[i64], distance: &[f64], metres: f64) -> Option<(i64, usize, usize)> {
    let mut best: Option<(i64, usize, usize)> = None;
    let mut start = 0;
    for end in 0..time.len().min(distance.len()) {
        while start < end && distance[end] - distance[start] >= metres {
            let elapsed = time[end].saturating_sub(time[start]);
            // Repeated timestamps: nothing is covered in no time.
            if elapsed > 0 && best.is_none_or(|(least, ..)| elapsed < least) {
                best = Some((elapsed, start, end));
            }
            start += 1;
        }
    }
    let (elapsed, start, end) = best?;
    let trimmed = elapsed as f64 * metres / (distance[end] - distance[start]);
    Some((trimmed.floor() as i64, start, end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(samples: &[(i64, f64)]) -> Streams {
        let (time, distance) = samples.iter().copied().unzip();
        Streams { time, distance, ..Streams::default() }
    }

    #[test]
    fn a_run_shorter_than_the_distance_has_no_effort() {
        assert!(best_efforts(&run(&[])).is_empty());
        assert!(best_efforts(&run(&[(0, 0.0), (100, 399.9)])).is_empty());
    }

    #[test]
    fn the_overshoot_is_cut_in_proportion_and_floored() {
        let efforts = best_efforts(&run(&[(0, 0.0), (101, 500.0), (250, 900.0)]));
        assert_eq!((efforts[0].seconds, efforts[0].start, efforts[0].end), (80, 0, 1));
    }

    #[test]
    fn a_step_back_and_repeated_timestamps_gain_nothing() {
        let efforts = best_efforts(&run(&[(0, 0.0), (100, 400.0), (110, 10.0), (120, 401.0)]));
        assert_eq!(efforts[0].seconds, 100);
        let efforts = best_efforts(&run(&[(0, 0.0), (0, 400.0), (90, 800.0)]));
        assert_eq!(efforts[0].seconds, 90);
    }

    proptest! {
        #[test]
        fn efforts_are_never_negative_and_grow_with_distance(
            steps in prop::collection::vec((0i64..30, -20.0f64..120.0), 0..400)
        ) {
            let (mut t, mut d) = (0, 0.0);
            let samples: Vec<_> = steps.iter().map(|(dt, dd)| { t += dt; d += dd; (t, d) }).collect();
            let efforts = best_efforts(&run(&samples));
            for effort in &efforts {
                prop_assert!(effort.seconds >= 0 && effort.seconds <= t);
                prop_assert!(effort.start < effort.end && effort.end < samples.len());
            }
        }

        #[test]
        fn an_even_pace_gives_that_pace(seconds_per_100 in 15i64..60) {
            let samples: Vec<_> = (0..=110).map(|k| (k * seconds_per_100, k as f64 * 100.0)).collect();
            let efforts = best_efforts(&run(&samples));
            prop_assert_eq!(efforts.iter().find(|e| e.name == "10K").unwrap().seconds, 100 * seconds_per_100);
        }
    }
}
