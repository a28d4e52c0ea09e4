//! The small world as a value, and what each verb makes of it. Pure: no backend, no clock.
//!
//! A lease is live until its holder settles it, or until it lapses and is taken back; a
//! worker may die and forget what it holds, or be late and hold what is no longer its own.

use crate::State;
use crate::backend::Action;

/// So many jobs at most, so many workers, and so many leases of each job.
pub(super) const JOBS: usize = 2;
pub(super) const WORKERS: usize = 2;
pub(super) const EPOCHS: u8 = 3;
/// A job that took so many workers down is discarded.
pub(super) const MAX_CRASHES: u8 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Job {
    /// None where there is no such job: not yet, or not any more.
    pub(super) state: Option<State>,
    /// How many leases were granted.
    pub(super) epoch: u8,
    pub(super) attempts: u8,
    pub(super) crashes: u8,
    /// Its worker has been asked to stop.
    pub(super) cancel: bool,
}

/// What a worker believes to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Hold {
    Nothing,
    Live(usize),
    /// The lease has been lost, and the worker does not know.
    Stale(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct World {
    pub(super) jobs: [Job; JOBS],
    pub(super) holds: [Hold; WORKERS],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum End {
    Succeed,
    Retry,
    Snooze,
    Discard,
    Cancel,
    HandBack,
    Crash,
    Park,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Verb {
    Enqueue(usize),
    Lease(usize),
    Settle(usize, End),
    Extend(usize),
    /// A worker forgets what it holds.
    Die(usize),
    /// The lease of a job runs out and is taken back; those of others are renewed.
    Lapse(usize),
    /// What waits for its time is due.
    Due,
    /// A worker says that it knows the name.
    Beat,
    Purge,
    Act(usize, Action),
}

/// What a verb says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Created,
    Existing,
    Leased(usize),
    Empty,
    Held,
    Stale,
    Count(usize),
    Missing,
    Requested,
    Refused(State),
    Moved(State),
    Nothing,
}

pub(super) const ENDS: [End; 8] =
    [End::Succeed, End::Retry, End::Snooze, End::Discard, End::Cancel, End::HandBack, End::Crash, End::Park];
pub(super) const ACTS: [Action; 5] =
    [Action::Cancel, Action::Discard, Action::Retry, Action::Hurry, Action::Redrive];

impl Job {
    const NONE: Job = Job { state: None, epoch: 0, attempts: 0, crashes: 0, cancel: false };

    pub(super) fn is(&self, state: State) -> bool {
        self.state == Some(state)
    }

    pub(super) fn is_final(&self) -> bool {
        self.state.is_some_and(State::is_final)
    }

    pub(super) fn waits(&self) -> bool {
        self.state.is_some_and(|state| !state.is_final() && state != State::Leased)
    }

    fn becomes(&mut self, state: State) {
        self.state = Some(state);
        if state.is_final() {
            // What it has spent counts no longer: a redrive begins anew.
            (self.attempts, self.crashes, self.cancel) = (0, 0, false);
        }
    }

    /// What an accepted outcome makes of it.
    fn end(&mut self, end: End) {
        self.attempts += u8::from(end == End::Retry);
        self.crashes += u8::from(end == End::Crash);
        self.becomes(match end {
            End::Succeed => State::Succeeded,
            End::Discard => State::Discarded,
            End::Cancel => State::Cancelled,
            _ if self.cancel => State::Cancelled,
            End::Crash if self.crashes >= MAX_CRASHES => State::Discarded,
            End::Retry => State::Retryable,
            End::Snooze => State::Scheduled,
            End::HandBack | End::Crash => State::Available,
            End::Park => State::Blocked,
        });
    }

    fn act(&mut self, action: Action) -> Said {
        let Some(state) = self.state else { return Said::Missing };
        let back = match action {
            Action::Cancel if state == State::Leased => {
                self.cancel = true;
                return Said::Requested;
            }
            _ if state == State::Leased => return Said::Refused(state),
            Action::Retry => true,
            Action::Hurry => !state.is_final(),
            Action::Redrive => state.is_final(),
            _ => false,
        };
        let to = match action {
            _ if back => State::Available,
            Action::Cancel if !state.is_final() => State::Cancelled,
            Action::Discard if !state.is_final() => State::Discarded,
            _ => return Said::Refused(state),
        };
        self.becomes(to);
        Said::Moved(to)
    }
}

impl World {
    pub(super) const START: World = World { jobs: [Job::NONE; JOBS], holds: [Hold::Nothing; WORKERS] };

    /// Everything that may be asked here, of so many jobs with so many leases each.
    pub(super) fn verbs(&self, jobs: usize, epochs: u8) -> Vec<Verb> {
        let mut all = vec![Verb::Due, Verb::Beat, Verb::Purge];
        for job in 0..jobs {
            all.push(Verb::Enqueue(job));
            all.extend(ACTS.map(|action| Verb::Act(job, action)));
            if self.jobs[job].is(State::Leased) {
                all.push(Verb::Lapse(job));
            }
        }
        // Beyond the last epoch the world ends.
        let open = self.jobs.iter().all(|job| !job.is(State::Available) || job.epoch < epochs);
        for worker in 0..WORKERS {
            match self.holds[worker] {
                Hold::Nothing if open => all.push(Verb::Lease(worker)),
                Hold::Nothing => {}
                _ => {
                    all.extend(ENDS.map(|end| Verb::Settle(worker, end)));
                    all.extend([Verb::Extend(worker), Verb::Die(worker)]);
                }
            }
        }
        all
    }

    /// What may come of a verb: more than one thing only where a lease may take any of some.
    pub(super) fn step(&self, verb: Verb) -> Vec<(World, Said)> {
        if let Verb::Lease(worker) = verb {
            let waiting = (0..JOBS).filter(|job| self.jobs[*job].is(State::Available));
            let all: Vec<_> = waiting.map(|job| (self.leased(worker, job), Said::Leased(job))).collect();
            return if all.is_empty() { vec![(*self, Said::Empty)] } else { all };
        }
        let mut new = *self;
        let said = new.sure(verb);
        vec![(new, said)]
    }

    fn leased(&self, worker: usize, job: usize) -> World {
        let mut new = *self;
        new.jobs[job].becomes(State::Leased);
        new.jobs[job].epoch += 1;
        new.holds[worker] = Hold::Live(job);
        new
    }

    fn sure(&mut self, verb: Verb) -> Said {
        match verb {
            Verb::Enqueue(job) if self.jobs[job].state.is_some() => Said::Existing,
            Verb::Enqueue(job) => {
                self.jobs[job] =
                    Job { state: Some(State::Available), epoch: self.jobs[job].epoch, ..Job::NONE };
                Said::Created
            }
            Verb::Settle(worker, end) => {
                let held = std::mem::replace(&mut self.holds[worker], Hold::Nothing);
                let Hold::Live(job) = held else { return Said::Stale };
                self.jobs[job].end(end);
                Said::Held
            }
            Verb::Extend(worker) => match self.holds[worker] {
                Hold::Live(_) => Said::Held,
                _ => Said::Stale,
            },
            Verb::Die(worker) => {
                self.holds[worker] = Hold::Nothing;
                Said::Nothing
            }
            Verb::Lapse(job) => self.lapse(job),
            Verb::Due => self.move_all(&[State::Scheduled, State::Retryable], Some(State::Available)),
            Verb::Beat => {
                self.move_all(&[State::Blocked], Some(State::Available));
                Said::Nothing
            }
            Verb::Purge => {
                let waiting = [State::Scheduled, State::Available, State::Retryable, State::Blocked];
                self.move_all(&waiting, None)
            }
            Verb::Act(job, action) => self.jobs[job].act(action),
            Verb::Lease(_) => Said::Nothing,
        }
    }

    /// Its worker was alone with it, so that it is charged a crash.
    fn lapse(&mut self, job: usize) -> Said {
        for hold in &mut self.holds {
            if *hold == Hold::Live(job) {
                *hold = Hold::Stale(job);
            }
        }
        self.jobs[job].end(End::Crash);
        Said::Nothing
    }

    fn move_all(&mut self, from: &[State], to: Option<State>) -> Said {
        let mut count = 0;
        for job in &mut self.jobs {
            if job.state.is_some_and(|state| from.contains(&state)) {
                count += 1;
                match to {
                    Some(state) => job.becomes(state),
                    None => *job = Job { epoch: job.epoch, ..Job::NONE },
                }
            }
        }
        Said::Count(count)
    }

    /// The same world under other names of jobs and workers: the least of them.
    pub(super) fn canonical(&self) -> World {
        let other = |hold| match hold {
            Hold::Live(job) => Hold::Live(1 - job),
            Hold::Stale(job) => Hold::Stale(1 - job),
            Hold::Nothing => Hold::Nothing,
        };
        let [a, b] = self.holds;
        let (jobs, turned) = (self.jobs, [self.jobs[1], self.jobs[0]]);
        let all = [
            *self,
            World { jobs, holds: [b, a] },
            World { jobs: turned, holds: [other(a), other(b)] },
            World { jobs: turned, holds: [other(b), other(a)] },
        ];
        all.into_iter().min().unwrap_or(*self)
    }
}
