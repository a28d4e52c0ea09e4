//! The server: what handlers share, the routes, and what surrounds every request.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use chrono::SubsecRound;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::answer::Fault;
use crate::inject::{self, Injected};
use crate::store::{Edits, Store, held};
use crate::world::World;
use crate::{Limits, Options, SimClock};
use crate::{api, control, oauth, webhooks};

/// What all handlers share.
pub(crate) struct App {
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    pub(crate) clock: SimClock,
    pub(crate) event_pause: Duration,
    pub(crate) limits: Mutex<Limits>,
    pub(crate) store: Store,
    pub(crate) world: World,
    pub(crate) injected: Mutex<Vec<Injected>>,
    pub(crate) counters: Mutex<BTreeMap<String, u64>>,
    /// For webhooks: loopback only, so no proxy and no redirects.
    pub(crate) http: reqwest::Client,
    pub(crate) stop: CancellationToken,
}

impl App {
    pub(crate) async fn new(options: Options) -> anyhow::Result<Arc<Self>> {
        let store = Store::open(&options.data_dir)?;
        let now = options.clock.now().trunc_subsecs(0);
        let until = store.change(|data| *data.until.get_or_insert(now));
        store
            .save()
            .await
            .with_context(|| format!("data_dir {}: cannot be written", options.data_dir.display()))?;
        let world = World::new(options.seed, until, options.recordings.as_deref())?;
        // reqwest asks for a TLS provider even for plain HTTP; a second install is refused, and fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(webhooks::PATIENCE)
            .build()?;
        Ok(Arc::new(Self {
            client_id: options.client_id,
            client_secret: options.client_secret,
            clock: options.clock,
            event_pause: options.event_pause,
            limits: Mutex::new(options.limits),
            store,
            world,
            injected: Mutex::default(),
            counters: Mutex::default(),
            http,
            stop: CancellationToken::new(),
        }))
    }

    pub(crate) fn count(&self, what: &str) {
        *held(&self.counters).entry(what.to_owned()).or_default() += 1;
    }

    pub(crate) fn edits(&self) -> Arc<Edits> {
        self.store.read(|data| data.edits.clone())
    }

    /// Computes away from the async threads: a first listing makes years of activities.
    pub(crate) async fn compute<R: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&World, &Edits) -> R + Send + 'static,
    ) -> Result<R, Fault> {
        let (app, edits) = (self.clone(), self.edits());
        let work = move || work(&app.world, &edits);
        tokio::task::spawn_blocking(work).await.map_err(|error| {
            tracing::error!(%error, "a computation failed");
            Fault::status(axum::http::StatusCode::INTERNAL_SERVER_ERROR)
        })
    }

    /// Keeps everything changed so far, before the answer is sent.
    pub(crate) async fn save(&self) -> Result<(), Fault> {
        self.store.save().await.map_err(|error| Fault::unsaved(&error))
    }
}

/// Serves until stopped, then keeps the last counters.
pub(crate) async fn serve(listener: TcpListener, app: Arc<App>) {
    let router = routes(app.clone());
    let ended = app.stop.clone().cancelled_owned();
    let keeper = tokio::spawn(keep_usage(app.clone()));
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(ended).await {
        tracing::error!(%error, "the server ended");
    }
    app.stop.cancel();
    // It saves once more when it sees the stop.
    let _ = keeper.await;
}

/// Usage is kept a little behind, or each request would wait for the disk:
/// a crash forgets the counting of its last quarter second, and no token.
async fn keep_usage(app: Arc<App>) {
    loop {
        let stopped = tokio::select! {
            () = app.stop.cancelled() => true,
            () = tokio::time::sleep(Duration::from_millis(250)) => false,
        };
        if let Err(error) = app.store.save().await {
            tracing::error!(%error, "the state file could not be written");
        }
        if stopped {
            return;
        }
    }
}

fn routes(app: Arc<App>) -> Router {
    let api = api::routes(&app);
    Router::new()
        .nest("/api/v3", api.clone())
        // The base URL of 2027 has no prefix.
        .merge(api)
        .merge(oauth::routes())
        .merge(control::routes())
        .fallback(async || Fault::not_found("resource"))
        .layer(middleware::from_fn_with_state(app.clone(), surround))
        .with_state(app)
}

/// Counts the request, strikes with an injected fault, and dates the answer.
async fn surround(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let path = path.strip_prefix("/api/v3").unwrap_or(path).to_owned();
    app.count(&format!("{} {}", request.method(), general(&path)));
    let struck = if path.starts_with("/sim/") { None } else { inject::take(&app.injected, &path) };
    let mut response = match struck {
        Some(fault) => inject::strike(fault, &app, request, next).await,
        None => next.run(request).await,
    };
    if let Ok(date) = HeaderValue::from_str(&app.clock.http_date()) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

/// `/activities/17/laps` as `/activities/{id}/laps`.
fn general(path: &str) -> String {
    let numeric = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let part = |part: &str| {
        if numeric(part) { "{id}".to_owned() } else { part.to_owned() }
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// A JSON body that is text already.
pub(crate) fn json_text(body: String) -> Response {
    let kind = (header::CONTENT_TYPE, "application/json; charset=utf-8");
    ([kind, (header::CACHE_CONTROL, "max-age=0, private, must-revalidate")], body).into_response()
}
