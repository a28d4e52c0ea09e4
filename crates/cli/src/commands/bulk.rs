//! `retry`, `cancel` and `discard` of all jobs that fit a filter.

use super::{Done, control};
use crate::args::{Ids, Which};
use crate::out::Out;
use crate::problem::{Exit, Problem};
use crate::words::jobs;
use legwork::backend::{Action, Filter};
use legwork::{Acted, Client};
use serde_json::json;

/// Refuses a command that says no jobs at all, before it connects.
pub(super) fn check(which: &Ids) -> Done {
    let Which { state, queue, name, tag, meta, since, until, error, cursor: _ } = &which.which;
    let said = state.is_some() || queue.is_some() || name.is_some() || tag.is_some() || meta.is_some();
    if said || since.is_some() || until.is_some() || error.is_some() || !which.ids.is_empty() {
        return Ok(());
    }
    let line = "which jobs? Give <ID>s, or options as --state, --tag or --error";
    Err(Problem::new(Exit::Usage, "usage", line))
}

pub(super) async fn act(client: &Client, which: Ids, action: Action, out: &mut Out) -> Done {
    let Ids { ids, which, yes, dry_run } = which;
    let mut filter = super::jobs::filter(which);
    let nothing_said = filter == Filter::default();
    let (verb, done) = match action {
        Action::Cancel => ("cancel", "cancelled"),
        Action::Discard => ("discard", "discarded"),
        _ => ("retry", "retried"),
    };
    if nothing_said && !ids.is_empty() && !dry_run {
        return match action {
            Action::Cancel => control::cancel(client, &ids, out).await,
            Action::Discard => control::discard(client, &ids, out).await,
            _ => control::retry(client, &ids, out).await,
        };
    }
    filter.ids = ids;
    if !yes {
        let count = client.count(&filter).await?;
        if out.json && dry_run {
            return out.value(&json!({"matched": count}));
        }
        // Whether the state of each lets it happen is only known when it does.
        let fit = if count == 1 { "matches" } else { "match" };
        let would = format!("{} {fit} and would be {done} where their state allows it", jobs(count));
        if dry_run {
            out.line(would);
            return Ok(());
        }
        let line = format!("{verb}: {would}; say --yes to do it");
        return Err(Problem::new(Exit::Usage, "not_confirmed", line));
    }
    filter.limit = 500;
    let mut sum = Acted::default();
    loop {
        match client.act_page(&filter, action).await {
            Ok((acted, cursor)) => {
                sum += acted;
                filter.cursor = cursor;
            }
            Err(e) => {
                // What has been done is told, and where to go on.
                tell(&sum, done, out)?;
                let cursor = filter.cursor.as_deref().unwrap_or("start");
                let problem = Problem::from(e);
                out.note(&format!("stopped; go on with the same options and --cursor {cursor}"));
                return Err(problem);
            }
        }
        if filter.cursor.is_none() {
            tell(&sum, done, out)?;
            return match sum.done + sum.requested == 0 && sum.matched > 0 {
                true => Err(Problem::new(Exit::Failed, "refused", format!("{verb}: none could be {done}"))),
                false => Ok(()),
            };
        }
    }
}

fn tell(sum: &Acted, done: &str, out: &mut Out) -> Done {
    if out.json {
        return out.value(sum);
    }
    let mut line = format!("{} of {} {done}", sum.done, jobs(sum.matched));
    if sum.requested > 0 {
        line += &format!(", {} asked to stop", sum.requested);
    }
    for (state, count) in &sum.refused {
        line += &format!(", {count} refused: {state}");
    }
    if sum.duplicate > 0 {
        line += &format!(", {} refused: another job holds their unique key", sum.duplicate);
    }
    if sum.missing > 0 {
        line += &format!(", {} gone", sum.missing);
    }
    out.line(line);
    Ok(())
}
