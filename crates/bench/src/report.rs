//! What was measured, as lines, JSON and Markdown.

use crate::machine::{self, Sample};
use anyhow::{Context as _, Result};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// One figure. `limit` is what a bare client reached in the same run, in the same unit;
/// `goal` what is to be reached, at least or (for waits and bytes) at most.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) limit: Option<f64>,
    pub(crate) settings: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) best: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) goal: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) redis_us: Option<f64>,
    /// What a job cost Redis when the bare client did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit_redis_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_us: Option<f64>,
    /// The share of the machine that others used meanwhile, in per cent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) others: Option<f64>,
}

/// The figures wanted, by name.
const GOALS: &[(&str, f64)] = &[
    ("redis drain, nothing kept", 500_000.0),
    ("redis drain, defaults", 250_000.0),
    ("redis drain, results kept", 200_000.0),
    ("redis enqueue, 1 caller", 30_000.0),
    ("redis enqueue, 64 callers", 220_000.0),
    ("redis enqueue, 512 callers", 400_000.0),
    ("redis enqueue in bulk, 1 caller", 500_000.0),
    ("redis enqueue in bulk, 4 callers", 700_000.0),
    ("redis pick-up at 1000/s, p50", 0.25),
    ("redis pick-up at 1000/s, p99", 2.0),
    ("redis memory per queued job", 340.0),
    ("redis worker memory, idle", 12.0),
    ("redis worker memory, 10000 in flight", 60.0),
    ("redis drain rate lost with the backlog", 10.0),
    ("sqlite drain, nothing kept", 60_000.0),
    ("sqlite enqueue in bulk, 1 caller", 150_000.0),
];

/// What has been measured so far; told to who looks on, and written after each figure, so that
/// a run that is cut leaves what it has.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
    /// Of the machine and the backends, a line each.
    pub(crate) about: Vec<String>,
    pub(crate) json: bool,
    pub(crate) out: Option<PathBuf>,
}

impl Report {
    pub(crate) fn note(&mut self, row: Row) -> Result<()> {
        match self.json {
            true => eprintln!("{}", row.line()),
            false => println!("{}", row.line()),
        }
        self.rows.push(row);
        self.out.as_ref().map_or(Ok(()), |out| write(out, &self.rows, &self.about))
    }
}

impl Row {
    /// A figure that is one number.
    pub(crate) fn of(name: String, value: f64, unit: &'static str, settings: impl Into<String>) -> Row {
        let goal = GOALS.iter().find(|(goal, _)| *goal == name).map(|(_, goal)| *goal);
        let settings = settings.into();
        let (limit, best, redis_us, limit_redis_us, client_us, others) = Default::default();
        Row { name, value, unit, limit, settings, best, goal, redis_us, limit_redis_us, client_us, others }
    }

    /// The median of several windows, with what each job cost in it.
    pub(crate) fn rate(name: String, samples: Vec<Sample>, settings: impl Into<String>) -> Row {
        let median = machine::median(&samples);
        let mut row = Row::of(name, median.rate, "jobs/s", settings);
        row.best = samples.iter().map(|s| s.rate).max_by(f64::total_cmp).filter(|_| samples.len() > 1);
        row.redis_us = median.redis_us;
        // Of a few jobs less than the system counts.
        row.client_us = Some(median.client_us).filter(|us| *us > 0.0);
        row.others = Some(median.others * 100.0);
        row
    }

    /// Beside what a bare client did.
    pub(crate) fn limit(self, bare: Option<Sample>) -> Row {
        Row { limit: bare.map(|s| s.rate), limit_redis_us: bare.and_then(|s| s.redis_us), ..self }
    }

