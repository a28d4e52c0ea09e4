//! `doctor`: a checkup of the server, of the workers and queues, and of what must hold.

use super::{Done, connect_with};
use crate::args::Doctor;
use crate::out::{Color, Out, coloured};
use crate::problem::Problem;
use crate::words::{relative, shown};
use comfy_table::Cell;
use legwork::backend::sqlite::{Schema, Sqlite};
use legwork::backend::{Fault, Finding, Gravity, WorkerView};
use legwork::{Client, Durability, Snapshot, State};
use serde::Serialize;

/// With more jobs than this the audit would hold up a Redis for long.
const MANY: u64 = 50_000;
/// What is mended uncovers more; it has an end.
const ROUNDS: usize = 30;
/// A worker that has been silent for so long is gone.
const SILENT_MS: i64 = 60_000;

#[derive(Default, Serialize)]
struct Report {
    healthy: bool,
    findings: Vec<Finding>,
    /// Holes of the server that were said to be mended.
    accepted: Vec<Finding>,
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
    if file && let Some(finding) = not_opened(url, what.fix).await? {
        return end(Report { findings: vec![finding], ..Report::default() }, out);
    }
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
    let accepted = accept(&mut findings, &what.accept);
    end(Report { healthy: false, findings, accepted, faults, mended, audited }, out)
}

/// Says what was found, and whether that is well.
fn end(mut report: Report, out: &mut Out) -> Done {
    report.healthy = report.faults.is_empty() && report.findings.iter().all(|f| f.gravity == Gravity::Note);
    if out.json {
        out.value(&report)?;
    } else {
        tell(&report, out);
    }
    match report.healthy {
        true => Ok(()),
        false => Err(Problem::failed("doctor: there are findings")),
    }
}

/// Why a file is not opened: that would make a queue of it, or bring it up to date, and a checkup
/// changes nothing.
async fn not_opened(url: &str, fix: bool) -> Result<Option<Finding>, Problem> {
    let line = match Sqlite::schema(url).await? {
        Schema::None => "no queue has been made in it; the first program that opens it does".into(),
        Schema::Older(version) if !fix => format!(
            "its schema is of version {version}, older than this program's; the first newer program that opens it, or --fix, brings it up to date"
        ),
        _ => return Ok(None),
    };
    Ok(Some(Finding::new(Gravity::Warning, "file", line)))
}

/// Takes out the holes that are accepted; says which of them are none of this server's.
fn accept(findings: &mut Vec<Finding>, accepted: &[String]) -> Vec<Finding> {
    let names = |finding: &Finding, hole: &str| {
        finding.line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(|word| word == hole)
    };
    let is_accepted = |finding: &mut Finding| accepted.iter().any(|hole| names(finding, hole));
    let taken: Vec<Finding> = findings.extract_if(.., is_accepted).collect();
    for hole in accepted.iter().filter(|hole| !taken.iter().any(|finding| names(finding, hole))) {
        let line = format!("{hole} is accepted, and was not found; leave it out");
        findings.push(Finding::new(Gravity::Note, "version", line));
    }
    taken
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
    for finding in &report.accepted {
        table.add_row([
            coloured("accepted", None),
            Cell::new(&finding.about),
            Cell::new(shown(&finding.line)),
        ]);
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
    use super::{SILENT_MS, accept, of_workers};
    use legwork::backend::{Finding, Gravity, WorkerView};

    #[test]
    fn a_hole_is_accepted_by_its_whole_name() {
        let hole = |name: &str| Finding::new(Gravity::Warning, "version", format!("7.0.15 has {name} (…)"));
        let mut findings = vec![hole("CVE-2025-46817"), hole("CVE-2025-468170")];
        let taken = accept(&mut findings, &["CVE-2025-46817".into(), "CVE-2020-1".into()]);
        assert_eq!(taken, [hole("CVE-2025-46817")]);
        assert_eq!(findings[0], hole("CVE-2025-468170"));
        let line = "CVE-2020-1 is accepted, and was not found; leave it out";
        assert_eq!(findings[1..], [Finding::new(Gravity::Note, "version", line)]);
    }

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
