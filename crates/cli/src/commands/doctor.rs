//! `doctor`: a checkup of the server, of the workers and queues, and of what must hold.

use super::{Done, connect_with};
use crate::args::Doctor;
use crate::out::{Color, Out, coloured};
use crate::problem::Problem;
use crate::words::{relative, shown};
use comfy_table::Cell;
use legwork::backend::{Fault, Finding, Gravity, WorkerView};
use legwork::{Client, Durability, Snapshot, State};
use serde::Serialize;

/// With more jobs than this the audit would hold up a Redis for long.
const MANY: u64 = 50_000;
/// What is mended uncovers more; it has an end.
const ROUNDS: usize = 30;
/// A worker that has been silent for so long is gone.
const SILENT_MS: i64 = 60_000;

#[derive(Serialize)]
struct Report {
    healthy: bool,
    findings: Vec<Finding>,
    /// What does not hold.
    faults: Vec<Fault>,
    /// What did not hold, and has been mended.
    mended: Vec<String>,
    /// Whether all jobs have been looked at.
    audited: bool,
}

/// Connects without what the URL demands of enqueues: that it cannot be had is a finding.
pub(super) async fn act(url: &str, what: &Doctor, out: &mut Out) -> Done {
    let mut findings = Vec::new();
    let file = url.starts_with("sqlite:");
    let client = connect_with(url, (!file).then_some(Durability::Memory)).await?;
    if !file
        && url.contains("durability=")
        && let Err(e) = connect_with(url, None).await
    {
        findings.push(Finding::new(Gravity::Danger, "durability", e.into_line()));
    }
    findings.extend(client.backend().examine().await?);
    let seen = client.snapshot().await?;
    findings.extend(of_workers(&client.backend().workers().await?, seen.now_ms));
    findings.extend(of_queues(&seen));
    let jobs: u64 = seen.queues.values().flat_map(|queue| queue.counts.values()).sum();
    let audited = jobs <= MANY || what.deep;
    let (mut mended, mut faults) = (Vec::new(), Vec::new());
    if audited {
        (mended, faults) = audit(&client, what.fix).await?;
    } else {
        let line = format!(
            "{jobs} jobs: what must hold of them was not looked at, for it holds up Redis for seconds; see --deep"
        );
        findings.push(Finding::new(Gravity::Note, "audit", line));
    }
    let healthy = faults.is_empty() && findings.iter().all(|f| f.gravity == Gravity::Note);
    let report = Report { healthy, findings, faults, mended, audited };
    if out.json {
        out.value(&report)?;
    } else {
        tell(&report, out);
    }
    match healthy {
        true => Ok(()),
        false => Err(Problem::failed("doctor: there are findings")),
    }
}

/// What was mended, and what still does not hold.
async fn audit(client: &Client, fix: bool) -> Result<(Vec<String>, Vec<Fault>), Problem> {
    let mut mended = Vec::new();
    for _ in 0..ROUNDS {
        let faults = client.backend().mend(fix).await?;
        if !fix || !faults.iter().any(|fault| fault.mendable) {
            return Ok((mended, faults));
        }
        // A counter waits for a later round; it is the same line then.
        for fault in faults.into_iter().filter(|fault| fault.mendable) {
            if !mended.contains(&fault.line) {
                mended.push(fault.line);
            }
        }
    }
    Ok((mended, client.backend().mend(false).await?))
}

/// Of all that are listed: a snapshot leaves out who has been silent for long.
fn of_workers(workers: &[WorkerView], now_ms: i64) -> Vec<Finding> {
    let mut all = Vec::new();
    for worker in workers {
        let place = format!("{}:{}", shown(&worker.host), worker.pid);
        let line = if now_ms - worker.seen_ms > SILENT_MS {
            format!("{place} was last seen {}: it is dead, or cut off", relative(worker.seen_ms, now_ms))
        } else if !worker.ready {
            format!("{place} is up and does not get at its jobs")
        } else {
            continue;
        };
        all.push(Finding::new(Gravity::Warning, "workers", line));
    }
    all
}

fn of_queues(seen: &Snapshot) -> Vec<Finding> {
    let mut all = Vec::new();
    for queue in seen.queues.values() {
        let (name, waiting) = (shown(&queue.name), queue.count(State::Available));
        if queue.paused.is_some() {
            all.push(Finding::new(Gravity::Note, "queues", format!("{name} is paused")));
        } else if waiting > 0
            && let Some(why) = seen.why_queue(&queue.name)
        {
            all.push(Finding::new(Gravity::Warning, "queues", format!("{name}: {waiting} wait: {why}")));
        }
        if queue.parked > 0 {
            let line = format!(
                "{name}: {} are parked until a worker knows them; see legwork versions",
                queue.parked
            );
            all.push(Finding::new(Gravity::Warning, "queues", line));
        }
    }
    all
}

fn tell(report: &Report, out: &mut Out) {
    let mut table = out.table(&[]);
    for finding in &report.findings {
        let (word, colour) = match finding.gravity {
            Gravity::Note => ("note", None),
            Gravity::Warning => ("warning", Some(Color::Yellow)),
            Gravity::Danger => ("danger", Some(Color::Red)),
        };
        table.add_row([coloured(word, colour), Cell::new(&finding.about), Cell::new(shown(&finding.line))]);
    }
    for line in &report.mended {
        table.add_row([coloured("mended", Some(Color::Green)), Cell::new("jobs"), Cell::new(shown(line))]);
    }
    for fault in &report.faults {
        let how = if fault.mendable { "--fix mends it" } else { "to be mended by hand" };
        let line = format!("{} ({how})", shown(&fault.line));
        table.add_row([coloured("broken", Some(Color::Red)), Cell::new("jobs"), Cell::new(line)]);
    }
    out.print(table, &[0, 1]);
    if report.healthy {
        out.line(if report.audited { "all is well" } else { "all is well, as far as was looked" });
    }
}

#[cfg(test)]
mod tests {
    use super::{SILENT_MS, of_workers};
    use legwork::backend::WorkerView;

    #[test]
    fn who_is_silent_is_told_and_who_is_well_is_not() {
        let seen =
            |seen_ms| WorkerView { host: "a".into(), pid: 7, ready: true, seen_ms, ..WorkerView::default() };
        let now = 10 * SILENT_MS;
        let told = of_workers(&[seen(now - 1_000), seen(now - 2 * SILENT_MS)], now);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].line.starts_with("a:7 was last seen 2m ago"), "{told:?}");
    }
}
