//! Recordings of the real Strava, read with the code that reads its answers.

use super::api::{Athlete, Page, Stats, read_streams};
use super::limits::Usage;
use super::oauth::tokens;
use super::*;
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use secrecy::ExposeSecret;
use serde_json::Value;

fn recording(name: &str) -> Option<String> {
    let path = format!("{}/../../../shared/strava/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).ok();
    if text.is_none() {
        println!("skipped: no recording {name}");
    }
    text
}

fn json(name: &str) -> Option<Value> {
    recording(name).map(|text| serde_json::from_str(&text).unwrap())
}

/// The recorded exchanges whose name is `fixture`.
fn exchanges(fixture: &str) -> Vec<Value> {
    let Some(all) = json("strava-http-examples.json") else {
        return Vec::new();
    };
    let found: Vec<Value> = all["exchanges"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["fixture"] == fixture)
        .cloned()
        .collect();
    assert!(!found.is_empty(), "{fixture}");
    found
}

fn headers(json: &Value) -> HeaderMap {
    let pairs = json.as_object().unwrap().iter();
    pairs.map(|(name, value)| (name.parse().unwrap(), value.as_str().unwrap().parse().unwrap())).collect()
}

#[test]
fn the_whole_list_is_read() {
    let Some(text) = recording("strava-activities-1132.jsonl") else {
        return;
    };
    let records = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let page = Page::read(Value::Array(records), Utc::now()).unwrap();
    assert_eq!(page.refused, []);
    assert_eq!(page.activities.len(), 1132);
    let runs = page.activities.iter().filter(|one| one.activity.is_run());
    assert_eq!(runs.clone().count(), 908);
    assert_eq!(runs.clone().filter(|one| one.activity.average_hr.is_none()).count(), 86);
    assert_eq!(runs.filter(|one| one.activity.is_race()).count(), 84);
    // Started on New Year's Eve, though it was the new year in UTC.
    let eve = page.activities.iter().find(|one| one.activity.id == 1_335_501_607).unwrap();
    assert_eq!(eve.activity.start_local.to_string(), "2017-12-31 23:59:07");
    assert_eq!(eve.raw.as_ref().unwrap()["athlete"]["id"], 26_462_176);
}

#[test]
fn details_and_streams_are_read() {
    let details = ["strava-activity-4437021783.json", "strava-activity-1946417534-marathon.json"];
    for (json, meters) in
        details.into_iter().zip([12_019.7, 42_288.1]).filter_map(|(name, m)| Some((json(name)?, m)))
    {
        let activity = crate::run::Activity::from_strava(&json).unwrap();
        assert!(activity.is_run() && (activity.distance_m - meters).abs() < 500.0, "{}", activity.distance_m);
    }
    let Some(json) = json("strava-streams-4437021783.json") else {
        return;
    };
    let streams = read_streams(&json).unwrap().unwrap();
    assert_eq!((streams.len(), streams.time.last().copied()), (1747, Some(5145)));
}

#[test]
fn recorded_faults_are_what_they_are() {
    for (fixture, expected) in [
        (
            "client/authorization_error",
            "Strava does not accept the token: Authorization Error (Application invalid)",
        ),
        (
            "oauth/token_invalid_code",
            "Strava does not accept the token: Bad Request (RequestToken code invalid)",
        ),
        (
            "oauth/token_invalid_client",
            "Strava refuses the call (400): Bad Request (Application client_id invalid)",
        ),
    ] {
        for exchange in exchanges(fixture) {
            let answer = &exchange["response"];
            let status = StatusCode::from_u16(answer["status"].as_u64().unwrap() as u16).unwrap();
            let error = Error::from_answer(
                status,
                &headers(&answer["headers"]),
                answer["body"].to_string().as_bytes(),
            );
            assert_eq!(error.to_string(), expected);
        }
    }
}

#[test]
fn recorded_tokens_are_read() {
    for exchange in exchanges("oauth/token_authorization_code") {
        let body = &exchange["response"]["body"];
        let read = tokens(body, Utc::now()).unwrap();
        assert_eq!(read.refresh.expose_secret(), body["refresh_token"].as_str().unwrap());
        assert_eq!(Athlete::read(&body["athlete"]).unwrap().id, 12_342_176);
    }
    for exchange in exchanges("oauth/token_refresh_token") {
        let read = tokens(&exchange["response"]["body"], Utc::now()).unwrap();
        assert_eq!(read.expires_at.timestamp(), 1_542_940_199);
    }
}

#[test]
fn recorded_statistics_are_read_although_integers_are_floats() {
    for exchange in exchanges("client/athlete_stats") {
        let stats = Stats::read(&exchange["response"]["body"]);
        assert_eq!((stats.recent.count, stats.all.count), (19, 905));
        assert_eq!((stats.year.distance_m, stats.year.moving_s), (1_336_128.0, 474_287.0));
        let usage = Usage::read(&headers(&exchange["response"]["headers"])).unwrap();
        assert_eq!(usage.read.unwrap().day, Count { used: 211, limit: 1000 });
        assert_eq!(usage.at.to_rfc3339(), "2025-10-18T23:04:27+00:00");
    }
}

/// While the recorded list was fetched, the read limit of the quarter hour was reached: a client that had heeded the
/// headers would have stopped there, and gone on where the recording shows a fresh window.
#[test]
fn the_recorded_counters_would_have_been_heeded() {
    let Some(all) = json("strava-http-examples.json") else {
        return;
    };
    let sequence = all["listing_usage_sequence"].as_array().unwrap();
    let read = |one: &Value| {
        let mut one = one.as_object().unwrap().clone();
        one.retain(|name, _| name == "date" || name.starts_with("x-"));
        Usage::read(&headers(&Value::Object(one))).unwrap()
    };
    let usages: Vec<Usage> = sequence.iter().map(read).collect();
    assert_eq!(usages.len(), 39);
    let mut pauses = 0;
    for pair in usages.windows(2) {
        assert!(pair[1].is_newer_than(&pair[0]));
        let stop: Option<DateTime<Utc>> = pair[0].pause(0).map(|pause| pause.until);
        if let Some(until) = stop {
            pauses += 1;
            assert!(until <= pair[1].at && pair[1].at - until < TimeDelta::minutes(15));
            assert!(pair[1].read.unwrap().short.used < pair[0].read.unwrap().short.used);
        }
    }
    assert_eq!(pauses, 1);
}
