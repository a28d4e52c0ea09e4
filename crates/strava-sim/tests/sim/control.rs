use std::time::{Duration, Instant};

use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::support::{ALL, bed, id, text};

#[tokio::test]
async fn faults_strike_as_often_as_asked_and_only_their_path() {
    let bed = bed().await;
    let token = bed.access(None, ALL).await;
    let order = json!({"path": "/athlete/activities", "status": 500, "count": 2});
    bed.sim_post("/sim/faults", order).await;
    assert_eq!(bed.get(&token, "/athlete").await.status(), 200);
    for status in [500, 500, 200] {
        assert_eq!(bed.get(&token, "/athlete/activities").await.status(), status);
    }
    bed.sim_post("/sim/faults", json!({"path": "/activities/*/laps", "status": 503, "count": 0})).await;
    for _ in 0..3 {
        assert_eq!(bed.get(&token, "/activities/5/laps").await.status(), 503);
    }
    let cleared = bed.http.delete(bed.url("/sim/faults")).send().await.expect("an answer");
    assert_eq!(cleared.status(), 204);
    assert_eq!(bed.get(&token, "/activities/5/laps").await.status(), 404);
}

#[tokio::test]
async fn each_kind_of_fault() {
    let bed = bed().await;
    let token = bed.access(None, ALL).await;
    bed.sim_post("/sim/faults", json!({"kind": "html"})).await;
    let page = bed.get(&token, "/athlete").await;
    assert_eq!(page.status(), 503);
    assert!(page.headers()[CONTENT_TYPE].to_str().expect("text").starts_with("text/html"));

    bed.sim_post("/sim/faults", json!({"kind": "429"})).await;
    let limited = bed.get(&token, "/athlete").await;
    assert_eq!(limited.status(), 429);
    assert_eq!(limited.headers()["x-readratelimit-usage"], "10000,1");

    bed.sim_post("/sim/faults", json!({"kind": "cut"})).await;
    let cut = bed.get(&token, "/athlete/activities").await;
    assert_eq!(cut.status(), 200);
    assert!(cut.bytes().await.is_err(), "half a body");

    bed.sim_post("/sim/faults", json!({"delay_ms": 60})).await;
    let begun = Instant::now();
    assert_eq!(bed.get(&token, "/athlete").await.status(), 200);
    assert!(begun.elapsed() >= Duration::from_millis(60));

    bed.sim_post("/sim/faults", json!({"kind": "hang"})).await;
    let url = format!("{}/athlete", bed.sim.api_base());
    let hung = bed.http.get(url).bearer_auth(&token).timeout(Duration::from_millis(120));
    assert!(hung.send().await.expect_err("no answer").is_timeout());
    bed.ok(&token, "/athlete").await;
}

#[tokio::test]
async fn a_lost_reply_to_a_refresh_has_rotated_the_token() {
    let bed = bed().await;
    let old = text(&bed.connect(None, ALL).await, "refresh_token");
    bed.sim_post("/sim/faults", json!({"path": "/oauth/token", "kind": "cut"})).await;
    let form = [
        ("client_id", "12345"),
        ("client_secret", "simulated-secret"),
        ("grant_type", "refresh_token"),
        ("refresh_token", &old),
    ];
    let answer = bed.http.post(bed.url("/oauth/token")).form(&form).send().await.expect("a head");
    assert!(answer.bytes().await.is_err());
    assert_eq!(bed.refresh(&old).await.0, 400);
}

#[tokio::test]
async fn activities_come_change_and_go() {
    let bed = bed().await;
    let token = bed.access(None, ALL).await;
    let before = bed.all(&token).await;
    let order = json!({"distance": 5000, "moving_time": 1500, "name": "Lunch", "workout_type": 1});
    let new = bed.sim_post("/sim/activities", order).await;
    let listed = bed.list(&token, "").await;
    assert_eq!(listed[0], new);
    assert_eq!(new["name"], "Lunch");
    let metres = new["distance"].as_f64().expect("metres");
    assert!((4_999.0..5_030.0).contains(&metres), "{metres}");
    let seconds = new["moving_time"].as_i64().expect("seconds");
    assert!((1_350..1_650).contains(&seconds), "{seconds}");
    let path = format!("/activities/{}", id(&new));
    assert!(bed.ok(&token, &path).await["best_efforts"].is_array());
    bed.ok(&token, &format!("{path}/streams?keys=time&key_by_type=true")).await;

    let patch = json!({"name": "Supper", "visibility": "only_me"});
    let url = bed.url(&format!("/sim{path}"));
    let changed: Value =
        bed.http.patch(&url).json(&patch).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!((&changed["name"], &changed["private"]), (&json!("Supper"), &json!(true)));
    assert_eq!(bed.ok(&token, &path).await["name"], "Supper");

    assert_eq!(bed.http.delete(&url).send().await.expect("an answer").status(), 204);
    bed.fault(&token, &path, 404, ["Activity", "id", "invalid"]).await;
    assert_eq!(bed.all(&token).await, before);
}

#[tokio::test]
async fn orders_that_make_no_sense_get_one_line() {
    let bed = bed().await;
    let cases = [
        ("/sim/faults", json!({"status": 200}), "status 200: must be 400 to 599"),
        ("/sim/faults", json!({"kind": "odd"}), "body: unknown variant `odd`"),
        ("/sim/authorize", json!({"athlete": 5}), "athlete 5: unknown; there are 70000001"),
        ("/sim/authorize", json!({"scope": "all"}), "scope \"all\": unknown"),
        ("/sim/activities", json!({"distance": -1}), "distance -1: must be 100 to 300000 metres"),
        ("/sim/activities", json!({"moving_time": 0}), "moving_time: must give a speed"),
        ("/sim/activities", json!({"start": "+260000-01-01T00:00:00Z"}), "start: must lie between"),
        ("/sim/activities", json!({"sport_type": "Chess"}), "sport_type \"Chess\": must be Run"),
        ("/sim/limits", json!({"reed": [1, 2]}), "body: unknown field `reed`"),
    ];
    for (path, body, line) in cases {
        let answer = bed.http.post(bed.url(path)).json(&body).send().await.expect("an answer");
        assert_eq!(answer.status(), 400, "{body}");
        let said: Value = answer.json().await.expect("JSON");
        assert!(text(&said, "error").starts_with(line), "{said}");
    }
}

#[tokio::test]
async fn the_state_counts() {
    let bed = bed().await;
    let tokens = bed.connect(None, ALL).await;
    let token = text(&tokens, "access_token");
    bed.get(&token, "/activities/17/laps").await;
    bed.get(&token, "/athlete").await;
    bed.refresh(&text(&tokens, "refresh_token")).await;
    let state = bed.state().await;
    assert_eq!(state["counters"]["GET /activities/{id}/laps"], 1);
    assert_eq!(state["counters"]["tokens refreshed"], 1);
    assert_eq!(state["usage"], json!({"overall": [2, 2], "read": [2, 2]}));
    assert_eq!(state["connected"], json!([70_000_001]));
    assert_eq!(state["athletes"].as_array().expect("a list").len(), 4);
}
