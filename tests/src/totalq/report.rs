//! The judgement, as one JSON line and one row of a table.

use serde::Serialize;

/// What a check found. Of the first block all but the counts of jobs must be zero.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// Jobs that producers tried to enqueue.
    pub jobs: u64,
    /// Of these: enqueued for certain.
    pub accepted: u64,
    /// Neither enqueued nor refused for certain.
    pub unknown: u64,
    /// Refused.
    pub refused: u64,
    /// Unknown, and run after all.
    pub recovered: u64,

    /// Accepted, and neither finished nor ever done.
    pub lost: u64,
    /// Run or kept, though refused or never enqueued.
    pub unexpected: u64,
    /// Succeeded, and no handler has done it.
    pub false_acks: u64,
    /// Succeeded by a run whose lease was somebody else's by then.
    pub stale_acks_accepted: u64,
    /// Jobs of which there was more than one record.
    pub duplicated: u64,
    /// What does not add up: audit's findings, and jobs that are missing from the counts.
    pub conservation: u64,
    /// Jobs started more often than their crashes allow, or discarded without a reason.
    pub crash_limit: u64,
    /// Starts after which nothing explains another.
    pub unexplained: u64,

    /// Workers killed.
    pub kills: u64,
    /// Workers stopped for longer than a lease.
    pub zombies: u64,
    /// Servers killed.
    pub server_kills: u64,
    /// Connections cut.
    pub cuts: u64,
    /// Script flushes.
    pub flushes: u64,

    /// Starts after a kill of the worker.
    pub restarts_by_kills: u64,
    /// Starts after the worker was stopped.
    pub restarts_by_zombies: u64,
    /// Starts after a lease that a living worker lost or handed back.
    pub restarts_by_leases: u64,
    /// Work done, and done again: its worker was killed before it could say so.
    pub repeated_by_kills: u64,
    /// Work done, and done again: its worker was stopped.
    pub repeated_by_zombies: u64,
    /// Work done, and done again for another reason.
    pub repeated_otherwise: u64,
    /// `repeated_by_kills / kills`.
    pub repeated_per_kill: f64,

    /// From a kill to the next start of what it interrupted, in milliseconds.
    pub recovery: Waits,
    /// The same where the server was down meanwhile.
    pub recovery_with_server_down: Waits,
    /// From the server's answering again to the next work done.
    pub resumed: Waits,
    /// Work done a second.
    pub throughput: Throughput,
    /// From the first enqueue to the last work done.
    pub seconds: f64,
}

/// Durations in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Waits {
    /// How many.
    pub count: u64,
    /// Half of them.
    pub p50: u64,
    /// All of them.
    pub p100: u64,
}

impl Waits {
    pub(super) fn of(mut all: Vec<u64>) -> Waits {
        all.sort_unstable();
        let at = |n: usize| all.get(n).map_or(0, |us| us / 1_000);
        Waits { count: all.len() as u64, p50: at(all.len() / 2), p100: at(all.len().saturating_sub(1)) }
    }
}

/// Work done a second, before and after.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Throughput {
    /// Before the first fault.
    pub baseline: f64,
    /// How long after the last fault a second with four fifths of that began; none when it
    /// never did.
    pub regained_ms: Option<u64>,
}

impl Report {
    /// What must be zero and is not, by name.
    pub fn broken(&self) -> Vec<&'static str> {
        let all = [
            ("lost", self.lost),
            ("unexpected", self.unexpected),
            ("false_ack", self.false_acks),
            ("stale_ack_accepted", self.stale_acks_accepted),
            ("duplicated", self.duplicated),
            ("conservation", self.conservation),
            ("crash_limit", self.crash_limit),
            ("unexplained", self.unexplained),
        ];
        all.into_iter().filter(|(_, n)| *n > 0).map(|(name, _)| name).collect()
    }

    /// One line of JSON.
    pub fn json(&self) -> String {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        value["broken"] = self.broken().into();
        value.to_string()
    }

    /// The head of the table that [`Report::row`] is a row of.
    pub fn head() -> &'static str {
        "| jobs | kills | zombies | server kills | cuts | lost | unexpected | false acks | stale acks accepted | repeated per kill | recovery p50 / p100 | jobs/s | 80 % again after |\n\
         |--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    }

    /// One row of a Markdown table.
    pub fn row(&self) -> String {
        let regained =
            self.throughput.regained_ms.map_or("never".into(), |ms| format!("{:.1} s", ms as f64 / 1e3));
        format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.2} | {:.1} / {:.1} s | {:.0} | {regained} |",
            self.jobs,
            self.kills,
            self.zombies,
            self.server_kills,
            self.cuts,
            self.lost,
            self.unexpected,
            self.false_acks,
            self.stale_acks_accepted,
            self.repeated_per_kill,
            self.recovery.p50 as f64 / 1e3,
            self.recovery.p100 as f64 / 1e3,
            self.throughput.baseline,
        )
    }
}
