//! What a checkup says of a server: how it keeps data, whether it has room, who else is there,
//! what is known of its version. What an account may not ask is said to be unknown.

use super::{Redis, decode, scripts};
use crate::Result;
use crate::backend::{Backend, Fault, Finding, Gravity};
use Gravity::{Danger, Note, Warning};
use redis::{Cmd, cmd};
use std::collections::HashMap;

/// Major, minor and patch number.
type Version = (u32, u32, u32);

/// Holes in the servers, and from which version of each series on they are mended; a newer
/// series is not touched. Those of Valkey have numbers of their own.
const HOLES: [(&str, &str, &[Version]); 5] = [
    ("CVE-2025-49844", "scripts run foreign code", SCRIPTS),
    ("CVE-2025-46817", "scripts run foreign code", SCRIPTS),
    ("CVE-2025-46818", "scripts run as another user", SCRIPTS),
    ("CVE-2024-46981", "scripts run foreign code", &[(6, 2, 17), (7, 2, 7), (7, 4, 2)]),
    ("CVE-2026-23479", "blocking commands reach freed memory", &[(8, 6, 3)]),
];
const SCRIPTS: &[Version] = &[(6, 2, 20), (7, 2, 11), (7, 4, 6), (8, 0, 4), (8, 2, 2)];
/// Where the last of them begins.
const BLOCKING_FROM: Version = (7, 2, 0);
/// A cluster moves no slot with a key larger than about this.
const LARGE_KEY: i64 = 64 << 20;
/// Who has not been seen for so long, in milliseconds, is not asked what he hears.
const BEAT_MS: i64 = 20_000;
/// So far a clock may be from ours without being remarked on, in milliseconds.
const CLOCKS: i64 = 1_000;

/// What a server says of itself.
struct Said {
    info: HashMap<String, String>,
    config: HashMap<String, String>,
}

impl Said {
    fn text(&self, name: &str) -> &str {
        self.info.get(name).or_else(|| self.config.get(name)).map_or("", String::as_str)
    }

    fn number(&self, name: &str) -> i64 {
        self.text(name).parse().unwrap_or(0)
    }

    fn knows(&self, name: &str) -> bool {
        !self.text(name).is_empty()
    }
}

impl Redis {
    /// What does not hold of all jobs, as it was found; what can be mended is, with `really`.
    pub(super) async fn faults(&self, really: bool) -> Result<Vec<Fault>> {
        let mut call = self.script(&scripts::AUDIT);
        call.arg(if really { "1" } else { "" });
        let reply = decode::Reply::of(self.run(&scripts::AUDIT, &call).await?)?;
        let told = |line: String| match line.strip_prefix('+') {
            Some(line) => Fault { line: line.into(), mendable: true },
            None => Fault { line, mendable: false },
        };
        reply.rest().map(|line| Ok(told(decode::text(line)?))).collect()
    }

    pub(super) async fn examined(&self) -> Result<Vec<Finding>> {
        let mut all = Vec::new();
        let mut said = Said { info: HashMap::new(), config: HashMap::new() };
        match self.link.ask(&cmd("INFO")).await.and_then(decode::text) {
            Ok(text) => {
                let lines = text.lines().filter_map(|line| line.split_once(':'));
                said.info = lines.map(|(name, value)| (name.into(), value.trim().into())).collect();
            }
            Err(e) if e.is_unavailable() => return Err(e),
            Err(_) => all.push(Finding::new(Note, "server", "unknown: this account may not ask INFO")),
        }
        for name in ["appendfsync", "save", "min-replicas-to-write"] {
            let answer = self.link.ask(cmd("CONFIG").arg("GET").arg(name)).await.and_then(decode::list);
            match answer.ok().and_then(|mut pair| decode::text(pair.pop()?).ok()) {
                Some(value) => drop(said.config.insert(name.into(), value)),
                None => all.push(Finding::new(
                    Note,
                    "server",
                    format!("unknown: this account may not ask for {name}"),
                )),
            }
        }
        if !said.info.is_empty() {
            all.extend(version(&said));
            all.extend(persistence(&said));
            all.extend(memory(&said));
            all.extend(replicas(&said));
        }
        all.extend(self.clocks().await?);
        all.extend(self.keys_of(&said).await?);
        all.extend(self.listener().await);
        Ok(all)
    }

