//! Orders that only a simulation takes, under `/sim`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::consent::known_scope;
use crate::inject::Injected;
use crate::server::App;
use crate::store::{Change, held};
use crate::webhooks::{activity, fire};
use crate::world::{INVENTED, Plan, Shape, Sport, id_at, invented};

type Shared = State<Arc<App>>;
type Answer = Result<Response, Refusal>;

/// An order that makes no sense, in one line.
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

fn bad(line: impl Into<String>) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, line.into())
}

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/sim/state", get(state))
        .route("/sim/authorize", post(authorize))
        .route("/sim/faults", post(add_fault).delete(clear_faults))
        .route("/sim/limits", post(set_limits))
        .route("/sim/clock", post(set_clock))
        .route("/sim/activities", post(add_activity))
        .route("/sim/activities/{id}", delete(delete_activity).patch(change_activity))
}

/// A body whose faults are told in one line that names the field.
fn parse<T: DeserializeOwned>(body: &str) -> Result<T, Refusal> {
    let body = if body.trim().is_empty() { "{}" } else { body };
    serde_json::from_str(body).map_err(|error| bad(format!("body: {error}")))
}

async fn save(app: &App) -> Result<(), Refusal> {
    let failed = |error: std::io::Error| Refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    app.store.save().await.map_err(failed)
}

