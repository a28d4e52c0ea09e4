//! Push subscriptions and their events.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Form, Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::answer::{Answer, Fault};
use crate::consent::loopback;
use crate::grants::token;
use crate::server::App;
use crate::store::held;
use crate::usage;

/// How long a callback may take to answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
const TRIES: u32 = 3;

type Shared = State<Arc<App>>;
type Fields = HashMap<String, String>;

/// The one subscription an application may have.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Subscription {
    id: i64,
    callback_url: String,
    created_at: String,
}

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/push_subscriptions", get(list).post(create))
        .route("/push_subscriptions/{id}", delete(remove))
}

impl Subscription {
    fn shown(&self, app: &App) -> Value {
        json!({
            "id": self.id, "resource_state": 2, "application_id": app.client_id.parse::<u64>().unwrap_or(0),
            "callback_url": self.callback_url, "created_at": self.created_at, "updated_at": self.created_at,
        })
    }
}

/// Subscriptions are the application's: its secret is asked for, not an athlete's token.
fn check(app: &App, fields: &Fields) -> Result<(), Fault> {
    if fields.get("client_id") != Some(&app.client_id) {
        return Err(Fault::bad("Application", "client_id", "invalid"));
    }
    match fields.get("client_secret") == Some(&app.client_secret) {
        true => Ok(()),
        false => Err(Fault::unauthorized()),
    }
}

/// Recorded: these calls show the limits and a usage of nothing.
fn with_limits(app: &App, answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    let limits = *held(&app.limits);
    usage::put(response.headers_mut(), "x-ratelimit-limit", limits.overall);
    usage::put(response.headers_mut(), "x-ratelimit-usage", (0, 0));
    response
}

async fn list(State(app): Shared, Query(fields): Query<Fields>) -> Answer {
    check(&app, &fields)?;
    let shown: Vec<Value> =
        app.store.read(|data| data.subscriptions.iter().map(|one| one.shown(&app)).collect());
    Ok(with_limits(&app, Json(shown)))
}

async fn create(State(app): Shared, Form(fields): Form<Fields>) -> Answer {
    check(&app, &fields)?;
    let fault = |field: &str, code: &str| Fault::bad("PushSubscription", field, code);
    let url = fields.get("callback_url").ok_or_else(|| fault("callback url", "missing"))?;
    let verify = fields.get("verify_token").ok_or_else(|| fault("verify token", "missing"))?;
    loopback(url).ok_or_else(|| fault("callback url", "not verifiable"))?;
    if app.store.read(|data| !data.subscriptions.is_empty()) {
        return Err(fault("", "already exists"));
    }
    if !answers_challenge(&app, url, verify).await {
        app.count("webhook challenges failed");
        return Err(fault("callback url", "GET to callback URL does not return 200"));
    }
    let created_at = app.clock.now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let made = app.store.change(|data| {
        // Another request may have been quicker during the challenge.
        if !data.subscriptions.is_empty() {
            return None;
        }
        data.last_subscription += 1;
        let made = Subscription { id: data.last_subscription, callback_url: url.clone(), created_at };
        data.subscriptions.push(made.clone());
        Some(made)
    });
    let made = made.ok_or_else(|| fault("", "already exists"))?;
    app.save().await?;
    Ok(with_limits(&app, (StatusCode::CREATED, Json(made.shown(&app)))))
}

/// Asks the callback to repeat a secret, within [`PATIENCE`].
async fn answers_challenge(app: &App, url: &str, verify: &str) -> bool {
    let challenge = token();
    let query =
        [("hub.mode", "subscribe"), ("hub.challenge", challenge.as_str()), ("hub.verify_token", verify)];
    let asked = app.http.get(url).query(&query).send().await;
    let Ok(answer) = asked else { return false };
    answer.status() == reqwest::StatusCode::OK
        && answer.json::<Value>().await.is_ok_and(|body| body["hub.challenge"] == challenge)
}

async fn remove(
    State(app): Shared,
    Path(id): Path<String>,
    Query(query): Query<Fields>,
    body: String,
) -> Answer {
    let form = url::form_urlencoded::parse(body.as_bytes()).into_owned();
    check(&app, &query.into_iter().chain(form).collect())?;
    let removed = app.store.change(|data| {
        let before = data.subscriptions.len();
        data.subscriptions.retain(|one| one.id.to_string() != id);
        before != data.subscriptions.len()
    });
    if !removed {
        return Err(Fault::not_found("PushSubscription"));
    }
    app.save().await?;
    Ok(with_limits(&app, StatusCode::NO_CONTENT))
}

/// What happened to an activity or an athlete.
pub(crate) struct Event {
    object_type: &'static str,
    object_id: i64,
    aspect_type: &'static str,
    updates: Value,
    owner_id: i64,
}

/// An athlete left the application.
pub(crate) fn deauthorized(athlete: i64) -> Event {
    let updates = json!({"authorized": "false"});
    Event { object_type: "athlete", object_id: athlete, aspect_type: "update", updates, owner_id: athlete }
}

/// An activity was created, updated or deleted.
pub(crate) fn activity(owner: i64, id: i64, aspect_type: &'static str, updates: Value) -> Event {
    Event { object_type: "activity", object_id: id, aspect_type, updates, owner_id: owner }
}

/// Sends the event to the subscription, if there is one, in the background.
pub(crate) fn fire(app: &Arc<App>, event: Event) {
    let now = app.clock.epoch();
    for to in app.store.read(|data| data.subscriptions.clone()) {
        let body = json!({
            "object_type": event.object_type, "object_id": event.object_id,
            "aspect_type": event.aspect_type, "updates": event.updates,
            "owner_id": event.owner_id, "subscription_id": to.id, "event_time": now,
        });
        tokio::spawn(deliver(app.clone(), to.callback_url, body));
    }
}

async fn deliver(app: Arc<App>, url: String, body: Value) {
    for attempt in 1..=TRIES {
        app.count("webhook attempts");
        let sent = tokio::select! {
            () = app.stop.cancelled() => return,
            sent = app.http.post(&url).json(&body).send() => sent,
        };
        if sent.is_ok_and(|answer| answer.status() == reqwest::StatusCode::OK) {
            app.count("webhook events delivered");
            return;
        }
        if attempt < TRIES {
            tokio::time::sleep(app.event_pause).await;
        }
    }
    app.count("webhook events lost");
}
