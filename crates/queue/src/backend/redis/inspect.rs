//! What people look at: jobs, queues, workers, schedules.

use super::{Redis, decode, scripts};
use crate::backend::{Entry, JobView, QueueView, Setting, Settings, WorkerView};
use crate::{Envelope, Error, JobId, Result, State};
use redis::{Value, cmd};
use std::collections::{BTreeMap, HashMap};

impl Redis {
    /// Jobs by id, as they stand; `watch` keeps the end of each for a minute.
    pub(super) async fn view(&self, ids: &[JobId], watch: bool) -> Result<Vec<JobView>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut call = self.script(&scripts::VIEW);
        call.arg(u8::from(watch));
        for id in ids {
            call.arg(id.as_bytes().as_slice());
        }
        let rest = decode::Reply::of(self.run(&scripts::VIEW, &call).await?)?.rest();
        let views = ids.iter().zip(rest).map(|(id, value)| decode::view(*id, value));
        Ok(views.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    pub(super) async fn all_queues(&self) -> Result<Vec<QueueView>> {
        let call = self.script(&scripts::QUEUES);
        let mut reply = decode::Reply::of(self.run(&scripts::QUEUES, &call).await?)?;
        let mut counters = HashMap::new();
        let mut flat = decode::list(reply.next()?)?.into_iter();
        while let (Some(field), Some(value)) = (flat.next(), flat.next()) {
            counters.insert(decode::text(field)?, decode::number(value)?.max(0) as u64);
        }
        let mut all = reply.rest().map(|row| queue(row, &counters)).collect::<Result<Vec<_>>>()?;
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    pub(super) async fn all_workers(&self) -> Result<Vec<WorkerView>> {
        let now = self.time().await?;
        let keys = &self.keys;
        let beats =
            self.link.ask(cmd("ZRANGE").arg(keys.named("seen")).arg(0).arg(-1).arg("WITHSCORES")).await?;
        let mut beats = decode::list(beats)?.into_iter();
        let mut seen = HashMap::new();
        while let (Some(worker), Some(at)) = (beats.next(), beats.next()) {
            seen.insert(decode::text(worker)?, decode::number(at)?);
        }
        let mut workers: Vec<WorkerView> = self.hash(&keys.named("workers")).await?;
        workers.retain_mut(|worker| {
            worker.seen_ms = seen.get(&worker.id).copied().unwrap_or(0);
            worker.seen_ms > now - 3_600_000
        });
        workers.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(workers)
    }

    pub(super) async fn all_settings(&self, kind: Setting) -> Result<Settings> {
        let mut call = self.script(&scripts::SETTINGS);
        call.arg(kind.as_str());
        let mut reply = decode::Reply::of(self.run(&scripts::SETTINGS, &call).await?)?;
        let version = decode::number(reply.next()?)? as u64;
        let mut entries = Vec::new();
        let mut rest = reply.rest();
        while let (Some(name), Some(value), Some(mark)) = (rest.next(), rest.next(), rest.next()) {
            entries.push(entry(decode::text(name)?, value, mark)?);
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Settings { version, entries })
    }

    /// The values of a hash of JSON; what cannot be read is left out.
    async fn hash<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<Vec<T>> {
        let values = decode::list(self.link.ask(cmd("HVALS").arg(key)).await?)?;
        let mut all = Vec::new();
        for value in values {
            all.extend(serde_json::from_slice(&decode::bytes(value)?).ok());
        }
        Ok(all)
    }
}

/// A setting from its parts; `mark` is `LAST:FIRED`.
pub(super) fn entry(name: String, value: Value, mark: Value) -> Result<Entry> {
    let mark = decode::text(mark)?;
    let (last, fired) = mark.split_once(':').unwrap_or((&mark, "0"));
    let last_ms =
        last.parse().map_err(|_| Error::corrupt("the last instant of a setting is not a number"))?;
    Ok(Entry { name, value: decode::text(value)?, last_ms, fired: fired == "1" })
}

pub(super) fn queue(row: Value, counters: &HashMap<String, u64>) -> Result<QueueView> {
    let mut row = decode::list(row)?.into_iter();
    let mut part = || row.next().unwrap_or(Value::Nil);
    let (name, available, paused) = (decode::text(part())?, decode::number(part())?, decode::text(part())?);
    let counted = |what: &str| counters.get(&format!("{name}\0{what}")).copied().unwrap_or(0);
    let limits = decode::list(part())?.into_iter().map(super::limits::row).collect::<Result<_>>()?;
    let mut counts: BTreeMap<String, u64> =
        State::ALL.iter().map(|state| (state.to_string(), counted(state.as_str()))).collect();
    counts.insert(State::Available.to_string(), available.max(0) as u64);
    counts.retain(|_, count| *count > 0);
    let mut oldest_ms: Option<i64> = None;
    while let (Some(id), Some(header)) = (row.next(), row.next()) {
        let mut record = decode::bytes(header)?;
        record.extend_from_slice(b"\nnull");
        let id = decode::id(&decode::bytes(id)?)?;
        let record = record.strip_prefix(b"*").unwrap_or(&record);
        let made = Envelope::decode(id, record).ok().and_then(|e| e.made_ms()).or_else(|| id.created_ms());
        oldest_ms = oldest_ms.into_iter().chain(made).min();
    }
    Ok(QueueView {
        counts,
        parked: counted("parked"),
        paused: match paused.as_str() {
            "" => None,
            "0" => Some(None),
            until => Some(until.parse().ok()),
        },
        oldest_ms,
        processed: counted("processed"),
        failed: counted("failed"),
        rules: Default::default(),
        limits,
        name,
    })
}
