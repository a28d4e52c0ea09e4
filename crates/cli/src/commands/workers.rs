//! `workers`: who runs, what they serve and handle.

use super::Done;
use crate::out::{Color, Out, coloured};
use crate::words::{relative, shown, span};
use comfy_table::{Attribute, Cell};
use legwork::backend::{GroupView, WorkerState, WorkerView};
use legwork::{Client, Snapshot};

/// A worker is seen every five seconds: this one has missed two of them.
const SILENT_MS: i64 = 12_000;

pub(super) async fn list(client: &Client, out: &mut Out) -> Done {
    let seen = client.snapshot().await?;
    if out.json {
        return out.value(&seen.workers);
    }
    if seen.workers.is_empty() {
        out.line("no worker is running");
        return Ok(());
    }
    match out.width {
        Some(width) if width < 110 => narrow(&seen, out),
        _ => wide(&seen, out),
    }
    Ok(())
}

fn wide(seen: &Snapshot, out: &mut Out) {
    let heading = ["HOST:PID", "STATE", "RUNS", "GROUPS", "UP", "SEEN", "HANDLES", "WORKER"];
    let mut table = out.table(&heading);
    // On a terminal one a line; in a pipe a worker is one line.
    let between = if out.width.is_some() { "\n" } else { "," };
    for worker in &seen.workers {
        table.add_row([
            Cell::new(place(worker)),
            state(worker, seen.now_ms),
            Cell::new(runs(worker)),
            Cell::new(groups(worker).join(between)),
            Cell::new(span(seen.now_ms - worker.started_ms)),
            Cell::new(relative(worker.seen_ms, seen.now_ms)),
            Cell::new(names(worker).join(between)),
            Cell::new(shown(&worker.id)),
        ]);
    }
    out.print(table, &[1, 2, 3, 4, 5, 7]);
}

/// Where there is no room for a column each, each has a line.
fn narrow(seen: &Snapshot, out: &mut Out) {
    for (index, worker) in seen.workers.iter().enumerate() {
        if index > 0 {
            out.line("");
        }
        let up = span(seen.now_ms - worker.started_ms);
        let beat = relative(worker.seen_ms, seen.now_ms);
        let mut table = out.table(&[]);
        let head = Cell::new("worker").add_attribute(Attribute::Bold);
        table.add_row([head, Cell::new(shown(&worker.id))]);
        table.add_row([Cell::new("state"), state(worker, seen.now_ms)]);
        table.add_row(["runs", &format!("{} jobs", runs(worker))]);
        table.add_row(["at", &format!("{}, up {up}, seen {beat}", place(worker))]);
        table.add_row(["groups", &groups(worker).join(", ")]);
        table.add_row(["handles", &names(worker).join(", ")]);
        out.print(table, &[0]);
    }
}

fn place(worker: &WorkerView) -> String {
    format!("{}:{}", shown(&worker.host), worker.pid)
}

fn state(worker: &WorkerView, now_ms: i64) -> Cell {
    match worker.state {
        _ if now_ms - worker.seen_ms > SILENT_MS => coloured("silent", Some(Color::Red)),
        WorkerState::Running if worker.ready => coloured("running", Some(Color::Green)),
        // Up, and yet it has not looked for work with success of late.
        WorkerState::Running => coloured("not ready", Some(Color::Red)),
        other => coloured(other.as_str(), Some(Color::Yellow)),
    }
}

fn runs(worker: &WorkerView) -> String {
    let permits: usize = worker.groups.iter().map(|group| group.permits).sum();
    format!("{} of {permits}", worker.running)
}

/// `mail:4` for a queue alone, `mail:8 (password > news)` in strict order, `io:32 (high 6 : low 1)`
/// by weight.
fn groups(worker: &WorkerView) -> Vec<String> {
    worker.groups.iter().map(group).collect()
}

fn group(group: &GroupView) -> String {
    let head = format!("{}:{}", shown(&group.name), group.permits);
    match &group.queues[..] {
        [(only, _)] if *only == group.name => head,
        queues if group.strict => {
            let names: Vec<_> = queues.iter().map(|(queue, _)| shown(queue)).collect();
            format!("{head} ({})", names.join(" > "))
        }
        queues => {
            let names: Vec<_> = queues.iter().map(|(queue, n)| format!("{} {n}", shown(queue))).collect();
            format!("{head} ({})", names.join(" : "))
        }
    }
}

fn names(worker: &WorkerView) -> Vec<String> {
    worker.definitions.iter().map(|d| shown(&d.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_not_been_seen_for_a_while_is_silent() {
        let worker = WorkerView { ready: true, seen_ms: 1_000, ..WorkerView::default() };
        assert_eq!(state(&worker, 1_000 + SILENT_MS).content(), "running");
        assert_eq!(state(&worker, 1_001 + SILENT_MS).content(), "silent");
    }
}
