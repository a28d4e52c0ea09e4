//! `limits` and `limit`: what may run at once and be spent, shown and set.

use super::Done;
use crate::out::Out;
use crate::problem::Problem;
use crate::words::{instant, relative, shown, span};
use clap::{Args, Subcommand};
use comfy_table::Cell;
use legwork::backend::{Blocked, LimitView, Setting};
use legwork::{Client, Limit, Rate};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Debug, Subcommand)]
pub(crate) enum Limits {
    /// Sets the rule of a limit, in place of what it had; it holds at once
    #[command(after_help = "\
A rate is AMOUNT/SPAN: a bucket that holds as much, or says :burst=N; :window makes it fixed
windows of the clock.
Example: legwork limit set strava --concurrency 4 --rate 100/15m:window --rate 1000/1d:window")]
    Set(Set),
    /// Drops the rule of a limit
    #[command(after_help = "Example: legwork limit drop strava --key 7")]
    Drop(Address),
    /// Puts a whole queue under a limit, or under none; shows its limit where neither is said
    #[command(
        after_help = "Example: legwork limit queue strava strava; then legwork limit queue strava --none"
    )]
    Queue {
        /// The queue
        queue: String,
        /// The limit
        limit: Option<String>,
        /// Lifts the limit that the queue is under
        #[arg(long, conflicts_with = "limit")]
        none: bool,
    },
    /// Lets nothing go under a limit for some time
    #[command(after_help = "Example: legwork limit block strava --for 15m")]
    Block {
        #[command(flatten)]
        address: Address,
        /// For this long: 90s, 15m, 2h
        #[arg(long = "for", value_name = "TIME", value_parser = crate::parse::pause, allow_hyphen_values = true)]
        span: std::time::Duration,
    },
    /// Forgets what has been spent under a limit, and what servers have told
    Reset(Address),
}

impl Limits {
    /// Whether it sets something, which may be before the first job.
    pub(super) fn sets(&self) -> bool {
        !matches!(self, Limits::Drop(_) | Limits::Reset(_) | Limits::Queue { limit: None, none: false, .. })
    }
}

#[derive(Debug, Args)]
pub(crate) struct Address {
    /// The limit
    name: String,
    /// One of its keys alone
    #[arg(long)]
    key: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true, id = "rule")]
pub(crate) struct Set {
    #[command(flatten)]
    address: Address,
    /// How many may be leased at once
    #[arg(long, value_name = "N", group = "rule")]
    concurrency: Option<u32>,
    /// What may be spent in a span of time; may be given several times
    #[arg(long, value_name = "RATE", group = "rule")]
    rate: Vec<Rate>,
}

impl Address {
    fn text(&self) -> String {
        self.key.as_ref().map_or(self.name.clone(), |key| format!("{}/{key}", self.name))
    }

    fn of(&self, client: &Client) -> legwork::LimitRef {
        let limit = client.limit(&self.name);
        self.key.as_ref().map_or(limit.clone(), |key| limit.key(key))
    }
}

pub(super) async fn act(client: &Client, what: Limits, out: &mut Out) -> Done {
    let (limit, line) = match what {
        Limits::Set(Set { address, concurrency, rate }) => {
            let rule = Limit { concurrency, rates: rate };
            let line = rule.to_string();
            address.of(client).set(rule).await?;
            (address.text(), line)
        }
        Limits::Drop(address) => {
            if !address.of(client).drop_rule().await? {
                return Err(Problem::not_found(format!("limit: {} has no rule", address.text())));
            }
            (address.text(), "no rule".into())
        }
        Limits::Queue { queue, limit: None, none: false } => {
            let under = queues_under(client).await?.remove(&queue);
            if under.is_none() {
                super::queues::known(&client.snapshot().await?, &queue)?;
            }
            (format!("queue {queue}"), of_queue(under))
        }
        Limits::Queue { queue, limit, .. } => {
            client.limit_queue(&queue, limit.as_deref()).await?;
            (format!("queue {queue}"), of_queue(limit))
        }
        Limits::Block { address, span } => {
            address.of(client).block_for(span).await?;
            (address.text(), format!("blocked for {}", crate::words::span(span.as_millis() as i64)))
        }
        Limits::Reset(address) => {
            address.of(client).reset().await?;
            (address.text(), "nothing is spent".into())
        }
    };
    if out.json {
        return out.value(&json!({"limit": limit, "now": line}));
    }
    out.line(format!("{limit}: {line}"));
    Ok(())
}

fn of_queue(limit: Option<String>) -> String {
    limit.map_or("under no limit".into(), |limit| format!("under the limit {limit}"))
}

/// The queues that are whole under a limit, with its name.
async fn queues_under(client: &Client) -> legwork::Result<BTreeMap<String, String>> {
    let all = client.backend().settings(Setting::Queue).await?.entries;
    let limit = |value: &str| Some(serde_json::from_str::<Value>(value).ok()?["limit"].as_str()?.to_owned());
    Ok(all
        .into_iter()
        .filter_map(|entry| Some((limit(&entry.value)?, entry.name)))
        .map(|(l, q)| (q, l))
        .collect())
}

pub(super) async fn list(client: &Client, out: &mut Out) -> Done {
    let (seen, rules) = (client.snapshot().await?, client.limits().await?);
    let (under, blocked) = (queues_under(client).await?, client.blocked().await?);
    let held: Vec<(&String, &LimitView)> =
        seen.queues.values().flat_map(|q| q.limits.iter().map(move |l| (&q.name, l))).collect();
    if out.json {
        let rules: Vec<_> = rules.iter().map(|(name, rule)| json!({"limit": name, "rule": rule})).collect();
        let held: Vec<_> = held.iter().map(|(queue, l)| json!({"queue": queue, "held": l})).collect();
        return out.value(&json!({"rules": rules, "queues": under, "in_use": held, "blocked": blocked}));
    }
    for (name, rule) in &rules {
        out.line(format!("{name}: {rule}"));
    }
    for (queue, limit) in &under {
        out.line(format!("queue {queue}: under the limit {limit}"));
    }
    for Blocked { limit, until_ms } in &blocked {
        let left = span(until_ms - seen.now_ms);
        out.line(format!("{}: blocked for {left}, until {}", shown(limit), instant(*until_ms)));
    }
    if held.is_empty() {
        out.line(if rules.is_empty() && under.is_empty() && blocked.is_empty() {
            "no limits"
        } else {
            "nothing waits under a limit"
        });
        return Ok(());
    }
    let mut table = out.table(&["QUEUE", "LIMIT", "IN USE", "WAITING", "LEFT", "NEXT"]);
    for (queue, limit) in held {
        let permits = limit.concurrency.map_or(String::new(), |most| format!(" of {most}"));
        table.add_row([
            Cell::new(queue),
            Cell::new(shown(&limit.limit)),
            Cell::new(format!("{}{permits}", limit.in_use)),
            Cell::new(limit.waiting),
            Cell::new(limit.left.map_or("-".into(), |left| left.to_string())),
            Cell::new(limit.next_ms.map_or("-".into(), |ms| relative(ms, seen.now_ms))),
        ]);
    }
    out.print(table, &[2, 3, 4, 5]);
    Ok(())
}
