//! Who holds a shard now: asked of sentinels or of a cluster, again whenever it is in doubt.
//!
//! What is authoritative: for sentinels, the primary that one of them names *and* that calls
//! itself one (`ROLE`), because a sentinel names the old primary until it has agreed with the
//! others, and the old one comes back as a replica. For a cluster, the node that answers
//! without `MOVED`; a table of slots only says where to begin.

use super::config::{Config, Place};
use super::node::Node;
use super::socket::Socket;
use super::{decode, errors, slot};
use crate::error::Kind;
use crate::{Error, Result};
use redis::aio::PubSub;
use redis::{Value, cmd};
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// Whom one asks answers soon, or another is asked.
const ASKED: Duration = Duration::from_secs(1);

/// The way to one shard.
pub(super) struct Route {
    config: Config,
    slot: u16,
    /// Whom to ask; who answered last stands first.
    known: Mutex<Vec<Node>>,
    /// The server in use: who listens, listens there.
    found: watch::Sender<Option<Node>>,
}

/// A connection and where it leads.
pub(super) type Found = (Socket, Node);

impl Route {
    /// The way to the keys with this hash tag.
    pub(super) fn new(config: &Config, tag: &str) -> Route {
        let known = match &config.place {
            Place::One(node) => vec![node.clone()],
            Place::Sentinels { nodes, .. } | Place::Cluster(nodes) => nodes.clone(),
        };
        let (config, known) = (config.clone(), Mutex::new(known));
        Route { config, slot: slot::of(tag), known, found: watch::Sender::new(None) }
    }

    pub(super) fn target(&self) -> &str {
        &self.config.target
    }

    /// Whether another server may hold the shard after a while: then a refusal by one that
    /// does not is no answer.
    pub(super) fn moves(&self) -> bool {
        !matches!(self.config.place, Place::One(_))
    }

    /// A connection to a node that another has named.
    pub(super) async fn connect(&self, node: &Node) -> Result<Socket> {
        node.connect(&self.config).await
    }

    /// Finds the server and connects to it; where a node was named as the holder, there first.
    pub(super) async fn open(&self, named: Option<Node>) -> Result<Found> {
        let named = match named {
            Some(node) => self.connect(&node).await.ok().map(|connection| (connection, node)),
            None => None,
        };
        let found = match (named, &self.config.place) {
            (Some(found), _) => found,
            (None, Place::One(node)) => (self.connect(node).await?, node.clone()),
            (None, _) => self.search().await?,
        };
        self.found.send_if_modified(|known| {
            let new = known.as_ref() != Some(&found.1);
            *known = Some(found.1.clone());
            new
        });
        Ok(found)
    }

    /// A connection that listens, where commands go, and what tells that they go elsewhere.
    pub(super) async fn listen(&self) -> Result<(PubSub, watch::Receiver<Option<Node>>)> {
        let mut elsewhere = self.found.subscribe();
        let now = elsewhere.borrow_and_update().clone();
        if let Some(node) = now
            && let Ok(pubsub) = node.listen(&self.config).await
        {
            return Ok((pubsub, elsewhere));
        }
        let (_, node) = self.open(None).await?;
        elsewhere.mark_unchanged();
        Ok((node.listen(&self.config).await?, elsewhere))
    }

    /// Asks one after the other, who answered last first.
    async fn search(&self) -> Result<Found> {
        let (mut tried, mut errors) = (Vec::new(), Vec::new());
        let known = self.known.lock().unwrap_or_else(|e| e.into_inner()).clone();
        for asked in known {
            let answer = match &self.config.place {
                Place::Sentinels { master, login, .. } => {
                    self.primary(&asked, master, login, &mut tried).await
                }
                _ => self.owner(&asked, &mut tried).await,
            };
            match answer {
                Ok(found) => {
                    self.first(asked);
                    return Ok(found);
                }
                Err(e) => errors.push(e),
            }
        }
        // As long as one of them may know better after a while, so may all.
        let hope = errors.iter().any(Error::is_unavailable);
        let kind = if hope { Kind::Unavailable } else { Kind::Refused };
        let lines: Vec<_> = errors.iter().map(Error::to_string).collect();
        Err(Error::new(kind, format!("{}: not found: {}", self.config.target, lines.join("; "))))
    }

    /// Whoever was left is asked last: it may be dead, or not know yet what others know.
    pub(super) fn left(&self, node: Node) {
        let mut known = self.known.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(at) = known.iter().position(|other| *other == node) {
            known[at..].rotate_left(1);
        }
    }

    fn first(&self, node: Node) {
        let mut known = self.known.lock().unwrap_or_else(|e| e.into_inner());
        known.retain(|other| *other != node);
        known.insert(0, node);
    }

