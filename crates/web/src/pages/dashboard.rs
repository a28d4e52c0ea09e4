//! The start: what Runnerly is, or the shown athlete's dashboard.

use super::messages::News;
use super::records::MarkRow;
use super::run_list::Row;
use super::{Frame, html};
use crate::chart::{bars, calendar, trend, years};
use crate::fault::Result;
use crate::params::Params;
use crate::session::{Maybe, Shown};
use crate::status::{self, JobStatus};
use crate::web::{Shared, Web};
use crate::{format, session};
use askama::Template;
use axum::extract::State;
use axum::response::{Redirect, Response};
use chrono::{DateTime, Datelike, NaiveDate, Utc};
use legwork::Job;
use runnerly::jobs::{ComputeStats, SyncAthlete};
use runnerly::stats::records::Record;
use runnerly::stats::spread;
use runnerly::stats::summary::Summary;
use runnerly::stats::totals::{Totals, first_of_month, monday};
use runnerly::storage::{Athlete, Connection};

/// Runs in the list on the dashboard.
const RECENT: usize = 8;

/// Unread messages on the dashboard.
const NEWS: u32 = 3;

/// The records on the dashboard; the others have a page of their own.
const RECORDS: [&str; 7] = ["400m", "1K", "1 mile", "5K", "10K", "Half-Marathon", "Marathon"];

/// Activities read for the calendar; a year of three a day.
const YEAR: u32 = 1_200;

#[derive(Template)]
#[template(path = "welcome.html")]
struct Welcome {
    frame: Frame,
    note: Option<&'static str>,
    files: bool,
}

#[derive(Template)]
#[template(path = "dashboard.html")]
struct Dashboard {
    frame: Frame,
    note: Option<&'static str>,
    panel: Panel,
    /// Why the queue's side of the page is missing.
    queue_away: bool,
    news: News,
    figures: Option<Figures>,
    stats_pending: Option<String>,
    recent: Vec<Row>,
    records: Vec<RecordRow>,
    calendar: String,
}

/// Who it is, and how the last sync went.
struct Panel {
    connection: Connection,
    private: bool,
    synced: Option<String>,
    job: Option<JobStatus>,
}

struct Figures {
    computed: String,
    totals: Vec<Tile>,
    marks: Vec<Tile>,
    weeks: String,
    years: String,
    trend: String,
}

pub(crate) struct Tile {
    pub(crate) label: String,
    pub(crate) value: String,
    pub(crate) unit: &'static str,
    pub(crate) sub: String,
}

struct RecordRow {
    name: String,
    mark: MarkRow,
}

pub(super) async fn page(
    State(web): State<Shared>,
    Maybe(athlete): Maybe,
    params: Params,
) -> Result<Response> {
    let note = params.text("note").and_then(note);
    match athlete {
        Some(athlete) => dashboard(&web, &athlete, note).await,
        None => html(&Welcome { frame: Frame::new("Runnerly", "", None), note, files: web.origin.is_none() }),
    }
}

/// What happened on the way here, from a fixed list of words.
fn note(word: &str) -> Option<&'static str> {
    Some(match word {
        "connected" => "Connected. Your runs are being fetched; the first ones appear in a moment.",
        "connected-partly" => "Connected without access to private activities: private runs are left out.",
        "disconnected" => "Disconnected. Your runs stay here until you delete them.",
        "disconnected-untold" => {
            "Disconnected here, but Strava could not be told. Remove Runnerly at strava.com/settings/apps, too."
        }
        "deleted" => "Disconnected, and everything here is deleted.",
        "deleted-untold" => {
            "Everything here is deleted, but Strava could not be told. Remove Runnerly at strava.com/settings/apps, too."
        }
        _ => return None,
    })
}

