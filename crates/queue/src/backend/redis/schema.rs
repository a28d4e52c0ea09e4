//! What a namespace says of itself: the version of its layout, and how many shards it has.
//! In the key `schema` of its first shard: `1`, or `1/4` where there are four.

use super::{Redis, decode};
use crate::error::Kind;
use crate::{Error, Result};
use redis::{Value, cmd};

/// The version of the stored layout that this code reads and writes.
const VERSION: i64 = 1;
/// The most shards of a namespace.
pub(super) const MOST: u8 = 64;

/// How many shards a text says, if it says so.
pub(super) fn shards(text: &str) -> Option<u8> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|n| plain && (1..=MOST).contains(n))
}

/// Checks the version, and says how many shards there are. An empty namespace gets as many as
/// are wanted, and keeps them: whoever comes later with another number is refused.
pub(super) async fn check(first: &Redis, wanted: Option<u8>) -> Result<u8> {
    let key = first.keys.named("schema");
    let new = match wanted.unwrap_or(1) {
        1 => VERSION.to_string(),
        more => format!("{VERSION}/{more}"),
    };
    let read = async || match first.link.send(cmd("GET").arg(&key)).await? {
        Err(error) => Err(first.diagnose(error).await),
        Ok(found) => Ok(found),
    };
    let mut found = read().await?;
    if found == Value::Nil {
        // Refused when Redis is full, and to whoever only reads: then the next that connects
        // writes it.
        let _ = first.link.send(cmd("SET").arg(&key).arg(new).arg("NX")).await?;
        found = read().await?;
    }
    if found == Value::Nil {
        return Ok(wanted.unwrap_or(1));
    }
    let found = decode::text(found)?;
    let odd = || Error::corrupt(format!("redis: key {key} does not hold a number"));
    let (version, has) = found.split_once('/').unwrap_or((&found, "1"));
    let (version, has) = (version.parse::<i64>().map_err(|_| odd())?, shards(has).ok_or_else(odd)?);
    let namespace = &first.namespace;
    if version > VERSION {
        let line = format!(
            "redis: the data of namespace {namespace} has version {version}, newer than {VERSION}: use a newer program"
        );
        return Err(Error::new(Kind::Refused, line));
    }
    match wanted {
        Some(wanted) if wanted != has => Err(Error::new(
            Kind::Refused,
            format!(
                "url: shards: namespace {namespace} has {has}, not {wanted}, and the number is fixed: say ?shards={has}, or leave it out, or use another namespace"
            ),
        )),
        _ => Ok(has),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_of_shards() {
        for (text, number) in [("1", Some(1)), ("64", Some(64)), ("0", None), ("65", None), ("", None)] {
            assert_eq!(super::shards(text), number, "{text}");
        }
        assert_eq!((super::shards("+1"), super::shards("256")), (None, None));
    }
}
