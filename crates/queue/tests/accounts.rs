//! Accounts in Redis: each role does its work under the rights that are generated for it, with
//! scripts and with functions, and is refused what is not its own.

mod common;

use common::account;
use legwork::backend::redis::{self, Role};
use legwork::backend::{Backend, LeaseRequest, Pause, Steer};
use legwork::testing::server::TestServer;
use legwork::*;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

#[derive(Serialize, Deserialize)]
struct Double {
    n: u32,
}

impl Job for Double {
    const NAME: &'static str = "double";
    type Output = u32;
    fn policy() -> Policy {
        Policy::default().max_attempts(2u32)
    }
}

/// Tries again once, enqueues another, says how far it is, and remembers a step.
async fn double(job: Double, cx: Context<()>) -> Result<u32, Failure> {
    if job.n == 1 && cx.attempt() == 1 {
        return Err(Failure::retry_in(Duration::ZERO, "once more"));
    }
    cx.progress(0.5, "half").await?;
    let n = cx.step("reckon", async || Ok::<_, Failure>(job.n * 2)).await?;
    if job.n == 2 {
        cx.client().enqueue(Double { n: 40 }).await?;
    }
    Ok(n)
}

/// A server with accounts for all roles, `@` where the role's name goes in the URL.
struct World {
    server: TestServer,
    url: String,
    own: String,
}

impl World {
    async fn new(mode: &str) -> Option<World> {
        let server = TestServer::start()?;
        let url = format!("{}?ns=test-roles&scripts={mode}", server.url());
        account(&server, &url, "migrator", &[Role::Migrator]);
        let own = format!("{url}&pass=hush&user=");
        redis::migrate(&format!("{own}migrator"), false).await.expect("migrated");
        for role in Role::ALL {
            account(&server, &url, role.as_str(), &[role]);
        }
        Some(World { server, url, own })
    }

    async fn client(&self, role: Role) -> Client {
        Client::connect(&format!("{}{role}", self.own)).await.unwrap_or_else(|e| panic!("{role}: {e}"))
    }

    async fn backend(&self, role: Role) -> Arc<dyn Backend> {
        self.client(role).await.backend().clone()
    }
}

fn lease() -> LeaseRequest {
    let queues = vec![("default".to_owned(), 1)];
    LeaseRequest { worker: "w".into(), queues, most: 1, alone: false, ttl_ms: 15_000 }
}

