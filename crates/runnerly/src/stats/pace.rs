//! Pace, and times as people write them.

use super::KM;

/// Seconds per kilometre. `None` without distance or time, or if either is not finite.
///
/// ```
/// let pace = runnerly::stats::pace::seconds_per_km(12_019.7, 4_783.0).unwrap();
/// assert_eq!(format!("{pace:.2}"), "397.93");
/// ```
pub fn seconds_per_km(distance_m: f64, seconds: f64) -> Option<f64> {
    seconds_per(KM, distance_m, seconds)
}

/// Seconds per `unit_m` metres, such as [`MILE`](crate::stats::MILE). `None` as for [`seconds_per_km`].
pub fn seconds_per(unit_m: f64, distance_m: f64, seconds: f64) -> Option<f64> {
    let pace = unit_m * seconds / distance_m;
    (distance_m > 0.0 && seconds > 0.0 && pace.is_finite()).then_some(pace)
}

/// Seconds as `m:ss`, or `h:mm:ss` from an hour on, rounded to the second. Negative and not finite count as 0.
///
/// ```
/// use runnerly::stats::pace::clock;
/// assert_eq!(clock(397.93), "6:38");
/// assert_eq!(clock(299.5), "5:00");
/// assert_eq!(clock(5312.8), "1:28:33");
/// ```
pub fn clock(seconds: f64) -> String {
    // Rounding before splitting carries 59.5 into the next minute.
    let whole = seconds.round().max(0.0);
    let whole = if whole.is_finite() { whole as u64 } else { 0 };
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rounding_carries_into_minutes_and_hours() {
        for (seconds, text) in [
            (0.0, "0:00"),
            (59.4, "0:59"),
            (59.5, "1:00"),
            (428.05, "7:08"),
            (3599.5, "1:00:00"),
            (-5.0, "0:00"),
            (f64::NAN, "0:00"),
            (f64::INFINITY, "0:00"),
        ] {
            assert_eq!(clock(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn there_is_no_pace_without_distance_or_time() {
        for (metres, seconds) in
            [(0.0, 5.0), (5.0, 0.0), (-1.0, -1.0), (f64::NAN, 1.0), (f64::INFINITY, f64::INFINITY)]
        {
            assert_eq!(seconds_per_km(metres, seconds), None);
        }
    }

    proptest! {
        #[test]
        fn a_clock_reads_back_to_the_second(seconds in 0u32..1_000_000) {
            let read = clock(f64::from(seconds)).split(':').fold(0, |sum, part| sum * 60 + part.parse::<u32>().unwrap());
            prop_assert_eq!(read, seconds);
        }
    }
}
