//! What every page shares, and the layers that every request goes through.

use crate::options::{Origin, WebOptions};
use crate::{api, assets, fault, guard, health, pages};
use axum::Router;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use runnerly::app::App;
use runnerly::secret::Keyring;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::csrf::{CsrfLayer, ProtectionError};
use tower_http::timeout::TimeoutLayer;

/// Live streams open at once; a browser that gets none falls back to reloading.
const LIVE: usize = 64;

/// How long a request may take until its answer begins, uploads included.
const TIMEOUT: Duration = Duration::from_secs(120);

/// What every page shares.
pub(crate) struct Web {
    pub(crate) app: App,
    pub(crate) options: WebOptions,
    pub(crate) origin: Option<Origin>,
    pub(crate) keys: Option<Arc<Keyring>>,
    pub(crate) live: Arc<Semaphore>,
    pub(crate) stop: CancellationToken,
}

pub(crate) type Shared = Arc<Web>;

pub(crate) fn build(app: App, options: WebOptions, stop: CancellationToken) -> Router {
    let keys = options.keys.clone().or_else(|| Keyring::random().ok().map(Arc::new));
    let origin = options.origin();
    let live = Arc::new(Semaphore::new(LIVE));
    let web: Shared = Arc::new(Web { app, options, origin, keys, live, stop });
    let mut csrf = CsrfLayer::new();
    if let Some(origin) = &web.origin {
        // A proxy may change the Host header; the browser's Origin stays.
        csrf = csrf.clone().add_trusted_origin(&origin.text).unwrap_or(csrf);
    }
    let csrf = csrf.with_rejection_response(|_: ProtectionError| fault::Fault::cross_site().response());
    Router::new()
        .merge(pages::routes())
        .merge(api::routes())
        .merge(assets::routes())
        .merge(health::routes())
        .fallback(fault::not_found)
        .method_not_allowed_fallback(fault::not_allowed)
        .layer(csrf)
        .layer(from_fn_with_state(web.clone(), guard::host))
        .layer(from_fn(guard::size))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, TIMEOUT))
        .layer(CatchPanicLayer::custom(|_| fault::Fault::panicked().response::<axum::body::Body>()))
        .layer(from_fn(fault::render))
        .layer(from_fn_with_state(web.clone(), guard::headers))
        .layer(from_fn(health::measure))
        .with_state(web)
}