    /// The server's clock against ours, and against the tokens that it has given.
    async fn clocks(&self) -> Result<Vec<Finding>> {
        let mut all = Vec::new();
        let before = crate::clock::system_ms();
        let server = self.time().await?;
        let ours = (before + crate::clock::system_ms()) / 2;
        if (server - ours).abs() > CLOCKS && self.clock.manual_ms().is_none() {
            let line =
                format!("the server's clock and this machine's are {} ms apart", (server - ours).abs());
            all.push(Finding::new(Warning, "clock", line));
        }
        let last = self.link.ask(cmd("GET").arg(self.keys.named("last"))).await?;
        let ahead = decode::number(last).unwrap_or(0) / 1_000 - server;
        if ahead > CLOCKS {
            let line = format!(
                "the server's clock has been set back by {ahead} ms: what is due comes later by as much"
            );
            all.push(Finding::new(Warning, "clock", line));
        }
        Ok(all)
    }

    /// Keys that are gone, and keys that a cluster could not move.
    async fn keys_of(&self, said: &Said) -> Result<Vec<Finding>> {
        let gone = self.vanished().await?;
        let mut all = Vec::new();
        if !gone.is_empty() {
            let line = format!(
                "gone, evicted or deleted by another program, and jobs with them: {}",
                gone.join(", ")
            );
            all.push(Finding::new(Danger, "keys", line));
        }
        if said.number("cluster_enabled") == 1 {
            for key in self.keys.fixed() {
                let bytes = self.link.ask(cmd("MEMORY").arg("USAGE").arg(key)).await.and_then(decode::number);
                if let Ok(bytes) = bytes
                    && bytes > LARGE_KEY
                {
                    let line = format!(
                        "{key} holds {} MB: its slot cannot be moved without a stall; use more shards",
                        bytes >> 20
                    );
                    all.push(Finding::new(Warning, "keys", line));
                }
            }
        }
        Ok(all)
    }

    /// Whether anybody hears of new jobs at once.
    async fn listener(&self) -> Option<Finding> {
        let number = async |call: &Cmd| self.link.ask(call).await;
        let (mut workers, now) = (self.all_workers().await.ok()?, Backend::now(self).await.ok()?);
        // One that died is listed for an hour, and listens to nothing.
        workers.retain(|worker| now - worker.seen_ms < BEAT_MS);
        let heard = number(cmd("PUBSUB").arg("NUMSUB").arg(self.keys.named("wake"))).await.ok()?;
        let heard = decode::number(decode::list(heard).ok()?.pop()?).ok()?;
        let line =
            "workers run, and none listens for new jobs: they find them by looking; may they subscribe?";
        (heard == 0 && !workers.is_empty()).then(|| Finding::new(Warning, "wake-ups", line))
    }
}

/// Three numbers of a version.
fn parts(version: &str) -> Version {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next())
}

/// Whether a version has a hole that is mended in these.
fn open(version: Version, mended: &[Version]) -> bool {
    let series = mended.iter().find(|fixed| (fixed.0, fixed.1) == (version.0, version.1));
    match series {
        Some(fixed) => version < *fixed,
        // A series that was never mended, before one that was.
        None => mended.last().is_some_and(|newest| version < *newest),
    }
}

fn version(said: &Said) -> Vec<Finding> {
    let (text, valkey) = (said.text("redis_version"), said.knows("valkey_version"));
    let version = parts(text);
    let mut all = Vec::new();
    if version < (6, 2, 0) {
        all.push(Finding::new(Danger, "version", format!("{text} is too old; use 6.2 or newer")));
    }
    for (name, what, mended) in HOLES.iter().filter(|_| !valkey) {
        let begun = !name.contains("23479") || version >= BLOCKING_FROM;
        if begun && open(version, mended) {
            let to = mended.iter().map(|(a, b, c)| format!("{a}.{b}.{c}")).collect::<Vec<_>>().join(", ");
            let advice = "or a package in which your distribution has mended it (then --accept it)";
            let line = format!("{text} has {name} by its number ({what}); mended in {to}, {advice}");
            all.push(Finding::new(Warning, "version", line));
        }
    }
    all
}

fn persistence(said: &Said) -> Vec<Finding> {
    let mut all = Vec::new();
    let mut add = |gravity, line: &str| all.push(Finding::new(gravity, "persistence", line));
    let appends = said.number("aof_enabled") == 1;
    match (appends, said.config.get("save").map(String::as_str)) {
        (false, Some("")) => {
            add(Danger, "nothing is kept on disk: appendonly no, and no save; set appendonly yes")
        }
        (false, _) => add(
            Warning,
            "appendonly no: a restart loses what came since the last snapshot; set appendonly yes",
        ),
        _ => {}
    }
    match said.text("appendfsync") {
        "no" if appends => {
            add(Warning, "appendfsync no: a power loss costs what the system had not written; set everysec")
        }
        "everysec" if appends => add(Note, "appendfsync everysec: a power loss costs the last second or two"),
        _ => {}
    }
    for (name, what) in [
        ("aof_last_write_status", "the append-only file was not written"),
        ("aof_last_bgrewrite_status", "the append-only file was not rewritten"),
        ("rdb_last_bgsave_status", "the last snapshot failed"),
    ] {
        if said.text(name) == "err" {
            add(Danger, &format!("{what}: is the disk full?"));
        }
    }
    all
}

