//! Connecting through Strava's consent page, against the simulator.

mod common;

use axum::http::StatusCode;
use common::{Answer, Front};
use runnerly::jobs::SyncAthlete;
use runnerly::storage::Connection;
use runnerly_web::WebOptions;
use std::path::PathBuf;
use strava_sim::{Options, Sim};

const ALL: &str = "read,activity:read,activity:read_all,profile:read_all";

struct World {
    front: Front,
    sim: Sim,
    _dir: tempfile::TempDir,
}

impl World {
    async fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let data_dir: PathBuf = dir.path().join("sim");
        let sim = strava_sim::start(Options { data_dir, ..Options::default() }).await.unwrap();
        let front = Front::at(WebOptions::default(), &sim.base_url()).await;
        World { front, sim, _dir: dir }
    }

    /// Goes to Strava; returns the browser's cookies and the state in the address.
    async fn begin(&self) -> (String, String) {
        let begun = self.front.get("/connect", "").await;
        let place = begun.header("location");
        assert!(place.starts_with(&format!("{}/oauth/authorize?", self.sim.base_url())), "{place}");
        let state = place.rsplit_once("state=").unwrap().1.to_owned();
        assert!(state.len() >= 22, "128 bits at least");
        (begun.cookies(), state)
    }

    /// What the consent page hands over when the athlete agrees to `scope`.
    async fn consent(&self, scope: &str) -> String {
        let order = format!("{{\"athlete\":null,\"scope\":\"{scope}\"}}");
        let answer = order_sim(&self.sim, "/sim/authorize", &order).await;
        answer["code"].as_str().unwrap().to_owned()
    }

    async fn back(&self, cookies: &str, query: &str) -> Answer {
        self.front.get(&format!("/connect/callback?{query}"), cookies).await
    }

    /// Connects, and returns the session.
    async fn connect(&self) -> String {
        let (cookies, state) = self.begin().await;
        let code = self.consent(ALL).await;
        let back = self.back(&cookies, &format!("state={state}&code={code}&scope={ALL}")).await;
        assert_eq!(
            (back.status, back.header("location")),
            (StatusCode::SEE_OTHER, "/?note=connected"),
            "{}",
            back.text
        );
        back.cookies()
    }

    async fn athletes(&self) -> usize {
        self.front.app.storage.athletes().await.unwrap().len()
    }
}

/// Gives the simulator an order over HTTP, by hand: no client is linked here.
async fn order_sim(sim: &Sim, path: &str, json: &str) -> serde_json::Value {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(sim.addr()).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        sim.addr(),
        json.len()
    );
    stream.write_all((head + json).as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[tokio::test]
async fn connecting_shows_the_athlete_and_enqueues_the_first_sync() {
    let world = World::new().await;
    let cookies = world.connect().await;
    let home = world.front.get("/?note=connected", &cookies).await.text;
    assert!(home.contains("Connected. Your runs are being fetched") && home.contains("data-job="));
    let filter = legwork::backend::Filter { limit: 10, ..Default::default() };
    let jobs = world.front.app.jobs.jobs(&filter).await.unwrap();
    assert_eq!(jobs.len(), 1);
    let payload: SyncAthlete =
        serde_json::from_str(jobs[0].envelope.envelope().unwrap().payload.get()).unwrap();
    assert!(payload.full);
    world.sim.stop().await;
}

#[tokio::test]
async fn a_state_works_once_in_its_own_browser() {
    let world = World::new().await;
    let (cookies, state) = world.begin().await;
    let code = world.consent(ALL).await;
    let query = format!("state={state}&code={code}&scope={ALL}");
    let (others, _) = world.begin().await;
    for (cookies, query) in [
        ("", query.clone()),
        (others.as_str(), query.clone()),
        (cookies.as_str(), format!("state=x&code={code}&scope={ALL}")),
        (cookies.as_str(), format!("code={code}&scope={ALL}")),
    ] {
        let back = world.back(cookies, &query).await;
        assert_eq!(back.status, StatusCode::BAD_REQUEST, "{query}");
        assert!(back.text.contains("Please begin again"));
    }
    assert_eq!(world.athletes().await, 0);
    let back = world.back(&cookies, &query).await;
    let used = back.headers.get_all("set-cookie").iter().any(|line| {
        let line = line.to_str().unwrap();
        line.starts_with("runnerly-state=;") && line.contains("Max-Age=0") && line.contains("HttpOnly")
    });
    assert!(used && back.status == StatusCode::SEE_OTHER, "{}", back.text);
    // The code has been used: the very same answer again connects nobody.
    let again = world.back(&cookies, &query).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
    assert!(again.text.contains("works only once"), "{}", again.text);
    world.sim.stop().await;
}

#[tokio::test]
async fn refusals_and_reduced_scopes_are_explained() {
    let world = World::new().await;
    let (cookies, state) = world.begin().await;
    let denied = world.back(&cookies, &format!("state={state}&error=access_denied")).await;
    assert!(
        denied.text.contains("You chose not to give access") && denied.text.contains("href=\"/connect\"")
    );
    let (cookies, state) = world.begin().await;
    let odd = world.back(&cookies, &format!("state={state}&error=%3Cscript%3E")).await;
    assert!(odd.status.is_server_error() && !odd.text.contains("<script>"), "{}", odd.text);
    let (cookies, state) = world.begin().await;
    let code = world.consent("read").await;
    let less = world.back(&cookies, &format!("state={state}&code={code}&scope=read")).await;
    assert!(less.text.contains("View data about your activities"), "{}", less.text);
    assert_eq!(world.athletes().await, 0);
    let (cookies, state) = world.begin().await;
    let code = world.consent("read,activity:read").await;
    let partly = world.back(&cookies, &format!("state={state}&code={code}&scope=read,activity:read")).await;
    assert_eq!(partly.header("location"), "/?note=connected-partly");
    let home = world.front.get("/", &partly.cookies()).await.text;
    assert!(home.contains("Private runs are left out"));
    world.sim.stop().await;
}

#[tokio::test]
async fn disconnecting_tells_strava_and_forgets_the_tokens() {
    let world = World::new().await;
    let cookies = world.connect().await;
    let storage = &world.front.app.storage;
    let athlete = storage.athletes().await.unwrap()[0].id;
    let tokens = storage.tokens(athlete).await.unwrap().unwrap().tokens;
    let gone = world.front.form("/disconnect", &cookies, &format!("athlete={athlete}")).await;
    assert_eq!(gone.header("location"), "/?note=disconnected");
    assert!(storage.tokens(athlete).await.unwrap().is_none());
    assert_eq!(storage.athlete(athlete).await.unwrap().unwrap().connection, Connection::Revoked);
    assert!(world.front.app.strava.athlete(&tokens.access).await.is_err(), "dead at Strava, too");
    let home = world.front.get("/", &cookies).await.text;
    assert!(home.contains("No longer connected to Strava"));
    let synced = world.front.json("/api/sync", &cookies, "{}").await;
    assert_eq!(synced.problem(409), "not_connected_to_strava");
    world.sim.stop().await;
}

#[tokio::test]
async fn a_strava_that_is_away_keeps_nobody_from_disconnecting() {
    let world = World::new().await;
    let cookies = world.connect().await;
    let athlete = world.front.app.storage.athletes().await.unwrap()[0].id;
    world.sim.stop().await;
    let gone = world.front.form("/disconnect", &cookies, &format!("athlete={athlete}&delete=yes")).await;
    assert_eq!(gone.header("location"), "/?note=deleted-untold");
    assert!(world.front.app.storage.athletes().await.unwrap().is_empty());
}
