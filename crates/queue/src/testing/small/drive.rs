//! A backend, taken through the small world.

use super::Seen;
use super::world::{EPOCHS, End, JOBS, MAX_CRASHES, Said, Verb, WORKERS, World};
use crate::backend::*;
use crate::testing::chance::Chance;
use crate::testing::harness::{Draft, Harness, TTL, job};
use crate::{Envelope, JobId, Policy, State};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// Far longer than a walk takes.
const KEEP: i64 = 86_400_000;
/// What waits is due after this many milliseconds.
const WAIT: i64 = 5;

/// Leases of a job while a backend is taken through all of its states: with a third it takes
/// three times as long, most of it on the way there.
const LEASES: u8 = 2;
/// Steps of a walk with two jobs.
const STEPS: usize = 60;

/// Takes a backend through every state and verb of one job with two leases between two
/// workers, however long that takes, and then walks with two jobs until `span` is over. Each
/// enqueue and each settle is repeated over the second connection, as after a lost reply.
///
/// ```
/// use legwork::testing::{harness::Harness, small};
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let (one, two) = small::drive(&Harness::in_memory().await, Default::default()).await.unwrap();
/// assert!(one.states > 100 && two.steps == 0);
/// # }
/// ```
///
/// # Errors
/// What differed, and the walk that led there.
pub async fn drive(h: &Harness, span: Duration) -> Result<(Seen, Seen), String> {
    let one = tour(h).await?;
    let two = stroll(h, span).await?;
    let broken = h.backend.audit().await.map_err(|e| format!("audit failed: {e:?}"))?;
    if broken.is_empty() { Ok((one, two)) } else { Err(format!("the audit found {broken:#?}")) }
}

/// What is left to be asked in each state of one job.
type Left = HashMap<World, Vec<Verb>>;

/// All states of one job, the nearest first, and how each was come to.
fn states() -> (Vec<World>, HashMap<World, (World, Verb)>) {
    let (mut all, mut came, mut at) = (vec![World::START], HashMap::new(), 0);
    while let Some(old) = all.get(at).copied() {
        for verb in old.verbs(1, LEASES) {
            let (new, _) = old.step(verb)[0];
            if let (true, Entry::Vacant(first)) = (new != World::START, came.entry(new)) {
                first.insert((old, verb));
                all.push(new);
            }
        }
        at += 1;
    }
    (all, came)
}

/// Asks every verb in every state of one job: the furthest first, and on the way there
/// whatever changes nothing.
async fn tour(h: &Harness) -> Result<Seen, String> {
    let (all, came) = states();
    let mut left: Left = all.iter().map(|world| (*world, world.verbs(1, LEASES))).collect();
    let (mut walks, steps) = (0, left.values().map(Vec::len).sum());
    for target in all.iter().rev() {
        while !left[target].is_empty() {
            let (mut path, mut at) = (Vec::new(), *target);
            while let Some((before, verb)) = came.get(&at) {
                path.push(*verb);
                at = *before;
            }
            let mut walk = Walk::begin(h, format!("tour-{walks}"));
            walks += 1;
            while let Some((verb, new)) = choose(walk.world, &mut path, &mut left) {
                walk.take(verb, new).await?;
            }
        }
    }
    Ok(Seen { states: all.len(), steps })
}

/// The next verb, and whether it has not been asked here: what leads nowhere first, then on
/// the path, then whatever is left here or a step away.
fn choose(here: World, path: &mut Vec<Verb>, left: &mut Left) -> Option<(Verb, bool)> {
    let open = left.get_mut(&here)?;
    if let Some(still) = open.iter().position(|verb| here.step(*verb)[0].0 == here) {
        return Some((open.swap_remove(still), true));
    }
    if let Some(verb) = path.pop() {
        let fresh = open.iter().position(|one| *one == verb);
        return Some((verb, fresh.map(|at| open.swap_remove(at)).is_some()));
    }
    if let Some(verb) = open.pop() {
        return Some((verb, true));
    }
    let leads = |verb: &Verb| left.get(&here.step(*verb)[0].0).is_some_and(|open| !open.is_empty());
    Some((here.verbs(1, LEASES).into_iter().find(leads)?, false))
}

