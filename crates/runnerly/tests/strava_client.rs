//! The Strava client against the simulator, and against answers that no simulator should give.

use chrono::{TimeDelta, Utc};
use runnerly::secret::Keyring;
use runnerly::storage::{RefreshError, Storage, Upserted};
use runnerly::strava::{Error, ListActivities, SCOPES, Settings, Strava, Tokens, access_token};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use strava_sim::{Options, Sim, SimClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Less than this to live, and a token is refreshed.
const MARGIN: TimeDelta = TimeDelta::minutes(5);

struct World {
    sim: Sim,
    clock: SimClock,
    strava: Strava,
    http: reqwest::Client,
    _dir: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        Self::start_at(SimClock::default()).await
    }

    async fn start_at(clock: SimClock) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { data_dir: dir.path().into(), clock: clock.clone(), ..Options::default() };
        let (id, secret) = (options.client_id.clone(), options.client_secret.clone());
        let sim = strava_sim::start(options).await.unwrap();
        let settings = Settings::new(id, secret).with_bases(&sim.api_base(), &sim.base_url()).unwrap();
        let strava = Strava::new(settings).unwrap();
        Self { strava, http: reqwest::Client::new(), clock, sim, _dir: dir }
    }

    async fn order(&self, path: &str, body: Value) -> Value {
        let answer =
            self.http.post(format!("{}/sim/{path}", self.sim.base_url())).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap()
    }

    async fn counter(&self, name: &str) -> i64 {
        let answer = self.http.get(format!("{}/sim/state", self.sim.base_url())).send().await.unwrap();
        answer.json::<Value>().await.unwrap()["counters"][name].as_i64().unwrap_or_default()
    }

    /// Connects an athlete and stores the tokens.
    async fn connect(&self, storage: &Storage) -> (i64, SecretString) {
        let code = self.order("authorize", json!({"scope": SCOPES})).await;
        let connected = self.strava.exchange(code["code"].as_str().unwrap()).await.unwrap();
        let athlete = connected.athlete;
        assert!(!athlete.name.is_empty());
        storage
            .connect_athlete(athlete.id, &athlete.name, &athlete.raw, SCOPES, &connected.tokens)
            .await
            .unwrap();
        (athlete.id, connected.tokens.access)
    }

    /// Makes the stored token of an athlete look old, to us and to the simulator.
    async fn grow_old(&self, storage: &Storage, athlete: i64) {
        self.clock.advance(Duration::from_secs(6 * 3600));
        let held = storage.tokens(athlete).await.unwrap().unwrap();
        let old = Tokens { expires_at: Utc::now() - TimeDelta::hours(1), ..held.tokens };
        storage.save_tokens(athlete, held.version, &old).await.unwrap();
    }
}

