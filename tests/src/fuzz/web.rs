//! Requests to Runnerly's web front: paths, queries, forms and JSON bodies.

use super::Target;
use ::runnerly::app::App;
use ::runnerly::secret::Keyring;
use ::runnerly::storage::Storage;
use ::runnerly::strava::{Settings, Strava};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use legwork::Client;
use std::cell::OnceCell;
use tokio::runtime::Runtime;
use tower::ServiceExt;

pub(super) const TARGETS: &[Target] = &[Target { name: "requests", run: request }];

thread_local! {
    static FRONT: OnceCell<(Runtime, Router)> = const { OnceCell::new() };
}

/// A front on databases in memory, with a Strava where nobody listens.
fn front() -> (Runtime, Router) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let router = runtime.block_on(async {
        let settings = Settings::new("12345", "simulated-secret".to_owned());
        let settings = settings.with_bases("http://127.0.0.1:9/api/v3", "http://127.0.0.1:9").expect("bases");
        let app = App {
            jobs: Client::connect("sqlite::memory:").await.expect("jobs"),
            storage: Storage::open("sqlite::memory:", Keyring::random().expect("keys"))
                .await
                .expect("storage"),
            strava: Strava::new(settings).expect("a client"),
            strava_speed: 1.0,
        };
        runnerly_web::router(app, Default::default())
    });
    (runtime, router)
}

/// A line of method, path and content type, and the body. The front may refuse, and must not
/// fail.
fn request(data: &[u8]) -> bool {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let line = String::from_utf8_lossy(&data[..end]).into_owned();
    let body = data.get(end + 1..).unwrap_or_default().to_vec();
    let mut words = line.splitn(3, ' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let kind = words.next().filter(|kind| !kind.is_empty()).unwrap_or("application/json");
    // A stream of events ends with its job, not here; the way to Strava leads out of here.
    if path.contains("/events") || path.contains("connect") {
        return false;
    }
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost:8080")
        .header("sec-fetch-site", "same-origin")
        .header("content-type", kind)
        .body(Body::from(body));
    let Ok(request) = request else { return false };
    FRONT.with(|made| {
        let (runtime, router) = made.get_or_init(front);
        runtime.block_on(async {
            let response = router.clone().oneshot(request).await.expect("an answer");
            let status = response.status();
            let bytes = to_bytes(response.into_body(), 64 << 20).await.expect("a body");
            assert!(!status.is_server_error(), "{status}: {}", String::from_utf8_lossy(&bytes));
            status.is_success() || status.is_redirection()
        })
    })
}
