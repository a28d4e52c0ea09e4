//! Training load per run, and what it adds up to: fitness, fatigue, form, monotony.

/// The constants of Banister's training impulse, `minutes · x · factor · e^(exponent · x)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Impulse {
    /// The factor.
    pub factor: f64,
    /// The exponent.
    pub exponent: f64,
}

impl Impulse {
    /// Banister's constants for men.
    pub const MEN: Self = Self { factor: 0.64, exponent: 1.92 };
    /// Banister's constants for women.
    pub const WOMEN: Self = Self { factor: 0.86, exponent: 1.67 };
    /// What GoldenCheetah and Elevate use for women.
    pub const WOMEN_GOLDEN_CHEETAH: Self = Self { factor: 0.64, exponent: 1.67 };

    /// The training impulse of `minutes` at heart rate `hr`. Heart rates outside `rest..max` count as the nearer one;
    /// 0 unless `rest < max`.
    ///
    /// ```
    /// let trimp = runnerly::stats::load::Impulse::MEN.of(60.0, 150.0, 50.0, 190.0);
    /// assert_eq!(format!("{trimp:.4}"), "108.0954");
    /// ```
    pub fn of(self, minutes: f64, hr: f64, rest: f64, max: f64) -> f64 {
        if rest >= max || [minutes, hr, rest, max].iter().any(|value| !value.is_finite()) {
            return 0.0;
        }
        let reserve = ((hr - rest) / (max - rest)).clamp(0.0, 1.0);
        minutes.max(0.0) * reserve * self.factor * (self.exponent * reserve).exp()
    }

    /// Heart rate stress: 100 is an hour at the threshold heart rate.
    pub fn stress(self, minutes: f64, hr: f64, rest: f64, max: f64, threshold_hr: f64) -> Option<f64> {
        let hour = self.of(60.0, threshold_hr, rest, max);
        (hour > 0.0).then(|| 100.0 * self.of(minutes, hr, rest, max) / hour)
    }
}

/// The threshold heart rate when none is known: 85 % of the reserve.
pub fn threshold_hr(rest: f64, max: f64) -> f64 {
    rest + 0.85 * (max - rest)
}

/// Running stress from pace: 100 is an hour at threshold pace. Paces in seconds per kilometre, grade-adjusted; `None`
/// unless `pace` is above zero.
///
/// ```
/// let stress = runnerly::stats::load::pace_stress(45.0 * 60.0, 300.0, 270.0).unwrap();
/// assert!((stress - 60.75).abs() < 1e-9);
/// ```
pub fn pace_stress(seconds: f64, pace: f64, threshold_pace: f64) -> Option<f64> {
    (pace > 0.0).then(|| seconds / 3600.0 * (threshold_pace / pace).powi(2) * 100.0)
}

/// One day of training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Day {
    /// The load of the day.
    pub load: f64,
    /// Fitness: the load averaged exponentially over 42 days.
    pub fitness: f64,
    /// Fatigue: the load averaged exponentially over 7 days.
    pub fatigue: f64,
    /// Form: yesterday's fitness less yesterday's fatigue, what one starts the day with.
    pub form: f64,
}

/// Fitness, fatigue and form, one entry per calendar day, rest days included, starting from nothing.
pub fn days(loads: &[f64]) -> Vec<Day> {
    let (slow, fast) = (1.0 - (-1.0f64 / 42.0).exp(), 1.0 - (-1.0f64 / 7.0).exp());
    let (mut fitness, mut fatigue) = (0.0, 0.0);
    let day = |load: &f64| {
        let form = fitness - fatigue;
        fitness += (load - fitness) * slow;
        fatigue += (load - fatigue) * fast;
        Day { load: *load, fitness, fatigue, form }
    };
    loads.iter().map(day).collect()
}

/// Foster's monotony of some days: mean over population standard deviation. `None` if the loads are all equal.
/// Strain is their sum times the monotony.
pub fn monotony(loads: &[f64]) -> Option<f64> {
    let n = loads.len() as f64;
    let mean = loads.iter().sum::<f64>() / n;
    let deviation = (loads.iter().map(|load| (load - mean).powi(2)).sum::<f64>() / n).sqrt();
    (deviation > 0.0).then(|| mean / deviation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 5e-5, "{found} is not {expected}");
    }

    #[test]
    fn impulses_and_stress() {
        close(Impulse::MEN.of(60.0, 150.0, 50.0, 190.0), 108.0954);
        close(Impulse::WOMEN.of(60.0, 150.0, 50.0, 190.0), 121.4991);
        close(Impulse::WOMEN_GOLDEN_CHEETAH.of(60.0, 150.0, 50.0, 190.0), 90.4179);
        close(threshold_hr(50.0, 190.0), 169.0);
        close(Impulse::MEN.of(60.0, 169.0, 50.0, 190.0), 166.9240);
        close(Impulse::MEN.stress(60.0, 150.0, 50.0, 190.0, 169.0).unwrap(), 64.7572);
        close(Impulse::MEN.stress(48.0, 142.0, 50.0, 190.0, 169.0).unwrap(), 42.7088);
        assert_eq!(Impulse::MEN.of(60.0, 150.0, 190.0, 50.0), 0.0);
        assert_eq!(pace_stress(60.0, 0.0, 270.0), None);
    }

    #[test]
    fn fitness_fatigue_and_form() {
        let found = days(&[50.0, 0.0, 80.0, 60.0, 0.0, 120.0, 40.0, 0.0, 0.0, 100.0]);
        close(found[6].fitness, 7.7436);
        close(found[6].fatigue, 33.2150);
        close(found[9].fitness, 9.5626);
        close(found[9].fatigue, 34.9498);
        close(found[9].fitness - found[9].fatigue, -25.3872);
        close(found[9].form, -17.5769);
        let steady = days(&[100.0; 42]);
        close(steady[41].fitness, 63.2121);
        close(steady[41].fatigue, 99.7521);
    }

    #[test]
    fn monotony_and_strain() {
        let week = [50.0, 0.0, 80.0, 60.0, 0.0, 120.0, 40.0];
        let monotony = monotony(&week).unwrap();
        close(monotony, 1.26131);
        assert!((monotony * week.iter().sum::<f64>() - 441.46).abs() < 0.005);
        assert_eq!(super::monotony(&[10.0; 7]), None);
        assert_eq!(super::monotony(&[]), None);
    }
}
