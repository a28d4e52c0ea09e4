//! Keys that open what is shown, and seal and sign what is enqueued.

use crate::args::Command;
use crate::problem::Problem;
use legwork::Client;
use legwork::middleware::{Compress, KeyRing, Sealed, Signed};
use serde_json::{Value, json};
use std::path::Path;

pub(super) struct Keys {
    seal: Option<KeyRing>,
    sign: Option<KeyRing>,
}

impl Keys {
    pub(super) fn read(seal: Option<&Path>, sign: Option<&Path>) -> Result<Keys, Problem> {
        Ok(Keys { seal: ring("--key-file", seal)?, sign: ring("--sign-key-file", sign)? })
    }

    pub(super) fn given_to(self, client: &Client, command: &Command) -> Client {
        let enqueues = matches!(command, Command::Enqueue(_));
        let mut client = client.with(Compress::nothing());
        if let Some(ring) = self.seal {
            client = client.with(if enqueues { Sealed::whole(ring) } else { Sealed::nothing(ring) });
        }
        match self.sign {
            Some(ring) if enqueues => client.with(Signed::new(ring)),
            _ => client,
        }
    }
}

fn ring(option: &str, path: Option<&Path>) -> Result<Option<KeyRing>, Problem> {
    let Some(path) = path.filter(|path| !path.as_os_str().is_empty()) else { return Ok(None) };
    let wrong = |e: String| Problem::invalid(format!("{option} {}: {e}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
    KeyRing::parse(&text).map(Some).map_err(|e| wrong(e.to_string()))
}

/// A payload for people: what is sealed says so instead of being shown.
pub(super) fn payload(packed: &[String], text: &str) -> String {
    match packed.last().map(|word| word.split_once(':').unwrap_or((word, ""))) {
        None => text.into(),
        Some(("fields", _)) => {
            let mut value: Value = serde_json::from_str(text).unwrap_or_default();
            hide(&mut value);
            value.to_string()
        }
        Some(("sealed", key)) => format!("<sealed> with the key {key}"),
        Some((word, _)) => format!("<packed> as {word}"),
    }
}

/// A result, or what a handler has noted, for people.
pub(super) fn result(text: &str) -> String {
    let mut value: Value = serde_json::from_str(text).unwrap_or_default();
    let sealed = hide(&mut value) && value == json!("<sealed>");
    if sealed { "<sealed>".into() } else { text.into() }
}

/// Puts a word in place of what is sealed, and says whether there was anything.
fn hide(value: &mut Value) -> bool {
    let sealed = value.as_object().is_some_and(|o| o.len() == 1 && o.contains_key("$sealed"));
    if sealed {
        *value = json!("<sealed>");
        return true;
    }
    match value {
        Value::Array(all) => all.iter_mut().map(hide).filter(|sealed| *sealed).count() > 0,
        Value::Object(all) => all.values_mut().map(hide).filter(|sealed| *sealed).count() > 0,
        _ => false,
    }
}
