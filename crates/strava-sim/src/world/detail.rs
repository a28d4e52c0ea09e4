//! A DetailedActivity: splits, laps and best efforts, computed from the track.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::plan::{Plan, Shape, Sport};
use super::summary::{local, number, outline, utc};
use super::track::{Track, fast_lap, round};

const MILE: f64 = 1_609.344;

/// Names and metres of the efforts Strava looks for in a run.
const EFFORTS: [(&str, f64); 14] = [
    ("400m", 400.0),
    ("1/2 mile", 805.0),
    ("1K", 1_000.0),
    ("1 mile", 1_609.0),
    ("2 mile", 3_219.0),
    ("5K", 5_000.0),
    ("10K", 10_000.0),
    ("15K", 15_000.0),
    ("10 mile", 16_090.0),
    ("20K", 20_000.0),
    ("Half-Marathon", 21_097.0),
    ("30K", 30_000.0),
    ("Marathon", 42_195.0),
    ("50K", 50_000.0),
];

/// Turns a summary into a detail.
pub(crate) fn detail(summary: &Value, plan: &Plan, track: &Track, gear: Option<Value>) -> Value {
    let mut out = summary.clone();
    let kilometres = summary["distance"].as_f64().unwrap_or(0.0) / 1_000.0;
    out["resource_state"] = json!(3);
    out["description"] = json!("");
    out["calories"] = json!((kilometres * 68.0).round());
    out["map"]["polyline"] = json!(outline(track, 500));
    out["map"]["resource_state"] = json!(3);
    out["photos"] = json!({"primary": null, "count": 0});
    out["segment_efforts"] = json!([]);
    out["embed_token"] = json!("simulated");
    out["perceived_exertion"] = Value::Null;
    if let Some(gear) = gear {
        out["gear"] = gear;
    }
    if !plan.manual {
        out["laps"] = json!(laps(plan, track));
        if plan.sport.on_foot() {
            out["splits_metric"] = json!(splits(plan, track, 1_000.0));
            out["splits_standard"] = json!(splits(plan, track, MILE));
            out["best_efforts"] = json!(best_efforts(plan, track));
        }
    }
    out
}

/// Points at which the distance passes each multiple of `metres`, with both ends.
fn cuts(track: &Track, metres: f64) -> Vec<usize> {
    let mut cuts = vec![0];
    let mut next = metres;
    for (at, &distance) in track.distance.iter().enumerate() {
        if distance >= next {
            cuts.push(at);
            next = (distance / metres).floor() * metres + metres;
        }
    }
    let last = track.time.len().saturating_sub(1);
    if cuts.last() != Some(&last) {
        cuts.push(last);
    }
    cuts
}

/// Splits of `metres` each; the last is the rest.
fn splits(plan: &Plan, track: &Track, metres: f64) -> Vec<Value> {
    let cuts = cuts(track, metres);
    let split = |(number_from_0, ends): (usize, &[usize])| {
        let (from, to) = (ends[0], ends[1]);
        let (distance, elapsed, moving) = between(track, from, to);
        let rise = match track.altitude.is_empty() {
            true => 0.0,
            false => round(track.altitude[to] - track.altitude[from], 1),
        };
        let speed = round(distance / moving.max(1) as f64, 2);
        let mut split = json!({
            "split": number_from_0 + 1, "distance": number(distance, plan.id),
            "elapsed_time": elapsed, "moving_time": moving, "elevation_difference": rise,
            "average_speed": speed, "pace_zone": 0,
            "average_grade_adjusted_speed": round(speed * (1.0 + 0.028 * rise / metres * 100.0), 2),
        });
        if let Some(mean) = track.mean(&track.heartrate, from, to) {
            split["average_heartrate"] = json!(mean);
        }
        split
    };
    cuts.windows(2).enumerate().map(split).collect()
}

fn between(track: &Track, from: usize, to: usize) -> (f64, i64, i64) {
    let distance = round(track.distance[to] - track.distance[from], 1);
    (distance, track.time[to] - track.time[from], track.moving_s(from, to))
}

/// Laps: each repetition and each rest of intervals, each kilometre of a race, else one.
pub(crate) fn laps(plan: &Plan, track: &Track) -> Vec<Value> {
    let last = track.time.len().saturating_sub(1);
    let cuts = match plan.shape {
        Shape::Race => cuts(track, 1_000.0),
        Shape::Intervals => {
            let fast: Vec<bool> = track.distance.iter().map(|&metres| fast_lap(metres)).collect();
            let turns = (1..last).filter(|&at| fast[at] != fast[at - 1]);
            std::iter::once(0).chain(turns).chain([last]).collect()
        }
        _ => vec![0, last],
    };
    cuts.windows(2).enumerate().map(|(index, ends)| lap(plan, track, index, ends[0], ends[1])).collect()
}

