//! The scripts: one file a verb, with what verbs share in front.

use std::sync::LazyLock;

/// A script and the name under which Redis caches it.
pub(super) struct Script {
    pub(super) text: &'static str,
    pub(super) sha: String,
    /// Which of the fixed keys it is given, in its order.
    pub(super) keys: Vec<usize>,
}

impl Script {
    fn new(text: &'static str, keys: &[&str]) -> Script {
        let all = || super::keys::FIXED.iter();
        let place = |key: &&str| all().position(|(name, _)| name == key);
        let keys = if keys.is_empty() {
            (0..all().count()).collect()
        } else {
            keys.iter().filter_map(place).collect()
        };
        Script { text, sha: redis::Script::new(text).get_hash().to_owned(), keys }
    }
}

macro_rules! scripts {
    ($($name:ident = $($file:literal)+;)*) => { $(
        pub(super) static $name: LazyLock<Script> = LazyLock::new(|| {
            let text = concat!(
                include_str!("lua/prelude.lua"),
                include_str!("lua/job.lua"),
                $(include_str!(concat!("lua/", $file, ".lua"))),+
            );
            Script::new(text, &[])
        });
    )*
        /// All of them, by name.
        #[cfg(all(test, feature = "testing"))]
        pub(super) static ALL: &[(&str, &LazyLock<Script>)] = &[$((stringify!($name), &$name)),*];
    };
}

/// Brief scripts: with what they unpack of the fixed keys, for they pay for each.
macro_rules! brief {
    ($($name:ident($($key:ident)+) = $($file:literal)+;)*) => { $(
        pub(super) static $name: LazyLock<Script> = LazyLock::new(|| {
            let text = concat!(include_str!("lua/brief.lua"), $(include_str!(concat!("lua/", $file, ".lua"))),+);
            Script::new(text, &[$(stringify!($key)),+])
        });
        #[cfg(test)]
        #[allow(non_snake_case)]
        mod $name {
            /// The script unpacks what it is given, in that order.
            #[test]
            fn unpacks_its_keys() {
                let names = [$(stringify!($key)),+].join(", ");
                assert!(super::$name.text.contains(&format!("local {names} = unpack(KEYS)")), "{names}");
                assert_eq!(super::$name.keys.len(), names.split(", ").count());
            }
        }
    )* };
}

brief! {
    ENQUEUE_BRIEF(jobs queues) = "enqueue_brief";
    LEASE_BRIEF(jobs lease batch last n ghost gn paused gov lim mended) = "lease_brief";
    SETTLE_BRIEF(jobs lease batch n fin fls meta prog watch idx full lim) = "settle_brief" "settled_brief";
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
    SETTLE = "ring" "push" "unique" "index" "finish" "flow" "release" "permits" "succeed" "outcome" "fence" "batches" "settle";
    STAGE = "ring" "push" "unique" "index" "finish" "flow" "release" "tagged" "commit" "stage";
    TERMS = "terms";
    VANISHED = "vanished";
    VIEW = "ring" "find" "view";
}
