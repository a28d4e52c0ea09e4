//! The training plan and the messages: pages and API.

mod common;

use axum::body::Body;
use axum::http::StatusCode;
use chrono::Utc;
use common::{Front, LOCAL, request, seed};
use serde_json::{Value, json};

/// A runner whose last run was planned.
async fn runner() -> (Front, String) {
    let front = Front::new().await;
    let cookies = front.local().await;
    seed(&front.app.storage, LOCAL, 30, 0).await;
    (front, cookies)
}

#[tokio::test]
async fn a_run_is_planned_changed_and_forgotten_on_the_page() {
    let (front, cookies) = runner().await;
    let empty = front.get("/plan", &cookies).await.text;
    assert!(empty.contains("Nothing planned yet"), "{empty}");
    let form = "day=2099-05-05&name=tempo+%3Cb%3E&km=10%2C5&minutes=52.5&note=hills";
    let made = front.form("/plan", &cookies, form).await;
    assert_eq!((made.status, made.header("location")), (StatusCode::SEE_OTHER, "/plan"), "{}", made.text);
    let page = front.get("/plan", &cookies).await.text;
    assert!(page.contains("Tue, 5 May 2099") && page.contains("tempo &#60;b&#62;"), "{page}");
    assert!(page.contains("10.5 km · 52:30") && page.contains("hills") && page.contains("To come"), "{page}");
    let id = front.app.storage.plan(LOCAL).await.unwrap()[0].id.clone();
    let edit = front.get(&format!("/plan?edit={id}"), &cookies).await.text;
    assert!(edit.contains("value=\"10.5\"") && edit.contains("value=\"52.5\""), "{edit}");
    let form = format!("id={id}&day=2020-05-05&name=easy&km=&minutes=&note=");
    assert_eq!(front.form("/plan", &cookies, &form).await.status, StatusCode::SEE_OTHER);
    let page = front.get("/plan", &cookies).await.text;
    assert!(page.contains("So far") && page.contains("missed") && !page.contains("tempo &#60;"), "{page}");
    assert_eq!(front.form("/plan/delete", &cookies, &format!("id={id}")).await.status, StatusCode::SEE_OTHER);
    assert!(front.get("/plan", &cookies).await.text.contains("Nothing planned yet"));
}

#[tokio::test]
async fn what_cannot_be_planned_is_said_and_nothing_typed_is_lost() {
    let (front, cookies) = runner().await;
    for (form, line) in [
        ("day=x&name=tempo&note=by+the+sea", "day: not a date"),
        ("day=2026-05-05&name=tempo&km=far&note=by+the+sea", "distance: not a number"),
        ("day=2026-05-05&name=tempo&km=0&note=by+the+sea", "distance: allowed are 0.1 to 1000 km"),
        ("day=2026-05-05&name=tempo&minutes=-1&note=by+the+sea", "duration: allowed are 1 minute"),
        ("day=2026-05-05&name=+&note=by+the+sea", "name: allowed are 1 to 80"),
        ("day=1926-05-05&name=tempo&note=by+the+sea", "day: 1926-05-05; allowed are years"),
    ] {
        let page = front.form("/plan", &cookies, form).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{form}");
        assert!(page.text.contains(line) && page.text.contains("by the sea"), "{form}: {}", page.text);
    }
    let unknown = front.form("/plan", &cookies, "id=1&day=2026-05-05&name=tempo").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(front.get("/plan?edit=1", &cookies).await.status, StatusCode::NOT_FOUND);
    assert!(front.app.storage.plan(LOCAL).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_api_plans_changes_and_forgets() {
    let (front, cookies) = runner().await;
    let body = r#"{"day":"2099-05-05","name":"tempo run","distance_m":10000}"#;
    let made = front.json("/api/plan", &cookies, body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let made = made.json();
    assert_eq!((&made["standing"], &made["activity"]), (&json!("upcoming"), &Value::Null));
    let at = format!("/api/plan/{}", made["id"].as_str().unwrap());
    let send = async |method: &str, at: &str, body: &str| {
        let request = request(method, at, &cookies).header("sec-fetch-site", "same-origin");
        let request = request.header("content-type", "application/json");
        front.send(request.body(Body::from(body.to_owned())).unwrap()).await
    };
    let changed =
        send("PUT", &at, r#"{"day":"2099-05-06","name":"long run","duration_s":7200}"#).await.json();
    assert_eq!((&changed["name"], &changed["distance_m"]), (&json!("long run"), &Value::Null));
    let listed = front.get("/api/plan", &cookies).await.json();
    assert_eq!(listed["plan"], json!([changed]));
    for (body, status) in [
        (r#"{"day":"2099-05-05"}"#, 422),
        (r#"{"day":"5 May","name":"x"}"#, 422),
        (r#"{"day":"2099-05-05","name":"x","distance_m":1}"#, 422),
        (r#"{"day":"2099-05-05","name":"x","activity":7}"#, 422),
        ("{", 400),
    ] {
        front.json("/api/plan", &cookies, body).await.problem(status);
    }
    send("PUT", "/api/plan/x", r#"{"day":"2099-05-05","name":"x"}"#).await.problem(404);
    front.json("/api/plan?athlete=8", &cookies, body).await.problem(404);
    assert_eq!(send("DELETE", &at, "").await.status, StatusCode::NO_CONTENT);
    send("DELETE", &at, "").await.problem(404);
    assert_eq!(front.app.storage.plan(LOCAL).await.unwrap(), []);
    assert!(front.get("/api/plan", "").await.problem(401) == "not_connected");
}

#[tokio::test]
async fn a_new_run_is_told_with_its_plan_until_it_is_read() {
    let (front, cookies) = runner().await;
    let storage = &front.app.storage;
    let run = storage.activities(LOCAL, 1, 0).await.unwrap().remove(0);
    let body = json!({ "day": run.day(), "name": "tempo run", "distance_m": run.distance_m });
    assert_eq!(front.json("/api/plan", &cookies, &body.to_string()).await.status, StatusCode::CREATED);
    storage.match_plan(LOCAL).await.unwrap();
    let since = Utc::now() - chrono::TimeDelta::days(30);
    storage.announce(LOCAL, &[run.id], since).await.unwrap();
    let day = run.day().format("%A");
    let home = front.get("/", &cookies).await.text;
    assert!(home.contains("New run: ") && home.contains(&format!("matched {day}’s tempo run")), "{home}");
    assert!(front.get("/messages", &cookies).await.text.contains("Mark as read"));
    let plan = front.get("/plan", &cookies).await.text;
    assert!(plan.contains(&format!("href=\"/runs/{}\"", run.id)) && plan.contains("done"), "{plan}");
    let listed = front.get("/api/messages", &cookies).await.json();
    assert_eq!((&listed["unread"], &listed["messages"][0]["planned"]), (&json!(1), &json!("tempo run")));
    let until = json!({ "until": listed["messages"][0]["made_at"] });
    let marked = front.json("/api/messages/read", &cookies, &until.to_string()).await.json();
    assert_eq!(marked, json!({ "marked": 1 }));
    assert!(!front.get("/", &cookies).await.text.contains("New run: "), "read: no news");
    let page = front.get("/messages", &cookies).await.text;
    assert!(page.contains("New run: ") && !page.contains("Mark as read"), "{page}");
}
