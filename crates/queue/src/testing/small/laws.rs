//! What must hold of every step of the small world, whatever the step is.

use super::world::{End, Hold, JOBS, MAX_CRASHES, Said, Verb, World};
use crate::State;
use crate::backend::Action;

/// Fails with these words where the condition does not hold.
macro_rules! law {
    ($holds:expr, $($words:tt)+) => { if !$holds { return Err(format!($($words)+)); } };
}

/// Checks one step against the laws; says which is broken.
pub(super) fn lawful(old: &World, verb: Verb, said: Said, new: &World) -> Result<(), String> {
    for job in 0..JOBS {
        let (was, is) = (&old.jobs[job], &new.jobs[job]);
        let ended = match verb {
            Verb::Settle(worker, end) if old.holds[worker] == Hold::Live(job) => Some(end),
            _ => None,
        };
        let begun = said == Said::Leased(job);
        // I1, no false ack: it succeeds only where the one who holds it says so.
        law!(
            was.is(State::Succeeded) || !is.is(State::Succeeded) || ended == Some(End::Succeed),
            "I1: false ack"
        );
        law!(ended != Some(End::Succeed) || is.is(State::Succeeded), "I1: an ack was lost");
        // I2: what runs had been taken in, and waited; what was refused never does.
        law!(!begun || was.is(State::Available), "I2: {job} runs and did not wait");
        // I3: one record for one id.
        law!(verb != Verb::Enqueue(job) || was.state.is_none() || was == is, "I3: a second record");
        // I4: a lease more is one that was granted, and nobody else begins.
        law!(
            is.epoch == was.epoch + u8::from(begun),
            "I4: {job} had {} leases, then {}",
            was.epoch,
            is.epoch
        );
        // I5: what is over stays so, but for an operator, or one who enqueues it again.
        let again = matches!(verb, Verb::Act(n, Action::Retry | Action::Redrive) if n == job);
        law!(!was.is_final() || again || was == is, "I5: {job} was over");
        // I6: who takes its workers down is stopped.
        law!(is.crashes < MAX_CRASHES && is.crashes <= is.epoch, "I6: {} crashes", is.crashes);
        // I7: one state each; none is gone unless it waited and was purged, none comes unless taken in.
        law!(
            was.state.is_none() || is.state.is_some() || (verb == Verb::Purge && was.waits()),
            "I7: {job} is gone"
        );
        law!(was.state.is_some() || is.state.is_none() || verb == Verb::Enqueue(job), "I7: {job} came");
        // Only one can hold it, and who holds it runs it.
        let held = new.holds.iter().filter(|hold| **hold == Hold::Live(job)).count();
        law!(held <= usize::from(is.is(State::Leased)), "fence: {job} is held {held} times");
    }
    // I5: who has lost its lease changes nothing.
    law!(said != Said::Stale || old.jobs == new.jobs, "I5: a stale call changed something");
    Ok(())
}

/// I1: whatever has happened, a healthy worker brings all to an end.
pub(super) fn ends(world: &World) -> Result<(), String> {
    let mut world = *world;
    // So many leases are more than three epochs allow: the drain may go on where a search ends.
    for _ in 0..JOBS * 2 {
        for job in 0..JOBS {
            if world.jobs[job].is(State::Leased) {
                world = world.step(Verb::Lapse(job))[0].0;
            }
        }
        for verb in [Verb::Die(0), Verb::Due, Verb::Beat, Verb::Lease(0), Verb::Settle(0, End::Succeed)] {
            world = world.step(verb)[0].0;
        }
    }
    law!(world.jobs.iter().all(|job| job.state.is_none() || job.is_final()), "I1: never ends: {world:?}");
    Ok(())
}
