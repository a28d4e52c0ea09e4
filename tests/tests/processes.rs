//! Runnerly as separate processes on Redis: web, workers, schedulers, the simulated Strava.

use legwork::backend::{Filter, QueueView};
use legwork::testing::server::TestServer;
use legwork::{Client, State};
use runnerly::jobs::ComputeEverybody;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use strava_sim::{Limits, Options, Sim, SimClock};
use tests::runnerly::assert_worked_numbers;
use tests::{Postgres, Process, Program, free_port, recordings, skip, until};

const LONG: Duration = Duration::from_secs(120);
const CLIENT: (&str, &str) = ("12345", "simulated-secret");

/// What all processes are told alike.
struct Places {
    data: tempfile::TempDir,
    queue: String,
    database: String,
    sim: Sim,
    speed: String,
}

impl Places {
    async fn new(server: &TestServer, database: Option<String>, speed: f64, options: Options) -> Places {
        let data = tempfile::tempdir().expect("a directory");
        let options = Options {
            data_dir: data.path().join("sim"),
            client_id: CLIENT.0.into(),
            client_secret: CLIENT.1.into(),
            clock: SimClock::real(speed),
            ..options
        };
        let sim = strava_sim::start(options).await.expect("the simulator starts");
        let own = format!("sqlite:{}", data.path().join("runnerly.db").display());
        Places { queue: server.url(), database: database.unwrap_or(own), sim, speed: speed.to_string(), data }
    }

    fn program(&self, name: &str) -> Program {
        Program::new(name)
            .env("RUNNERLY_DATA_DIR", self.data.path())
            .env("RUNNERLY_QUEUE", &self.queue)
            .env("RUNNERLY_DATABASE", &self.database)
            .env("RUNNERLY_STRAVA_API", self.sim.api_base())
            .env("RUNNERLY_STRAVA_OAUTH", self.sim.base_url())
            .env("RUNNERLY_STRAVA_CLIENT_ID", CLIENT.0)
            .env("RUNNERLY_STRAVA_CLIENT_SECRET", CLIENT.1)
            .env("RUNNERLY_STRAVA_SPEED", &self.speed)
    }

    async fn started(&self, name: &str, args: &[&str], mark: &str) -> Process {
        let mut process = self.program(name).args(args).start();
        process.line(mark, LONG).await;
        process
    }

    fn stats(&self) -> Value {
        self.program("runnerly").args(["stats", "--json"]).run(LONG).json()
    }
}

/// Connects the simulator's first athlete as a browser does: consent, code, callback.
async fn connect(web: &str, sim: &Sim) {
    let http =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let asked = http.get(format!("{web}/connect")).send().await.expect("asked");
    let cookie = asked.headers()["set-cookie"]
        .to_str()
        .expect("text")
        .split(';')
        .next()
        .unwrap_or_default()
        .to_owned();
    let consent = asked.headers()["location"].to_str().expect("text").to_owned();
    let state = consent.split("state=").nth(1).and_then(|s| s.split('&').next()).expect("a state").to_owned();
    let scope = "read,activity:read,activity:read_all,profile:read_all";
    let body = serde_json::json!({ "athlete": null, "scope": scope });
    let granted: Value = http
        .post(format!("{}/sim/authorize", sim.base_url()))
        .json(&body)
        .send()
        .await
        .expect("granted")
        .json()
        .await
        .expect("JSON");
    let code = granted["code"].as_str().expect("a code");
    let back = format!("{web}/connect/callback?code={code}&scope={scope}&state={state}");
    let connected = http.get(back).header("cookie", cookie).send().await.expect("connected");
    assert!(connected.status().is_redirection(), "{}", connected.status());
}

/// Waits until the athlete's list is complete and nothing of Strava's is left to do.
async fn synced(jobs: &Client, places: &Places, activities: u64) -> Value {
    let done = until("the sync is completed", LONG, || async {
        let queues = jobs.queues().await.ok()?;
        let waits = |state| queues.iter().map(|q| q.count(state)).sum::<u64>();
        let open: u64 = [State::Available, State::Leased, State::Retryable, State::Scheduled, State::Blocked]
            .map(waits)
            .iter()
            .sum();
        let finished = waits(State::Succeeded) > 0 && open == 0;
        finished.then(|| places.stats()).filter(|s| s["activities"] == activities)
    });
    done.await
}

