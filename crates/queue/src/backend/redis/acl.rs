//! What each kind of account may do in Redis: generated from what the scripts call, so that
//! it is exact and stays so. A script's own commands are checked against its caller, therefore
//! an account holds both: which scripts it may run, and the commands that these call.

use super::calls;
use super::config::{Config, Place};
use super::scripts;
use crate::{Durability, Error, Result};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// What an account is for.
///
/// ```
/// use legwork::backend::redis::Role;
/// assert_eq!("worker".parse::<Role>().unwrap(), Role::Worker);
/// assert!("boss".parse::<Role>().unwrap_err().to_string().contains("producer, worker"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Role {
    /// Enqueues, starts flows, publishes events, waits for results.
    Producer,
    /// Runs jobs, keeps the namespace in order, and enqueues what its handlers do.
    Worker,
    /// Enqueues by schedules and from outboxes.
    Scheduler,
    /// Looks at everything and changes nothing.
    Viewer,
    /// Looks, enqueues and steers: the command line.
    Operator,
    /// Prepares a namespace: its version, and the functions of the hardened mode.
    Migrator,
}

impl Role {
    /// All of them.
    ///
    /// ```
    /// assert_eq!(legwork::backend::redis::Role::ALL.len(), 6);
    /// ```
    pub const ALL: [Role; 6] =
        [Role::Producer, Role::Worker, Role::Scheduler, Role::Viewer, Role::Operator, Role::Migrator];

    /// The word for it.
    ///
    /// ```
    /// assert_eq!(legwork::backend::redis::Role::Viewer.as_str(), "viewer");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Producer => "producer",
            Role::Worker => "worker",
            Role::Scheduler => "scheduler",
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Migrator => "migrator",
        }
    }

    /// The scripts that it runs.
    #[rustfmt::skip]
    fn scripts(self) -> Vec<&'static str> {
        const ENQUEUES: &[&str] = &["ENQUEUE", "ENQUEUE_BRIEF", "ENQUEUE_BESIDE", "STAGE", "SETTINGS", "VIEW", "FLOWS"];
        const RUNS: &[&str] = &[
            "LEASE", "LEASE_BRIEF", "SETTLE", "SETTLE_BRIEF", "EXTEND", "NOTE", "PROMOTE", "REAP", "PRUNE",
            "KEPT", "DROP", "BEAT", "BUDGET", "VANISHED", "QUEUES",
        ];
        const LOOKS: &[&str] = &[
            "VIEW", "QUEUES", "BLOCKED", "FLOWS", "SETTINGS", "TERMS", "KEPT", "VANISHED", "AUDIT",
            "IDS_AVAILABLE", "IDS_FINAL", "IDS_LEASED", "IDS_RANKED", "IDS_SCANNED",
        ];
        match self {
            Role::Producer => ENQUEUES.to_vec(),
            Role::Worker => [ENQUEUES, RUNS].concat(),
            Role::Scheduler => [ENQUEUES, &["PUT"]].concat(),
            Role::Viewer => LOOKS.to_vec(),
            Role::Operator => [ENQUEUES, LOOKS, &["CONTROL", "PAUSE", "PURGE", "PUT", "BUDGET"]].concat(),
            Role::Migrator => vec!["SETTINGS"],
        }
    }

    /// What it calls itself, beside what every account does.
    fn direct(self) -> &'static [&'static str] {
        match self {
            Role::Producer | Role::Scheduler => &["SET", "MULTI", "EXEC"],
            Role::Worker => &["SET", "MULTI", "EXEC", "HMGET", "LRANGE", "ZRANGE", "HVALS", "SUBSCRIBE"],
            Role::Viewer => &["ZRANGE", "HVALS", "SUBSCRIBE"],
            Role::Operator => &[
                "SET",
                "MULTI",
                "EXEC",
                "ZRANGE",
                "HVALS",
                "SUBSCRIBE",
                "TYPE",
                "SCAN",
                "INFO",
                "MEMORY|USAGE",
                "PUBSUB|NUMSUB",
            ],
            Role::Migrator => &["SET", "INFO", "CONFIG|GET", "SCRIPT|LOAD"],
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(text: &str) -> Result<Role> {
        let known = || Role::ALL.map(Role::as_str).join(", ");
        let found = Role::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| Error::invalid(format!("role: {text:?} is none; use {}", known())))
    }
}

/// What an account may do, as the words behind `ACL SETUSER NAME`.
///
/// ```
/// use legwork::backend::redis::{Redis, Rights, Role};
/// let config = Redis::parse("redis://localhost?ns=shop")?;
/// let rights = Rights::of(&config, &[Role::Viewer], (7, 0))?;
/// assert_eq!(rights.keys, ["~{shop:*}:*"]);
/// assert!(rights.commands.contains(&"+hget".to_owned()) && !rights.commands.contains(&"+hset".to_owned()));
/// assert!(rights.to_string().starts_with("resetkeys ~{shop:*}:* resetchannels &{shop:*}:wake -@all +"));
/// # Ok::<(), legwork::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rights {
    /// Patterns of keys, `~…`.
    pub keys: Vec<String>,
    /// Patterns of channels, `&…`.
    pub channels: Vec<String>,
    /// Commands, `+…`.
    pub commands: Vec<String>,
}

