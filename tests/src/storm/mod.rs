//! The storm: workers are killed and stopped, the server is killed, connections are cut, and
//! at the end [`totalq`](crate::totalq) says what became of every job.
//!
//! What is done follows from the plan and its seed; when it is done, from how far the work
//! has come. Nobody restarts anything by hand: killed processes and servers are started
//! again as a supervisor would, and that is all.

mod faults;
mod produce;
mod worker;
mod world;
mod wrong;

pub use faults::Fault;
pub use worker::work;
pub use wrong::Wrong;

use crate::totalq::{Kind, Report, check, read};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use world::World;

/// Attempts that a job of the storm has.
pub(crate) const ATTEMPTS: u32 = 5;
/// Crashes after which it is discarded.
pub(crate) const CRASHES: u32 = 3;

/// On what it storms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// A Redis of its own, with an AOF, behind the proxy.
    Redis,
    /// A SQLite file.
    Sqlite,
}

/// How much of what.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Chance begins here.
    pub seed: u64,
    /// On what.
    pub on: On,
    /// Jobs.
    pub jobs: u64,
    /// Worker processes, and permits of each.
    pub workers: usize,
    /// Permits of each worker.
    pub slots: usize,
    /// A lease.
    pub lease: Duration,
    /// How long a handler works.
    pub work: Duration,
    /// Whether handlers block their thread.
    pub block: bool,
    /// Jobs that kill their worker.
    pub poison: u64,
    /// Workers killed with -9.
    pub kills: usize,
    /// Workers stopped for longer than a lease.
    pub zombies: usize,
    /// Servers killed with -9.
    pub server_kills: usize,
    /// For how long at least a killed server is away; up to half a second more.
    pub away: Duration,
    /// Connections cut.
    pub cuts: usize,
    /// Script flushes.
    pub flushes: usize,
    /// How often Redis syncs its AOF: `always` or `everysec`.
    pub fsync: String,
    /// How the workers or the producers are broken.
    pub wrong: Option<Wrong>,
    /// How long it may last after the last fault.
    pub patience: Duration,
}

impl Plan {
    /// What the published figures are made with: minutes to an hour.
    pub fn full(seed: u64) -> Plan {
        Plan {
            seed,
            on: On::Redis,
            jobs: 1_000_000,
            workers: 4,
            slots: 4,
            lease: Duration::from_secs(2),
            work: Duration::from_millis(5),
            block: false,
            poison: 0,
            kills: 100,
            zombies: 20,
            server_kills: 20,
            away: Duration::ZERO,
            cuts: 1_000,
            flushes: 100,
            fsync: "always".into(),
            wrong: None,
            patience: Duration::from_secs(120),
        }
    }

    /// The same in about a minute.
    pub fn short(seed: u64) -> Plan {
        let short = Plan { jobs: 40_000, kills: 8, zombies: 3, server_kills: 2, ..Plan::full(seed) };
        Plan { cuts: 60, flushes: 10, ..short }
    }

    /// In some seconds: for what is broken on purpose.
    pub fn tiny(seed: u64) -> Plan {
        let tiny = Plan { jobs: 300, workers: 2, lease: Duration::from_secs(1), ..Plan::short(seed) };
        let tiny = Plan { work: Duration::from_millis(20), patience: Duration::from_secs(8), ..tiny };
        Plan { kills: 0, zombies: 0, server_kills: 0, cuts: 0, flushes: 0, ..tiny }
    }

    /// A queue holds this many jobs: it keeps at most 10,000 finished ones.
    pub(crate) const PER_QUEUE: u64 = 8_000;

    /// The queues of the storm, in the order in which they fill.
    pub(crate) fn queues(jobs: u64) -> Vec<String> {
        (0..jobs.div_ceil(Plan::PER_QUEUE)).map(|n| format!("storm-{n}")).collect()
    }
}

/// Storms, and judges. `program` is the binary that is a worker when it is asked to; the
/// ledger is left in `dir`.
///
/// # Errors
/// A part of it cannot be started, or the work does not come to its end.
pub async fn storm(plan: &Plan, program: &Path, dir: &Path) -> Result<Report> {
    ensure!(plan.jobs > 0 && plan.workers > 0 && plan.slots > 0, "a storm needs jobs, workers and slots");
    let mut world = World::start(plan, program.to_path_buf(), dir).await?;
    let producers = produce::start(plan, &world).await?;
    world
        .until("work is begun", Duration::from_secs(60), |world| (world.progress() > 0).then_some(()))
        .await?;
    world.note(Kind::Begun, 0);
    let faults = Fault::schedule(plan);
    let total = faults.len();
    for (n, fault) in faults.into_iter().enumerate() {
        // Between the first tenth and four fifths of the work.
        let share = 0.1 + 0.7 * (n as f64 + 1.0) / (total as f64 + 1.0);
        let due = (plan.jobs as f64 * share) as u64;
        match reach(plan, &mut world, due, fault).await {
            Err(_) if plan.wrong.is_some() => break,
            reached => reached?,
        }
        faults::apply(fault, plan, &mut world).await?;
    }
    world.until("the stopped go on", plan.lease * 4, |world| (world.sleeping() == 0).then_some(())).await?;
    world.calm();
    let producing = tokio::time::timeout(Duration::from_secs(600), world.beside(producers.join_all()));
    producing.await.context("the producers come to no end")??;
    let drained = drain(plan, &mut world).await;
    if plan.wrong.is_none() {
        drained?;
    }
    world.stop().await;
    world.take_stock(plan).await?;
    Ok(check(&read(dir)?, CRASHES.into(), ATTEMPTS.into()))
}

/// Waits until so much is done, for as long as anything is: a slow machine is no fault.
async fn reach(plan: &Plan, world: &mut World, due: u64, fault: Fault) -> Result<()> {
    let what = format!("{due} of {} jobs are done, for {fault:?}", plan.jobs);
    // A queue that loses jobs may never come so far.
    let limit = Duration::from_secs(if plan.wrong.is_some() { 5 } else { 120 });
    loop {
        let done = world.progress();
        let reached = world.until(&what, limit, |world| (world.progress() >= due).then_some(())).await;
        if reached.is_ok() || plan.wrong.is_some() || world.progress() == done {
            return reached;
        }
    }
}

/// Waits until nothing is left to do, or the patience is over.
async fn drain(plan: &Plan, world: &mut World) -> Result<()> {
    let (began, mut last) = (Instant::now(), (0, Instant::now()));
    loop {
        world.tick()?;
        // A connection of ours may still be one that a killed server has left behind.
        let open = world.open_jobs().await.ok();
        if open == Some(0) {
            return Ok(());
        }
        // As long as work is done there is no hurry; a backlog is no fault.
        if world.progress() > last.0 && plan.wrong.is_none() {
            last = (world.progress(), Instant::now());
        }
        let waited = last.1.elapsed();
        let what = open.map_or("no answer".into(), |open| format!("{open} jobs are not done"));
        ensure!(waited < plan.patience, "{what} {:?} after the last fault", began.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Where the program lies that a test may use for workers: beside the test.
pub fn program() -> PathBuf {
    crate::binary("storm")
}
