//! `job ID`: everything there is to know of one job.

use super::{Done, colour};
use crate::json::{JobJson, made_ms};
use crate::out::{Color, Out, coloured};
use crate::problem::Problem;
use crate::words::{instant, relative, shown, shown_lines, span};
use comfy_table::{Attribute, Cell, Table};
use legwork::backend::{JobView, Record};
use legwork::{Client, Envelope, JobId, Lookup, Policy, Snapshot, State};

pub(super) async fn tell(client: &Client, id: JobId, out: &mut Out) -> Done {
    let Some(job) = client.job(id).await? else {
        return Err(Problem::not_found(format!(
            "job: there is no job {id} here (finished jobs are forgotten when their retention has passed)"
        )));
    };
    let seen = client.snapshot().await?;
    if out.json {
        return out.value(&JobJson::of(&job, seen.why(&job)));
    }
    let policy = match client.lookup(job.envelope.name()).await? {
        Lookup::Known(definition) => Some(definition.policy),
        _ => None,
    };
    let mut story = Story { table: out.table(&[]) };
    story.standing(&job, &seen);
    match &job.envelope {
        Record::Decoded(envelope) => story.record(envelope),
        Record::Broken { undecodable, raw } => {
            story.say("undecodable", shown(undecodable));
            story.say("raw", shown_lines(raw));
        }
    }
    story.run(&job, policy.as_ref(), &seen);
    out.print(story.table, &[0]);
    out.line("");
    out.line("timeline");
    let mut table = out.table(&[]);
    for (at, what) in timeline(&job) {
        let when = at.map_or_else(String::new, |ms| relative(ms, seen.now_ms));
        table.add_row([format!("  {}", at.map_or_else(|| "-".into(), instant)), when, what]);
    }
    out.print(table, &[0, 1]);
    Ok(())
}

struct Story {
    table: Table,
}

impl Story {
    fn say(&mut self, field: &str, text: impl ToString) {
        self.cell(field, Cell::new(text));
    }

    fn cell(&mut self, field: &str, cell: Cell) {
        self.table.add_row([Cell::new(field).add_attribute(Attribute::Bold), cell]);
    }

    fn standing(&mut self, job: &JobView, seen: &Snapshot) {
        self.say("job", job.id);
        let reason = job.reason.as_deref().map(|r| format!(" ({})", shown(r))).unwrap_or_default();
        self.cell("state", coloured(format!("{}{reason}", job.state), colour(job.state)));
        if let Some(why) = seen.why(job) {
            self.cell("waits", coloured(shown(&why), Some(Color::Yellow)));
        }
        if job.cancel_requested {
            let told = if job.cancel_acknowledged { ", which has told the handler" } else { "" };
            self.cell("cancel", coloured(format!("requested of its worker{told}"), Some(Color::Yellow)));
        }
    }

    fn record(&mut self, envelope: &Envelope) {
        self.say("name", format!("{}, payload version {}", envelope.name, envelope.version));
        self.say("queue", format!("{}, priority {}", envelope.queue, envelope.priority));
        self.say("payload", shown_lines(&super::keys::payload(&envelope.packed, envelope.payload.get())));
        if let Some(signature) = &envelope.signature {
            self.say(
                "signed",
                format!("by the key {}", shown(signature.split(':').next().unwrap_or_default())),
            );
        }
        if let Some(key) = &envelope.unique {
            self.say("unique key", format!("{}, {}", shown(key), envelope.scope));
        }
        if let Some(ms) = envelope.expires_ms {
            self.say("expires", instant(ms));
        }
        if let Some(key) = &envelope.serial {
            self.say("serial key", shown(key));
        }
        if let Some(limit) = &envelope.limit {
            self.say("limit", shown(&format!("{}/{}", limit.name, limit.key)));
        }
        if envelope.cost > 1 {
            self.say("cost", envelope.cost);
        }
        if let Some(flow) = envelope.flow {
            self.say("flow", flow);
        }
        if !envelope.tags.is_empty() {
            self.say("tags", shown(&envelope.tags.join(", ")));
        }
        for (key, value) in &envelope.meta {
            self.say("metadata", shown(&format!("{key} = {value}")));
        }
        let keep =
            envelope.keep_ms.map(|ms| if ms == 0 { "not kept".into() } else { format!("kept {}", span(ms)) });
        let own: Vec<String> = [
            envelope.max_attempts.map(|n| format!("at most {n} attempts")),
            envelope.max_crashes.map(|n| format!("at most {}", crashes(n))),
            envelope.timeout_ms.map(|ms| format!("timeout {}", span(i64::try_from(ms).unwrap_or(i64::MAX)))),
            keep,
        ]
        .into_iter()
        .flatten()
        .collect();
        if !own.is_empty() {
            self.say("overrides", own.join(", "));
        }
    }

