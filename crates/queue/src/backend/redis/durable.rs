//! Enqueues that are answered when they are as safe as was demanded, and not before.
//!
//! They have a connection of their own, because a `WAIT` holds up whatever comes behind it.
//! The script, a write and the question go in one piece: on one connection, so that the answer
//! is about the very server that has run the script and has not been another since. The write
//! is there for an enqueue that is repeated: its script has nothing to write any more, and
//! Redis from 7.2 on waits for a connection's own last write only.
//!
//! `WAIT` answers with a number, and no error, when its time is over: whoever was not counted
//! may have it yet or may not, so the enqueue is answered as unavailable, and repeated under
//! the same number of its lane.

use super::config::Config;
use super::link::Link;
use super::scripts::Script;
use super::{FORGOTTEN, Redis, decode, errors};
use crate::error::{DOUBT, Kind};
use crate::{Durability, Error, Result};
use redis::{Cmd, RedisError, Value, cmd};
use std::sync::OnceLock;
use tokio::sync::Mutex;

/// How long a `WAIT` waits, in milliseconds. Much less than a call may take.
const REPLICAS: u32 = 1_000;
/// As long as it may take until a server that syncs every second has done so.
const DISK: u32 = 2_500;

/// How a server is asked whether it has done enough.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Way {
    /// `WAIT`: so many replicas.
    Replicas(u8),
    /// `WAITAOF`, from 7.2, where it tells the truth.
    Aof,
    /// It syncs every write before it answers, if it is set to; that is seen each time.
    Always,
}

/// What an enqueue demands, and the connection for it.
pub(super) struct Durable {
    pub(super) wanted: Durability,
    link: Link,
    way: OnceLock<Way>,
    /// One at a time: behind a `WAIT` others would use up their own time.
    turn: Mutex<()>,
}

impl Durable {
    /// None where nothing is demanded.
    pub(super) fn of(config: &Config, tag: &str) -> Option<Durable> {
        let wanted = config.durability.filter(|wanted| *wanted != Durability::Memory)?;
        Some(Durable { wanted, link: Link::new(config, tag), way: OnceLock::new(), turn: Mutex::default() })
    }

    fn refused(&self, why: impl std::fmt::Display) -> Error {
        Error::new(
            Kind::Refused,
            format!("redis at {}: durability {}: {why}", self.link.target(), self.wanted),
        )
    }

    /// Whether the server can give it at all.
    pub(super) async fn check(&self) -> Result<()> {
        let way = match self.wanted {
            Durability::Memory => return Ok(()),
            Durability::Replicated(n) => {
                let there = decode::number(self.link.ask(&self.question(Way::Replicas(n))).await?)?;
                if there < i64::from(n) {
                    let why = format!(
                        "{there} of {n} replicas are in step; attach as many, or demand less (?durability=memory)"
                    );
                    return Err(self.refused(why));
                }
                Way::Replicas(n)
            }
            Durability::Fsync => self.disk().await?,
        };
        let _ = self.way.set(way);
        Ok(())
    }

    async fn disk(&self) -> Result<Way> {
        let instead = match self.link.send(&self.question(Way::Aof)).await? {
            Ok(_) => match self.hasty().await? {
                None => return Ok(Way::Aof),
                Some(server) => format!("WAITAOF of {server} answers before the disk has it; needs"),
            },
            Err(error) if errors::said(&error).contains("appendonly is disabled") => {
                return Err(self.refused("the server keeps no append-only file; set appendonly yes"));
            }
            Err(error) if errors::said(&error).contains("nknown command") => "needs Redis 7.2, or".into(),
            Err(error) => return Err(self.link.told(error)),
        };
        let set = self.link.ask(&self.question(Way::Always)).await?;
        self.enough(Way::Always, Ok(set)).map_err(|e| match e.is_unavailable() {
            true => self.refused(format!(
                "{instead} appendonly yes, appendfsync always and no-appendfsync-on-rewrite no on this one; set these, or demand less (?durability=memory)"
            )),
            false => e,
        })?;
        Ok(Way::Always)
    }

    /// The server, where its `WAITAOF` is not to be believed. It is asked with `HELLO`, which
    /// every account may call; one that does not know it is not believed either.
    async fn hasty(&self) -> Result<Option<String>> {
        let said = match self.link.send(&cmd("HELLO")).await? {
            Ok(said) => decode::list(said)?,
            Err(_) => return Ok(Some("this server".into())),
        };
        let said: Vec<_> = said.into_iter().map(|word| decode::text(word).unwrap_or_default()).collect();
        let of = |name: &str| said.chunks_exact(2).find(|pair| pair[0] == name).map_or("", |pair| &pair[1]);
        let (name, version) = (of("server"), of("version"));
        Ok(is_hasty(name, version).then(|| format!("{name} {version}")))
    }

