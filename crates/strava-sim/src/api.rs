//! The data API.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use serde_json::Value;

use crate::answer::{Answer, Fault};
use crate::grants::Caller;
use crate::server::{App, json_text};
use crate::store::held;
use crate::webhooks;
use crate::world::{self, Place};

type Shared = State<Arc<App>>;
type Params = Query<HashMap<String, String>>;

const PER_PAGE: usize = 30;
const MOST_PER_PAGE: usize = 200;
const STREAM_KEYS: [&str; 11] = [
    "time",
    "distance",
    "latlng",
    "altitude",
    "velocity_smooth",
    "heartrate",
    "cadence",
    "watts",
    "temp",
    "moving",
    "grade_smooth",
];

pub(crate) fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    Router::new()
        .route("/athlete", get(athlete))
        .route("/athlete/zones", get(athlete_zones))
        .route("/athlete/activities", get(activities))
        .route("/athletes/{id}/stats", get(stats))
        .route("/activities/{id}", get(activity))
        .route("/activities/{id}/streams", get(streams))
        .route("/activities/{id}/laps", get(laps))
        .route("/activities/{id}/zones", get(activity_zones))
        .route("/gear/{id}", get(gear))
        .route_layer(middleware::from_fn_with_state(app.clone(), admit))
        .merge(webhooks::routes())
}

/// Who calls, and whether the limits allow it; writes the limit headers.
async fn admit(State(app): Shared, mut request: Request, next: Next) -> Response {
    let now = app.clock.epoch();
    let token = bearer(&request);
    let caller = token.and_then(|token| app.store.read(|data| data.grants.caller(&token, now)));
    let Some(caller) = caller else {
        app.count("refused: unauthorized");
        return Fault::unauthorized().into_response();
    };
    let limits = *held(&app.limits);
    let charge = app.store.change(|data| data.usage.charge(limits, now, true));
    let mut response = if charge.refused {
        app.count("refused: rate limit");
        Fault::rate_limited().into_response()
    } else {
        request.extensions_mut().insert(caller);
        next.run(request).await
    };
    if response.status() != StatusCode::UNAUTHORIZED {
        charge.write(response.headers_mut());
    }
    response
}

/// The token of the Authorization header, or of the query (until 2027-06-01).
pub(crate) fn bearer(request: &Request) -> Option<String> {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if let Some((scheme, token)) = header.and_then(|header| header.split_once(' ')) {
        return scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned());
    }
    let query = request.uri().query().unwrap_or_default();
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find(|(name, _)| name == "access_token").map(|(_, token)| token.into_owned())
}

async fn athlete(State(app): Shared, Extension(caller): Extension<Caller>) -> Answer {
    let full = caller.may("profile:read_all");
    let found = app.compute(move |world, edits| world.profile(caller.athlete, edits, full)).await?;
    Ok(Json(found.ok_or_else(|| Fault::not_found("Athlete"))?).into_response())
}

async fn athlete_zones(State(app): Shared, Extension(caller): Extension<Caller>) -> Answer {
    if !caller.may("profile:read_all") {
        return Err(Fault::scope("profile:read_all"));
    }
    if let Some(body) = app.world.recorded_answer(caller.athlete, "/athlete/zones") {
        return Ok(json_text(body));
    }
    let (_, one) = world::invented(caller.athlete).ok_or_else(|| Fault::not_found("Athlete"))?;
    Ok(Json(one.zones()).into_response())
}

async fn stats(State(app): Shared, Extension(caller): Extension<Caller>, Path(id): Path<String>) -> Answer {
    if number("Athlete", "id", &id)? != caller.athlete {
        return Err(Fault::status(StatusCode::FORBIDDEN));
    }
    if let Some(body) = app.world.recorded_answer(caller.athlete, &format!("/athletes/{id}/stats")) {
        return Ok(json_text(body));
    }
    let now = app.clock.now();
    let stats = move |world: &world::World, edits: &_| world::stats(&world.shown(caller.athlete, edits), now);
    Ok(Json(app.compute(stats).await?).into_response())
}

async fn activities(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Query(params): Params,
) -> Answer {
    if !caller.reads_activities() {
        return Err(Fault::scope("activity:read"));
    }
    let page = Page::parse(&params, app.clock.epoch())?;
    let private = caller.reads_private();
    let list = move |world: &world::World, edits: &_| page.of(world.list(caller.athlete, edits), private);
    Ok(Json(app.compute(list).await?).into_response())
}

/// Which part of a list is asked for.
struct Page {
    before: Option<i64>,
    after: Option<i64>,
    /// From 0.
    number: usize,
    size: usize,
}

