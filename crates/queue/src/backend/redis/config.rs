//! Where a queue lives: what a URL says.

use crate::{Error, Result};
use redis::{ConnectionInfo, IntoConnectionInfo};

/// The namespace where the URL names none.
const NAMESPACE: &str = "legwork";

/// What a URL says, checked. `Debug` shows no secret.
#[derive(Clone)]
pub struct Config {
    pub(super) info: ConnectionInfo,
    pub(super) namespace: String,
    /// How many shards it is to have; as many as it has where nothing is said.
    pub(super) shards: Option<u8>,
    /// Host and port, or the socket: never a user or a password.
    pub(super) target: String,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ns={}", self.target, self.namespace)
    }
}

/// Reads `redis://[user:password@]host[:port][/db][?ns=name&shards=n]` or
/// `redis+unix:///path.sock[?db=…&user=…&pass=…&ns=name&shards=n]`.
pub(super) fn parse(text: &str) -> Result<Config> {
    let wrong = |what: &str| Error::invalid(format!("url: {what}"));
    if text.chars().any(char::is_control) {
        return Err(wrong("contains a control character"));
    }
    if let Some(at) = encoded_control(text) {
        return Err(wrong(&format!("contains an encoded control character, {at}")));
    }
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    let socket = match scheme {
        "redis" | "valkey" => false,
        "unix" | "redis+unix" | "valkey+unix" => true,
        "rediss" | "valkeys" => {
            return Err(wrong("TLS (rediss://) is not built into this program"));
        }
        _ => return Err(wrong("the scheme must be redis:// or redis+unix://")),
    };
    let url = url::Url::parse(text).map_err(|e| wrong(&e.to_string()))?;
    let mut namespace = NAMESPACE.to_owned();
    let mut shards = None;
    for (name, value) in url.query_pairs() {
        match &*name {
            "ns" => namespace = value.into_owned(),
            "shards" => {
                shards = Some(super::schema::shards(&value).ok_or_else(|| {
                    wrong(&format!("shards: {value:?} is not a number from 1 to {}", super::schema::MOST))
                })?)
            }
            "db" | "user" | "pass" if socket => {}
            "protocol" => {}
            other => return Err(wrong(&format!("parameter {other:?} is not known; use ns or shards"))),
        }
    }
    crate::name::check("url: ns", &namespace)?;
    let db = match socket {
        true => url.query_pairs().find(|(name, _)| name == "db").map(|(_, value)| value.into_owned()),
        false => Some(url.path().trim_matches('/').to_owned()).filter(|db| !db.is_empty()),
    };
    if let Some(db) = db
        && db.parse::<u32>().is_err()
    {
        return Err(wrong(&format!("database {db:?} is not a number from 0 up")));
    }
    let target = if socket {
        if url.path().len() < 2 {
            return Err(wrong("no path of a socket; use redis+unix:///path.sock"));
        }
        url.path().to_owned()
    } else {
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong("no host"))?;
        if url.port() == Some(0) {
            return Err(wrong("port 0 is not a port"));
        }
        format!("{host}:{}", url.port().unwrap_or(6379))
    };
    // The library's own parser takes it apart; it does not know our parameters.
    let mut plain = url.clone();
    let rest: Vec<_> = url
        .query_pairs()
        .filter(|(name, _)| name != "ns" && name != "shards")
        .map(|(n, v)| (n.into_owned(), v.into_owned()))
        .collect();
    plain.set_query(None);
    if !rest.is_empty() {
        plain.query_pairs_mut().extend_pairs(rest);
    }
    let info = plain.into_connection_info().map_err(|e| wrong(e.detail().unwrap_or("is not a Redis URL")))?;
    Ok(Config { info, namespace, shards, target })
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
mod tests {
    use super::*;

    #[test]
    fn good_urls() {
        for (text, target, namespace, db) in [
            ("redis://localhost", "localhost:6379", "legwork", 0),
            ("redis://u:p%40ss@h:1234/3?ns=test-a", "h:1234", "test-a", 3),
            ("redis://[::1]:7000", "[::1]:7000", "legwork", 0),
            ("redis+unix:///tmp/s?ns=x&db=2", "/tmp/s", "x", 2),
            ("unix:///tmp/s", "/tmp/s", "legwork", 0),
        ] {
            let config = parse(text).unwrap();
            assert_eq!((config.target.as_str(), config.namespace.as_str()), (target, namespace), "{text}");
            assert_eq!(config.info.redis_settings().db(), db, "{text}");
        }
        assert_eq!(parse("redis://h?shards=64&ns=x").unwrap().shards, Some(64));
        assert_eq!(parse("redis://h").unwrap().shards, None);
        let secret = parse("redis://me:hush@h").unwrap();
        assert_eq!(secret.info.redis_settings().password(), Some("hush"));
        assert!(!format!("{secret:?}").contains("hush"));
    }

    #[test]
    fn bad_urls_name_the_part() {
        for (text, part) in [
            ("http://h", "scheme"),
            ("redis:", "host"),
            ("redis://", "host"),
            ("redis://h:99999", "port"),
            ("redis://h:x", "port"),
            ("redis://h:0", "port"),
            ("redis://h/-1", "database"),
            ("redis://h/abc", "database"),
            ("redis://h\r\nFLUSHALL", "control"),
            ("redis://me%0d%0a@h", "control"),
            ("redis://me:hush%00@h", "control"),
            ("redis+unix:///tmp/s%1F", "control"),
            ("redis://h?ns=A b", "ns"),
            ("redis://h?nz=a", "nz"),
            ("redis://h?shards=0", "shards"),
            ("redis://h?shards=65", "shards"),
            ("redis://h?shards=+4", "shards"),
            ("rediss://h", "TLS"),
            ("redis+unix://", "socket"),
        ] {
            let line = parse(text).unwrap_err();
            assert!(line.is_invalid(), "{text}");
            let line = line.to_string();
            assert!(
                line.starts_with("url: ") && line.contains(part) && !line.contains('\n'),
                "{text}: {line}"
            );
        }
    }
}
