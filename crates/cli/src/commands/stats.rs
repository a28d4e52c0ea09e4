//! `stats`: totals of the namespace.

use super::{Done, colour};
use crate::out::{Out, coloured};
use comfy_table::{Cell, CellAlignment};
use legwork::backend::QueueView;
use legwork::{Client, State};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct Stats<'a> {
    now_ms: i64,
    /// Which backend, without secrets.
    backend: String,
    counts: BTreeMap<&'static str, u64>,
    /// Attempts that succeeded and failed since the namespace was made.
    processed: u64,
    failed: u64,
    workers: usize,
    running: usize,
    concurrency: usize,
    queues: Vec<QueueStats<'a>>,
}

#[derive(Serialize)]
struct QueueStats<'a> {
    name: &'a str,
    waiting: u64,
    leased: u64,
    processed: u64,
    failed: u64,
}

pub(super) async fn tell(client: &Client, out: &mut Out) -> Done {
    let seen = client.snapshot().await?;
    let total = |of: fn(&QueueView) -> u64| seen.queues.values().map(of).sum();
    let stats = Stats {
        now_ms: seen.now_ms,
        backend: client.backend().describe(),
        counts: State::ALL
            .iter()
            .map(|s| (s.as_str(), seen.queues.values().map(|q| q.count(*s)).sum()))
            .collect(),
        processed: total(|q| q.processed),
        failed: total(|q| q.failed),
        workers: seen.workers.len(),
        running: seen.workers.iter().map(|w| w.running).sum(),
        concurrency: seen.workers.iter().flat_map(|w| &w.groups).map(|g| g.permits).sum(),
        queues: seen.queues.values().map(queue).collect(),
    };
    if out.json {
        return out.value(&stats);
    }
    people(&stats, out);
    Ok(())
}

fn queue(queue: &QueueView) -> QueueStats<'_> {
    let waits = [State::Scheduled, State::Available, State::Retryable, State::Blocked];
    QueueStats {
        name: &queue.name,
        waiting: waits.iter().map(|s| queue.count(*s)).sum(),
        leased: queue.count(State::Leased),
        processed: queue.processed,
        failed: queue.failed,
    }
}

fn people(stats: &Stats, out: &mut Out) {
    let mut table = out.table(&[]);
    table.add_row([Cell::new("backend"), Cell::new(crate::words::shown(&stats.backend))]);
    let workers =
        format!("{}, running {} of {} jobs at a time", stats.workers, stats.running, stats.concurrency);
    table.add_row([Cell::new("workers"), Cell::new(workers)]);
    out.print(table, &[0]);
    out.line("");

    let mut table = out.table(&["STATE", "JOBS"]);
    for state in State::ALL {
        let count = stats.counts[state.as_str()];
        let tint = (count > 0).then(|| colour(state)).flatten();
        table.add_row([coloured(state, tint), Cell::new(count).set_alignment(CellAlignment::Right)]);
    }
    out.print(table, &[0, 1]);
    out.line("");

    let mut table = out.table(&["QUEUE", "WAITING", "LEASED", "PROCESSED", "FAILED"]);
    let total = QueueStats {
        name: "all",
        waiting: stats.queues.iter().map(|q| q.waiting).sum(),
        leased: stats.queues.iter().map(|q| q.leased).sum(),
        processed: stats.processed,
        failed: stats.failed,
    };
    for queue in stats.queues.iter().chain([&total]) {
        let numbers = [queue.waiting, queue.leased, queue.processed, queue.failed];
        let cells = numbers.map(|n| Cell::new(n).set_alignment(CellAlignment::Right));
        table.add_row([Cell::new(queue.name)].into_iter().chain(cells));
    }
    out.print(table, &[0, 1, 2, 3, 4]);
    out.line("");
    out.line("processed and failed count attempts since the namespace was made");
}