impl Page {
    fn parse(params: &HashMap<String, String>, now: i64) -> Result<Self, Fault> {
        let get = |name: &str| {
            let text = params.get(name).filter(|text| !text.is_empty());
            text.map(|text| number("Activity", name, text)).transpose()
        };
        let (before, after) = (get("before")?, get("after")?);
        if after.is_some_and(|after| after > now) {
            // Usually milliseconds.
            return Err(Fault::bad("Activity", "after", "future"));
        }
        let page = get("page")?.unwrap_or(1);
        let size = get("per_page")?.unwrap_or(PER_PAGE as i64);
        let number = page.checked_sub(1).and_then(|page| usize::try_from(page).ok());
        let number = number.ok_or_else(|| Fault::bad("Activity", "page", "invalid"))?;
        let size = usize::try_from(size).ok().filter(|size| *size > 0);
        let size = size.ok_or_else(|| Fault::bad("Activity", "per_page", "invalid"))?;
        if size > MOST_PER_PAGE {
            return Err(Fault::bad("Application", "per page", "limit exceeded"));
        }
        Ok(Self { before, after, number, size })
    }

    /// The items of this page.
    ///
    /// What may not be seen is taken out after the list was cut into pages, so a
    /// page may be short before the end. Only the end is empty.
    fn of(&self, mut places: Vec<Place>, private: bool) -> Vec<Value> {
        places.retain(|place| {
            self.before.is_none_or(|before| place.start < before)
                && self.after.is_none_or(|after| place.start > after)
        });
        if self.after.is_some() {
            places.reverse();
        }
        let seen = |place: Place| place.shown.filter(|one| private || one["visibility"] != "only_me");
        let mut places = places.into_iter();
        let mut number = 0;
        loop {
            let chunk: Vec<Place> = places.by_ref().take(self.size).collect();
            if chunk.is_empty() {
                return Vec::new();
            }
            let page: Vec<Value> = chunk.into_iter().filter_map(seen).collect();
            if !page.is_empty() {
                if number == self.number {
                    return page;
                }
                number += 1;
            }
        }
    }
}

/// Checks that the caller may see this activity and returns its id.
async fn visible(app: &Arc<App>, caller: &Caller, id: &str) -> Result<i64, Fault> {
    if !caller.reads_activities() {
        return Err(Fault::scope("activity:read"));
    }
    let id = number("Activity", "id", id)?;
    let found = app.compute(move |world, edits| (world.summary(id, edits), world.is_foreign(id))).await?;
    let (Some(summary), foreign) = found else {
        return Err(Fault::not_found("Activity"));
    };
    let own = summary["athlete"]["id"] == caller.athlete;
    let hidden = summary["visibility"] == "only_me" && !caller.reads_private();
    if (own && !hidden) || foreign { Ok(id) } else { Err(Fault::not_found("Activity")) }
}

async fn activity(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Answer {
    let id = visible(&app, &caller, &id).await?;
    let detail = app.compute(move |world, edits| world.detail(id, edits)).await?;
    Ok(json_text(detail.ok_or_else(|| Fault::not_found("Activity"))?))
}

async fn streams(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Query(params): Params,
) -> Answer {
    let id = visible(&app, &caller, &id).await?;
    let text = params.get("keys").filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| Fault::bad("Stream", "keys", "missing"))?.clone();
    if params.get("key_by_type").map(String::as_str) != Some("true") {
        return Err(Fault::bad("Stream", "key_by_type", "missing"));
    }
    if text.split(',').any(|key| !STREAM_KEYS.contains(&key.trim())) {
        return Err(Fault::bad("Stream", "keys", "invalid"));
    }
    let make = move |world: &world::World, edits: &_| {
        let keys: Vec<&str> = text.split(',').map(str::trim).collect();
        world.streams(id, edits, &keys)
    };
    Ok(json_text(app.compute(make).await?.ok_or_else(|| Fault::not_found("Stream"))?))
}

async fn laps(State(app): Shared, Extension(caller): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let id = visible(&app, &caller, &id).await?;
    if let Some(body) = app.world.recorded_answer(caller.athlete, &format!("/activities/{id}/laps")) {
        return Ok(json_text(body));
    }
    let laps = app.compute(move |world, edits| world.laps(id, edits)).await?;
    Ok(Json(laps.ok_or_else(|| Fault::not_found("Activity"))?).into_response())
}

async fn activity_zones(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Answer {
    let id = visible(&app, &caller, &id).await?;
    if let Some(body) = app.world.recorded_answer(caller.athlete, &format!("/activities/{id}/zones")) {
        return Ok(json_text(body));
    }
    let zones = app.compute(move |world, edits| world.zones(id, edits)).await?;
    Ok(Json(zones.ok_or_else(|| Fault::not_found("Activity"))?).into_response())
}

async fn gear(State(app): Shared, Extension(caller): Extension<Caller>, Path(id): Path<String>) -> Answer {
    if let Some(body) = app.world.recorded_answer(caller.athlete, &format!("/gear/{id}")) {
        return Ok(json_text(body));
    }
    let find = move |world: &world::World, edits: &_| {
        let (_, one) = world::invented(caller.athlete)?;
        one.gear(&id, &world.shown(caller.athlete, edits))
    };
    Ok(Json(app.compute(find).await?.ok_or_else(|| Fault::not_found("Gear"))?).into_response())
}

fn number(resource: &'static str, field: &str, text: &str) -> Result<i64, Fault> {
    text.parse().map_err(|_| Fault::bad(resource, field, "invalid"))
}
