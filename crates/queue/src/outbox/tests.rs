//! One job a row, whatever happens; each test against SQLite and Redis queues.

use super::store::{Ask, Batch, Claim};
use super::*;
use crate::testing::faulty::{Fault, FaultyBackend};
use crate::testing::harness::{Harness, success};
use crate::testing::server::TestServer;
use crate::{Client, ClientOptions, JobId, ManualClock};
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// An application's database and a queue.
struct World {
    client: Client,
    pool: SqlitePool,
    dir: tempfile::TempDir,
    /// How often each job has run.
    ran: BTreeMap<JobId, u32>,
}

async fn database(dir: &tempfile::TempDir) -> SqlitePool {
    let options = SqliteConnectOptions::new().filename(dir.path().join("app.db")).create_if_missing(true);
    let options = options.journal_mode(sqlx::sqlite::SqliteJournalMode::Wal);
    let options = options.synchronous(sqlx::sqlite::SqliteSynchronous::Off);
    SqlitePool::connect_with(options.busy_timeout(Duration::from_secs(20))).await.unwrap()
}

/// The queues that a test goes through: always SQLite, and Redis where there is one.
async fn worlds() -> (Option<TestServer>, Vec<World>) {
    let server = TestServer::start();
    let mut urls = vec!["sqlite::memory:".to_owned()];
    urls.extend(server.as_ref().map(|s| format!("{}?ns=test-outbox", s.url())));
    let mut all = Vec::new();
    for url in urls {
        let dir = tempfile::tempdir().unwrap();
        let pool = database(&dir).await;
        migrate(&pool).await.unwrap();
        all.push(World { client: Client::connect(&url).await.unwrap(), pool, dir, ran: BTreeMap::new() });
    }
    (server, all)
}

impl World {
    async fn write(&self, count: usize) -> Vec<JobId> {
        let mut tx = self.pool.begin().await.unwrap();
        let mut ids = Vec::new();
        for n in 0..count {
            ids.push(enqueue_raw(&mut tx, "a.job", &n.to_string()).await.unwrap());
        }
        tx.commit().await.unwrap();
        ids
    }

    fn relay(&self) -> Relay {
        Relay::new(self.client.clone(), self.pool.clone())
    }

    /// Runs what is available, and nothing is known of it afterwards.
    async fn run(&mut self) {
        let backend = self.client.backend();
        let h = Harness::new(backend.clone(), backend.clone(), ManualClock::new(0));
        loop {
            let held = h.lease("default", 100).await;
            if held.is_empty() {
                return;
            }
            for job in held {
                *self.ran.entry(job.id).or_default() += 1;
                h.done(&job, success(0)).await;
            }
        }
    }

    /// Every one of these has run once, and no other.
    fn each_once(&self, ids: &[JobId]) {
        let at = self.client.backend().describe();
        let wrong: Vec<_> =
            ids.iter().map(|id| self.ran.get(id).copied()).filter(|n| *n != Some(1)).collect();
        assert!(wrong.is_empty(), "{at}: of {} jobs these ran oftener or never: {wrong:?}", ids.len());
        assert_eq!(self.ran.len(), ids.len(), "{at}: others ran too");
    }

    async fn waiting(&self) -> u64 {
        self.pool.status().await.unwrap().waiting
    }