const MODES: [&str; 2] = ["eval", "functions"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_role_does_its_work() {
    for mode in MODES {
        let Some(world) = World::new(mode).await else { return };
        let producer = world.client(Role::Producer).await;
        let worker = Worker::new(world.client(Role::Worker).await, ())
            .handle(double)
            .queue("default", 4)
            .start()
            .await
            .expect("a worker");
        for n in [1, 2] {
            let receipt = producer.enqueue(Double { n }).unique(Unique::key("one").until_started()).await;
            let id = receipt.expect("enqueued").id;
            assert_eq!(producer.wait::<Double>(id).await.expect("a result"), 2 * n, "{mode}");
        }
        let flow = Flow::group([Double { n: 3 }, Double { n: 4 }]).then(Double { n: 5 });
        let started = producer.start(flow).await.expect("started");
        assert_eq!(producer.wait::<Double>(*started.nodes.last().expect("a node")).await.expect("done"), 10);
        let scheduler = Scheduler::new(world.client(Role::Scheduler).await)
            .cron("often", "* * * * * *", Double { n: 6 })
            .expect("a schedule");
        let stop = async {
            let viewer = world.client(Role::Viewer).await;
            let ran = async || viewer.schedules().await.is_ok_and(|all| all.iter().any(|s| s.last_ms > 0));
            while !ran().await || viewer.queues().await.expect("queues").is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        scheduler.run_until(stop).await.expect("scheduled");
        worker.stop().await;
        let log = world.server.command(&["ACL", "LOG", "8"]).expect("answered");
        let mut words = log.lines().filter(|line| !line.starts_with(['$', '*', ':']));
        while words.any(|word| word == "object") {
            // Asked for when it connects, and done without.
            assert_eq!(words.next(), Some("config|get"), "{mode}: {log}");
        }
    }
}

#[tokio::test]
async fn no_role_does_anothers_work() {
    for mode in MODES {
        let Some(world) = World::new(mode).await else { return };
        let jobs = Client::connect(&world.url).await.expect("connected");
        let id = jobs.enqueue_raw("a.job", "1").await.expect("enqueued").id;
        // The scripts are known to the server: it is the right that is lacking.
        let known = jobs.backend();
        known.steer("q", Steer::Pause(Pause::Off)).await.expect("steered");
        known.extend(&[], 1).await.expect("extended");
        let refused = |role: Role, what: &str, answer: Result<()>| {
            let e = answer.expect_err(&format!("{mode}: a {role} may {what}"));
            assert!(e.is_refused() && e.to_string().contains("no permission"), "{role} {what}: {e}");
        };
        for role in [Role::Producer, Role::Scheduler, Role::Viewer, Role::Operator] {
            let backend = world.backend(role).await;
            refused(role, "lease", backend.lease(&lease()).await.map(drop));
            refused(role, "renew", backend.extend(&[], 15_000).await.map(drop));
            refused(role, "sweep", backend.reap(1, false, 15_000).await.map(drop));
        }
        for role in [Role::Producer, Role::Worker, Role::Scheduler, Role::Viewer] {
            let backend = world.backend(role).await;
            refused(role, "cancel", backend.control(id, legwork::backend::Action::Cancel).await.map(drop));
            refused(role, "pause", backend.steer("default", Steer::Pause(Pause::Forever)).await.map(drop));
            refused(role, "purge", backend.steer("default", Steer::Purge(1)).await.map(drop));
        }
        for role in [Role::Viewer, Role::Migrator] {
            let options = ClientOptions { patience: Duration::ZERO, ..ClientOptions::default() };
            let url = format!("{}{role}", world.own);
            let client = Client::connect_with(&url, options).await.expect("connected");
            refused(role, "enqueue", client.enqueue_raw("a.job", "1").await.map(drop));
        }
        assert_eq!(jobs.job(id).await.expect("read").expect("there").state, State::Available);
    }
}

/// What the passwords of an account are worth to whoever has stolen them.
#[tokio::test]
async fn no_account_runs_code_of_its_own_or_touches_other_keys() {
    for mode in MODES {
        let Some(world) = World::new(mode).await else { return };
        let jobs = Client::connect(&world.url).await.expect("connected");
        jobs.enqueue_raw("a.job", "1").await.expect("enqueued");
        world.server.command(&["SET", "{test-other:0}:jobs", "1"]).expect("answered");
        let code = "return redis.call('GET', KEYS[1])";
        let loaded = world.server.command(&["SCRIPT", "LOAD", code]).expect("answered");
        let sha = loaded.lines().nth(1).expect("a sha").to_owned();
        for role in Role::ALL {
            let tries: [&[&str]; 9] = [
                &["EVAL", code, "1", "{test-roles:0}:jobs"],
                &["EVALSHA", &sha, "1", "{test-roles:0}:jobs"],
                &["GET", "{test-other:0}:jobs"],
                &["GET", "foreign"],
                &["FLUSHALL"],
                &["KEYS", "*"],
                &["DEL", "{test-roles:0}:jobs"],
                &["SCRIPT", "FLUSH"],
                &["FUNCTION", "FLUSH"],
            ];
            for words in tries {
                let answer = world.server.command_as(role.as_str(), "hush", words).expect("answered");
                assert!(answer.starts_with("-NOPERM"), "{mode}: a {role} may {words:?}: {answer}");
            }
        }
    }
}
