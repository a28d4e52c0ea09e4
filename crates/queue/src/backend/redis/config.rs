//! Where a queue lives: what a URL says.

use super::keys::Keys;
use super::node::Node;
use super::schema;
use super::tls::{Files, Tls};
use crate::{Durability, Error, Result};
use redis::{IntoConnectionInfo, RedisConnectionInfo};
use std::path::{Path, PathBuf};
use url::Url;

/// The namespace where the URL names none.
const NAMESPACE: &str = "legwork";
/// What every URL may say behind the question mark.
const ALWAYS: &[&str] = &["ns", "shards", "protocol", "durability", "scripts"];

/// What a URL says, checked. `Debug` shows no secret.
#[derive(Clone)]
pub struct Config {
    pub(super) place: Place,
    pub(super) login: RedisConnectionInfo,
    pub(super) tls: Option<Tls>,
    pub(super) namespace: String,
    /// How many shards it is to have; as many as it has where nothing is said.
    pub(super) shards: Option<u8>,
    /// What an enqueue demands before it is answered.
    pub(super) durability: Option<Durability>,
    /// Whether scripts are called as the functions that a migrator has loaded.
    pub(super) functions: bool,
    /// Hosts and ports, or the socket: never a user or a password.
    pub(super) target: String,
}

/// Whom to ask for the server that holds a shard.
#[derive(Clone)]
pub(super) enum Place {
    /// That server itself.
    One(Node),
    /// Sentinels, for the primary of this name, under a login of their own.
    Sentinels { nodes: Vec<Node>, master: String, login: RedisConnectionInfo },
    /// Nodes of a cluster.
    Cluster(Vec<Node>),
}

impl Config {
    /// With another demand on enqueues than the URL's.
    ///
    /// ```
    /// use legwork::{Durability, backend::redis::Redis};
    /// let config = Redis::parse("redis://localhost?durability=fsync")?.durable(Durability::Memory);
    /// # let _ = config;
    /// # Ok::<(), legwork::Error>(())
    /// ```
    #[must_use]
    pub fn durable(mut self, durability: Durability) -> Config {
        self.durability = Some(durability);
        self
    }

