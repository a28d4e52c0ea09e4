//! The token endpoints.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::answer::{Answer, Fault};
use crate::api::bearer;
use crate::grants::Tokens;
use crate::server::App;
use crate::store::held;
use crate::{consent, webhooks};

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/oauth/authorize", get(consent::show).post(consent::decide))
        .route("/oauth/mobile/authorize", get(consent::show).post(consent::decide))
        .route("/oauth/token", post(token))
        .route("/oauth/deauthorize", post(deauthorize))
        .route("/oauth/revoke", post(revoke))
}

/// Fields of the query and of the form; the form wins.
fn fields(query: Option<&str>, body: &str) -> HashMap<String, String> {
    [query.unwrap_or_default(), body]
        .into_iter()
        .flat_map(|text| url::form_urlencoded::parse(text.as_bytes()))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

async fn token(State(app): State<Arc<App>>, RawQuery(query): RawQuery, body: String) -> Answer {
    let fields = fields(query.as_deref(), &body);
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    if field("client_id") != app.client_id {
        return Err(Fault::bad("Application", "client_id", "invalid"));
    }
    if field("client_secret") != app.client_secret {
        return Err(Fault::unauthorized());
    }
    let now = app.clock.epoch();
    match field("grant_type") {
        "authorization_code" => {
            let tokens = app.store.change(|data| data.grants.exchange(field("code"), now));
            // A code that was tried is spent, also when it was too old.
            app.save().await?;
            let tokens = tokens.ok_or_else(|| Fault::bad("RequestToken", "code", "invalid"))?;
            app.count("tokens issued");
            let mut answer = answer(&tokens, now);
            let profile = app.world.profile(tokens.athlete, &app.edits(), false);
            answer["athlete"] = profile.unwrap_or_else(|| json!({"id": tokens.athlete, "resource_state": 1}));
            Ok(Json(answer).into_response())
        }
        "refresh_token" => {
            let tokens = app.store.change(|data| data.grants.refresh(field("refresh_token"), now));
            let Some(tokens) = tokens else {
                app.count("tokens refused");
                return Err(Fault::bad("RefreshToken", "refresh_token", "invalid"));
            };
            // On the disk before it is told: the old one is dead from now on.
            app.save().await?;
            app.count("tokens refreshed");
            if tokens.renewed {
                app.count("access tokens renewed");
            }
            Ok(Json(answer(&tokens, now)).into_response())
        }
        "" => Err(Fault::bad("RequestToken", "grant_type", "missing")),
        _ => Err(Fault::bad("RequestToken", "grant_type", "invalid")),
    }
}

fn answer(tokens: &Tokens, now: i64) -> serde_json::Value {
    json!({
        "token_type": "Bearer", "access_token": tokens.access_token,
        "expires_at": tokens.expires_at, "expires_in": tokens.expires_at - now,
        "refresh_token": tokens.refresh_token, "scope": tokens.scope,
    })
}

/// The old way to leave: with the access token. Gone from 2027-06-01.
async fn deauthorize(State(app): State<Arc<App>>, request: Request) -> Answer {
    let in_header = bearer(&request);
    let body = axum::body::to_bytes(request.into_body(), 1 << 16).await.unwrap_or_default();
    let in_form = fields(None, &String::from_utf8_lossy(&body)).remove("access_token");
    let token = in_header.or(in_form).ok_or_else(Fault::unauthorized)?;
    let now = app.clock.epoch();
    if app.store.read(|data| data.grants.caller(&token, now)).is_none() {
        return Err(Fault::unauthorized());
    }
    let limits = *held(&app.limits);
    // Not a read: the recording counts it in the overall figures alone.
    let charge = app.store.change(|data| data.usage.charge(limits, now, false));
    let mut response = if charge.refused {
        Fault::rate_limited().into_response()
    } else {
        leave(&app, &token).await?;
        Json(json!({"access_token": token})).into_response()
    };
    charge.write(response.headers_mut());
    Ok(response)
}

/// The new way: with the application's secret and either token.
async fn revoke(State(app): State<Arc<App>>, headers: HeaderMap, body: String) -> Answer {
    if basic(&headers) != Some(format!("{}:{}", app.client_id, app.client_secret)) {
        return Err(Fault::unauthorized());
    }
    let token = fields(None, &body).remove("token").filter(|token| !token.is_empty());
    leave(&app, &token.ok_or_else(|| Fault::bad("Application", "token", "missing"))?).await?;
    // As RFC 7009 has it, an unknown token is as good as revoked.
    Ok(StatusCode::OK.into_response())
}

async fn leave(app: &Arc<App>, token: &str) -> Result<(), Fault> {
    let now = app.clock.epoch();
    let athlete = app.store.change(|data| data.grants.revoke(token, now));
    app.save().await?;
    if let Some(athlete) = athlete {
        app.count("athletes deauthorized");
        webhooks::fire(app, webhooks::deauthorized(athlete));
    }
    Ok(())
}

fn basic(headers: &HeaderMap) -> Option<String> {
    let header = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let encoded = header.strip_prefix("Basic ").or_else(|| header.strip_prefix("basic "))?;
    String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()
}
