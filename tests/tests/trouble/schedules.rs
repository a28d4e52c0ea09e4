//! Three schedulers, killed at will, through both changes of the clocks of a year in six
//! zones: the server's clock is sped up, the processes are real.

use crate::{SOON, pairs};
use legwork::backend::Filter;
use legwork::cron::{DateTime, Tz, Utc};
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};
use tests::shim::Clock;
use tests::world::World;
use tests::zones::{EXPRESSIONS, Slot, ZONES};
use tests::{Process, Program, until};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// Around each change in one of the zones: noon of the day before it, by UTC.
const CHANGES: [&str; 9] = [
    "2026-03-07", // New York
    "2026-03-28", // Berlin
    "2026-04-04", // Lord Howe and Santiago
    "2026-04-23", // Cairo
    "2026-09-05", // Santiago
    "2026-10-03", // Lord Howe
    "2026-10-24", // Berlin
    "2026-10-29", // Cairo
    "2026-10-31", // New York
];

fn instant(text: &str) -> i64 {
    text.parse::<DateTime<Utc>>().expect("an instant").timestamp()
}

/// Where the clock stops: every so many seconds around a change, else after leaps that no
/// schedule's cap cuts off.
fn stops(step: i64) -> Vec<i64> {
    let mut stops = vec![instant("2026-02-20T00:00:00Z")];
    for day in CHANGES {
        let noon = instant(&format!("{day}T12:00:00Z"));
        let mut at = stops[stops.len() - 1];
        while noon - at > 40 * DAY {
            at += 40 * DAY;
            stops.push(at);
        }
        stops.extend((0..=36 * HOUR / step).map(|n| noon + n * step).filter(|next| *next > at));
    }
    stops.dedup();
    stops
}

/// The instants at which clocks of a zone show 45 minutes past: every hour, in both passes of
/// an hour that comes twice. Found by looking at each half hour's quarter.
fn quarters(zone: Tz, from: i64, until: i64) -> Vec<i64> {
    let all = (from..=until).filter(|at| at % (15 * 60) == 0);
    let shown = |at: &i64| {
        let local = DateTime::<Utc>::from_timestamp(*at, 0).expect("an instant").with_timezone(&zone);
        local.format("%M").to_string() == "45"
    };
    all.filter(|at| *at > from).filter(shown).collect()
}

struct Fleet<'a> {
    world: &'a World,
    all: Vec<Process>,
    kills: usize,
}

impl Fleet<'_> {
    fn start(url: &str) -> Process {
        Program::new("probe").args(["zones", url]).start()
    }

    /// Kills one and starts it again, while slots are being enqueued.
    async fn kill(&mut self) {
        let victim = self.kills % self.all.len();
        self.all[victim].kill();
        self.all[victim] = Fleet::start(&self.world.url);
        self.kills += 1;
    }
}

/// How many wait: every slot that was enqueued, for nobody runs them.
async fn waiting(world: &World) -> u64 {
    let queues = world.jobs.queues().await.expect("read");
    queues.iter().map(|queue| queue.count(legwork::State::Available)).sum()
}

/// Twelve kills, or as many as LEGWORK_KILLS says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_schedulers_miss_and_double_nothing_when_clocks_change() {
    let wanted: usize = std::env::var("LEGWORK_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    let Some(clock) = Clock::new() else { return };
    let Some(world) = World::redis_with(&pairs(&clock.env()), &[]).await else {
        return;
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() as i64;
    let stops = stops(if wanted > 20 { 6 * HOUR } else { 36 * HOUR });
    let (begin, end) = (stops[0], stops[stops.len() - 1]);
    clock.set(begin - now);
    let mut fleet = Fleet { world: &world, all: Vec::new(), kills: 0 };
    fleet.all.extend((0..3).map(|_| Fleet::start(&world.url)));
    let known =
        async || (world.jobs.schedules().await.ok()?.len() == ZONES.len() * EXPRESSIONS.len()).then_some(());
    until("schedules are stored", SOON, known).await;
    for (at, stop) in stops.iter().enumerate().skip(1) {
        let before = waiting(&world).await;
        clock.set(stop - now);
        let begun = async || (waiting(&world).await > before).then_some(());
        until("slots are enqueued", SOON, begun).await;
        while fleet.kills * stops.len() < wanted * at {
            fleet.kill().await;
        }
        let all_taken = async || {
            let all = world.jobs.schedules().await.ok()?;
            let caught_up = |s: &legwork::backend::ScheduleView| {
                let next =
                    legwork::Schedule::upcoming(s, DateTime::from_timestamp_millis(s.last_ms)?, 1).ok()?;
                Some(next[0].timestamp() > *stop)
            };
            all.iter().all(|s| caught_up(s) == Some(true)).then_some(())
        };
        until("every slot is taken", SOON, all_taken).await;
    }
    assert_eq!(fleet.kills, wanted);
    let slots = slots(&world).await;
    let mut seen = 0;
    for (zone, name) in ZONES.iter().enumerate() {
        let tz: Tz = name.parse().expect("a zone");
        let hourly = &slots[&(zone, 2)];
        let expected = quarters(tz, begin, end);
        assert!(hourly.values().all(|n| *n == 1), "{name}: a slot twice");
        let found: Vec<i64> = hourly.keys().copied().filter(|at| *at <= end).collect();
        assert_eq!(found, expected, "{name}: {} slots, {} expected", found.len(), expected.len());
        for fixed in [0, 1] {
            once_a_day(tz, &slots[&(zone, fixed)], begin, end);
        }
        seen += slots.iter().filter(|((z, _), _)| *z == zone).map(|(_, all)| all.len()).sum::<usize>();
    }
    eprintln!("{seen} slots in six zones, {} kills of three schedulers: missed 0, double 0", fleet.kills);
}

/// Each day of a zone's calendar has its slot, once.
fn once_a_day(zone: Tz, slots: &BTreeMap<i64, usize>, begin: i64, end: i64) {
    let local = |at: i64| DateTime::<Utc>::from_timestamp(at, 0).expect("an instant").with_timezone(&zone);
    let mut days: BTreeMap<String, usize> = BTreeMap::new();
    for (at, count) in slots {
        *days.entry(local(*at).format("%F").to_string()).or_default() += count;
    }
    let twice: Vec<_> = days.iter().filter(|(_, count)| **count != 1).collect();
    assert!(twice.is_empty(), "{zone}: {twice:?}");
    // The first and the last day may be cut by where the clock began and stopped.
    let inside = (begin + DAY..end - DAY).step_by(HOUR as usize).map(|at| local(at).format("%F").to_string());
    for day in inside {
        assert!(days.contains_key(&day), "{zone}: {day} is missed");
    }
}

/// How many jobs were enqueued of each slot, by zone and expression.
async fn slots(world: &World) -> BTreeMap<(usize, usize), BTreeMap<i64, usize>> {
    let mut all: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    let mut filter = Filter { queue: Some("default".into()), limit: 1_000, ..Filter::default() };
    filter.state = Some(legwork::State::Available);
    loop {
        let page = world.jobs.backend().search(&filter).await.expect("a page");
        for job in &page.jobs {
            let envelope = job.envelope.envelope().expect("sound");
            let slot: Slot = serde_json::from_str(envelope.payload.get()).expect("a slot");
            let at = envelope.created_ms.expect("its instant") / 1000;
            *all.entry((slot.zone, slot.expression)).or_default().entry(at).or_default() += 1;
        }
        match page.cursor {
            Some(cursor) => filter.cursor = Some(cursor),
            None => return all,
        }
    }
}
