//! `workers`: who runs, what they serve and handle.

use super::Done;
use crate::out::{Color, Out, coloured};
use crate::words::{relative, shown, span};
use comfy_table::Cell;
use legwork::Client;

pub(super) async fn list(client: &Client, out: &mut Out) -> Done {
    let seen = client.snapshot().await?;
    if out.json {
        return out.value(&seen.workers);
    }
    if seen.workers.is_empty() {
        out.line("no worker is running");
        return Ok(());
    }
    let mut table = out.table(&[
        "HOST:PID", "STATE", "RUNS", "QUEUES", "UP", "SEEN", "HANDLES", "WORKER",
    ]);
    for worker in &seen.workers {
        let (state, colour) = match worker.stopping {
            true => ("stopping", Some(Color::Yellow)),
            false => ("running", Some(Color::Green)),
        };
        let permits: usize = worker.queues.iter().map(|(_, n)| n).sum();
        let queues: Vec<String> = worker
            .queues
            .iter()
            .map(|(q, n)| format!("{}:{n}", shown(q)))
            .collect();
        let handles: Vec<String> = worker.definitions.iter().map(|d| shown(&d.name)).collect();
        // On a terminal one a line; in a pipe a worker is one line.
        let between = if out.width.is_some() { "\n" } else { "," };
        table.add_row([
            Cell::new(format!("{}:{}", shown(&worker.host), worker.pid)),
            coloured(state, colour),
            Cell::new(format!("{} of {permits}", worker.running)),
            Cell::new(queues.join(between)),
            Cell::new(span(seen.now_ms - worker.started_ms)),
            Cell::new(relative(worker.seen_ms, seen.now_ms)),
            Cell::new(handles.join(between)),
            Cell::new(shown(&worker.id)),
        ]);
    }
    out.print(table, &[1, 2, 3, 4, 5]);
    Ok(())
}
