//! Files handed in: kept as they are, and read by a job.

use super::Asker;
use crate::fault::{Fault, Problem, Result};
use crate::params::Params;
use crate::session::{Maybe, Session};
use crate::web::{Shared, Web};
use axum::extract::multipart::{Field, MultipartRejection};
use axum::extract::{DefaultBodyLimit, Multipart, State};
use axum::http::{StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use runnerly::storage::{Athlete, Upload, UploadState};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

/// The largest file taken.
const MAX_FILE: usize = 32 << 20;

/// The most files in one request, and their bytes together.
const MAX_FILES: usize = 100;
pub(crate) const MAX_REQUEST: usize = 128 << 20;

/// The kinds of files that are read.
const KINDS: [&str; 3] = [".gpx", ".tcx", ".fit"];

/// The athlete of files handed in without any connection.
const LOCAL: i64 = 0;

pub(super) fn routes() -> Router<Shared> {
    let limit = DefaultBodyLimit::max(MAX_REQUEST);
    Router::new().route("/api/uploads", get(list).post(post).layer(limit))
}

/// What became of the files of a request.
#[derive(Default)]
pub(crate) struct Taken {
    /// Ids of the uploads.
    pub(crate) taken: Vec<String>,
    pub(crate) refused: Vec<Refused>,
}

/// A file that was not taken.
#[derive(Serialize, ToSchema)]
pub(crate) struct Refused {
    /// Its name.
    pub(crate) name: String,
    /// Why, and what is allowed.
    pub(crate) reason: String,
}

/// A file and what became of it.
#[derive(Serialize, ToSchema)]
pub(super) struct UploadView {
    id: String,
    name: String,
    /// Bytes.
    size: i64,
    /// `waiting`, `imported` or `failed`.
    state: &'static str,
    /// The activity that came of it.
    activity: Option<String>,
    /// Why it could not be read.
    error: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: DateTime<Utc>,
}

impl From<Upload> for UploadView {
    fn from(upload: Upload) -> UploadView {
        let (state, activity, error) = match upload.state {
            UploadState::Waiting => ("waiting", None, None),
            UploadState::Imported { activity } => ("imported", Some(activity.to_string()), None),
            UploadState::Failed { error } => ("failed", None, Some(error)),
        };
        let Upload { id, name, size, created_at, .. } = upload;
        UploadView { id, name, size, state, activity, error, created_at }
    }
}

/// Files, the latest first.
#[derive(Serialize, ToSchema)]
pub(super) struct Uploads {
    uploads: Vec<UploadView>,
}

/// Files that were taken, and those that were not.
#[derive(Serialize, ToSchema)]
pub(super) struct UploadsTaken {
    /// Ids of the uploads, in order.
    uploads: Vec<String>,
    refused: Vec<Refused>,
}

/// The files that the shown athlete handed in lately
#[utoipa::path(get, path = "/api/uploads", params(
    ("athlete" = Option<i64>, Query, description = "The shown one unless given"),
    ("limit" = Option<i64>, Query, minimum = 1, maximum = 200, description = "50 unless given"),
), responses(
    (status = 200, body = Uploads),
    (status = 401, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(State(web): State<Shared>, asker: Asker, params: Params) -> Result<Json<Uploads>> {
    let params = params.only(&["athlete", "limit"])?;
    let limit = params.number("limit", 1..=200)?.unwrap_or(50);
    let athlete = asker.athlete(&web, params.number("athlete", 0..=i64::MAX)?).await?;
    let uploads = web.app.storage.uploads(athlete.id, limit as u32).await?;
    Ok(Json(Uploads { uploads: uploads.into_iter().map(UploadView::from).collect() }))
}

/// Takes GPX, TCX and FIT files, at most 32 MiB each, and imports them in the background
#[utoipa::path(post, path = "/api/uploads",
    request_body(content = Vec<u8>, content_type = "multipart/form-data"),
    responses(
        (status = 202, body = UploadsTaken),
        (status = 413, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn post(
    State(web): State<Shared>,
    session: Session,
    Maybe(athlete): Maybe,
    params: Params,
    files: std::result::Result<Multipart, MultipartRejection>,
) -> Result<Response> {
    params.only(&[])?;
    let files = files.map_err(|_| {
        let detail = "Files come as multipart/form-data.";
        Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    })?;
    let (athlete, session) = owner(&web, session, athlete).await?;
    let Taken { taken, refused } = take(&web, athlete.id, files).await?;
    if taken.is_empty() {
        let first = refused.first().map(|refused| format!("{}: {}", refused.name, refused.reason));
        return Err(Fault::unprocessable(first.unwrap_or_else(|| "files: none given".into())));
    }
    let cookie = AppendHeaders([(header::SET_COOKIE, session.cookie(&web)?)]);
    Ok((StatusCode::ACCEPTED, cookie, Json(UploadsTaken { uploads: taken, refused })).into_response())
}

/// Whose the files will be: the shown athlete's, or a local athlete's who needs no Strava.
/// On a public server there is none: strangers would share it.
pub(crate) async fn owner(
    web: &Web,
    mut session: Session,
    shown: Option<Athlete>,
) -> Result<(Athlete, Session)> {
    if let Some(athlete) = shown {
        return Ok((athlete, session));
    }
    if web.origin.is_some() {
        return Err(Fault::not_connected());
    }
    if web.app.storage.athlete(LOCAL).await?.is_none() {
        web.app.storage.save_athlete(LOCAL, "You", &json!({})).await?;
    }
    session.show(LOCAL);
    let athlete = web.app.storage.athlete(LOCAL).await?.ok_or_else(|| Fault::missing("athlete"))?;
    Ok((athlete, session))
}

/// Keeps every file of a request, to be imported by a job; a file that is refused does not
/// keep the others out.
pub(crate) async fn take(web: &Web, athlete: i64, mut files: Multipart) -> Result<Taken> {
    let mut done = Taken::default();
    while let Some(field) = files.next_field().await.map_err(|e| broken(&e))? {
        // Other fields of the form, and the empty one that a browser sends for no choice.
        let Some(name) = field.file_name().map(tidy).filter(|name| !name.is_empty()) else { continue };
        if done.taken.len() + done.refused.len() == MAX_FILES {
            let detail = format!("files: more than {MAX_FILES}; the first ones were taken");
            return Err(Fault::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail));
        }
        match read(&name, field).await? {
            Ok(bytes) => done.taken.push(keep(web, athlete, &name, &bytes).await?),
            Err(reason) => done.refused.push(Refused { name, reason }),
        }
    }
    Ok(done)
}

/// The content of a file, or why it is refused.
async fn read(name: &str, mut field: Field<'_>) -> Result<std::result::Result<Vec<u8>, String>> {
    let mut bytes = Vec::new();
    let mut size = 0;
    let known = KINDS.iter().any(|kind| name.to_ascii_lowercase().ends_with(kind));
    while let Some(chunk) = field.chunk().await.map_err(|e| broken(&e))? {
        size += chunk.len();
        // The rest is read and dropped, so that the files behind it can be taken.
        if known && size <= MAX_FILE {
            bytes.extend_from_slice(&chunk);
        }
    }
    Ok(match size {
        _ if !known => Err(format!("not a kind of file that can be read; allowed are {}", KINDS.join(", "))),
        0 => Err("the file is empty".into()),
        size if size > MAX_FILE => Err(format!("larger than {} MiB", MAX_FILE >> 20)),
        _ => Ok(bytes),
    })
}

/// With the job that imports it, or not at all: a queue that is away keeps nobody waiting.
async fn keep(web: &Web, athlete: i64, name: &str, bytes: &[u8]) -> Result<String> {
    let id = format!("{:032x}", rand::random::<u128>());
    web.app.storage.save_upload(&id, athlete, name, bytes).await?;
    Ok(id)
}

/// The last part of a path, without what cannot be shown.
fn tidy(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last.chars().filter(|c| !c.is_control()).collect();
    let length = clean.chars().count();
    // The end of a long name tells the kind of file.
    clean.trim().chars().skip(length.saturating_sub(120)).collect()
}

fn broken(e: &axum::extract::multipart::MultipartError) -> Fault {
    match e.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let detail = format!("The request is larger than {} MiB.", MAX_REQUEST >> 20);
            Fault::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
        }
        _ => Fault::bad("The form ends early or is broken."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_path_and_keep_their_end() {
        assert_eq!(tidy("../../etc/run.gpx"), "run.gpx");
        assert_eq!(tidy("C:\\runs\\a\u{0}b.fit"), "ab.fit");
        let long = tidy(&format!("{}.tcx", "x".repeat(500)));
        assert!(long.len() == 120 && long.ends_with(".tcx"));
    }
}
