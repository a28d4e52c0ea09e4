//! The people of the simulation and what they did.

mod athletes;
mod calendar;
mod detail;
mod plan;
mod polyline;
mod recorded;
mod summary;
mod totals;
mod track;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

pub(crate) use athletes::{Athlete, INVENTED};
pub(crate) use plan::{Plan, Shape, Sport, id_at};
pub(crate) use totals::{started, stats};

use crate::store::{Change, Edits, held};
use plan::owner_of;
use recorded::Recorded;
use track::Track;

/// Everybody, with their histories; made when first asked for.
pub(crate) struct World {
    seed: u64,
    until: DateTime<Utc>,
    recorded: Option<Recorded>,
    histories: [OnceLock<Vec<Made>>; INVENTED.len()],
    added: Mutex<HashMap<i64, Arc<Value>>>,
}

struct Made {
    plan: Plan,
    summary: Value,
}

/// One place in an athlete's list; `shown` is empty for one that only takes a place.
pub(crate) struct Place {
    pub(crate) start: i64,
    pub(crate) shown: Option<Value>,
}

/// Where one activity comes from.
enum Found<'a> {
    Invented(&'a Plan, Value),
    Recorded(Value),
}

impl World {
    pub(crate) fn new(seed: u64, until: DateTime<Utc>, recordings: Option<&Path>) -> anyhow::Result<Self> {
        let recorded = recordings.map(Recorded::load).transpose()?;
        let histories = std::array::from_fn(|_| OnceLock::new());
        Ok(Self { seed, until, recorded, histories, added: Mutex::default() })
    }

    /// Ids, names and a word about each; the first is the default.
    pub(crate) fn people(&self) -> Vec<(i64, String, String)> {
        let recorded = self.recorded.iter().map(|recorded| {
            let about = format!("{} activities of the recordings, field for field", recorded.listed.len());
            (recorded.athlete, "Recorded Athlete".to_owned(), about)
        });
        let invented =
            INVENTED.iter().map(|one| (one.id, format!("{} {}", one.first, one.last), one.about.to_owned()));
        recorded.chain(invented).collect()
    }

    pub(crate) fn default_athlete(&self) -> i64 {
        self.recorded.as_ref().map_or(INVENTED[0].id, |recorded| recorded.athlete)
    }

    pub(crate) fn knows(&self, athlete: i64) -> bool {
        self.is_recorded(athlete) || invented(athlete).is_some()
    }

    pub(crate) fn is_recorded(&self, athlete: i64) -> bool {
        self.recorded.as_ref().is_some_and(|recorded| recorded.athlete == athlete)
    }

    /// The number that ids of new activities of this athlete carry.
    pub(crate) fn owner(&self, athlete: i64) -> usize {
        invented(athlete).map_or(7, |(owner, _)| owner)
    }

    /// Profile: summary, or detailed when `full`.
    pub(crate) fn profile(&self, athlete: i64, edits: &Edits, full: bool) -> Option<Value> {
        if let Some((_, one)) = invented(athlete) {
            return Some(if full { one.detailed(&self.shown(athlete, edits)) } else { one.summary() });
        }
        let mut profile = self.recorded.as_ref().filter(|one| one.athlete == athlete)?.profile();
        if full {
            profile["resource_state"] = json!(3);
            profile["measurement_preference"] = json!("feet");
            profile["weight"] = Value::Null;
            profile["shoes"] = json!([]);
            profile["bikes"] = json!([]);
        }
        Some(profile)
    }

    /// A recorded answer to this path, for the recorded athlete only.
    pub(crate) fn recorded_answer(&self, athlete: i64, path: &str) -> Option<String> {
        let recorded = self.recorded.as_ref().filter(|one| one.athlete == athlete)?;
        recorded.answer(path).map(|body| body.get().to_owned())
    }

