//! `totalq`: what really happened, written down outside of the system, and the judgement on it.
//!
//! Producers append what became of each enqueue, handlers each start and end of an attempt,
//! whoever injects faults each fault, and at the end what the queue says of every job is
//! appended too. [`check`] holds them against each other.
//!
//! A ledger is a directory of files, `producer-N`, `worker-N`, `faults` and `queue`, of
//! entries of 32 bytes: one write each with `O_APPEND`, so that neither a kill nor another
//! writer tears one. Times are the wall clock of the one machine, in microseconds.

mod check;
mod report;
mod runs;
#[cfg(test)]
mod tests;

pub use check::check;
pub use report::{Report, Throughput, Waits};

use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// The bytes of an entry.
pub const ENTRY: usize = 32;

/// What an entry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A producer heard ok; `token` is 1 for a job that will kill its worker.
    Accepted = b'A',
    /// A producer heard neither yes nor no.
    Unknown = b'U',
    /// A producer heard no.
    Refused = b'R',
    /// A handler has begun.
    Started = b'S',
    /// A handler has done its work.
    Done = b'D',
    /// A handler failed, to be tried again.
    Failed = b'F',
    /// A handler was dropped before its end: its lease was lost, or handed back.
    Dropped = b'L',
    /// All is up: the baseline begins.
    Begun = b'B',
    /// A worker (`job` is its number) was killed, or died of its job.
    Killed = b'K',
    /// A worker was stopped.
    Stopped = b'Z',
    /// A worker goes on.
    Continued = b'C',
    /// The server was killed.
    Down = b'X',
    /// The server answers again.
    Up = b'O',
    /// A connection was cut.
    Cut = b'P',
    /// The server's scripts were forgotten.
    Flushed = b'H',
    /// The last fault is over.
    Calm = b'E',
    /// The queue says: succeeded; `token` is the result, the token of the run that ended it.
    Succeeded = b's',
    /// The queue says: discarded.
    Discarded = b'd',
    /// The queue says: cancelled.
    Cancelled = b'c',
    /// The queue says: not finished.
    Open = b'o',
    /// The queue says how many jobs it holds (`job`).
    Counted = b'N',
    /// The queue's own audit found something.
    Audited = b'V',
}

const KINDS: [Kind; 22] = [
    Kind::Accepted,
    Kind::Unknown,
    Kind::Refused,
    Kind::Started,
    Kind::Done,
    Kind::Failed,
    Kind::Dropped,
    Kind::Begun,
    Kind::Killed,
    Kind::Stopped,
    Kind::Continued,
    Kind::Down,
    Kind::Up,
    Kind::Cut,
    Kind::Flushed,
    Kind::Calm,
    Kind::Succeeded,
    Kind::Discarded,
    Kind::Cancelled,
    Kind::Open,
    Kind::Counted,
    Kind::Audited,
];

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What happened.
    pub kind: Kind,
    /// To which job: the number that its producer gave it.
    pub job: u64,
    /// Under which id in the queue (its last eight bytes); 0 where nobody knows.
    pub record: u64,
    /// Under which token.
    pub token: u64,
    /// When, in microseconds since the Unix epoch.
    pub at: u64,
}

impl Entry {
    /// Something that happens now.
    pub fn now(kind: Kind, job: u64, record: u64, token: u64) -> Entry {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as u64);
        Entry { kind, job, record, token, at }
    }

    fn bytes(&self) -> [u8; ENTRY] {
        let mut bytes = [0; ENTRY];
        bytes[..8].copy_from_slice(&self.at.to_le_bytes());
        // The instant needs seven bytes until the year 4253.
        bytes[7] = self.kind as u8;
        bytes[8..16].copy_from_slice(&self.job.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.record.to_le_bytes());
        bytes[24..].copy_from_slice(&self.token.to_le_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Entry> {
        let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let kind = KINDS.into_iter().find(|kind| *kind as u8 == bytes[7])?;
        let at = number(0)? & 0x00ff_ffff_ffff_ffff;
        Some(Entry { kind, job: number(8)?, record: number(16)?, token: number(24)?, at })
    }
}

/// The part of a job's id that is written down.
pub fn record(id: legwork::JobId) -> u64 {
    let bytes = id.as_bytes();
    u64::from_be_bytes(std::array::from_fn(|n| bytes[n + 8]))
}

/// One file of a ledger, to be appended to.
pub struct Ledger(File);

impl Ledger {
    /// Opens `name` in the ledger, made where it is not there yet.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(dir: &Path, name: &str) -> Result<Ledger> {
        let at = dir.join(name);
        let file = File::options().create(true).append(true).open(&at);
        Ok(Ledger(file.with_context(|| format!("ledger {}", at.display()))?))
    }

    /// Appends an entry.
    ///
    /// # Panics
    /// The file cannot be written: without it nothing can be said.
    pub fn note(&self, entry: Entry) {
        (&self.0).write_all(&entry.bytes()).expect("the ledger takes an entry");
    }
}

/// Who wrote a file of a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Writer {
    /// A producer.
    Producer(u64),
    /// A worker: one start of one process.
    Worker(u64),
    /// Whoever injects faults.
    Faults,
    /// The queue, at the end.
    Queue,
}

impl Writer {
    fn named(name: &str) -> Option<Writer> {
        match name.split_once('-') {
            Some(("producer", n)) => Some(Writer::Producer(n.parse().ok()?)),
            Some(("worker", n)) => Some(Writer::Worker(n.parse().ok()?)),
            _ => [("faults", Writer::Faults), ("queue", Writer::Queue)]
                .into_iter()
                .find_map(|(known, writer)| (known == name).then_some(writer)),
        }
    }
}

/// All files of a ledger.
///
/// # Errors
/// A file cannot be read, or holds what is no entry.
pub fn read(dir: &Path) -> Result<Vec<(Writer, Vec<Entry>)>> {
    let mut all = Vec::new();
    let files = std::fs::read_dir(dir).with_context(|| format!("ledger {}", dir.display()))?;
    for file in files {
        let path = file?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(writer) = Writer::named(name) else { continue };
        all.push((writer, entries(&path)?));
    }
    all.sort_by_key(|(writer, _)| *writer);
    ensure!(!all.is_empty(), "ledger {}: holds no producer-N, worker-N, faults or queue", dir.display());
    Ok(all)
}

/// What one file of a ledger holds.
///
/// # Errors
/// The file cannot be read, or is no such file.
pub fn entries(path: &Path) -> Result<Vec<Entry>> {
    let bytes = std::fs::read(path).with_context(|| format!("ledger {}", path.display()))?;
    ensure!(bytes.len() % ENTRY == 0, "ledger {}: an entry is torn", path.display());
    let entries: Option<Vec<Entry>> = bytes.chunks_exact(ENTRY).map(Entry::read).collect();
    entries.with_context(|| format!("ledger {}: no entry", path.display()))
}
