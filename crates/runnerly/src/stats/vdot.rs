//! Fitness from a race: Daniels' VDOT, its training paces, and equivalent times (Daniels and Riegel).
//!
//! VDOT is from Daniels & Gilbert, "Oxygen Power" (1979); Riegel's exponent from American Scientist (1981). Riegel
//! holds from about 3.5 minutes to 4 hours and flatters recreational marathons.

/// Daniels' VDOT of running `distance_m` metres in `seconds`. `None` unless both are above zero and finite.
///
/// ```
/// let vdot = runnerly::stats::vdot::vdot(5000.0, 1200.0).unwrap();
/// assert_eq!(format!("{vdot:.4}"), "49.8062");
/// ```
pub fn vdot(distance_m: f64, seconds: f64) -> Option<f64> {
    if !(distance_m > 0.0 && seconds > 0.0 && distance_m.is_finite() && seconds.is_finite()) {
        return None;
    }
    let minutes = seconds / 60.0;
    let speed = distance_m / minutes;
    let oxygen = -4.60 + 0.182258 * speed + 0.000104 * speed * speed;
    let share = 0.8 + 0.1894393 * (-0.012778 * minutes).exp() + 0.2989558 * (-0.1932605 * minutes).exp();
    Some(oxygen / share)
}

/// The seconds in which a runner of this VDOT covers `distance_m` metres. `None` unless `vdot` is 5 to 120 and the
/// distance is above zero.
///
/// ```
/// let half = runnerly::stats::vdot::equivalent_seconds(51.9441, 21_097.0).unwrap();
/// assert_eq!(runnerly::stats::pace::clock(half), "1:28:33");
/// ```
pub fn equivalent_seconds(vdot: f64, distance_m: f64) -> Option<f64> {
    let sane = (5.0..=120.0).contains(&vdot) && distance_m > 0.0 && distance_m.is_finite();
    if !sane {
        return None;
    }
    // VDOT falls as the time grows, between 15 m/s and a speed at which the formula leaves its range.
    let (mut fast, mut slow) = (distance_m / 15.0, distance_m / 0.5);
    for _ in 0..100 {
        let middle = (fast + slow) / 2.0;
        if self::vdot(distance_m, middle)? > vdot { fast = middle } else { slow = middle }
    }
    Some((fast + slow) / 2.0)
}

/// Training paces in seconds per kilometre.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Paces {
    /// Easy: 72 % of the speed at VDOT.
    pub easy: f64,
    /// Marathon: 85 %.
    pub marathon: f64,
    /// Threshold: 90 %.
    pub threshold: f64,
    /// Interval: 98 %.
    pub interval: f64,
    /// Repetition: 105 %.
    pub repetition: f64,
}

/// The training paces of a VDOT, by GoldenCheetah's fit of Daniels' tables. `None` unless `vdot` is 5 to 120.
pub fn training_paces(vdot: f64) -> Option<Paces> {
    if !(5.0..=120.0).contains(&vdot) {
        return None;
    }
    let speed = 29.54 + 5.000663 * vdot - 0.007546 * vdot * vdot;
    let pace = |share: f64| 60_000.0 / (speed * share);
    Some(Paces {
        easy: pace(0.72),
        marathon: pace(0.85),
        threshold: pace(0.90),
        interval: pace(0.98),
        repetition: pace(1.05),
    })
}

/// Riegel's prediction: the seconds for `target_m` metres from a time over `distance_m` metres. `None` unless all are
/// above zero and finite.
///
/// ```
/// let marathon = runnerly::stats::vdot::riegel_seconds(10_000.0, 2_400.0, 42_195.0).unwrap();
/// assert_eq!(format!("{marathon:.2}"), "11040.48");
/// ```
pub fn riegel_seconds(distance_m: f64, seconds: f64, target_m: f64) -> Option<f64> {
    let fine = [distance_m, seconds, target_m].iter().all(|value| *value > 0.0 && value.is_finite());
    fine.then(|| seconds * (target_m / distance_m).powf(1.06))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::pace::clock;
    use proptest::prelude::*;

    #[test]
    fn published_values() {
        for (metres, seconds, expected) in [
            (5000.0, 1200.0, 49.8062),
            (10000.0, 2400.0, 51.9441),
            (5000.0, 1500.0, 38.3094),
            (21097.5, 5400.0, 50.9769),
            (42195.0, 10800.0, 53.5283),
            (42195.0, 13322.0, 41.6620),
        ] {
            let vdot = vdot(metres, seconds).unwrap();
            assert!((vdot - expected).abs() < 5e-5, "{metres} m in {seconds} s: {vdot}");
        }
    }

    #[test]
    fn equivalent_times() {
        let from =
            |metres, seconds, target| equivalent_seconds(vdot(metres, seconds).unwrap(), target).unwrap();
        for (metres, seconds, target, expected) in [
            (10000.0, 2400.0, 5000.0, 1157.6),
            (10000.0, 2400.0, 21097.5, 5312.8),
            (10000.0, 2400.0, 42195.0, 11077.7),
            (5000.0, 1200.0, 10000.0, 2487.9),
            (5000.0, 1200.0, 21097.5, 5509.7),
            (5000.0, 1200.0, 42195.0, 11477.2),
        ] {
            let found = from(metres, seconds, target);
            assert!((found - expected).abs() < 0.05, "{target} m: {found}");
        }
    }

    #[test]
    fn training_paces_of_a_forty_minute_runner() {
        let paces = training_paces(51.9441).unwrap();
        let found =
            [paces.easy, paces.marathon, paces.threshold, paces.interval, paces.repetition].map(clock);
        assert_eq!(found, ["5:10", "4:22", "4:08", "3:48", "3:32"]);
    }

    #[test]
    fn riegel() {
        for (metres, seconds, target, expected) in [
            (10000.0, 2400.0, 5000.0, 1151.12),
            (10000.0, 2400.0, 21097.5, 5295.37),
            (5000.0, 1500.0, 10000.0, 3127.40),
        ] {
            assert!((riegel_seconds(metres, seconds, target).unwrap() - expected).abs() < 0.005);
        }
        assert_eq!(riegel_seconds(0.0, 1.0, 1.0), None);
    }

    proptest! {
        #[test]
        fn an_equivalent_time_leads_back_to_its_vdot(level in 20.0f64..85.0, metres in 1500.0f64..50000.0) {
            let seconds = equivalent_seconds(level, metres).unwrap();
            prop_assert!((vdot(metres, seconds).unwrap() - level).abs() < 1e-6);
        }
    }
}
