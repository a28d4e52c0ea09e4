//! How much of a figure fits into its time.

use crate::machine::{Sample, median};
use crate::report::{Row, number};
use std::time::{Duration, Instant};

/// The windows of one figure. The first is small and does not count: it tells how long a job
/// takes, all that is done around it included, and so how many fit into the time.
pub(crate) struct Plan {
    /// Of a window, at most.
    most: usize,
    runs: usize,
    time: Duration,
    /// The size of the windows that count, and when the first of them began.
    sized: Option<(usize, Instant)>,
    /// The window that is being measured.
    at: Option<(usize, Instant)>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) limits: Vec<Sample>,
}

impl Plan {
    pub(crate) fn new(most: usize, runs: usize, time: Duration) -> Plan {
        let (samples, limits) = Default::default();
        Plan { most, runs, time, sized: None, at: None, samples, limits }
    }

    /// Its windows are those of so many figures.
    pub(crate) fn of(self, figures: usize) -> Plan {
        Plan { time: self.time * figures as u32, ..self }
    }

    /// How many jobs the next window has; none when there has been enough, or the time is over.
    pub(crate) fn next(&mut self) -> Option<usize> {
        let now = Instant::now();
        let size = match (self.sized, self.at) {
            (None, None) => (self.most / 10).max(1),
            (None, Some((jobs, began))) => {
                let size = fitting(self.most, self.runs, self.time, jobs, now - began);
                self.sized = Some((size, now));
                size
            }
            // Another as long as those before it must fit, too.
            (Some((size, first)), _) => {
                let (spent, had) = (now - first, self.samples.len());
                if had >= self.runs || had > 0 && spent + spent / had as u32 > self.time.mul_f64(1.2) {
                    return None;
                }
                size
            }
        };
        self.at = Some((size, now));
        Some(size)
    }

    /// Takes what a window has brought.
    pub(crate) fn add(&mut self, sample: Sample, limit: Option<Sample>) {
        if self.counts() {
            self.samples.push(sample);
            self.limits.extend(limit);
        }
    }

    /// Whether the window that is being measured counts.
    pub(crate) fn counts(&self) -> bool {
        self.sized.is_some()
    }

    /// What was used, for people.
    pub(crate) fn used(&self, windows: usize) -> String {
        let jobs = self.sized.map_or(0, |(jobs, _)| jobs);
        let windows = if windows == 1 { "1 window".into() } else { format!("{windows} windows") };
        format!("{windows} of {} jobs", number(jobs as f64))
    }

    pub(crate) fn row(&self, name: String, settings: &str) -> Row {
        let settings = format!("{settings}; {}", self.used(self.samples.len()));
        let limit = (!self.limits.is_empty()).then(|| median(&self.limits));
        Row::rate(name, self.samples.clone(), settings).limit(limit)
    }
}

/// How many jobs each of so many windows may have, where so many took so long.
fn fitting(most: usize, runs: usize, time: Duration, jobs: usize, took: Duration) -> usize {
    let each = time.as_secs_f64() / runs as f64;
    let fits = each / took.as_secs_f64().max(1e-6) * jobs as f64;
    // In round numbers.
    let fits = fits.min(most as f64).max((jobs / 4) as f64) as usize;
    let unit = 10usize.pow(fits.max(1).ilog10().saturating_sub(1));
    (fits / unit * unit).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_jobs_are_fewer() {
        let fitting =
            |took| fitting(100_000, 3, Duration::from_secs(30), 10_000, Duration::from_millis(took));
        assert_eq!((fitting(100), fitting(1_000), fitting(2_400)), (100_000, 100_000, 41_000));
        assert_eq!(fitting(1_000_000), 2_500, "never so few that they say nothing");
    }

    #[test]
    fn the_first_window_does_not_count_and_time_ends_the_rest() {
        let sample = Sample { rate: 1.0, client_us: 1.0, redis_us: None, others: 0.0 };
        let windows = |time| {
            let (mut plan, mut sizes) = (Plan::new(10_000, 3, time), Vec::new());
            while let Some(jobs) = plan.next() {
                sizes.push(jobs);
                plan.add(sample, None);
            }
            (sizes, plan.row("redis mixed".into(), "alone").settings)
        };
        let (sizes, settings) = windows(Duration::from_secs(3_600));
        assert_eq!(sizes, [1_000, 10_000, 10_000, 10_000]);
        assert_eq!(settings, "alone; 3 windows of 10,000 jobs");
        let (sizes, settings) = windows(Duration::ZERO);
        assert_eq!(sizes, [1_000, 250], "one at least");
        assert_eq!(settings, "alone; 1 window of 250 jobs");
    }
}
