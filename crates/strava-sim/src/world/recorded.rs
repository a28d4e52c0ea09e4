//! The recorded athlete: answers of the real Strava, field for field.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// What was found in the folder of recordings.
#[derive(Default)]
pub(crate) struct Recorded {
    pub(crate) athlete: i64,
    /// Newest first, as returned.
    pub(crate) listed: Vec<Value>,
    /// Bodies are kept as text, so that no digit changes on the way through.
    details: HashMap<i64, Box<RawValue>>,
    streams: HashMap<i64, BTreeMap<String, Box<RawValue>>>,
    /// Other recorded GET answers, by path below the API's base.
    answers: HashMap<String, Box<RawValue>>,
}

#[derive(Deserialize)]
struct Examples {
    exchanges: Vec<Exchange>,
}

#[derive(Deserialize)]
struct Exchange {
    request: Request,
    response: Response,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    uri: String,
}

#[derive(Deserialize)]
struct Response {
    status: u16,
    body: Box<RawValue>,
}

impl Recorded {
    /// Reads `strava-activities-*.jsonl` and, where present, the details
    /// (`strava-activity-*.json`), streams (`strava-streams-ID.json`) and other
    /// exchanges (`strava-http-examples.json`) beside it.
    pub(crate) fn load(dir: &Path) -> anyhow::Result<Self> {
        let shown = dir.display();
        let entries = fs::read_dir(dir).with_context(|| format!("recordings {shown}: unreadable"))?;
        let mut recorded = Self::default();
        for entry in entries {
            let path = entry.with_context(|| format!("recordings {shown}: unreadable"))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with("strava-") {
                recorded
                    .take(name, &path)
                    .with_context(|| format!("recordings {}: not as expected", path.display()))?;
            }
        }
        let Some(first) = recorded.listed.first() else {
            bail!("recordings {shown}: has no strava-activities-*.jsonl");
        };
        recorded.athlete = first["athlete"]["id"].as_i64().context("an activity without athlete.id")?;
        Ok(recorded)
    }

    fn take(&mut self, name: &str, path: &Path) -> anyhow::Result<()> {
        let text = || fs::read_to_string(path);
        if name.starts_with("strava-activities-") && name.ends_with(".jsonl") {
            for line in text()?.lines().filter(|line| !line.trim().is_empty()) {
                self.listed.push(serde_json::from_str(line)?);
            }
        } else if name.starts_with("strava-activity-") && name.ends_with(".json") {
            let text = text()?;
            let id: Value = serde_json::from_str(&text)?;
            let id = id["id"].as_i64().context("no id")?;
            self.details.insert(id, RawValue::from_string(text.trim().to_owned())?);
        } else if let Some(id) =
            name.strip_prefix("strava-streams-").and_then(|rest| rest.strip_suffix(".json"))
        {
            self.streams.insert(id.parse()?, serde_json::from_str(&text()?)?);
        } else if name == "strava-http-examples.json" {
            let examples: Examples = serde_json::from_str(&text()?)?;
            self.answers = examples.exchanges.into_iter().filter_map(answer).collect();
        }
        Ok(())
    }

    pub(crate) fn detail(&self, id: i64) -> Option<&RawValue> {
        self.details.get(&id).map(AsRef::as_ref)
    }

    pub(crate) fn streams(&self, id: i64) -> Option<&BTreeMap<String, Box<RawValue>>> {
        self.streams.get(&id)
    }

    /// A recorded answer for a path such as `/gear/g3423618`.
    pub(crate) fn answer(&self, path: &str) -> Option<&RawValue> {
        self.answers.get(path).map(AsRef::as_ref)
    }

    /// A profile: the recordings hold none of this athlete, so only the id is real.
    pub(crate) fn profile(&self) -> Value {
        json!({
            "id": self.athlete, "username": null, "resource_state": 2,
            "firstname": "Recorded", "lastname": "Athlete",
            "city": "New York", "state": "NY", "country": "United States", "sex": null,
            "premium": true, "summit": true,
            "created_at": "2017-11-28T19:05:35Z", "updated_at": "2025-10-18T23:04:00Z",
            "badge_type_id": 1, "profile_medium": "avatar/athlete/medium.png",
            "profile": "avatar/athlete/large.png", "friend": null, "follower": null,
        })
    }
}

fn answer(exchange: Exchange) -> Option<(String, Box<RawValue>)> {
    let path = exchange.request.uri.split_once("/api/v3")?.1;
    let served = exchange.request.method == "GET" && exchange.response.status == 200;
    // A path with a query is a listing, which is served from the state instead.
    (served && !path.contains('?')).then(|| (path.to_owned(), exchange.response.body))
}
