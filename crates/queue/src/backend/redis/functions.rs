//! The hardened mode: the scripts as functions of a library that a migrator loads, so that no
//! other account needs a right to run code of its own.
//!
//! The same texts, called in the same way. The library's name, and that of each function, ends
//! with what its text comes to: programs of two versions run beside each other, each with its
//! own, and whoever lacks his says so.

use super::scripts::{self, Script};
use super::{Redis, calls, decode};
use crate::backend::{Backend, Setting};
use crate::{Clock, Error, Result};
use redis::cmd;
use std::sync::LazyLock;

/// What was loaded, and what else is there.
///
/// ```no_run
/// # async fn example() -> legwork::Result<()> {
/// let done = legwork::backend::redis::migrate("redis://localhost", false).await?;
/// println!("{} is loaded; not used by this version: {:?}", done.library, done.others);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Migrated {
    /// The library of this version.
    pub library: String,
    /// Servers that have it now.
    pub servers: usize,
    /// Libraries of other versions that are still loaded.
    pub others: Vec<String>,
    /// Libraries of other versions that were there and have been removed.
    pub removed: Vec<String>,
}

/// The library of this version: its name, and its text.
static LIBRARY: LazyLock<(String, String)> = LazyLock::new(|| {
    let mut all: Vec<&Script> = scripts::all().collect();
    all.sort_by_key(|script| script.name);
    let mark = mark();
    let name = format!("legwork_{mark}");
    let mut text = format!("#!lua name={name}\n");
    for script in all {
        let flags = match script {
            // A server that is full or cannot write answers who only looks.
            script if script.calls().into_iter().all(calls::reads) => "'no-writes'",
            script if script.takes_in() => "",
            // What a full server must go on doing, so that it drains.
            _ => "'allow-oom'",
        };
        let function = format!("function(KEYS, ARGV)\n{}\nend", script.text);
        let name = script.function();
        text.push_str(&format!(
            "redis.register_function{{ function_name = '{name}', flags = {{ {flags} }}, callback = {function} }}\n"
        ));
    }
    (name, text)
});

/// What the texts of all scripts come to, in eight letters.
fn mark() -> &'static str {
    static MARK: LazyLock<String> = LazyLock::new(|| {
        let mut all: Vec<&str> = scripts::all().map(|script| &*script.text).collect();
        all.sort_unstable();
        redis::Script::new(&all.concat()).get_hash()[..8].to_owned()
    });
    &MARK
}

impl Script {
    /// The name of the function that it is in the hardened mode.
    pub(super) fn function(&self) -> String {
        format!("legwork_{}_{}", mark(), self.name.to_lowercase())
    }

    /// The name by which it is called.
    pub(super) fn called(&self, as_function: bool) -> &str {
        if as_function { self.as_function.get_or_init(|| self.function()) } else { &self.sha }
    }
}

/// Prepares a namespace: writes its version, and loads the functions of this version on every
/// server that holds a shard, whatever `?scripts` says. With `tidy` libraries of other versions
/// are removed: do so when no program uses them any more.
///
/// ```no_run
/// # async fn example() -> legwork::Result<()> {
/// legwork::backend::redis::migrate("redis://localhost?ns=shop", false).await?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// As `Client::connect`; refused by a server without functions (before 7.0).
pub async fn migrate(url: &str, tidy: bool) -> Result<Migrated> {
    let mut config = super::config::parse(url)?;
    (config.functions, config.durability) = (false, None);
    let (first, number) = Redis::first(&config, Clock::Backend).await?;
    let mut shards = vec![first];
    for shard in 1..number {
        let bell = std::sync::Arc::new(tokio::sync::watch::Sender::new(0));
        shards.push(Redis::shard(&config, shard, Clock::Backend, bell)?);
    }
    let mut done =
        Migrated { library: LIBRARY.0.clone(), servers: 0, others: Vec::new(), removed: Vec::new() };
    let mut loaded = Vec::new();
    for redis in &shards {
        load(redis).await?;
        let server = redis.link.server().await;
        if loaded.contains(&server) {
            continue;
        }
        loaded.push(server);
        done.servers += 1;
        for other in others(redis).await? {
            let list = if tidy { &mut done.removed } else { &mut done.others };
            if !list.contains(&other) {
                list.push(other.clone());
            }
            if tidy {
                redis.link.ask(cmd("FUNCTION").arg("DELETE").arg(&other)).await?;
            }
        }
    }
    Ok(done)
}

async fn load(redis: &Redis) -> Result<()> {
    let answer = redis.link.ask(cmd("FUNCTION").arg("LOAD").arg("REPLACE").arg(&LIBRARY.1)).await;
    answer.map(drop).map_err(|e| match e.to_string() {
        said if said.contains("nknown command") => Error::new(
            crate::error::Kind::Refused,
            format!(
                "redis at {}: it has no functions: use Redis 7.0 or newer, or leave out ?scripts=functions",
                redis.link.target()
            ),
        ),
        _ => e,
    })
}

/// Our libraries on a server but this version's.
async fn others(redis: &Redis) -> Result<Vec<String>> {
    let listed = redis.link.ask(cmd("FUNCTION").arg("LIST").arg("LIBRARYNAME").arg("legwork_*")).await?;
    let mut all = Vec::new();
    for library in decode::list(listed)? {
        let name = decode::list(library)?.into_iter().nth(1).map(decode::text).transpose()?;
        all.extend(name.filter(|name| *name != LIBRARY.0));
    }
    Ok(all)
}

/// Whether the functions are there: by calling one that reads.
pub(super) async fn check(redis: &Redis) -> Result<()> {
    redis.settings(Setting::Limit).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_has_every_script_under_this_versions_name() {
        let (name, text) = &*LIBRARY;
        assert!(text.starts_with(&format!("#!lua name={name}\n")));
        assert_eq!(text.matches("redis.register_function{").count(), scripts::all().count());
        let flags = |name: &str| {
            let rest = text.split(&format!("_{name}', flags = {{")).nth(1).expect(name);
            rest.split('}').next().unwrap_or_default().trim().to_owned()
        };
        assert_eq!((flags("enqueue"), flags("enqueue_brief"), flags("stage")), Default::default());
        assert_eq!((flags("queues").as_str(), flags("settle").as_str()), ("'no-writes'", "'allow-oom'"));
    }
}
