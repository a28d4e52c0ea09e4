//! `subscribers`, `subscribe`, `unsubscribe` and `publish`.

use super::Done;
use crate::args::Subscription;
use crate::out::Out;
use crate::problem::{Exit, Problem};
use crate::words::{jobs, shown};
use legwork::Client;
use serde_json::json;

pub(super) async fn list(client: &Client, out: &mut Out) -> Done {
    let all = client.subscribers().await?;
    if out.json {
        return out.value(&all);
    }
    if all.is_empty() {
        out.line("no subscribers yet");
        return Ok(());
    }
    let mut table = out.table(&["TOPICS", "JOB", "QUEUE"]);
    for subscriber in &all {
        table.add_row([&subscriber.pattern, &subscriber.job, &subscriber.queue].map(|text| shown(text)));
    }
    out.print(table, &[0, 1, 2]);
    Ok(())
}

pub(super) async fn subscribe(client: &Client, what: Subscription, out: &mut Out) -> Done {
    client.subscribe_raw(&what.pattern, &what.job, &what.queue).await?;
    if out.json {
        return out.value(&json!({"pattern": what.pattern, "job": what.job, "queue": what.queue}));
    }
    out.line(format!("{} in {} is told of {}", what.job, what.queue, shown(&what.pattern)));
    Ok(())
}

pub(super) async fn unsubscribe(client: &Client, what: Subscription, out: &mut Out) -> Done {
    if !client.unsubscribe(&what.pattern, &what.job, &what.queue).await? {
        let line = format!("{} in {} has not subscribed to {}", what.job, what.queue, shown(&what.pattern));
        return Err(Problem::new(Exit::Failed, "not_found", line));
    }
    if out.json {
        return out.value(&json!({"pattern": what.pattern, "job": what.job, "queue": what.queue}));
    }
    out.line(format!("{} in {} is told of {} no longer", what.job, what.queue, shown(&what.pattern)));
    Ok(())
}

pub(super) async fn publish(client: &Client, topic: &str, payload: &str, out: &mut Out) -> Done {
    let published = client.publish_raw(topic, payload).await?;
    if out.json {
        return out.value(&json!({"id": published.id, "jobs": published.jobs}));
    }
    match published.jobs.len() {
        0 => out.line("published; nobody has subscribed to this topic"),
        some => out.line(format!("published; {} enqueued", jobs(some as u64))),
    }
    Ok(())
}
