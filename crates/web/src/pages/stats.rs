//! Totals by year, month and week.

use super::{Frame, html};
use crate::fault::Result;
use crate::format;
use crate::params::Params;
use crate::session::Shown;
use crate::web::Shared;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use runnerly::stats::summary::Summary;
use runnerly::stats::totals::Totals;

/// Weeks shown unless all are asked for.
const WEEKS: usize = 53;

#[derive(Template)]
#[template(path = "stats.html")]
struct Page {
    frame: Frame,
    computed: Option<String>,
    by: &'static str,
    rows: Vec<Row>,
    /// How many rows are not shown.
    hidden: usize,
}

struct Row {
    label: String,
    runs: String,
    km: String,
    /// Share of the longest, 0 to 100.
    bar: u32,
    time: String,
    pace: String,
    gain: String,
}

pub(super) async fn page(
    State(web): State<Shared>,
    Shown(athlete): Shown,
    params: Params,
) -> Result<Response> {
    let params = params.only(&["by", "all"])?;
    let by = params.word("by", &["year", "month", "week"])?.unwrap_or("year");
    let all = params.word("all", &["1"])?.is_some();
    let stats: Option<(Summary, DateTime<Utc>)> = web.app.storage.stats(athlete.id, "summary").await?;
    let computed = stats.as_ref().map(|(_, at)| format::ago(*at));
    let summary = stats.map(|(summary, _)| summary).unwrap_or_default();
    let mut totals: Vec<(String, Totals)> = match by {
        "month" => summary.months.iter().map(|m| (month(&m.month), m.totals)).collect(),
        "week" => summary.weeks.iter().map(|w| (week(w.week), w.totals)).collect(),
        _ => summary.years.iter().map(|y| (y.year.to_string(), y.totals)).collect(),
    };
    totals.reverse();
    let most = totals.iter().map(|(_, t)| t.distance_m).fold(0.0, f64::max);
    let hidden = if by == "week" && !all { totals.len().saturating_sub(WEEKS) } else { 0 };
    totals.truncate(totals.len() - hidden);
    let rows = totals.into_iter().map(|(label, totals)| row(label, &totals, most)).collect();
    html(&Page { frame: Frame::new("Statistics", "stats", Some(&athlete)), computed, by, rows, hidden })
}

fn row(label: String, totals: &Totals, most: f64) -> Row {
    Row {
        label,
        runs: format::count(totals.runs),
        km: format::km(totals.distance_m),
        bar: if most > 0.0 { (totals.distance_m / most * 100.0).round() as u32 } else { 0 },
        time: format::hours(totals.moving_s),
        pace: format::pace_km(totals.pace_s_per_km()),
        gain: format::metres(totals.gain_m),
    }
}

/// `2026-11` as `November 2026`.
fn month(text: &str) -> String {
    let first = format!("{text}-01").parse::<NaiveDate>();
    first.map_or(text.into(), |day| day.format("%B %Y").to_string())
}

fn week(monday: NaiveDate) -> String {
    let sunday = monday + TimeDelta::days(6);
    format!("{} – {}", monday.format("%-d %b"), sunday.format("%-d %b %Y"))
}
