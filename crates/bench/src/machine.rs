//! What the machine says of itself: processors, load, time used by a process, memory held.

use anyhow::{Context as _, Result, ensure};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Ticks a second of the counters in `/proc`; Linux tells the same to every process.
const TICKS: f64 = 100.0;

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// The commit that is checked out here, with a mark where files differ from it; none where there
/// is no repository, or no git.
pub(crate) fn commit() -> Option<String> {
    let told = Command::new("git").args(["describe", "--always", "--dirty"]).output().ok()?;
    let told = told.status.success().then(|| String::from_utf8_lossy(&told.stdout).trim().to_owned())?;
    (!told.is_empty()).then_some(told)
}

/// Processors of the machine.
pub(crate) fn cores() -> usize {
    read("/proc/cpuinfo").lines().filter(|line| line.starts_with("processor")).count().max(1)
}

/// Who has which processors with `--pin`: the server the last, whoever calls it the others.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Side {
    Caller,
    Server,
}

/// Lets a process, all its threads and what it starts from now on, run on the processors of its
/// side only.
pub(crate) fn pin(pid: u32, side: Side) -> Result<()> {
    ensure!(cores() > 1, "--pin needs a second processor");
    let last = cores() - 1;
    let set = match side {
        Side::Caller => format!("0-{}", last - 1),
        Side::Server => last.to_string(),
    };
    let mut taskset = Command::new("taskset");
    let pinned = taskset.args(["-a", "-p", "-c", &set, &pid.to_string()]).stdout(Stdio::null()).status();
    ensure!(pinned.context("--pin: taskset cannot be started")?.success(), "--pin: taskset has failed");
    Ok(())
}

/// The load of the last minute.
pub(crate) fn load() -> f64 {
    read("/proc/loadavg").split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0.0)
}

/// The machine in a line.
pub(crate) fn describe() -> String {
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, name)| name.trim());
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{} × {model}, Linux {}", cores(), kernel.trim())
}

/// Seconds of processor time that this process has used, all threads together.
pub(crate) fn cpu_seconds() -> f64 {
    let stat = read("/proc/self/stat");
    // Behind the name, which may hold anything but ends with the last parenthesis.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS
}

/// Seconds of processor time that the whole machine was busy.
fn busy_seconds() -> f64 {
    let stat = read("/proc/stat");
    let all = stat.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = all.split_whitespace().skip(1).filter_map(|n| n.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal
    let idle: f64 = ticks.iter().skip(3).take(2).sum();
    (ticks.iter().take(8).sum::<f64>() - idle) / TICKS
}

/// A line of `/proc/self/status` in bytes, as `VmRSS` or `VmHWM`.
pub(crate) fn memory(field: &str) -> f64 {
    let status = read("/proc/self/status");
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|n| n.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0) * 1024.0
}

/// One window: how many a second, and whose processor time went into each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) rate: f64,
    pub(crate) client_us: f64,
    pub(crate) redis_us: Option<f64>,
    /// The share of the machine that others used meanwhile, 0 to 1.
    pub(crate) others: f64,
}

impl Sample {
    /// Several windows one after the other as one.
    pub(crate) fn joined(all: &[Sample]) -> Sample {
        let mean = |of: &dyn Fn(&Sample) -> f64| all.iter().map(of).sum::<f64>() / all.len() as f64;
        let redis = all.iter().all(|s| s.redis_us.is_some());
        Sample {
            rate: 1.0 / mean(&|s| 1.0 / s.rate),
            client_us: mean(&|s| s.client_us),
            redis_us: redis.then(|| mean(&|s| s.redis_us.unwrap_or(0.0))),
            others: mean(&|s| s.others),
        }
    }
}

/// The one in the middle by its rate.
pub(crate) fn median(all: &[Sample]) -> Sample {
    let mut all = all.to_vec();
    all.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    all[all.len() / 2]
}

/// A window that has begun.
pub(crate) struct Meter {
    begun: Instant,
    client: f64,
    redis: Option<f64>,
    busy: f64,
}

impl Meter {
    /// Begins; `redis` is the processor time that the server has used.
    pub(crate) fn start(redis: Option<f64>) -> Meter {
        Meter { client: cpu_seconds(), redis, busy: busy_seconds(), begun: Instant::now() }
    }

    /// Ends after `jobs`.
    pub(crate) fn stop(self, jobs: usize, redis: Option<f64>) -> Sample {
        let seconds = self.begun.elapsed().as_secs_f64();
        let client = cpu_seconds() - self.client;
        let redis = self.redis.zip(redis).map(|(before, after)| after - before);
        let others = busy_seconds() - self.busy - client - redis.unwrap_or(0.0);
        let each = |spent: f64| spent * 1e6 / jobs as f64;
        Sample {
            rate: jobs as f64 / seconds,
            client_us: each(client),
            redis_us: redis.map(each),
            others: (others / seconds / cores() as f64).clamp(0.0, 1.0),
        }
    }
}