    fn question(&self, way: Way) -> Cmd {
        match way {
            Way::Replicas(n) => cmd("WAIT").arg(n).arg(REPLICAS).to_owned(),
            Way::Aof => cmd("WAITAOF").arg(1).arg(0).arg(DISK).to_owned(),
            Way::Always => cmd("CONFIG").arg("GET").arg("*append*").to_owned(),
        }
    }

    /// Whether the answer to the question says that it is done.
    fn enough(&self, way: Way, answer: std::result::Result<Value, RedisError>) -> Result<()> {
        let late = |what: String| self.in_doubt(&what);
        let answer = answer.map_err(|e| late(errors::said(&e)))?;
        match way {
            Way::Replicas(n) => match decode::number(answer)? {
                got if got < i64::from(n) => {
                    Err(late(format!("{got} of {n} replicas have it after {REPLICAS} ms")))
                }
                _ => Ok(()),
            },
            Way::Aof => match decode::list(answer)?.into_iter().next().map(decode::number).transpose()? {
                Some(1..) => Ok(()),
                _ => Err(late(format!("not on the disk after {DISK} ms"))),
            },
            Way::Always => {
                let words =
                    decode::list(answer)?.into_iter().map(decode::text).collect::<Result<Vec<_>>>()?;
                let set = |name: &str, value: &str| words.chunks(2).any(|pair| *pair == [name, value]);
                // With no-appendfsync-on-rewrite it is not always, but for while a rewrite runs.
                let always = set("appendfsync", "always") && set("no-appendfsync-on-rewrite", "no");
                match set("appendonly", "yes") && always {
                    true => Ok(()),
                    false => {
                        Err(late("the server has not appendonly yes, appendfsync always and no-appendfsync-on-rewrite no any more".into()))
                    }
                }
            }
        }
    }

    /// After the script has taken the jobs in nothing may say that it has not, or they are sent
    /// once more under another number: whatever fails now, memory or a right, leaves it open.
    fn in_doubt(&self, what: &str) -> Error {
        let place = self.link.target();
        let wanted = &self.wanted;
        Error::unavailable(format!("redis at {place}: durability {wanted}: {what}{DOUBT}"))
    }

    /// Runs a script that takes jobs in.
    pub(super) async fn run(&self, redis: &Redis, script: &Script, call: &Cmd) -> Result<Value> {
        let Some(way) = self.way.get().copied() else {
            self.check().await?;
            return Box::pin(self.run(redis, script, call)).await;
        };
        let _turn = self.turn.lock().await;
        let write = cmd("SET").arg(redis.keys.named("sync")).arg(1).to_owned();
        let question = self.question(way);
        for _ in 0..FORGOTTEN {
            let [answer, wrote, enough] = self.link.together([call, &write, &question]).await?;
            match answer {
                Err(error) if errors::no_script(&error) => {
                    self.link.ask(cmd("SCRIPT").arg("LOAD").arg(&script.text)).await?;
                }
                Err(error) => return Err(redis.diagnose(error).await),
                Ok(answer) => {
                    wrote.map_err(|e| self.in_doubt(&errors::said(&e)))?;
                    self.enough(way, enough)?;
                    return Ok(answer);
                }
            }
        }
        Err(Error::unavailable(format!("redis at {}: forgets its scripts", self.link.target())))
    }
}

/// Whether a server's `WAITAOF` says that the disk has what it has not, where it is synced every
/// second and nothing is left to write: that of Redis 7.4.0 to 7.4.2 (redis/redis#13793), and of
/// every Valkey so far, for Valkey has not taken the mend (seen in 9.1.2: an answer each 0.1 s,
/// a sync each second).
fn is_hasty(server: &str, version: &str) -> bool {
    server != "redis" || ["7.4.0", "7.4.1", "7.4.2"].contains(&version)
}

#[cfg(test)]
mod tests {
    use super::is_hasty;

    #[test]
    fn whose_word_is_believed() {
        for (server, version, hasty) in [
            ("redis", "7.2.4", false),
            ("redis", "7.4.2", true),
            ("redis", "7.4.3", false),
            ("redis", "8.2.3", false),
            ("valkey", "9.1.2", true),
            ("", "", true),
        ] {
            assert_eq!(is_hasty(server, version), hasty, "{server} {version}");
        }
    }
}
