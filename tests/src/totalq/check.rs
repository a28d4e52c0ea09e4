//! Holds the files of a ledger against each other. One pass over each file, and one sort.

use super::report::{Report, Throughput, Waits};
use super::runs::{Cause, Fates, Run, runs};
use super::{Entry, Kind, Writer};
use std::collections::HashMap;

/// At which share of the baseline the throughput is back.
const BACK: f64 = 0.8;

/// What is known of one job but its runs.
#[derive(Default)]
struct Job {
    accepted: bool,
    unknown: bool,
    refused: bool,
    poison: bool,
    /// What the queue says of it, once a record.
    kept: Vec<Entry>,
}

/// Judges a ledger. `max_crashes` is how many crashes a job may have, `max_attempts` how many
/// attempts.
pub fn check(files: &[(Writer, Vec<Entry>)], max_crashes: u64, max_attempts: u64) -> Report {
    let mut report = Report::default();
    let mut jobs = enqueued(files, &mut report);
    let faults: Vec<Entry> = of(files, |writer| *writer == Writer::Faults).copied().collect();
    stored(files, &mut jobs, &mut report);
    let runs = runs(files);
    let fates = Fates::of(&faults);
    let mut waits = Vec::new();
    let mut at = 0;
    while at < runs.len() {
        let end = at + runs[at..].iter().take_while(|run| run.job == runs[at].job).count();
        let all = &runs[at..end];
        repeats(all, &fates, &mut report, &mut waits);
        let known = jobs.remove(&all[0].job).unwrap_or_default();
        one(&known, all, max_crashes, max_attempts, &mut report);
        at = end;
    }
    jobs.values().for_each(|job| one(job, &[], max_crashes, max_attempts, &mut report));
    injected(&faults, &mut report);
    recovery(&waits, &faults, &mut report);
    paces(files, &runs, &faults, &mut report);
    report
}

fn of(files: &[(Writer, Vec<Entry>)], wanted: impl Fn(&Writer) -> bool) -> impl Iterator<Item = &Entry> {
    files.iter().filter(move |(writer, _)| wanted(writer)).flat_map(|(_, entries)| entries)
}

fn enqueued(files: &[(Writer, Vec<Entry>)], report: &mut Report) -> HashMap<u64, Job> {
    let mut jobs: HashMap<u64, Job> = HashMap::new();
    for entry in of(files, |writer| matches!(writer, Writer::Producer(_))) {
        let job = jobs.entry(entry.job).or_default();
        match entry.kind {
            Kind::Accepted => (job.accepted, job.poison) = (true, entry.token == 1),
            Kind::Unknown => job.unknown = true,
            _ => job.refused = true,
        }
    }
    report.jobs = jobs.len() as u64;
    for job in jobs.values() {
        match (job.accepted, job.unknown) {
            (true, _) => report.accepted += 1,
            (_, true) => report.unknown += 1,
            _ => report.refused += 1,
        }
    }
    jobs
}

/// What the queue says at the end; and whether that adds up.
fn stored(files: &[(Writer, Vec<Entry>)], jobs: &mut HashMap<u64, Job>, report: &mut Report) {
    let (mut kept, mut counted) = (0, None);
    for entry in of(files, |writer| *writer == Writer::Queue) {
        match entry.kind {
            Kind::Counted => counted = Some(entry.job),
            Kind::Audited => report.conservation += 1,
            _ => {
                kept += 1;
                jobs.entry(entry.job).or_default().kept.push(*entry);
            }
        }
    }
    report.conservation += counted.map_or(0, |counted| counted.abs_diff(kept));
}

/// Why one job ran more than once.
fn repeats(all: &[Run], fates: &Fates, report: &mut Report, waits: &mut Vec<(u64, u64)>) {
    for pair in all.windows(2) {
        let (run, next) = (&pair[0], &pair[1]);
        let done = u64::from(matches!(run.end, Some((Kind::Done, _))));
        match fates.cause(run, next) {
            Cause::Retry => {}
            Cause::Kill(at) => {
                report.restarts_by_kills += 1;
                report.repeated_by_kills += done;
                waits.push((at, next.start));
            }
            Cause::Zombie => {
                report.restarts_by_zombies += 1;
                report.repeated_by_zombies += done;
            }
            Cause::Lease => report.restarts_by_leases += 1,
            Cause::None => {
                report.unexplained += 1;
                report.repeated_otherwise += done;
            }
        }
    }
}