/// Walks with two jobs and three leases of each, where chance leads and preferably to what has
/// not been asked.
async fn stroll(h: &Harness, span: Duration) -> Result<Seen, String> {
    let (mut chance, began, mut walks) = (Chance::new(2), Instant::now(), 0);
    let (mut asked, mut seen) = (HashSet::new(), HashSet::new());
    while began.elapsed() < span {
        let mut walk = Walk::begin(h, format!("stroll-{walks}"));
        walks += 1;
        for _ in 0..STEPS {
            let here = walk.world;
            let all = here.verbs(JOBS, EPOCHS);
            let fresh: Vec<Verb> =
                all.iter().copied().filter(|verb| !asked.contains(&(here, *verb))).collect();
            let from = if fresh.is_empty() { &all } else { &fresh };
            let verb = from[chance.below(from.len())];
            seen.insert(here.canonical());
            asked.insert((here, verb));
            walk.take(verb, true).await?;
        }
    }
    Ok(Seen { states: seen.len(), steps: asked.len() })
}

/// One way through the world, in a queue of its own.
struct Walk<'a> {
    h: &'a Harness,
    world: World,
    queue: String,
    drafts: Vec<Draft>,
    /// What each worker holds, or believes to.
    holds: [Option<(Token, usize)>; WORKERS],
    /// The lease of each job.
    leases: [Option<Token>; JOBS],
    last: Option<Token>,
    taken: Vec<String>,
}