async fn state(State(app): Shared) -> Json<Value> {
    let now = app.clock.now();
    let (connected, subscriptions, edits, usage) = app.store.read(|data| {
        let usage = data.usage.at(now.timestamp());
        (data.grants.connected(), data.subscriptions.clone(), data.edits.clone(), usage)
    });
    let people = app.world.people().into_iter();
    let people: Vec<Value> = people.map(|(id, name, _)| json!({"id": id, "name": name})).collect();
    Json(json!({
        "now": now.to_rfc3339(), "counters": *held(&app.counters),
        "athletes": people, "default_athlete": app.world.default_athlete(), "connected": connected,
        "limits": *held(&app.limits), "usage": {"overall": usage.0, "read": usage.1},
        "faults": *held(&app.injected), "subscriptions": subscriptions,
        "activities": {
            "added": edits.added.len(), "changed": edits.changed.len(), "deleted": edits.deleted.len(),
        },
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Authorize {
    athlete: Option<i64>,
    scope: Option<String>,
}

async fn authorize(State(app): Shared, body: String) -> Answer {
    let order: Authorize = parse(&body)?;
    let athlete = known_athlete(&app, order.athlete)?;
    let scope = order.scope.unwrap_or_else(|| "read,activity:read,activity:read_all,profile:read_all".into());
    if let Some(odd) = scope.split(',').find(|scope| !scope.is_empty() && !known_scope(scope)) {
        return Err(bad(format!(
            "scope {odd:?}: unknown; scopes are joined by commas, such as read,activity:read"
        )));
    }
    let now = app.clock.epoch();
    let code = app.store.change(|data| data.grants.issue_code(athlete, scope.clone(), now));
    save(&app).await?;
    Ok(Json(json!({"code": code, "scope": scope, "athlete": athlete})).into_response())
}

fn known_athlete(app: &App, asked: Option<i64>) -> Result<i64, Refusal> {
    let athlete = asked.unwrap_or_else(|| app.world.default_athlete());
    if app.world.knows(athlete) {
        return Ok(athlete);
    }
    let ids: Vec<String> = app.world.people().iter().map(|(id, ..)| id.to_string()).collect();
    Err(bad(format!("athlete {athlete}: unknown; there are {}", ids.join(", "))))
}

async fn add_fault(State(app): Shared, body: String) -> Answer {
    let fault: Injected = parse(&body)?;
    if let Some(problem) = fault.problem() {
        return Err(bad(problem));
    }
    let shown = json!(fault);
    held(&app.injected).push(fault);
    Ok((StatusCode::CREATED, Json(shown)).into_response())
}

async fn clear_faults(State(app): Shared) -> StatusCode {
    held(&app.injected).clear();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetLimits {
    overall: Option<(u32, u32)>,
    read: Option<(u32, u32)>,
    /// Forget what was used.
    #[serde(default)]
    reset: bool,
}

async fn set_limits(State(app): Shared, body: String) -> Answer {
    let order: SetLimits = parse(&body)?;
    let limits = {
        let mut limits = held(&app.limits);
        limits.overall = order.overall.unwrap_or(limits.overall);
        limits.read = order.read.unwrap_or(limits.read);
        *limits
    };
    let now = app.clock.epoch();
    let usage = app.store.change(|data| {
        if order.reset {
            data.usage = Default::default();
        }
        data.usage.at(now)
    });
    save(&app).await?;
    Ok(Json(json!({"limits": limits, "usage": {"overall": usage.0, "read": usage.1}})).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetClock {
    advance_seconds: u32,
}

async fn set_clock(State(app): Shared, body: String) -> Answer {
    let order: SetClock = parse(&body)?;
    app.clock.advance(std::time::Duration::from_secs(order.advance_seconds.into()));
    Ok(Json(json!({"now": app.clock.now().to_rfc3339()})).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewActivity {
    athlete: Option<i64>,
    sport_type: Option<String>,
    name: Option<String>,
    start: Option<DateTime<Utc>>,
    distance: Option<f64>,
    moving_time: Option<f64>,
    visibility: Option<String>,
    workout_type: Option<u8>,
    #[serde(default)]
    trainer: bool,
}

impl NewActivity {
    fn plan(self, app: &App, now: DateTime<Utc>) -> Result<Plan, Refusal> {
        let athlete = known_athlete(app, self.athlete)?;
        // The recorded athlete lends no places: it runs where the default one does.
        let one = invented(athlete).map_or(&INVENTED[0], |(_, one)| one);
        let sport = sport(self.sport_type.as_deref().unwrap_or("Run"))?;
        let only_me = visibility(self.visibility.as_deref().unwrap_or("everyone"))? == "only_me";
        let distance = self.distance.unwrap_or(8_000.0);
        if !(100.0..=300_000.0).contains(&distance) {
            return Err(bad(format!("distance {distance}: must be 100 to 300000 metres")));
        }
        let speed = self.moving_time.map_or(one.speed, |seconds| distance / seconds);
        if !(0.3..=20.0).contains(&speed) {
            return Err(bad("moving_time: must give a speed of 0.3 to 20 metres per second"));
        }
        let shape = match self.workout_type.unwrap_or(0) {
            0 => Shape::Steady,
            1 => Shape::Race,
            2 => Shape::Long,
            3 => Shape::Intervals,
            other => return Err(bad(format!("workout_type {other}: must be 0 to 3"))),
        };
        let century = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(30 * 365);
        if self.start.is_some_and(|start| start < century || start > now) {
            return Err(bad("start: must lie between the year 2000 and the simulation's present"));
        }
        let took = TimeDelta::seconds((distance / speed) as i64 + 60);
        Ok(Plan {
            id: id_at(now, app.world.owner(athlete)),
            athlete,
            name: self.name.unwrap_or_else(|| "New run".into()),
            sport,
            shape,
            start: self.start.unwrap_or(now - took).trunc_subsecs(0),
            zone: one.zone,
            place: one.home,
            hills: one.hills,
            distance,
            speed,
            heart: Some(one.heart),
            gear: one.shoes.first().filter(|_| invented(athlete).is_some()).map(|(id, _)| (*id).to_owned()),
            indoor: self.trainer || sport == Sport::Swim,
            manual: false,
            only_me,
            ghost: false,
        })
    }
}

fn sport(name: &str) -> Result<Sport, Refusal> {
    let allowed = "Run, TrailRun, VirtualRun, Ride or Swim";
    Sport::parse(name).ok_or_else(|| bad(format!("sport_type {name:?}: must be {allowed}")))
}

fn visibility(name: &str) -> Result<&str, Refusal> {
    match name {
        "everyone" | "followers_only" | "only_me" => Ok(name),
        _ => Err(bad(format!("visibility {name:?}: must be everyone, followers_only or only_me"))),
    }
}

async fn add_activity(State(app): Shared, body: String) -> Answer {
    let order: NewActivity = parse(&body)?;
    let mut plan = order.plan(&app, app.clock.now())?;
    while app.world.summary(plan.id, &app.edits()).is_some() {
        plan.id += 8;
    }
    app.store.change(|data| {
        let edits = Arc::make_mut(&mut data.edits);
        // Nor may it be the id of one that was added in the same second and deleted.
        while edits.deleted.contains(&plan.id) || edits.added.iter().any(|one| one.id == plan.id) {
            plan.id += 8;
        }
        edits.added.push(plan.clone());
    });
    save(&app).await?;
    let summary = summary(&app, plan.id).await?;
    if hears(&app, plan.athlete, plan.only_me) {
        fire(&app, activity(plan.athlete, plan.id, "create", json!({})));
    }
    Ok((StatusCode::CREATED, Json(summary)).into_response())
}

async fn summary(app: &Arc<App>, id: i64) -> Result<Value, Refusal> {
    let found = app.compute(move |world, edits| world.summary(id, edits)).await;
    let unknown = || Refusal(StatusCode::NOT_FOUND, format!("activity {id}: unknown or deleted"));
    found.ok().flatten().ok_or_else(unknown)
}

/// Whether the application is told of this athlete's activities.
fn hears(app: &App, athlete: i64, only_me: bool) -> bool {
    let scopes: &[&str] =
        if only_me { &["activity:read_all"] } else { &["activity:read", "activity:read_all"] };
    app.store.read(|data| data.grants.any(athlete, scopes))
}

async fn change_activity(State(app): Shared, Path(id): Path<i64>, body: String) -> Answer {
    let change: Change = parse(&body)?;
    change.sport_type.as_deref().map(sport).transpose()?;
    change.visibility.as_deref().map(visibility).transpose()?;
    let before = summary(&app, id).await?;
    app.store.change(|data| {
        let kept = Arc::make_mut(&mut data.edits).changed.entry(id).or_default();
        kept.name = change.name.clone().or(kept.name.take());
        kept.sport_type = change.sport_type.clone().or(kept.sport_type.take());
        kept.visibility = change.visibility.clone().or(kept.visibility.take());
    });
    save(&app).await?;
    let after = summary(&app, id).await?;
    tell_change(&app, id, &change, &before, &after);
    Ok(Json(after).into_response())
}

/// To an application that may not see private activities, hiding one is deleting it.
fn tell_change(app: &Arc<App>, id: i64, change: &Change, before: &Value, after: &Value) {
    let owner = after["athlete"]["id"].as_i64().unwrap_or(0);
    let heard = |one: &Value| hears(app, owner, one["visibility"] == "only_me");
    match (heard(before), heard(after)) {
        (true, false) => fire(app, activity(owner, id, "delete", json!({}))),
        (false, true) => fire(app, activity(owner, id, "create", json!({}))),
        (false, false) => {}
        (true, true) => {
            let mut updates = json!({});
            if change.name.is_some() {
                updates["title"] = after["name"].clone();
            }
            if change.sport_type.is_some() {
                updates["type"] = after["type"].clone();
            }
            if change.visibility.is_some() {
                // A string, not a boolean.
                updates["private"] = json!(after["private"].to_string());
            }
            fire(app, activity(owner, id, "update", updates));
        }
    }
}

async fn delete_activity(State(app): Shared, Path(id): Path<i64>) -> Answer {
    let before = summary(&app, id).await?;
    app.store.change(|data| Arc::make_mut(&mut data.edits).deleted.insert(id));
    save(&app).await?;
    let owner = before["athlete"]["id"].as_i64().unwrap_or(0);
    if hears(&app, owner, before["visibility"] == "only_me") {
        fire(&app, activity(owner, id, "delete", json!({})));
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}
