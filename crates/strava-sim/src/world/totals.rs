//! Sums over an athlete's list.

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use serde_json::{Value, json};

/// Metres a shoe or bike has been used for.
pub(crate) fn gear_distance(listed: &[Value], gear: &str) -> f64 {
    listed.iter().filter(|activity| activity["gear_id"] == gear).map(|one| field(one, "distance")).sum()
}

/// The answer of `/athletes/{id}/stats`, over activities that everyone may see.
pub(crate) fn stats(listed: &[Value], now: DateTime<Utc>) -> Value {
    let seen: Vec<&Value> = listed.iter().filter(|one| one["visibility"] == "everyone").collect();
    let mut out = json!({
        "biggest_ride_distance": biggest(&seen, "distance"),
        "biggest_climb_elevation_gain": biggest(&seen, "total_elevation_gain"),
    });
    let sports: [(&str, &[&str]); 3] =
        [("ride", &["Ride"]), ("run", &["Run", "TrailRun", "VirtualRun"]), ("swim", &["Swim"])];
    let month = now - TimeDelta::weeks(4);
    for (sport, names) in sports {
        let of_sport = |one: &&Value| one["sport_type"].as_str().is_some_and(|name| names.contains(&name));
        let own: Vec<&Value> = seen.iter().copied().filter(of_sport).collect();
        let recent = own.iter().copied().filter(|one| started(one).is_some_and(|at| at > month));
        let year = own.iter().copied().filter(|one| started(one).is_some_and(|at| at.year() == now.year()));
        let mut totals = totals(recent);
        totals["achievement_count"] = json!(0);
        out[format!("recent_{sport}_totals")] = totals;
        out[format!("ytd_{sport}_totals")] = self::totals(year);
        out[format!("all_{sport}_totals")] = self::totals(own.iter().copied());
    }
    out
}

/// Strava writes the sums of seconds with a point; they are whole all the same.
fn totals<'a>(activities: impl Iterator<Item = &'a Value> + Clone) -> Value {
    let sum = |name: &str| activities.clone().map(|one| field(one, name)).sum::<f64>();
    json!({
        "count": activities.clone().count(), "distance": sum("distance"),
        "moving_time": sum("moving_time"), "elapsed_time": sum("elapsed_time"),
        "elevation_gain": sum("total_elevation_gain"),
    })
}

fn biggest(activities: &[&Value], name: &str) -> Value {
    let rides = activities.iter().filter(|one| one["sport_type"] == "Ride");
    rides.map(|one| field(one, name)).reduce(f64::max).map_or(Value::Null, |metres| json!(metres))
}

fn field(activity: &Value, name: &str) -> f64 {
    activity[name].as_f64().unwrap_or(0.0)
}

/// When an activity began.
pub(crate) fn started(activity: &Value) -> Option<DateTime<Utc>> {
    activity["start_date"].as_str()?.parse().ok()
}
