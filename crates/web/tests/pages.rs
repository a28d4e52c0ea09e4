//! The pages, without JavaScript: what they show, and to whom.

mod common;

use axum::body::Body;
use axum::http::StatusCode;
use common::{DETAILED, Front, LOCAL, request, seed};
use runnerly_web::WebOptions;

#[tokio::test]
async fn a_stranger_sees_what_it_is_and_how_to_begin() {
    let front = Front::new().await;
    let page = front.get("/", "").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("href=\"/connect\"") && page.text.contains("href=\"/upload\""));
    for path in ["/runs", "/stats", "/records", "/runs/7", "/account", "/plan", "/messages"] {
        let page = front.get(path, "").await;
        assert_eq!((page.status, page.header("location")), (StatusCode::SEE_OTHER, "/"), "{path}");
    }
}

#[tokio::test]
async fn a_runner_sees_everything_and_nothing_is_interpreted() {
    let front = Front::new().await;
    let cookies = front.local().await;
    seed(&front.app.storage, LOCAL, 800, 30).await;
    let detail = format!("/runs/{DETAILED}");
    for path in [
        "/",
        "/runs",
        "/runs?page=2",
        "/stats",
        "/stats?by=week",
        "/stats?by=month",
        "/records",
        &detail,
        "/account",
        "/upload",
        "/plan",
        "/messages",
    ] {
        let page = front.get(path, &cookies).await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text);
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert!(
            !page.text.contains("<script>alert")
                && !page.text.contains(" style=")
                && !page.text.contains("NaN"),
            "{path}"
        );
        assert!(page.text.contains("<main") && page.text.contains("lang=\"en\""));
    }
    let home = front.get("/", &cookies).await.text;
    assert_eq!(home.matches("<svg class=\"chart").count(), 8, "four charts, wide and narrow");
    assert!(home.contains("10K") && home.contains("Eddington number"));
    let runs = front.get("/runs", &cookies).await.text;
    assert!(runs.contains("&#60;script&#62;") && runs.contains("Untitled run") && runs.contains("{{7*7}}"));
    let run = front.get(&detail, &cookies).await.text;
    assert!(run.contains("Best efforts") && run.contains("Zone 5") && run.contains("/km</td>"));
    let miles = front.get(&format!("{detail}?unit=mi"), &cookies).await.text;
    assert!(miles.contains("/mi</td>") && !miles.contains("/km</td><td class=\"bar-cell\""));
}

#[tokio::test]
async fn runs_are_paged_and_filtered_by_year() {
    let front = Front::new().await;
    let cookies = front.local().await;
    seed(&front.app.storage, LOCAL, 800, 0).await;
    let first = front.get("/runs", &cookies).await.text;
    assert_eq!(first.matches("class=\"date\"").count(), 50);
    assert!(first.contains("rel=\"next\"") && !first.contains("rel=\"prev\""));
    let none = front.get("/runs?year=1999", &cookies).await.text;
    assert!(none.contains("There is no run in 1999"));
    let last = front.get("/runs?page=99", &cookies).await.text;
    assert!(last.contains("rel=\"prev\"") && !last.contains("rel=\"next\""));
    for bad in [
        "/runs?page=0",
        "/runs?page=x",
        "/runs?page=1&page=2",
        "/runs?year=99999",
        "/runs?colour=red",
        "/stats?by=day",
    ] {
        let page = front.get(bad, &cookies).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{bad}");
        assert!(page.text.contains("<h1>"), "a page, not bare text: {bad}");
    }
}

#[tokio::test]
async fn what_is_not_there_yet_says_why() {
    let front = Front::new().await;
    let cookies = front.local().await;
    seed(&front.app.storage, LOCAL, 30, 0).await;
    let run = front.get(&format!("/runs/{DETAILED}"), &cookies).await.text;
    assert!(run.contains("not fetched yet: no worker is running."), "{run}");
    let upload = front.get("/upload", &cookies).await.text;
    assert!(upload.contains("1 waiting: no worker is running."), "{upload}");
    let records = front.get("/records", &cookies).await.text;
    assert!(records.contains("No records yet"));
}

#[tokio::test]
async fn files_of_a_wrong_kind_are_named_and_the_others_taken() {
    let front = Front::new().await;
    let files = [("../a.gpx", "<gpx/>"), ("b.pdf", "x"), ("empty.fit", "")];
    let page = front.upload("/upload", "", &files).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.text.contains("b.pdf: not a kind of file that can be read; allowed are .gpx, .tcx, .fit"));
    assert!(page.text.contains("empty.fit: the file is empty"));
    let uploads = front.app.storage.uploads(LOCAL, 10).await.unwrap();
    assert_eq!(uploads.iter().map(|upload| upload.name.as_str()).collect::<Vec<_>>(), ["a.gpx"]);
    assert_eq!(front.hand_over().await, 1);
    assert_eq!(front.app.jobs.queues().await.unwrap()[0].count(legwork::State::Available), 1);
}

#[tokio::test]
async fn signing_out_and_deleting() {
    let front = Front::new().await;
    let cookies = front.local().await;
    seed(&front.app.storage, LOCAL, 30, 2).await;
    let out = front.form("/account/leave", &cookies, "").await;
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    assert!(front.app.storage.athlete(LOCAL).await.unwrap().is_some());
    let foreign = front.form("/disconnect", &cookies, "athlete=7&delete=yes").await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    let gone = front.form("/disconnect", &cookies, "athlete=0&delete=yes").await;
    assert_eq!(gone.header("location"), "/?note=deleted");
    assert!(front.app.storage.athlete(LOCAL).await.unwrap().is_none());
    let page = front.get("/", &cookies).await.text;
    assert!(page.contains("Connect with Strava"), "the old cookie shows nobody");
}

#[tokio::test]
async fn on_a_public_server_strangers_share_no_athlete() {
    let options = WebOptions { public_url: Some("https://runs.example".into()), ..WebOptions::default() };
    let front = Front::with(options).await;
    let answer = front.upload("/upload", "", &[("run.gpx", "<gpx/>")]).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(front.app.storage.athletes().await.unwrap().is_empty());
    let begun = front.get("/connect", "").await;
    let cookie = begun.header("set-cookie");
    assert!(cookie.starts_with("__Host-runnerly-state=") && cookie.ends_with("; Secure"), "{cookie}");
    assert!(
        begun.header("location").contains("redirect_uri=https%3A%2F%2Fruns.example%2Fconnect%2Fcallback")
    );
}

#[tokio::test]
async fn errors_are_pages() {
    let front = Front::new().await;
    for (method, path, status) in
        [("GET", "/nope", 404), ("DELETE", "/runs", 405), ("POST", "/", 405), ("TRACE", "/", 405)]
    {
        let answer = front.send(request(method, path, "").body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}");
        assert!(
            answer.text.contains("<h1>") && answer.text.contains("href=\"/\""),
            "{method} {path}: {}",
            answer.text
        );
    }
    let cookies = front.local().await;
    for id in ["x", "0", "..%2f..%2fetc%2fpasswd", "%00", "99999999999999999999"] {
        assert_eq!(front.get(&format!("/runs/{id}"), &cookies).await.status, StatusCode::NOT_FOUND, "{id}");
    }
}
