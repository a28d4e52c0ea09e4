use std::time::Duration;

use reqwest::header::DATE;
use serde_json::json;
use strava_sim::{Limits, Options};

use crate::support::{ALL, assert_error, bed_with, clock, eventually};

fn header(answer: &reqwest::Response, name: &str) -> String {
    answer.headers()[name].to_str().expect("text").to_owned()
}

#[tokio::test]
async fn the_window_refuses_turns_and_remembers_for_the_day() {
    // 15 minutes pass in 0.75 s.
    let limits = Limits { overall: (200, 2_000), read: (3, 1_000) };
    let bed = bed_with(Options { clock: clock(1_200.0), limits, ..Options::default() }).await;
    let token = bed.access(None, ALL).await;
    let refused = eventually("a refusal", || async {
        Some(bed.get(&token, "/athlete").await).filter(|answer| answer.status() == 429)
    });
    let refused = refused.await;
    assert!(refused.headers().get("retry-after").is_none());
    assert_eq!(header(&refused, "x-readratelimit-limit"), "3,1000");
    assert_eq!(header(&refused, "x-ratelimit-limit"), "200,2000");
    assert!(header(&refused, "x-readratelimit-usage").starts_with("3,"));
    assert_error(&refused.json().await.expect("JSON"), ["Application", "rate limit", "exceeded"]);

    let served = eventually("the next window", || async {
        Some(bed.get(&token, "/athlete").await).filter(|answer| answer.status() == 200)
    });
    let served = served.await;
    let usage = header(&served, "x-readratelimit-usage");
    let (short, day) = usage.split_once(',').expect("two figures");
    assert_eq!(short, "1");
    assert!(day.parse::<u32>().expect("a number") > 4, "refused calls count in the day: {usage}");
}

#[tokio::test]
async fn the_date_is_the_simulations_and_says_when_the_window_turns() {
    let clock = clock(0.0);
    let limits = Limits { overall: (10, 20), read: (2, 3) };
    let bed = bed_with(Options { clock: clock.clone(), limits, ..Options::default() }).await;
    let token = bed.access(None, ALL).await;
    let get = || bed.get(&token, "/athlete");
    assert_eq!(header(&get().await, DATE.as_str()), "Tue, 10 Mar 2026 12:00:05 GMT");
    assert_eq!(get().await.status(), 200);
    assert_eq!(get().await.status(), 429);
    clock.advance(Duration::from_secs(894));
    assert_eq!(get().await.status(), 429, "12:14:59");
    clock.advance(Duration::from_secs(1));
    let spent = get().await;
    assert_eq!(spent.status(), 429, "the day is spent by the refusals");
    assert_eq!(header(&spent, "x-readratelimit-usage"), "0,5");
    clock.advance(Duration::from_secs(11 * 3600 + 45 * 60));
    let token = bed.access(None, ALL).await;
    let next = bed.get(&token, "/athlete").await;
    assert_eq!((next.status().as_u16(), header(&next, "x-readratelimit-usage")), (200, "1,1".into()));
}

#[tokio::test]
async fn limits_and_the_clock_can_be_set_while_it_runs() {
    let bed = bed_with(Options { clock: clock(1.0), ..Options::default() }).await;
    let token = bed.access(None, ALL).await;
    let set = bed.sim_post("/sim/limits", json!({"read": [1, 9]})).await;
    assert_eq!(set["limits"], json!({"overall": [20_000, 200_000], "read": [1, 9]}));
    assert_eq!(bed.get(&token, "/athlete").await.status(), 200);
    assert_eq!(bed.get(&token, "/athlete").await.status(), 429);
    bed.sim_post("/sim/clock", json!({"advance_seconds": 900})).await;
    assert_eq!(bed.get(&token, "/athlete").await.status(), 200);
    assert_eq!(bed.get(&token, "/athlete").await.status(), 429);
    bed.sim_post("/sim/limits", json!({"reset": true})).await;
    assert_eq!(bed.get(&token, "/athlete").await.status(), 200);
    assert_eq!(bed.state().await["counters"]["refused: rate limit"], 2);
}