async fn dashboard(web: &Web, athlete: &Athlete, note: Option<&'static str>) -> Result<Response> {
    let storage = &web.app.storage;
    let summary: Option<(Summary, DateTime<Utc>)> = storage.stats(athlete.id, "summary").await?;
    let records = storage.records(athlete.id).await?;
    let activities = storage.activities(athlete.id, YEAR, 0).await?;
    // The runs are worth showing while the queue is away.
    let job = status::latest(web, SyncAthlete::NAME, athlete.id).await;
    let queue_away = job.is_err();
    let mut messages = storage.messages(athlete.id, NEWS).await?;
    messages.retain(|message| !message.read);
    let news = News::of(messages, storage.unread(athlete.id).await?);
    let panel = Panel {
        connection: athlete.connection,
        private: athlete.scope.contains("activity:read_all"),
        synced: athlete.sync.last_synced_at.map(format::ago),
        job: job.unwrap_or_default(),
    };
    let mut frame = Frame::new("Dashboard", "dashboard", Some(athlete));
    frame.reload = panel.job.as_ref().is_some_and(|job| !job.finished).then_some(5);
    let stats_pending = match &summary {
        None if !activities.is_empty() => Some(pending(web, athlete.id).await),
        _ => None,
    };
    let today = format::today();
    html(&Dashboard {
        frame,
        note,
        panel,
        queue_away,
        news,
        stats_pending,
        figures: summary
            .filter(|(summary, _)| summary.runs > 0)
            .map(|(summary, at)| figures(&summary, at, today)),
        recent: activities.iter().filter(|activity| activity.is_run()).take(RECENT).map(Row::of).collect(),
        records: records
            .iter()
            .filter(|record| RECORDS.contains(&record.name.as_str()))
            .map(record)
            .collect(),
        calendar: calendar::draw(&spread::calendar(&activities), today),
    })
}

fn record(record: &Record) -> RecordRow {
    RecordRow { name: record.name.clone(), mark: MarkRow::of(record.distance_m, record.best()) }
}

/// Where the first statistics are.
async fn pending(web: &Web, athlete: i64) -> String {
    match status::latest(web, ComputeStats::NAME, athlete).await {
        Ok(Some(job)) if !job.finished => job.text,
        Ok(Some(job)) if job.failed() => job.error.unwrap_or(job.text),
        _ => status::why_queue(web, "default").await.unwrap_or_else(|| "waiting".into()),
    }
}

fn figures(summary: &Summary, at: DateTime<Utc>, today: NaiveDate) -> Figures {
    Figures {
        computed: format::ago(at),
        totals: totals(summary, today),
        marks: marks(summary),
        weeks: bars::weeks(&summary.weeks, today),
        years: years::draw(&summary.months, today),
        trend: trend::draw(&summary.months, today),
    }
}

fn totals(summary: &Summary, today: NaiveDate) -> Vec<Tile> {
    let year = summary.years.iter().find(|year| year.year == today.year()).map(|year| year.totals);
    let month = first_of_month(today).format("%Y-%m").to_string();
    let month = summary.months.iter().find(|m| m.month == month).map(|m| m.totals);
    let week = summary.weeks.iter().find(|week| week.week == monday(today)).map(|week| week.totals);
    let all = Totals {
        runs: summary.runs,
        distance_m: summary.distance_m,
        moving_s: summary.moving_s,
        elapsed_s: summary.elapsed_s,
        gain_m: summary.gain_m,
    };
    let tile = |label: &str, totals: Totals| Tile {
        label: label.into(),
        value: format::km(totals.distance_m),
        unit: "km",
        sub: format!("{} · {}", format::runs(totals.runs), format::hours(totals.moving_s)),
    };
    vec![
        tile("This week", week.unwrap_or_default()),
        tile("This month", month.unwrap_or_default()),
        tile("This year", year.unwrap_or_default()),
        tile("All time", all),
    ]
}

fn marks(summary: &Summary) -> Vec<Tile> {
    let plain =
        |label: &str, value: String, unit, sub: String| Tile { label: label.into(), value, unit, sub };
    let unit = |n: u32, one, many| if n == 1 { one } else { many };
    let days = summary.current_day_streak;
    let weeks = summary.current_week_streak;
    vec![
        plain(
            "Day streak",
            days.to_string(),
            unit(days, "day", "days"),
            format!("longest {}", summary.longest_day_streak),
        ),
        plain(
            "Week streak",
            weeks.to_string(),
            unit(weeks, "week", "weeks"),
            format!("longest {}", summary.longest_week_streak),
        ),
        plain(
            "Eddington number",
            summary.eddington_km.to_string(),
            "km",
            format!("{} in miles", summary.eddington_mi),
        ),
        plain(
            "Longest run",
            summary.longest_run_m.map_or(format::NONE.into(), format::km),
            "km",
            format!("average pace {}", format::pace_km(summary.pace_s_per_km)),
        ),
    ]
}

/// Enqueues a sync of the shown athlete; a second one before the first has begun is the same
/// job.
pub(super) async fn sync(State(web): State<Shared>, Shown(athlete): session::Shown) -> Result<Redirect> {
    if athlete.connection == Connection::Connected {
        let full = athlete.sync.last_synced_at.is_none();
        web.app.jobs.enqueue(SyncAthlete { athlete: athlete.id, full }).await?;
    }
    Ok(Redirect::to("/"))
}
