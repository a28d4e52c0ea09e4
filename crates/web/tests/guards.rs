//! What every request must pass, and what every answer carries.

mod common;

use axum::body::Body;
use axum::http::StatusCode;
use common::{Front, request};
use runnerly_web::WebOptions;

#[tokio::test]
async fn every_answer_is_hardened() {
    let front = Front::new().await;
    for path in ["/", "/nope", "/api/athletes", "/assets/app.css", "/healthz"] {
        let answer = front.get(path, "").await;
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert!(!answer.header("cache-control").is_empty(), "{path}");
    }
    assert!(front.get("/assets/app.js", "").await.header("cache-control").contains("immutable"));
}

#[tokio::test]
async fn another_site_changes_nothing() {
    let front = Front::new().await;
    let cookies = front.local().await;
    for path in [
        "/sync",
        "/disconnect",
        "/account/leave",
        "/account/show",
        "/upload",
        "/plan",
        "/plan/delete",
        "/messages/read",
        "/api/sync",
        "/api/uploads",
        "/api/plan",
        "/api/messages/read",
    ] {
        let post =
            |name, value| request("POST", path, &cookies).header(name, value).body(Body::empty()).unwrap();
        for (name, value) in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example"),
        ] {
            let answer = front.send(post(name, value)).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {name}");
        }
        // Nothing changes by GET either, whatever a header says.
        let get = request("GET", path, &cookies)
            .header("x-http-method-override", "POST")
            .body(Body::empty())
            .unwrap();
        assert!(matches!(front.send(get).await.status.as_u16(), 405 | 200), "{path}");
    }
    let answer = front
        .send(
            request("POST", "/account/leave", &cookies)
                .header("origin", "http://localhost:8080")
                .body(Body::empty())
                .unwrap(),
        )
        .await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "our own page does");
}

#[tokio::test]
async fn another_name_is_misdirected() {
    let front = Front::new().await;
    let ask = |host: &str, path: &str| {
        axum::http::Request::get(path).header("host", host).body(Body::empty()).unwrap()
    };
    for host in ["evil.example", "evil.example:8080", "localhost.evil.example", "10.1.2.3"] {
        assert_eq!(front.send(ask(host, "/")).await.status, StatusCode::MISDIRECTED_REQUEST, "{host}");
        assert_eq!(front.send(ask(host, "/api/athletes")).await.problem(421), "misdirected");
        assert_eq!(front.send(ask(host, "/healthz")).await.status, StatusCode::OK, "a probe knows no name");
    }
    for host in ["localhost:1", "127.0.0.1:8080", "[::1]:8080"] {
        assert_eq!(front.send(ask(host, "/")).await.status, StatusCode::OK, "{host}");
    }
    let none = axum::http::Request::get("/").body(Body::empty()).unwrap();
    assert_eq!(front.send(none).await.status, StatusCode::MISDIRECTED_REQUEST);
    let options = WebOptions { public_url: Some("https://runs.example".into()), ..WebOptions::default() };
    let public = Front::with(options).await;
    assert_eq!(public.send(ask("runs.example", "/")).await.status, StatusCode::OK);
    assert_eq!(public.send(ask("evil.example", "/")).await.status, StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn oversized_requests_are_refused() {
    let front = Front::new().await;
    let long = format!("/{}", "x".repeat(9_000));
    assert_eq!(front.get(&long, "").await.status, StatusCode::URI_TOO_LONG);
    let heavy = request("GET", "/", &"c".repeat(40_000)).body(Body::empty()).unwrap();
    assert_eq!(front.send(heavy).await.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let cookies = front.local().await;
    let body = format!("{{\"x\":\"{}\"}}", "y".repeat(70_000));
    assert_eq!(front.json("/api/sync", &cookies, &body).await.problem(413), "too_large");
}

#[tokio::test]
async fn forged_cookies_are_strangers() {
    let front = Front::new().await;
    let cookies = front.local().await;
    let other = Front::new().await.local().await;
    let mut broken = cookies.clone();
    broken.pop();
    for cookie in [
        other.as_str(),
        &broken,
        "runnerly-session=",
        "runnerly-session=AAAA",
        "runnerly-session=%%%",
        "=;;=",
    ] {
        assert_eq!(front.get("/api/athletes", cookie).await.problem(401), "not_connected", "{cookie}");
    }
    assert_eq!(front.get("/api/athletes", &cookies).await.status, StatusCode::OK);
    // A session is no state, and a state no session.
    let state = front.get("/connect", "").await.cookies().replace("runnerly-state", "runnerly-session");
    assert_eq!(front.get("/api/athletes", &state).await.problem(401), "not_connected");
}

#[tokio::test]
async fn figures_are_open_on_loopback_and_closed_to_others() {
    let front = Front::new().await;
    front.local().await;
    front.hand_over().await;
    let figures = front.get("/metrics", "").await.text;
    assert!(figures.contains("legwork_queue_depth{queue=\"default\",state=\"available\"} 1"), "{figures}");
    let public = WebOptions { public_url: Some("https://runs.example".into()), ..WebOptions::default() };
    let closed = Front::with(public.clone()).await;
    assert_eq!(closed.get("/metrics", "").await.problem(404), "not_found");
    let guarded = Front::with(WebOptions { metrics_token: Some("hush".into()), ..public }).await;
    assert_eq!(guarded.get("/metrics", "").await.problem(401), "unauthorized");
    for (token, status) in [("Bearer hush", 200), ("Bearer husk", 401), ("Bearer", 401), ("hush", 401)] {
        let ask = request("GET", "/metrics", "").header("authorization", token).body(Body::empty()).unwrap();
        assert_eq!(guarded.send(ask).await.status.as_u16(), status, "{token}");
    }
}

#[tokio::test]
async fn ready_means_that_the_database_answers() {
    let front = Front::new().await;
    assert_eq!(front.get("/readyz", "").await.text, "ready\n");
    front.app.storage.close().await;
    assert_eq!(front.get("/readyz", "").await.problem(503), "database_unavailable");
    assert_eq!(front.get("/healthz", "").await.status, StatusCode::OK);
    let page = front.get("/", "").await;
    assert_eq!(page.status, StatusCode::OK, "the start needs no database");
}
