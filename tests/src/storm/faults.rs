//! What is done to whom.

use super::world::World;
use super::{On, Plan};
use crate::totalq::Kind;
use anyhow::Result;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use std::time::Duration;

/// One fault, with the number that its chances come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A worker is killed with -9.
    Kill(u64),
    /// A worker is stopped, and goes on when its leases are somebody else's.
    Zombie(u64),
    /// The server is killed with -9 and started again.
    Server(u64),
    /// A connection is cut.
    Cut,
    /// The server forgets its scripts.
    Flush,
}

impl Fault {
    /// All faults of a plan in the order of its seed.
    pub fn schedule(plan: &Plan) -> Vec<Fault> {
        let mut chance = StdRng::seed_from_u64(plan.seed);
        let mut all = Vec::new();
        all.extend((0..plan.kills).map(|_| Fault::Kill(chance.random())));
        all.extend((0..plan.zombies).map(|_| Fault::Zombie(chance.random())));
        if plan.on == On::Redis {
            all.extend((0..plan.server_kills).map(|_| Fault::Server(chance.random())));
            all.extend((0..plan.cuts).map(|_| Fault::Cut));
            all.extend((0..plan.flushes).map(|_| Fault::Flush));
        }
        all.shuffle(&mut chance);
        all
    }
}

pub(super) async fn apply(fault: Fault, plan: &Plan, world: &mut World) -> Result<()> {
    match fault {
        Fault::Kill(n) => world.kill(n),
        Fault::Zombie(n) => {
            // Longer than a lease and the sweep that takes it back.
            world.stop_one(n, plan.lease + plan.lease / 3 + Duration::from_millis(500)).await
        }
        Fault::Server(n) => world.kill_server(plan.away + Duration::from_millis(n % 500)).await,
        Fault::Cut => {
            world.cut();
            Ok(())
        }
        Fault::Flush => {
            world.note(Kind::Flushed, 0);
            world.flush()
        }
    }
}
