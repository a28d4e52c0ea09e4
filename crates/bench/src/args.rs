//! The command line.

use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// Measures what Legwork does, and in the same run what a bare client does with the same
/// bytes in the same layout.
#[derive(Debug, Clone, Parser)]
#[command(name = "legwork-bench", version)]
pub(crate) struct Args {
    /// What to measure.
    #[arg(value_enum)]
    pub(crate) what: What,
    /// On which backend; a Redis is started for it [default: redis, of `all` both].
    #[arg(long, value_enum)]
    pub(crate) backend: Option<Kind>,
    /// One JSON array on standard output.
    #[arg(long)]
    pub(crate) json: bool,
    /// Jobs in each window of a rate, at most: latency, memory and backlog have sizes of their
    /// own [default: by kind, 500000 mostly, of SQLite 100000].
    #[arg(long, value_parser = clap::value_parser!(u64).range(100..=100_000_000))]
    pub(crate) jobs: Option<u64>,
    /// The largest backlog [default: 10000000, of `all` and of SQLite 1000000].
    #[arg(long, value_parser = clap::value_parser!(u64).range(10_000..=100_000_000))]
    pub(crate) backlog: Option<u64>,
    /// How long the windows of one rate may take together: where jobs are slow, fewer are
    /// measured, and the figure says how many.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub(crate) seconds: u64,
    /// Windows of each figure, at most; the median is told, and the best.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub(crate) runs: u64,
    /// A worker's permits [default: as a new user has them].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) concurrency: Option<u64>,
    /// So few jobs that it takes seconds: whether it works, not how fast.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Redis writes an append-only file, synced every second.
    #[arg(long)]
    pub(crate) aof: bool,
    /// Gives Redis a processor of its own, and this process the others (by `taskset`): where both
    /// wander, the system often wakes one on the processor on which the other runs.
    #[arg(long)]
    pub(crate) pin: bool,
    /// Writes results.json, results.md and chart.svg into this directory, anew after each figure.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// For a process of ours that this one starts: where, and what to do there.
    #[arg(long, hide = true, num_args = 3)]
    pub(crate) part: Option<Vec<String>>,
}

/// In the order in which `all` measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    /// Everything below, on both backends unless one is named.
    All,
    /// One by one, and in bulk.
    Enqueue,
    /// Workers run jobs that do nothing.
    Drain,
    /// Both at the same time.
    Mixed,
    /// Limits and unique keys, beside a drain without.
    Limits,
    /// From a call in one process to the handler in another.
    Latency,
    /// Of a waiting job, and of a worker.
    Memory,
    /// From ten thousand jobs to millions.
    Backlog,
    /// Where the cost of a job goes.
    Profile,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Redis,
    Sqlite,
}