    async fn claim(&self) -> Batch {
        let above = self.relay().mark().await.unwrap().1 / 2;
        let ask = Ask { holder: "zombie", turn_ms: 0, force: true, above, most: 500 };
        match self.pool.claim(ask).await.unwrap() {
            Claim::Batch(batch) => batch,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_rolled_back_was_never_there() {
    let (_server, worlds) = worlds().await;
    for mut world in worlds {
        let mut tx = world.pool.begin().await.unwrap();
        enqueue_raw(&mut tx, "a.job", "1").await.unwrap();
        tx.rollback().await.unwrap();
        assert_eq!(world.relay().hand_over().await.unwrap(), 0);
        let ids = world.write(3).await;
        assert_eq!(world.relay().hand_over().await.unwrap(), 3);
        world.run().await;
        world.each_once(&ids);
        assert_eq!(world.waiting().await, 0);
    }
}

#[tokio::test]
async fn a_relay_dropped_at_any_await_hands_over_once() {
    let (_server, worlds) = worlds().await;
    for mut world in worlds {
        let mut all = Vec::new();
        for polls in 1.. {
            all.extend(world.write(2).await);
            let mut relay = world.relay();
            let mut work = Box::pin(relay.hand_over());
            let mut left = polls;
            // Dropped in the middle, as a kill does it, when it has been polled so often.
            let ended = std::future::poll_fn(|cx| {
                left -= 1;
                match work.as_mut().poll(cx) {
                    Poll::Pending if left > 0 => Poll::Pending,
                    Poll::Pending => Poll::Ready(false),
                    Poll::Ready(handed) => Poll::Ready(handed.is_ok()),
                }
            })
            .await;
            drop(work);
            world.run().await;
            world.relay().hand_over().await.unwrap();
            world.run().await;
            world.each_once(&all);
            if ended && polls > 10 {
                break;
            }
        }
        assert_eq!(world.waiting().await, 0);
    }
}

#[tokio::test]
async fn a_lost_call_and_a_lost_reply_are_made_good() {
    for fault in [Fault::Before, Fault::After] {
        for verb in ["enqueue", "put"] {
            let (_server, worlds) = worlds().await;
            for mut world in worlds {
                let ids = world.write(3).await;
                let faulty = FaultyBackend::new(world.client.backend().clone()).nth(verb, 1, fault);
                let client = Client::over(Arc::new(faulty), ClientOptions::default());
                let mut relay = Relay::new(client, world.pool.clone());
                assert!(relay.hand_over().await.unwrap_err().is_unavailable());
                world.run().await;
                relay.hand_over().await.unwrap();
                world.relay().hand_over().await.unwrap();
                world.run().await;
                world.each_once(&ids);
            }
        }
    }
}

#[tokio::test]
async fn a_relay_that_wakes_up_late_does_nothing() {
    let (_server, worlds) = worlds().await;
    for mut world in worlds {
        let mut ids = world.write(2).await;
        let mut zombie = world.relay();
        zombie.mark().await.unwrap();
        let old = world.claim().await;
        for _ in 0..3 {
            world.relay().hand_over().await.unwrap();
            world.run().await;
            ids.extend(world.write(1).await);
        }
        let current = world.claim().await;
        assert_eq!(zombie.send(&old).await.unwrap(), 0);
        assert_eq!(world.waiting().await, 1, "what is being handed over by now is left alone");
        assert_eq!(zombie.send(&current).await.unwrap(), 1);
        world.run().await;
        world.each_once(&ids);
    }
}

#[tokio::test]
async fn relays_side_by_side_hand_over_once() {
    let (_server, worlds) = worlds().await;
    for mut world in worlds {
        let relays: Vec<_> = (0..3)
            .map(|_| {
                let mut relay = world.relay();
                // By force: nobody waits for a turn, so that the queue alone keeps order.
                tokio::spawn(async move {
                    let mut all = 0;
                    while all < 10_000 {
                        match relay.hand_over().await {
                            Ok(n) => all += n,
                            Err(e) => assert!(!e.is_invalid(), "{e}"),
                        }
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        let mut ids = Vec::new();
        for _ in 0..20 {
            ids.extend(world.write(7).await);
            world.run().await;
        }
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while world.waiting().await > 0 {
            assert!(std::time::Instant::now() < deadline, "still {} rows", world.waiting().await);
            tokio::task::yield_now().await;
        }
        relays.iter().for_each(|r| assert!(!r.is_finished(), "a relay fell over"));
        relays.into_iter().for_each(|r| r.abort());
        world.run().await;
        world.each_once(&ids);
    }
}

#[tokio::test]
async fn turns_are_taken_and_given_up() {
    let (_server, worlds) = worlds().await;
    for mut world in worlds {
        let ids = world.write(2).await;
        let ask = Ask { holder: "other", turn_ms: 300, force: false, above: 0, most: 1 };
        assert!(matches!(world.pool.claim(ask.clone()).await.unwrap(), Claim::Batch(_)));
        let mine = Ask { holder: "me", ..ask };
        assert!(matches!(world.pool.claim(mine).await.unwrap(), Claim::Standby(1..=300)));
        // The other has died; its turn ends by the clock.
        let relay = world.relay();
        let pool = world.pool.clone();
        let empty = async {
            while pool.status().await.unwrap().waiting > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), relay.run_until(empty)).await.unwrap().unwrap();
        world.run().await;
        world.each_once(&ids);
        let holder: Option<String> = sqlx::query_scalar("SELECT holder FROM legwork_outbox_relay")
            .fetch_one(&world.pool)
            .await
            .unwrap();
        assert_eq!(holder, None);
    }
}

#[tokio::test]
async fn one_that_cannot_be_taken_stops_nobody() {
    let (_server, worlds) = worlds().await;
    for mut world in worlds {
        let ids = world.write(5).await;
        let spoil = [
            ("UPDATE legwork_outbox SET record = 'junk' WHERE id = $1", ids[1], "envelope: no header line"),
            ("UPDATE legwork_outbox SET id = 'junk' WHERE id = $1", ids[3], "id: not a UUID"),
        ];
        for (spoil, id, _) in spoil {
            sqlx::query(spoil).bind(id.to_string()).execute(&world.pool).await.unwrap();
        }
        world.relay().hand_over().await.unwrap();
        world.run().await;
        world.each_once(&[ids[0], ids[2], ids[4]]);
        let refused: Vec<String> = sqlx::query_scalar("SELECT refused FROM legwork_outbox ORDER BY seq")
            .fetch_all(&world.pool)
            .await
            .unwrap();
        assert_eq!(refused, spoil.map(|(_, _, why)| why));
        let status = world.relay().status().await.unwrap();
        assert_eq!((status.waiting, status.refused, status.oldest), (0, 2, None));
        // Mended by hand, it goes out.
        sqlx::query("UPDATE legwork_outbox SET id = $1, refused = NULL WHERE id = 'junk'")
            .bind(ids[3].to_string())
            .execute(&world.pool)
            .await
            .unwrap();
        assert_eq!(world.relay().hand_over().await.unwrap(), 1);
        world.run().await;
        world.each_once(&[ids[0], ids[2], ids[3], ids[4]]);
    }
}

#[tokio::test]
async fn a_spoilt_number_is_never_taken_in() {
    let (_server, worlds) = worlds().await;
    for mut world in worlds {
        let ids = world.write(2).await;
        let mut first = world.relay();
        let (name, mark) = first.mark().await.unwrap();
        let batch = world.claim().await;
        // One relay spoils the number and dies before it could say so in the database.
        assert!(first.take(&name, mark, batch.number * 2 + 1, Vec::new()).await.unwrap());
        let mut late = world.relay();
        late.fence = Some((name, mark));
        assert_eq!(late.send(&batch).await.unwrap(), 0, "the rows wait again");
        world.run().await;
        world.each_once(&[]);
        assert_eq!(world.relay().hand_over().await.unwrap(), 2);
        world.run().await;
        world.each_once(&ids);
    }
}

#[tokio::test]
async fn a_database_from_a_backup_loses_nothing() {
    let (_server, worlds) = worlds().await;
    for mut world in worlds {
        let old = world.write(2).await;
        world.claim().await;
        let copy = world.dir.path().join("copy.db");
        sqlx::query("VACUUM INTO $1").bind(copy.to_str().unwrap()).execute(&world.pool).await.unwrap();
        for _ in 0..3 {
            world.relay().hand_over().await.unwrap();
            world.write(1).await;
        }
        // Put back: a batch that has long been handed over, under a number long passed.
        world.pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(copy)).await.unwrap();
        let new = world.write(1).await;
        world.relay().hand_over().await.unwrap();
        assert_eq!(world.waiting().await, 0);
        assert!(world.client.job(new[0]).await.unwrap().is_some());
        world.run().await;
        assert_eq!((world.ran[&old[0]], world.ran[&new[0]]), (1, 1), "what the queue knows is not repeated");
    }
}

#[tokio::test]
async fn a_queue_that_lost_everything_is_served_on() {
    let Some(mut server) = TestServer::start() else { return };
    let dir = tempfile::tempdir().unwrap();
    let pool = database(&dir).await;
    migrate(&pool).await.unwrap();
    let url = format!("{}?ns=test-outbox", server.url());
    let client = Client::connect(&url).await.unwrap();
    let mut world = World { client, pool, dir, ran: BTreeMap::new() };
    let mut relay = world.relay();
    world.write(1).await;
    assert_eq!(relay.hand_over().await.unwrap(), 1);
    let claimed = world.write(2).await;
    world.claim().await;
    server.restart();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while relay.hand_over().await.is_err() || world.waiting().await > 0 {
        assert!(std::time::Instant::now() < deadline, "nothing is handed over");
    }
    world.run().await;
    world.each_once(&claimed);
}

#[tokio::test]
async fn a_delay_counts_from_the_writing() {
    let (_server, worlds) = worlds().await;
    for world in worlds {
        let mut tx = world.pool.begin().await.unwrap();
        let hour = Duration::from_secs(3_600);
        let id = enqueue_raw(&mut tx, "a.job", "1").delay(hour).queue("q").priority(2).await.unwrap();
        let past = enqueue_raw(&mut tx, "a.job", "1").delay(hour).await.unwrap();
        sqlx::query("UPDATE legwork_outbox SET made_ms = made_ms - 3600000 WHERE id = $1")
            .bind(past.to_string())
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        world.relay().hand_over().await.unwrap();
        let job = world.client.job(id).await.unwrap().unwrap();
        let now = world.client.backend().now().await.unwrap();
        let left = job.due_ms.unwrap() - now;
        assert!((3_500_000..=3_600_000).contains(&left), "{left}");
        let envelope = job.envelope.envelope().unwrap();
        assert_eq!((envelope.queue.as_str(), envelope.priority), ("q", 2));
        let past = world.client.job(past).await.unwrap().unwrap();
        assert_eq!(past.state, crate::State::Available);
    }
}

#[tokio::test]
async fn a_unique_key_is_looked_at_when_it_is_handed_over() {
    let (_server, worlds) = worlds().await;
    for world in worlds {
        let holder = world.client.enqueue_raw("a.job", "1").unique("k").await.unwrap();
        let mut tx = world.pool.begin().await.unwrap();
        let id = enqueue_raw(&mut tx, "a.job", "2").unique("k").await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(world.relay().hand_over().await.unwrap(), 1);
        assert!(world.client.job(id).await.unwrap().is_none());
        let again = world.client.enqueue_raw("a.job", "3").unique("k").await.unwrap();
        assert_eq!((again.id, again.created), (holder.id, false));
    }
}

#[tokio::test]
async fn large_rows_go_in_small_batches() {
    assert_eq!(store::fitting(&[5 << 20, 1]), 1, "one that is too large goes alone");
    assert_eq!(store::fitting(&[1 << 20; 10]), 4);
    assert_eq!(store::fitting(&[100; 10]), 10);
    assert!(store::number(5, 9) > 9 && store::number(9, 5) > 9);
}
