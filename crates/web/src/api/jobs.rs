//! Syncs, and jobs under way.

use super::Asker;
use super::body::Body;
use crate::fault::{Fault, Problem, Result};
use crate::params::Params;
use crate::status::{self, JobStatus};
use crate::web::Shared;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use legwork::JobId;
use runnerly::jobs::SyncAthlete;
use runnerly::storage::Connection;
use serde::{Deserialize, Deserializer, Serialize};
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;

/// Between two looks at a job that is followed.
const LOOK: Duration = Duration::from_millis(500);

/// What to sync.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SyncRequest {
    /// Whose activities; the shown athlete's unless given. A number or a string.
    #[serde(default, deserialize_with = "id")]
    #[schema(value_type = Option<String>)]
    athlete: Option<i64>,
    /// From the very first activity on.
    #[serde(default)]
    full: bool,
}

/// Ids are strings towards JavaScript; numbers are taken, too.
fn id<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Id {
        Number(i64),
        Text(String),
    }
    match Option::<Id>::deserialize(from)? {
        None => Ok(None),
        Some(Id::Number(id)) => Ok(Some(id)),
        Some(Id::Text(text)) => {
            text.parse().map(Some).map_err(|_| serde::de::Error::custom("athlete: not an id"))
        }
    }
}

/// A job that was asked for.
#[derive(Serialize, ToSchema)]
pub(super) struct Accepted {
    /// Its id, to follow at `/api/jobs/{id}`.
    job: String,
    /// False when one was under way already: it is that one.
    created: bool,
}

/// Fetches new activities from Strava in the background
#[utoipa::path(post, path = "/api/sync", request_body = SyncRequest, responses(
    (status = 202, body = Accepted),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 415, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn sync(
    State(web): State<Shared>,
    asker: Asker,
    params: Params,
    Body(request): Body<SyncRequest>,
) -> Result<Response> {
    params.only(&[])?;
    let athlete = asker.athlete(&web, request.athlete).await?;
    if athlete.connection != Connection::Connected {
        let detail = "This athlete is not connected to Strava, so there is nothing to fetch.";
        return Err(Fault::new(StatusCode::CONFLICT, "not_connected_to_strava", detail));
    }
    let full = request.full || athlete.sync.last_synced_at.is_none();
    let receipt = web.app.jobs.enqueue(SyncAthlete { athlete: athlete.id, full }).await?;
    let place = [(header::LOCATION, format!("/api/jobs/{}", receipt.id))];
    let accepted = Accepted { job: receipt.id.to_string(), created: receipt.created };
    Ok((StatusCode::ACCEPTED, place, Json(accepted)).into_response())
}

/// Where one of Runnerly's own jobs stands
#[utoipa::path(get, path = "/api/jobs/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = JobStatus),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn one(
    State(web): State<Shared>,
    asker: Asker,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<JobStatus>> {
    params.only(&[])?;
    Ok(Json(look(&web, &asker, &id).await?))
}

async fn look(web: &Shared, asker: &Asker, id: &str) -> Result<JobStatus> {
    let id: JobId = id.parse().map_err(|_| Fault::missing("job"))?;
    let job = status::job(web, id, |athlete| asker.session.holds(athlete)).await?;
    job.ok_or_else(|| Fault::missing("job"))
}

/// A followed job.
struct Followed {
    web: Shared,
    asker: Asker,
    id: String,
    /// What was last told.
    told: Option<JobStatus>,
    /// Its place among the live streams.
    _permit: OwnedSemaphorePermit,
}

/// Follows a job: an event with its status at every change, until it has finished
#[utoipa::path(get, path = "/api/jobs/{id}/events", params(("id" = String, Path)), responses(
    (status = 200, body = JobStatus, content_type = "text/event-stream"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn events(
    State(web): State<Shared>,
    asker: Asker,
    Path(id): Path<String>,
    params: Params,
) -> Result<impl IntoResponse> {
    params.only(&[])?;
    look(&web, &asker, &id).await?;
    let Ok(permit) = web.live.clone().try_acquire_owned() else {
        let detail = "Too many live streams are open; ask for the job itself instead.";
        return Err(Fault::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_streams", detail));
    };
    let followed = Followed { web, asker, id, told: None, _permit: permit };
    Ok(Sse::new(follow(followed)).keep_alive(KeepAlive::default()))
}

fn follow(followed: Followed) -> impl Stream<Item = std::result::Result<Event, Infallible>> {
    stream::unfold(followed, |mut followed| async move {
        if followed.told.as_ref().is_some_and(|told| told.finished) {
            return None;
        }
        let stop = followed.web.stop.clone();
        tokio::select! {
            // A stream that went on would keep the process from ending.
            () = stop.cancelled() => None,
            event = next(&mut followed) => Some((Ok(event?), followed)),
        }
    })
}

/// The next change; none when the job is gone.
async fn next(followed: &mut Followed) -> Option<Event> {
    loop {
        if followed.told.is_some() {
            tokio::time::sleep(LOOK).await;
        }
        match look(&followed.web, &followed.asker, &followed.id).await {
            Ok(status) if followed.told.as_ref() == Some(&status) => {}
            Ok(status) => {
                let event = Event::default().json_data(&status).ok()?;
                followed.told = Some(status);
                return Some(event);
            }
            // The queue may come back; the browser asks again by itself.
            Err(_) => return None,
        }
    }
}
