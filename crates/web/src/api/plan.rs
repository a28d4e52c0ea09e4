//! The training plan: kept as it is said; which run came of what is found by a job.

use super::Asker;
use super::body::Body;
use crate::fault::{Fault, Problem, Result};
use crate::format;
use crate::params::Params;
use crate::web::{Shared, Web};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chrono::NaiveDate;
use legwork::JobId;
use runnerly::plan::Planned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A run that is planned.
#[derive(Serialize, ToSchema)]
pub(super) struct PlannedView {
    id: String,
    athlete: String,
    /// The athlete's local date.
    #[schema(value_type = String, format = Date)]
    day: NaiveDate,
    /// What kind of run.
    name: String,
    /// Metres, if that is planned.
    distance_m: Option<f64>,
    /// Seconds, if that is planned.
    duration_s: Option<i64>,
    note: String,
    /// `done`, `missed` or `upcoming`.
    standing: &'static str,
    /// The activity that came of it.
    activity: Option<String>,
}

impl PlannedView {
    fn of(plan: Planned, today: NaiveDate) -> PlannedView {
        let standing = plan.standing(today).as_str();
        let Planned { id, athlete, day, name, distance_m, duration_s, note, activity } = plan;
        let (athlete, activity) = (athlete.to_string(), activity.map(|id| id.to_string()));
        PlannedView { id, athlete, day, name, distance_m, duration_s, note, standing, activity }
    }
}

/// What is planned.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlannedRequest {
    /// The athlete's local date, as `2026-05-05`.
    #[schema(value_type = String, format = Date)]
    day: NaiveDate,
    /// What kind of run: 1 to 80 characters.
    name: String,
    /// Metres: 100 to 1,000,000.
    #[serde(default)]
    distance_m: Option<f64>,
    /// Seconds: 60 to 604,800.
    #[serde(default)]
    duration_s: Option<i64>,
    /// At most 500 characters.
    #[serde(default)]
    note: String,
}

impl PlannedRequest {
    fn into_plan(self, athlete: i64, id: String) -> Planned {
        let PlannedRequest { day, name, distance_m, duration_s, note } = self;
        Planned { id, athlete, day, name, distance_m, duration_s, note, activity: None }
    }
}

/// The plan, the earliest day first.
#[derive(Serialize, ToSchema)]
pub(super) struct Plan {
    plan: Vec<PlannedView>,
}

/// The shown athlete's training plan
#[utoipa::path(get, path = "/api/plan", params(
    ("athlete" = Option<i64>, Query, description = "The shown one unless given"),
), responses(
    (status = 200, body = Plan),
    (status = 401, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(State(web): State<Shared>, asker: Asker, params: Params) -> Result<Json<Plan>> {
    let params = params.only(&["athlete"])?;
    let athlete = asker.athlete(&web, params.number("athlete", 0..=i64::MAX)?).await?;
    let today = format::today();
    let plan = web.app.storage.plan(athlete.id).await?;
    Ok(Json(Plan { plan: plan.into_iter().map(|plan| PlannedView::of(plan, today)).collect() }))
}

/// Plans a run
#[utoipa::path(post, path = "/api/plan", request_body = PlannedRequest, params(
    ("athlete" = Option<i64>, Query, description = "The shown one unless given"),
), responses(
    (status = 201, body = PlannedView),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 415, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn post(
    State(web): State<Shared>,
    asker: Asker,
    params: Params,
    Body(request): Body<PlannedRequest>,
) -> Result<(StatusCode, Json<PlannedView>)> {
    let params = params.only(&["athlete"])?;
    let athlete = asker.athlete(&web, params.number("athlete", 0..=i64::MAX)?).await?;
    let plan = keep(&web, request.into_plan(athlete.id, JobId::new().to_string())).await?;
    Ok((StatusCode::CREATED, Json(PlannedView::of(plan, format::today()))))
}

/// Changes a planned run
#[utoipa::path(put, path = "/api/plan/{id}", request_body = PlannedRequest, params(
    ("id" = String, Path),
    ("athlete" = Option<i64>, Query, description = "The shown one unless given"),
), responses(
    (status = 200, body = PlannedView),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 415, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn put(
    State(web): State<Shared>,
    asker: Asker,
    params: Params,
    Path(id): Path<String>,
    Body(request): Body<PlannedRequest>,
) -> Result<Json<PlannedView>> {
    let params = params.only(&["athlete"])?;
    let athlete = asker.athlete(&web, params.number("athlete", 0..=i64::MAX)?).await?;
    if web.app.storage.planned(athlete.id, &id).await?.is_none() {
        return Err(Fault::missing("planned run"));
    }
    let plan = keep(&web, request.into_plan(athlete.id, id)).await?;
    Ok(Json(PlannedView::of(plan, format::today())))
}

/// Forgets a planned run
#[utoipa::path(delete, path = "/api/plan/{id}", params(
    ("id" = String, Path),
    ("athlete" = Option<i64>, Query, description = "The shown one unless given"),
), responses(
    (status = 204),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn delete(
    State(web): State<Shared>,
    asker: Asker,
    params: Params,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    let params = params.only(&["athlete"])?;
    let athlete = asker.athlete(&web, params.number("athlete", 0..=i64::MAX)?).await?;
    match web.app.storage.delete_planned(athlete.id, &id).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Fault::missing("planned run")),
    }
}

/// Keeps a planned run once it has been checked, and shows it as it stands.
pub(crate) async fn keep(web: &Web, mut plan: Planned) -> Result<Planned> {
    plan.name = plan.name.trim().into();
    plan.note = plan.note.trim().into();
    plan.check().map_err(|e| Fault::unprocessable(e.to_string()))?;
    web.app.storage.save_planned(&plan).await?;
    let kept = web.app.storage.planned(plan.athlete, &plan.id).await?;
    kept.ok_or_else(|| Fault::missing("planned run"))
}
