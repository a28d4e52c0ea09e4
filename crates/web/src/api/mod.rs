//! The JSON API, and its description in OpenAPI.
//!
//! Ids are strings: those of imported files are larger than JavaScript's numbers hold.

mod activities;
mod athletes;
mod body;
mod jobs;
mod messages;
pub(crate) mod plan;
pub(crate) mod uploads;
mod views;

use crate::fault::{self, Problem};
use crate::session::Session;
use crate::status::JobStatus;
use crate::web::Shared;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use runnerly::storage::Athlete;
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Runnerly",
        description = "Runs and statistics of the athletes connected from this browser. \
            The session cookie that connecting sets says who asks. Errors are application/problem+json \
            with a stable `code`."
    ),
    paths(
        athletes::list,
        athletes::summary,
        activities::list,
        activities::one,
        activities::streams,
        jobs::sync,
        jobs::one,
        jobs::events,
        plan::list,
        plan::post,
        plan::put,
        plan::delete,
        messages::list,
        messages::read,
        uploads::list,
        uploads::post,
    ),
    components(schemas(Problem, JobStatus))
)]
struct Description;

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/openapi.json", get(async || Json(Description::openapi())))
        .route("/api/athletes", get(athletes::list))
        .route("/api/summary", get(athletes::summary))
        .route("/api/activities", get(activities::list))
        .route("/api/activities/{id}", get(activities::one))
        .route("/api/activities/{id}/streams", get(activities::streams))
        .route("/api/sync", post(jobs::sync))
        .route("/api/jobs/{id}", get(jobs::one))
        .route("/api/jobs/{id}/events", get(jobs::events))
        .route("/api/plan", get(plan::list).post(plan::post))
        .route("/api/plan/{id}", put(plan::put).delete(plan::delete))
        .route("/api/messages", get(messages::list))
        .route("/api/messages/read", post(messages::read))
        .merge(uploads::routes())
}

/// Who asks: the session of a browser that has connected somebody.
struct Asker {
    session: Session,
}

impl Asker {
    /// The athlete asked about: the one named, else the shown one. Somebody else's is not
    /// there.
    async fn athlete(&self, web: &Shared, named: Option<i64>) -> fault::Result<Athlete> {
        let id = named.or_else(|| self.session.athletes().first().copied());
        let id = id.filter(|id| self.session.holds(*id)).ok_or_else(|| fault::Fault::missing("athlete"))?;
        web.app.storage.athlete(id).await?.ok_or_else(|| fault::Fault::missing("athlete"))
    }
}

impl FromRequestParts<Shared> for Asker {
    type Rejection = fault::Fault;

    async fn from_request_parts(parts: &mut Parts, web: &Shared) -> fault::Result<Asker> {
        let Ok(session) = Session::from_request_parts(parts, web).await;
        if session.athletes().is_empty() {
            return Err(fault::Fault::not_connected());
        }
        Ok(Asker { session })
    }
}
