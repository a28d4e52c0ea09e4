//! Files handed in, and what became of them.

use super::{Frame, html};
use crate::api::uploads::{MAX_REQUEST, Taken, owner, take};
use crate::fault::{Fault, Finished, Result};
use crate::format;
use crate::params::Params;
use crate::session::{Maybe, Session};
use crate::status;
use crate::web::{Shared, Web};
use askama::Template;
use axum::Router;
use axum::extract::multipart::MultipartRejection;
use axum::extract::{DefaultBodyLimit, Multipart, State};
use axum::http::{StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use axum::routing::get;
use runnerly::storage::{Athlete, Upload, UploadState};

/// Files listed.
const LIST: u32 = 50;

pub(super) fn routes() -> Router<Shared> {
    let limit = DefaultBodyLimit::max(MAX_REQUEST);
    Router::new().route("/upload", get(page).post(post).layer(limit))
}

#[derive(Template)]
#[template(path = "upload.html")]
struct Page {
    frame: Frame,
    /// Whether somebody without a connection may hand in files.
    open: bool,
    refused: Vec<String>,
    rows: Vec<Row>,
    waiting: usize,
    why: Option<String>,
}

struct Row {
    name: String,
    size: String,
    when: String,
    state: &'static str,
    error: Option<String>,
    run: Option<i64>,
}

impl Row {
    fn of(upload: Upload) -> Row {
        let (state, error, run) = match upload.state {
            UploadState::Waiting => ("waiting", None, None),
            UploadState::Imported { activity } => ("imported", None, Some(activity)),
            UploadState::Failed { error } => {
                // The row names the file already.
                let why = error.strip_prefix(&format!("{}: ", upload.name)).unwrap_or(&error);
                ("failed", Some(status::line(why)), None)
            }
        };
        Row {
            name: upload.name,
            size: format::bytes(upload.size),
            when: format::ago(upload.created_at),
            state,
            error,
            run,
        }
    }
}

async fn page(State(web): State<Shared>, Maybe(athlete): Maybe, params: Params) -> Result<Response> {
    params.only(&[])?;
    show(&web, athlete.as_ref(), Vec::new()).await
}

async fn show(web: &Web, athlete: Option<&Athlete>, refused: Vec<String>) -> Result<Response> {
    let uploads = match athlete {
        Some(athlete) => web.app.storage.uploads(athlete.id, LIST).await?,
        None => Vec::new(),
    };
    let rows: Vec<Row> = uploads.into_iter().map(Row::of).collect();
    let waiting = rows.iter().filter(|row| row.state == "waiting").count();
    let why = if waiting > 0 { status::why_queue(web, "default").await } else { None };
    let frame = Frame::new("Import files", "upload", athlete);
    html(&Page { frame, open: athlete.is_some() || web.origin.is_none(), refused, rows, waiting, why })
}

async fn post(
    State(web): State<Shared>,
    session: Session,
    Maybe(athlete): Maybe,
    files: std::result::Result<Multipart, MultipartRejection>,
) -> Result<Response> {
    let files = files.map_err(|_| {
        Fault::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "Files come as multipart/form-data.",
        )
    })?;
    let (athlete, session) = owner(&web, session, athlete).await?;
    let Taken { refused, taken } = take(&web, athlete.id, files).await?;
    let cookie = AppendHeaders([(header::SET_COOKIE, session.cookie(&web)?)]);
    if refused.is_empty() && !taken.is_empty() {
        return Ok((cookie, Redirect::to("/upload")).into_response());
    }
    let mut lines: Vec<String> =
        refused.iter().map(|refused| format!("{}: {}", refused.name, refused.reason)).collect();
    if lines.is_empty() {
        lines.push("No file was chosen.".into());
    }
    let mut response = show(&web, Some(&athlete), lines).await?;
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    response.extensions_mut().insert(Finished);
    Ok((cookie, response).into_response())
}
