//! The steps of a model run, and a generator of them.

use super::state::{KEYS, TAGS};
use super::unique::SCOPES;
use crate::backend::Action;
use crate::testing::chance::Chance;

/// How a leased job ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Succeed,
    SucceedKeepNothing,
    Retry,
    Snooze,
    Discard,
    Cancel,
    HandBack,
    Park,
    Crash,
}

/// One step. Small numbers stand for jobs and leases ("the n-th there is, modulo how many
/// there are"), so that a sequence still means something when steps are taken out of it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Enqueue {
        queue: usize,
        priority: u8,
        delay: i64,
        unique: Option<usize>,
        key: Option<usize>,
        tag: Option<usize>,
        version: u32,
        chosen: Option<usize>,
        twice: bool,
    },
    Lease {
        queue: usize,
        max: usize,
        alone: bool,
    },
    Settle {
        lease: usize,
        end: End,
        twice: bool,
    },
    SettleBatch {
        lease: usize,
        ends: [End; 3],
    },
    SettleLate {
        past: usize,
        end: End,
        same: bool,
    },
    Extend {
        lease: usize,
    },
    Pass {
        seconds: i64,
    },
    Promote {
        limit: usize,
    },
    Reap,
    Prune,
    Control {
        job: usize,
        action: Action,
    },
    Pause {
        queue: usize,
        how: usize,
    },
    Purge {
        queue: usize,
        limit: usize,
    },
    Beat {
        version: u32,
    },
    Rule {
        most: u32,
    },
    /// The worker that holds a lease dies: it ends by itself and is taken back.
    Crash,
}

/// Whose connection a step goes over: two clients share a namespace.
pub(super) type Client = usize;

fn end(chance: &mut Chance) -> End {
    use End::*;
    [
        Succeed,
        SucceedKeepNothing,
        Succeed,
        Retry,
        Retry,
        Snooze,
        Discard,
        Cancel,
        HandBack,
        HandBack,
        Park,
        Crash,
    ][chance.below(12)]
}

fn step(chance: &mut Chance) -> Step {
    let pick = |chance: &mut Chance| chance.below(1_000);
    let queue = chance.below(2);
    match chance.below(100) {
        0..28 => Step::Enqueue {
            queue,
            priority: [5, 5, 5, 1, 9][chance.below(5)],
            delay: [0, 0, 0, 2, 7][chance.below(5)],
            unique: chance.hit(0.4).then(|| chance.below(SCOPES.len())),
            key: chance.hit(0.35).then(|| chance.below(KEYS)),
            tag: chance.hit(0.3).then(|| chance.below(TAGS)),
            version: 1 + chance.below(2) as u32,
            chosen: chance.hit(0.1).then(|| pick(chance)),
            twice: chance.hit(0.1),
        },
        28..46 => Step::Lease { queue, max: 1 + chance.below(4), alone: chance.hit(0.4) },
        46..60 => Step::Settle { lease: pick(chance), end: end(chance), twice: chance.hit(0.3) },
        60..66 => Step::SettleBatch { lease: pick(chance), ends: [end(chance), end(chance), end(chance)] },
        66..70 => Step::SettleLate { past: pick(chance), end: end(chance), same: chance.hit(0.5) },
        70..73 => Step::Extend { lease: pick(chance) },
        73..80 => Step::Pass { seconds: [1, 3, 8, 16][chance.below(4)] },
        80..84 => Step::Promote { limit: [1, 2, 100][chance.below(3)] },
        84..88 => Step::Reap,
        88..90 => Step::Prune,
        90..95 => Step::Control {
            job: pick(chance),
            action: [Action::Cancel, Action::Discard, Action::Retry, Action::Hurry, Action::Redrive]
                [chance.below(5)],
        },
        95..97 => Step::Pause { queue, how: chance.below(4) },
        97..98 => Step::Purge { queue, limit: 1 + chance.below(5) },
        98 => match chance.below(2) {
            0 => Step::Rule { most: chance.below(4) as u32 },
            _ => Step::Crash,
        },
        _ => Step::Beat { version: 1 + chance.below(2) as u32 },
    }
}

/// The steps that follow from a seed.
pub(super) fn steps(seed: u64, count: usize) -> Vec<(Client, Step)> {
    let mut chance = Chance::new(seed);
    (0..count).map(|_| (chance.below(2), step(&mut chance))).collect()
}
