//! From entries to runs: one start of a handler, by whom, and how it ended.

use super::{Entry, Kind, Writer};
use std::collections::HashMap;

/// One start of a handler.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) job: u64,
    pub(super) token: u64,
    pub(super) record: u64,
    pub(super) worker: u64,
    pub(super) start: u64,
    /// How it ended and when; none when nobody lived to say so.
    pub(super) end: Option<(Kind, u64)>,
    /// What was written in its name without a start.
    pub(super) bare: bool,
}

/// Why a job was started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Its handler failed.
    Retry,
    /// Its worker was killed at this instant.
    Kill(u64),
    /// Its worker was stopped.
    Zombie,
    /// Its handler was dropped by a worker that lives: the lease was lost or handed back.
    Lease,
    /// Nothing that is known.
    None,
}

/// For how long, in microseconds, an outcome may be on its way to the queue: what is done is
/// settled with others in one call, and a call that is not answered is sent again after a third of
/// a lease, which is two seconds at most here.
const SETTLES: u64 = 1_000_000;

/// What was done to workers.
#[derive(Default)]
pub(super) struct Fates {
    killed: HashMap<u64, u64>,
    stopped: HashMap<u64, Vec<(u64, u64)>>,
}

impl Fates {
    pub(super) fn of(faults: &[Entry]) -> Fates {
        let mut fates = Fates::default();
        for entry in faults {
            match entry.kind {
                Kind::Killed => drop(fates.killed.insert(entry.job, entry.at)),
                Kind::Stopped => fates.stopped.entry(entry.job).or_default().push((entry.at, u64::MAX)),
                Kind::Continued => {
                    if let Some(last) = fates.stopped.entry(entry.job).or_default().last_mut() {
                        last.1 = entry.at;
                    }
                }
                _ => {}
            }
        }
        fates
    }

    /// Why another run followed this one.
    pub(super) fn cause(&self, run: &Run, next: &Run) -> Cause {
        if matches!(run.end, Some((Kind::Failed, _))) {
            return Cause::Retry;
        }
        let ended = run.end.map_or(u64::MAX, |(_, at)| at);
        let stops = self.stopped.get(&run.worker).map_or(&[][..], Vec::as_slice);
        // A stop is noted just before the signal, so what it stops may begin after the note; and what
        // was done just before it may not have been settled.
        let stopped = |(from, to): &(u64, u64)| run.start <= *to && *from <= ended.saturating_add(SETTLES);
        if stops.iter().any(|stop| stopped(stop) && stop.0 <= next.start) {
            return Cause::Zombie;
        }
        match (self.killed.get(&run.worker), run.end) {
            (_, Some((Kind::Dropped, _))) => Cause::Lease,
            (Some(at), _) if *at < next.start => Cause::Kill(*at),
            _ => Cause::None,
        }
    }
}

/// All runs, by job and then by token: the order in which their leases were granted.
pub(super) fn runs(files: &[(Writer, Vec<Entry>)]) -> Vec<Run> {
    let mut all: Vec<(Entry, u64)> = Vec::new();
    for (writer, entries) in files {
        if let Writer::Worker(number) = writer {
            all.extend(entries.iter().map(|entry| (*entry, *number)));
        }
    }
    // A stable sort: what one worker wrote in the same microsecond stays in order.
    all.sort_by_key(|(entry, worker)| (entry.job, entry.token, *worker, entry.at));
    let mut runs: Vec<Run> = Vec::with_capacity(all.len() / 2);
    for (entry, worker) in all {
        let begins = entry.kind == Kind::Started;
        let open = runs.last_mut().filter(|run| {
            let same = (run.job, run.token, run.worker) == (entry.job, entry.token, worker);
            same && run.end.is_none() && !begins
        });
        match open {
            Some(run) => run.end = Some((entry.kind, entry.at)),
            None => runs.push(Run {
                job: entry.job,
                token: entry.token,
                record: entry.record,
                worker,
                start: entry.at,
                end: (!begins).then_some((entry.kind, entry.at)),
                bare: !begins,
            }),
        }
    }
    // Of one token the earlier start first, whoever's it was.
    runs.sort_by_key(|run| (run.job, run.token, run.start));
    runs
}