async fn sync_with_a_killed_worker(database: Option<String>, recordings: &Path) {
    let Some(server) = TestServer::start() else { return skip("redis-server is not installed") };
    let options =
        Options { recordings: Some(recordings.into()), limits: Limits::demo(), ..Options::default() };
    let places = Places::new(&server, database, 1.0, options).await;
    let jobs = Client::connect(&places.queue).await.expect("the queue opens");
    let listen = format!("127.0.0.1:{}", free_port());
    let _web = places.started("runnerly-web", &["--listen", &listen], "listens on").await;
    let mut killed = places.started("runnerly-worker", &["--strava-concurrency", "2"], "is up").await;
    let _other = places.started("runnerly-worker", &["--strava-concurrency", "2"], "is up").await;
    let _schedulers = [
        places.started("runnerly-scheduler", &[], "is up").await,
        places.started("runnerly-scheduler", &[], "is up").await,
    ];
    connect(&format!("http://{listen}"), &places.sim).await;
    until("the sync is in its middle", LONG, || async {
        let queues = jobs.queues().await.ok()?;
        let strava = queues.iter().find(|q| q.name == "strava")?;
        (strava.count(State::Succeeded) > 50 && strava.count(State::Available) > 50).then_some(())
    })
    .await;
    killed.kill();
    let stats = synced(&jobs, &places, 1_132).await;
    assert_worked_numbers(&stats);
    assert_eq!(jobs.backend().audit().await.expect("audited"), Vec::<String>::new());
    let metrics =
        reqwest::get(format!("http://{listen}/metrics")).await.expect("metrics").text().await.expect("text");
    assert!(metrics.contains("legwork_"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn separate_processes_agree_with_the_worked_numbers() {
    let Some(recordings) = recordings() else { return skip("no recordings on this machine") };
    sync_with_a_killed_worker(None, &recordings).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_gives_the_same_numbers() {
    let Some(recordings) = recordings() else { return skip("no recordings on this machine") };
    let Some(postgres) = Postgres::start() else { return skip("postgresql is not installed") };
    sync_with_a_killed_worker(Some(postgres.url()), &recordings).await;
}

/// Strava's real limits, on a clock on which a quarter of an hour takes six seconds: two
/// workers share what it allows, no attempt is spent on it, and other queues go on.
#[tokio::test(flavor = "multi_thread")]
async fn two_workers_share_the_budget_and_spend_no_attempt_on_it() {
    let Some(server) = TestServer::start() else { return skip("redis-server is not installed") };
    let options = Options { limits: Limits::real(), ..Options::default() };
    let places = Places::new(&server, None, 150.0, options).await;
    let jobs = Client::connect(&places.queue).await.expect("the queue opens");
    let listen = format!("127.0.0.1:{}", free_port());
    let _web = places.started("runnerly-web", &["--listen", &listen], "listens on").await;
    let workers = [
        places.started("runnerly-worker", &["--strava-concurrency", "2"], "is up").await,
        places.started("runnerly-worker", &["--strava-concurrency", "2"], "is up").await,
    ];
    connect(&format!("http://{listen}"), &places.sim).await;
    others_go_on(&jobs).await;
    let rule = jobs.limits().await.expect("read");
    assert_eq!(
        (rule.len(), rule[0].0.as_str(), rule[0].1.to_string().as_str()),
        (1, "strava", "99/6s:window, 999/576s:window")
    );
    let wanted = until("everything has been fetched", LONG, || async {
        let queues = jobs.queues().await.ok()?;
        let open = |q: &QueueView| {
            [State::Available, State::Leased, State::Retryable, State::Scheduled]
                .map(|s| q.count(s))
                .iter()
                .sum::<u64>()
        };
        let strava = queues.iter().find(|q| q.name == "strava")?;
        (strava.count(State::Succeeded) > 200 && queues.iter().map(open).sum::<u64>() == 0)
            .then_some(strava.count(State::Succeeded))
    })
    .await;
    let filter = Filter { queue: Some("strava".into()), limit: 1_000, ..Default::default() };
    let done = jobs.jobs(&filter).await.expect("listed");
    assert_eq!(done.len() as u64, wanted);
    for job in done {
        assert_eq!((job.attempts, job.errors.len()), (1, 0), "{} spent an attempt on a limit", job.id);
    }
    // Both have called, and what one was told has held the other back.
    let refused: usize = workers.iter().map(|w| w.output().matches("limit is spent").count()).sum();
    assert!(refused <= 2, "{refused} calls were refused: {}", workers[0].output());
    history_is_a_flow(&jobs).await;
}

/// While nothing is left for Strava, a job of another queue runs.
async fn others_go_on(jobs: &Client) {
    until("a job of another queue ran while the budget was spent", LONG, || async {
        let queues = jobs.queues().await.ok()?;
        let strava = queues.iter().find(|q| q.name == "strava")?;
        let spent =
            strava.limits.iter().find(|l| l.limit == "strava" && l.left.is_some_and(|left| left <= 0))?;
        let until = spent.next_ms.filter(|_| strava.count(State::Available) > 50)?;
        let id = jobs.enqueue(ComputeEverybody {}).await.ok()?.id;
        jobs.wait::<ComputeEverybody>(id).await.ok()?;
        jobs.job(id).await.ok()??.finished_ms.filter(|at| *at < until)
    })
    .await;
}

/// The first history is one flow, with the statistics behind all of it.
async fn history_is_a_flow(jobs: &Client) {
    let flows = jobs.flows(10).await.expect("listed");
    let heads: Vec<_> = flows.iter().filter(|flow| flow.name.starts_with("history of athlete")).collect();
    assert_eq!(heads.len(), 1, "{flows:?}");
    let head = jobs.wait_flow(heads[0].id).await.expect("it ends");
    assert_eq!((head.left, head.failed), (0, 0), "{head:?}");
    let flow = jobs.flow(head.id).await.expect("read").expect("kept");
    let last = flow.nodes.iter().filter(|node| node.name == "stats.compute").count();
    assert_eq!((last, flow.nodes.len() as u64), (1, head.nodes));
}
