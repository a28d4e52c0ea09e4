//! `enqueue`: by name, under the policy that workers have published for it.

use super::Done;
use crate::args::Enqueue;
use crate::out::Out;
use crate::problem::{Exit, Problem};
use crate::words::{nearest, span};
use chrono::SecondsFormat;
use legwork::backend::Definition;
use legwork::{Client, Envelope, Lookup, MAX_PAYLOAD};
use serde_json::json;
use std::io::Read;

/// Checks name and payload before anything is connected to, and fetches the payload where
/// it comes from stdin.
pub(super) fn check(what: &mut Enqueue) -> Done {
    if what.payload == "-" {
        what.payload = from_stdin()?;
    }
    if what.payload.trim().len() > MAX_PAYLOAD {
        return Err(too_large());
    }
    Envelope::new(&what.name, &what.payload)?;
    Ok(())
}

/// Reads no more than a payload may have, and a little for line breaks at its end.
fn from_stdin() -> Result<String, Problem> {
    let most = MAX_PAYLOAD + 1_024;
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(most as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| Problem::failed(format!("stdin: {e}")))?;
    if bytes.len() > most {
        return Err(too_large());
    }
    String::from_utf8(bytes).map_err(|e| {
        Problem::invalid(format!("payload: not UTF-8 after {} bytes", e.utf8_error().valid_up_to()))
    })
}

fn too_large() -> Problem {
    let line = format!(
        "payload: too large, at most {MAX_PAYLOAD} bytes are allowed (keep big things elsewhere and enqueue where they are)"
    );
    Problem::new(Exit::Usage, "too_large", line)
}

pub(super) async fn enqueue(client: &Client, what: Enqueue, out: &mut Out) -> Done {
    let (definition, note) = definition(client, &what).await?;
    let mut job = client.enqueue_raw(&what.name, &what.payload);
    let policy = definition.as_ref().map(|d| d.policy.clone()).unwrap_or_default();
    let queue = what.queue.unwrap_or(policy.queue);
    job = job.queue(&queue).priority(what.priority.unwrap_or(policy.priority));
    if let Some(definition) = &definition {
        job = job.version(definition.version);
    }
    if let Some(delay) = what.delay {
        job = job.delay(delay);
    }
    if let Some(at) = what.at {
        job = job.at(at.into());
    }
    if let Some(limit) = what.limit {
        job = job.limit(limit.name, limit.key);
    }
    if let Some(cost) = what.cost {
        job = job.cost(cost);
    }
    job = what.tag.into_iter().fold(job, |job, tag| job.tag(tag));
    job = what.meta.into_iter().fold(job, |job, (key, value)| job.meta(key, value));
    if let Some(id) = what.id {
        job = job.id(id);
    }
    if let Some(unique) = what.unique.unique() {
        job = job.unique(unique);
    }
    if let Some(time) = what.expires_in {
        job = job.expires_in(time);
    }
    if let Some(key) = what.serial {
        job = job.serial(key);
    }
    if let Some(attempts) = what.max_attempts {
        job = job.max_attempts(attempts);
    }
    let receipt = job.await?;
    if out.json {
        return out
            .value(&json!({"id": receipt.id, "created": receipt.created, "replaced": receipt.replaced, "name": what.name, "note": note}));
    }
    if let Some(note) = note {
        out.note(&note);
    }
    let due = match (what.delay, what.at) {
        (Some(delay), _) => format!(", due in {}", span(delay.as_millis() as i64)),
        (_, Some(at)) => format!(", due at {}", at.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        _ => String::new(),
    };
    out.line(match receipt.created {
        true => format!("{} enqueued: {} in {queue}{due}", receipt.id, what.name),
        false if receipt.replaced => format!("{} waits, and has the new payload now", receipt.id),
        false => format!("{} is there already; nothing was enqueued", receipt.id),
    });
    Ok(())
}

/// What workers say of the name, and a note where nobody could say anything.
async fn definition(
    client: &Client,
    what: &Enqueue,
) -> Result<(Option<Box<Definition>>, Option<String>), Problem> {
    let name = &what.name;
    let known = match client.lookup(name).await {
        // An account that only enqueues may not read what workers say of themselves.
        Err(e) if e.is_refused() => {
            let note = "this account may not read which names workers know, so the name was taken as it is, with the default queue and policy";
            return Ok((None, Some(note.into())));
        }
        known => known?,
    };
    match known {
        Lookup::Known(definition) => Ok((Some(definition), None)),
        Lookup::NoneKnown => {
            let note = "no worker has published the names it knows, so the name was taken as it is, with the default queue and policy";
            Ok((None, Some(note.into())))
        }
        Lookup::Unknown(_) if what.force => Ok((None, Some(format!("no worker knows the name {name}")))),
        Lookup::Unknown(known) => Err(unknown(name, &known)),
    }
}

fn unknown(name: &str, known: &[String]) -> Problem {
    let hint = match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {near}? Known"),
        None => "known".into(),
    };
    let rest = if known.len() > 20 { " and others" } else { "" };
    let some = known.iter().take(20).map(String::as_str).collect::<Vec<_>>().join(", ");
    let line =
        format!("name: no worker knows {name}; {hint}: {some}{rest}. --force enqueues it all the same");
    Problem::new(Exit::Usage, "unknown_name", line)
}