fn lap(plan: &Plan, track: &Track, index: usize, from: usize, to: usize) -> Value {
    let (distance, elapsed, moving) = between(track, from, to);
    let mut lap = piece(plan, track, plan.id * 100 + index as i64, from, to);
    lap["name"] = json!(format!("Lap {}", index + 1));
    lap["lap_index"] = json!(index + 1);
    lap["split"] = json!(index + 1);
    lap["distance"] = number(distance, plan.id);
    lap["elapsed_time"] = json!(elapsed);
    lap["moving_time"] = json!(moving);
    lap["average_speed"] = json!(round(distance / moving.max(1) as f64, 2));
    lap["max_speed"] = json!(track.velocity[from..=to].iter().copied().fold(0.0, f64::max));
    lap["total_elevation_gain"] = number(track.climb(from, to), plan.id);
    lap["device_watts"] = json!(false);
    lap["pace_zone"] = json!(0);
    if let Some(mean) = track.mean(&track.cadence, from, to) {
        lap["average_cadence"] = json!(round(mean, 1));
    }
    lap
}

/// What laps and efforts share.
fn piece(plan: &Plan, track: &Track, id: i64, from: usize, to: usize) -> Value {
    let start = plan.start + TimeDelta::seconds(track.time[from]);
    let visibility = if plan.only_me { "only_me" } else { "everyone" };
    let mut piece = json!({
        "id": id, "resource_state": 2,
        "activity": {"id": plan.id, "visibility": visibility, "resource_state": 1},
        "athlete": {"id": plan.athlete, "resource_state": 1},
        "start_date": utc(start), "start_date_local": local(start, plan.zone),
        "start_index": from, "end_index": to,
    });
    if let Some(mean) = track.mean(&track.heartrate, from, to) {
        let max = track.heartrate[from..=to].iter().copied().max().unwrap_or(0);
        piece["average_heartrate"] = json!(round(mean, 1));
        piece["max_heartrate"] = json!(max as f64);
    }
    piece
}

fn best_efforts(plan: &Plan, track: &Track) -> Vec<Value> {
    // Ids beyond 2^53, as Strava's are: a client that holds them in floats loses digits.
    let first_id = 2_770_000_000_000_000_000 + plan.id * 100;
    EFFORTS
        .iter()
        .enumerate()
        .filter_map(|(number, &(name, metres))| {
            let (seconds, from, to) = fastest(track, metres)?;
            let mut effort = piece(plan, track, first_id + number as i64, from, to);
            effort["name"] = json!(name);
            effort["distance"] = json!(metres as i64);
            effort["elapsed_time"] = json!(seconds);
            effort["moving_time"] = json!(track.moving_s(from, to).min(seconds));
            effort["pr_rank"] = Value::Null;
            effort["achievements"] = json!([]);
            Some(effort)
        })
        .collect()
}

/// The fewest whole seconds in which `metres` were covered, and where.
///
/// It ends at a point; its start lies between two points, where the time is
/// interpolated, else points three seconds apart would cost a short effort dearly.
fn fastest(track: &Track, metres: f64) -> Option<(i64, usize, usize)> {
    let (distance, time) = (&track.distance, &track.time);
    let mut best: Option<(f64, usize, usize)> = None;
    let mut from = 0;
    for to in 1..distance.len() {
        let line = distance[to] - metres;
        if line < 0.0 {
            continue;
        }
        while distance[from + 1] <= line {
            from += 1;
        }
        let step = distance[from + 1] - distance[from];
        let part = if step > 0.0 { (line - distance[from]) / step } else { 0.0 };
        let start = time[from] as f64 + part * (time[from + 1] - time[from]) as f64;
        let seconds = time[to] as f64 - start;
        if best.is_none_or(|(least, ..)| seconds < least) {
            best = Some((seconds, from, to));
        }
    }
    best.map(|(seconds, from, to)| (seconds.ceil() as i64, from, to))
}

/// The answer of `/activities/{id}/zones`: time per heart rate zone.
pub(crate) fn zones(track: &Track, floors: [i64; 5], score: &Value) -> Value {
    if track.heartrate.is_empty() {
        return json!([]);
    }
    let mut seconds = [0_i64; 5];
    for at in 1..track.time.len() {
        let zone = floors.iter().rposition(|&floor| track.heartrate[at] >= floor).unwrap_or(0);
        seconds[zone] += track.time[at] - track.time[at - 1];
    }
    let bucket = |zone: usize| {
        let max = floors.get(zone + 1).map_or(-1, |next| next - 1);
        json!({"min": floors[zone], "max": max, "time": seconds[zone] as f64})
    };
    let buckets: Vec<Value> = (0..5).map(bucket).collect();
    json!([{
        "type": "heartrate", "resource_state": 3, "sensor_based": true, "custom_zones": false,
        "score": score, "points": 0, "distribution_buckets": buckets,
    }])
}

/// The streams of a track, by key. Empty lists are left out.
pub(crate) fn streams(plan: &Plan, track: &Track, keys: &[&str]) -> Value {
    let mut out = serde_json::Map::new();
    for &key in keys {
        let data = match key {
            "time" => json!(track.time),
            "distance" => json!(track.distance),
            "latlng" => json!(track.latlng),
            "altitude" => json!(track.altitude),
            "velocity_smooth" => json!(track.velocity),
            "heartrate" => json!(track.heartrate),
            "cadence" => json!(track.cadence),
            "moving" => json!(track.moving),
            "grade_smooth" if plan.sport != Sport::Swim => json!(track.grade),
            _ => continue,
        };
        if data.as_array().is_some_and(|list| !list.is_empty()) {
            let stream = json!({
                "data": data, "series_type": "time",
                "original_size": track.time.len(), "resolution": "high",
            });
            out.insert(key.to_owned(), stream);
        }
    }
    Value::Object(out)
}
