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
    AUDIT = "unique" "audit_tools" "audit_flow" "audit_live" "audit_unique" "audit_index" "audit";
    BEAT = "push" "beat";
    CONTROL = "push" "unique" "index" "finish" "flow" "release" "find" "pull" "redrive" "steer" "control";
    DROP = "index" "drop";
    ENQUEUE = "push" "unique" "index" "tagged" "find" "pull" "replace" "taken" "full" "enqueue";
    EXTEND = "extend";
    FLOWS = "find" "flows";
    IDS_AVAILABLE = "ids_available";
    IDS_FINAL = "order" "ids_final";
    IDS_LEASED = "ids_leased";
    IDS_RANKED = "order" "ids_ranked";
    IDS_SCANNED = "ids_scanned";
    KEPT = "kept";
    LEASE = "push" "unique" "index" "finish" "flow" "release" "open" "take" "lease";
    NOTE = "note";
    PAUSE = "pause";
    PROMOTE = "push" "unique" "index" "finish" "flow" "release" "find" "pull" "tend" "mend" "promote";
    PRUNE = "push" "unique" "index" "prune";
    PURGE = "push" "unique" "index" "finish" "flow" "release" "purge";
    PUT = "put";
    QUEUES = "queues";
    REAP = "push" "unique" "index" "finish" "flow" "release" "reap";
    SETTINGS = "settings";
    SETTLE = "push" "unique" "index" "finish" "flow" "release" "succeed" "outcome" "fence" "settle";
    STAGE = "push" "unique" "index" "finish" "flow" "release" "tagged" "commit" "stage";
    TERMS = "terms";
    VIEW = "find" "view";
}