impl<'a> Walk<'a> {
    fn begin(h: &'a Harness, queue: String) -> Walk<'a> {
        let limited = |e: &mut Envelope| e.max_crashes = Some(MAX_CRASHES.into());
        let drafts = (0..JOBS).map(|_| job("a.job").queue(&queue).with(limited)).collect();
        let (holds, leases) = ([None; WORKERS], [None; JOBS]);
        Walk { h, world: World::START, queue, drafts, holds, leases, last: None, taken: Vec::new() }
    }

    fn id(&self, job: usize) -> JobId {
        self.drafts[job].id()
    }

    /// Asks the backend, and goes where the world says that this leads; compares what is
    /// shown then, unless that was done before.
    async fn take(&mut self, verb: Verb, new: bool) -> Result<(), String> {
        self.taken.push(format!("{verb:?}"));
        let done = self.go(verb, new).await;
        done.map_err(|why| format!("{}: {why}", self.taken.join("\n")))
    }

    async fn go(&mut self, verb: Verb, new: bool) -> Result<(), String> {
        let said = self.ask(verb).await.map_err(|e| format!("failed: {e}"))?;
        let may = self.world.step(verb);
        // What is due of other walks is counted with ours.
        let fits = |expected: &Said| *expected == said || verb == Verb::Due;
        let Some((world, _)) = may.iter().find(|(_, expected)| fits(expected)) else {
            return Err(format!("said {said:?} in {:?}; expected one of {may:?}", self.world));
        };
        self.world = *world;
        for job in 0..JOBS {
            if !self.world.jobs[job].is(State::Leased) {
                self.leases[job] = None;
            }
            if new {
                self.compare(job).await?;
            }
        }
        Ok(())
    }

    async fn compare(&self, job: usize) -> Result<(), String> {
        let (known, id) = (self.world.jobs[job], self.id(job));
        let view = self.h.other.get(id, false).await.map_err(|e| format!("get failed: {e}"))?;
        let shown = format!("job {job} is {view:?}; expected {known:?}");
        let state = view.as_ref().map(|view| view.state);
        let same = view.is_none_or(|view| {
            let spent = (u32::from(known.attempts), u32::from(known.crashes), known.cancel);
            let lease = view.lease.as_ref().map(|lease| lease.token);
            lease == self.leases[job]
                && (known.is_final() || (view.attempts, view.crashes, view.cancel_requested) == spent)
        });
        if state == known.state && same { Ok(()) } else { Err(shown) }
    }

    async fn ask(&mut self, verb: Verb) -> crate::Result<Said> {
        let backend = &self.h.backend;
        Ok(match verb {
            Verb::Enqueue(job) => {
                let batch = self.h.batch([self.drafts[job].clone().chosen(self.id(job))]);
                let said = backend.enqueue(&batch).await?.jobs();
                let again = self.h.other.enqueue(&batch).await?.jobs();
                match said[..] {
                    [Enqueued::Created] if again == said => Said::Created,
                    [Enqueued::Existing(_)] if again == said => Said::Existing,
                    _ => Said::Nothing,
                }
            }
            Verb::Lease(worker) => self.lease(worker).await?,
            Verb::Settle(worker, end) => self.settle(worker, end).await?,
            Verb::Extend(worker) => {
                let Some((token, _)) = self.holds[worker] else { return Ok(Said::Nothing) };
                match backend.extend(&[token], TTL).await?.held[..] {
                    [true] => Said::Held,
                    _ => Said::Stale,
                }
            }
            Verb::Die(worker) => {
                self.holds[worker] = None;
                Said::Nothing
            }
            Verb::Lapse(job) => self.lapse(job).await?,
            Verb::Due => {
                self.h.pass(2 * WAIT);
                Said::Count(backend.promote(1_000).await?.count)
            }
            Verb::Beat => {
                let handles = Definition { name: "a.job".into(), version: 1, policy: Policy::default() };
                let worker = WorkerView { id: "w".into(), definitions: vec![handles], ..Default::default() };
                backend.beat(&worker).await?;
                Said::Nothing
            }
            Verb::Purge => {
                let mut count = 0;
                loop {
                    match backend.purge(&self.queue, 100).await? {
                        0 => break Said::Count(count),
                        some => count += some,
                    }
                }
            }
            Verb::Act(job, action) => match backend.control(self.id(job), action).await? {
                Controlled::Done(state) => Said::Moved(state),
                Controlled::Requested => Said::Requested,
                Controlled::Refused(state) => Said::Refused(state),
                Controlled::Missing => Said::Missing,
                Controlled::Duplicate(_) => Said::Nothing,
            },
        })
    }

    async fn lease(&mut self, worker: usize) -> crate::Result<Said> {
        let queues = vec![(self.queue.clone(), 1)];
        let request =
            LeaseRequest { worker: format!("w{worker}"), queues, most: 1, alone: true, ttl_ms: TTL };
        let Some(batch) = self.h.backend.lease(&request).await?.batches.pop() else {
            return Ok(Said::Empty);
        };
        let job = (0..JOBS).find(|job| batch.jobs.len() == 1 && batch.jobs[0].id == self.id(*job));
        // Tokens only grow.
        let Some(job) = job.filter(|_| Some(batch.token) > self.last) else { return Ok(Said::Nothing) };
        self.last = Some(batch.token);
        self.leases[job] = self.last;
        self.holds[worker] = Some((batch.token, job));
        Ok(Said::Leased(job))
    }

    async fn settle(&mut self, worker: usize, end: End) -> crate::Result<Said> {
        let Some((token, job)) = self.holds[worker].take() else { return Ok(Said::Nothing) };
        let outcome = match end {
            End::Succeed => Outcome::Succeeded { result: None, keep_ms: KEEP },
            End::Retry => Outcome::Retry { wait_ms: WAIT, error: "no".into() },
            End::Snooze => Outcome::Snooze { wait_ms: WAIT },
            End::Discard => Outcome::Discard { reason: "failed".into(), error: "no".into(), keep_ms: KEEP },
            End::Cancel => Outcome::Cancel { reason: "no".into(), keep_ms: KEEP },
            End::HandBack => Outcome::HandBack,
            End::Crash => Outcome::Crash { error: "no".into(), max: MAX_CRASHES.into(), keep_ms: KEEP },
            End::Park => Outcome::Park,
        };
        let item = [Settle { token, id: self.id(job), outcome, keyed: false }];
        let said = self.h.backend.settle(&item).await?;
        let again = self.h.other.settle(&item).await?;
        Ok(match said[..] {
            [Settled::Done] if again == said => Said::Held,
            [Settled::Stale] if again == said => Said::Stale,
            _ => Said::Nothing,
        })
    }

    /// Time passes for longer than a lease; that of another job is renewed meanwhile.
    async fn lapse(&mut self, job: usize) -> crate::Result<Said> {
        let others: Vec<Token> =
            (0..JOBS).filter(|other| *other != job).filter_map(|other| self.leases[other]).collect();
        for _ in 0..2 {
            let held = self.h.backend.extend(&others, TTL).await?.held;
            if held.contains(&false) {
                return Ok(Said::Stale);
            }
            self.h.pass(TTL / 2 + 500);
        }
        let reaped = self.h.backend.reap(1_000, false, TTL).await?;
        let ours = reaped.iter().filter(|one| (0..JOBS).any(|job| self.id(job) == one.id));
        let ours: Vec<JobId> = ours.map(|one| one.id).collect();
        // Said::Nothing is what the world says of it.
        Ok(if ours == [self.id(job)] { Said::Nothing } else { Said::Count(ours.len()) })
    }
}
