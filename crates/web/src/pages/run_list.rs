//! All runs, by page and year.

use super::{Frame, html};
use crate::fault::Result;
use crate::format;
use crate::params::Params;
use crate::session::Shown;
use crate::web::Shared;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chrono::Datelike;
use runnerly::run::Activity;
use runnerly::stats::pace;
use std::collections::BTreeSet;

/// Runs on a page.
const PAGE: usize = 50;

/// A run in a list.
pub(crate) struct Row {
    pub(crate) id: i64,
    pub(crate) day: String,
    pub(crate) name: String,
    pub(crate) race: bool,
    pub(crate) km: String,
    pub(crate) time: String,
    pub(crate) pace: String,
    pub(crate) gain: String,
    pub(crate) hr: String,
}

impl Row {
    pub(crate) fn of(run: &Activity) -> Row {
        let name = run.name.trim();
        Row {
            id: run.id,
            day: format::day(run.day()),
            name: if name.is_empty() { "Untitled run".into() } else { name.into() },
            race: run.is_race(),
            km: format::km(run.distance_m),
            time: format::clock(run.moving_s),
            pace: format::pace_km(pace::seconds_per_km(run.distance_m, run.pace_time_s() as f64)),
            gain: format::metres(run.gain_m),
            hr: format::bpm(run.average_hr),
        }
    }
}

#[derive(Template)]
#[template(path = "runs.html")]
struct Page {
    frame: Frame,
    rows: Vec<Row>,
    years: Vec<i32>,
    year: Option<i32>,
    total: String,
    page: usize,
    pages: usize,
}

impl Page {
    fn is_year(&self, year: &i32) -> bool {
        self.year == Some(*year)
    }

    fn query(&self, page: usize) -> String {
        match self.year {
            Some(year) => format!("/runs?year={year}&page={page}"),
            None => format!("/runs?page={page}"),
        }
    }
}

pub(super) async fn page(
    State(web): State<Shared>,
    Shown(athlete): Shown,
    params: Params,
) -> Result<Response> {
    let params = params.only(&["year", "page"])?;
    let year = params.number("year", 1900..=2200)?.map(|year| year as i32);
    let page = params.number("page", 1..=100_000)?.unwrap_or(1) as usize;
    let mut runs = web.app.storage.all_activities(athlete.id).await?;
    runs.retain(Activity::is_run);
    runs.reverse();
    let years: BTreeSet<i32> = runs.iter().map(|run| run.day().year()).collect();
    runs.retain(|run| year.is_none_or(|year| run.day().year() == year));
    let pages = runs.len().div_ceil(PAGE).max(1);
    let page = page.min(pages);
    html(&Page {
        frame: Frame::new("Runs", "runs", Some(&athlete)),
        rows: runs.iter().skip((page - 1) * PAGE).take(PAGE).map(Row::of).collect(),
        years: years.into_iter().rev().collect(),
        year,
        total: format::runs(runs.len() as u64),
        page,
        pages,
    })
}