async fn memory() -> Storage {
    Storage::open("sqlite::memory:", Keyring::random().unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_whole_history_is_fetched_and_a_second_time_nothing_changes() {
    let (world, storage) = (World::start().await, memory().await);
    let (athlete, token) = world.connect(&storage).await;
    assert_eq!(world.strava.athlete(&token).await.unwrap().id, athlete);
    let mut rounds = Vec::new();
    for _ in 0..2 {
        let (mut total, mut read) = (Upserted::default(), 0);
        for page in 1.. {
            let list = ListActivities { page, per_page: 100, ..ListActivities::default() };
            let page = world.strava.activities(&token, &list).await.unwrap();
            assert_eq!(page.refused, []);
            if page.is_end() {
                break;
            }
            read += page.activities.len();
            let done = storage.upsert_activities(&page.activities).await.unwrap();
            total.inserted.extend(done.inserted);
            total.updated.extend(done.updated);
            total.unchanged += done.unchanged;
        }
        assert!(read > 100, "more than one page");
        rounds.push((read, total));
    }
    let (read, first) = &rounds[0];
    assert_eq!((first.inserted.len(), first.updated.len()), (*read, 0));
    assert_eq!(rounds[1], (*read, Upserted { unchanged: *read, ..Upserted::default() }));

    let latest = storage.runs_without_streams(athlete, 1).await.unwrap()[0];
    let detail = world.strava.activity(&token, latest).await.unwrap();
    assert_eq!(detail.activity.id, latest);
    assert!(detail.raw.unwrap()["splits_metric"].is_array());
    let streams = world.strava.streams(&token, latest).await.unwrap().expect("the latest run has samples");
    assert!(storage.save_streams(athlete, latest, &streams).await.unwrap());
    assert_eq!(storage.streams(athlete, latest).await.unwrap().unwrap(), streams);
    assert!(world.strava.stats(&token, athlete).await.unwrap().all.count > 0);
    assert_eq!(world.strava.streams(&token, 1).await, Ok(None));
    assert_eq!(world.strava.activity(&token, 1).await, Err(Error::NotFound));
    let since = Utc::now() - TimeDelta::days(30);
    let recent = ListActivities { after: Some(since), ..ListActivities::default() };
    let recent = world.strava.activities(&token, &recent).await.unwrap().activities;
    assert!(recent.iter().all(|one| one.activity.start >= since) && recent.len() < *read);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_refresh_a_token_once() {
    let world = World::start().await;
    let dir = tempfile::tempdir().unwrap();
    let key = format!("{}=", "QUFB".repeat(10) + "QUE");
    let url = format!("sqlite:{}", dir.path().join("runnerly.db").display());
    let mut doors = Vec::new();
    for _ in 0..3 {
        doors.push(Storage::open(&url, Keyring::parse(&key).unwrap()).await.unwrap());
    }
    let (athlete, first) = world.connect(&doors[0]).await;
    let still = access_token(&doors[1], &world.strava, athlete, MARGIN, None).await.unwrap();
    assert_eq!(still.expose_secret(), first.expose_secret());
    world.grow_old(&doors[0], athlete).await;
    let all: Vec<_> = (0..12)
        .map(|k| {
            let (storage, strava) = (doors[k % 3].clone(), world.strava.clone());
            tokio::spawn(async move { access_token(&storage, &strava, athlete, MARGIN, None).await.unwrap() })
        })
        .collect();
    let mut tokens = Vec::new();
    for one in all {
        tokens.push(one.await.unwrap().expose_secret().to_owned());
    }
    tokens.dedup();
    assert_eq!(tokens.len(), 1);
    assert_eq!((world.counter("tokens refreshed").await, world.counter("tokens refused").await), (1, 0));
    assert!(matches!(world.strava.athlete(&first).await, Err(Error::Unauthorized { .. })));
    world.strava.athlete(&SecretString::from(tokens.remove(0))).await.unwrap();
}

#[tokio::test]
async fn a_caller_that_is_cancelled_loses_no_token() {
    let (world, storage) = (World::start().await, memory().await);
    let (athlete, _) = world.connect(&storage).await;
    world.grow_old(&storage, athlete).await;
    let before = storage.tokens(athlete).await.unwrap().unwrap().version;
    world.order("faults", json!({"path": "/oauth/token", "delay_ms": 200})).await;
    let call = access_token(&storage, &world.strava, athlete, MARGIN, None);
    assert!(tokio::time::timeout(Duration::from_millis(50), call).await.is_err());
    let deadline = Instant::now() + Duration::from_secs(20);
    while storage.tokens(athlete).await.unwrap().unwrap().version == before {
        assert!(Instant::now() < deadline, "the new tokens were never stored");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let token = access_token(&storage, &world.strava, athlete, MARGIN, None).await.unwrap();
    world.strava.athlete(&token).await.unwrap();
    assert_eq!(world.counter("tokens refreshed").await, 1);
}

#[tokio::test]
async fn a_revoked_athlete_must_connect_again() {
    let (world, storage) = (World::start().await, memory().await);
    let (athlete, token) = world.connect(&storage).await;
    world.strava.revoke(&token).await.unwrap();
    assert!(matches!(world.strava.athlete(&token).await, Err(Error::Unauthorized { .. })));
    let refused = access_token(&storage, &world.strava, athlete, MARGIN, Some(&token)).await;
    assert!(matches!(refused, Err(RefreshError::Refused(Error::Unauthorized { .. }))), "{refused:?}");
    let bad_code = world.strava.exchange("nonsense").await;
    assert!(matches!(bad_code, Err(Error::Unauthorized { .. })), "{bad_code:?}");
    storage.revoke_athlete(athlete).await.unwrap();
    let gone = access_token(&storage, &world.strava, athlete, MARGIN, None).await;
    assert!(matches!(gone, Err(RefreshError::NotConnected(_))));
}

#[tokio::test]
async fn limits_are_announced_and_then_enforced() {
    // Far from the end of a window, so that the test does not meet it.
    let evening = SimClock::at("2026-05-04T19:05:00Z".parse().unwrap(), 1.0);
    let (world, storage) = (World::start_at(evening).await, memory().await);
    let (_, token) = world.connect(&storage).await;
    assert_eq!(world.strava.usage(), None, "the token endpoint tells nothing");
    for (limit, daily, hours) in [(json!([4, 1000]), false, 0), (json!([1000, 4]), true, 4)] {
        world.order("limits", json!({"read": limit, "reset": true})).await;
        // Counters do not fall within a second, except on order.
        world.clock.advance(Duration::from_secs(2));
        for call in 1..=4 {
            world.strava.athlete(&token).await.unwrap();
            let pause = world.strava.clone().usage().unwrap().pause(1);
            assert_eq!(pause.is_some(), call >= 3, "one call before the limit it is time to stop");
        }
        let refused = world.strava.athlete(&token).await;
        let Err(Error::RateLimited { until, daily: told, wait }) = refused else { panic!("{refused:?}") };
        assert_eq!(told, daily);
        let end = world.clock.now() + TimeDelta::from_std(wait).unwrap();
        assert!((end - until).abs() < TimeDelta::seconds(5), "{until} {wait:?}");
        assert_eq!(until.timestamp() % if daily { 86_400 } else { 900 }, 0);
        assert_eq!(wait.as_secs() / 3600, hours);
    }
    world.clock.advance(Duration::from_secs(5 * 3600));
    world.strava.athlete(&token).await.unwrap();
}

type Expected = fn(&Error) -> bool;

#[tokio::test]
async fn every_fault_has_its_error() {
    let (world, storage) = (World::start().await, memory().await);
    let (_, token) = world.connect(&storage).await;
    let cases: [(Value, Expected); 7] = [
        (json!({"status": 500}), |e| matches!(e, Error::Unavailable { .. })),
        (json!({"status": 401}), |e| matches!(e, Error::Unauthorized { .. })),
        (json!({"status": 403}), |e| matches!(e, Error::Forbidden { .. })),
        (json!({"status": 404}), |e| *e == Error::NotFound),
        (json!({"kind": "html"}), |e| matches!(e, Error::Unavailable { .. })),
        (json!({"kind": "cut"}), |e| matches!(e, Error::Malformed { .. })),
        (json!({"kind": "429"}), |e| matches!(e, Error::RateLimited { daily: false, .. })),
    ];
    for (fault, expected) in cases {
        world.order("faults", fault.clone()).await;
        let error = world.strava.athlete(&token).await.unwrap_err();
        assert!(expected(&error), "{fault}: {error:?}");
        assert!(!error.to_string().contains(token.expose_secret()));
        world.strava.athlete(&token).await.expect("the next call finds a sound Strava");
    }
}

/// Answers one request with these bytes and closes.
async fn answering(bytes: Vec<u8>, settings: impl FnOnce(&mut Settings)) -> Strava {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(&bytes).await;
        if bytes.is_empty() {
            std::future::pending::<()>().await;
        }
    });
    let mut all = Settings::new("1", "hush".to_owned()).with_bases(&base, &base).unwrap();
    settings(&mut all);
    Strava::new(all).unwrap()
}

#[tokio::test]
async fn hostile_answers_are_malformed_and_silence_is_unavailable() {
    let token = SecretString::from("token");
    let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>";
    let long = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n[{}]", "1,".repeat(5000));
    let told = "HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n[";
    let short = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n[1";
    let half = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5\r\n\r\n{\"id\"";
    let away = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    let other = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
    for (bytes, expected) in [
        (page, "it is not JSON (text/html)"),
        (&long, "it is longer than 4096 bytes"),
        (told, "it is longer than 4096 bytes"),
        (short, "the body ends early or cannot be decompressed"),
        (half, "it ends early (application/json)"),
        (away, "it answered 302 Found, a redirection, which is not followed"),
        (other, "expected a list of activities"),
    ] {
        let strava = answering(bytes.as_bytes().to_vec(), |settings| settings.max_body = 4096).await;
        let error = strava.activities(&token, &ListActivities::default()).await.unwrap_err();
        assert_eq!(error, Error::Malformed { reason: expected.to_owned() });
    }
    let silent = answering(Vec::new(), |settings| settings.timeout = Duration::from_millis(100)).await;
    let error = silent.athlete(&token).await.unwrap_err();
    assert_eq!(error, Error::Unavailable { reason: "no answer in time".to_owned() });
    let closed =
        Settings::new("1", "hush".to_owned()).with_bases("http://127.0.0.1:1", "http://127.0.0.1:1").unwrap();
    let error = Strava::new(closed).unwrap().athlete(&token).await.unwrap_err();
    assert_eq!(error, Error::Unavailable { reason: "cannot connect".to_owned() });
}
