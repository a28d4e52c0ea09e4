//! Errors: one shape inside, a page for people and problem+json for programs outside.

use crate::pages;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// Why a request is not answered as wished: what the client is told of it.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) status: StatusCode,
    /// A stable word for programs.
    pub(crate) code: &'static str,
    /// One line for people.
    pub(crate) detail: String,
}

pub(crate) type Result<T> = std::result::Result<T, Fault>;

/// An error as programs see it (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// The status text.
    title: String,
    /// The HTTP status.
    status: u16,
    /// A stable word for programs.
    code: &'static str,
    /// One line for people.
    detail: String,
}

impl Fault {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Fault {
        Fault { status, code, detail: detail.into() }
    }

    /// A parameter or a path that is not allowed.
    pub(crate) fn bad(detail: impl Into<String>) -> Fault {
        Fault::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    pub(crate) fn missing(what: &str) -> Fault {
        Fault::new(StatusCode::NOT_FOUND, "not_found", format!("There is no such {what} here."))
    }

    /// Well-formed, and not allowed.
    pub(crate) fn unprocessable(detail: impl Into<String>) -> Fault {
        Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "unprocessable", detail)
    }

    pub(crate) fn not_connected() -> Fault {
        let detail = "No athlete is connected from this browser; connect one first.";
        Fault::new(StatusCode::UNAUTHORIZED, "not_connected", detail)
    }

    pub(crate) fn cross_site() -> Fault {
        let detail = "The request came from another site; open the page itself and try again.";
        Fault::new(StatusCode::FORBIDDEN, "cross_site", detail)
    }

    pub(crate) fn panicked() -> Fault {
        Fault::internal("a handler panicked")
    }

    /// Something that only the log may tell; the number finds it there.
    pub(crate) fn internal(cause: impl std::fmt::Display) -> Fault {
        let number = format!("{:08x}", rand::random::<u32>());
        tracing::error!(number, %cause, "a request failed");
        let detail = format!("Something went wrong here. The log knows more under the number {number}.");
        Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    pub(crate) fn unavailable(code: &'static str, what: &str, cause: impl std::fmt::Display) -> Fault {
        tracing::warn!(%cause, "{what} is away");
        let detail = format!("{what} does not answer right now. Try again in a moment.");
        Fault::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
    }

    /// What a bare status from a layer means.
    fn of(status: StatusCode) -> Fault {
        let (code, detail) = match status.as_u16() {
            400 => ("bad_request", "The request cannot be understood."),
            404 => ("not_found", "There is nothing at this address."),
            405 => ("method_not_allowed", "This address does not take that method."),
            413 => ("too_large", "The request is larger than allowed."),
            415 => ("unsupported_media_type", "That content type is not taken here."),
            422 => ("unprocessable", "The request is well-formed, but not allowed."),
            503 => ("unavailable", "It took too long. Try again in a moment."),
            500.. => ("internal", "Something went wrong here."),
            _ => ("refused", "The request is refused."),
        };
        Fault::new(status, code, detail)
    }

    /// The bare answer; [`render`] gives it its body.
    pub(crate) fn response<B: Default>(self) -> axum::http::Response<B> {
        let mut response = axum::http::Response::new(B::default());
        *response.status_mut() = self.status;
        response.extensions_mut().insert(self);
        response
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        self.response()
    }
}

impl From<runnerly::storage::Error> for Fault {
    fn from(e: runnerly::storage::Error) -> Fault {
        match e {
            e if e.is_unavailable() => Fault::unavailable("database_unavailable", "The database", e),
            runnerly::storage::Error::UnknownAthlete(_) => Fault::missing("athlete"),
            e @ runnerly::storage::Error::PlanFull => Fault::new(StatusCode::CONFLICT, "full", e.to_string()),
            e => Fault::internal(e),
        }
    }
}

impl From<legwork::Error> for Fault {
    fn from(e: legwork::Error) -> Fault {
        if e.is_unavailable() || e.is_refused() {
            Fault::unavailable("queue_unavailable", "The queue", e)
        } else {
            Fault::internal(e)
        }
    }
}

pub(crate) async fn not_found() -> Fault {
    Fault::of(StatusCode::NOT_FOUND)
}

pub(crate) async fn not_allowed() -> Fault {
    Fault::of(StatusCode::METHOD_NOT_ALLOWED)
}

/// Gives every error answer its body: problem+json below `/api`, else a page.
pub(crate) async fn render(request: Request, next: Next) -> Response {
    let head = request.method() == Method::HEAD;
    let path = request.uri().path();
    let program = path == "/api" || path.starts_with("/api/") || is_probe(&request);
    let response = next.run(request).await;
    let finished = response.extensions().get::<Finished>().is_some();
    if finished || !(response.status().is_client_error() || response.status().is_server_error()) {
        return response;
    }
    let fault = response.extensions().get::<Fault>().cloned();
    let fault = fault.unwrap_or_else(|| Fault::of(response.status()));
    let mut rendered = match program {
        true => problem(&fault),
        false => pages::error(&fault),
    };
    keep(response.headers(), rendered.headers_mut());
    if head {
        *rendered.body_mut() = axum::body::Body::empty();
    }
    rendered
}

/// Marks an error answer that has its body already.
#[derive(Clone, Copy)]
pub(crate) struct Finished;

fn is_probe(request: &Request) -> bool {
    let path = request.extensions().get::<MatchedPath>().map_or(request.uri().path(), MatchedPath::as_str);
    matches!(path, "/healthz" | "/readyz" | "/metrics")
}

fn keep(from: &HeaderMap, to: &mut HeaderMap) {
    for name in [header::ALLOW, header::RETRY_AFTER, header::SET_COOKIE, header::WWW_AUTHENTICATE] {
        for value in from.get_all(&name) {
            to.append(&name, value.clone());
        }
    }
}

fn problem(fault: &Fault) -> Response {
    let problem = Problem {
        title: fault.status.canonical_reason().unwrap_or("Error").into(),
        status: fault.status.as_u16(),
        code: fault.code,
        detail: fault.detail.clone(),
    };
    let mut response = (fault.status, axum::Json(problem)).into_response();
    let json = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
