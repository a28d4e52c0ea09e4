use serde_json::Value;

use crate::support::{ALL, bed, id};

const KEYS: &str =
    "time,distance,latlng,altitude,velocity_smooth,heartrate,cadence,moving,grade_smooth,watts,temp";

fn floats(streams: &Value, key: &str) -> Vec<f64> {
    let data = streams[key]["data"].as_array().expect("a list");
    data.iter().map(|one| one.as_f64().expect("a number")).collect()
}

fn near(left: f64, right: f64, by: f64, what: &str) {
    assert!((left - right).abs() <= by, "{what}: {left} and {right}");
}

/// Streams against the summary they were taken from.
fn check_streams(summary: &Value, streams: &Value) {
    let number = |name: &str| summary[name].as_f64().expect("a number");
    let (time, distance) = (floats(streams, "time"), floats(streams, "distance"));
    let last = time.len() - 1;
    assert_eq!(time[0], 0.0);
    assert!(time.windows(2).all(|pair| pair[1] > pair[0]));
    assert!(distance.windows(2).all(|pair| pair[1] >= pair[0]));
    near(distance[last], number("distance"), 0.05, "distance");
    near(time[last], number("elapsed_time"), 0.0, "elapsed_time");
    let moved = streams["moving"]["data"].as_array().expect("a list");
    let moving: f64 = (1..=last).filter(|&at| moved[at] == true).map(|at| time[at] - time[at - 1]).sum();
    near(moving, number("moving_time"), 1.0, "moving_time");
    let seconds = if summary["workout_type"] == 1 { number("elapsed_time") } else { number("moving_time") };
    near(number("average_speed"), number("distance") / seconds, 0.0011, "average_speed");
    for (_, stream) in streams.as_object().expect("streams") {
        assert_eq!(stream["data"].as_array().expect("a list").len(), time.len());
        assert_eq!(stream["original_size"], time.len());
    }
    let steps: Vec<f64> = time.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(steps.iter().any(|step| *step > 1.0), "not one point a second");
    if streams.get("heartrate").is_some() {
        let highest = floats(streams, "heartrate").into_iter().fold(0.0, f64::max);
        near(highest, number("max_heartrate"), 0.0, "max_heartrate");
        assert!((90.0..200.0).contains(&number("average_heartrate")));
    } else {
        assert!(summary.get("average_heartrate").is_none());
    }
    if let Some(points) = streams.get("latlng") {
        near(way(points), number("distance"), number("distance") * 0.01, "length of the way");
    } else {
        assert_eq!(summary["start_latlng"], serde_json::json!([]));
        assert!(summary.get("elev_high").is_none());
    }
}

/// Metres along the positions.
fn way(points: &Value) -> f64 {
    let points: Vec<[f64; 2]> = serde_json::from_value(points["data"].clone()).expect("positions");
    let metres = |pair: &[[f64; 2]]| {
        let north = (pair[1][0] - pair[0][0]).to_radians() * 6_371_008.8;
        let east = (pair[1][1] - pair[0][1]).to_radians() * 6_371_008.8 * pair[0][0].to_radians().cos();
        north.hypot(east)
    };
    points.windows(2).map(metres).sum()
}

