//! The training plan: made and changed here; what came of it is found by a job.

use super::{Frame, html};
use crate::api::plan::keep;
use crate::fault::{Fault, Finished, Result};
use crate::format;
use crate::params::Params;
use crate::session::Shown;
use crate::web::{Shared, Web};
use askama::Template;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use legwork::JobId;
use runnerly::plan::{Planned, Standing};
use runnerly::run::Activity;
use runnerly::storage::Athlete;
use serde::Deserialize;
use std::collections::HashMap;

/// Rows in each of the two lists.
const LIST: usize = 100;
/// Activities read to show what came of the plan.
const LATEST: u32 = 2_000;

#[derive(Template)]
#[template(path = "plan.html")]
struct Page {
    frame: Frame,
    draft: Draft,
    refused: Option<String>,
    coming: Vec<Row>,
    past: Vec<Row>,
    more: usize,
}

struct Row {
    id: String,
    day: String,
    name: String,
    planned: String,
    note: String,
    standing: &'static str,
    /// The run that came of it: its id and what it was.
    run: Option<(i64, String)>,
}

/// What stands in the form, as it was typed.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Draft {
    #[serde(default)]
    id: String,
    #[serde(default)]
    day: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    km: String,
    #[serde(default)]
    minutes: String,
    #[serde(default)]
    note: String,
}

impl Draft {
    fn of(plan: &Planned) -> Draft {
        let number = |value: f64| ((value * 100.0).round() / 100.0).to_string();
        Draft {
            id: plan.id.clone(),
            day: plan.day.to_string(),
            name: plan.name.clone(),
            km: plan.distance_m.map_or_else(String::new, |m| number(m / 1_000.0)),
            minutes: plan.duration_s.map_or_else(String::new, |s| number(s as f64 / 60.0)),
            note: plan.note.clone(),
        }
    }

    fn read(&self, athlete: i64) -> std::result::Result<Planned, String> {
        let day = self.day.parse();
        let day = day.map_err(|_| "day: not a date; allowed is one like 2026-05-05".to_owned())?;
        let distance_m = number("distance", &self.km)?.map(|km| km * 1_000.0);
        let duration_s = number("duration", &self.minutes)?.map(|minutes| (minutes * 60.0).round() as i64);
        let id = if self.id.is_empty() { JobId::new().to_string() } else { self.id.clone() };
        let (name, note) = (self.name.clone(), self.note.clone());
        Ok(Planned { id, athlete, day, name, distance_m, duration_s, note, activity: None })
    }
}

/// A number, if there is one.
fn number(field: &str, text: &str) -> std::result::Result<Option<f64>, String> {
    let text = text.trim().replace(',', ".");
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    number.map(Some).ok_or_else(|| format!("{field}: not a number"))
}

pub(super) async fn page(
    State(web): State<Shared>,
    Shown(athlete): Shown,
    params: Params,
) -> Result<Response> {
    let params = params.only(&["edit"])?;
    let draft = match params.text("edit") {
        Some(id) => {
            let plan = web.app.storage.planned(athlete.id, id).await?;
            Draft::of(&plan.ok_or_else(|| Fault::missing("planned run"))?)
        }
        None => Draft { day: format::today().to_string(), ..Draft::default() },
    };
    show(&web, &athlete, draft, None).await
}

async fn show(web: &Web, athlete: &Athlete, draft: Draft, refused: Option<String>) -> Result<Response> {
    let plan = web.app.storage.plan(athlete.id).await?;
    let runs: HashMap<i64, Activity> = match plan.iter().any(|plan| plan.activity.is_some()) {
        true => {
            web.app.storage.activities(athlete.id, LATEST, 0).await?.into_iter().map(|a| (a.id, a)).collect()
        }
        false => HashMap::new(),
    };
    let today = format::today();
    let (past, coming): (Vec<_>, Vec<_>) =
        plan.iter().partition(|plan| plan.standing(today) != Standing::Upcoming);
    let row = |plan: &&Planned| row(plan, plan.standing(today), &runs);
    let more = coming.len().saturating_sub(LIST) + past.len().saturating_sub(LIST);
    html(&Page {
        frame: Frame::new("Plan", "plan", Some(athlete)),
        draft,
        refused,
        coming: coming.iter().take(LIST).map(row).collect(),
        past: past.iter().rev().take(LIST).map(row).collect(),
        more,
    })
}

fn row(plan: &Planned, standing: Standing, runs: &HashMap<i64, Activity>) -> Row {
    let run = |id: i64| match runs.get(&id) {
        Some(run) => format!("{} km in {}", format::km(run.distance_m), format::clock(run.moving_s)),
        None => "the run".into(),
    };
    Row {
        id: plan.id.clone(),
        day: format::day(plan.day),
        name: plan.name.clone(),
        planned: format::planned(plan.distance_m, plan.duration_s),
        note: plan.note.clone(),
        standing: standing.as_str(),
        run: plan.activity.map(|id| (id, run(id))),
    }
}

/// Plans a run, or changes one.
pub(super) async fn post(
    State(web): State<Shared>,
    Shown(athlete): Shown,
    Form(draft): Form<Draft>,
) -> Result<Response> {
    if !draft.id.is_empty() && web.app.storage.planned(athlete.id, &draft.id).await?.is_none() {
        return Err(Fault::missing("planned run"));
    }
    let kept = match draft.read(athlete.id) {
        Ok(plan) => keep(&web, plan).await,
        Err(line) => Err(Fault::unprocessable(line)),
    };
    match kept {
        Ok(_) => Ok(Redirect::to("/plan").into_response()),
        Err(fault) if fault.status.is_client_error() => {
            let mut response = show(&web, &athlete, draft, Some(fault.detail)).await?;
            *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
            response.extensions_mut().insert(Finished);
            Ok(response)
        }
        Err(fault) => Err(fault),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    id: String,
}

pub(super) async fn delete(
    State(web): State<Shared>,
    Shown(athlete): Shown,
    Form(which): Form<Which>,
) -> Result<Redirect> {
    // One that is gone already is as wished.
    web.app.storage.delete_planned(athlete.id, &which.id).await?;
    Ok(Redirect::to("/plan"))
}
