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
            let text = concat!(
                include_str!("lua/prelude.lua"),
                include_str!("lua/job.lua"),
                $(include_str!(concat!("lua/", $file, ".lua"))),+
            );
            Script { text, sha: redis::Script::new(text).get_hash().to_owned() }
        });
    )* };
}

scripts! {
    AUDIT = "unique" "audit_tools" "audit_flow" "audit_live" "audit_unique" "audit";
    BEAT = "push" "beat";
    CONTROL = "push" "unique" "finish" "flow" "release" "find" "pull" "redrive" "steer" "control";
    DROP = "drop";
    ENQUEUE = "push" "unique" "find" "pull" "replace" "taken" "full" "enqueue";
    EXTEND = "extend";
    FLOWS = "find" "flows";
    IDS = "ids";
    KEPT = "kept";
    LEASE = "push" "unique" "finish" "flow" "release" "open" "take" "lease";
    NOTE = "note";
    PAUSE = "pause";
    PROMOTE = "push" "unique" "finish" "flow" "release" "find" "pull" "tend" "mend" "promote";
    PRUNE = "push" "unique" "prune";
    PURGE = "push" "unique" "finish" "flow" "release" "purge";
    PUT = "put";
    QUEUES = "queues";
    REAP = "push" "unique" "finish" "flow" "release" "reap";
    SETTINGS = "settings";
    SETTLE = "push" "unique" "finish" "flow" "release" "succeed" "outcome" "fence" "settle";
    STAGE = "push" "unique" "finish" "flow" "release" "commit" "stage";
    VIEW = "find" "view";
}
