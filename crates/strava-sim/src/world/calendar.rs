//! Years of training, week by week.
//!
//! Every week has its own random numbers, drawn from the seed, the athlete and
//! the week's number: what happens in a week does not depend on the others.

use chrono::{
    DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Timelike, Utc, Weekday,
};
use chrono_tz::Tz;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::athletes::Athlete;
use super::plan::{Plan, Shape, Sport, id_at, upload_time};

/// All activities of `athlete` (number `owner`) that were uploaded before `until`.
pub(crate) fn history(athlete: &Athlete, owner: usize, seed: u64, until: DateTime<Utc>) -> Vec<Plan> {
    let last = week_number(until.date_naive());
    let mut plans = Vec::new();
    for week in (last - athlete.weeks + 1)..=last {
        if athlete.weeks > 0 {
            let years = (week - (last - athlete.weeks)) as f64 / 52.18;
            Week::new(athlete, seed, owner, week, years).fill(&mut plans);
        }
    }
    plans.retain_mut(|plan| {
        // Some watches are synchronised days later: ids then run against the dates.
        let late_days = i64::from(plan.start.timestamp().rem_euclid(47) == 0) * 2;
        let uploaded = upload_time(plan, late_days);
        plan.id = id_at(uploaded, owner);
        uploaded < until
    });
    plans.sort_by_key(|plan| std::cmp::Reverse((plan.start, plan.id)));
    plans.dedup_by_key(|plan| plan.id);
    plans
}

fn week_number(day: NaiveDate) -> i64 {
    // 1970-01-05 was a Monday.
    (i64::from(day.num_days_from_ce()) - 719_167).div_euclid(7)
}

fn monday(week: i64) -> NaiveDate {
    let ce = i32::try_from(719_167 + week * 7).unwrap_or(719_167);
    NaiveDate::from_num_days_from_ce_opt(ce).unwrap_or_default()
}

struct Week<'a> {
    athlete: &'a Athlete,
    rng: StdRng,
    monday: NaiveDate,
    /// Years since the history began.
    years: f64,
    zone: Tz,
    place: (f64, f64),
    /// -1 in midwinter, 1 in midsummer.
    warmth: f64,
    /// How much of the usual amount is run.
    load: f64,
}

impl<'a> Week<'a> {
    fn new(athlete: &'a Athlete, seed: u64, owner: usize, week: i64, years: f64) -> Self {
        let mix = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ ((owner as u64) << 48) ^ week as u64;
        let mut rng = StdRng::seed_from_u64(mix);
        let monday = monday(week);
        let year_part = f64::from(monday.ordinal()) / 365.25;
        let season = -(std::f64::consts::TAU * (year_part - 0.04)).cos();
        let warmth = if athlete.southern { -season } else { season };
        let away = !athlete.trips.is_empty() && rng.random_bool(0.045);
        let (zone, place) = match away {
            true => athlete.trips[rng.random_range(0..athlete.trips.len())],
            false => (athlete.zone, athlete.home),
        };
        let cycle = [0.95, 1.08, 1.2, 0.72][week.rem_euclid(4) as usize];
        let ill = rng.random_bool(0.035);
        let load = if ill { 0.2 } else { cycle * (1.0 + 0.12 * warmth) };
        Self { athlete, rng, monday, years, zone, place, warmth, load }
    }

    fn fill(mut self, plans: &mut Vec<Plan>) {
        let mut days: Vec<u64> = Vec::new();
        self.special_days(plans, &mut days);
        let wanted = self.athlete.runs_per_week * self.load;
        let whole = wanted.floor();
        let runs = whole as usize + usize::from(self.rng.random_bool(wanted - whole));
        // Sunday, Wednesday, Friday, Tuesday, Saturday, Thursday, Monday.
        let free = [6, 2, 4, 1, 5, 3, 0].into_iter().filter(|day| !days.contains(day));
        let chosen: Vec<u64> = free.take(runs).collect();
        for &day in &chosen {
            plans.push(self.training(day));
        }
        days.extend(chosen);
        for (sport, chance) in [(Sport::Ride, 0.16), (Sport::Swim, 0.13)] {
            let free = (0..7).find(|day| !days.contains(day));
            if let Some(day) = free.filter(|_| self.rng.random_bool(chance)) {
                days.push(day);
                plans.push(self.other(sport, day));
            }
        }
    }