    /// The keys of a shard as this place needs them.
    pub(super) fn keys(&self, shard: u8) -> Keys {
        let keys = Keys::of(&self.namespace, shard);
        if matches!(self.place, Place::Cluster(_)) { keys.on_cluster() } else { keys }
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ns={}", self.target, self.namespace)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    One,
    Socket,
    Sentinel,
    Cluster,
}

fn wrong(what: impl std::fmt::Display) -> Error {
    Error::invalid(format!("url: {what}"))
}

/// Reads a URL of a queue in Redis: see [`super::Redis::parse`].
pub(super) fn parse(text: &str) -> Result<Config> {
    if text.chars().any(char::is_control) {
        return Err(wrong("contains a control character"));
    }
    if let Some(at) = encoded_control(text) {
        return Err(wrong(format!("contains an encoded control character, {at}")));
    }
    let (form, encrypted) = scheme(text)?;
    let (nodes, url) = match form {
        Form::Socket => (Vec::new(), Url::parse(text).map_err(wrong)?),
        _ => hosts(text, form)?,
    };
    let said = |name: &str| url.query_pairs().find(|(n, _)| n == name).map(|(_, value)| value.into_owned());
    known_parameters(&url, form, encrypted)?;
    let namespace = said("ns").unwrap_or_else(|| NAMESPACE.to_owned());
    crate::name::check("url: ns", &namespace)?;
    let shards = said("shards").map(|said| {
        let most = schema::MOST;
        schema::shards(&said)
            .ok_or_else(|| wrong(format!("shards: {said:?} is not a number from 1 to {most}")))
    });
    let shards = shards.transpose()?;
    let durability = said("durability").map(|said| said.parse().map_err(wrong)).transpose()?;
    let functions = match said("scripts").as_deref() {
        None | Some("eval") => false,
        Some("functions") => true,
        Some(other) => return Err(wrong(format!("scripts: {other:?} is neither eval nor functions"))),
    };
    let (master, db) = path(&url, form)?;
    let db = if form == Form::Socket { said("db") } else { db };
    if let Some(db) = &db {
        match db.parse::<u32>() {
            Err(_) => return Err(wrong(format!("database {db:?} is not a number from 0 up"))),
            Ok(number) if number > 0 && form == Form::Cluster => {
                return Err(wrong(format!("database {number}: a cluster has none but 0")));
            }
            Ok(_) => {}
        }
    }
    if form == Form::Socket {
        socket(&url)?;
    }
    let login = login(&url, form, db.as_deref())?;
    let (place, target) = match form {
        Form::Socket => (Place::One(Node::Unix(PathBuf::from(url.path()))), url.path().to_owned()),
        Form::One => (Place::One(nodes[0].clone()), nodes[0].to_string()),
        Form::Sentinel => {
            let target = format!("{master}, by sentinels {}", listed(&nodes));
            let mut login = RedisConnectionInfo::default();
            if let Some(user) = said("sentinel_user") {
                login = login.set_username(user);
            }
            if let Some(pass) = said("sentinel_pass") {
                login = login.set_password(pass);
            }
            (Place::Sentinels { nodes, master, login }, target)
        }
        Form::Cluster => (Place::Cluster(nodes.clone()), format!("cluster {}", listed(&nodes))),
    };
    let tls = match encrypted {
        true => Some(tls(said("ca"), said("cert"), said("key"))?),
        false => None,
    };
    Ok(Config { place, login, tls, namespace, shards, durability, functions, target })
}

fn listed(nodes: &[Node]) -> String {
    nodes.iter().map(Node::to_string).collect::<Vec<_>>().join(", ")
}

/// What kind of place it is, and whether the way there is encrypted.
fn scheme(text: &str) -> Result<(Form, bool)> {
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    let (base, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
    let encrypted = match base {
        "redis" | "valkey" | "unix" => false,
        "rediss" | "valkeys" => true,
        _ => return Err(wrong(SCHEMES)),
    };
    match (base, kind) {
        ("unix", "") => Ok((Form::Socket, false)),
        ("unix", _) | ("rediss" | "valkeys", "unix") => Err(wrong(SCHEMES)),
        (_, "") => Ok((Form::One, encrypted)),
        (_, "unix") => Ok((Form::Socket, false)),
        (_, "sentinel") => Ok((Form::Sentinel, encrypted)),
        (_, "cluster") => Ok((Form::Cluster, encrypted)),
        _ => Err(wrong(SCHEMES)),
    }
}

const SCHEMES: &str = "the scheme must be redis://, rediss://, redis+unix://, redis+sentinel:// or redis+cluster:// \
    (rediss+… with TLS)";

/// The hosts, and the URL with one of them in their place.
fn hosts(text: &str, form: Form) -> Result<(Vec<Node>, Url)> {
    let rest = text.split_once("://").ok_or_else(|| wrong("no host"))?.1;
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (user, list) = authority.rsplit_once('@').map_or(("", authority), |(user, list)| (user, list));
    let port = if form == Form::Sentinel { 26_379 } else { 6_379 };
    let nodes = list.split(',').map(|host| host_of(host, port)).collect::<Result<Vec<_>>>()?;
    if form == Form::One && nodes.len() > 1 {
        return Err(wrong("several hosts need redis+sentinel:// or redis+cluster://"));
    }
    let at = if user.is_empty() { "" } else { "@" };
    Ok((nodes, Url::parse(&format!("redis://{user}{at}host{tail}")).map_err(wrong)?))
}

fn host_of(text: &str, port: u16) -> Result<Node> {
    let url = Url::parse(&format!("redis://{text}")).map_err(wrong)?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong("no host"))?;
    match url.port() {
        Some(0) => Err(wrong("port 0 is not a port")),
        named => Ok(Node::Tcp(host.trim_matches(['[', ']']).to_owned(), named.unwrap_or(port))),
    }
}

/// The name of the primary where sentinels watch over several, and the database.
fn path(url: &Url, form: Form) -> Result<(String, Option<String>)> {
    let path = url.path().trim_matches('/');
    let (master, db) = match form {
        Form::Sentinel => path.split_once('/').map_or((path, ""), |(master, db)| (master, db)),
        _ => ("", path),
    };
    if form == Form::Sentinel {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if master.is_empty() || !master.chars().all(good) {
            return Err(wrong(
                "no name of a primary; use redis+sentinel://host:26379,host:26379/NAME, of letters, digits, . _ and -",
            ));
        }
    }
    Ok((master.to_owned(), Some(db.to_owned()).filter(|db| !db.is_empty())))
}

/// A socket is a path and nothing before it. What looks like a login is refused rather than
/// passed over, or taken for a part of the path, which is shown.
fn socket(url: &Url) -> Result<()> {
    let login = url.path().rsplit_once('@').is_some_and(|(before, _)| before.contains(':'));
    if login || url.has_authority() && !url.authority().is_empty() {
        return Err(wrong("a socket has no host or user; use redis+unix:///path.sock?user=…&pass=…"));
    }
    match url.path().len() {
        0 | 1 => Err(wrong("no path of a socket; use redis+unix:///path.sock")),
        _ => Ok(()),
    }
}

fn known_parameters(url: &Url, form: Form, encrypted: bool) -> Result<()> {
    let mut known = ALWAYS.to_vec();
    match form {
        Form::Socket => known.extend(["db", "user", "pass"]),
        Form::Sentinel => known.extend(["sentinel_user", "sentinel_pass"]),
        _ => {}
    }
    if encrypted {
        known.extend(["ca", "cert", "key"]);
    }
    match url.query_pairs().find(|(name, _)| !known.contains(&&**name)) {
        Some((other, _)) => {
            Err(wrong(format!("parameter {other:?} is not known here; use {}", known.join(", "))))
        }
        None => Ok(()),
    }
}

/// User, password and database, taken apart by the driver's own parser.
fn login(url: &Url, form: Form, db: Option<&str>) -> Result<RedisConnectionInfo> {
    let mut plain = url.clone();
    if form != Form::Socket {
        plain.set_path(db.unwrap_or_default());
    }
    plain.set_query(None);
    for (name, value) in url.query_pairs() {
        if ["db", "user", "pass", "protocol"].contains(&&*name) {
            plain.query_pairs_mut().append_pair(&name, &value);
        }
    }
    let info = plain.into_connection_info().map_err(|e| wrong(e.detail().unwrap_or("is not a Redis URL")))?;
    Ok(info.redis_settings().clone())
}

fn tls(ca: Option<String>, cert: Option<String>, key: Option<String>) -> Result<Tls> {
    let own = match (&cert, &key) {
        (Some(cert), Some(key)) => Some((Path::new(cert), Path::new(key))),
        (None, None) => None,
        _ => return Err(wrong("cert and key go together")),
    };
    Tls::new(&Files { ca: ca.as_deref().map(Path::new), own })
}

/// The first control character that stands percent-encoded in `text`: decoded, it would
/// reach the server within a user, a password or a namespace.
fn encoded_control(text: &str) -> Option<&str> {
    text.match_indices('%').find_map(|(at, _)| {
        let code = text.get(at + 1..at + 3)?;
        let byte = u8::from_str_radix(code, 16).ok()?;
        byte.is_ascii_control().then(|| &text[at..at + 3])
    })
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
