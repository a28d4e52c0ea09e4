//! The outbox of a PostgreSQL database: transactions that commit out of order, writers and
//! relays side by side, relays killed with -9.

use legwork::outbox::{self, Relay};
use legwork::testing::harness::{Harness, success};
use legwork::testing::server::TestServer;
use legwork::{Client, JobId, ManualClock};
use sqlx::PgPool;
use std::collections::BTreeMap;
use std::time::Duration;
use tests::{Postgres, Program, skip, until};

/// A database with an outbox, a queue, and what has run.
struct World {
    _postgres: Postgres,
    server: TestServer,
    database: String,
    pool: PgPool,
    jobs: Client,
    ran: BTreeMap<JobId, u32>,
}

async fn world() -> Option<World> {
    let Some(postgres) = Postgres::start() else {
        skip("postgresql is not installed");
        return None;
    };
    let server = TestServer::start_tcp()?;
    let database = postgres.url();
    let pool = PgPool::connect(&database).await.expect("the database answers");
    let (one, other) = tokio::join!(outbox::migrate(&pool), outbox::migrate(&pool));
    one.and(other).expect("two programs may start at once");
    let jobs = Client::connect(&server.url()).await.expect("the queue answers");
    Some(World { _postgres: postgres, server, database, pool, jobs, ran: BTreeMap::new() })
}

impl World {
    async fn write(&self, count: usize) -> Vec<JobId> {
        let mut tx = self.pool.begin().await.expect("a transaction");
        let mut ids = Vec::new();
        for n in 0..count {
            ids.push(outbox::enqueue_raw(&mut tx, "a.job", &n.to_string()).await.expect("written"));
        }
        tx.commit().await.expect("committed");
        ids
    }

    fn relay(&self) -> Relay {
        Relay::new(self.jobs.clone(), self.pool.clone())
    }

    /// Runs what is available; the queue forgets it at once.
    async fn run(&mut self) {
        let backend = self.jobs.backend();
        let harness = Harness::new(backend.clone(), backend.clone(), ManualClock::new(0));
        loop {
            let held = harness.lease("default", 100).await;
            if held.is_empty() {
                return;
            }
            for job in held {
                *self.ran.entry(job.id).or_default() += 1;
                harness.done(&job, success(0)).await;
            }
        }
    }

    async fn waiting(&self) -> u64 {
        self.relay().status().await.expect("a status").waiting
    }

    fn each_once(&self, ids: &[JobId]) {
        let wrong = ids.iter().filter(|id| self.ran.get(id) != Some(&1)).count();
        assert_eq!((wrong, self.ran.len()), (0, ids.len()), "each of {} once, and no other", ids.len());
    }
}

#[tokio::test]
async fn a_transaction_that_commits_late_is_not_passed_over() {
    let Some(mut world) = world().await else { return };
    let mut early = world.pool.begin().await.unwrap();
    let first = outbox::enqueue_raw(&mut early, "a.job", "1").await.unwrap();
    let second = world.write(1).await[0];
    assert_eq!(world.relay().hand_over().await.unwrap(), 1, "the one that is committed");
    early.commit().await.unwrap();
    assert_eq!(world.relay().hand_over().await.unwrap(), 1, "the one with the smaller number");
    world.run().await;
    world.each_once(&[first, second]);
}

#[tokio::test]
async fn writers_and_relays_side_by_side() {
    let Some(mut world) = world().await else { return };
    let relays: Vec<_> = (0..3)
        .map(|_| {
            let mut relay = world.relay();
            // By force: none waits for its turn.
            tokio::spawn(async move {
                loop {
                    let _ = relay.hand_over().await;
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let mut ids = Vec::new();
    for _ in 0..20 {
        let (a, b, c) = tokio::join!(world.write(3), world.write(5), world.write(1));
        ids.extend([a, b, c].concat());
        world.run().await;
    }
    until("all is handed over", Duration::from_secs(60), async || (world.waiting().await == 0).then_some(()))
        .await;
    relays.into_iter().for_each(|relay| relay.abort());
    world.run().await;
    world.each_once(&ids);
}

#[tokio::test]
async fn relays_killed_with_9_hand_over_once() {
    let Some(mut world) = world().await else { return };
    let mut ids = Vec::new();
    for round in 0..8 {
        let start = || {
            let (url, database) = (world.server.url(), world.database.clone());
            Program::new("probe").args(["relay", &url, &database]).start()
        };
        let (mut one, mut other) = (start(), start());
        one.line("probe is up", Duration::from_secs(30)).await;
        // Killed while it is at work, after another share of what there is each time.
        for _ in 0..20 {
            ids.extend(world.write(50).await);
        }
        let left = 1_000 - 100 * round;
        let under_way = async || (world.waiting().await <= left).then_some(());
        until("some is handed over", Duration::from_secs(30), under_way).await;
        one.kill();
        other.kill();
        world.run().await;
    }
    let mut last = Program::new("probe").args(["relay", &world.server.url(), &world.database]).start();
    // Once it has handed something over itself, it listens for signals.
    last.line("probe is up", Duration::from_secs(30)).await;
    ids.extend(world.write(1).await);
    until("all is handed over", Duration::from_secs(60), async || (world.waiting().await == 0).then_some(()))
        .await;
    last.signal("TERM");
    assert!(last.wait(Duration::from_secs(20)).success());
    world.run().await;
    world.each_once(&ids);
}
