//! For probes and for Prometheus.

use crate::fault::{Fault, Result};
use crate::web::Shared;
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use legwork::State as JobState;
use legwork::backend::QueueView;
use std::fmt::Write;
use std::time::{Duration, Instant};

/// How long queue and database may take to count as ready.
const PATIENCE: Duration = Duration::from_secs(3);

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
}

/// Ready is "queue and database have just answered", never "the process is up".
async fn ready(State(web): State<Shared>) -> Result<&'static str> {
    let late = |code, what| Fault::unavailable(code, what, "no answer in time");
    match tokio::time::timeout(PATIENCE, web.app.storage.ping()).await {
        Ok(answer) => answer.map_err(|e| Fault::unavailable("database_unavailable", "The database", e))?,
        Err(_) => return Err(late("database_unavailable", "The database")),
    }
    match tokio::time::timeout(PATIENCE, web.app.jobs.backend().now()).await {
        Ok(answer) => {
            answer.map(drop).map_err(|e| Fault::unavailable("queue_unavailable", "The queue", e))?
        }
        Err(_) => return Err(late("queue_unavailable", "The queue")),
    }
    Ok("ready\n")
}

async fn metrics(State(web): State<Shared>, headers: HeaderMap) -> Result<Response> {
    match (&web.options.metrics_token, &web.origin) {
        (Some(token), _) if !bears(&headers, token) => {
            let detail = "The figures need a bearer token.";
            return Err(Fault::new(StatusCode::UNAUTHORIZED, "unauthorized", detail));
        }
        (None, Some(_)) => return Err(Fault::missing("page")),
        _ => {}
    }
    let mut text = web.options.metrics.as_ref().map(|recorder| recorder.render()).unwrap_or_default();
    // Without the queue the process's own figures are still worth having.
    match web.app.jobs.queues().await {
        Ok(queues) => depth(&mut text, &queues),
        Err(e) => tracing::warn!(error = %e, "no queue depths: the queue is away"),
    }
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

fn bears(headers: &HeaderMap, token: &str) -> bool {
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let shown = shown.strip_prefix("Bearer ").unwrap_or_default().as_bytes();
    // Every byte is compared, so that the time taken tells nothing of the token.
    let differ = shown.iter().zip(token.as_bytes()).fold(0, |seen, (a, b)| seen | (a ^ b));
    shown.len() == token.len() && differ == 0
}

fn depth(text: &mut String, queues: &[QueueView]) {
    text.push_str("# HELP legwork_queue_depth Jobs by queue and state.\n# TYPE legwork_queue_depth gauge\n");
    for queue in queues {
        for state in JobState::ALL {
            let (name, count) = (&queue.name, queue.count(state));
            let _ = writeln!(text, "legwork_queue_depth{{queue=\"{name}\",state=\"{state}\"}} {count}");
        }
    }
    text.push_str(
        "# HELP legwork_queue_paused Whether a queue is paused.\n# TYPE legwork_queue_paused gauge\n",
    );
    for queue in queues {
        let _ = writeln!(
            text,
            "legwork_queue_paused{{queue=\"{}\"}} {}",
            queue.name,
            u8::from(queue.paused.is_some())
        );
    }
}

/// Counts requests and their seconds by route and status; never by address.
pub(crate) async fn measure(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let method = match request.method().as_str() {
        known @ ("GET" | "HEAD" | "POST") => known.to_owned(),
        _ => "other".to_owned(),
    };
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    let seconds = begun.elapsed().as_secs_f64();
    tracing::debug!(method, route, status, seconds, "answered");
    metrics::counter!("runnerly_http_requests", "route" => route.clone(), "method" => method, "status" => status).increment(1);
    metrics::histogram!("runnerly_http_request_duration_seconds", "route" => route).record(seconds);
    response
}
