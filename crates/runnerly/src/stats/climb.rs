//! Metres climbed.

/// The hysteresis that tells climbing from noise: 2 m.
pub const THRESHOLD_M: f64 = 2.0;

/// Metres climbed along these altitudes. A change counts once it exceeds `threshold_m` from the last turning level, so
/// that the noise of a barometer or of GPS does not add up.
///
/// ```
/// use runnerly::stats::climb::{THRESHOLD_M, gain};
/// assert_eq!(gain(&[10.0, 11.0, 10.0, 11.0, 10.0], THRESHOLD_M), 0.0);
/// assert_eq!(gain(&[10.0, 13.0, 12.0, 16.0, 4.0], THRESHOLD_M), 6.0);
/// ```
pub fn gain(altitude: &[f64], threshold_m: f64) -> f64 {
    let Some(mut level) = altitude.first().copied() else {
        return 0.0;
    };
    let mut gained = 0.0;
    for metres in altitude {
        let change = metres - level;
        if change.abs() >= threshold_m {
            gained += change.max(0.0);
            level = *metres;
        }
    }
    gained
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_never_negative_nor_less_than_the_net_climb_less_the_threshold(
            altitude in prop::collection::vec(-50.0f64..3000.0, 1..200), threshold in 0.0f64..5.0
        ) {
            let gained = gain(&altitude, threshold);
            prop_assert!(gained >= 0.0);
            prop_assert!(gained >= altitude[altitude.len() - 1] - altitude[0] - threshold - 1e-6);
        }
    }
}