    /// As a line for people.
    pub(crate) fn line(&self) -> String {
        let mut line = format!("{:<44} {:>12} {}", self.name, number(self.value), self.unit);
        if let Some(limit) = self.limit {
            line += &format!("  ({:.0} % of {})", self.value / limit * 100.0, number(limit));
        }
        if let Some(goal) = self.goal {
            line += &format!("  wanted {}", number(goal));
        }
        let optional = [
            ("best", self.best),
            ("Redis µs", self.redis_us),
            ("bare", self.limit_redis_us),
            ("client µs", self.client_us),
        ];
        for (what, n) in optional.into_iter().filter_map(|(what, n)| n.map(|n| (what, n))) {
            line += &format!("  {what} {}", number(n));
        }
        if let Some(others) = self.others.filter(|share| *share >= 10.0) {
            line += &format!("  others used {others:.0} % of the machine");
        }
        if !self.settings.is_empty() {
            line += &format!("  [{}]", self.settings);
        }
        line
    }

    fn cells(&self) -> String {
        let or_none = |n: Option<f64>| n.map_or("–".into(), number);
        let share = self.limit.map_or("–".into(), |limit| format!("{:.0} %", self.value / limit * 100.0));
        format!(
            "| {} | {} {} | {} | {} | {share} | {} | {} | {} | {} | {} |",
            self.name,
            number(self.value),
            self.unit,
            or_none(self.best),
            or_none(self.limit),
            or_none(self.goal),
            or_none(self.redis_us),
            or_none(self.limit_redis_us),
            or_none(self.client_us),
            self.settings
        )
    }
}

/// With three digits where it is small, and with commas where it is large.
pub(crate) fn number(n: f64) -> String {
    if n.abs() < 100.0 {
        return format!("{n:.2}");
    }
    let digits = format!("{:.0}", n.abs());
    let mut text = String::new();
    for (k, digit) in digits.chars().enumerate() {
        if k > 0 && (digits.len() - k).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if n < 0.0 { format!("-{text}") } else { text }
}

/// A warning where others use the machine: such figures say little.
pub(crate) fn warn_if_busy() {
    let (load, cores) = (machine::load(), machine::cores());
    if load > cores as f64 * 0.5 {
        eprintln!("warning: the load is {load:.1} on {cores} cores; figures taken now say little");
    }
}

/// Writes results.json, results.md and chart.svg, each whole or not at all.
fn write(out: &Path, rows: &[Row], about: &[String]) -> Result<()> {
    let save = |name: &str, text: String| {
        let path = out.join(name);
        let new = out.join(format!(".{name}.new"));
        let saved = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, &path));
        saved.with_context(|| format!("out: {} cannot be written", path.display()))
    };
    std::fs::create_dir_all(out).with_context(|| format!("out: {} cannot be made", out.display()))?;
    save("results.json", serde_json::to_string_pretty(rows)? + "\n")?;
    save("chart.svg", crate::chart::svg(rows)?)?;
    save("results.md", markdown(rows, about))
}

/// The whole as Markdown.
fn markdown(rows: &[Row], about: &[String]) -> String {
    let mut text = String::from(
        "# Results\n\nWritten by `legwork-bench`; what each figure means stands in performance.md.\n\n",
    );
    about.iter().for_each(|line| text += &format!("- {line}\n"));
    text += "\n![rates as bars](chart.svg)\n\n| what | figure | best | limit | of it | wanted | Redis µs/job | of a bare client | client µs/job | settings |\n";
    text += "|---|--:|--:|--:|--:|--:|--:|--:|--:|---|\n";
    for row in rows {
        text += &row.cells();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        for (n, text) in
            [(0.256, "0.26"), (99.0, "99.00"), (1234.6, "1,235"), (1e7, "10,000,000"), (-1e3, "-1,000")]
        {
            assert_eq!(number(n), text);
        }
    }

    #[test]
    fn the_median_stands_for_all() {
        let sample = |rate| Sample { rate, client_us: rate / 10.0, redis_us: None, others: 0.0 };
        let row = Row::rate("redis drain, defaults".into(), [3.0, 1.0, 2.0].map(sample).into(), "");
        assert_eq!(
            (row.value, row.best, row.client_us, row.goal),
            (2.0, Some(3.0), Some(0.2), Some(250_000.0))
        );
    }
}