/// Holds what is known of one job against its runs.
fn one(job: &Job, runs: &[Run], max_crashes: u64, max_attempts: u64, report: &mut Report) {
    let done = |token| runs.iter().any(|r| r.token == token && matches!(r.end, Some((Kind::Done, _))));
    let ever_done = runs.iter().any(|run| matches!(run.end, Some((Kind::Done, _))));
    let is = |kind| job.kept.iter().any(|entry| entry.kind == kind);
    let ran = !runs.is_empty() || !job.kept.is_empty();
    report.unexpected += u64::from(ran && !job.accepted && !job.unknown);
    report.unexpected += runs.iter().filter(|run| run.bare).count() as u64;
    report.recovered += u64::from(ran && !job.accepted && job.unknown);
    let ended = !job.kept.is_empty() && !is(Kind::Open) || job.kept.is_empty() && ever_done;
    report.lost += u64::from(job.accepted && !ended);
    // What is done and neither kept nor lost was forgotten before its time.
    report.conservation += u64::from(job.accepted && job.kept.is_empty() && ever_done);
    if let Some(end) = job.kept.iter().find(|entry| entry.kind == Kind::Succeeded) {
        report.false_acks += u64::from(!done(end.token));
        let newest = runs.iter().map(|run| run.token).max().unwrap_or(0);
        report.stale_acks_accepted += u64::from(newest > end.token && done(end.token));
    }
    let mut records: Vec<u64> = runs.iter().map(|run| run.record).collect();
    records.extend(job.kept.iter().map(|entry| entry.record));
    records.sort_unstable();
    records.dedup();
    report.duplicated += u64::from(records.len() > 1 || job.kept.len() > 1);
    let starts = runs.len() as u64;
    // Lost together with others of its batch it is charged nothing, once: from then on it is
    // suspect, and leased alone.
    let together = 1;
    let most = max_crashes + if job.poison { together } else { max_attempts };
    let innocent = is(Kind::Discarded) && !job.poison;
    report.crash_limit += u64::from(starts > most || innocent);
}

fn injected(faults: &[Entry], report: &mut Report) {
    let count = |kind| faults.iter().filter(|entry| entry.kind == kind).count() as u64;
    report.kills = count(Kind::Killed);
    report.zombies = count(Kind::Stopped);
    report.server_kills = count(Kind::Down);
    report.cuts = count(Kind::Cut);
    report.flushes = count(Kind::Flushed);
    report.repeated_per_kill = report.repeated_by_kills as f64 / (report.kills as f64).max(1.0);
}

/// From a kill to the last start of what it interrupted: one figure a kill.
fn recovery(waits: &[(u64, u64)], faults: &[Entry], report: &mut Report) {
    let mut downs: Vec<(u64, u64)> = Vec::new();
    for entry in faults {
        match entry.kind {
            Kind::Down => downs.push((entry.at, u64::MAX)),
            Kind::Up => downs.last_mut().into_iter().for_each(|last| last.1 = entry.at),
            _ => {}
        }
    }
    let mut kills: HashMap<u64, u64> = HashMap::new();
    for (at, again) in waits {
        let latest = kills.entry(*at).or_default();
        *latest = (*latest).max(*again);
    }
    let (mut clear, mut disturbed) = (Vec::new(), Vec::new());
    for (at, again) in kills {
        let down = downs.iter().any(|(from, to)| *from < again && at < *to);
        if down { &mut disturbed } else { &mut clear }.push(again - at);
    }
    report.recovery = Waits::of(clear);
    report.recovery_with_server_down = Waits::of(disturbed);
}

/// How fast work was done, when.
fn paces(files: &[(Writer, Vec<Entry>)], runs: &[Run], faults: &[Entry], report: &mut Report) {
    let mut done: Vec<u64> = runs
        .iter()
        .filter_map(|run| run.end)
        .filter(|(kind, _)| *kind == Kind::Done)
        .map(|(_, at)| at)
        .collect();
    done.sort_unstable();
    let first = of(files, |writer| matches!(writer, Writer::Producer(_))).map(|entry| entry.at).min();
    if let (Some(first), Some(last)) = (first, done.last()) {
        report.seconds = last.saturating_sub(first) as f64 / 1e6;
    }
    let within =
        |from: u64, to: u64| done.partition_point(|at| *at < to) - done.partition_point(|at| *at < from);
    let next = |from: u64| done.get(done.partition_point(|at| *at < from));
    let ups = faults.iter().filter(|entry| entry.kind == Kind::Up);
    report.resumed = Waits::of(ups.filter_map(|up| Some(next(up.at)? - up.at)).collect());
    let at = |kind| faults.iter().find(|entry| entry.kind == kind).map(|entry| entry.at);
    let calm = at(Kind::Calm);
    let Some(begun) = at(Kind::Begun) else { return };
    // A job may have killed its worker before all was up.
    let after = faults.iter().filter(|entry| entry.kind != Kind::Begun && entry.at >= begun);
    let Some(fault) = after.map(|entry| entry.at).min() else { return };
    let baseline = within(begun, fault) as f64 / (fault.saturating_sub(begun).max(1) as f64 / 1e6);
    let regained_ms = calm.filter(|_| baseline > 0.0).and_then(|calm| {
        let last = *done.last()?;
        let steps = (0..).map(|n| calm + n * 100_000).take_while(|from| from + 1_000_000 <= last);
        let back = steps.into_iter().find(|from| within(*from, from + 1_000_000) as f64 >= baseline * BACK);
        back.map(|from| (from - calm) / 1_000)
    });
    report.throughput = Throughput { baseline, regained_ms };
}
