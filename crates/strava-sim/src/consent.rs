//! The page on which an athlete decides what the application may see.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use url::{Host, Url};

use crate::answer::{Answer, Fault};
use crate::server::App;

/// Scopes and what they mean in words.
const SCOPES: [(&str, &str); 7] = [
    ("read", "View your public profile"),
    ("read_all", "View your private routes, segments and events"),
    ("profile:read_all", "View your complete profile: weight, zones, gear"),
    ("profile:write", "Update your profile"),
    ("activity:read", "View data about your activities"),
    ("activity:read_all", "View data about your private activities"),
    ("activity:write", "Upload activities from the application"),
];

#[derive(Template)]
#[template(path = "consent.html")]
struct Page {
    client_id: String,
    /// Where the answer goes, in words: host and port.
    back: String,
    hidden: Vec<(&'static str, String)>,
    people: Vec<(i64, String, String)>,
    chosen: i64,
    scopes: Vec<(&'static str, &'static str)>,
}

/// A request to authorise that is in order.
struct Asked {
    redirect: Url,
    state: Option<String>,
    scope: String,
}

impl Asked {
    fn check(app: &App, get: impl Fn(&str) -> Option<String>) -> Result<Self, Fault> {
        if get("client_id").as_deref() != Some(&app.client_id) {
            return Err(Fault::bad("Application", "client_id", "invalid"));
        }
        match get("response_type").as_deref() {
            Some("code") => {}
            None | Some("") => return Err(Fault::bad("Authorize", "response_type", "missing")),
            Some(_) => return Err(Fault::bad("Authorize", "response_type", "invalid")),
        }
        let redirect = get("redirect_uri").and_then(|text| loopback(&text));
        let redirect = redirect.ok_or_else(|| Fault::bad("Application", "redirect_uri", "invalid"))?;
        let scope = get("scope").filter(|scope| !scope.is_empty());
        let scope = scope.ok_or_else(|| Fault::bad("Authorize", "scope", "missing"))?;
        if !scope.split(',').all(known_scope) {
            return Err(Fault::bad("Authorize", "scope", "invalid"));
        }
        Ok(Self { redirect, state: get("state"), scope })
    }

    fn redirect(mut self, pairs: &[(&str, &str)]) -> Response {
        self.redirect
            .query_pairs_mut()
            .append_pair("state", self.state.as_deref().unwrap_or_default())
            .extend_pairs(pairs);
        // 302, as Strava does it; a browser follows it with GET.
        (axum::http::StatusCode::FOUND, [(header::LOCATION, String::from(self.redirect))]).into_response()
    }
}

/// The address, when it is http(s) on this machine.
pub(crate) fn loopback(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let here = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    };
    here.then_some(url)
}

pub(crate) fn known_scope(scope: &str) -> bool {
    SCOPES.iter().any(|(known, _)| *known == scope)
}

/// `GET /oauth/authorize`. The page is shown also with `approval_prompt=auto`.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Query(params): Query<HashMap<String, String>>,
) -> Answer {
    let asked = Asked::check(&app, |name| params.get(name).cloned())?;
    let host = asked.redirect.host_str().unwrap_or("this machine");
    let page = Page {
        client_id: app.client_id.clone(),
        back: asked.redirect.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
        scopes: SCOPES
            .into_iter()
            .filter(|(scope, _)| asked.scope.split(',').any(|one| one == *scope))
            .collect(),
        hidden: ["client_id", "response_type", "redirect_uri", "state", "scope"]
            .into_iter()
            .filter_map(|name| params.get(name).map(|value| (name, value.clone())))
            .collect(),
        people: app.world.people(),
        chosen: app.world.default_athlete(),
    };
    let html = page.render().map_err(|error| {
        tracing::error!(%error, "the consent page could not be written");
        Fault::status(axum::http::StatusCode::INTERNAL_SERVER_ERROR)
    })?;
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";
    let headers = [(header::CONTENT_SECURITY_POLICY, policy), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Html(html)).into_response())
}

/// `POST /oauth/authorize`: the form of the page.
pub(crate) async fn decide(State(app): State<Arc<App>>, Form(fields): Form<Vec<(String, String)>>) -> Answer {
    let get = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone());
    let asked = Asked::check(&app, get)?;
    if get("decision").as_deref() != Some("authorize") {
        app.count("authorizations denied");
        return Ok(asked.redirect(&[("error", "access_denied")]));
    }
    let athlete = get("athlete").and_then(|id| id.parse().ok()).filter(|id| app.world.knows(*id));
    let athlete = athlete.ok_or_else(|| Fault::bad("Athlete", "id", "invalid"))?;
    // What was ticked counts, and only within what was asked for.
    let ticked: Vec<&str> = asked
        .scope
        .split(',')
        .filter(|scope| fields.iter().any(|(name, value)| name == "granted" && value == scope))
        .collect();
    let granted = ticked.join(",");
    let now = app.clock.epoch();
    let code = app.store.change(|data| data.grants.issue_code(athlete, granted.clone(), now));
    app.save().await?;
    app.count("authorizations granted");
    Ok(asked.redirect(&[("code", &code), ("scope", &granted)]))
}
