//! Enqueues jobs at the instants that cron expressions name. Any number of schedulers may
//! run the same schedules: each slot is enqueued exactly once, because a slot is taken by
//! compare-and-set on the schedule's last slot in the step that enqueues its job, and the
//! job's id is derived from schedule and slot.

use crate::backend::{Due, NewJob, ScheduleView};
use crate::client::typed;
use crate::cron::{DateTime, DstPolicy, Expression, OnGap, OnOverlap, Tz, Utc, parse_zone};
use crate::measure::count;
use crate::{Client, Envelope, Error, Job, JobId, Result};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A slot is on time when it is enqueued within this of its instant; later it was missed.
const ON_TIME_MS: i64 = 60_000;
/// The longest sleep, so that a stepped clock or a slot taken by another is soon seen.
const LONGEST: Duration = Duration::from_secs(1);

/// What becomes of slots that passed while no scheduler ran.
///
/// ```
/// use legwork::Missed;
/// assert_eq!("all 24".parse::<Missed>().unwrap(), Missed::All { cap: 24 });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missed {
    /// They are forgotten.
    Skip,
    /// The latest of them is enqueued, once.
    #[default]
    One,
    /// Each is enqueued, the latest `cap` of them.
    All {
        /// At most this many; 1,000 at the most.
        cap: u32,
    },
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missed::Skip => f.write_str("skip"),
            Missed::One => f.write_str("one"),
            Missed::All { cap } => write!(f, "all {cap}"),
        }
    }
}

impl FromStr for Missed {
    type Err = Error;

    fn from_str(text: &str) -> Result<Missed> {
        let cap = || text.strip_prefix("all ")?.parse().ok().filter(|n| (1..=1_000).contains(n));
        match text {
            "skip" => Ok(Missed::Skip),
            "one" => Ok(Missed::One),
            _ => cap().map(|cap| Missed::All { cap }).ok_or_else(|| {
                Error::invalid(format!("missed: {text:?} is none of skip, one, all 1 … all 1000"))
            }),
        }
    }
}

/// A cron entry: a name, an expression in a zone, and the job that each slot enqueues.
///
/// ```
/// # use legwork::*; use serde::{Serialize, Deserialize};
/// # #[derive(Serialize, Deserialize)] struct Report;
/// # impl Job for Report { const NAME: &'static str = "report"; type Output = (); }
/// let nightly = Schedule::new("nightly", "0 3 * * *", Report)?.zone("Europe/Berlin")?.missed(Missed::Skip);
/// # let _ = nightly;
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Schedule {
    name: String,
    expression: Expression,
    zone: Tz,
    dst: DstPolicy,
    missed: Missed,
    envelope: Envelope,
}

impl Schedule {
    /// A schedule in UTC that makes up for missed slots with one.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Report;
    /// # impl Job for Report { const NAME: &'static str = "report"; type Output = (); }
    /// assert!(Schedule::new("never", "0 0 30 2 *", Report).unwrap_err().to_string().contains("never fires"));
    /// ```
    ///
    /// # Errors
    /// The name is outside the grammar, or the expression is wrong or never fires.
    pub fn new<J: Job>(name: &str, expression: &str, job: J) -> Result<Schedule> {
        crate::name::check("schedule", name)?;
        let expression = Expression::parse(expression).map_err(|e| Error::invalid(e.to_string()))?;
        Ok(Schedule {
            name: name.into(),
            expression,
            zone: Tz::UTC,
            dst: DstPolicy::default(),
            missed: Missed::default(),
            envelope: typed(&job)?,
        })
    }

    /// The zone whose clocks the expression means, by its IANA name.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Report;
    /// # impl Job for Report { const NAME: &'static str = "report"; type Output = (); }
    /// let nightly = Schedule::new("nightly", "0 3 * * *", Report)?;
    /// assert!(nightly.clone().zone("Europe/Berlin").is_ok());
    /// assert!(nightly.zone("Atlantis").unwrap_err().is_invalid());
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such zone.
    pub fn zone(mut self, zone: &str) -> Result<Schedule> {
        self.zone = parse_zone(zone).map_err(|e| Error::invalid(e.to_string()))?;
        Ok(self)
    }

    /// What becomes of slots that passed while no scheduler ran; one job for all of them unless
    /// said. A slot counts as missed when it is a minute late.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Report;
    /// # impl Job for Report { const NAME: &'static str = "report"; type Output = (); }
    /// let hourly = Schedule::new("hourly", "@hourly", Report)?.missed(Missed::All { cap: 24 });
    /// # let _ = hourly;
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn missed(mut self, missed: Missed) -> Schedule {
        self.missed = missed;
        self
    }

