//! A JSON body: only with its content type, at most 64 KiB, no field unknown.

use crate::fault::{Fault, Result};
use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

const MAX: usize = 64 * 1024;

/// The body of a request, read as `T`.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !kind.is_some_and(is_json) {
            let detail = "The body must be application/json in UTF-8.";
            return Err(Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
        }
        let bytes = to_bytes(request.into_body(), MAX).await.map_err(|_| {
            let detail = format!("The body is longer than {MAX} bytes, or ends early.");
            Fault::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
        })?;
        match serde_json::from_slice(&bytes) {
            Ok(body) => Ok(Body(body)),
            // Well-formed JSON of another shape is told apart from what is no JSON at all, or
            // says a thing twice.
            Err(e) if e.classify() == Category::Data && !is_repeated(&e) => {
                Err(Fault::unprocessable(format!("body: {e}")))
            }
            Err(e) => Err(Fault::bad(format!("body: not JSON that can be read: {e}"))),
        }
    }
}

fn is_repeated(e: &serde_json::Error) -> bool {
    e.to_string().starts_with("duplicate field")
}

fn is_json(kind: &str) -> bool {
    let mut parts = kind.split(';').map(|part| part.trim().to_ascii_lowercase());
    let json = parts.next().is_some_and(|kind| kind == "application/json");
    json && parts.all(|part| part == "charset=utf-8" || part == "charset=\"utf-8\"")
}
