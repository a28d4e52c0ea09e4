//! The scripts: one file a verb, with what verbs share in front.

use std::sync::LazyLock;

/// A script and the name under which Redis caches it.
pub(super) struct Script {
    pub(super) text: &'static str,
    pub(super) sha: String,
}

macro_rules! scripts {
    ($($name:ident = $($file:literal)+;)*) => { $(
        pub(super) static $name: LazyLock<Script> = LazyLock::new(|| {
            let text = concat!(include_str!("lua/prelude.lua"), $(include_str!(concat!("lua/", $file, ".lua"))),+);
            Script { text, sha: redis::Script::new(text).get_hash().to_owned() }
        });
    )* };
}

scripts! {
    AUDIT = "audit";
    BEAT = "moves" "beat";
    CONTROL = "moves" "find" "control";
    ENQUEUE = "moves" "enqueue";
    EXTEND = "extend";
    IDS = "ids";
    LEASE = "moves" "take" "lease";
    NOTE = "note";
    PAUSE = "pause";
    PROMOTE = "moves" "promote";
    PRUNE = "moves" "prune";
    PURGE = "moves" "purge";
    QUEUES = "queues";
    REAP = "moves" "reap";
    SCHEDULE = "schedule";
    SETTLE = "moves" "outcome" "fence" "settle";
    VIEW = "find" "view";
}
