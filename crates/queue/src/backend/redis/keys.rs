//! The names of the keys. Every fixed key of a shard is passed to every script, in this
//! order; the computed ones (lists of a queue, of a batch, …) are named in
//! `lua/prelude.lua` and carry the same hash tag, so that a shard is one slot.

/// The fixed keys of a shard, in the order in which `lua/prelude.lua` unpacks them, each
/// with the type that Redis gives it.
pub(super) const FIXED: [(&str, &str); 37] = [
    ("jobs", "hash"),    // id -> record: the truth that a job lives, but for those in fin
    ("meta", "hash"),    // id -> JSON, for jobs that left the fast path
    ("due", "zset"),     // id -> when a scheduled or retryable job is due
    ("lease", "zset"),   // token -> deadline
    ("batch", "hash"),   // token -> leased alone (0 or 1), queue, blank, worker
    ("last", "string"),  // the newest token
    ("grace", "string"), // until when leases have been renewed after an outage
    ("uniq", "hash"),    // name NUL unique key -> id, until when it may be put off
    ("parked", "hash"),  // job name -> how many are parked
    ("n", "hash"),       // queue NUL state -> how many
    ("ghost", "hash"),   // entry that a job left behind in a list -> queue:priority
    ("gn", "hash"),      // queue:priority -> how many ghosts
    ("fin", "hash"),     // id -> what is kept of a finished job; see lua/job.lua
    ("fls", "zset"),     // list of finished jobs -> when its head may go
    ("watch", "zset"),   // id that somebody waits for -> until when
    ("prog", "hash"),    // id -> progress
    ("cancels", "set"),  // leased ids whose cancellation is requested
    ("queues", "set"),   // names
    ("paused", "hash"),  // queue -> until when, 0 for good
    ("workers", "hash"), // worker -> JSON
    ("seen", "zset"),    // worker -> its last beat
    ("slots", "hash"),   // kind NUL name -> last instant, whether it fired; kind -> version
    ("steps", "hash"),   // id -> its steps, a line each; id and c -> its cursor
    ("locks", "zset"),   // name NUL unique key -> until when it is held at least
    ("flows", "zset"),   // flow -> when it was made
    ("flook", "zset"),   // flow -> when the sweep looks at it again
    ("todo", "list"),    // what is left to do of flows; see lua/flow.lua
    ("terms", "zset"),   // what the index finds jobs by
    ("idx", "hash"),     // id -> its terms in the index
    ("gov", "hash"),     // queue -> how many wait in its governed lane
    ("lim", "hash"),     // queue -> the limit that it names; / where a key has a rule of its own
    ("inuse", "hash"),   // limit key -> ids of the leased jobs under it, one after the other
    ("permit", "hash"),  // leased id -> its token in 16 digits, its limit key
    ("full", "hash"),    // limit key -> queues where it waits for a permit
    ("rate", "hash"),    // limit key -> JSON, what it has spent
    ("ord", "string"),   // the last place given in a governed lane
    ("mended", "hash"),  // what the sweep mends -> how far it has come
];

/// The keys of one shard of a namespace.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: String,
    fixed: Vec<String>,
    never: Option<String>,
}

impl Keys {
    /// The hash tag of a shard: what a cluster reckons its slot from.
    pub(super) fn tag(namespace: &str, shard: u8) -> String {
        format!("{namespace}:{shard}")
    }

    pub(super) fn of(namespace: &str, shard: u8) -> Keys {
        let prefix = format!("{{{}}}:", Keys::tag(namespace, shard));
        let fixed = FIXED.iter().map(|(name, _)| format!("{prefix}{name}")).collect();
        Keys { prefix, fixed, never: None }
    }

    /// With one key more, which never exists. A node of a cluster refuses a script, before
    /// its first line, while the slot is being moved and any of its keys is not there: so no
    /// script is stopped in the middle by a computed key that is elsewhere already.
    pub(super) fn on_cluster(mut self) -> Keys {
        self.never = Some(format!("{}none", self.prefix));
        self
    }

    /// The key that every script is given behind its own.
    pub(super) fn never(&self) -> Option<&String> {
        self.never.as_ref()
    }

    /// The fixed keys, in order.
    pub(super) fn fixed(&self) -> &[String] {
        &self.fixed
    }

    /// One key of this shard by the end of its name.
    pub(super) fn named(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_carries_the_tag_of_its_shard() {
        let keys = Keys::of("legwork", 3);
        assert_eq!(keys.fixed()[0], "{legwork:3}:jobs");
        assert!(keys.fixed().iter().all(|k| k.starts_with("{legwork:3}:")));
    }

    #[test]
    fn the_prelude_unpacks_as_many_keys_as_are_passed() {
        let prelude = include_str!("lua/prelude.lua");
        let names = prelude.split("local jobs").nth(1).unwrap().split('=').next().unwrap();
        assert_eq!(names.matches(',').count() + 1, FIXED.len());
    }
}
