//! Style sheet, script and icon, built into the program.

use crate::web::Shared;
use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

const CSS: &str = include_str!("../assets/app.css");
const JS: &str = include_str!("../assets/app.js");
const ICON: &str = include_str!("../assets/icon.svg");

/// Changes with the content, so that browsers may keep what they have for ever.
pub(crate) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = DefaultHasher::new();
    (CSS, JS, ICON).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
});

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/assets/app.css", get(async || file("text/css; charset=utf-8", CSS)))
        .route("/assets/app.js", get(async || file("text/javascript; charset=utf-8", JS)))
        .route("/assets/icon.svg", get(async || file("image/svg+xml", ICON)))
        .route("/favicon.ico", get(async || file("image/svg+xml", ICON)))
}

fn file(mime: &'static str, text: &'static str) -> impl IntoResponse {
    let headers =
        [(header::CONTENT_TYPE, mime), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, text)
}