    fn run(&mut self, job: &JobView, policy: Option<&Policy>, seen: &Snapshot) {
        let own = job.envelope.envelope().and_then(|e| e.max_attempts);
        let most = own.or(policy.map(|p| p.max_attempts));
        let of = most.map(|n| format!(" of {n}")).unwrap_or_default();
        self.say("attempts", format!("{}{of} spent, {}", job.attempts, crashes(job.crashes)));
        if job.suspect && !job.state.is_final() {
            self.say("suspect", "a worker was lost while it held this job; it runs alone next");
        }
        if let Some(trace) = job.envelope.envelope().and_then(|e| e.trace) {
            let later = trace.later || job.attempts > 0;
            self.say("trace", format!("{} ({})", trace.parent, if later { "link" } else { "parent" }));
        }
        if let Some(lease) = &job.lease {
            let place = super::place(&lease.worker, seen);
            self.say("worker", format!("{} ({place})", shown(&lease.worker)));
            let ends = relative(lease.expires_ms, seen.now_ms);
            self.say("lease", format!("token {}, ends {ends} unless renewed", lease.token.0));
        }
        if let Some(progress) = &job.progress {
            self.say("progress", super::progress(progress.get()));
        }
        for step in &job.steps {
            self.say(
                "step",
                format!("{}: {}", shown(&step.name), shown_lines(&super::keys::result(step.value.get()))),
            );
        }
        if let Some(cursor) = &job.cursor {
            self.say("cursor", shown_lines(&super::keys::result(cursor.get())));
        }
        if let Some(result) = &job.result {
            self.say("result", shown_lines(&super::keys::result(result.get())));
        }
    }
}

/// What has happened and will, in order of time.
fn timeline(job: &JobView) -> Vec<(Option<i64>, String)> {
    let mut all = vec![(made_ms(job), "made".to_owned())];
    for e in &job.errors {
        all.push((Some(e.at_ms), format!("attempt {} failed: {}", e.attempt, shown_lines(&e.error))));
    }
    if let Some(due) = job.due_ms {
        let what = if job.state == State::Retryable { "due for another attempt" } else { "due" };
        all.push((Some(due), what.into()));
    }
    if let Some(lease) = &job.lease {
        all.push((
            Some(leased_ms(lease.token.0)),
            format!("leased, attempt {}", job.attempts.saturating_add(1)),
        ));
        all.push((Some(lease.expires_ms), "the lease ends unless renewed".into()));
    }
    if let Some(finished) = job.finished_ms {
        all.push((Some(finished), job.state.to_string()));
    }
    // Errors are in order already, and "made" comes from another clock: it stays first.
    all[1..].sort_by_key(|(at, _)| *at);
    all
}

/// A token is the microsecond of the backend's clock at which the lease was granted.
fn leased_ms(token: u64) -> i64 {
    i64::try_from(token / 1_000).unwrap_or(i64::MAX)
}

fn crashes(n: u32) -> String {
    if n == 1 { "1 crash".into() } else { format!("{n} crashes") }
}
