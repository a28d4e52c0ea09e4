//! `cancel ID --wait`: until those that run have ended, and how.

use super::Done;
use crate::out::{Color, Out, coloured};
use crate::problem::{Exit, Problem};
use crate::words::jobs;
use comfy_table::Cell;
use legwork::backend::{Controlled, JobView};
use legwork::{Client, JobId, State};
use serde_json::json;
use std::time::{Duration, Instant};

const LOOK: Duration = Duration::from_millis(50);

/// What has become of one job.
struct Told {
    id: JobId,
    outcome: Controlled,
    acknowledged: Option<Duration>,
    ended: Option<(State, Duration)>,
}

pub(super) async fn and_wait(client: &Client, ids: &[JobId], patience: Duration, out: &mut Out) -> Done {
    let began = Instant::now();
    let mut all = Vec::new();
    for id in ids {
        all.push(Told { id: *id, outcome: client.cancel(*id).await?, acknowledged: None, ended: None });
    }
    while all.iter().any(Told::is_open) && began.elapsed() < patience {
        tokio::time::sleep(LOOK).await;
        for told in all.iter_mut().filter(|told| told.is_open()) {
            told.look(client.job(told.id).await?, began.elapsed());
        }
    }
    if out.json {
        out.value(&all.iter().map(Told::value).collect::<Vec<_>>())?;
    } else {
        let mut table = out.table(&[]);
        for told in &all {
            let colour = if told.is_good() { Color::Green } else { Color::Red };
            table.add_row([Cell::new(told.id), coloured(told.words(), Some(colour))]);
        }
        out.print(table, &[0]);
    }
    let bad = all.iter().filter(|told| !told.is_good()).count();
    if bad == 0 {
        return Ok(());
    }
    let missing = all.iter().filter(|t| !t.is_good()).all(|t| t.outcome == Controlled::Missing);
    let code = if missing { "not_found" } else { "conflict" };
    let line = format!("{bad} of {} not cancelled", jobs(ids.len() as u64));
    Err(Problem::new(Exit::Failed, code, line))
}

impl Told {
    fn is_open(&self) -> bool {
        self.outcome == Controlled::Requested && self.ended.is_none()
    }

    fn is_good(&self) -> bool {
        let ended = self.ended.is_some_and(|(state, _)| state == State::Cancelled);
        self.outcome == Controlled::Done(State::Cancelled) || ended
    }

    fn look(&mut self, job: Option<JobView>, after: Duration) {
        match job {
            Some(job) if job.state.is_final() => self.ended = Some((job.state, after)),
            Some(job) if job.cancel_acknowledged => drop(self.acknowledged.get_or_insert(after)),
            Some(_) => {}
            // Not kept: it succeeded under a policy that keeps nothing.
            None => self.ended = Some((State::Succeeded, after)),
        }
    }

    fn words(&self) -> String {
        let seconds = |span: Duration| format!("{:.1} s", span.as_secs_f64());
        let heard =
            self.acknowledged.map(|t| format!("acknowledged after {}, ", seconds(t))).unwrap_or_default();
        match self.ended {
            Some((state, after)) => format!("{heard}{state} after {}", seconds(after)),
            None if self.outcome == Controlled::Requested => match self.acknowledged {
                Some(_) => format!("{heard}and still running"),
                None => "requested; no worker has acknowledged it yet".into(),
            },
            None => super::control::words(self.outcome),
        }
    }

    fn value(&self) -> serde_json::Value {
        let mut value = super::control::value(self.id, self.outcome);
        if let Some((state, _)) = self.ended {
            value["state"] = json!(state);
        }
        if self.outcome == Controlled::Requested {
            value["acknowledged"] = json!(self.acknowledged.is_some());
        }
        value
    }
}
