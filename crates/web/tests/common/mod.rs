//! A web front on databases in memory, and invented runs to show.
#![allow(dead_code)]

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use chrono::{Datelike, Days, Local, NaiveDate, TimeDelta, Utc};
use legwork::Client;
use runnerly::app::App;
use runnerly::run::{Activity, Source, Streams};
use runnerly::secret::Keyring;
use runnerly::stats::efforts::best_efforts;
use runnerly::stats::records::records;
use runnerly::stats::splits::splits;
use runnerly::stats::summary::summarize;
use runnerly::stats::{KM, MILE};
use runnerly::storage::{Fetched, Storage};
use runnerly::strava::{Settings, Strava};
use runnerly_web::WebOptions;
use tower::ServiceExt;

/// The athlete of files handed in without Strava.
pub(crate) const LOCAL: i64 = 0;

/// The id of the latest invented run that has samples.
pub(crate) const DETAILED: i64 = 9_007_199_254_740_993;

pub(crate) struct Front {
    pub(crate) app: App,
    pub(crate) router: Router,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The cookies it sets, as a browser would send them back.
    pub(crate) fn cookies(&self) -> String {
        let lines = self.headers.get_all(header::SET_COOKIE).iter().map(|line| line.to_str().unwrap());
        let pairs: Vec<&str> =
            lines.filter_map(|line| line.split(';').next()).filter(|pair| !pair.ends_with('=')).collect();
        pairs.join("; ")
    }

    /// The stable word of a problem, checked to be one.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert!(
            !problem["detail"].as_str().unwrap().is_empty() && !problem["title"].as_str().unwrap().is_empty()
        );
        problem["code"].as_str().unwrap().to_owned()
    }
}

impl Front {
    pub(crate) async fn new() -> Front {
        Front::with(WebOptions::default()).await
    }

    pub(crate) async fn with(options: WebOptions) -> Front {
        Front::at(options, "http://127.0.0.1:9").await
    }

    /// A front whose Strava is at `strava`.
    pub(crate) async fn at(options: WebOptions, strava: &str) -> Front {
        // Another test may have installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let settings = Settings::new("12345", "simulated-secret".to_owned());
        let settings = settings.with_bases(&format!("{strava}/api/v3"), strava).unwrap();
        let app = App {
            jobs: Client::connect("sqlite::memory:").await.unwrap(),
            storage: Storage::open("sqlite::memory:", Keyring::random().unwrap()).await.unwrap(),
            strava: Strava::new(settings).unwrap(),
            strava_speed: 1.0,
        };
        Front { router: runnerly_web::router(app.clone(), options), app }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.into()).unwrap(),
        }
    }

    pub(crate) async fn get(&self, path: &str, cookies: &str) -> Answer {
        self.send(request("GET", path, cookies).body(Body::empty()).unwrap()).await
    }

    /// A form, as a browser sends it from our own page.
    pub(crate) async fn form(&self, path: &str, cookies: &str, form: &str) -> Answer {
        let kind = "application/x-www-form-urlencoded";
        self.post(path, cookies, kind, form).await
    }

    pub(crate) async fn json(&self, path: &str, cookies: &str, json: &str) -> Answer {
        self.post(path, cookies, "application/json", json).await
    }

    pub(crate) async fn post(&self, path: &str, cookies: &str, kind: &str, body: &str) -> Answer {
        let request = request("POST", path, cookies)
            .header("content-type", kind)
            .header("sec-fetch-site", "same-origin");
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// Hands files in; each is a name and its content.
    pub(crate) async fn upload(&self, path: &str, cookies: &str, files: &[(&str, &str)]) -> Answer {
        let mut body = String::new();
        for (name, content) in files {
            body += &format!(
                "--edge\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{name}\"\r\n\r\n{content}\r\n"
            );
        }
        body += "--edge--\r\n";
        self.post(path, cookies, "multipart/form-data; boundary=edge", &body).await
    }

    /// Hands over what stands in the outbox, as a worker does; says how many jobs that were.
    pub(crate) async fn hand_over(&self) -> usize {
        self.app.storage.relay(&self.app.jobs).hand_over().await.unwrap()
    }

    /// The cookies of a browser that shows the local athlete.
    pub(crate) async fn local(&self) -> String {
        let answer = self.upload("/upload", "", &[("run.gpx", "<gpx/>")]).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        answer.cookies()
    }
}