    /// Races, and the run into the new year.
    fn special_days(&mut self, plans: &mut Vec<Plan>, days: &mut Vec<u64>) {
        for day in 0..7 {
            let date = self.monday + Days::new(day);
            let last_sunday = date.weekday() == Weekday::Sun && date.day() > 24;
            let race = match (date.month(), date.day()) {
                (4, _) if last_sunday => Some(("Half marathon", 21_097.5, 1.155)),
                (9, _) if last_sunday => Some(("Marathon", 42_195.0, 1.085)),
                (6, _) if last_sunday => Some(("City 10K", 10_000.0, 1.21)),
                (_, 1..=7) if day == 5 && self.rng.random_bool(0.4) => Some(("Saturday 5K", 5_000.0, 1.25)),
                _ => None,
            };
            if let Some((name, metres, effort)) = race.filter(|race| self.ready_for(race.1)) {
                let at = NaiveTime::from_hms_opt(9, 0, self.rng.random_range(2..40));
                let distance = metres * self.rng.random_range(1.001..1.006);
                let plan = self.run(day, at, name.into(), distance, effort, Shape::Race);
                plans.push(plan);
                days.push(day);
            } else if (date.month(), date.day()) == (12, 31) {
                let at = NaiveTime::from_hms_opt(23, 36, 20);
                let name = "Into the new year".to_owned();
                let plan = self.run(day, at, name, 6_400.0, 0.95, Shape::Steady);
                plans.push(plan);
                days.push(day);
            }
        }
    }

    fn ready_for(&self, metres: f64) -> bool {
        self.load > 0.5 && metres < self.athlete.usual * (2.2 + 4.0 * self.years)
    }

    fn training(&mut self, day: u64) -> Plan {
        let at = self.time_of_day(day);
        let usual = self.athlete.usual * self.load * (1.0 + 0.12 * self.years.min(3.0));
        let usual = usual * self.rng.random_range(0.75..1.25);
        match day {
            6 => {
                let name = "Long run".to_owned();
                self.run(day, at, name, usual * 1.65, 0.96, Shape::Long)
            }
            2 if self.rng.random_bool(0.55) => {
                let name = "Intervals".to_owned();
                self.run(day, at, name, usual, 1.07, Shape::Intervals)
            }
            4 if self.rng.random_bool(0.35) => {
                let name = "Tempo run".to_owned();
                self.run(day, at, name, usual, 1.05, Shape::Progressive)
            }
            _ => {
                let part = match at.map_or(0, |at| at.hour()) {
                    0..=4 | 22..=23 => "Night",
                    5..=11 => "Morning",
                    12..=16 => "Afternoon",
                    _ => "Evening",
                };
                let effort = self.rng.random_range(0.94..1.03);
                self.run(day, at, format!("{part} run"), usual, effort, Shape::Steady)
            }
        }
    }

    fn time_of_day(&mut self, day: u64) -> Option<NaiveTime> {
        let rng = &mut self.rng;
        let minute = rng.random_range(0..60);
        let hour = match rng.random_range(0..100) {
            // Either side of local midnight.
            0..=1 => return NaiveTime::from_hms_opt(23, 52 + minute % 8, 7),
            2..=3 => return NaiveTime::from_hms_opt(0, minute % 20, 31),
            _ if day >= 5 => rng.random_range(8..11),
            4..=44 => rng.random_range(6..8),
            _ => rng.random_range(17..20),
        };
        NaiveTime::from_hms_opt(hour, minute, rng.random_range(0..60))
    }

