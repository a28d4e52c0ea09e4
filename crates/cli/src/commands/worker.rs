//! `worker`: orders to workers, one by one or to all, and whether they have followed.

use super::Done;
use crate::args::{Who, WorkerOrder};
use crate::out::{Color, Out, coloured};
use crate::problem::{Exit, Problem};
use crate::words::shown;
use comfy_table::Cell;
use legwork::Client;
use legwork::backend::{Order, WorkerView};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How often a worker that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(100);

pub(super) async fn order(client: &Client, what: WorkerOrder, out: &mut Out) -> Done {
    let (order, who) = match what {
        WorkerOrder::Quiet(who) => (Order::Quiet, who),
        WorkerOrder::Resume(who) => (Order::Resume, who),
        WorkerOrder::Stop(who) => (Order::Stop, who),
        WorkerOrder::Resize { group, permits, who } => (Order::Resize { group, permits }, who),
    };
    let mut told: Vec<(String, Result<bool, String>)> = Vec::new();
    for id in meant(client, &order, &who).await? {
        let answer = match client.order(&id, &order).await {
            Ok(()) => Ok(false),
            Err(e) if e.is_unavailable() => return Err(e.into()),
            Err(e) => Err(e.to_string()),
        };
        told.push((id, answer));
    }
    if told.is_empty() {
        return Err(nobody(client, &order).await?);
    }
    if let Some(limit) = who.wait {
        wait(client, &order, &mut told, limit).await?;
    }
    tell(&told, out)?;
    let bad = told
        .iter()
        .filter(|(_, answer)| !matches!(answer, Ok(true)) && (who.wait.is_some() || answer.is_err()));
    match bad.count() {
        0 => Ok(()),
        n => Err(Problem::new(Exit::Failed, "conflict", format!("{n} of {} have not followed", told.len()))),
    }
}

/// Why an order to all means nobody.
async fn nobody(client: &Client, order: &Order) -> Result<Problem, Problem> {
    let workers = client.snapshot().await?.workers;
    Ok(match order {
        Order::Resize { group, .. } if !workers.is_empty() => {
            let known: BTreeSet<&str> =
                workers.iter().flat_map(|worker| &worker.groups).map(|group| group.name.as_str()).collect();
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            Problem::not_found(format!(
                "group: no running worker has {}; there are {}",
                shown(group),
                shown(&known)
            ))
        }
        _ => Problem::not_found("no worker is running that this order could mean"),
    })
}

/// Those named; or all that run, and of a resize those that have the group.
async fn meant(client: &Client, order: &Order, who: &Who) -> Result<Vec<String>, Problem> {
    if !who.all {
        return Ok(who.ids.clone());
    }
    let has = |worker: &WorkerView| match order {
        Order::Resize { group, .. } => worker.groups.iter().any(|g| g.name == *group),
        _ => true,
    };
    let workers = client.snapshot().await?.workers;
    Ok(workers.into_iter().filter(has).map(|worker| worker.id).collect())
}

/// Looks until each has come to it, or is gone where it was to stop.
async fn wait(
    client: &Client,
    order: &Order,
    told: &mut [(String, Result<bool, String>)],
    limit: Duration,
) -> Result<(), Problem> {
    let started = Instant::now();
    while told.iter().any(|(_, answer)| matches!(answer, Ok(false))) && started.elapsed() < limit {
        tokio::time::sleep(LOOK).await;
        // Who has to stop may be cut off and run on; who has to do anything else is past it when it
        // has been silent for long, though it is listed.
        let workers = match order {
            Order::Stop => client.workers().await?,
            _ => client.snapshot().await?.workers,
        };
        for (id, answer) in told.iter_mut().filter(|(_, answer)| answer.is_ok()) {
            let seen = workers.iter().find(|worker| worker.id == *id);
            *answer = match (order, seen) {
                (Order::Stop, seen) => Ok(seen.is_none()),
                (_, Some(worker)) => Ok(order.is_followed(worker)),
                (_, None) => Err("it is gone".into()),
            };
        }
    }
    Ok(())
}

fn tell(told: &[(String, Result<bool, String>)], out: &mut Out) -> Done {
    if out.json {
        let value = |(id, answer): &(String, Result<bool, String>)| match answer {
            Ok(followed) => json!({"id": id, "outcome": if *followed { "followed" } else { "ordered" }}),
            Err(why) => json!({"id": id, "outcome": "refused", "why": why}),
        };
        return out.value(&told.iter().map(value).collect::<Vec<_>>());
    }
    let mut table = out.table(&[]);
    for (id, answer) in told {
        let (words, colour) = match answer {
            Ok(true) => ("has followed".to_owned(), Color::Green),
            Ok(false) => ("has been told".to_owned(), Color::Yellow),
            Err(why) => (format!("refused: {}", shown(why)), Color::Red),
        };
        table.add_row([Cell::new(shown(id)), coloured(words, Some(colour))]);
    }
    out.print(table, &[0]);
    Ok(())
}
