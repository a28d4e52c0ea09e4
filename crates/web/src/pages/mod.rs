//! The pages. Each one is whole without JavaScript.

mod account;
mod connect;
mod dashboard;
mod messages;
mod plan;
mod records;
mod run;
mod run_list;
mod stats;
mod upload;

use crate::assets::VERSION;
use crate::fault::{Fault, Finished, Result};
use crate::web::Shared;
use askama::Template;
use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use runnerly::storage::Athlete;

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/", get(dashboard::page))
        .route("/sync", post(dashboard::sync))
        .route("/connect", get(connect::begin))
        .route("/connect/callback", get(connect::callback))
        .route("/disconnect", post(account::disconnect))
        .route("/account", get(account::page))
        .route("/account/show", post(account::show))
        .route("/account/leave", post(account::leave))
        .route("/runs", get(run_list::page))
        .route("/runs/{id}", get(run::page))
        .route("/stats", get(stats::page))
        .route("/records", get(records::page))
        .route("/plan", get(plan::page).post(plan::post))
        .route("/plan/delete", post(plan::delete))
        .route("/messages", get(messages::page))
        .route("/messages/read", post(messages::read))
        .merge(upload::routes())
}

/// What the frame around every page shows.
pub(crate) struct Frame {
    pub(crate) title: String,
    /// The menu's entry that is open.
    pub(crate) here: &'static str,
    pub(crate) version: &'static str,
    /// The shown athlete's name; without one there is no menu.
    pub(crate) name: Option<String>,
    /// Without JavaScript, reload after this many seconds.
    pub(crate) reload: Option<u32>,
}

impl Frame {
    pub(crate) fn new(title: impl Into<String>, here: &'static str, athlete: Option<&Athlete>) -> Frame {
        let name = athlete.map(|athlete| athlete.name.clone());
        Frame { title: title.into(), here, version: &VERSION, name, reload: None }
    }
}

/// Renders a template.
pub(crate) fn html(template: &impl Template) -> Result<Response> {
    let text = template.render().map_err(Fault::internal)?;
    let mut response = text.into_response();
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, html);
    Ok(response)
}

/// A page with one message, and where to go from there.
#[derive(Template)]
#[template(path = "notice.html")]
pub(crate) struct Notice {
    pub(crate) frame: Frame,
    pub(crate) lines: Vec<String>,
    /// Address and label of what to do next.
    pub(crate) next: (&'static str, &'static str),
}

impl Notice {
    /// The page, which is an answer with this fault's status.
    pub(crate) fn response(self, status: axum::http::StatusCode) -> Result<Response> {
        let mut response = html(&self)?;
        *response.status_mut() = status;
        response.extensions_mut().insert(Finished);
        Ok(response)
    }
}

/// The page that an error is.
pub(crate) fn error(fault: &Fault) -> Response {
    let title = match fault.status.as_u16() {
        401 => "Not connected",
        403 => "Refused",
        404 => "Not found",
        405 => "Not like this",
        421 => "Wrong address",
        503 => "Not right now",
        500.. => "Something went wrong",
        _ => "That is not possible",
    };
    let notice = Notice {
        frame: Frame::new(title, "", None),
        lines: vec![fault.detail.clone()],
        next: ("/", "To the start"),
    };
    notice.response(fault.status).unwrap_or_else(|_| fault.status.into_response())
}
