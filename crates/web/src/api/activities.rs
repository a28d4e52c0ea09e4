//! Activities, and what is known of one.

use super::Asker;
use super::views::{ActivityView, EffortView};
use crate::fault::{Fault, Problem, Result};
use crate::params::{self, Params};
use crate::web::Shared;
use axum::Json;
use axum::extract::{Path, State};
use runnerly::run::Streams;
use runnerly::stats::splits::Split;
use serde::Serialize;
use utoipa::ToSchema;

/// The most activities on a page, and the furthest offset.
const MOST: i64 = 200;
const FURTHEST: i64 = 1_000_000;

/// A page of activities, the latest first.
#[derive(Serialize, ToSchema)]
pub(super) struct Activities {
    activities: Vec<ActivityView>,
    /// How many there are in all.
    total: i64,
    /// The offset of the next page, if there is one.
    next_offset: Option<i64>,
}

/// Activities of an athlete, the latest first
#[utoipa::path(get, path = "/api/activities", params(
    ("athlete" = Option<i64>, Query, description = "The shown one unless given"),
    ("limit" = Option<i64>, Query, minimum = 1, maximum = 200, description = "50 unless given"),
    ("offset" = Option<i64>, Query, minimum = 0, maximum = 1000000),
), responses(
    (status = 200, body = Activities),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(
    State(web): State<Shared>,
    asker: Asker,
    params: Params,
) -> Result<Json<Activities>> {
    let params = params.only(&["athlete", "limit", "offset"])?;
    let limit = params.number("limit", 1..=MOST)?.unwrap_or(50);
    let offset = params.number("offset", 0..=FURTHEST)?.unwrap_or(0);
    let athlete = asker.athlete(&web, params.number("athlete", 0..=i64::MAX)?).await?;
    let found = web.app.storage.activities(athlete.id, limit as u32, offset as u32).await?;
    let total = web.app.storage.count_activities(athlete.id).await?;
    let next = offset + found.len() as i64;
    let next_offset = (next < total && !found.is_empty()).then_some(next);
    Ok(Json(Activities { activities: found.iter().map(ActivityView::from).collect(), total, next_offset }))
}

/// An activity with what was computed from its samples.
#[derive(Serialize, ToSchema)]
pub(super) struct Detail {
    #[serde(flatten)]
    activity: ActivityView,
    /// Splits per kilometre: number, metres, seconds, elevation, heart rate.
    #[schema(value_type = Vec<Object>)]
    splits_km: Vec<Split>,
    /// Splits per mile.
    #[schema(value_type = Vec<Object>)]
    splits_mi: Vec<Split>,
    /// Best efforts, shortest first.
    efforts: Vec<EffortView>,
}

/// One activity with its splits and best efforts
#[utoipa::path(get, path = "/api/activities/{id}", params(
    ("id" = String, Path),
    ("athlete" = Option<i64>, Query, description = "The shown one unless given"),
), responses(
    (status = 200, body = Detail),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn one(
    State(web): State<Shared>,
    asker: Asker,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<Detail>> {
    let id = params::id(&id, "activity")?;
    let athlete = asker.athlete(&web, params.only(&["athlete"])?.number("athlete", 0..=i64::MAX)?).await?.id;
    let storage = &web.app.storage;
    let activity = storage.activity(athlete, id).await?.ok_or_else(|| Fault::missing("activity"))?;
    Ok(Json(Detail {
        activity: (&activity).into(),
        splits_km: storage.splits(athlete, id, "km").await?.unwrap_or_default(),
        splits_mi: storage.splits(athlete, id, "mile").await?.unwrap_or_default(),
        efforts: storage.efforts(athlete, id).await?.into_iter().map(EffortView::from).collect(),
    }))
}

/// The samples of one activity: equally long arrays, by kind
#[utoipa::path(get, path = "/api/activities/{id}/streams", params(
    ("id" = String, Path),
    ("athlete" = Option<i64>, Query, description = "The shown one unless given"),
), responses(
    (status = 200, body = Object),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn streams(
    State(web): State<Shared>,
    asker: Asker,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<Streams>> {
    let id = params::id(&id, "activity")?;
    let athlete = asker.athlete(&web, params.only(&["athlete"])?.number("athlete", 0..=i64::MAX)?).await?.id;
    let streams = web.app.storage.streams(athlete, id).await?;
    Ok(Json(streams.ok_or_else(|| Fault::missing("activity with samples"))?))
}