    /// What happens where clocks are set forward or back.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Report;
    /// # impl Job for Report { const NAME: &'static str = "report"; type Output = (); }
    /// use legwork::cron::{DstPolicy, OnGap, OnOverlap};
    /// let strict = DstPolicy { on_gap: OnGap::Skip, on_overlap: OnOverlap::Both };
    /// let nightly = Schedule::new("nightly", "30 2 * * *", Report)?.zone("Europe/Berlin")?.dst(strict);
    /// # let _ = nightly;
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn dst(mut self, dst: DstPolicy) -> Schedule {
        self.dst = dst;
        self
    }

    /// The next instants of a stored schedule after one, `count` at most.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Report;
    /// # impl Job for Report { const NAME: &'static str = "report"; type Output = (); }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// Scheduler::new(jobs.clone()).cron("nightly", "0 3 * * *", Report)?.run_until(async {}).await?;
    /// let stored = &jobs.schedules().await?[0];
    /// let next = Schedule::upcoming(stored, legwork::cron::DateTime::UNIX_EPOCH, 2)?;
    /// assert_eq!(next[1].to_rfc3339(), "1970-01-02T03:00:00+00:00");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// What is stored is no schedule that this version understands.
    pub fn upcoming(stored: &ScheduleView, after: DateTime<Utc>, count: usize) -> Result<Vec<DateTime<Utc>>> {
        let wrong = |e: String| Error::corrupt(format!("schedule {}: {e}", stored.name));
        let expression = Expression::parse(&stored.expression).map_err(|e| wrong(e.to_string()))?;
        let zone = parse_zone(&stored.zone).map_err(|e| wrong(e.to_string()))?;
        Ok(expression.upcoming(after, zone, dst_of(&stored.dst)).take(count).collect())
    }

    fn view(&self) -> ScheduleView {
        ScheduleView {
            name: self.name.clone(),
            expression: self.expression.to_string(),
            zone: self.zone.name().into(),
            job: self.envelope.name.clone(),
            payload: self.envelope.payload.get().into(),
            queue: self.envelope.queue.clone(),
            missed: self.missed.to_string(),
            dst: dst_words(self.dst),
            last_ms: 0,
            fired: false,
        }
    }

    /// The slots in `(last, now]` that are to be enqueued, and the newest slot there is.
    fn due(&self, last_ms: i64, now_ms: i64) -> Option<(i64, Vec<i64>)> {
        let wanted = match self.missed {
            Missed::All { cap } => cap.clamp(1, 1_000) as usize,
            Missed::Skip | Missed::One => 1,
        };
        // Looks back no further than it must: a schedule of every second that slept for
        // a month has millions of slots, of which only the newest few count.
        let mut span = 3_600_000;
        let slots = loop {
            let from = last_ms.max(now_ms.saturating_sub(span));
            let slots = self.slots(from, now_ms);
            if slots.len() >= wanted || from == last_ms {
                break slots;
            }
            span = span.saturating_mul(24);
        };
        let newest = *slots.last()?;
        let mut due = slots[slots.len().saturating_sub(wanted)..].to_vec();
        if self.missed == Missed::Skip {
            due.retain(|slot| now_ms - slot <= ON_TIME_MS);
        }
        Some((newest, due))
    }

    fn slots(&self, after_ms: i64, until_ms: i64) -> Vec<i64> {
        let Some(after) = DateTime::from_timestamp_millis(after_ms) else {
            return Vec::new();
        };
        let all = self.expression.upcoming(after, self.zone, self.dst);
        all.map(|slot| slot.timestamp_millis()).take_while(|slot| *slot <= until_ms).collect()
    }

    fn next_ms(&self, after_ms: i64) -> Option<i64> {
        let after = DateTime::from_timestamp_millis(after_ms)?;
        Some(self.expression.next_after(after, self.zone, self.dst)?.timestamp_millis())
    }
}

fn dst_words(dst: DstPolicy) -> String {
    let gap = if dst.on_gap == OnGap::Skip { "skip" } else { "run" };
    let overlap = if dst.on_overlap == OnOverlap::Both { "both" } else { "once" };
    format!("gap {gap}, overlap {overlap}")
}

fn dst_of(words: &str) -> DstPolicy {
    DstPolicy {
        on_gap: if words.contains("gap skip") { OnGap::Skip } else { OnGap::Run },
        on_overlap: if words.contains("overlap both") { OnOverlap::Both } else { OnOverlap::Once },
    }
}

