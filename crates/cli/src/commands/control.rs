//! `retry`, `cancel` and `discard`: each id gets its own outcome.

use super::Done;
use crate::out::{Color, Out, coloured};
use crate::problem::{Exit, Problem};
use crate::words::jobs;
use comfy_table::Cell;
use legwork::backend::Controlled;
use legwork::{Client, JobId, State};
use serde_json::{Value, json};

pub(super) async fn retry(client: &Client, ids: &[JobId], out: &mut Out) -> Done {
    each("retried", ids, out, async |id| client.retry(id).await).await
}

pub(super) async fn cancel(client: &Client, ids: &[JobId], out: &mut Out) -> Done {
    each("cancelled", ids, out, async |id| client.cancel(id).await).await
}

pub(super) async fn discard(client: &Client, ids: &[JobId], out: &mut Out) -> Done {
    each("discarded", ids, out, async |id| client.discard(id).await).await
}

async fn each(
    done: &str,
    ids: &[JobId],
    out: &mut Out,
    act: impl AsyncFn(JobId) -> legwork::Result<Controlled>,
) -> Done {
    let (mut told, mut failed) = (Vec::new(), None);
    for id in ids {
        match act(*id).await {
            Ok(outcome) => told.push((*id, outcome)),
            Err(e) => {
                failed = Some(e);
                break;
            }
        }
    }
    // What has been done is told, also when the backend went away in the middle.
    if out.json {
        out.value(&told.iter().map(|(id, o)| value(*id, *o)).collect::<Vec<_>>())?;
    } else if !told.is_empty() {
        let mut table = out.table(&[]);
        for (id, outcome) in &told {
            let colour = if good(*outcome) { Color::Green } else { Color::Red };
            table.add_row([Cell::new(id), coloured(words(*outcome), Some(colour))]);
        }
        out.print(table, &[0]);
    }
    if let Some(e) = failed {
        return Err(e.into());
    }
    let bad: Vec<_> = told.iter().filter(|(_, o)| !good(*o)).collect();
    if bad.is_empty() {
        return Ok(());
    }
    let missing = bad.iter().all(|(_, o)| *o == Controlled::Missing);
    let code = if missing { "not_found" } else { "conflict" };
    let line = format!("{} of {} not {done}", bad.len(), jobs(ids.len() as u64));
    Err(Problem::new(Exit::Failed, code, line))
}

fn good(outcome: Controlled) -> bool {
    matches!(outcome, Controlled::Done(_) | Controlled::Requested)
}

pub(super) fn words(outcome: Controlled) -> String {
    match outcome {
        Controlled::Done(state) => format!("is {state} now"),
        Controlled::Requested => "its worker has been asked to stop".into(),
        Controlled::Missing => "there is no such job".into(),
        Controlled::Refused(State::Blocked) => {
            "refused: it waits for another job, of its serial key or its flow".into()
        }
        Controlled::Refused(state) => format!("refused: it is {state}"),
        Controlled::Duplicate(holder) => format!("refused: job {holder} holds its unique key"),
    }
}

pub(super) fn value(id: JobId, outcome: Controlled) -> Value {
    match outcome {
        Controlled::Done(state) => json!({"id": id, "outcome": "done", "state": state}),
        Controlled::Requested => json!({"id": id, "outcome": "requested", "state": State::Leased}),
        Controlled::Missing => json!({"id": id, "outcome": "missing"}),
        Controlled::Refused(state) => json!({"id": id, "outcome": "refused", "state": state}),
        Controlled::Duplicate(holder) => {
            json!({"id": id, "outcome": "duplicate", "holder": holder})
        }
    }
}
