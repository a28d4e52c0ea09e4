//! Which shard a job lives in: that of its flow; else that of its queue, where all of it must
//! be counted in one place; else that of its limit or serial key; else that of its unique
//! key; else the one that its id names.

use super::Shards;
use crate::{Envelope, Error, JobId, Result};
use std::collections::HashMap;

/// Queues that live in one shard, because they name a limit.
pub(super) type Pins = HashMap<String, u8>;

/// The shard of a key. What stands in the first braces speaks for the whole, so that keys can
/// be kept together.
pub(super) fn of_key(key: &str, shards: u8) -> u8 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    let word = tag.filter(|tag| !tag.is_empty()).unwrap_or(key);
    let hash = word.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    ((hash ^ (hash >> 32)) % u64::from(shards)) as u8
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_spread_and_tags_keep_them_together() {
        let mut held = [0; 3];
        (0..3_000).for_each(|n| held[usize::from(of_key(&format!("runner {n}"), 3))] += 1);
        assert!(held.iter().all(|n| (800..1_200).contains(n)), "{held:?}");
        assert_eq!(of_key("{7}:fetch", 64), of_key("7", 64));
        assert_eq!(of_key("a {7} b {8}", 64), of_key("7", 64));
        let whole = |key: &str| of_key(key, 64);
        assert!((0..9).any(|n| whole(&format!("{{}}{n}")) != whole("{}0")), "empty braces are no tag");
    }
}
