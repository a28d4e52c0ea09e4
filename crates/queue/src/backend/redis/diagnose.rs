//! Which key holds what none of ours would, when Redis said that one does.

use super::{Redis, decode, errors, keys};
use crate::{Error, Result};
use redis::{Value, cmd};

/// How many times the server's keys are asked for, a thousand each.
const LOOKS: usize = 100;

/// The computed keys of a shard by how their names begin behind its tag, with their types.
const COMPUTED: [(&str, &str); 27] = [
    ("schema", "string"),
    ("q:", "list"),
    ("b:", "list"),
    ("o:", "string"),
    ("x:", "hash"),
    ("took", "list"),
    ("pk:", "list"),
    ("w:", "zset"),
    ("k:", "set"),
    ("ring:", "list"),
    ("cool:", "zset"),
    ("set:", "hash"),
    ("ix:", "zset"),
    ("fl:", "list"),
    ("lane:", "string"),
    ("late", "hash"),
    ("fw:", "hash"),
    ("fn:", "list"),
    ("fg:", "hash"),
    ("fo:", "set"),
    ("fr:", "hash"),
    ("fx:", "set"),
    ("fd:", "set"),
    ("ft:", "list"),
    ("fp:", "list"),
    ("wake", "none"),
    ("sync", "string"),
];

/// The type that a key of a shard has, by the end of its name; `None` where it is not ours.
fn kind(end: &str) -> Option<&'static str> {
    let fixed = keys::FIXED.iter().find(|(name, _)| *name == end);
    fixed.or_else(|| COMPUTED.iter().find(|(name, _)| end.starts_with(name))).map(|(_, kind)| *kind)
}

impl Redis {
    /// The error for callers; a wrong type is traced to its key.
    pub(super) async fn diagnose(&self, error: redis::RedisError) -> Error {
        if !errors::wrong_type(&error) {
            return self.link.told(error);
        }
        let found = self.wrong_key().await.ok().flatten();
        Error::corrupt(found.unwrap_or_else(|| {
            format!("redis: a key of namespace {} holds a value of the wrong type", self.namespace)
        }))
    }

    /// The first key of a shard that holds another type than it must, in words.
    async fn wrong_key(&self) -> Result<Option<String>> {
        let keys = &self.keys;
        let prefix = keys.named("");
        for (key, (_, kind)) in keys.fixed().iter().zip(keys::FIXED) {
            if let Some(said) = self.wrong_type(key.as_bytes(), kind).await? {
                return Ok(Some(said));
            }
        }
        // The braces of a hash tag mean nothing in a pattern.
        let mut cursor = "0".to_owned();
        for _ in 0..LOOKS {
            let mut scan = cmd("SCAN");
            scan.arg(&cursor).arg("MATCH").arg(format!("{prefix}*")).arg("COUNT").arg(1_000);
            let mut answer = decode::list(self.link.ask(&scan).await?)?.into_iter();
            cursor = decode::text(answer.next().unwrap_or(Value::Nil))?;
            for key in decode::list(answer.next().unwrap_or(Value::Nil))? {
                let key = decode::bytes(key)?;
                let end = String::from_utf8_lossy(key.get(prefix.len()..).unwrap_or_default()).into_owned();
                if let Some(kind) = kind(&end)
                    && let Some(said) = self.wrong_type(&key, kind).await?
                {
                    return Ok(Some(said));
                }
            }
            if cursor == "0" {
                break;
            }
        }
        Ok(None)
    }

    async fn wrong_type(&self, key: &[u8], kind: &str) -> Result<Option<String>> {
        let held = decode::text(self.link.ask(cmd("TYPE").arg(key)).await?)?;
        let wrong = held != kind && held != "none";
        let shown = || String::from_utf8_lossy(key).chars().filter(|c| !c.is_control()).collect::<String>();
        Ok(wrong.then(|| format!("redis: key {} holds a {held}, not a {kind}; nothing was changed", shown())))
    }
}
