//! Answers as Strava words them.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A fault: a status and the body `{message, errors: [{resource, field, code}]}`.
#[derive(Debug)]
pub(crate) struct Fault {
    status: StatusCode,
    message: &'static str,
    errors: Vec<(&'static str, String, String)>,
}

/// What handlers return.
pub(crate) type Answer = Result<Response, Fault>;

impl Fault {
    fn new(status: StatusCode, message: &'static str, error: (&'static str, &str, &str)) -> Self {
        let (resource, field, code) = error;
        Self { status, message, errors: vec![(resource, field.into(), code.into())] }
    }

    /// 400: `field` of `resource` is `code` ("invalid", "missing", "future").
    pub(crate) fn bad(resource: &'static str, field: &str, code: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Bad Request", (resource, field, code))
    }

    /// 401: no such access token, or it is dead.
    pub(crate) fn unauthorized() -> Self {
        let error = ("Application", "", "invalid");
        Self::new(StatusCode::UNAUTHORIZED, "Authorization Error", error)
    }

    /// 401: the token lives, but `scope` was not granted.
    pub(crate) fn scope(scope: &str) -> Self {
        let field = format!("{scope}_permission");
        let error = ("AccessToken", field.as_str(), "missing");
        Self::new(StatusCode::UNAUTHORIZED, "Authorization Error", error)
    }

    /// 404: there is no such `resource`, or it is not this athlete's.
    pub(crate) fn not_found(resource: &'static str) -> Self {
        let error = (resource, "id", "invalid");
        Self::new(StatusCode::NOT_FOUND, "Record Not Found", error)
    }

    /// 429: over a limit.
    pub(crate) fn rate_limited() -> Self {
        let error = ("Application", "rate limit", "exceeded");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "Rate Limit Exceeded", error)
    }

    /// A fault of any status, as injected by `/sim/faults`.
    pub(crate) fn status(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::unauthorized(),
            StatusCode::NOT_FOUND => Self::not_found("Activity"),
            StatusCode::TOO_MANY_REQUESTS => Self::rate_limited(),
            StatusCode::FORBIDDEN => Self::new(status, "Forbidden", ("Application", "Status", "Inactive")),
            _ => {
                let message = status.canonical_reason().unwrap_or("Error");
                Self { status, message, errors: Vec::new() }
            }
        }
    }

    /// 500: this program could not keep its state.
    pub(crate) fn unsaved(error: &std::io::Error) -> Self {
        tracing::error!(%error, "the state file could not be written");
        Self::status(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let errors: Vec<_> = self
            .errors
            .into_iter()
            .map(|(resource, field, code)| json!({"resource": resource, "field": field, "code": code}))
            .collect();
        (self.status, Json(json!({"message": self.message, "errors": errors}))).into_response()
    }
}