    /// The primary that this sentinel names, if it is one.
    async fn primary(
        &self,
        sentinel: &Node,
        master: &str,
        login: &redis::RedisConnectionInfo,
        tried: &mut Vec<Node>,
    ) -> Result<Found> {
        let tls = self.config.tls.as_ref();
        let asked = soon(sentinel, sentinel.connect_as(login, tls)).await?;
        let question = cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(master).to_owned();
        let address = ask(sentinel, &asked, &question).await?;
        let Value::Array(address) = address else {
            return Err(Error::new(
                Kind::Refused,
                format!("sentinel at {sentinel}: watches over no primary named {master:?}"),
            ));
        };
        let mut parts = address.into_iter().map(decode::text);
        let (host, port) = (parts.next().transpose()?, parts.next().transpose()?);
        let node = host.zip(port).and_then(|(host, port)| Node::at(&host, port.parse().ok()?, sentinel));
        let node = node.ok_or_else(|| Error::corrupt(format!("sentinel at {sentinel}: named no address")))?;
        let connection = self.try_once(&node, tried).await?;
        let role = ask(&node, &connection, &cmd("ROLE")).await.and_then(decode::list)?;
        match role.into_iter().next().map(decode::text).transpose()?.as_deref() {
            Some("master") => Ok((connection, node)),
            _ => Err(Error::unavailable(format!("redis at {node}: is not the primary, or not yet"))),
        }
    }

    /// The node that holds the slot, in the eyes of this one.
    async fn owner(&self, node: &Node, tried: &mut Vec<Node>) -> Result<Found> {
        let asked = soon(node, node.connect(&self.config)).await?;
        let ranges = ask(node, &asked, cmd("CLUSTER").arg("SLOTS")).await.map_err(|e| {
            match e.to_string().contains("cluster support disabled") {
                true => Error::new(Kind::Refused, format!("redis at {node}: is no cluster; use redis://")),
                false => e,
            }
        })?;
        let (owner, all) = holders(decode::list(ranges)?, self.slot, node)?;
        self.learn(all);
        let owner = owner.ok_or_else(|| {
            Error::unavailable(format!("redis at {node}: CLUSTERDOWN slot {} is served by nobody", self.slot))
        })?;
        if owner == *node {
            return Ok((asked, owner));
        }
        Ok((self.try_once(&owner, tried).await?, owner))
    }

    /// Takes note of the nodes of a cluster; those of the URL are never forgotten.
    fn learn(&self, mut nodes: Vec<Node>) {
        let Place::Cluster(seeds) = &self.config.place else { return };
        let mut known = self.known.lock().unwrap_or_else(|e| e.into_inner());
        known.retain(|node| nodes.contains(node) || seeds.contains(node));
        nodes.retain(|node| !known.contains(node));
        known.append(&mut nodes);
    }

    /// Several may name the same server that is dead.
    async fn try_once(&self, node: &Node, tried: &mut Vec<Node>) -> Result<Socket> {
        if tried.contains(node) {
            return Err(Error::unavailable(format!("redis at {node}: cannot be reached")));
        }
        tried.push(node.clone());
        self.connect(node).await
    }
}

async fn soon<T>(node: &Node, opening: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| Err(Error::unavailable(format!("redis at {node}: no answer in time")));
    timeout(ASKED, opening).await.unwrap_or_else(late)
}

async fn ask(node: &Node, connection: &Socket, question: &redis::Cmd) -> Result<Value> {
    soon(node, async {
        let told = |e| errors::told(&node.to_string(), e);
        match connection.send(question).await {
            Ok(Value::ServerError(error)) => Err(told(error.into())),
            answer => answer.map_err(told),
        }
    })
    .await
}

/// What `CLUSTER SLOTS` answers: who holds the slot, and everybody who is there.
pub(super) fn holders(ranges: Vec<Value>, slot: u16, via: &Node) -> Result<(Option<Node>, Vec<Node>)> {
    let (mut owner, mut all) = (None, Vec::new());
    for range in ranges {
        let mut parts = decode::list(range)?.into_iter();
        let mut bound = || parts.next().map(decode::number).transpose().map(Option::unwrap_or_default);
        let (from, to) = (bound()?, bound()?);
        for (place, node) in parts.enumerate() {
            let mut words = decode::list(node)?.into_iter();
            let host = match words.next() {
                Some(Value::Nil) | None => String::new(),
                Some(host) => decode::text(host)?,
            };
            let port = words.next().map(decode::number).transpose()?.unwrap_or_default();
            let Some(node) = u16::try_from(port).ok().and_then(|port| Node::at(&host, port, via)) else {
                continue;
            };
            if place == 0 && (from..=to).contains(&i64::from(slot)) {
                owner = Some(node.clone());
            }
            all.push(node);
        }
    }
    Ok((owner, all))
}
