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
    )*
        /// All of them, by name.
        #[cfg(all(test, feature = "testing"))]
        pub(super) static ALL: &[(&str, &LazyLock<Script>)] = &[$((stringify!($name), &$name)),*];
    };
}

scripts! {
    AUDIT = "ring" "unique" "audit_tools" "audit_flow" "audit_keys" "audit_live" "audit_unique" "audit_index" "audit";
    BEAT = "ring" "push" "beat";
    BUDGET = "ring" "permits" "limits" "spend" "changed" "budget";
    CONTROL = "ring" "push" "unique" "index" "finish" "flow" "release" "find" "pull" "redrive" "steer" "control";
    DROP = "index" "drop";
    ENQUEUE = "ring" "push" "unique" "index" "tagged" "find" "pull" "replace" "taken" "full" "enqueue";
    EXTEND = "extend";
    FLOWS = "find" "flows";
    IDS_AVAILABLE = "ids_keys" "ids_available";
    IDS_FINAL = "order" "ids_final";
    IDS_LEASED = "ids_leased";
    IDS_RANKED = "order" "ids_ranked";
    IDS_SCANNED = "ids_scanned";
    KEPT = "kept";
    LEASE = "ring" "push" "unique" "index" "finish" "flow" "release" "open" "take" "limits" "spend" "draw"
        "seat" "ceiling" "turns" "plain" "lease";
    NOTE = "note";
    PAUSE = "pause";
    PROMOTE = "ring" "push" "unique" "index" "finish" "flow" "release" "find" "pull" "tend" "mend" "promote";
    PRUNE = "ring" "push" "unique" "index" "prune";
    PURGE = "ring" "push" "unique" "index" "finish" "flow" "release" "permits" "purge_keys" "purge";
    PUT = "ring" "permits" "changed" "put";
    QUEUES = "limits" "queue_keys" "queues";
    REAP = "ring" "push" "unique" "index" "finish" "flow" "release" "permits" "limits" "spend" "heal"
        "heal_keys" "lost" "reap";
    SETTINGS = "settings";
    SETTLE = "ring" "push" "unique" "index" "finish" "flow" "release" "permits" "succeed" "outcome" "fence" "settle";
    STAGE = "ring" "push" "unique" "index" "finish" "flow" "release" "tagged" "commit" "stage";
    TERMS = "terms";
    VANISHED = "vanished";
    VIEW = "ring" "find" "view";
}