/// Runs schedules.
///
/// ```
/// # use legwork::*; use serde::{Serialize, Deserialize};
/// # #[derive(Serialize, Deserialize)] struct Report;
/// # impl Job for Report { const NAME: &'static str = "report"; type Output = (); }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// let jobs = Client::connect("sqlite::memory:").await?;
/// let scheduler = Scheduler::new(jobs.clone()).cron("nightly", "0 3 * * *", Report)?;
/// scheduler.run_until(async {}).await?;
/// assert_eq!(jobs.schedules().await?[0].name, "nightly");
/// # Ok(()) }
/// ```
#[must_use = "a scheduler runs when it is told to"]
pub struct Scheduler {
    client: Client,
    schedules: Vec<Schedule>,
}

impl Scheduler {
    /// A scheduler without schedules.
    ///
    /// ```
    /// # use legwork::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// Scheduler::new(jobs).run_until(async {}).await?;
    /// # Ok(()) }
    /// ```
    pub fn new(client: Client) -> Scheduler {
        Scheduler { client, schedules: Vec::new() }
    }

    /// Adds a schedule in UTC; see [`Schedule::new`].
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Report;
    /// # impl Job for Report { const NAME: &'static str = "report"; type Output = (); }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let scheduler = Scheduler::new(jobs).cron("nightly", "0 3 * * *", Report)?.cron("often", "@every 5m", Report)?;
    /// scheduler.run_until(async {}).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Schedule::new`].
    pub fn cron<J: Job>(self, name: &str, expression: &str, job: J) -> Result<Scheduler> {
        Ok(self.schedule(Schedule::new(name, expression, job)?))
    }

    /// Adds a schedule; one of the same name is replaced.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Report;
    /// # impl Job for Report { const NAME: &'static str = "report"; type Output = (); }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let local = Schedule::new("nightly", "0 3 * * *", Report)?.zone("America/New_York")?;
    /// Scheduler::new(jobs.clone()).schedule(local).run_until(async {}).await?;
    /// assert_eq!(jobs.schedules().await?[0].zone, "America/New_York");
    /// # Ok(()) }
    /// ```
    pub fn schedule(mut self, schedule: Schedule) -> Scheduler {
        self.schedules.retain(|s| s.name != schedule.name);
        self.schedules.push(schedule);
        self
    }

    /// Stores the schedules, then enqueues their slots until `shutdown` is ready. A schedule
    /// stays stored (with its last slot) when its scheduler has ended, and one that is no longer
    /// given to any scheduler enqueues nothing.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Report;
    /// # impl Job for Report { const NAME: &'static str = "report"; type Output = (); }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let scheduler = Scheduler::new(jobs).cron("nightly", "0 3 * * *", Report)?;
    /// scheduler.run_until(async {}).await?; // `shutdown_signal()` in a program
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the backend cannot be reached at the start; later outages are waited out.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> Result<()> {
        let last = self.begin().await?;
        tokio::select! {
            () = shutdown => Ok(()),
            () = self.run(last) => Ok(()),
        }
    }

    /// Stores the schedules; the last slot of each.
    pub(crate) async fn begin(&self) -> Result<Vec<i64>> {
        let mut last = Vec::new();
        for schedule in &self.schedules {
            last.push(self.client.backend().put_schedule(&schedule.view()).await?.last_ms);
        }
        Ok(last)
    }

    /// The next slot of any schedule.
    #[cfg(feature = "testing")]
    pub(crate) fn next_slot(&self, last: &[i64]) -> Option<i64> {
        self.schedules.iter().zip(last).filter_map(|(schedule, last)| schedule.next_ms(*last)).min()
    }

