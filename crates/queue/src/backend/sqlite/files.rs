//! Whether the files are still those that were opened, and how large the log has grown.
//!
//! SQLite does not notice when a file is replaced, or its log deleted, under a process that has it
//! open: that process goes on writing where nobody will ever read. So before every transaction the
//! names are compared with what they named.

use super::fault::Sql;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A log longer than this is emptied even if writers must wait for readers. SQLite cuts it back
/// to this as well.
pub(super) const LOG_MOST: u64 = 64 << 20;

/// A file, whatever it is called: its device and number.
type File = (u64, u64);

/// The names of a database's files, and what they named. In memory there are none.
#[derive(Default)]
pub(super) struct Files {
    path: Option<PathBuf>,
    database: Option<File>,
    /// The log and its index, known as long as the writer has them open: then nobody may delete
    /// them. SQLite does when the last connection closes.
    log: Mutex<Option<[Option<File>; 2]>>,
}

impl Files {
    pub(super) fn of(path: &Path) -> Files {
        // A process may change its directory.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
        Files { database: look(&path).map(|(file, _)| file), path: Some(path), log: Mutex::default() }
    }

    /// Fails where a name names something else than what is open; the length of the log.
    pub(super) fn check(&self) -> Sql<u64> {
        let Some(path) = &self.path else { return Ok(0) };
        let refuse = |what: &str| Err(sqlx::Error::Configuration(what.into()));
        if look(path).map(|(file, _)| file) != self.database {
            return refuse(
                "the file was moved away or replaced while it was open; \
                 stop all processes that use it, and start them again",
            );
        }
        let (log, length) = logs(path);
        let known = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_some_and(|known| known != log) {
            return refuse(
                "its -wal or -shm file was deleted or replaced while it was open; \
                 stop all processes that use it, not by force, and start them again",
            );
        }
        Ok(length)
    }

    /// The writer holds the lock: these are the log and its index, as long as it stays connected.
    pub(super) fn hold(&self) {
        let Some(path) = &self.path else { return };
        let mut known = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            *known = Some(logs(path).0);
        }
    }

    /// The writer has closed its connection.
    pub(super) fn release(&self) {
        *self.log.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// The log and its index, and the length of the log.
fn logs(path: &Path) -> ([Option<File>; 2], u64) {
    let beside = |end: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        look(Path::new(&name))
    };
    let (log, index) = (beside("-wal"), beside("-shm"));
    ([log.map(|(file, _)| file), index.map(|(file, _)| file)], log.map_or(0, |(_, length)| length))
}

#[cfg(unix)]
fn look(path: &Path) -> Option<(File, u64)> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(path).ok()?;
    Some(((meta.dev(), meta.ino()), meta.len()))
}

/// Elsewhere a file that is open can be neither deleted nor replaced.
#[cfg(not(unix))]
fn look(path: &Path) -> Option<(File, u64)> {
    Some(((0, 0), std::fs::metadata(path).ok()?.len()))
}
