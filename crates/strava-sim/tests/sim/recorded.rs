use std::fs;
use std::path::Path;

use serde_json::Value;
use strava_sim::Options;

use crate::support::{ALL, Bed, bed_with, id, recordings};

const KEYS: &str = "time,distance,latlng,altitude,velocity_smooth,heartrate,cadence,moving,grade_smooth";

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).expect("a recording")).expect("JSON")
}

fn lines(dir: &Path) -> Vec<Value> {
    let text = fs::read_to_string(dir.join("strava-activities-1132.jsonl")).expect("a recording");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

async fn recorded(dir: &Path) -> (Bed, String) {
    let bed = bed_with(Options { recordings: Some(dir.into()), ..Options::default() }).await;
    let token = bed.access(None, ALL).await;
    (bed, token)
}

#[tokio::test]
async fn the_list_is_the_recording_field_for_field() {
    let Some(dir) = recordings() else { return };
    let (bed, token) = recorded(&dir).await;
    let lines = lines(&dir);
    let mut listed = Vec::new();
    for page in 1..=39 {
        let items = bed.list(&token, &format!("page={page}")).await;
        let expected = [30, 22, 0][usize::from(page == 38) + 2 * usize::from(page == 39)];
        assert_eq!(items.len(), expected, "page {page}");
        listed.extend(items);
    }
    assert_eq!(listed.len(), 1_132);
    assert_eq!(listed, lines);

    let some = bed.access(None, "read,activity:read").await;
    assert_eq!(bed.all(&some).await.len(), 1_125);
}

#[tokio::test]
async fn details_and_streams_are_the_recordings() {
    let Some(dir) = recordings() else { return };
    let (bed, token) = recorded(&dir).await;
    let marathon = bed.ok(&token, "/activities/1946417534").await;
    assert_eq!(marathon, json(&dir.join("strava-activity-1946417534-marathon.json")));
    assert_eq!(bed.ok(&token, "/activities/1946417534/laps").await, marathon["laps"]);
    let foreign = bed.ok(&token, "/activities/4437021783").await;
    assert_eq!(foreign, json(&dir.join("strava-activity-4437021783.json")));
    let path = format!("/activities/4437021783/streams?keys={KEYS}&key_by_type=true");
    assert_eq!(bed.ok(&token, &path).await, json(&dir.join("strava-streams-4437021783.json")));
    let two = bed.ok(&token, "/activities/4437021783/streams?keys=time,moving&key_by_type=true").await;
    assert_eq!(two.as_object().expect("streams").len(), 2);

    let mut plain = lines(&dir).remove(0);
    let path = format!("/activities/{}", id(&plain));
    plain["resource_state"] = 3.into();
    assert_eq!(bed.ok(&token, &path).await, plain);
    let path = format!("{path}/streams?keys=time&key_by_type=true");
    bed.fault(&token, &path, 404, ["Stream", "id", "invalid"]).await;
}

#[tokio::test]
async fn other_exchanges_are_answered_as_recorded() {
    let Some(dir) = recordings() else { return };
    let (bed, token) = recorded(&dir).await;
    let examples = json(&dir.join("strava-http-examples.json"));
    let mut checked = 0;
    for exchange in examples["exchanges"].as_array().expect("a list") {
        let (request, response) = (&exchange["request"], &exchange["response"]);
        let path = request["uri"].as_str().and_then(|uri| uri.split_once("/api/v3")).map(|(_, path)| path);
        let served = request["method"] == "GET" && response["status"] == 200;
        let Some(path) = path.filter(|path| served && !path.contains("push_subscriptions")) else {
            continue;
        };
        // The laps recorded belong to an activity of the list.
        assert_eq!(bed.ok(&token, path).await, response["body"], "{path}");
        checked += 1;
    }
    assert_eq!(checked, 6);
    let unauthorized = bed.get("no such token", "/activities/1946417534").await;
    assert_eq!(unauthorized.status(), 401);
    assert_eq!(
        unauthorized.json::<Value>().await.expect("JSON"),
        examples["exchanges"][0]["response"]["body"]
    );
}

#[tokio::test]
async fn the_recorded_athlete_is_the_default_choice() {
    let Some(dir) = recordings() else { return };
    let (bed, token) = recorded(&dir).await;
    assert_eq!(bed.ok(&token, "/athlete").await["id"], 26_462_176);
    let ask =
        "/oauth/authorize?client_id=12345&response_type=code&redirect_uri=http://localhost:9/&scope=read";
    let page = bed.http.get(bed.url(ask)).send().await.expect("a page").text().await.expect("text");
    assert!(page.contains("value=\"26462176\" checked"));
    assert_eq!(page.matches("type=\"radio\"").count(), 5);
    let new = bed.sim_post("/sim/activities", serde_json::json!({})).await;
    assert_eq!(bed.list(&token, "per_page=1").await[0], new);
}