impl Rights {
    /// The rights of an account that has these roles at the place that a URL says, on a server
    /// of this version (major, minor).
    ///
    /// ```
    /// use legwork::backend::redis::{Redis, Rights, Role};
    /// let config = Redis::parse("redis://localhost?scripts=functions")?;
    /// let rights = Rights::of(&config, &[Role::Producer], (7, 0))?;
    /// assert!(rights.commands.iter().any(|c| c.starts_with("+fcall|legwork_") && c.ends_with("_enqueue")));
    /// assert!(Rights::of(&config, &[Role::Producer], (6, 2)).is_err());
    /// # Ok::<(), legwork::Error>(())
    /// ```
    ///
    /// # Errors
    /// Invalid for a version before 6.2, and one that lacks what the URL asks for.
    pub fn of(config: &Config, roles: &[Role], version: (u32, u32)) -> Result<Rights> {
        let shown = format!("{}.{}", version.0, version.1);
        if version < (6, 2) {
            return Err(Error::invalid(format!("server version: {shown} is too old; use 6.2 or newer")));
        }
        if config.functions && version < (7, 0) {
            return Err(Error::invalid(format!(
                "server version: {shown} has no functions; use 7.0 or newer"
            )));
        }
        let mut commands = BTreeSet::new();
        for role in roles {
            commands.extend(for_scripts(*role, config.functions));
            commands.extend(role.direct().iter().map(|command| command.to_lowercase()));
            if *role == Role::Migrator && version >= (7, 0) {
                commands.extend(["list", "load", "delete"].map(|what| format!("function|{what}")));
            }
        }
        commands.extend(at_place(config, version));
        Ok(Rights {
            keys: vec![format!("~{{{}:*}}:*", config.namespace)],
            channels: vec![format!("&{{{}:*}}:wake", config.namespace)],
            commands: commands.into_iter().map(|command| format!("+{command}")).collect(),
        })
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (keys, channels) = (self.keys.join(" "), self.channels.join(" "));
        write!(f, "resetkeys {keys} resetchannels {channels} -@all {}", self.commands.join(" "))
    }
}

/// The scripts of a role by name, and the commands that they call. Redis has no other word for
/// *this script only* than the first argument of the command that runs it.
fn for_scripts(role: Role, functions: bool) -> BTreeSet<String> {
    let names = role.scripts();
    let mine = scripts::all().filter(|script| names.contains(&script.name));
    let mut commands = BTreeSet::new();
    for script in mine {
        commands.insert(match functions {
            true => format!("fcall|{}", script.function()),
            false => format!("evalsha|{}", script.sha),
        });
        // What looks only is given no right to write, though its text shares functions with
        // what writes.
        let fits = |command: &&str| role != Role::Viewer || calls::reads(command);
        commands.extend(script.calls().into_iter().filter(fits).map(str::to_lowercase));
    }
    if !functions {
        commands.insert("script|load".into());
    }
    commands
}

/// What every account needs, because of where and how it connects.
fn at_place(config: &Config, version: (u32, u32)) -> Vec<String> {
    let mut all = vec!["ping", "get", "time"];
    if config.login.db() != 0 {
        all.push("select");
    }
    if version >= (7, 2) {
        all.push("client|setinfo");
    }
    match config.place {
        Place::One(_) => {}
        Place::Sentinels { .. } => all.push("role"),
        Place::Cluster(_) => all.extend(["cluster|slots", "asking"]),
    }
    match config.durability {
        Some(Durability::Replicated(_)) => all.push("wait"),
        // Both where there is `WAITAOF`: who answers it too early is asked how it syncs.
        Some(Durability::Fsync) if version >= (7, 2) => all.extend(["waitaof", "config|get"]),
        Some(Durability::Fsync) => all.push("config|get"),
        _ => {}
    }
    all.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(url: &str, role: Role) -> Vec<String> {
        Rights::of(&super::super::Redis::parse(url).unwrap(), &[role], (7, 0)).unwrap().commands
    }

    #[test]
    fn every_script_is_some_roles() {
        let of_roles: BTreeSet<_> = Role::ALL.into_iter().flat_map(Role::scripts).collect();
        let all: BTreeSet<_> = scripts::all().map(|script| script.name).collect();
        assert_eq!(of_roles, all);
    }

    #[test]
    fn a_viewer_reads() {
        for command in rights("redis://h", Role::Viewer) {
            let name = command[1..].to_uppercase();
            let whole = ["PING", "SUBSCRIBE", "SCRIPT|LOAD"].contains(&name.as_str());
            assert!(whole || name.starts_with("EVALSHA|") || calls::reads(&name), "{command}");
        }
    }

    #[test]
    fn a_place_asks_for_its_own() {
        let has = |url: &str, command: &str| rights(url, Role::Producer).contains(&command.to_owned());
        assert!(!has("redis://h", "+select") && has("redis://h/1", "+select"));
        assert!(!has("redis://h", "+role") && has("redis+sentinel://h/main", "+role"));
        assert!(!has("redis://h", "+asking") && has("redis+cluster://h", "+asking"));
        assert!(has("redis://h?durability=replicated:2", "+wait"));
        assert!(has("redis://h?durability=fsync", "+config|get"));
        assert!(has("redis://h", "+script|load") && !has("redis://h?scripts=functions", "+script|load"));
    }
}
