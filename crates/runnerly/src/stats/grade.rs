//! Grade-adjusted pace, from the energy cost of running on a slope (Minetti et al., J Appl Physiol 93:1039, 2002).
//!
//! Strava's own curve is milder and built on heart rates: do not expect its numbers.

use super::pace;
use crate::run::Streams;

/// The energy cost of running on flat ground, in joules per kilogram and metre.
const FLAT: f64 = 3.6;

/// The energy cost of running, in joules per kilogram and metre, on a slope of `rise / run`, held within -0.45 and
/// 0.45, where it was measured.
///
/// ```
/// assert_eq!(format!("{:.4}", runnerly::stats::grade::cost(0.05)), "4.6852");
/// ```
pub fn cost(slope: f64) -> f64 {
    let i = slope.clamp(-0.45, 0.45);
    ((((155.4 * i - 30.4) * i - 43.3) * i + 46.3) * i + 19.5) * i + FLAT
}

/// The metres on flat ground that cost as much. `None` without a grade stream. The streams must be
/// [valid](Streams::validate).
pub fn flat_distance(streams: &Streams) -> Option<f64> {
    let grade = streams.grade.as_ref()?;
    let metres = (1..streams.len()).map(|k| {
        let covered = (streams.distance[k] - streams.distance[k - 1]).max(0.0);
        covered * cost(grade[k] / 100.0) / FLAT
    });
    Some(metres.sum())
}

/// Grade-adjusted pace in seconds per kilometre over `seconds`. `None` without a grade stream or distance.
pub fn adjusted_pace(streams: &Streams, seconds: f64) -> Option<f64> {
    pace::seconds_per_km(flat_distance(streams)?, seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measured_curve() {
        for (slope, expected) in [
            (-0.20, 1.8000),
            (-0.10, 2.1517),
            (-0.05, 2.7459),
            (0.0, 3.6),
            (0.05, 4.6852),
            (0.10, 5.9682),
            (0.20, 9.0067),
        ] {
            assert!((cost(slope) - expected).abs() < 5e-5, "{slope}: {}", cost(slope));
        }
        assert_eq!(cost(3.0), cost(0.45));
    }

    #[test]
    fn five_minutes_uphill_and_downhill() {
        let run = |percent: f64| Streams {
            time: vec![0, 300],
            distance: vec![0.0, 1000.0],
            grade: Some(vec![percent; 2]),
            ..Streams::default()
        };
        for (percent, expected) in [(5.0, 230.51), (-5.0, 393.31), (0.0, 300.0)] {
            assert!((adjusted_pace(&run(percent), 300.0).unwrap() - expected).abs() < 0.005);
        }
        assert_eq!(adjusted_pace(&Streams::default(), 300.0), None);
    }
}
