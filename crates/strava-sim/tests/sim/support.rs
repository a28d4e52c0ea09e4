//! A simulation to test against, and a client for it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use strava_sim::{Options, Sim, SimClock};
use tempfile::TempDir;

/// All scopes that reading needs.
pub(crate) const ALL: &str = "read,activity:read,activity:read_all,profile:read_all";

pub(crate) struct Bed {
    pub(crate) sim: Sim,
    pub(crate) http: Client,
    pub(crate) dir: TempDir,
}

/// A fixed instant: tests do not depend on the day they run.
pub(crate) fn clock(speed: f64) -> SimClock {
    SimClock::at("2026-03-10T12:00:05Z".parse().expect("an instant"), speed)
}

pub(crate) async fn bed() -> Bed {
    bed_with(Options { clock: clock(1.0), ..Options::default() }).await
}

pub(crate) async fn bed_with(options: Options) -> Bed {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let sim = start(dir.path(), options).await;
    Bed { sim, http: client(), dir }
}

pub(crate) async fn start(dir: &Path, options: Options) -> Sim {
    let event_pause = Duration::from_millis(10);
    strava_sim::start(Options { data_dir: dir.into(), event_pause, ..options }).await.expect("it starts")
}

pub(crate) fn client() -> Client {
    // A second install is refused, and the first is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let none = reqwest::redirect::Policy::none();
    Client::builder().no_proxy().redirect(none).build().expect("a client")
}

/// The folder of recordings, if this machine has it.
pub(crate) fn recordings() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/strava");
    if dir.join("strava-activities-1132.jsonl").is_file() {
        return Some(dir);
    }
    println!("skipped: no recordings at {}", dir.display());
    None
}

impl Bed {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.sim.base_url())
    }

    pub(crate) async fn sim_post(&self, path: &str, body: Value) -> Value {
        let answer = self.http.post(self.url(path)).json(&body).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.expect("JSON")
    }

    /// A form to the token endpoint, with the application's credentials.
    pub(crate) async fn token(&self, fields: &[(&str, &str)]) -> (StatusCode, Value) {
        let app = [("client_id", "12345"), ("client_secret", "simulated-secret")];
        let fields: Vec<_> = app.iter().chain(fields).collect();
        let request = self.http.post(self.url("/oauth/token")).form(&fields);
        let answer = request.send().await.expect("an answer");
        assert!(answer.headers().get("x-ratelimit-limit").is_none());
        (answer.status(), answer.json().await.expect("JSON"))
    }

    pub(crate) async fn refresh(&self, token: &str) -> (StatusCode, Value) {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    /// Connects without a browser and returns the whole answer of the exchange.
    pub(crate) async fn connect(&self, athlete: Option<i64>, scope: &str) -> Value {
        let order = json!({"athlete": athlete, "scope": scope});
        let code = self.sim_post("/sim/authorize", order).await;
        let code = code["code"].as_str().expect("a code");
        let (status, tokens) = self.token(&[("grant_type", "authorization_code"), ("code", code)]).await;
        assert_eq!(status, 200);
        tokens
    }

    pub(crate) async fn access(&self, athlete: Option<i64>, scope: &str) -> String {
        text(&self.connect(athlete, scope).await, "access_token")
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> Response {
        let url = format!("{}{path}", self.sim.api_base());
        self.http.get(url).bearer_auth(token).send().await.expect("an answer")
    }

    pub(crate) async fn ok(&self, token: &str, path: &str) -> Value {
        let answer = self.get(token, path).await;
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.expect("JSON")
    }

    pub(crate) async fn list(&self, token: &str, query: &str) -> Vec<Value> {
        let list = self.ok(token, &format!("/athlete/activities?{query}")).await;
        list.as_array().expect("a list").clone()
    }

    /// All pages up to the empty one.
    pub(crate) async fn all(&self, token: &str) -> Vec<Value> {
        let mut all = Vec::new();
        for page in 1.. {
            let items = self.list(token, &format!("per_page=200&page={page}")).await;
            if items.is_empty() {
                break;
            }
            all.extend(items);
        }
        all
    }

    /// Asserts a fault's status and its one error.
    pub(crate) async fn fault(&self, token: &str, path: &str, status: u16, error: [&str; 3]) {
        let answer = self.get(token, path).await;
        assert_eq!(answer.status(), status, "{path}");
        assert_error(&answer.json().await.expect("JSON"), error);
    }

    pub(crate) async fn state(&self) -> Value {
        let answer = self.http.get(self.url("/sim/state")).send().await.expect("an answer");
        answer.json().await.expect("JSON")
    }
}

pub(crate) fn assert_error(body: &Value, [resource, field, code]: [&str; 3]) {
    let wanted = json!([{"resource": resource, "field": field, "code": code}]);
    assert_eq!(body["errors"], wanted, "{body}");
    assert!(body["message"].is_string());
}

pub(crate) fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("{field} in {value}")).to_owned()
}

pub(crate) fn id(activity: &Value) -> i64 {
    activity["id"].as_i64().expect("an id")
}

/// Polls until the condition holds.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not within 10 s: {what}");
}
