use std::collections::BTreeSet;

use serde_json::Value;
use strava_sim::Options;

use crate::support::{ALL, Bed, bed, bed_with, clock, id};

fn started(activity: &Value) -> &str {
    activity["start_date"].as_str().expect("a date")
}

fn epoch(activity: &Value) -> i64 {
    started(activity).parse::<chrono::DateTime<chrono::Utc>>().expect("a date").timestamp()
}

async fn page_by_page(bed: &Bed, token: &str, size: usize) -> Vec<Vec<Value>> {
    let mut pages = Vec::new();
    loop {
        let page = bed.list(token, &format!("per_page={size}&page={}", pages.len() + 1)).await;
        if page.is_empty() {
            return pages;
        }
        pages.push(page);
    }
}

#[tokio::test]
async fn three_years_newest_first_and_only_the_end_is_empty() {
    let bed = bed().await;
    let token = bed.access(None, ALL).await;
    let all = bed.all(&token).await;
    assert!((350..=450).contains(&all.len()), "{} activities", all.len());
    assert!(all.windows(2).all(|pair| started(&pair[0]) >= started(&pair[1])));
    assert!(epoch(&all[0]) - epoch(&all[all.len() - 1]) > 1_050 * 86_400);

    let pages = page_by_page(&bed, &token, 30).await;
    assert_eq!(pages.concat(), all);
    let short = pages.iter().position(|page| page.len() < 30).expect("a short page");
    assert!(short + 1 < pages.len(), "a short page comes before the end");
    assert_eq!(bed.list(&token, "").await.len(), pages[0].len(), "30 is the default");
    assert!(bed.list(&token, "page=9999").await.is_empty());

    let ids: BTreeSet<i64> = all.iter().map(id).collect();
    assert_eq!(ids.len(), all.len());
    let against = all.windows(2).filter(|pair| id(&pair[0]) < id(&pair[1])).count();
    assert!(against > 0, "some were uploaded late");
    assert!(all.iter().all(|one| id(one) > i64::from(u32::MAX)));
}

#[tokio::test]
async fn the_history_is_varied() {
    let bed = bed().await;
    let token = bed.access(None, ALL).await;
    let all = bed.all(&token).await;
    let having = |test: &dyn Fn(&Value) -> bool| all.iter().filter(|one| test(one)).count();
    for sport in ["Run", "TrailRun", "VirtualRun", "Ride", "Swim"] {
        assert!(having(&|one| one["sport_type"] == sport) > 0, "{sport}");
    }
    for workout in 0..=3 {
        assert!(having(&|one| one["workout_type"] == workout) > 5, "workout_type {workout}");
    }
    let indoor = |one: &Value| one["sport_type"] == "Run" && one["trainer"] == true;
    assert!(having(&|one| indoor(one) && one["start_latlng"] == serde_json::json!([])) > 3);
    assert!(having(&|one| one.get("average_heartrate").is_none() && one["has_heartrate"] == false) > 10);
    assert!(having(&|one| one["average_heartrate"].is_null() && one.get("average_heartrate").is_some()) == 0);
    let local = |one: &Value| one["start_date_local"].as_str().expect("a date").to_owned();
    assert!(having(&|one| local(one)[..10] != started(one)[..10]) > 0, "another date in UTC");
    assert_eq!(having(&|one| local(one).contains("-12-31T23:36")), 3, "into three new years");
    let zones: BTreeSet<&str> = all.iter().filter_map(|one| one["timezone"].as_str()).collect();
    assert!(zones.contains("(GMT+01:00) Europe/Berlin") && zones.len() >= 2, "{zones:?}");
    assert!(having(&|one| one["distance"].as_f64() > Some(42_195.0) && one["workout_type"] == 1) >= 1);
    assert!(having(&|one| one["distance"].is_i64()) > 0 && having(&|one| one["distance"].is_f64()) > 0);

    // A year makes the easy runs faster.
    let easy = |from: &str, to: &str| {
        let of_year = |one: &&Value| {
            one["workout_type"] == 0 && one["sport_type"] == "Run" && (from..to).contains(&started(one))
        };
        let speeds: Vec<f64> =
            all.iter().filter(of_year).filter_map(|one| one["average_speed"].as_f64()).collect();
        speeds.iter().sum::<f64>() / speeds.len() as f64
    };
    assert!(easy("2025-09", "2026-03") > 1.04 * easy("2023-03", "2023-09"));
}

