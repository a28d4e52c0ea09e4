//! Settings. Schedules and outboxes stand in the shard of their name, where their guards
//! hold; all others in every shard, written to the first before the rest, so that the first
//! is the truth wherever they differ.

use super::place::{Pins, of_key};
use super::{Redis, Shards};
use crate::backend::*;
use crate::error::Kind;
use crate::{Error, Result};
use futures_util::future::join_all;
use serde_json::{Map, Value};

/// The rules of a queue that count jobs: each shard gets its share of them.
const COUNTED: [&str; 3] = ["max_waiting", "keep_count", "keep_bytes"];
/// What they are for the whole queue, in their order.
const WHOLE: &str = "whole";

/// Whether one shard holds such a setting.
fn is_pinned(kind: Setting) -> bool {
    matches!(kind, Setting::Schedule | Setting::Outbox)
}

fn rules(json: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(json).ok()
}

/// The shard of a queue with these rules, where they put all of it under one limit.
fn pin_of(json: &str, shards: u8) -> Option<u8> {
    rules(json)?.get("limit")?.as_str().map(|limit| of_key(limit, shards))
}

/// The rules of a queue as one shard keeps them. One that is not the queue's own has room for
/// nothing: whoever does not know yet where the queue lives is refused there, in the very
/// step of the enqueue.
pub(in crate::backend::redis) fn part_of(json: &str, shard: u8, shards: u8) -> String {
    let Some(mut all) = rules(json) else { return json.to_owned() };
    let whole: Vec<Value> =
        COUNTED.iter().map(|field| all.get(*field).cloned().unwrap_or_default()).collect();
    match pin_of(json, shards) {
        Some(pin) if pin == shard => return json.to_owned(),
        Some(_) => drop(all.insert("max_waiting".into(), 0.into())),
        None => {
            for (field, most) in COUNTED.iter().zip(&whole) {
                if let Some(most) = most.as_u64() {
                    all.insert((*field).into(), most.div_ceil(u64::from(shards)).into());
                }
            }
        }
    }
    if pin_of(json, shards).is_some() || whole.iter().any(|most| !most.is_null()) {
        all.insert(WHOLE.into(), whole.into());
    }
    Value::from(all).to_string()
}

/// The rules of the whole queue.
pub(in crate::backend::redis) fn whole_of(mut entry: Entry) -> Entry {
    let Some(mut all) = rules(&entry.value) else { return entry };
    let Some(Value::Array(whole)) = all.remove(WHOLE) else { return entry };
    for (field, most) in COUNTED.iter().zip(whole) {
        match most {
            Value::Null => drop(all.remove(*field)),
            most => drop(all.insert((*field).into(), most)),
        }
    }
    entry.value = Value::from(all).to_string();
    entry
}

fn alive(queue: &QueueView) -> u64 {
    let all = crate::State::ALL.into_iter().filter(|state| !state.is_final());
    all.map(|state| queue.count(state)).sum()
}

impl Shards {
    /// A guard as one shard checks it; none where it is known not to hold.
    pub(super) fn guard_in(&self, guard: &Guard, shard: usize) -> Option<Guard> {
        let Guard::Settings { kind, version } = guard else { return Some(guard.clone()) };
        let versions = self.versions.lock().ok()?;
        let known = versions.get(kind.as_str()).filter(|all| all.iter().sum::<u64>() == *version)?;
        Some(Guard::Settings { kind: *kind, version: known[shard] })
    }

    /// Reads where queues live.
    pub(super) async fn learn_pins(&self) -> Result<()> {
        let all = self.any(|redis| redis.settings(Setting::Queue)).await?;
        self.take_pins(&all.entries);
        Ok(())
    }

    fn take_pins(&self, entries: &[Entry]) {
        let number = self.number();
        let pins =
            entries.iter().filter_map(|entry| Some((entry.name.clone(), pin_of(&entry.value, number)?)));
        let pins = pins.collect::<Pins>();
        if let Ok(mut known) = self.pins.write() {
            *known = pins;
        }
    }

    pub(super) async fn all_settings(&self, kind: Setting) -> Result<Settings> {
        // Every worker looks for orders every second.
        if kind == Setting::Worker {
            return self.any(|redis| redis.settings(kind)).await;
        }
        let answers = self.every(|redis| redis.settings(kind)).await;
        let whole = answers.iter().all(Result::is_ok);
        let mut all = Vec::new();
        let mut failed = None;
        for answer in answers {
            match answer {
                Ok(some) => all.push(some),
                Err(e) if e.is_unavailable() && !is_pinned(kind) => {
                    all.push(Settings::default());
                    failed = Some(e);
                }
                Err(e) => return Err(e),
            }
        }
        let versions: Vec<u64> = all.iter().map(|some| some.version).collect();
        let version = versions.iter().sum();
        if let Ok(mut known) = self.versions.lock() {
            known.insert(kind.as_str(), versions);
        }
        if is_pinned(kind) {
            let mut entries: Vec<Entry> = all.into_iter().flat_map(|some| some.entries).collect();
            entries.sort_by(|a, b| a.name.cmp(&b.name));
            return Ok(Settings { version, entries });
        }
        if whole && kind != Setting::Queue {
            self.mend(kind, &all).await;
        }
        let truth = all.into_iter().find(|some| some.version > 0);
        if let (None, Some(e)) = (&truth, failed) {
            return Err(e);
        }
        let mut entries = truth.unwrap_or_default().entries;
        if kind == Setting::Queue {
            self.take_pins(&entries);
            entries = entries.into_iter().map(whole_of).collect();
        }
        Ok(Settings { version, entries })
    }

