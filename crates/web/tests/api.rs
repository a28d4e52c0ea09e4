//! The JSON API: what it answers, what it refuses, and that its description is true.

mod common;

use axum::body::Body;
use axum::http::StatusCode;
use common::{DETAILED, Front, LOCAL, request, seed};
use runnerly::jobs::SyncAthlete;
use runnerly::strava::Tokens;
use serde_json::{Value, json};

/// Makes the shown athlete one who is connected to Strava.
async fn connected(front: &Front) {
    let tokens = Tokens { access: "a".into(), refresh: "r".into(), expires_at: chrono::Utc::now() };
    front
        .app
        .storage
        .connect_athlete(LOCAL, "Ada", &json!({}), "read,activity:read_all", &tokens)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_runner_reads_everything() {
    let front = Front::new().await;
    let cookies = front.local().await;
    seed(&front.app.storage, LOCAL, 400, 3).await;
    let athletes = front.get("/api/athletes", &cookies).await.json();
    assert_eq!(
        (&athletes["athletes"][0]["id"], &athletes["athletes"][0]["connection"]),
        (&json!("0"), &json!("local"))
    );
    let summary = front.get("/api/summary", &cookies).await.json();
    assert_eq!(summary["summary"]["runs"], athletes["athletes"][0]["activities"]);
    let page = front.get("/api/activities?limit=2&offset=1", &cookies).await.json();
    assert_eq!((page["activities"].as_array().unwrap().len(), &page["next_offset"]), (2, &json!(3)));
    let end = front.get("/api/activities?offset=100000", &cookies).await.json();
    assert_eq!((&end["activities"], &end["next_offset"]), (&json!([]), &Value::Null));
    let one = front.get(&format!("/api/activities/{DETAILED}"), &cookies).await.json();
    assert_eq!(one["id"], DETAILED.to_string(), "beyond what a JavaScript number holds");
    assert!(one["efforts"].as_array().unwrap().len() > 3 && !one["splits_mi"].as_array().unwrap().is_empty());
    let streams = front.get(&format!("/api/activities/{DETAILED}/streams"), &cookies).await.json();
    assert_eq!(streams["time"].as_array().unwrap().len(), streams["distance"].as_array().unwrap().len());
}

#[tokio::test]
async fn parameters_out_of_range_are_refused_with_the_range() {
    let front = Front::new().await;
    let cookies = front.local().await;
    for query in [
        "limit=-1",
        "limit=0",
        "limit=201",
        "limit=1e6",
        "limit=x",
        "offset=-1",
        "limit=1&limit=2",
        "days=3",
        "athlete=x",
    ] {
        let answer = front.get(&format!("/api/activities?{query}"), &cookies).await;
        assert_eq!(answer.problem(400), "bad_request", "{query}");
    }
    let detail = front.get("/api/activities?limit=0", &cookies).await.json();
    assert_eq!(detail["detail"], "limit: \"0\"; allowed is a whole number from 1 to 200");
    for path in [
        "/api/activities/x",
        "/api/activities/5",
        "/api/jobs/x",
        "/api/activities?athlete=7",
        "/api/summary",
        "/api/nope",
        "/api/jobs/%2e%2e%2f",
    ] {
        assert_eq!(front.get(path, &cookies).await.problem(404), "not_found", "{path}");
    }
    for path in [
        "/api/athletes",
        "/api/summary",
        "/api/activities",
        "/api/uploads",
        "/api/activities/1",
        "/api/jobs/x",
    ] {
        assert_eq!(front.get(path, "").await.problem(401), "not_connected", "{path}");
    }
    let wrong = front.send(request("DELETE", "/api/athletes", &cookies).body(Body::empty()).unwrap()).await;
    assert_eq!((wrong.problem(405), wrong.header("allow")), ("method_not_allowed".into(), "GET,HEAD"));
}

#[tokio::test]
async fn a_sync_is_one_job_that_can_be_followed() {
    let front = Front::new().await;
    let cookies = front.local().await;
    assert_eq!(front.json("/api/sync", &cookies, "{}").await.problem(409), "not_connected_to_strava");
    connected(&front).await;
    let first = front.json("/api/sync", &cookies, "{}").await;
    assert_eq!(first.status, StatusCode::ACCEPTED);
    let again = front.json("/api/sync", &cookies, r#"{"athlete":"0","full":true}"#).await.json();
    assert_eq!((&again["job"], &again["created"]), (&first.json()["job"], &json!(false)));
    let job = front.get(first.header("location"), &cookies).await.json();
    assert_eq!(
        (&job["name"], &job["state"], &job["finished"]),
        (&json!("athlete.sync"), &json!("available"), &json!(false))
    );
    assert_eq!(job["text"], "waiting: no worker is running");
    let home = front.get("/", &cookies).await.text;
    assert!(home.contains("waiting: no worker is running") && home.contains("http-equiv=\"refresh\""));
}

#[tokio::test]
async fn a_finished_job_ends_its_stream_and_others_jobs_are_not_there() {
    let front = Front::new().await;
    let cookies = front.local().await;
    connected(&front).await;
    let id = front.json("/api/sync", &cookies, "{}").await.json()["job"].as_str().unwrap().to_owned();
    front.app.jobs.discard(id.parse().unwrap()).await.unwrap();
    let events = front.get(&format!("/api/jobs/{id}/events"), &cookies).await;
    assert_eq!((events.status, events.header("content-type")), (StatusCode::OK, "text/event-stream"));
    assert!(
        events.text.starts_with("data: {") && events.text.contains("\"finished\":true"),
        "{}",
        events.text
    );
    let other = front.app.jobs.enqueue(SyncAthlete { athlete: 8, full: false }).await.unwrap().id;
    let raw = front.app.jobs.enqueue_raw("mail.send", "{\"athlete\":0}").await.unwrap().id;
    for foreign in [other, raw, legwork::JobId::new()] {
        assert_eq!(front.get(&format!("/api/jobs/{foreign}"), &cookies).await.problem(404), "not_found");
        assert_eq!(
            front.get(&format!("/api/jobs/{foreign}/events"), &cookies).await.problem(404),
            "not_found"
        );
    }
}

#[tokio::test]
async fn bodies_are_json_of_the_right_shape() {
    let front = Front::new().await;
    let cookies = front.local().await;
    for (kind, body, status) in [
        ("application/json", r#"{"full":true,"state":"done"}"#.to_owned(), 422),
        ("application/json", r#"{"full":"yes"}"#.to_owned(), 422),
        ("application/json", r#"{"athlete":1.5}"#.to_owned(), 422),
        ("application/json", r#"{"full":true,"full":false}"#.to_owned(), 400),
        ("application/json", "{\"full\":true,}".to_owned(), 400),
        ("application/json", "NaN".to_owned(), 400),
        ("application/json", String::new(), 400),
        ("application/json", r#"{"athlete":"\ud800"}"#.to_owned(), 400),
        ("application/json", "[".repeat(10_000), 400),
        ("text/plain", "{}".to_owned(), 415),
        ("application/json; charset=utf-7", "{}".to_owned(), 415),
        ("application/x-www-form-urlencoded", "full=true".to_owned(), 415),
    ] {
        front.post("/api/sync", &cookies, kind, &body).await.problem(status);
    }
    assert_eq!(front.json("/api/uploads", &cookies, "{}").await.problem(415), "unsupported_media_type");
    assert_eq!(front.upload("/api/uploads", &cookies, &[("a.pdf", "x")]).await.problem(422), "unprocessable");
    assert_eq!(front.upload("/api/uploads", &cookies, &[]).await.problem(422), "unprocessable");
}

#[tokio::test]
async fn uploads_are_taken_and_listed() {
    let front = Front::new().await;
    let taken = front.upload("/api/uploads", "", &[("a.gpx", "<gpx/>"), ("b.txt", "x")]).await;
    assert_eq!(taken.status, StatusCode::ACCEPTED);
    assert_eq!(taken.json()["refused"][0]["name"], "b.txt");
    let id = taken.json()["uploads"][0].as_str().unwrap().to_owned();
    front.app.storage.upload_failed(&id, "line 1: not GPX").await.unwrap();
    let listed = front.get("/api/uploads", &taken.cookies()).await.json();
    assert_eq!(
        (&listed["uploads"][0]["state"], &listed["uploads"][0]["error"]),
        (&json!("failed"), &json!("line 1: not GPX"))
    );
}

#[tokio::test]
async fn a_database_that_is_away_is_said_without_details() {
    let front = Front::new().await;
    let cookies = front.local().await;
    front.app.storage.close().await;
    let answer = front.get("/api/athletes", &cookies).await;
    assert_eq!(answer.problem(503), "database_unavailable");
    assert!(!answer.text.to_lowercase().contains("pool") && !answer.text.contains("sqlx"), "{}", answer.text);
    assert_eq!(front.get("/runs", &cookies).await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn the_description_names_every_route_and_no_other() {
    let front = Front::new().await;
    let cookies = front.local().await;
    let description = front.get("/api/openapi.json", "").await.json();
    assert_eq!(description["openapi"].as_str().unwrap().split('.').next(), Some("3"));
    let paths = description["paths"].as_object().unwrap();
    let mut seen = 0;
    for (path, operations) in paths {
        for method in operations.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            let real = path.replace("{id}", "1");
            let answer = front.send(request(&method, &real, &cookies).body(Body::empty()).unwrap()).await;
            let told = &description["paths"][path][method.to_lowercase()]["responses"];
            assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert!(
                told.get(answer.status.as_str()).is_some(),
                "{method} {path} answers {}, which is not described",
                answer.status
            );
            seen += 1;
        }
    }
    let source = [include_str!("../src/api/mod.rs"), include_str!("../src/api/uploads.rs")].concat();
    let routes = source.matches(".route(\"/api/").count();
    assert_eq!((paths.len(), seen), (routes - 1, 16), "every route but the description itself is described");
}
