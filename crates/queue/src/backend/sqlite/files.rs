//! Whether the files are still those that were opened, and how large the log has grown.
//!
//! SQLite does not notice when a file is replaced, or its log deleted, under a process that has it
//! open: that process goes on writing where nobody will ever read. So around the beginning of every
//! transaction the names are compared with what they named. They are only ever looked at: who opens
//! a database file and closes it again takes from SQLite the locks of the whole process on it.

use super::fault::Sql;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A log longer than this is emptied even if writers must wait for readers. SQLite cuts it back
/// to this as well.
pub(super) const LOG_MOST: u64 = 64 << 20;

/// A file, whatever it is called: its device and number.
type File = (u64, u64);

/// The names of a database's files, and what they named. In memory there are none.
#[derive(Default)]
pub(super) struct Files(Option<Open>);

struct Open {
    path: PathBuf,
    /// The log and its index lie beside the file itself, not beside a link to it.
    real: PathBuf,
    database: File,
    /// The log and its index, known as long as the writer has them open: then nobody may delete
    /// them. SQLite does when the last connection closes.
    log: Mutex<Option<[File; 2]>>,
}

impl Files {
    /// What has just been opened, and stays so: connections hold the log, too.
    pub(super) fn of(path: &Path) -> Sql<Files> {
        // A process may change its directory.
        let path = std::path::absolute(path)?;
        let Some((database, _)) = look(&path)? else { return Err(replaced()) };
        let real = real(&path);
        let log = Mutex::new(logs(&real)?.0);
        Ok(Files(Some(Open { path, real, database, log })))
    }

    /// The file itself.
    pub(super) fn real(&self) -> Option<&Path> {
        self.0.as_ref().map(|open| &*open.real)
    }

    /// Fails where a name names something else than what is open; the length of the log.
    pub(super) fn check(&self) -> Sql<u64> {
        self.0.as_ref().map_or(Ok(0), |open| open.check(false))
    }

    /// The writer holds the lock: these are the log and its index, as long as it stays connected.
    /// Fails as `check` does: the lock may have been waited for.
    pub(super) fn hold(&self) -> Sql<()> {
        self.0.as_ref().map_or(Ok(()), |open| open.check(true).map(drop))
    }

    /// The writer has closed its connection.
    pub(super) fn release(&self) {
        if let Some(open) = &self.0 {
            *open.log.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

impl Open {
    fn check(&self, held: bool) -> Sql<u64> {
        if look(&self.path)?.map(|(file, _)| file) != Some(self.database) {
            return Err(replaced());
        }
        let (log, length) = logs(&self.real)?;
        let mut known = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if held && known.is_none() {
            *known = log;
            // A writer has both of them, and where they can be deleted somebody has done so.
            if log.is_none() && cfg!(unix) {
                return Err(deleted());
            }
        }
        if known.is_some() && *known != log { Err(deleted()) } else { Ok(length) }
    }
}

fn replaced() -> sqlx::Error {
    let line = "the file was moved away or replaced while it was open; \
        stop all processes that use it, and start them again";
    sqlx::Error::Configuration(line.into())
}

fn deleted() -> sqlx::Error {
    let line = "its -wal or -shm file was deleted or replaced while it was open; \
        stop all processes that use it, not by force, and start them again";
    sqlx::Error::Configuration(line.into())
}

/// Where a file lies that may be named by a link, as SQLite sees it.
fn real(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.into())
}

/// The length of the log of a file; 0 where there is none.
pub(super) fn log_length(path: &Path) -> u64 {
    logs(&real(path)).map_or(0, |(_, length)| length)
}

/// The log and its index, where both are there, and the length of the log.
fn logs(real: &Path) -> std::io::Result<(Option<[File; 2]>, u64)> {
    let beside = |end: &str| {
        let mut name = real.as_os_str().to_owned();
        name.push(end);
        look(Path::new(&name))
    };
    let (log, index) = (beside("-wal")?, beside("-shm")?);
    let both = log.zip(index).map(|((log, _), (index, _))| [log, index]);
    Ok((both, log.map_or(0, |(_, length)| length)))
}

/// What a name names and its length; nothing where it is certain that it names nothing.
fn look(path: &Path) -> std::io::Result<Option<(File, u64)>> {
    match std::fs::metadata(path) {
        Ok(meta) => Ok(Some((number(&meta), meta.len()))),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

#[cfg(unix)]
fn number(meta: &std::fs::Metadata) -> File {
    use std::os::unix::fs::MetadataExt;
    (meta.dev(), meta.ino())
}

/// Elsewhere a file that is open can be neither deleted nor replaced.
#[cfg(not(unix))]
fn number(_: &std::fs::Metadata) -> File {
    (0, 0)
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::fault;
    use super::*;

    #[test]
    fn only_a_name_that_is_known_to_name_nothing_means_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let [path, away] = ["a.db", "away.db"].map(|name| dir.path().join(name));
        for end in ["", "-wal", "-shm"] {
            std::fs::write(dir.path().join(format!("a.db{end}")), "").unwrap();
        }
        let files = Files::of(&path).unwrap();
        let told = || fault::of("sqlite:a.db", files.check().unwrap_err());
        std::fs::rename(&path, &away).unwrap();
        assert!(told().is_refused() && told().to_string().contains("moved away or replaced"));
        // It leads to itself: nothing can be said of it.
        std::os::unix::fs::symlink(&path, &path).unwrap();
        assert!(told().is_unavailable(), "{:?}", told());
        let line = told().to_string();
        assert!(line.starts_with("sqlite:a.db: the file cannot be read or written ("), "{line}");
        std::fs::rename(&away, &path).unwrap();
        assert_eq!(files.check().unwrap(), 0);
    }

    #[test]
    fn the_log_lies_beside_what_a_link_leads_to() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::os::unix::fs::symlink(at("a.db"), at("link.db")).unwrap();
        for (name, text) in [("a.db", ""), ("a.db-wal", "four"), ("a.db-shm", "")] {
            std::fs::write(at(name), text).unwrap();
        }
        let files = Files::of(&at("link.db")).unwrap();
        assert_eq!((files.check().unwrap(), log_length(&at("link.db"))), (4, 4));
        std::fs::remove_file(at("a.db-wal")).unwrap();
        assert!(files.check().unwrap_err().to_string().contains("-wal"));
    }

    #[test]
    fn a_log_that_is_gone_already_is_not_taken_for_good() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        std::fs::write(&path, "").unwrap();
        let files = Files::of(&path).unwrap();
        assert_eq!(files.check().unwrap(), 0, "nobody holds it yet");
        files.hold().unwrap_err();
    }
}
