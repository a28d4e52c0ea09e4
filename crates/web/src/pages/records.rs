//! Personal records, and how each came down.

use super::{Frame, html};
use crate::fault::Result;
use crate::format;
use crate::params::Params;
use crate::session::Shown;
use crate::status;
use crate::web::Shared;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use runnerly::stats::pace;
use runnerly::stats::records::{Mark, Record};

/// Earlier marks shown per distance.
const EARLIER: usize = 4;

#[derive(Template)]
#[template(path = "records.html")]
struct Page {
    frame: Frame,
    distances: Vec<Distance>,
    why: Option<String>,
}

struct Distance {
    name: String,
    /// The record, and the ones that it broke, latest first.
    marks: Vec<MarkRow>,
}

/// A mark of a record.
pub(crate) struct MarkRow {
    pub(crate) time: String,
    pub(crate) pace: String,
    pub(crate) day: String,
    pub(crate) run: i64,
}

impl MarkRow {
    pub(crate) fn of(distance_m: f64, mark: &Mark) -> MarkRow {
        MarkRow {
            time: format::clock(mark.seconds),
            pace: format::pace_km(pace::seconds_per_km(distance_m, mark.seconds as f64)),
            day: format::date(mark.day),
            run: mark.activity,
        }
    }
}

pub(super) async fn page(
    State(web): State<Shared>,
    Shown(athlete): Shown,
    params: Params,
) -> Result<Response> {
    params.only(&[])?;
    let records = web.app.storage.records(athlete.id).await?;
    let why = match records.is_empty() {
        true => status::why_queue(&web, runnerly::jobs::STRAVA).await,
        false => None,
    };
    let distances = records.iter().map(distance).collect();
    html(&Page { frame: Frame::new("Records", "records", Some(&athlete)), distances, why })
}

fn distance(record: &Record) -> Distance {
    let marks = record.progression.iter().rev().take(1 + EARLIER);
    Distance {
        name: record.name.clone(),
        marks: marks.map(|mark| MarkRow::of(record.distance_m, mark)).collect(),
    }
}
