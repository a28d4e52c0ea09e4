//! `queues`, `pause`, `resume` and `purge`.

use super::{Done, colour};
use crate::args;
use crate::json::QueueJson;
use crate::out::{Color, Out, coloured};
use crate::problem::{Exit, Problem};
use crate::words::{instant, jobs, nearest, relative, span};
use comfy_table::{Cell, CellAlignment};
use legwork::backend::QueueView;
use legwork::{Client, Snapshot, State};
use serde_json::json;

pub(super) async fn list(client: &Client, out: &mut Out) -> Done {
    let seen = client.snapshot().await?;
    if out.json {
        let all: Vec<_> = seen.queues.values().map(|q| QueueJson::of(q, seen.why_queue(&q.name))).collect();
        return out.value(&all);
    }
    if seen.queues.is_empty() {
        out.line("no queues yet");
        return Ok(());
    }
    // A wide table has a column a state; a narrow one names only the states that have jobs.
    match out.width {
        Some(width) if width < 130 => narrow(&seen, out),
        _ => wide(&seen, out),
    }
    for queue in seen.queues.values().filter(|queue| !queue.rules.is_empty()) {
        out.line(format!("{}: {}", queue.name, super::rules::words(&queue.rules)));
    }
    Ok(())
}

fn wide(seen: &Snapshot, out: &mut Out) {
    let mut heading = vec!["QUEUE"];
    heading.extend(State::ALL.iter().map(|s| s.as_str()));
    heading.extend(["oldest", "paused", "why"]);
    let heading: Vec<String> = heading.iter().map(|h| h.to_uppercase()).collect();
    let mut table = out.table(&heading.iter().map(String::as_str).collect::<Vec<_>>());
    for queue in seen.queues.values() {
        let mut row = vec![Cell::new(&queue.name)];
        for state in State::ALL {
            let count = queue.count(state);
            let colour = (count > 0).then(|| colour(state)).flatten();
            row.push(coloured(count, colour).set_alignment(CellAlignment::Right));
        }
        row.extend([oldest(queue, seen), paused(queue, seen), why(queue, seen)]);
        table.add_row(row);
    }
    out.print(table, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

fn narrow(seen: &Snapshot, out: &mut Out) {
    let mut table = out.table(&["QUEUE", "JOBS", "OLDEST", "PAUSED", "WHY"]);
    for queue in seen.queues.values() {
        let counts: Vec<String> = State::ALL
            .iter()
            .filter(|s| queue.count(**s) > 0)
            .map(|s| format!("{} {s}", queue.count(*s)))
            .collect();
        let counts = if counts.is_empty() { "none".into() } else { counts.join("\n") };
        table.add_row([
            Cell::new(&queue.name),
            Cell::new(counts),
            oldest(queue, seen),
            paused(queue, seen),
            why(queue, seen),
        ]);
    }
    out.print(table, &[1, 2, 3]);
}

fn oldest(queue: &QueueView, seen: &Snapshot) -> Cell {
    Cell::new(queue.oldest_ms.map_or("-".into(), |ms| relative(ms, seen.now_ms)))
}

fn paused(queue: &QueueView, seen: &Snapshot) -> Cell {
    match queue.paused {
        None => Cell::new("no"),
        Some(None) => coloured("yes", Some(Color::Yellow)),
        Some(Some(until)) => coloured(span(until - seen.now_ms), Some(Color::Yellow)),
    }
}

fn why(queue: &QueueView, seen: &Snapshot) -> Cell {
    let why = seen.why_queue(&queue.name);
    let tint = why.is_some().then_some(Color::Yellow);
    coloured(why.unwrap_or_else(|| "-".into()), tint)
}

pub(super) async fn pause(client: &Client, pause: args::Pause, out: &mut Out) -> Done {
    let name = &pause.queue.name;
    let before = client.snapshot().await?;
    let new = !before.queues.contains_key(name);
    match (pause.span, pause.until) {
        (Some(span), _) => client.pause_for(name, span).await?,
        (_, Some(until)) => client.pause_until(name, until.into()).await?,
        _ => client.pause(name).await?,
    }
    // A pause that lasts longer stays: say what is so, not what was asked for.
    let after = client.snapshot().await?;
    let until = after.queues.get(name).and_then(|q| q.paused).flatten();
    if out.json {
        return out.value(&json!({"queue": name, "paused": true, "paused_until_ms": until, "new": new}));
    }
    out.line(match until {
        None => format!("{name} is paused until it is resumed"),
        Some(ms) => format!("{name} is paused until {} ({})", instant(ms), relative(ms, after.now_ms)),
    });
    if new {
        out.note(&format!("no job has ever been in the queue {name}{}", hint(&before, name)));
    }
    Ok(())
}

pub(super) async fn resume(client: &Client, name: &str, out: &mut Out) -> Done {
    let seen = client.snapshot().await?;
    let was = known(&seen, name)?.paused.is_some();
    client.resume(name).await?;
    if out.json {
        return out.value(&json!({"queue": name, "paused": false, "was_paused": was}));
    }
    out.line(format!("{name} {}", if was { "is resumed" } else { "was not paused" }));
    Ok(())
}

pub(super) async fn purge(client: &Client, name: &str, yes: bool, dry: bool, out: &mut Out) -> Done {
    let seen = client.snapshot().await?;
    let queue = known(&seen, name)?;
    let waits = [State::Available, State::Scheduled, State::Retryable, State::Blocked];
    let count = waits.iter().map(|s| queue.count(*s)).sum();
    if dry {
        if out.json {
            return out.value(&json!({"queue": name, "would_remove": count}));
        }
        out.line(format!("{} would be removed from {name}", jobs(count)));
        return Ok(());
    }
    if !yes {
        let line =
            format!("purge: {} would be removed from {name} for good; say --yes to do it", jobs(count));
        return Err(Problem::new(Exit::Usage, "not_confirmed", line));
    }
    let gone = client.purge(name).await?;
    if out.json {
        return out.value(&json!({"queue": name, "removed": gone}));
    }
    out.line(format!("{} removed from {name}", jobs(gone as u64)));
    Ok(())
}

/// A queue that somebody has heard of.
pub(super) fn known<'a>(seen: &'a Snapshot, name: &str) -> Result<&'a QueueView, Problem> {
    seen.queues
        .get(name)
        .ok_or_else(|| Problem::not_found(format!("queue: there is no queue {name}{}", hint(seen, name))))
}

fn hint(seen: &Snapshot, name: &str) -> String {
    nearest(name, seen.queues.keys().map(String::as_str).filter(|q| *q != name))
        .map_or_else(String::new, |q| format!("; did you mean {q}?"))
}
