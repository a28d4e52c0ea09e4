//! Heart rate zones and the time spent in each.

use super::splits::{interval, moving};
use crate::run::{Invalid, Streams};
use serde::{Deserialize, Serialize};

/// Heart rate zones: the lower bound of each, in beats per minute, ascending. The last has no upper bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Zones(Vec<f64>);

/// The seconds in motion spent in each zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeInZones {
    /// Seconds below the first zone.
    pub below_s: i64,
    /// Seconds in each zone, lowest zone first.
    pub zones_s: Vec<i64>,
}

const SHARES: [f64; 5] = [0.5, 0.6, 0.7, 0.8, 0.9];

impl Zones {
    /// Five zones from 50, 60, 70, 80 and 90 % of the heart rate reserve (Karvonen).
    ///
    /// # Errors
    /// Unless 0 < `rest` < `max` ≤ 300.
    ///
    /// ```
    /// let zones = runnerly::stats::zones::Zones::karvonen(50.0, 190.0).unwrap();
    /// assert_eq!(zones.bounds(), [120.0, 134.0, 148.0, 162.0, 176.0]);
    /// ```
    pub fn karvonen(rest: f64, max: f64) -> Result<Self, Invalid> {
        if !(rest > 0.0 && rest < max && max <= 300.0) {
            let reason = format!("rest {rest} and max {max}; allowed is 0 < rest < max <= 300");
            return Err(Invalid::new("heart rate", reason));
        }
        Ok(Self(SHARES.map(|share| rest + share * (max - rest)).into()))
    }

    /// Five zones from 50, 60, 70, 80 and 90 % of the highest heart rate.
    ///
    /// # Errors
    /// Unless 0 < `max` ≤ 300.
    pub fn of_max(max: f64) -> Result<Self, Invalid> {
        if !(max > 0.0 && max <= 300.0) {
            return Err(Invalid::new("heart rate", format!("max {max}; allowed is 0 < max <= 300")));
        }
        Ok(Self(SHARES.map(|share| share * max).into()))
    }

    /// Zones with the given lower bounds, such as Strava's `0, 111, 139, 152, 166`.
    ///
    /// # Errors
    /// If there is none, or they are not finite, not at least 0, or not strictly ascending.
    pub fn given(bounds: Vec<f64>) -> Result<Self, Invalid> {
        let fine = bounds.iter().all(|bound| bound.is_finite() && *bound >= 0.0);
        if bounds.is_empty() || !fine || bounds.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(Invalid::new("zones", "expected lower bounds of at least 0 in ascending order"));
        }
        Ok(Self(bounds))
    }

    /// The lower bounds.
    pub fn bounds(&self) -> &[f64] {
        &self.0
    }

    /// The zone of a heart rate, from 0; a lower bound belongs to its zone. `None` below the first.
    pub fn zone(&self, hr: f64) -> Option<usize> {
        self.0.iter().rposition(|bound| hr >= *bound)
    }

    /// How the seconds in motion of a run, whose streams are [valid](Streams::validate), spread over the zones. `None`
    /// without a heart rate.
    pub fn time_in(&self, streams: &Streams) -> Option<TimeInZones> {
        let hr = streams.heartrate.as_ref()?;
        let moving = moving(streams);
        let mut time = TimeInZones { below_s: 0, zones_s: vec![0; self.0.len()] };
        for k in (1..streams.len()).filter(|k| moving[*k]) {
            match self.zone(hr[k]) {
                Some(zone) => time.zones_s[zone] += interval(streams, k),
                None => time.below_s += interval(streams, k),
            }
        }
        Some(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_of_max_and_their_lower_bounds() {
        let zones = Zones::of_max(190.0).unwrap();
        assert_eq!(zones.bounds(), [95.0, 114.0, 133.0, 152.0, 171.0]);
        assert_eq!(
            [94.9, 95.0, 113.9, 114.0, 250.0].map(|hr| zones.zone(hr)),
            [None, Some(0), Some(0), Some(1), Some(4)]
        );
    }

    #[test]
    fn impossible_bounds_are_refused() {
        assert!(Zones::karvonen(190.0, 50.0).is_err() && Zones::karvonen(f64::NAN, 190.0).is_err());
        assert!(Zones::of_max(0.0).is_err() && Zones::of_max(f64::INFINITY).is_err());
        for bounds in [vec![], vec![-1.0], vec![100.0, 100.0], vec![120.0, 100.0], vec![f64::NAN]] {
            assert!(Zones::given(bounds).is_err());
        }
    }
}