    /// Writes again what differs from the first shard: a call that was to write everywhere
    /// has failed on its way. One that is on its way now may be overtaken, and then so is
    /// this: the first shard has its value by then, and the next look gives it to the others.
    async fn mend(&self, kind: Setting, all: &[Settings]) {
        let value = |some: &Settings, name: &str| {
            some.entries.iter().find(|entry| entry.name == name).map(|entry| entry.value.clone())
        };
        for (part, some) in self.parts.iter().zip(all).skip(1) {
            for entry in all[0].entries.iter().chain(&some.entries) {
                let truth = value(&all[0], &entry.name);
                if truth != value(some, &entry.name) {
                    let _ = part.redis.put(kind, &entry.name, truth.as_deref()).await;
                }
            }
        }
    }

    pub(super) async fn store(
        &self,
        kind: Setting,
        name: &str,
        value: Option<&str>,
    ) -> Result<Option<Entry>> {
        if is_pinned(kind) {
            return self.parts[usize::from(of_key(name, self.number()))].redis.put(kind, name, value).await;
        }
        if kind == Setting::Queue {
            return self.rule_queue(name, value).await;
        }
        let stored = self.parts[0].redis.put(kind, name, value).await?;
        let rest = self.parts[1..].iter().map(|part| part.redis.put(kind, name, value));
        join_all(rest).await.into_iter().collect::<Result<Vec<_>>>()?;
        Ok(stored)
    }

    /// A queue that is to be counted in one place must live there: the other shards are closed
    /// to it first, and then looked at.
    async fn rule_queue(&self, name: &str, value: Option<&str>) -> Result<Option<Entry>> {
        let number = self.number();
        let pin = value.and_then(|json| pin_of(json, number));
        let before = self.any(|redis| redis.settings(Setting::Queue)).await?.entries;
        let before = before.into_iter().find(|entry| entry.name == name).map(whole_of);
        if let Some(pin) = pin {
            self.put_parts(name, value, |shard| shard != pin).await?;
            let mut elsewhere = 0;
            for (shard, part) in self.parts.iter().enumerate() {
                let queues = part.redis.queues().await?;
                let jobs = queues.iter().find(|queue| queue.name == name).map_or(0, alive);
                elsewhere += if shard == usize::from(pin) { 0 } else { jobs };
            }
            if elsewhere > 0 {
                let old = before.as_ref().map(|entry| entry.value.as_str());
                self.put_parts(name, old, |shard| shard != pin).await?;
                let line = format!(
                    "queue {name}: {elsewhere} of its jobs live in other shards than {pin} of {number}, where this limit is counted: let them end first, or put it under its limit before it is used"
                );
                return Err(Error::new(Kind::Conflict, line));
            }
        }
        let stored = self.put_parts(name, value, |_| true).await?;
        self.learn_pins().await?;
        Ok(stored.map(whole_of))
    }

    /// Stores the rules of a queue in some shards, the first of them before the rest; what the
    /// first answers.
    async fn put_parts(
        &self,
        name: &str,
        value: Option<&str>,
        which: impl Fn(u8) -> bool,
    ) -> Result<Option<Entry>> {
        let mut first = None;
        for shard in (0..self.number()).filter(|shard| which(*shard)) {
            let part = value.map(|json| part_of(json, shard, self.number()));
            let redis: &Redis = &self.parts[usize::from(shard)].redis;
            let stored = redis.put(Setting::Queue, name, part.as_deref()).await?;
            first.get_or_insert(stored);
        }
        Ok(first.flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_a_queue_come_back_whole() {
        let entry = |value: String| Entry { name: "q".into(), value, last_ms: 1, fired: false };
        for json in [
            r#"{"max_waiting":10}"#,
            r#"{"keep_age_ms":5,"keep_bytes":7,"keep_count":2}"#,
            r#"{"limit":"mail"}"#,
            r#"{"limit":"mail","max_waiting":3}"#,
            r#"{"keep_age_ms":5,"later":true}"#,
            "[]",
        ] {
            for shard in 0..3 {
                assert_eq!(whole_of(entry(part_of(json, shard, 3))).value, json);
            }
        }
        assert!(
            part_of(r#"{"max_waiting":10}"#, 1, 3).contains(r#""max_waiting":4,"#),
            "a share, rounded up"
        );
        let pin = pin_of(r#"{"limit":"mail"}"#, 3).unwrap();
        assert!(part_of(r#"{"limit":"mail"}"#, (pin + 1) % 3, 3).contains(r#""max_waiting":0,"#));
    }
}