    async fn run(&self, mut last: Vec<i64>) {
        loop {
            let wait = match self.tick(&mut last).await {
                Ok(wait) => wait,
                Err(e) => {
                    tracing::warn!(error = %e, "no slot could be enqueued; trying again");
                    LONGEST
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Enqueues what is due and says how long nothing more will be.
    pub(crate) async fn tick(&self, last: &mut [i64]) -> Result<Duration> {
        let backend = self.client.backend();
        let now = backend.now().await?;
        let mut next = now + LONGEST.as_millis() as i64;
        for (schedule, last) in self.schedules.iter().zip(last) {
            if let Some((newest, due)) = schedule.due(*last, now) {
                self.take(schedule, last, newest, &due).await?;
            }
            next = next.min(schedule.next_ms((*last).max(now)).unwrap_or(next));
        }
        Ok(Duration::from_millis((next - now).max(1) as u64).min(LONGEST))
    }

    async fn take(&self, schedule: &Schedule, last: &mut i64, newest: i64, due: &[i64]) -> Result<()> {
        let jobs = due.iter().map(|slot| self.slot(schedule, *slot)).collect::<Result<Vec<_>>>()?;
        if self.client.backend().fire(&schedule.name, *last, newest, jobs).await? {
            tracing::info!(schedule = schedule.name, slots = due.len(), "enqueued");
            count!("legwork_slots_total", due.len(), "schedule" => schedule.name);
            *last = newest;
            return Ok(());
        }
        // Another scheduler was first, or our own lost reply was: take over where it stands.
        let stored = self.client.backend().schedules().await?;
        match stored.iter().find(|s| s.name == schedule.name) {
            Some(stored) => *last = stored.last_ms,
            None => *last = self.client.backend().put_schedule(&schedule.view()).await?.last_ms,
        }
        Ok(())
    }

    fn slot(&self, schedule: &Schedule, slot: i64) -> Result<NewJob> {
        let mut envelope = schedule.envelope.clone();
        // Where the schedule's mark is, so that both change in one step.
        let shard = crate::id::shard_of(&schedule.name, self.client.backend().shards());
        envelope.id = JobId::derived(&[&schedule.name, &slot.to_string()], shard);
        envelope.created_ms = Some(slot);
        self.client.new_job(envelope, Due::Now, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    struct Tick;

    impl Job for Tick {
        const NAME: &'static str = "tick";
        type Output = ();
    }

    const HOUR: i64 = 3_600_000;

    fn hourly(missed: Missed) -> Schedule {
        Schedule::new("hourly", "0 * * * *", Tick).unwrap().missed(missed)
    }

    #[test]
    fn slots_missed_follow_the_policy() {
        let (last, now) = (0, 5 * HOUR + 10 * 60_000);
        assert_eq!(hourly(Missed::One).due(last, now), Some((5 * HOUR, vec![5 * HOUR])));
        assert_eq!(hourly(Missed::Skip).due(last, now), Some((5 * HOUR, vec![])));
        assert_eq!(hourly(Missed::All { cap: 2 }).due(last, now), Some((5 * HOUR, vec![4 * HOUR, 5 * HOUR])));
        let all: Vec<_> = (1..=5).map(|h| h * HOUR).collect();
        assert_eq!(hourly(Missed::All { cap: 99 }).due(last, now), Some((5 * HOUR, all)));
    }

    #[test]
    fn a_slot_on_time_is_enqueued_under_every_policy() {
        for missed in [Missed::Skip, Missed::One, Missed::All { cap: 3 }] {
            assert_eq!(hourly(missed).due(HOUR, 2 * HOUR + 50), Some((2 * HOUR, vec![2 * HOUR])));
            assert_eq!(hourly(missed).due(2 * HOUR, 2 * HOUR + 50), None);
        }
    }

    #[test]
    fn a_long_sleep_costs_little() {
        let secondly = Schedule::new("s", "* * * * * *", Tick).unwrap();
        let year = 365 * 24 * HOUR;
        assert_eq!(secondly.due(0, year), Some((year, vec![year])));
    }

    /// A host asleep for six hours, then a clock that goes back by two: what was missed is made up
    /// for within the cap, and nothing that was fired is fired again.
    #[cfg(all(feature = "sqlite", feature = "testing"))]
    #[tokio::test]
    async fn a_host_that_slept_and_a_clock_set_back_double_nothing() {
        let clock = crate::ManualClock::new(10 * HOUR + 1);
        let options = crate::ClientOptions {
            clock: crate::Clock::Manual(clock.clone()),
            ..crate::ClientOptions::default()
        };
        let jobs = Client::connect_with("sqlite::memory:", options).await.unwrap();
        let waiting = async || -> u64 {
            let queues = jobs.queues().await.unwrap();
            queues.iter().filter_map(|queue| queue.counts.get("available")).sum()
        };
        let scheduler = Scheduler::new(jobs.clone()).schedule(hourly(Missed::All { cap: 4 }));
        let mut last = scheduler.begin().await.unwrap();
        let hours = |n: u64| Duration::from_secs(n * 3_600);
        clock.advance(hours(6));
        scheduler.tick(&mut last).await.unwrap();
        assert_eq!(waiting().await, 4, "of six that were missed");
        clock.set_back(hours(2));
        for _ in 0..3 {
            scheduler.tick(&mut last).await.unwrap();
            // One that starts now knows no more than the backend does.
            let mut other = scheduler.begin().await.unwrap();
            scheduler.tick(&mut other).await.unwrap();
            assert_eq!(waiting().await, 4, "fired again");
            clock.advance(Duration::from_secs(2_400));
        }
        clock.advance(hours(1));
        scheduler.tick(&mut last).await.unwrap();
        assert_eq!(waiting().await, 5, "and the next slot when it comes");
    }

    #[test]
    fn the_policy_is_kept_in_words() {
        for on_gap in [OnGap::Run, OnGap::Skip] {
            for on_overlap in [OnOverlap::Once, OnOverlap::Both] {
                let dst = DstPolicy { on_gap, on_overlap };
                assert_eq!(dst_of(&dst_words(dst)), dst);
            }
        }
    }
}
