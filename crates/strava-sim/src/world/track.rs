//! What a device would have recorded on a planned activity.

use std::f64::consts::{PI, TAU};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::plan::{Plan, Shape, Sport};

/// One recording. All lists are of the same length, one item per point.
#[derive(Default)]
pub(crate) struct Track {
    /// Seconds since the start.
    pub(crate) time: Vec<i64>,
    /// Metres since the start.
    pub(crate) distance: Vec<f64>,
    /// Metres above the sea; empty indoors.
    pub(crate) altitude: Vec<f64>,
    /// Latitude and longitude; empty indoors.
    pub(crate) latlng: Vec<[f64; 2]>,
    /// Metres per second.
    pub(crate) velocity: Vec<f64>,
    /// Beats per minute; empty when not measured.
    pub(crate) heartrate: Vec<i64>,
    /// Steps of one leg per minute; empty but on foot.
    pub(crate) cadence: Vec<i64>,
    /// Whether the athlete moved on the way to this point.
    pub(crate) moving: Vec<bool>,
    /// Percent.
    pub(crate) grade: Vec<f64>,
}

/// Rounds to `digits` decimals.
pub(crate) fn round(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

impl Track {
    /// Runs the plan. The same plan always gives the same track.
    pub(crate) fn of(plan: &Plan) -> Self {
        let mut device = Device::new(plan);
        let mut track = Self::default();
        device.point(&mut track, 0.0, false);
        // No plan needs this many points; it bounds a plan with odd numbers.
        for _ in 0..60_000 {
            if device.metres >= plan.distance {
                break;
            }
            device.step(&mut track);
        }
        track
    }

    pub(crate) fn elapsed(&self) -> i64 {
        self.time.last().copied().unwrap_or(0)
    }

    pub(crate) fn metres(&self) -> f64 {
        self.distance.last().copied().unwrap_or(0.0)
    }

    /// Seconds of movement between two points.
    pub(crate) fn moving_s(&self, from: usize, to: usize) -> i64 {
        (from + 1..=to).filter(|&at| self.moving[at]).map(|at| self.time[at] - self.time[at - 1]).sum()
    }

    /// Metres climbed between two points.
    pub(crate) fn climb(&self, from: usize, to: usize) -> f64 {
        if self.altitude.is_empty() {
            return 0.0;
        }
        let rises = self.altitude[from..=to].windows(2).map(|pair| (pair[1] - pair[0]).max(0.0));
        round(rises.sum(), 1)
    }

    /// Mean over time of any list between two points; `None` when it is empty.
    pub(crate) fn mean(&self, list: &[i64], from: usize, to: usize) -> Option<f64> {
        let first = list.get(from).copied()?;
        let span = self.time[to] - self.time[from];
        if span <= 0 {
            return Some(first as f64);
        }
        let weighted = |at: usize| list[at] as f64 * (self.time[at] - self.time[at - 1]) as f64;
        Some((from + 1..=to).map(weighted).sum::<f64>() / span as f64)
    }
}

struct Device<'a> {
    plan: &'a Plan,
    rng: StdRng,
    seconds: i64,
    metres: f64,
    speed: f64,
    heart: f64,
    wobble: f64,
    at: [f64; 2],
    heading: f64,
    phases: [f64; 4],
}

impl<'a> Device<'a> {
    fn new(plan: &'a Plan) -> Self {
        let mut rng = StdRng::seed_from_u64(plan.id as u64 ^ 0x5EED_5EED);
        let mut spread = || rng.random_range(-0.004..0.004);
        let at = [plan.place.0 + spread(), plan.place.1 + spread()];
        let phases = std::array::from_fn(|_| rng.random_range(0.0..TAU));
        let heart = plan.heart.map_or(0.0, |(easy, _)| easy - 32.0);
        let heading = phases[0];
        Self { plan, rng, seconds: 0, metres: 0.0, speed: 0.0, heart, wobble: 0.0, at, heading, phases }
    }

    fn step(&mut self, track: &mut Track) {
        if self.pauses() {
            self.seconds += self.rng.random_range(12..140);
            let drift = self.rng.random_range(0.0..2.0);
            self.walk(drift);
            self.heart -= (self.heart - 105.0).max(0.0) * 0.35;
            self.point(track, 0.0, false);
            return;
        }
        let seconds = [1, 2, 3, 3, 3, 4, 5][self.rng.random_range(0..7)];
        self.wobble = self.wobble * 0.9 + self.rng.random_range(-0.012..0.012);
        let hill = 1.0 - 0.028 * self.grade(self.metres);
        let target = self.plan.speed * self.effort() * hill * (1.0 + self.wobble);
        let speed = target.max(self.plan.speed * 0.4);
        let left = self.plan.distance - self.metres;
        self.seconds += seconds;
        // The last step ends at the line, so that the distance is the planned one.
        self.walk((speed * seconds as f64).min(left.max(0.1)));
        self.beat(speed, seconds as f64);
        self.point(track, speed, true);
    }

