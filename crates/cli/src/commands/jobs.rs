//! `jobs`: a page of jobs.

use super::{Done, colour};
use crate::args::Jobs;
use crate::json::{JobJson, made_ms};
use crate::out::{Out, coloured};
use crate::words::{cut, relative, shown};
use comfy_table::{Cell, ContentArrangement};
use legwork::backend::{Filter, JobView};
use legwork::{Client, Snapshot, State};

pub(super) async fn list(client: &Client, which: Jobs, out: &mut Out) -> Done {
    let limit = which.limit;
    let filter =
        Filter { state: which.state, queue: which.queue, name: which.name, limit, ..Filter::default() };
    let page = client.jobs(&filter).await?;
    let seen = client.snapshot().await?;
    if out.json {
        let all: Vec<_> = page.iter().map(|job| JobJson::of(job, seen.why(job))).collect();
        return out.value(&all);
    }
    if page.is_empty() {
        out.line("no such jobs");
        return Ok(());
    }
    match out.width {
        Some(width) if width < 110 => narrow(&page, &seen, width.into(), out),
        _ => wide(&page, &seen, out),
    }
    if page.len() == limit {
        out.note(&format!("the first {limit}; there may be more (--limit takes up to 1000)"));
    }
    Ok(())
}

fn wide(page: &[JobView], seen: &Snapshot, out: &mut Out) {
    let mut table = out.table(&["ID", "STATE", "NAME", "QUEUE", "MADE", "ATTEMPTS", "NOTE"]);
    for job in page {
        // In a pipe a line is a record, and nothing of it is cut.
        let note = note(job, seen).unwrap_or_else(|| "-".into());
        let note = out.width.map_or(note.clone(), |_| cut(&note, 120));
        table.add_row([
            Cell::new(job.id),
            coloured(job.state, colour(job.state)),
            Cell::new(shown(job.envelope.name())),
            Cell::new(shown(job.envelope.queue())),
            Cell::new(made(job, seen)),
            Cell::new(job.attempts),
            Cell::new(note),
        ]);
    }
    out.print(table, &[0, 1, 2, 3, 4, 5]);
}

/// Where there is no room for a column of notes, each stands under its job.
fn narrow(page: &[JobView], seen: &Snapshot, width: usize, out: &mut Out) {
    let mut table = out.table(&["ID", "STATE", "MADE", "NAME"]);
    table.set_content_arrangement(ContentArrangement::Disabled);
    for job in page {
        table.add_row([
            Cell::new(job.id),
            coloured(job.state, colour(job.state)),
            Cell::new(made(job, seen)),
            Cell::new(shown(job.envelope.name())),
        ]);
    }
    let notes = page.iter().map(|job| note(job, seen));
    let notes: Vec<_> = [None].into_iter().chain(notes).collect();
    for (line, note) in out.lines(table, &[]).iter().zip(notes) {
        out.line(line);
        if let Some(note) = note {
            out.line(format!("    {}", cut(&note, width.saturating_sub(5))));
        }
    }
}

fn made(job: &JobView, seen: &Snapshot) -> String {
    made_ms(job).map_or_else(|| "-".into(), |ms| relative(ms, seen.now_ms))
}

/// The one thing to know of a job in a list.
fn note(job: &JobView, seen: &Snapshot) -> Option<String> {
    let last = job.errors.last().map(|e| e.error.as_str()).unwrap_or_default();
    let reason = job.reason.as_deref().unwrap_or_default();
    let text = match job.state {
        State::Leased => leased(job, seen),
        State::Succeeded => String::new(),
        State::Discarded => format!("{reason}: {last}"),
        State::Cancelled => reason.into(),
        State::Retryable => format!("{}; {last}", seen.why(job).as_deref().unwrap_or("due")),
        _ => seen.why(job).unwrap_or_default(),
    };
    let text = text.trim_end_matches([':', ';', ' ']);
    (!text.is_empty()).then(|| shown(text))
}

fn leased(job: &JobView, seen: &Snapshot) -> String {
    let asked = if job.cancel_requested { "asked to stop, " } else { "" };
    let holder = job.lease.as_ref().map(|l| super::place(&l.worker, seen)).unwrap_or_default();
    let progress = job.progress.as_ref().map(|p| format!(", {}", super::progress(p.get())));
    format!("{asked}on {holder}{}", progress.unwrap_or_default())
}
