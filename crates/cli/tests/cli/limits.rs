//! The commands around limits.

use crate::world::World;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_set_shown_and_dropped() {
    let world = World::new().await;
    world.put("a.job", "1").await;
    let ran = world.cli(&["limit", "set", "strava", "--concurrency", "4", "--rate", "100/15m:window"]);
    assert_eq!(ran.good(), "strava: concurrency 4, 100/15m:window\n");
    assert!(world.cli(&["limits"]).good().starts_with("strava: concurrency 4, 100/15m:window\n"));
    let told = world.json(&["limit", "set", "strava", "--key", "7", "--concurrency", "1"]);
    assert_eq!(told["limit"], "strava/7");
    assert_eq!(world.cli(&["limit", "drop", "strava", "--key", "7"]).good(), "strava/7: no rule\n");
    assert_eq!(world.cli(&["limit", "drop", "strava", "--key", "7"]).bad(1), "limit: strava/7 has no rule");
    assert!(world.cli(&["limit", "set", "strava"]).bad(2).contains("--concurrency"));
    assert!(world.cli(&["limit", "set", "strava", "--rate", "100"]).bad(2).contains("100/15m:window"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_is_shown_before_any_job_waits_under_it() {
    let world = World::new().await;
    world.put("a.job", "1").await;
    assert_eq!(world.cli(&["limits"]).good(), "no limits\n");
    assert_eq!(world.json(&["limits"])["blocked"], serde_json::json!([]));
    world.cli(&["limit", "block", "site", "--key", "7", "--for", "2h"]).good();
    let ran = world.cli(&["limits"]);
    let said = ran.good();
    let (line, rest) = said.split_once('\n').expect("lines");
    assert!(line.starts_with("site/7: blocked for 1h 59m, until 20") && line.ends_with('Z'), "{line}");
    assert_eq!(rest, "nothing waits under a limit\n");
    let told = &world.json(&["limits"])["blocked"];
    assert_eq!((told.as_array().map(Vec::len), &told[0]["limit"]), (Some(1), &"site/7".into()));
    let left =
        told[0]["until_ms"].as_i64().expect("an instant") - world.client.backend().now().await.expect("now");
    assert!((7_100_000..=7_200_000).contains(&left), "{left}");
    world.cli(&["limit", "reset", "site", "--key", "7"]).good();
    assert_eq!(world.cli(&["limits"]).good(), "no limits\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_says_by_what() {
    let world = World::new().await;
    let id = world.client.enqueue_raw("a.job", "1").limit("site", 7).await.expect("enqueued").id;
    world.client.limit("site").key(7).block_for(Duration::from_secs(600)).await.expect("blocked");
    world.cli(&["limit", "set", "all", "--rate", "5/1h"]).good();
    assert_eq!(
        world.cli(&["limit", "queue", "default", "all"]).good(),
        "queue default: under the limit all\n"
    );
    // Without a word it is shown, not lifted.
    assert_eq!(world.cli(&["limit", "queue", "default"]).good(), "queue default: under the limit all\n");
    world.cli(&["limit", "queue", "default", "all", "--none"]).bad(2);
    assert!(world.cli(&["limit", "queue", "defualt"]).bad(1).contains("did you mean default?"));
    let told = world.json(&["limits"]);
    assert_eq!(told["queues"], serde_json::json!({"default": "all"}));
    assert!(world.cli(&["limits"]).good().contains("queue default: under the limit all\n"));
    let held: Vec<_> = told["in_use"].as_array().expect("a list").iter().map(|l| &l["held"]).collect();
    assert_eq!((&held[0]["limit"], &held[0]["left"]), (&"all".into(), &5.into()));
    assert_eq!((&held[1]["limit"], &held[1]["waiting"]), (&"site/7".into(), &1.into()));
    assert!(world.cli(&["limits"]).good().contains("site/7"));
    world.cli(&["limit", "block", "all", "--for", "10m"]).good();
    assert!(world.cli(&["limit", "reset", "site", "--key", "7"]).good().contains("nothing is spent"));
    let told = world.json(&["limits"]);
    assert!(told["in_use"][0]["held"]["next_ms"].as_i64() > told["in_use"][1]["held"]["next_ms"].as_i64());
    assert!(told["in_use"][1]["held"]["next_ms"].is_null(), "its block is forgotten");
    assert!(world.json(&["job", &id.to_string()])["why"].is_string());
    let lifted = "queue default: under no limit\n";
    assert_eq!(world.cli(&["limit", "queue", "default", "--none"]).good(), lifted);
    assert_eq!(world.cli(&["limit", "queue", "default"]).good(), lifted);
}
