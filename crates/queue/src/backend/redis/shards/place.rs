//! Which shard a job lives in: that of its flow; else that of its queue, where all of it must
//! be counted in one place; else that of its limit or serial key; else that of its unique
//! key; else the one that its id names.

use super::Shards;
pub(super) use crate::id::shard_of as of_key;
use crate::{Envelope, Error, JobId, Result};
use std::collections::HashMap;

/// Queues that live in one shard, because they name a limit.
pub(super) type Pins = HashMap<String, u8>;

/// What a job of its own is kept together by, with its name in messages.
fn key(envelope: &Envelope) -> Option<(&'static str, &str)> {
    let limit = envelope.limit.as_ref().map(|limit| ("limit key", limit.key.as_str()));
    let serial = envelope.serial.as_deref().map(|key| ("serial key", key));
    let unique = envelope.unique.as_deref().map(|key| ("unique key", key));
    serial.or(limit).or(unique)
}

/// Where a job goes: its shard, and the one that it would go to if no queue was pinned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) shard: u8,
    pub(super) home: u8,
}

impl Shards {
    pub(super) fn pin(&self, queue: &str) -> Option<u8> {
        self.pins.read().ok().and_then(|pins| pins.get(queue).copied())
    }

    /// The shard that a job must live in, where there is one.
    pub(super) fn bound(&self, envelope: &Envelope) -> Option<u8> {
        let flow = envelope.flow.map(|root| root.shard(self.number()));
        flow.or_else(|| self.pin(&envelope.queue)).or_else(|| self.keyed(envelope))
    }

    fn keyed(&self, envelope: &Envelope) -> Option<u8> {
        key(envelope).map(|(_, key)| of_key(key, self.number()))
    }

    /// Where a job of an enqueue goes. Without a key it stays with what it is enqueued with,
    /// where that has a place.
    pub(super) fn place_of(&self, envelope: &Envelope, with: Option<u8>) -> Place {
        let home = self.keyed(envelope).or(with).unwrap_or_else(|| envelope.id.shard(self.number()));
        Place { shard: self.pin(&envelope.queue).unwrap_or(home), home }
    }

    /// Refuses a node whose key or queue is counted in another shard than that of its flow.
    pub(super) fn agrees(&self, envelope: &Envelope, root: JobId) -> Result<()> {
        let (flow, number) = (root.shard(self.number()), self.number());
        let no = |what: String, shard: u8, advice: &str| {
            let name = &envelope.name;
            let line = format!(
                "flow: {name}: its {what} is counted in shard {shard} of {number}, and the flow lives in {flow}: {advice}"
            );
            Err(Error::invalid(line))
        };
        if let Some(pin) = self.pin(&envelope.queue) {
            let advice = "all jobs of a flow must be of such queues of one limit, or of none";
            return if pin == flow { Ok(()) } else { no(format!("queue {}", envelope.queue), pin, advice) };
        }
        match (self.keyed(envelope), key(envelope)) {
            (Some(shard), Some((what, _))) if shard != flow => {
                no(what.into(), shard, "give the keys of one flow the same {tag}")
            }
            _ => Ok(()),
        }
    }
}
