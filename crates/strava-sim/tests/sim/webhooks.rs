use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::support::{ALL, Bed, assert_error, bed, eventually, id};

/// A callback that answers challenges and keeps events.
#[derive(Clone, Default)]
struct Callback {
    events: Arc<Mutex<Vec<Value>>>,
    refuse: Arc<Mutex<u32>>,
}

impl Callback {
    async fn serve(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let routes = Router::new().route("/hook", get(challenge).post(take)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        url
    }

    async fn event(&self, number: usize) -> Value {
        eventually("an event", || async { self.events.lock().expect("a lock").get(number).cloned() }).await
    }
}

async fn challenge(Query(query): Query<HashMap<String, String>>) -> (StatusCode, Json<Value>) {
    if query["hub.verify_token"] == "right" && query["hub.mode"] == "subscribe" {
        (StatusCode::OK, Json(json!({"hub.challenge": query["hub.challenge"]})))
    } else {
        (StatusCode::FORBIDDEN, Json(json!({})))
    }
}

async fn take(State(callback): State<Callback>, Json(event): Json<Value>) -> StatusCode {
    let mut refuse = callback.refuse.lock().expect("a lock");
    if *refuse > 0 {
        *refuse -= 1;
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    callback.events.lock().expect("a lock").push(event);
    StatusCode::OK
}

async fn subscribe(bed: &Bed, url: &str, verify: &str) -> (u16, Value) {
    let form = [
        ("client_id", "12345"),
        ("client_secret", "simulated-secret"),
        ("callback_url", url),
        ("verify_token", verify),
    ];
    let url = format!("{}/push_subscriptions", bed.sim.api_base());
    let answer = bed.http.post(url).form(&form).send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

fn subscriptions(bed: &Bed, more: &str) -> String {
    format!("{}/push_subscriptions{more}?client_id=12345&client_secret=simulated-secret", bed.sim.api_base())
}

#[tokio::test]
async fn a_subscription_is_challenged_listed_and_deleted() {
    let bed = bed().await;
    let url = Callback::default().serve().await;
    let (status, body) = subscribe(&bed, &url, "wrong").await;
    assert_eq!(status, 400);
    let refused = ["PushSubscription", "callback url", "GET to callback URL does not return 200"];
    assert_error(&body, refused);
    let (status, body) = subscribe(&bed, "http://example.com/hook", "right").await;
    assert_eq!(status, 400);
    assert_error(&body, ["PushSubscription", "callback url", "not verifiable"]);

    let (status, made) = subscribe(&bed, &url, "right").await;
    assert_eq!(status, 201);
    assert_eq!((&made["callback_url"], &made["application_id"]), (&json!(url), &json!(12_345)));
    assert_error(&subscribe(&bed, &url, "right").await.1, ["PushSubscription", "", "already exists"]);
    let list = bed.http.get(subscriptions(&bed, "")).send().await.expect("an answer");
    assert_eq!(list.headers()["x-ratelimit-usage"], "0,0");
    assert_eq!(list.json::<Value>().await.expect("JSON"), json!([made]));

    let one = subscriptions(&bed, &format!("/{}", id(&made)));
    assert_eq!(bed.http.delete(&one).send().await.expect("an answer").status(), 204);
    assert_eq!(bed.http.delete(&one).send().await.expect("an answer").status(), 404);
}

#[tokio::test]
async fn events_are_tried_three_times_and_say_what_happened() {
    let bed = bed().await;
    let callback = Callback::default();
    let url = callback.serve().await;
    let (_, made) = subscribe(&bed, &url, "right").await;
    bed.sim_post("/sim/activities", json!({})).await;
    let token = bed.access(None, ALL).await;

    *callback.refuse.lock().expect("a lock") = 2;
    let new = bed.sim_post("/sim/activities", json!({})).await;
    let event = callback.event(0).await;
    assert_eq!(event["object_id"], new["id"], "the first athlete had not connected yet");
    assert_eq!((&event["aspect_type"], &event["object_type"]), (&json!("create"), &json!("activity")));
    assert_eq!((&event["owner_id"], &event["updates"]), (&json!(70_000_001), &json!({})));
    assert_eq!(event["subscription_id"], made["id"]);
    assert!(event["event_time"].is_i64());

    let url = bed.url(&format!("/sim/activities/{}", id(&new)));
    bed.http
        .patch(&url)
        .json(&json!({"name": "New", "visibility": "only_me"}))
        .send()
        .await
        .expect("an answer");
    assert_eq!(callback.event(1).await["updates"], json!({"title": "New", "private": "true"}));
    bed.http.delete(&url).send().await.expect("an answer");
    assert_eq!(callback.event(2).await["aspect_type"], "delete");
    bed.http.post(bed.url("/oauth/deauthorize")).bearer_auth(&token).send().await.expect("an answer");
    let left = callback.event(3).await;
    assert_eq!(left["object_type"], "athlete");
    assert_eq!(left["updates"], json!({"authorized": "false"}));
    let counters = bed.state().await["counters"].clone();
    assert_eq!(counters["webhook attempts"], 6);

    *callback.refuse.lock().expect("a lock") = 9;
    bed.connect(None, ALL).await;
    bed.sim_post("/sim/activities", json!({})).await;
    let lost = || async { bed.state().await["counters"]["webhook events lost"].as_u64() };
    assert_eq!(eventually("a lost event", lost).await, 1);
    assert_eq!(*callback.refuse.lock().expect("a lock"), 6, "three tries");
}

#[tokio::test]
async fn hiding_an_activity_looks_like_deleting_it() {
    let bed = bed().await;
    let callback = Callback::default();
    let url = callback.serve().await;
    subscribe(&bed, &url, "right").await;
    bed.access(None, "read,activity:read").await;
    let new = bed.sim_post("/sim/activities", json!({})).await;
    assert_eq!(callback.event(0).await["aspect_type"], "create");
    let url = bed.url(&format!("/sim/activities/{}", id(&new)));
    for (number, (visibility, aspect)) in
        [("only_me", "delete"), ("everyone", "create")].into_iter().enumerate()
    {
        let patch = json!({"visibility": visibility});
        bed.http.patch(&url).json(&patch).send().await.expect("an answer");
        assert_eq!(callback.event(number + 1).await["aspect_type"], aspect);
    }
}