    fn pauses(&mut self) -> bool {
        let per_step = match self.plan.shape {
            Shape::Race | Shape::Intervals => 0.0,
            _ if self.plan.indoor => 0.0005,
            _ => 0.0028,
        };
        self.metres > 50.0 && self.rng.random_bool(per_step)
    }

    /// Part of the mean effort that is spent at this place of the activity.
    fn effort(&self) -> f64 {
        let part = (self.metres / self.plan.distance).clamp(0.0, 1.0);
        match self.plan.shape {
            Shape::Steady => 1.0,
            Shape::Progressive => 0.9 + 0.2 * part,
            Shape::Long => 1.02 - 0.04 * part,
            Shape::Race => 1.01 - 0.02 * part * (1.0 - part) * 4.0,
            Shape::Intervals if !(0.2..0.85).contains(&part) => 0.9,
            Shape::Intervals if fast_lap(self.metres) => 1.28,
            Shape::Intervals => 0.82,
        }
    }

    fn walk(&mut self, metres: f64) {
        self.metres += metres;
        let turn = TAU * metres / self.plan.distance;
        let bend = (self.metres / 190.0 + self.phases[1]).sin() * 0.9;
        self.heading += turn;
        let course = self.heading + bend;
        let radius = 6_371_008.8;
        self.at[0] += (metres * course.cos() / radius).to_degrees();
        self.at[1] += (metres * course.sin() / (radius * (self.at[0] * PI / 180.0).cos())).to_degrees();
    }

    fn height(&self, metres: f64) -> f64 {
        let wave = |length: f64, phase: f64| (TAU * metres / length + phase).sin();
        let shape = 0.55 * wave(2_700.0, self.phases[1])
            + 0.3 * wave(1_130.0, self.phases[2])
            + 0.15 * wave(410.0, self.phases[3]);
        35.0 + self.plan.hills * (1.0 + shape) / 2.0
    }

    /// Percent.
    fn grade(&self, metres: f64) -> f64 {
        if self.plan.has_positions() {
            self.height(metres + 10.0).mul_add(5.0, -5.0 * self.height(metres - 10.0))
        } else {
            0.0
        }
    }

    fn beat(&mut self, speed: f64, seconds: f64) {
        let Some((easy, full)) = self.plan.heart else {
            return;
        };
        // Distance tires: half a beat per kilometre.
        let tired = self.metres / 2_000.0;
        let hard = match self.plan.shape {
            Shape::Race => 0.72,
            Shape::Progressive | Shape::Intervals => 0.35,
            _ => 0.08,
        };
        let effort = hard + 1.6 * (speed / self.plan.speed - 1.0);
        let target = (easy + (full - easy) * effort + tired).clamp(80.0, full);
        self.heart += (target - self.heart) * (1.0 - (-seconds / 28.0).exp());
    }

    fn point(&mut self, track: &mut Track, speed: f64, moving: bool) {
        // Smoothed as Strava does: the speed of a point leans on the one before.
        self.speed = if moving { 0.4 * self.speed + 0.6 * speed } else { 0.0 };
        track.time.push(self.seconds);
        track.distance.push(round(self.metres, 1));
        track.velocity.push(round(self.speed, 1));
        track.moving.push(moving);
        track.grade.push(round(self.grade(self.metres), 1));
        if self.plan.has_positions() {
            track.altitude.push(round(self.height(self.metres), 1));
            track.latlng.push([round(self.at[0], 6), round(self.at[1], 6)]);
        }
        if self.plan.heart.is_some() {
            track.heartrate.push(self.heart.round() as i64);
        }
        if self.plan.sport.on_foot() && self.plan.sport != Sport::VirtualRun {
            let cadence = if moving { 70.0 + 5.5 * speed + self.wobble * 20.0 } else { 0.0 };
            track.cadence.push(cadence.round() as i64);
        }
    }
}

/// Intervals are 800 m fast, 400 m slow.
pub(crate) fn fast_lap(metres: f64) -> bool {
    metres.rem_euclid(1_200.0) < 800.0
}