    /// The athlete's list, newest first, with edits applied.
    pub(crate) fn list(&self, athlete: i64, edits: &Edits) -> Vec<Place> {
        let mut places: Vec<Place> = match invented(athlete) {
            Some((owner, _)) => {
                self.history(owner).iter().map(|made| place(&made.summary, made.plan.ghost)).collect()
            }
            None => {
                let recorded = self.recorded.as_ref().filter(|one| one.athlete == athlete);
                recorded.into_iter().flat_map(|one| &one.listed).map(|one| place(one, false)).collect()
            }
        };
        let added = edits.added.iter().filter(|plan| plan.athlete == athlete);
        places.extend(added.map(|plan| place(&self.added_summary(plan), false)));
        places.retain_mut(|place| match &mut place.shown {
            Some(activity) => edit(activity, edits),
            None => true,
        });
        places.sort_by_key(|place| std::cmp::Reverse(place.start));
        places
    }

    /// Only what can be seen of the list.
    pub(crate) fn shown(&self, athlete: i64, edits: &Edits) -> Vec<Value> {
        self.list(athlete, edits).into_iter().filter_map(|place| place.shown).collect()
    }

    /// The summary of one activity, edits applied; nothing when deleted or unknown.
    pub(crate) fn summary(&self, id: i64, edits: &Edits) -> Option<Value> {
        match self.find(id, edits)? {
            Found::Invented(_, summary) | Found::Recorded(summary) => Some(summary),
        }
    }

    /// A recorded run of somebody outside this world, which anybody may read by its id.
    pub(crate) fn is_foreign(&self, id: i64) -> bool {
        self.recorded.as_ref().is_some_and(|one| {
            one.detail(id).is_some() && !one.listed.iter().any(|listed| listed["id"] == id)
        })
    }

    /// The detail of one activity as JSON text.
    pub(crate) fn detail(&self, id: i64, edits: &Edits) -> Option<String> {
        match self.find(id, edits)? {
            Found::Invented(plan, summary) => {
                let gear = plan.gear.as_ref().map(|gear| {
                    json!({"id": gear, "primary": false,
                    "name": gear_name(plan.athlete, gear), "resource_state": 2})
                });
                Some(detail::detail(&summary, plan, &track_of(plan), gear).to_string())
            }
            Found::Recorded(mut summary) => {
                let recorded = self.recorded.as_ref().and_then(|one| one.detail(id));
                if let Some(body) = recorded.filter(|_| !edits.changed.contains_key(&id)) {
                    return Some(body.get().to_owned());
                }
                if let Some(mut body) = recorded.and_then(|body| serde_json::from_str(body.get()).ok()) {
                    edit(&mut body, edits);
                    return Some(body.to_string());
                }
                summary["resource_state"] = json!(3);
                Some(summary.to_string())
            }
        }
    }

    /// Streams by the keys asked for, as JSON text; nothing without a recording.
    pub(crate) fn streams(&self, id: i64, edits: &Edits, keys: &[&str]) -> Option<String> {
        match self.find(id, edits)? {
            Found::Invented(plan, _) if plan.manual => None,
            Found::Invented(plan, _) => Some(detail::streams(plan, &track_of(plan), keys).to_string()),
            Found::Recorded(_) => {
                let all = self.recorded.as_ref()?.streams(id)?;
                let wanted: std::collections::BTreeMap<_, _> =
                    all.iter().filter(|(key, _)| keys.contains(&key.as_str())).collect();
                serde_json::to_string(&wanted).ok()
            }
        }
    }

    /// Laps of one activity.
    pub(crate) fn laps(&self, id: i64, edits: &Edits) -> Option<Value> {
        match self.find(id, edits)? {
            Found::Invented(plan, _) if plan.manual => Some(json!([])),
            Found::Invented(plan, _) => Some(json!(detail::laps(plan, &track_of(plan)))),
            Found::Recorded(_) => {
                let detail = self.recorded.as_ref().and_then(|one| one.detail(id));
                let detail: Option<Value> = detail.and_then(|body| serde_json::from_str(body.get()).ok());
                Some(detail.map_or_else(|| json!([]), |detail| detail["laps"].clone()))
            }
        }
    }