/// Splits, laps and best efforts against the streams.
fn check_detail(detail: &Value, streams: &Value) {
    let (time, distance) = (floats(streams, "time"), floats(streams, "distance"));
    let total = distance[distance.len() - 1];
    for (name, length) in [("splits_metric", 1_000.0), ("splits_standard", 1_609.344), ("laps", 0.0)] {
        let parts = detail[name].as_array().expect("parts");
        let sum = |field: &str| parts.iter().filter_map(|part| part[field].as_f64()).sum::<f64>();
        near(sum("distance"), total, 0.1 * parts.len() as f64, name);
        near(sum("elapsed_time"), time[time.len() - 1], 0.0, name);
        for part in &parts[..parts.len() - 1] {
            if length > 0.0 {
                near(part["distance"].as_f64().expect("metres"), length, 30.0, name);
            }
        }
    }
    let efforts = detail["best_efforts"].as_array().expect("efforts");
    for effort in efforts {
        assert!(id(effort) > 1 << 53);
        let at = |name: &str| effort[name].as_u64().expect("an index") as usize;
        let (from, to) = (at("start_index"), at("end_index"));
        let (metres, seconds) = (effort["distance"].as_f64(), effort["elapsed_time"].as_f64());
        let (metres, seconds) = (metres.expect("metres"), seconds.expect("seconds"));
        assert!(distance[to] - distance[from] >= metres - 0.11);
        assert!(time[to] - time[from + 1] <= seconds && seconds <= time[to] - time[from] + 1.0);
        for start in 0..time.len() {
            // No stretch between points is faster than the best.
            let end = distance.partition_point(|one| *one < distance[start] + metres);
            if end < time.len() {
                assert!(time[end] - time[start] >= seconds - 1.0, "{}", effort["name"]);
            }
        }
    }
    assert_eq!(efforts.len(), efforts.iter().filter(|one| one["distance"].as_f64() <= Some(total)).count());
}

#[tokio::test]
async fn streams_and_details_agree_with_summaries() {
    let bed = bed().await;
    let token = bed.access(None, ALL).await;
    let all = bed.all(&token).await;
    let odd = |one: &&Value| {
        one["trainer"] == true
            || one["workout_type"] == 1
            || one["workout_type"] == 3
            || one["sport_type"] != "Run"
    };
    let chosen = all.iter().step_by(12).chain(all.iter().filter(odd).step_by(6));
    let mut checked = 0;
    for summary in chosen.filter(|one| one["manual"] == false) {
        let path = format!("/activities/{}", id(summary));
        let streams = bed.ok(&token, &format!("{path}/streams?keys={KEYS}&key_by_type=true")).await;
        check_streams(summary, &streams);
        let detail = bed.ok(&token, &path).await;
        for (field, value) in summary.as_object().expect("fields") {
            if !matches!(field.as_str(), "resource_state" | "map") {
                assert_eq!(&detail[field], value, "{field}");
            }
        }
        assert_eq!(detail["resource_state"], 3);
        if detail.get("splits_metric").is_some() {
            check_detail(&detail, &streams);
        }
        assert_eq!(bed.ok(&token, &format!("{path}/laps")).await, detail["laps"]);
        checked += 1;
    }
    assert!(checked > 40, "{checked}");
}

#[tokio::test]
async fn streams_need_their_parameters_and_a_recording() {
    let bed = bed().await;
    let token = bed.access(None, ALL).await;
    let all = bed.all(&token).await;
    let path = |one: &Value| format!("/activities/{}/streams", id(one));
    let run = path(&all[0]);
    bed.fault(&token, &run, 400, ["Stream", "keys", "missing"]).await;
    bed.fault(&token, &format!("{run}?keys=time"), 400, ["Stream", "key_by_type", "missing"]).await;
    bed.fault(&token, &format!("{run}?keys=time,mood&key_by_type=true"), 400, ["Stream", "keys", "invalid"])
        .await;
    let only = bed.ok(&token, &format!("{run}?keys=time,watts&key_by_type=true")).await;
    assert_eq!(only.as_object().expect("streams").keys().collect::<Vec<_>>(), ["time"]);

    let manual = all.iter().find(|one| one["manual"] == true).expect("one typed in by hand");
    let asked = format!("{}?keys=time&key_by_type=true", path(manual));
    bed.fault(&token, &asked, 404, ["Stream", "id", "invalid"]).await;
    assert!(bed.ok(&token, &format!("/activities/{}", id(manual))).await.get("splits_metric").is_none());
    bed.fault(&token, "/activities/12", 404, ["Activity", "id", "invalid"]).await;
    bed.fault(&token, "/activities/x", 400, ["Activity", "id", "invalid"]).await;
    let zones = bed.ok(&token, &format!("/activities/{}/zones", id(&all[0]))).await;
    assert!(zones.is_array());
}
