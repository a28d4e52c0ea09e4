//! `jobs`: a page of jobs.

use super::{Done, colour};
use crate::args::Jobs;
use crate::json::{JobJson, made_ms};
use crate::out::{Out, coloured};
use crate::words::{cut, relative, shown};
use comfy_table::Cell;
use legwork::backend::{Filter, JobView};
use legwork::{Client, Snapshot, State};

pub(super) async fn list(client: &Client, which: Jobs, out: &mut Out) -> Done {
    let limit = which.limit;
    let filter = Filter {
        state: which.state,
        queue: which.queue,
        name: which.name,
        limit,
    };
    let page = client.jobs(&filter).await?;
    let seen = client.snapshot().await?;
    if out.json {
        let all: Vec<_> = page
            .iter()
            .map(|job| JobJson::of(job, seen.why(job)))
            .collect();
        return out.value(&all);
    }
    if page.is_empty() {
        out.line("no such jobs");
        return Ok(());
    }
    let narrow = out.width.is_some_and(|width| width < 110);
    let heading: &[&str] = match narrow {
        true => &["ID", "STATE", "JOB", "NOTE"],
        false => &["ID", "STATE", "NAME", "QUEUE", "MADE", "ATTEMPTS", "NOTE"],
    };
    let mut table = out.table(heading);
    for job in &page {
        let made = made_ms(job).map_or("-".into(), |ms| relative(ms, seen.now_ms));
        let name = shown(job.envelope.name());
        let state = coloured(job.state, colour(job.state));
        let id = Cell::new(job.id);
        // In a pipe a line is a record, and nothing of it is cut.
        let note = note(job, &seen);
        let note = out.width.map_or(note.clone(), |_| cut(&note, 120));
        if narrow {
            table.add_row([
                id,
                state,
                Cell::new(format!("{name}\n{made}")),
                Cell::new(note),
            ]);
        } else {
            let queue = shown(job.envelope.queue());
            table.add_row([
                id,
                state,
                Cell::new(name),
                Cell::new(queue),
                Cell::new(made),
                Cell::new(job.attempts),
                Cell::new(note),
            ]);
        }
    }
    let whole: &[usize] = if narrow { &[0, 1] } else { &[0, 1, 2, 3, 4, 5] };
    out.print(table, whole);
    if page.len() == limit {
        out.note(&format!(
            "the first {limit}; there may be more (--limit takes up to 1000)"
        ));
    }
    Ok(())
}

/// The one thing to know of a job in a list.
fn note(job: &JobView, seen: &Snapshot) -> String {
    let last = || {
        job.errors
            .last()
            .map(|e| e.error.as_str())
            .unwrap_or_default()
    };
    let text = match job.state {
        State::Leased if job.cancel_requested => "cancellation requested".into(),
        State::Leased => match &job.lease {
            Some(lease) => format!("held by worker {}", lease.worker),
            None => String::new(),
        },
        State::Succeeded => String::new(),
        State::Discarded => [job.reason.as_deref().unwrap_or_default(), last()].join(": "),
        State::Cancelled => job.reason.clone().unwrap_or_default(),
        State::Retryable => [seen.why(job).as_deref().unwrap_or("due"), last()].join("; "),
        _ => seen.why(job).unwrap_or_default(),
    };
    let text = text.trim_end_matches([':', ';', ' ']);
    if text.is_empty() {
        "-".into()
    } else {
        shown(text)
    }
}
