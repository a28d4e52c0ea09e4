//! `queue`: the rules of one queue, shown and set.

use super::Done;
use crate::args::Queue;
use crate::out::Out;
use crate::parse::Said;
use crate::problem::Problem;
use crate::words::span;
use clap::{Args, Subcommand};
use legwork::{Client, QueueRules};
use serde_json::json;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(crate) enum Rules {
    /// Shows the rules of a queue
    #[command(after_help = "Example: legwork queue show mail")]
    Show(Queue),
    /// Sets rules of a queue; those not named stay, and none lifts one
    #[command(after_help = "\
Of finished jobs the newest are kept, of each final state apart.
Example: legwork queue set mail --max-waiting 10000 --keep-count 500 --keep-age none")]
    Set(Set),
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true, id = "rules")]
pub(crate) struct Set {
    #[command(flatten)]
    queue: Queue,
    /// Refuses an enqueue that would make more jobs wait
    #[arg(long, value_name = "N", value_parser = Said::max_waiting, group = "rules", allow_hyphen_values = true)]
    max_waiting: Option<Said<u64>>,
    /// Keeps finished jobs no longer than this: 1h, 7d
    #[arg(long, value_name = "TIME", value_parser = Said::time, group = "rules", allow_hyphen_values = true)]
    keep_age: Option<Said<Duration>>,
    /// Keeps no more finished jobs than this
    #[arg(long, value_name = "N", value_parser = Said::keep_count, group = "rules", allow_hyphen_values = true)]
    keep_count: Option<Said<u64>>,
    /// Keeps no more bytes of finished jobs than this: 500000, 64KiB, 10MiB
    #[arg(long, value_name = "BYTES", value_parser = Said::keep_bytes, group = "rules", allow_hyphen_values = true)]
    keep_bytes: Option<Said<u64>>,
}

pub(super) async fn act(client: &Client, what: Rules, out: &mut Out) -> Done {
    let all = client.queue_rules().await?;
    let name = match &what {
        Rules::Show(queue) => queue.name.clone(),
        Rules::Set(set) => set.queue.name.clone(),
    };
    let mut rules = all.get(&name).copied().unwrap_or_default();
    match what {
        Rules::Show(_) => known(client, &name, &rules).await?,
        Rules::Set(set) => {
            over(&mut rules.max_waiting, set.max_waiting);
            over(&mut rules.keep_count, set.keep_count);
            over(&mut rules.keep_bytes, set.keep_bytes);
            let age = set.keep_age.map(|said| said.map(|age| age.as_millis() as i64));
            over(&mut rules.keep_age_ms, age);
            client.set_queue_rules(&name, rules).await?;
        }
    }
    if out.json {
        return out.value(&json!({"queue": name, "rules": rules}));
    }
    out.line(format!("{name}: {}", words(&rules)));
    Ok(())
}

fn over<T>(rule: &mut Option<T>, said: Option<Said<T>>) {
    if let Some(Said(value)) = said {
        *rule = value;
    }
}

/// A queue that nobody ever heard of is a slip of the pen.
async fn known(client: &Client, name: &str, rules: &QueueRules) -> Done {
    if rules.is_empty() && !client.queues().await?.iter().any(|queue| queue.name == name) {
        return Err(Problem::not_found(format!("queue: there is no queue {name}")));
    }
    Ok(())
}

/// Rules in a line.
pub(super) fn words(rules: &QueueRules) -> String {
    let all: Vec<String> = [
        rules.max_waiting.map(|n| format!("at most {n} wait")),
        rules.keep_age_ms.map(|ms| format!("finished jobs are kept {}", span(ms))),
        rules.keep_count.map(|n| format!("{n} of each final state are kept")),
        rules.keep_bytes.map(|n| format!("{n} bytes of each final state are kept")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if all.is_empty() { "no rules".into() } else { all.join(", ") }
}
