use reqwest::header::LOCATION;
use serde_json::Value;
use strava_sim::{Options, SimClock};
use url::Url;

use crate::support::{ALL, assert_error, bed, bed_with, clock, start, text};

const ASK: &str = "/oauth/authorize?client_id=12345&response_type=code&approval_prompt=auto\
    &redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fback%3Fkeep%3D1&scope=read,activity:read,activity:read_all&state=a%22%3Cb";

fn form<'a>(decision: &'a str, granted: &[&'a str]) -> Vec<(&'a str, &'a str)> {
    let mut form = vec![
        ("client_id", "12345"),
        ("response_type", "code"),
        ("redirect_uri", "http://127.0.0.1:9/back?keep=1"),
        ("scope", "read,activity:read,activity:read_all"),
        ("state", "a\"<b"),
        ("athlete", "70000002"),
        ("decision", decision),
    ];
    form.extend(granted.iter().map(|scope| ("granted", *scope)));
    form
}

async fn decide(bed: &crate::support::Bed, form: &[(&str, &str)]) -> Vec<(String, String)> {
    let answer = bed.http.post(bed.url("/oauth/authorize")).form(form).send().await.expect("an answer");
    assert_eq!(answer.status(), 302);
    let to = Url::parse(answer.headers()[LOCATION].to_str().expect("text")).expect("an address");
    assert_eq!((to.port(), to.path()), (Some(9), "/back"));
    to.query_pairs().into_owned().collect()
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[tokio::test]
async fn the_page_asks_and_the_answer_goes_back() {
    let bed = bed().await;
    let page = bed.http.get(bed.url(ASK)).send().await.expect("a page");
    assert_eq!(page.status(), 200);
    let page = page.text().await.expect("text");
    assert!(page.contains("This is a simulation"));
    assert!(page.contains("127.0.0.1:9"));
    assert!(!page.contains("a\"<b"), "what comes from the address is escaped");
    assert_eq!(page.matches("type=\"checkbox\"").count(), 3);
    assert_eq!(page.matches("type=\"radio\"").count(), 4);

    let back = decide(&bed, &form("authorize", &["read", "activity:read", "profile:write"])).await;
    assert_eq!(back[..2], [pair("keep", "1"), pair("state", "a\"<b")]);
    assert_eq!(back[3], pair("scope", "read,activity:read"), "unticked and never asked are left out");
    let code = &back[2].1;
    let (status, tokens) = bed.token(&[("grant_type", "authorization_code"), ("code", code)]).await;
    assert_eq!(status, 200);
    assert_eq!(tokens["athlete"]["id"], 70_000_002);
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], 21_600);
    let (status, body) = bed.token(&[("grant_type", "authorization_code"), ("code", code)]).await;
    assert_eq!(status, 400);
    assert_error(&body, ["RequestToken", "code", "invalid"]);
}

#[tokio::test]
async fn cancelling_is_told() {
    let bed = bed().await;
    let back = decide(&bed, &form("cancel", &["read"])).await;
    assert_eq!(back[1..], [pair("state", "a\"<b"), pair("error", "access_denied")]);
}

#[tokio::test]
async fn odd_requests_to_authorize_are_refused() {
    let bed = bed().await;
    let cases = [
        ("client_id=12345", "client_id=7", ["Application", "client_id", "invalid"]),
        ("response_type=code", "response_type=token", ["Authorize", "response_type", "invalid"]),
        ("127.0.0.1", "example.com", ["Application", "redirect_uri", "invalid"]),
        ("127.0.0.1", "127.0.0.1.example.com", ["Application", "redirect_uri", "invalid"]),
        ("scope=read", "scope=everything", ["Authorize", "scope", "invalid"]),
    ];
    for (good, odd, error) in cases {
        let answer = bed.http.get(bed.url(&ASK.replace(good, odd))).send().await.expect("an answer");
        assert_eq!(answer.status(), 400, "{odd}");
        assert_error(&answer.json().await.expect("JSON"), error);
    }
    let (status, body) = bed.token(&[("client_id", "client-id"), ("grant_type", "refresh_token")]).await;
    assert_eq!(status, 400);
    assert_error(&body, ["Application", "client_id", "invalid"]);
}