#[tokio::test]
async fn before_and_after_cut_and_after_turns_the_order() {
    let bed = bed().await;
    let token = bed.access(None, ALL).await;
    let all = bed.all(&token).await;
    let (new, old) = (epoch(&all[10]), epoch(&all[20]));
    let mut between = bed.list(&token, &format!("after={old}&before={new}")).await;
    assert_eq!(between.len(), 9);
    assert!(between.windows(2).all(|pair| started(&pair[0]) < started(&pair[1])));
    between.reverse();
    assert_eq!(between[..], all[11..20]);
    assert_eq!(bed.list(&token, &format!("before={new}&per_page=9")).await[0], all[11]);

    let list = "/athlete/activities";
    let future = ["Activity", "after", "future"];
    bed.fault(&token, &format!("{list}?after={new}000"), 400, future).await;
    bed.fault(&token, &format!("{list}?per_page=201"), 400, ["Application", "per page", "limit exceeded"])
        .await;
    bed.fault(&token, &format!("{list}?per_page=0"), 400, ["Activity", "per_page", "invalid"]).await;
    bed.fault(&token, &format!("{list}?page={}", i64::MIN), 400, ["Activity", "page", "invalid"]).await;
    bed.fault(&token, &format!("{list}?page=0"), 400, ["Activity", "page", "invalid"]).await;
    bed.fault(&token, &format!("{list}?before=soon"), 400, ["Activity", "before", "invalid"]).await;
}

#[tokio::test]
async fn scopes_decide_what_is_seen() {
    let bed = bed().await;
    let (full, some) = (bed.access(None, ALL).await, bed.access(None, "read,activity:read").await);
    let all = bed.all(&full).await;
    let hidden: Vec<&Value> = all.iter().filter(|one| one["visibility"] == "only_me").collect();
    assert!(!hidden.is_empty());
    assert_eq!(bed.all(&some).await.len(), all.len() - hidden.len());
    let path = format!("/activities/{}", id(hidden[0]));
    bed.ok(&full, &path).await;
    bed.fault(&some, &path, 404, ["Activity", "id", "invalid"]).await;

    let none = bed.access(None, "read").await;
    let missing = ["AccessToken", "activity:read_permission", "missing"];
    bed.fault(&none, "/athlete/activities", 401, missing).await;
    assert_eq!(bed.ok(&none, "/athlete").await["resource_state"], 2);
    assert_eq!(bed.ok(&full, "/athlete").await["resource_state"], 3);
    bed.fault(&none, "/athlete/zones", 401, ["AccessToken", "profile:read_all_permission", "missing"]).await;

    let other = bed.access(Some(70_000_003), ALL).await;
    bed.fault(&other, &path, 404, ["Activity", "id", "invalid"]).await;
    assert!(bed.all(&bed.access(Some(70_000_004), ALL).await).await.is_empty());
}

#[tokio::test]
async fn the_seed_decides_and_the_prefix_does_not() {
    let with = |seed| bed_with(Options { seed, clock: clock(1.0), ..Options::default() });
    let (one, same, other) = tokio::join!(with(4), with(4), with(5));
    let mut lists = Vec::new();
    for bed in [&one, &same, &other] {
        let token = bed.access(None, ALL).await;
        let all = bed.all(&token).await;
        let path = format!("/activities/{}", id(&all[0]));
        let streams = bed.ok(&token, &format!("{path}/streams?keys=time,distance&key_by_type=true")).await;
        lists.push((bed.ok(&token, &path).await, streams, all));
    }
    assert_eq!(lists[0], lists[1]);
    assert_ne!(lists[0].2, lists[2].2);

    let token = one.access(None, ALL).await;
    let bare = one.http.get(one.url("/athlete/activities?per_page=5")).bearer_auth(&token).send().await;
    let bare: Vec<Value> = bare.expect("an answer").json().await.expect("JSON");
    assert_eq!(bare[..], lists[0].2[..5]);
    let unknown = one.get(&token, "/clubs/1/members").await;
    assert_eq!(unknown.status(), 404);
}

#[tokio::test]
async fn profile_stats_and_gear_agree_with_the_list() {
    let bed = bed().await;
    let token = bed.access(None, ALL).await;
    let all = bed.all(&token).await;
    let stats = bed.ok(&token, "/athletes/70000001/stats").await;
    let runs = ["Run", "TrailRun", "VirtualRun"];
    let counted = all.iter().filter(|one| {
        one["visibility"] == "everyone" && runs.contains(&one["sport_type"].as_str().unwrap_or_default())
    });
    assert_eq!(stats["all_run_totals"]["count"], counted.count());
    assert!(stats["ytd_run_totals"]["moving_time"].is_f64());
    assert!(stats["recent_run_totals"]["achievement_count"].is_i64());
    assert_eq!(bed.get(&token, "/athletes/70000002/stats").await.status(), 403);

    let profile = bed.ok(&token, "/athlete").await;
    let shoe = profile["shoes"][0]["id"].as_str().expect("a shoe");
    let gear = bed.ok(&token, &format!("/gear/{shoe}")).await;
    let worn = all.iter().filter(|one| one["gear_id"] == shoe).filter_map(|one| one["distance"].as_f64());
    assert!((gear["distance"].as_f64().expect("metres") - worn.sum::<f64>()).abs() < 1.0);
    let zones = bed.ok(&token, "/athlete/zones").await;
    assert_eq!(zones["heart_rate"]["zones"][4]["max"], -1);
}
