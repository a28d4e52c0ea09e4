//! Connecting an athlete: to Strava's consent page and back.

use super::{Frame, Notice};
use crate::fault::{Fault, Result};
use crate::guard;
use crate::session::{self, Session};
use crate::status::line;
use crate::web::{Shared, Web};
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use runnerly::strava::{self, SCOPES};
use serde::{Deserialize, Serialize};

/// How long somebody may take on the consent page.
const PATIENCE_S: i64 = 600;

/// What the browser keeps while its owner is at Strava.
#[derive(Serialize, Deserialize)]
struct Begun {
    state: String,
    at: i64,
}

/// What comes back from Strava.
#[derive(Deserialize)]
pub(super) struct Back {
    state: Option<String>,
    code: Option<String>,
    scope: Option<String>,
    error: Option<String>,
}

pub(super) async fn begin(State(web): State<Shared>, request: Request) -> Result<Response> {
    let state = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    let redirect = format!("{}/connect/callback", base(&web, &request)?);
    let consent = web.app.strava.authorize_url(&redirect, SCOPES, &state);
    let begun = session::seal(&web, "state", &Begun { state, at: Utc::now().timestamp() })?;
    let cookie = session::set_cookie(&web, "state", &begun, PATIENCE_S)?;
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to(&consent)).into_response())
}

/// Where browsers reach us; without a public URL, where this one just has.
fn base(web: &Web, request: &Request) -> Result<String> {
    match &web.origin {
        Some(origin) => Ok(origin.text.clone()),
        None => {
            let host = guard::authority(request).ok_or_else(|| Fault::bad("host: missing"))?;
            Ok(format!("http://{host}"))
        }
    }
}

pub(super) async fn callback(
    State(web): State<Shared>,
    session: Session,
    headers: HeaderMap,
    Query(back): Query<Back>,
) -> Result<Response> {
    let answer = finish(&web, session, &headers, back).await?;
    // Whatever came of it, the state has been used.
    let used = session::set_cookie(&web, "state", "", 0)?;
    Ok((AppendHeaders([(header::SET_COOKIE, used)]), answer).into_response())
}

async fn finish(web: &Web, mut session: Session, headers: &HeaderMap, back: Back) -> Result<Response> {
    if !is_expected(web, headers, back.state.as_deref()) {
        return stale();
    }
    if let Some(error) = back.error {
        return refused(&error);
    }
    let (Some(code), Some(scope)) = (back.code, back.scope) else {
        return Err(Fault::bad("Strava's answer lacks the code or the scope."));
    };
    let granted: Vec<&str> = scope.split([',', ' ']).collect();
    if !granted.iter().any(|scope| scope.starts_with("activity:read")) {
        return without_activities();
    }
    let athlete = match web.app.connect(&code, &scope).await {
        Ok(athlete) => athlete,
        Err(e) => return failed(&e),
    };
    session.show(athlete);
    let note = if granted.contains(&"activity:read_all") { "connected" } else { "connected-partly" };
    let cookie = session.cookie(web)?;
    let start = Redirect::to(&format!("/?note={note}"));
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), start).into_response())
}

/// Whether this browser went to Strava with this state, not long ago.
fn is_expected(web: &Web, headers: &HeaderMap, state: Option<&str>) -> bool {
    let Some(begun) = session::read::<Begun>(web, headers, "state") else { return false };
    let age = Utc::now().timestamp() - begun.at;
    (0..PATIENCE_S).contains(&age) && state == Some(begun.state.as_str())
}

fn notice(title: &str, lines: &[&str], status: StatusCode) -> Result<Response> {
    let lines = lines.iter().map(|line| (*line).to_owned()).collect();
    let next = ("/connect", "Connect again");
    Notice { frame: Frame::new(title, "", None), lines, next }.response(status)
}

fn stale() -> Result<Response> {
    let lines = [
        "This answer does not belong to a connection begun in this browser within the last ten minutes.",
        "Nothing was connected.",
    ];
    notice("Please begin again", &lines, StatusCode::BAD_REQUEST)
}

fn refused(error: &str) -> Result<Response> {
    if error == "access_denied" {
        let lines = [
            "You chose not to give access, so nothing was connected.",
            "You can change your mind at any time, or import files instead.",
        ];
        return notice("Not connected", &lines, StatusCode::OK);
    }
    let said = format!("Strava said: {}", line(error));
    notice("Not connected", &["Strava did not complete the connection.", &said], StatusCode::BAD_GATEWAY)
}

fn without_activities() -> Result<Response> {
    let lines = [
        "Without “View data about your activities” there is nothing that Runnerly could show, so nothing was connected.",
        "Connect again and leave that box ticked. “View data about your private activities” is your choice: without it, private runs are left out.",
    ];
    notice("One permission is missing", &lines, StatusCode::OK)
}

fn failed(e: &anyhow::Error) -> Result<Response> {
    use strava::Error;
    tracing::warn!(error = format!("{e:#}"), "an athlete could not be connected");
    let (why, status) = match e.downcast_ref::<Error>() {
        Some(Error::Unauthorized { .. }) => {
            ("Strava no longer accepts this answer; it works only once.", StatusCode::BAD_REQUEST)
        }
        Some(Error::RateLimited { .. }) => (
            "Strava takes no more calls from this application right now. Try again in a quarter of an hour.",
            StatusCode::SERVICE_UNAVAILABLE,
        ),
        Some(Error::Rejected { .. }) => {
            ("Strava refuses this application: its id or secret may be wrong.", StatusCode::BAD_GATEWAY)
        }
        Some(Error::Forbidden { .. }) => (
            "Strava refuses this application for now; it may have reached its number of athletes.",
            StatusCode::BAD_GATEWAY,
        ),
        Some(_) => ("Strava did not answer as expected. Try again in a moment.", StatusCode::BAD_GATEWAY),
        None => (
            "Strava agreed, but the connection could not be kept here. Try again in a moment.",
            StatusCode::SERVICE_UNAVAILABLE,
        ),
    };
    notice("Not connected", &[why], status)
}
