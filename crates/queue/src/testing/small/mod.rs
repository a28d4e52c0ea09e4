//! Every state of a small world: two jobs, two workers, three leases of each job.
//!
//! [`search`] visits all of them, by every verb that may be asked in each, and checks the
//! laws of `laws.rs` at each step. [`drive`] takes a backend through every state and verb of
//! one job with two leases between two workers, and then on walks with two jobs for as long as
//! it is given, and compares what it says and shows with the world.
//!
//! What the small world leaves out (order, keys, limits, pauses, retention, shared batches,
//! flows, time but for leases and waits) is the random model's and the conformance cases'.

mod drive;
mod laws;
mod world;

pub use drive::drive;

use std::collections::{HashMap, VecDeque};
use world::{Verb, World};

/// What a search or a drive has seen.
///
/// ```
/// let seen = legwork::testing::small::Seen { states: 2, steps: 3 };
/// assert_eq!(format!("{seen:?}"), "Seen { states: 2, steps: 3 }");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Different states; of a search, up to the names of jobs and workers.
    pub states: usize,
    /// Verbs asked.
    pub steps: usize,
}

/// Visits every state that can be reached.
///
/// ```no_run
/// let seen = legwork::testing::small::search().unwrap();
/// assert!(seen.states > 10_000);
/// ```
///
/// # Errors
/// The law that is broken, and the shortest way there.
pub fn search() -> Result<Seen, String> {
    let mut seen = Seen::default();
    let mut came: HashMap<World, Option<(World, Verb)>> = HashMap::from([(World::START, None)]);
    let mut next = VecDeque::from([World::START]);
    while let Some(old) = next.pop_front() {
        seen.states += 1;
        laws::ends(&old).map_err(|why| told(&came, old, &why))?;
        for verb in old.verbs(world::JOBS, world::EPOCHS) {
            seen.steps += 1;
            for (new, said) in old.step(verb) {
                laws::lawful(&old, verb, said, &new)
                    .map_err(|why| told(&came, old, &format!("{verb:?}: {why}")))?;
                let new = new.canonical();
                came.entry(new).or_insert_with(|| {
                    next.push_back(new);
                    Some((old, verb))
                });
            }
        }
    }
    Ok(seen)
}

/// The way to a state, and what is wrong there.
fn told(came: &HashMap<World, Option<(World, Verb)>>, last: World, why: &str) -> String {
    let (mut way, mut at) = (vec![format!("{last:?}\n{why}")], last);
    while let Some((before, verb)) = came.get(&at).copied().flatten() {
        way.push(format!("{before:?}\n  {verb:?}"));
        at = before;
    }
    way.reverse();
    way.join("\n")
}

#[cfg(test)]
mod tests {
    use super::world::{End, Said};
    use super::*;
    use crate::State;

    /// Each law finds the step that it forbids.
    #[test]
    fn what_is_unlawful_is_found() {
        let at = |world: World, verb| world.step(verb)[0].0;
        let waits = at(World::START, Verb::Enqueue(0));
        let runs = at(waits, Verb::Lease(0));
        let lost = at(runs, Verb::Lapse(0));
        let done = at(runs, Verb::Settle(0, End::Succeed));
        let mut twice = runs;
        twice.holds[1] = twice.holds[0];
        let mut crashed = waits;
        crashed.jobs[0].crashes = 2;
        let mut moved = lost;
        moved.jobs[0].attempts = 1;
        let mut gone = runs;
        gone.jobs[0].state = None;
        let broken = [
            ("I1: false ack", lost, Verb::Settle(0, End::Succeed), Said::Stale, done),
            ("I1: an ack was lost", runs, Verb::Settle(0, End::Succeed), Said::Held, waits),
            ("I2", done, Verb::Lease(1), Said::Leased(0), runs),
            ("I3", runs, Verb::Enqueue(0), Said::Created, waits),
            ("I4", waits, Verb::Due, Said::Count(0), runs),
            ("I5", done, Verb::Due, Said::Count(1), lost),
            ("I5", lost, Verb::Settle(0, End::Discard), Said::Stale, moved),
            ("I6", waits, Verb::Due, Said::Count(0), crashed),
            ("I7", runs, Verb::Purge, Said::Count(1), gone),
            ("fence", waits, Verb::Lease(0), Said::Leased(0), twice),
        ];
        for (law, old, verb, said, new) in broken {
            let why = laws::lawful(&old, verb, said, &new).expect_err(law);
            assert!(why.starts_with(law), "{why}; expected {law}");
        }
        let mut stuck = waits;
        stuck.jobs[0].state = Some(State::Leased);
        assert!(laws::ends(&stuck).is_ok(), "a lease that nobody holds lapses");
    }
}
