//! Who looks: a sealed cookie that lists the athletes connected from this browser.
//!
//! The cookie is the whole session. It cannot be read or forged without the key of the
//! installation, ends by itself, and gives no right at Strava: tokens never leave the
//! database.

use crate::fault::{Fault, Result};
use crate::web::{Shared, Web};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use runnerly::storage::Athlete;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// How long a browser is remembered.
const LIFE_S: i64 = 30 * 86_400;

/// The most athletes in one browser; more would not fit into a cookie.
const MAX: usize = 50;

/// The athletes connected from this browser, and the one that is shown.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Session {
    #[serde(rename = "a")]
    athletes: Vec<i64>,
    #[serde(rename = "t")]
    made: i64,
}

impl Session {
    /// The athletes, the shown one first.
    pub(crate) fn athletes(&self) -> &[i64] {
        &self.athletes
    }

    pub(crate) fn holds(&self, athlete: i64) -> bool {
        self.athletes.contains(&athlete)
    }

    /// Adds an athlete, or brings a known one to the front.
    pub(crate) fn show(&mut self, athlete: i64) {
        self.athletes.retain(|id| *id != athlete);
        self.athletes.insert(0, athlete);
        self.athletes.truncate(MAX);
    }

    pub(crate) fn forget(&mut self, athlete: i64) {
        self.athletes.retain(|id| *id != athlete);
    }

    /// The `Set-Cookie` that makes the browser remember this session.
    pub(crate) fn cookie(mut self, web: &Web) -> Result<HeaderValue> {
        if self.athletes.is_empty() {
            return set_cookie(web, "session", "", 0);
        }
        self.made = Utc::now().timestamp();
        set_cookie(web, "session", &seal(web, "session", &self)?, LIFE_S)
    }
}

impl FromRequestParts<Shared> for Session {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        web: &Shared,
    ) -> std::result::Result<Self, Self::Rejection> {
        let session = read::<Session>(web, &parts.headers, "session").unwrap_or_default();
        let fresh = (0..LIFE_S).contains(&(Utc::now().timestamp() - session.made));
        Ok(if fresh { session } else { Session::default() })
    }
}

/// The athlete that is shown; without one, a page sends to the start.
pub(crate) struct Shown(pub(crate) Athlete);

impl FromRequestParts<Shared> for Shown {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        web: &Shared,
    ) -> std::result::Result<Self, Self::Rejection> {
        match current(web, parts).await {
            Ok(Some(athlete)) => Ok(Shown(athlete)),
            Ok(None) => Err(Redirect::to("/").into_response()),
            Err(fault) => Err(fault.into_response()),
        }
    }
}

/// The athlete that is shown, if there is one.
pub(crate) struct Maybe(pub(crate) Option<Athlete>);

impl FromRequestParts<Shared> for Maybe {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, web: &Shared) -> Result<Self> {
        Ok(Maybe(current(web, parts).await?))
    }
}

async fn current(web: &Shared, parts: &mut Parts) -> Result<Option<Athlete>> {
    let Ok(session) = Session::from_request_parts(parts, web).await;
    for id in session.athletes() {
        // One that was deleted since is passed over.
        if let Some(athlete) = web.app.storage.athlete(*id).await? {
            return Ok(Some(athlete));
        }
    }
    Ok(None)
}

/// Seals a value for a cookie of this name; it does not open under another.
pub(crate) fn seal(web: &Web, name: &str, value: &impl Serialize) -> Result<String> {
    let keys = web.keys.as_ref().ok_or_else(|| Fault::internal("no key to seal a cookie with"))?;
    let plain = serde_json::to_vec(value).map_err(Fault::internal)?;
    let sealed = keys.seal(&format!("web {name}"), 0, &plain).map_err(Fault::internal)?;
    Ok(URL_SAFE_NO_PAD.encode(sealed))
}

/// Reads a sealed cookie; nothing for one that is missing, forged or of another name.
pub(crate) fn read<T: DeserializeOwned>(web: &Web, headers: &HeaderMap, name: &str) -> Option<T> {
    let full = full_name(web, name);
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let sealed = pairs.find_map(|(key, value)| (key == full).then_some(value))?;
    let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let plain = web.keys.as_ref()?.open(&format!("web {name}"), 0, &sealed).ok()?;
    serde_json::from_slice(&plain).ok()
}

/// A `Set-Cookie` line; no life at all makes the browser forget it. Lax, not Strict: the
/// way back from Strava must carry it.
pub(crate) fn set_cookie(web: &Web, name: &str, value: &str, life_s: i64) -> Result<HeaderValue> {
    let secure = if is_https(web) { "; Secure" } else { "" };
    let name = full_name(web, name);
    let line = format!("{name}={value}; Path=/; Max-Age={life_s}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&line).map_err(Fault::internal)
}

fn full_name(web: &Web, name: &str) -> String {
    let prefix = if is_https(web) { "__Host-" } else { "" };
    format!("{prefix}runnerly-{name}")
}

fn is_https(web: &Web) -> bool {
    web.origin.as_ref().is_some_and(|origin| origin.https)
}
