//! `jobs`: a page of jobs.

use super::{Done, colour};
use crate::args::{Jobs, Which};
use crate::json::{JobJson, made_ms};
use crate::out::{Out, coloured};
use crate::words::{cut, relative, shown};
use comfy_table::{Cell, ContentArrangement};
use legwork::backend::{Filter, JobView};
use legwork::{Client, Snapshot, State};
use serde_json::json;

pub(super) async fn list(client: &Client, which: Jobs, out: &mut Out) -> Done {
    let (limit, paged) = (which.limit, which.which.cursor.is_some());
    let mut filter = Filter { limit, ..filter(which.which) };
    if which.all {
        return all(client, Filter { limit: 500, ..filter }, out).await;
    }
    if !paged {
        let page = client.jobs(&filter).await?;
        let seen = client.snapshot().await?;
        if out.json {
            let all: Vec<_> = page.iter().map(|job| JobJson::of(job, seen.why(job))).collect();
            return out.value(&all);
        }
        show(&page, &seen, out);
        if page.len() == limit {
            out.note(&format!(
                "the first {limit}; there may be more (--all, or page by page from --cursor start)"
            ));
        }
        return Ok(());
    }
    // A search may give an empty page although more follow: nobody wants to see that.
    let page = loop {
        let page = client.search(&filter).await?;
        if !page.jobs.is_empty() || page.cursor.is_none() {
            break page;
        }
        filter.cursor = page.cursor;
    };
    let seen = client.snapshot().await?;
    if out.json {
        let all: Vec<_> = page.jobs.iter().map(|job| JobJson::of(job, seen.why(job))).collect();
        return out.value(&json!({"jobs": all, "cursor": page.cursor}));
    }
    show(&page.jobs, &seen, out);
    if let Some(cursor) = page.cursor {
        out.note(&format!("more with --cursor {cursor}"));
    }
    Ok(())
}

/// Every page, one at a time in memory.
async fn all(client: &Client, mut filter: Filter, out: &mut Out) -> Done {
    let mut none = true;
    loop {
        let page = client.search(&filter).await?;
        let seen = client.snapshot().await?;
        if out.json {
            for job in &page.jobs {
                out.value(&JobJson::of(job, seen.why(job)))?;
            }
        } else if !page.jobs.is_empty() {
            show(&page.jobs, &seen, out);
        }
        none &= page.jobs.is_empty();
        filter.cursor = page.cursor;
        if filter.cursor.is_none() {
            break;
        }
    }
    if none && !out.json {
        out.line("no such jobs");
    }
    Ok(())
}

fn show(page: &[JobView], seen: &Snapshot, out: &mut Out) {
    match out.width {
        _ if page.is_empty() => out.line("no such jobs"),
        Some(width) if width < 110 => narrow(page, seen, width.into(), out),
        _ => wide(page, seen, out),
    }
}

/// What the options say, as the library asks for it.
pub(super) fn filter(which: Which) -> Filter {
    Filter {
        state: which.state,
        queue: which.queue,
        name: which.name,
        tag: which.tag,
        meta: which.meta,
        error: which.error,
        since_ms: which.since.map(|at| at.timestamp_millis()),
        until_ms: which.until.map(|at| at.timestamp_millis()),
        cursor: which.cursor.filter(|cursor| cursor != "start"),
        ..Filter::default()
    }
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
