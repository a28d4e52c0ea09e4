//! One run.

use super::run_list::Row;
use super::{Frame, html};
use crate::chart::profile;
use crate::fault::{Fault, Result};
use crate::params::{self, Params};
use crate::session::Shown;
use crate::web::{Shared, Web};
use crate::{format, status};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use runnerly::run::{Activity, Source, Streams};
use runnerly::stats::efforts::Effort;
use runnerly::stats::splits::Split;
use runnerly::stats::zones::Zones;
use runnerly::stats::{KM, MILE, pace};
use runnerly::storage::StreamState;

#[derive(Template)]
#[template(path = "run.html")]
struct Page {
    frame: Frame,
    run: Row,
    sport: String,
    start: String,
    elapsed: String,
    max_hr: String,
    strava: Option<i64>,
    private: bool,
    miles: bool,
    splits: Vec<SplitRow>,
    efforts: Vec<EffortRow>,
    zones: Option<ZoneTable>,
    profile: String,
    /// Why there is no detail, in a line.
    missing: Option<String>,
}

struct SplitRow {
    number: String,
    time: String,
    pace: String,
    /// Speed against the fastest split's, from 60 % of it as 0 to 100.
    bar: u32,
    elevation: String,
    hr: String,
}

struct EffortRow {
    name: String,
    time: String,
    pace: String,
}

struct ZoneTable {
    max_hr: String,
    rows: Vec<ZoneRow>,
}

struct ZoneRow {
    name: String,
    range: String,
    time: String,
    percent: u32,
}

pub(super) async fn page(
    State(web): State<Shared>,
    Shown(athlete): Shown,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response> {
    let id = params::id(&id, "run")?;
    let params = params.only(&["unit"])?;
    let miles = params.word("unit", &["km", "mi"])? == Some("mi");
    let storage = &web.app.storage;
    let run = storage.activity(athlete.id, id).await?.ok_or_else(|| Fault::missing("run"))?;
    let unit = if miles { "mile" } else { "km" };
    let splits: Vec<Split> = storage.splits(athlete.id, id, unit).await?.unwrap_or_default();
    let efforts = storage.efforts(athlete.id, id).await?;
    let streams = storage.streams(athlete.id, id).await?.filter(|streams| streams.validate().is_ok());
    let missing = if streams.is_some() { None } else { missing(&web, &run).await? };
    let zones = match &streams {
        Some(streams) if streams.heartrate.is_some() => zones(&web, &run, streams).await?,
        _ => None,
    };
    let row = Row::of(&run);
    html(&Page {
        frame: Frame::new(row.name.clone(), "runs", Some(&athlete)),
        run: row,
        sport: run.sport.clone(),
        start: format::moment(run.start_local),
        elapsed: format::clock(run.elapsed_s),
        max_hr: format::bpm(run.max_hr),
        strava: (run.source == Source::Strava).then_some(run.id),
        private: run.private,
        miles,
        splits: split_rows(&splits, if miles { MILE } else { KM }, if miles { "/mi" } else { "/km" }),
        efforts: efforts.iter().map(effort_row).collect(),
        zones,
        profile: streams.as_ref().map(profile::draw).unwrap_or_default(),
        missing,
    })
}

/// Why the samples of a run are not there.
async fn missing(web: &Web, run: &Activity) -> Result<Option<String>> {
    let state = web.app.storage.stream_state(run.athlete, run.id).await?;
    Ok(Some(match (state, run.source) {
        (Some(StreamState::Absent), _) => {
            "There are no samples of this run: it was entered by hand, or recorded without a track.".into()
        }
        (Some(StreamState::Fetched), _) => {
            "The samples of this run are no longer kept; what was computed from them stays.".into()
        }
        (_, Source::File) => "The file held no samples.".into(),
        _ => match status::why_queue(web, runnerly::jobs::STRAVA).await {
            Some(why) => format!("Pace, heart rate and splits are not fetched yet: {why}."),
            None => "Pace, heart rate and splits are not fetched yet; they are in the queue.".into(),
        },
    }))
}

fn split_rows(splits: &[Split], unit_m: f64, unit: &str) -> Vec<SplitRow> {
    let speed = |split: &Split| split.distance_m / (split.moving_s.max(1) as f64);
    let fastest = splits.iter().map(speed).fold(0.0, f64::max).max(0.1);
    let row = |split: &Split| {
        let whole = (split.distance_m - unit_m).abs() < unit_m * 0.05;
        let number = split.number.to_string();
        let pace = pace::seconds_per(unit_m, split.distance_m, split.moving_s as f64);
        SplitRow {
            number: if whole { number } else { format!("{:.2}", split.distance_m / unit_m) },
            time: format::clock(split.moving_s),
            pace: pace.map_or(format::NONE.into(), |pace| format!("{} {unit}", pace::clock(pace))),
            bar: ((speed(split) / fastest - 0.6) * 250.0).clamp(0.0, 100.0).round() as u32,
            elevation: split
                .elevation_m
                .map_or(format::NONE.into(), |m| format!("{:+} m", m.round() as i64).replace('-', "−")),
            hr: format::bpm(split.average_hr),
        }
    };
    splits.iter().map(row).collect()
}

fn effort_row(effort: &Effort) -> EffortRow {
    EffortRow {
        name: effort.name.clone(),
        time: format::clock(effort.seconds),
        pace: format::pace_km(pace::seconds_per_km(effort.distance_m, effort.seconds as f64)),
    }
}

/// Time in five zones of the highest heart rate that any run of the athlete shows.
async fn zones(web: &Web, run: &Activity, streams: &Streams) -> Result<Option<ZoneTable>> {
    let activities = web.app.storage.all_activities(run.athlete).await?;
    let rates = activities.iter().filter(|a| a.is_run()).filter_map(|a| a.max_hr);
    // What is above is a slip of the strap.
    let highest = rates.filter(|hr| *hr <= 220.0).fold(0.0, f64::max);
    let Some((zones, time)) = Zones::of_max(highest).ok().and_then(|z| z.time_in(streams).map(|t| (z, t)))
    else {
        return Ok(None);
    };
    let all = (time.below_s + time.zones_s.iter().sum::<i64>()).max(1) as f64;
    let bounds = zones.bounds();
    let rows = time.zones_s.iter().enumerate().map(|(k, seconds)| ZoneRow {
        name: format!("Zone {}", k + 1),
        range: match bounds.get(k + 1) {
            Some(next) => format!("{:.0}–{:.0}", bounds[k].ceil(), next.ceil() - 1.0),
            None => format!("from {:.0}", bounds[k].ceil()),
        },
        time: format::clock(*seconds),
        percent: (*seconds as f64 / all * 100.0).round() as u32,
    });
    Ok(Some(ZoneTable { max_hr: format!("{highest:.0}"), rows: rows.collect() }))
}
