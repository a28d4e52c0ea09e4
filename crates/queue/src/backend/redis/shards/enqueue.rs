//! Enqueue: a call is taken apart by shard, and is atomic and idempotent in each.

use super::Shards;
use super::place::{Place, of_key};
use crate::backend::*;
use crate::error::Kind;
use crate::{Error, Result};
use futures_util::future::join_all;

/// The jobs of a call that go to one shard, by their numbers in it.
struct Group {
    place: Place,
    jobs: Vec<usize>,
}

impl Shards {
    pub(super) async fn take_in(&self, batch: &EnqueueBatch) -> Result<Taken> {
        match (&batch.flow, &batch.guard) {
            (Some(step), _) => self.stage(batch, step).await,
            (None, Guard::Slot { kind, name, expect, last }) => {
                self.slot(batch, (*kind, name), *expect, *last).await
            }
            (None, _) => self.spread(batch).await,
        }
    }

    fn groups(&self, batch: &EnqueueBatch, jobs: &[usize], with: Option<u8>) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for job in jobs {
            let place = self.place_of(&batch.jobs[*job].envelope, with);
            match groups.iter_mut().find(|group| group.place == place) {
                Some(group) => group.jobs.push(*job),
                None => groups.push(Group { place, jobs: vec![*job] }),
            }
        }
        groups
    }

    /// Sends a group. One that a pinned queue has drawn away from where it would go has a lane
    /// of its own there, so that it can be told from what goes there anyway.
    async fn send(&self, batch: &EnqueueBatch, group: &Group, lane: &str, seq: u64) -> Result<Taken> {
        let shard = usize::from(group.place.shard);
        let Some(guard) = self.guard_in(&batch.guard, shard) else { return Ok(Taken::Changed) };
        let redis = &self.parts[shard].redis;
        let own = group.place.shard == group.place.home;
        if own && guard == batch.guard && group.jobs.len() == batch.jobs.len() && lane == batch.lane {
            return redis.enqueue(batch).await;
        }
        let lane = if own { lane.to_owned() } else { format!("{lane}@{}", group.place.home) };
        let jobs = group.jobs.iter().map(|job| batch.jobs[*job].clone()).collect();
        redis.enqueue(&EnqueueBatch { lane, seq, jobs, guard, flow: None }).await
    }

    async fn spread(&self, batch: &EnqueueBatch) -> Result<Taken> {
        let mut answers = vec![None; batch.jobs.len()];
        let mut left: Vec<usize> = (0..batch.jobs.len()).collect();
        for again in [true, false] {
            let groups = self.groups(batch, &left, None);
            let sent = groups.iter().map(|group| self.send(batch, group, &batch.lane, batch.seq));
            let (mut refused, mut failed) = (Vec::new(), None);
            for (group, answer) in groups.iter().zip(join_all(sent).await) {
                match answer {
                    Ok(Taken::Jobs(some)) => {
                        group.jobs.iter().zip(some).for_each(|(job, one)| answers[*job] = Some(one));
                    }
                    // Whoever reads the settings again sends all of it again, under ids chosen.
                    Ok(Taken::Changed) => return Ok(Taken::Changed),
                    Err(e) if e.is_refused() && failed.is_none() => {
                        refused.push(group);
                        failed = Some(e);
                    }
                    Err(e) if e.is_refused() => refused.push(group),
                    Err(e) => return Err(partly(e, &answers)),
                }
            }
            let Some(error) = failed else { break };
            // A shard that is not its queue's takes nothing of it in. Others who learn at the
            // same time must not make this look as if nothing had changed.
            self.learn_pins().await?;
            let moved = |group: &&Group| {
                group.jobs.iter().any(|job| self.place_of(&batch.jobs[*job].envelope, None) != group.place)
            };
            if !again || !refused.iter().any(moved) {
                return Err(partly(error, &answers));
            }
            left = refused.iter().flat_map(|group| group.jobs.clone()).collect();
        }
        Ok(Taken::Jobs(answers.into_iter().flatten().collect()))
    }

    /// A slot's guard stands in one shard, and so does what has no place of its own. What must
    /// go elsewhere goes first, once: its lane is the slot's name, its number the slot.
    async fn slot(&self, batch: &EnqueueBatch, of: (Setting, &str), expect: i64, last: i64) -> Result<Taken> {
        let (kind, name) = of;
        let pin = of_key(name, self.number());
        let all: Vec<usize> = (0..batch.jobs.len()).collect();
        let (main, others): (Vec<_>, Vec<_>) =
            self.groups(batch, &all, Some(pin)).into_iter().partition(|group| group.place.shard == pin);
        let redis = &self.parts[usize::from(pin)].redis;
        if others.is_empty() {
            return redis.enqueue(batch).await;
        }
        let entries = redis.settings(kind).await?.entries;
        if entries.iter().find(|entry| entry.name == name).is_none_or(|entry| entry.last_ms != expect) {
            return Ok(Taken::Changed);
        }
        let mut answers = vec![None; batch.jobs.len()];
        let free = EnqueueBatch { guard: Guard::None, ..batch.clone() };
        let lane = format!("slot {} {name}", kind.as_str());
        for group in others {
            let sent = self.send(&free, &group, &lane, last.unsigned_abs()).await;
            match sent {
                Ok(Taken::Jobs(some)) => {
                    group.jobs.iter().zip(some).for_each(|(job, one)| answers[*job] = Some(one));
                }
                Ok(Taken::Changed) => return Ok(Taken::Changed),
                // A later slot has been taken by somebody else.
                Err(e) if e.to_string().starts_with("seq: ") => return Ok(Taken::Changed),
                Err(e) => return Err(e),
            }
        }
        let mine: Vec<usize> = main.into_iter().flat_map(|group| group.jobs).collect();
        let jobs = mine.iter().map(|job| batch.jobs[*job].clone()).collect();
        match redis.enqueue(&EnqueueBatch { jobs, ..batch.clone() }).await? {
            Taken::Changed => Ok(Taken::Changed),
            Taken::Jobs(some) => {
                mine.iter().zip(some).for_each(|(job, one)| answers[*job] = Some(one));
                Ok(Taken::Jobs(answers.into_iter().flatten().collect()))
            }
        }
    }

    async fn stage(&self, batch: &EnqueueBatch, step: &FlowStep) -> Result<Taken> {
        // The script that takes flows in does not know of queues' places.
        self.learn_pins().await?;
        batch.jobs.iter().try_for_each(|job| self.agrees(&job.envelope, step.root))?;
        let shard = self.home(step.root);
        let Some(guard) = self.guard_in(&batch.guard, shard) else { return Ok(Taken::Changed) };
        let redis = &self.parts[shard].redis;
        if guard == batch.guard {
            return redis.enqueue(batch).await;
        }
        redis.enqueue(&EnqueueBatch { guard, ..batch.clone() }).await
    }
}

/// An error of one shard; not one after which the call may be taken apart and sent again
/// under other numbers, where others took jobs in.
fn partly(error: Error, answers: &[Option<Enqueued>]) -> Error {
    let taken = answers.iter().flatten().count();
    if taken == 0 || error.is_unavailable() {
        return error;
    }
    let line = error.to_string();
    let line = line.strip_suffix("; nothing was enqueued").unwrap_or(&line);
    Error::new(Kind::Conflict, format!("{line}; {taken} jobs of this call, in other shards, were enqueued"))
}