    fn run(
        &mut self,
        day: u64,
        at: Option<NaiveTime>,
        name: String,
        distance: f64,
        effort: f64,
        shape: Shape,
    ) -> Plan {
        let race = shape == Shape::Race;
        let long_run = (10_000.0 / distance.max(1_000.0)).powf(0.05);
        let mut plan = self.plan(day, at, name, Sport::Run, shape);
        plan.distance = distance;
        plan.speed = self.fitness() * effort * long_run;
        let indoor = 0.04 + 0.06 * (-self.warmth).max(0.0);
        match self.rng.random_range(0.0..1.0) {
            _ if race || plan.zone != self.athlete.zone => {}
            draw if draw < indoor => {
                plan.indoor = true;
                plan.name = "Treadmill".into();
            }
            draw if draw < indoor + 0.025 => {
                plan.sport = Sport::VirtualRun;
                plan.name = "Virtual run".into();
                plan.place = (-11.6367, 166.9700);
            }
            draw if draw < indoor + 0.1 && day >= 5 => {
                plan.sport = Sport::TrailRun;
                plan.name = "Trails".into();
                plan.hills = plan.hills * 2.5 + 60.0;
                plan.speed *= 0.86;
            }
            draw if draw > 0.985 => plan.manual = true,
            _ => {}
        }
        plan.gear = self.shoe(&plan);
        plan
    }

    fn shoe(&self, plan: &Plan) -> Option<String> {
        let shoes = self.athlete.shoes;
        let wanted = match (plan.shape, plan.sport) {
            (_, Sport::TrailRun) => 2,
            (Shape::Race, _) => 1,
            _ => 0,
        };
        shoes.get(wanted).or(shoes.first()).map(|(id, _)| (*id).to_owned())
    }

    fn other(&mut self, sport: Sport, day: u64) -> Plan {
        let at = self.time_of_day(day);
        let mut plan = self.plan(day, at, sport.name().to_owned(), sport, Shape::Steady);
        if sport == Sport::Ride {
            plan.distance = self.rng.random_range(12_000.0..55_000.0);
            plan.speed = self.rng.random_range(6.2..7.9);
            plan.gear = self.athlete.bike.map(|(id, _)| id.to_owned());
        } else {
            plan.distance = f64::from(self.rng.random_range(16..64_u32)) * 50.0;
            plan.speed = self.rng.random_range(0.62..0.88);
            plan.indoor = true;
        }
        plan
    }

    /// Easy speed now: quick progress at first, slower later, best in summer.
    fn fitness(&mut self) -> f64 {
        let progress = self.athlete.gain * (1.0 - (-self.years / 1.1).exp()) / 0.93;
        let form = self.rng.random_range(0.985..1.015);
        self.athlete.speed * (1.0 + progress) * (1.0 + 0.012 * self.warmth) * form
    }

    fn plan(&mut self, day: u64, at: Option<NaiveTime>, name: String, sport: Sport, shape: Shape) -> Plan {
        let start = self.monday + Days::new(day);
        let local = NaiveDateTime::new(start, at.unwrap_or_default());
        let (easy, full) = self.athlete.heart;
        let measured = self.rng.random_bool(0.91);
        let drift = self.rng.random_range(-3.0..3.0);
        Plan {
            id: 0,
            athlete: self.athlete.id,
            name,
            sport,
            shape,
            start: to_utc(self.zone, local),
            zone: self.zone,
            place: self.place,
            hills: self.athlete.hills,
            distance: 1_000.0,
            speed: 1.0,
            heart: measured.then_some((easy + drift, full)),
            gear: None,
            indoor: false,
            manual: false,
            only_me: self.rng.random_bool(0.015),
            ghost: self.rng.random_bool(0.01),
        }
    }
}

/// The instant of a local time; one that a change of clocks skips moves on by an hour.
pub(crate) fn to_utc(zone: Tz, local: NaiveDateTime) -> DateTime<Utc> {
    let later = local + chrono::TimeDelta::hours(1);
    zone.from_local_datetime(&local)
        .earliest()
        .or_else(|| zone.from_local_datetime(&later).earliest())
        .map_or_else(|| local.and_utc(), |at| at.with_timezone(&Utc))
}