pub(crate) fn request(method: &str, path: &str, cookies: &str) -> axum::http::request::Builder {
    let request = Request::builder().method(method).uri(path).header("host", "localhost:8080");
    if cookies.is_empty() { request } else { request.header("cookie", cookies) }
}

/// Invented runs over `days` days until today: three a week, the last few with samples,
/// and the statistics that the worker would compute of them.
pub(crate) async fn seed(storage: &Storage, athlete: i64, days: u64, detailed: usize) {
    let today = Local::now().date_naive();
    let first = today - Days::new(days);
    let mut all: Vec<Activity> = first
        .iter_days()
        .take_while(|day| *day <= today)
        .filter(|day| matches!(day.weekday().num_days_from_monday(), 1 | 3 | 6))
        .enumerate()
        .map(|(k, day)| invent(athlete, k as i64, day))
        .collect();
    let last = all.len() - 1;
    all[last].id = DETAILED;
    let fetched: Vec<Fetched> =
        all.iter().cloned().map(|a| Fetched { activity: a, raw: None, read_at: Utc::now() }).collect();
    storage.upsert_activities(&fetched).await.unwrap();
    let mut efforts = Vec::new();
    for run in all.iter().rev().take(detailed) {
        let streams = samples(run);
        storage.save_streams(athlete, run.id, &streams).await.unwrap();
        storage.save_splits(athlete, run.id, "km", &splits(&streams, KM)).await.unwrap();
        storage.save_splits(athlete, run.id, "mile", &splits(&streams, MILE)).await.unwrap();
        let best = best_efforts(&streams);
        storage.save_efforts(athlete, run.id, &best).await.unwrap();
        efforts.push((run, best));
    }
    let pairs: Vec<_> = efforts.iter().map(|(run, best)| (*run, best.as_slice())).collect();
    storage.save_records(athlete, &records(&pairs)).await.unwrap();
    storage.save_stats(athlete, "summary", &summarize(&all, today), Utc::now()).await.unwrap();
}

/// A run that is the same for the same number.
fn invent(athlete: i64, k: i64, day: NaiveDate) -> Activity {
    let long = day.weekday().num_days_from_monday() == 6;
    let distance_m = if long { 14_000.0 } else { 6_000.0 } + ((k * 7_919) % 5_000) as f64;
    let moving_s = (distance_m * (0.36 - (k % 40) as f64 * 0.001)) as i64;
    let start_local = day.and_hms_opt(7, 12, 0).unwrap();
    let names = [
        "Morning run",
        "A run with a name so long that it needs more than one line wherever it is shown, Donaudampfschifffahrtsgesellschaft included",
        "<script>alert(1)</script> & \"quotes\" {{7*7}}",
        "",
        "朝のラン 🏃",
    ];
    Activity {
        id: 1_000 + k,
        athlete,
        name: names[(k % 13).min(4) as usize].into(),
        sport: "Run".into(),
        start: (start_local - TimeDelta::hours(1)).and_utc(),
        start_local,
        timezone: None,
        distance_m,
        moving_s,
        elapsed_s: moving_s + 90,
        gain_m: distance_m / 100.0,
        average_hr: (k % 5 != 0).then_some(148.0),
        max_hr: (k % 5 != 0).then_some(181.0),
        average_cadence: None,
        workout_type: (k % 11 == 0).then_some(1),
        gear: None,
        private: k % 17 == 0,
        source: Source::Strava,
    }
}

/// Samples every ten seconds: hills, a pause in the middle, a heart that follows.
fn samples(run: &Activity) -> Streams {
    let steps = run.moving_s / 10;
    let mut streams = Streams::default();
    let (mut altitude, mut heartrate, mut moving) = (Vec::new(), Vec::new(), Vec::new());
    for k in 0..=steps {
        let phase = k as f64 / 25.0;
        let pause = if k > steps / 2 { 90 } else { 0 };
        streams.time.push(k * 10 + pause);
        streams
            .distance
            .push(run.distance_m * (k as f64 + 4.0 * phase.sin()).max(0.0) / (steps as f64 + 4.0));
        altitude.push(120.0 + 18.0 * (phase / 3.0).sin());
        heartrate.push(128.0 + 35.0 * k as f64 / steps as f64 + 8.0 * phase.cos());
        moving.push(k > 0);
    }
    (streams.altitude, streams.heartrate, streams.moving) = (Some(altitude), Some(heartrate), Some(moving));
    streams.validate().unwrap();
    streams
}