fn memory(said: &Said) -> Vec<Finding> {
    let mut all = Vec::new();
    let policy = said.text("maxmemory_policy");
    let (used, most) = (said.number("used_memory"), said.number("maxmemory"));
    if policy != "noeviction" && !policy.is_empty() {
        let gravity = if most > 0 { Danger } else { Warning };
        let line =
            format!("maxmemory-policy {policy}: jobs are thrown away when memory is full; set noeviction");
        all.push(Finding::new(gravity, "eviction", line));
    }
    let (what, room) = match most {
        0 => ("the machine's memory", said.number("total_system_memory")),
        most => ("maxmemory", most),
    };
    let share = if room > 0 { used * 100 / room } else { 0 };
    if share >= 75 {
        let gravity = if share >= 90 { Danger } else { Warning };
        all.push(Finding::new(
            gravity,
            "memory",
            format!("{share} % of {what} is in use; enqueues are refused when it is full"),
        ));
    }
    all
}

fn replicas(said: &Said) -> Vec<Finding> {
    let mut all = Vec::new();
    let mut add = |gravity, line: String| all.push(Finding::new(gravity, "replicas", line));
    let (there, good) = (said.number("connected_slaves"), said.number("min_slaves_good_slaves"));
    let least = said.number("min-replicas-to-write");
    if said.text("role") == "slave" {
        add(Danger, "this server is a replica and takes no writes".into());
    }
    if least > 0 && good < least {
        add(Danger, format!("min-replicas-to-write {least}, and {good} are in step: no write is taken"));
    } else if least > 0 && there <= least {
        let line = "after a failover there is one less, and no write is taken until the old primary is back";
        add(
            Warning,
            format!(
                "min-replicas-to-write {least} with {there} replicas: {line}; it needs {} or more",
                least + 1
            ),
        );
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(info: &[(&str, &str)], config: &[(&str, &str)]) -> Said {
        let map = |all: &[(&str, &str)]| all.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        Said { info: map(info), config: map(config) }
    }

    fn lines(all: Vec<Finding>) -> String {
        all.into_iter().map(|f| format!("{:?} {}\n", f.gravity, f.line)).collect()
    }

    #[test]
    fn holes_by_version() {
        let holes = |version: &str| version_holes(version).matches("CVE-").count();
        fn version_holes(version: &str) -> String {
            lines(super::version(&said(&[("redis_version", version)], &[])))
        }
        for (version, count) in [
            ("6.2.16", 4),
            ("6.2.20", 0),
            ("7.0.15", 4),
            ("7.2.11", 1),
            ("8.0.3", 4),
            ("8.2.2", 1),
            ("8.6.2", 1),
            ("8.6.3", 0),
            ("9.0.0", 0),
        ] {
            assert_eq!(holes(version), count, "{version}: {}", version_holes(version));
        }
        assert!(version_holes("6.0.9").contains("too old"));
        let valkey = said(&[("redis_version", "7.2.4"), ("valkey_version", "8.1.1")], &[]);
        assert!(version(&valkey).is_empty());
    }

    #[test]
    fn a_failover_that_would_refuse_writes_is_foreseen() {
        let of = |there: &str, good: &str, least: &str| {
            let info = [("role", "master"), ("connected_slaves", there), ("min_slaves_good_slaves", good)];
            lines(replicas(&said(&info, &[("min-replicas-to-write", least)])))
        };
        assert!(of("1", "1", "1").contains("it needs 2 or more"));
        assert!(of("1", "0", "1").starts_with("Danger"));
        assert_eq!((of("2", "2", "1"), of("0", "0", "0")), Default::default());
    }

    #[test]
    fn room_and_what_becomes_of_it() {
        let of = |policy: &str, used: &str, most: &str| {
            lines(memory(&said(
                &[("maxmemory_policy", policy), ("used_memory", used), ("maxmemory", most)],
                &[],
            )))
        };
        assert_eq!(of("noeviction", "10", "100"), "");
        assert!(of("noeviction", "80", "100").starts_with("Warning 80 %"));
        assert!(of("noeviction", "95", "100").starts_with("Danger 95 %"));
        assert!(of("allkeys-lru", "1", "100").starts_with("Danger maxmemory-policy allkeys-lru"));
    }
}
