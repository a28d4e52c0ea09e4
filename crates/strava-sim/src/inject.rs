//! Faults on demand.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use crate::answer::Fault;
use crate::server::App;
use crate::store::held;

/// One order of `POST /sim/faults`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Injected {
    /// Without `/api/v3`; `*` stands for one segment; absent means any path.
    path: Option<String>,
    status: Option<u16>,
    delay_ms: Option<u64>,
    kind: Option<How>,
    /// How often it strikes; 0 until cleared.
    #[serde(default = "once")]
    count: u32,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum How {
    Status,
    Hang,
    Cut,
    Html,
    #[serde(rename = "429")]
    RateLimited,
}

fn once() -> u32 {
    1
}

impl Injected {
    /// What is wrong with it, if anything.
    pub(crate) fn problem(&self) -> Option<String> {
        let odd = |status: &u16| !(400..=599).contains(status);
        if let Some(status) = self.status.filter(odd) {
            return Some(format!("status {status}: must be 400 to 599"));
        }
        match &self.path {
            Some(path) if !path.starts_with('/') => {
                Some(format!("path {path:?}: must begin with /, such as /athlete/activities"))
            }
            _ => None,
        }
    }

    fn strikes(&self, path: &str) -> bool {
        let Some(wanted) = &self.path else {
            return true;
        };
        let same = |(wanted, part): (&str, &str)| wanted == "*" || wanted == part;
        wanted.split('/').count() == path.split('/').count()
            && wanted.split('/').zip(path.split('/')).all(same)
    }
}

/// The fault that strikes this path now, if any; it is used up by one.
pub(crate) fn take(injected: &Mutex<Vec<Injected>>, path: &str) -> Option<Injected> {
    let mut injected = held(injected);
    let at = injected.iter().position(|fault| fault.strikes(path))?;
    let fault = injected[at].clone();
    match injected[at].count {
        0 => {}
        1 => drop(injected.remove(at)),
        _ => injected[at].count -= 1,
    }
    Some(fault)
}

/// Answers in the way the fault says.
pub(crate) async fn strike(fault: Injected, app: &Arc<App>, request: Request, next: Next) -> Response {
    if let Some(delay) = fault.delay_ms {
        wait(app, Duration::from_millis(delay)).await;
    }
    let status = fault.status.and_then(|status| StatusCode::from_u16(status).ok());
    match fault.kind {
        None | Some(How::Status) if status.is_none() => next.run(request).await,
        None | Some(How::Status) => {
            Fault::status(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)).into_response()
        }
        Some(How::Hang) => {
            wait(app, Duration::from_secs(3600)).await;
            Fault::status(StatusCode::GATEWAY_TIMEOUT).into_response()
        }
        Some(How::Cut) => cut(next.run(request).await).await,
        Some(How::Html) => {
            let page = "<!doctype html><title>Strava</title><h1>Be right back</h1>";
            (status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE), Html(page)).into_response()
        }
        Some(How::RateLimited) => {
            let (limits, now) = (*held(&app.limits), app.clock.epoch());
            let charge = app.store.change(|data| data.usage.charge(limits, now, true));
            let mut response = Fault::rate_limited().into_response();
            charge.exhausted().write(response.headers_mut());
            response
        }
    }
}

async fn wait(app: &App, time: Duration) {
    tokio::select! {
        () = app.stop.cancelled() => {}
        () = tokio::time::sleep(time) => {}
    }
}

/// Sends half of the body under the length of the whole, then breaks the connection.
async fn cut(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let whole = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    parts.headers.insert(header::CONTENT_LENGTH, whole.len().into());
    let half: Result<Bytes, io::Error> = Ok(whole.slice(..whole.len() / 2));
    // The half is on its way before the connection breaks: an error in the same
    // breath would take it along.
    let broken = stream::once(async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        Err(io::Error::other("cut on demand"))
    });
    let body = Body::from_stream(stream::once(async { half }).chain(broken));
    Response::from_parts(parts, body)
}
