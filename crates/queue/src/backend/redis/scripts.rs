//! The scripts: one file a verb, with what verbs share in front.

use super::calls;
use std::collections::BTreeSet;
use std::sync::{LazyLock, OnceLock};

/// A script and the names under which Redis knows it.
pub(super) struct Script {
    pub(super) name: &'static str,
    /// As it is written.
    source: &'static str,
    /// As it is sent.
    pub(super) text: String,
    pub(super) sha: String,
    pub(super) as_function: OnceLock<String>,
    /// Which of the fixed keys it is given, in its order.
    pub(super) keys: Vec<usize>,
}

impl Script {
    fn new(name: &'static str, source: &'static str, keys: &[&str]) -> Script {
        let all = || super::keys::FIXED.iter();
        let place = |key: &&str| all().position(|(name, _)| name == key);
        let keys = if keys.is_empty() {
            (0..all().count()).collect()
        } else {
            keys.iter().filter_map(place).collect()
        };
        let text = lean(source);
        let sha = redis::Script::new(&text).get_hash().to_owned();
        Script { name, source, text, sha, as_function: OnceLock::new(), keys }
    }

    /// Whether it takes jobs in: a full Redis must refuse that, and nothing else.
    pub(super) fn takes_in(&self) -> bool {
        matches!(self.name, "ENQUEUE" | "ENQUEUE_BRIEF" | "ENQUEUE_BESIDE" | "STAGE")
    }

    /// The commands that it may call.
    pub(super) fn calls(&self) -> BTreeSet<&'static str> {
        calls::of(self.source)
    }
}

/// Without comments and indentation, a third of it: a script has to get over a slow link before
/// its call is given up. Lines keep their numbers, for the errors that name them.
fn lean(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    for line in source.lines() {
        text.push_str(line.split("--").next().unwrap_or_default().trim());
        text.push('\n');
    }
    text
}

macro_rules! scripts {
    ($($name:ident = $($file:literal)+;)*) => { $(
        pub(super) static $name: LazyLock<Script> = LazyLock::new(|| {
            let text = concat!(
                include_str!("lua/prelude.lua"),
                include_str!("lua/job.lua"),
                $(include_str!(concat!("lua/", $file, ".lua"))),+
            );
            Script::new(stringify!($name), text, &[])
        });
    )*
        /// All of them but the brief ones.
        pub(super) static ALL: &[(&str, &LazyLock<Script>)] = &[$((stringify!($name), &$name)),*];
    };
}

/// Brief scripts: with what they unpack of the fixed keys, for they pay for each.
macro_rules! brief {
    ($($name:ident($($key:ident)+) = $($file:literal)+;)*) => { $(
        pub(super) static $name: LazyLock<Script> = LazyLock::new(|| {
            let text = concat!(include_str!("lua/brief.lua"), $(include_str!(concat!("lua/", $file, ".lua"))),+);
            Script::new(stringify!($name), text, &[$(stringify!($key)),+])
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
    )*
        /// The brief ones.
        static BRIEF: &[&LazyLock<Script>] = &[$(&$name),*];
    };
}

/// All scripts.
pub(super) fn all() -> impl Iterator<Item = &'static Script> {
    BRIEF.iter().map(|script| &***script).chain(ALL.iter().map(|(_, script)| &***script))
}

brief! {
    ENQUEUE_BRIEF(jobs queues) = "enqueue_brief";
    ENQUEUE_BESIDE(jobs queues) = "enqueue_beside";
    LEASE_BRIEF(jobs lease batch last n ghost gn paused gov lim mended) = "lease_brief" "leased_brief";
    SETTLE_BRIEF(jobs lease batch n fin fls meta prog watch idx full lim uniq locks) = "settle_brief" "settling_brief" "settled_brief";
}

scripts! {
    AUDIT = "ring" "push" "unique" "audit_tools" "audit_flow" "audit_keys" "audit_live" "audit_nowhere" "audit_unique" "audit_index" "audit";
    BEAT = "ring" "push" "beat";
    BLOCKED = "blocked";
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_are_comments_and_indentation() {
        assert_eq!(
            lean("-- says\nif a then -- why\n  call('GET', a)\n\nend"),
            "\nif a then\ncall('GET', a)\n\nend\n"
        );
        for script in all() {
            // What would make a comment of a text, or a text of what is left out.
            assert!(!script.source.contains("[["), "{}", script.name);
            for line in script.source.lines() {
                let code = line.split("--").next().unwrap_or_default();
                let even = |quote: char| code.matches(quote).count() % 2 == 0;
                assert!(even('\'') && even('"'), "{}: {line}", script.name);
            }
            assert_eq!(script.text.lines().count(), script.source.lines().count(), "{}", script.name);
        }
    }

    /// A link of 10 KB/s brings it within three seconds, where a call is given up after five.
    #[test]
    fn every_script_gets_over_a_slow_link() {
        let long: Vec<_> =
            all().filter(|script| script.text.len() > 30_000).map(|script| script.name).collect();
        assert!(long.is_empty(), "{long:?}");
    }
}
