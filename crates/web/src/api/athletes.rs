//! Athletes and their statistics.

use super::Asker;
use crate::fault::{Fault, Problem, Result};
use crate::params::Params;
use crate::web::Shared;
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use runnerly::stats::summary::Summary;
use runnerly::storage::Connection;
use serde::Serialize;
use utoipa::ToSchema;

/// The athletes of this browser.
#[derive(Serialize, ToSchema)]
pub(super) struct Athletes {
    athletes: Vec<AthleteView>,
}

/// An athlete.
#[derive(Serialize, ToSchema)]
pub(super) struct AthleteView {
    /// Strava's id; 0 for somebody who only imports files.
    id: String,
    /// First and last name.
    name: String,
    /// `connected`, `revoked` or `local`.
    connection: &'static str,
    /// The scopes granted at Strava.
    scopes: Vec<String>,
    /// When a sync was last complete.
    #[schema(value_type = Option<String>, format = DateTime)]
    synced_at: Option<DateTime<Utc>>,
    /// How many activities are known.
    activities: i64,
}

/// The athletes connected from this browser, the shown one first
#[utoipa::path(get, path = "/api/athletes", responses(
    (status = 200, body = Athletes),
    (status = 401, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(State(web): State<Shared>, asker: Asker, params: Params) -> Result<Json<Athletes>> {
    params.only(&[])?;
    let mut athletes = Vec::new();
    for id in asker.session.athletes() {
        let Some(athlete) = web.app.storage.athlete(*id).await? else { continue };
        athletes.push(AthleteView {
            id: id.to_string(),
            name: athlete.name,
            connection: match athlete.connection {
                Connection::Connected => "connected",
                Connection::Revoked => "revoked",
                Connection::Local => "local",
            },
            scopes: athlete.scope.split(',').filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
            synced_at: athlete.sync.last_synced_at,
            activities: web.app.storage.count_activities(*id).await?,
        });
    }
    Ok(Json(Athletes { athletes }))
}

/// An athlete's statistics.
#[derive(Serialize, ToSchema)]
pub(super) struct SummaryView {
    /// Whose they are.
    athlete: String,
    /// When they were computed.
    #[schema(value_type = String, format = DateTime)]
    computed_at: DateTime<Utc>,
    /// Totals, streaks, Eddington numbers; totals by year, month and week.
    #[schema(value_type = Object)]
    summary: Summary,
}

/// An athlete's statistics, as last computed
#[utoipa::path(get, path = "/api/summary", params(
    ("athlete" = Option<i64>, Query, description = "The shown one unless given"),
), responses(
    (status = 200, body = SummaryView),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn summary(
    State(web): State<Shared>,
    asker: Asker,
    params: Params,
) -> Result<Json<SummaryView>> {
    let params = params.only(&["athlete"])?;
    let athlete = asker.athlete(&web, params.number("athlete", 0..=i64::MAX)?).await?;
    let stats = web.app.storage.stats::<Summary>(athlete.id, "summary").await?;
    let (summary, computed_at) = stats.ok_or_else(|| Fault::missing("summary, yet,"))?;
    Ok(Json(SummaryView { athlete: athlete.id.to_string(), computed_at, summary }))
}