    /// Zones of one activity.
    pub(crate) fn zones(&self, id: i64, edits: &Edits) -> Option<Value> {
        match self.find(id, edits)? {
            Found::Invented(plan, summary) => {
                let floors =
                    invented(plan.athlete).map_or([0, 120, 140, 155, 170], |(_, one)| one.zone_floors());
                Some(detail::zones(&track_of(plan), floors, &summary["suffer_score"]))
            }
            Found::Recorded(_) => Some(json!([])),
        }
    }

    fn find<'a>(&'a self, id: i64, edits: &'a Edits) -> Option<Found<'a>> {
        let found = self.find_unedited(id, edits)?;
        let edited = |mut summary: Value| edit(&mut summary, edits).then_some(summary);
        Some(match found {
            Found::Invented(plan, summary) => Found::Invented(plan, edited(summary)?),
            Found::Recorded(summary) => Found::Recorded(edited(summary)?),
        })
    }

    fn find_unedited<'a>(&'a self, id: i64, edits: &'a Edits) -> Option<Found<'a>> {
        if let Some(recorded) = &self.recorded {
            if let Some(listed) = recorded.listed.iter().find(|one| one["id"] == id) {
                return Some(Found::Recorded(listed.clone()));
            }
            if let Some(detail) = recorded.detail(id) {
                return serde_json::from_str(detail.get()).ok().map(Found::Recorded);
            }
        }
        if let Some(plan) = edits.added.iter().find(|plan| plan.id == id) {
            return Some(Found::Invented(plan, Value::clone(&self.added_summary(plan))));
        }
        let owner = owner_of(id);
        let made = self.histories.get(owner).map(|_| self.history(owner))?;
        let made = made.iter().find(|made| made.plan.id == id && !made.plan.ghost)?;
        Some(Found::Invented(&made.plan, made.summary.clone()))
    }

    fn history(&self, owner: usize) -> &[Made] {
        self.histories[owner].get_or_init(|| {
            let plans = calendar::history(&INVENTED[owner], owner, self.seed, self.until);
            let made = |plan: Plan| Made { summary: summary::summary(&plan, &track_of(&plan)), plan };
            plans.into_iter().map(made).collect()
        })
    }

    fn added_summary(&self, plan: &Plan) -> Arc<Value> {
        let mut added = held(&self.added);
        let make = || Arc::new(summary::summary(plan, &track_of(plan)));
        added.entry(plan.id).or_insert_with(make).clone()
    }
}

/// An invented athlete and the number in its activities' ids.
pub(crate) fn invented(athlete: i64) -> Option<(usize, &'static Athlete)> {
    INVENTED.iter().enumerate().find(|(_, one)| one.id == athlete)
}

fn gear_name(athlete: i64, gear: &str) -> &'static str {
    let one = invented(athlete).map(|(_, one)| one);
    let mut all = one.into_iter().flat_map(|one| one.shoes.iter().chain(one.bike.iter()));
    all.find(|(id, _)| *id == gear).map_or("Gear", |(_, name)| name)
}

fn track_of(plan: &Plan) -> Track {
    if plan.manual { Track::default() } else { Track::of(plan) }
}

fn place(summary: &Value, ghost: bool) -> Place {
    let start = started(summary).map_or(0, |at| at.timestamp());
    Place { start, shown: (!ghost).then(|| summary.clone()) }
}

/// Applies the edits to one activity; false when it was deleted.
fn edit(activity: &mut Value, edits: &Edits) -> bool {
    let id = activity["id"].as_i64().unwrap_or(0);
    if let Some(change) = edits.changed.get(&id) {
        apply(activity, change);
    }
    !edits.deleted.contains(&id)
}

fn apply(activity: &mut Value, change: &Change) {
    if let Some(name) = &change.name {
        activity["name"] = json!(name);
    }
    if let Some(sport) = &change.sport_type {
        activity["sport_type"] = json!(sport);
        activity["type"] = json!(Sport::old_type(sport));
    }
    if let Some(visibility) = &change.visibility {
        activity["visibility"] = json!(visibility);
        activity["private"] = json!(visibility == "only_me");
    }
}