#[tokio::test]
async fn refresh_tokens_rotate_and_access_tokens_last_six_hours() {
    let clock = clock(1.0);
    let bed = bed_with(Options { clock: clock.clone(), ..Options::default() }).await;
    let first = bed.connect(None, ALL).await;
    clock.advance(std::time::Duration::from_secs(7_318));
    let (status, second) = bed.refresh(&text(&first, "refresh_token")).await;
    assert_eq!(status, 200);
    assert_eq!(second["access_token"], first["access_token"]);
    assert_eq!(second["expires_at"], first["expires_at"]);
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    assert!(second.get("athlete").is_none());
    let left = second["expires_in"].as_i64().expect("seconds");
    assert!((14_270..=14_282).contains(&left), "{left}");

    let (status, body) = bed.refresh(&text(&first, "refresh_token")).await;
    assert_eq!(status, 400);
    assert_error(&body, ["RefreshToken", "refresh_token", "invalid"]);

    clock.advance(std::time::Duration::from_secs(14_300));
    let answer = bed.get(&text(&second, "access_token"), "/athlete").await;
    assert_eq!(answer.status(), 401);
    assert!(answer.headers().get("x-ratelimit-usage").is_none());
    assert_error(&answer.json().await.expect("JSON"), ["Application", "", "invalid"]);
    let (_, third) = bed.refresh(&text(&second, "refresh_token")).await;
    assert_ne!(third["access_token"], second["access_token"]);
    assert_eq!(third["expires_in"], 21_600);
    bed.ok(&text(&third, "access_token"), "/athlete").await;
}

#[tokio::test]
async fn a_restart_keeps_tokens_even_without_a_proper_end() {
    let mut bed = bed().await;
    let first = bed.connect(None, ALL).await;
    let (_, second) = bed.refresh(&text(&first, "refresh_token")).await;
    // What is on the disk at the moment of the answer is what a kill leaves.
    let copy = tempfile::tempdir().expect("a temporary folder");
    let file = "strava-sim.json";
    std::fs::copy(bed.dir.path().join(file), copy.path().join(file)).expect("the state file");
    let old = bed.sim.addr();
    let options = || Options { clock: clock(1.0), ..Options::default() };
    bed.sim = start(copy.path(), options()).await;
    assert_ne!(bed.sim.addr(), old);
    bed.ok(&text(&second, "access_token"), "/athlete").await;
    assert_eq!(bed.refresh(&text(&first, "refresh_token")).await.0, 400);
    let (status, third) = bed.refresh(&text(&second, "refresh_token")).await;
    assert_eq!(status, 200);

    let again = start(bed.dir.path(), options());
    let again = tokio::time::timeout(std::time::Duration::from_secs(5), again).await.expect("in time");
    let replaced = std::mem::replace(&mut bed.sim, again);
    replaced.stop().await;
    assert_eq!(bed.refresh(&text(&third, "refresh_token")).await.0, 400, "another folder, another state");
}

#[tokio::test]
async fn a_folder_in_use_and_an_address_off_loopback_are_refused() {
    let bed = bed().await;
    let line = |error: anyhow::Error| format!("{error:#}");
    let options =
        Options { data_dir: bed.dir.path().into(), clock: SimClock::default(), ..Options::default() };
    let error = strava_sim::start(options).await.err().map(line).expect("refused");
    assert!(error.starts_with("data_dir ") && error.ends_with("another strava-sim is using it"), "{error}");
    let options = Options { listen: "0.0.0.0:0".parse().expect("an address"), ..Options::default() };
    let error = strava_sim::start(options).await.err().map(line).expect("refused");
    assert!(error.starts_with("listen 0.0.0.0:0: must be a loopback address"), "{error}");
}

#[tokio::test]
async fn both_ways_to_leave_end_all_tokens() {
    let bed = bed().await;
    let tokens = bed.connect(None, ALL).await;
    let token = text(&tokens, "access_token");
    let answer =
        bed.http.post(bed.url("/oauth/deauthorize")).bearer_auth(&token).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["x-ratelimit-usage"], "1,1");
    assert_eq!(answer.headers()["x-readratelimit-usage"], "0,0", "not a read");
    assert_eq!(answer.json::<Value>().await.expect("JSON")["access_token"], token.as_str());
    assert_eq!(bed.get(&token, "/athlete").await.status(), 401);
    assert_eq!(bed.refresh(&text(&tokens, "refresh_token")).await.0, 400);

    let tokens = bed.connect(None, ALL).await;
    let revoke =
        || bed.http.post(bed.url("/oauth/revoke")).form(&[("token", tokens["refresh_token"].as_str())]);
    let answer = revoke().basic_auth("12345", Some("wrong")).send().await.expect("an answer");
    assert_eq!(answer.status(), 401);
    let answer = revoke().basic_auth("12345", Some("simulated-secret")).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(bed.get(&text(&tokens, "access_token"), "/athlete").await.status(), 401);
}
