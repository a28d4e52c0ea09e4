//! Opening the file: the address, the pools, the schema's version.

use super::fault::{self, Sql};
use crate::error::Kind;
use crate::{Durability, Error, Result};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The migrations in order; the schema's version is how many have been applied.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_start.sql"),
    include_str!("migrations/0002_settings.sql"),
    include_str!("migrations/0003_steps.sql"),
    include_str!("migrations/0010_unique.sql"),
    include_str!("migrations/0020_flows.sql"),
    include_str!("migrations/0070_search.sql"),
    include_str!("migrations/0080_limits.sql"),
    include_str!("migrations/0140_rows.sql"),
];

/// The version of the schema that this program writes.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

/// How long a process waits for the others before it gives up.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// How long SQLite itself waits for a lock. Only for what no transaction waits for: the writer
/// tries again by itself.
pub(super) const BUSY: Duration = Duration::from_millis(20);

/// Where the data are.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Place {
    Memory,
    File(PathBuf),
}

/// What may stand behind the path. `ns` means something to Redis only: a file is a namespace.
const PARAMETERS: &[&str] = &["durability", "ns"];

/// The place that an address names.
pub(super) fn place(url: &str) -> Result<Place> {
    let allowed = "use sqlite::memory:, sqlite:PATH or sqlite:///ABSOLUTE/PATH";
    let refuse = |why: &str| Err(Error::invalid(format!("url: {url:?}: {why}; {allowed}")));
    let Some(rest) = url.strip_prefix("sqlite:") else {
        return refuse("not an address of SQLite");
    };
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut names = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name));
    if let Some(other) = names.find(|name| !name.is_empty() && !PARAMETERS.contains(name)) {
        let known = PARAMETERS.join(", ");
        return Err(Error::invalid(format!("url: parameter {other:?} is not known to SQLite; use {known}")));
    }
    if path == ":memory:" {
        return Ok(Place::Memory);
    }
    match path.strip_prefix("//").unwrap_or(path) {
        "" => refuse("the path is empty"),
        path if path.contains('\0') => refuse("the path holds a NUL"),
        path => Ok(Place::File(PathBuf::from(path))),
    }
}

/// How safe a commit is to be: what is wanted, else what the address says, else synced.
pub(super) fn durability(url: &str, place: &Place, wanted: Option<Durability>) -> Result<Durability> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let said = query.split('&').find_map(|pair| pair.strip_prefix("durability="));
    let said = said.map(|said| said.replace("%3A", ":").replace("%3a", ":").parse());
    let wrong = |e: Error| Error::invalid(format!("url: {e}"));
    let refused = |why: &str| Err(Error::new(Kind::Refused, format!("sqlite: durability {why}")));
    match (wanted.map(Ok).or(said).transpose().map_err(wrong)?, place) {
        (Some(Durability::Replicated(n)), _) => {
            refused(&format!("replicated:{n}: a file has no replicas; use fsync or memory"))
        }
        (Some(Durability::Fsync), Place::Memory) => {
            refused("fsync: sqlite::memory: keeps nothing; use a file")
        }
        (_, Place::Memory) => Ok(Durability::Memory),
        (wanted, Place::File(_)) => Ok(wanted.unwrap_or(Durability::Fsync)),
    }
}

/// What schema a file has.
///
/// ```
/// use legwork::backend::sqlite::{Schema, Sqlite};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> legwork::Result<()> {
/// assert_eq!(Sqlite::schema("sqlite:no-such-file.db").await?, Schema::None);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// There is no file, or it is empty: opening it makes a queue of it.
    None,
    /// That of an older program: opening it brings it up to date.
    Older(i64),
    /// That of this program.
    Own,
}

/// Looks at a file's schema and writes nothing.
pub(super) async fn schema(place: &Place) -> Result<Schema> {
    let Place::File(path) = place else { return Ok(Schema::Own) };
    checked(path)?;
    if std::fs::metadata(path).is_ok_and(|meta| meta.len() == 0) || !path.exists() {
        return Ok(Schema::None);
    }
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(Duration::from_secs(5));
    let looked = async {
        let mut conn = options.disable_statement_logging().connect().await?;
        let version = version(&mut conn).await?;
        conn.close().await?;
        Ok(version)
    };
    match looked.await.map_err(|e| fault::of(&format!("sqlite:{}", path.display()), e))? {
        0 => Ok(Schema::None),
        VERSION => Ok(Schema::Own),
        older => Ok(Schema::Older(older)),
    }
}

/// The connections: one that writes, and some that read beside it. In memory they are
/// one and the same.
pub(super) struct Pools {
    pub(super) write: SqlitePool,
    pub(super) read: SqlitePool,
}

/// Opens or creates the database and brings its schema up to date.
pub(super) async fn open(place: &Place, durability: Durability) -> Result<Pools> {
    let pool = |max| {
        let pool = SqlitePoolOptions::new().max_connections(max).test_before_acquire(false);
        pool.acquire_timeout(PATIENCE).idle_timeout(None).max_lifetime(None)
    };
    let options = SqliteConnectOptions::new().disable_statement_logging().row_buffer_size(512);
    match place {
        Place::Memory => {
            let options = options.filename(":memory:");
            let write = pool(1).min_connections(1).connect_with(options).await;
            let write = write.map_err(|e| fault::of("sqlite::memory:", e))?;
            let mut conn = write.acquire().await.map_err(|e| fault::of("sqlite::memory:", e))?;
            migrate(&mut conn).await.map_err(|e| fault::of("sqlite::memory:", e))?;
            drop(conn);
            Ok(Pools { read: write.clone(), write })
        }
        Place::File(path) => {
            create(path)?;
            let shown = format!("sqlite:{}", path.display());
            let options = options
                .filename(path)
                .synchronous(match durability {
                    Durability::Memory => SqliteSynchronous::Normal,
                    _ => SqliteSynchronous::Full,
                })
                .busy_timeout(BUSY)
                .pragma("wal_autocheckpoint", "4000")
                .pragma("journal_size_limit", super::files::LOG_MOST.to_string())
                .pragma("cache_size", "-65536")
                .pragma("temp_store", "memory");
            prepare(&options, &shown).await?;
            let read = options.clone().busy_timeout(Duration::from_secs(5));
            let write = pool(1).connect_with(options).await.map_err(|e| fault::of(&shown, e))?;
            let read = pool(4).connect_with(read.pragma("query_only", "on")).await;
            Ok(Pools { write, read: read.map_err(|e| fault::of(&shown, e))? })
        }
    }
}

/// Turns the journal into a WAL and applies migrations; several processes may do so at once.
async fn prepare(options: &SqliteConnectOptions, shown: &str) -> Result<()> {
    let options = options.clone().journal_mode(SqliteJournalMode::Wal);
    let started = Instant::now();
    loop {
        let tried = async {
            let mut conn = options.connect().await?;
            migrate(&mut conn).await?;
            writable(&mut conn).await?;
            conn.close().await
        };
        match tried.await {
            Ok(()) => return Ok(()),
            Err(e) if fault::busy(&e) && started.elapsed() < PATIENCE => {
                tokio::time::sleep(super::writer::jitter(started)).await;
            }
            Err(e) if matches!(fault::code(&e), Some(8 | 14)) => {
                let why = e.as_database_error().map_or("", |e| e.message());
                let line = format!("{shown}: the file cannot be opened for writing ({why})");
                return Err(Error::with(Kind::Refused, line, e));
            }
            Err(e) => return Err(fault::of(shown, e)),
        }
    }
}

/// Fails where SQLite could open the file for reading only, which it does not tell of by itself.
/// Nothing is written; and who finds the lock taken could write.
async fn writable(conn: &mut SqliteConnection) -> Sql<()> {
    match sqlx::query("UPDATE legwork SET version = version WHERE 0").execute(conn).await {
        Err(e) if !fault::busy(&e) => Err(e),
        _ => Ok(()),
    }
}

async fn migrate(conn: &mut SqliteConnection) -> Sql<()> {
    if version(conn).await? == VERSION {
        return Ok(());
    }
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *conn).await?;
    let applied = async {
        let from = version(conn).await?;
        for (n, migration) in MIGRATIONS.iter().enumerate().skip(from as usize) {
            sqlx::raw_sql(*migration).execute(&mut *conn).await?;
            let set = sqlx::query("UPDATE legwork SET version = ?").bind(n as i64 + 1);
            set.execute(&mut *conn).await?;
        }
        sqlx::query("COMMIT").execute(&mut *conn).await.map(drop)
    };
    let applied = applied.await;
    if applied.is_err() {
        // Already rolled back where the error did so itself.
        let _ = sqlx::query("ROLLBACK").execute(&mut *conn).await;
    }
    applied
}

/// The schema's version; 0 for an empty file. Refuses newer ones and strangers' files.
async fn version(conn: &mut SqliteConnection) -> Sql<i64> {
    let ours = "SELECT count(*), coalesce(sum(name = 'legwork'), 0) FROM sqlite_schema WHERE type = 'table'";
    let (tables, ours): (i64, i64) = sqlx::query_as(ours).fetch_one(&mut *conn).await?;
    let refuse = |line: String| Err(sqlx::Error::Configuration(line.into()));
    if ours == 0 {
        return match tables {
            0 => Ok(0),
            _ => refuse("this SQLite database belongs to another application; use a file of its own".into()),
        };
    }
    let version: i64 = sqlx::query_scalar("SELECT version FROM legwork").fetch_one(conn).await?;
    if !(0..=VERSION).contains(&version) {
        return refuse(newer(version));
    }
    Ok(version)
}

/// The line for a schema that is newer than this program.
pub(super) fn newer(version: i64) -> String {
    format!(
        "the schema's version {version} is newer than this program knows ({VERSION}); use a newer program"
    )
}

fn folder(path: &Path) -> Option<&Path> {
    path.parent().filter(|folder| !folder.as_os_str().is_empty())
}

/// Checks what SQLite would report less clearly.
fn checked(path: &Path) -> Result<()> {
    let refuse = |why: String| Err(Error::invalid(format!("sqlite:{}: {why}", path.display())));
    match folder(path).filter(|folder| !folder.is_dir()) {
        Some(folder) => refuse(format!("there is no directory {}", folder.display())),
        None if path.is_dir() => refuse("this is a directory; name a file".into()),
        None => Ok(()),
    }
}

/// Creates a missing file for its owner only.
fn create(path: &Path) -> Result<()> {
    checked(path)?;
    let mut file = std::fs::OpenOptions::new();
    // Never one that is there: when any descriptor of a file is closed, the system drops all locks
    // of the process on it, and another process takes itself for the last and deletes the log. For
    // the same reason one at a time: nobody is to open it before this descriptor is closed.
    static ONE: Mutex<()> = Mutex::new(());
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    file.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    let made = file.open(path).map(drop);
    drop(one);
    match made {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => {
            let why = format!("the file cannot be opened for writing ({e})");
            Err(Error::new(Kind::Refused, format!("sqlite:{}: {why}", path.display())))
        }
        // A link to what is not there yet. One that leads to itself exists, in this sense.
        Err(_) if std::fs::metadata(path).is_err_and(|e| e.kind() == ErrorKind::NotFound) => {
            match std::fs::read_link(path) {
                Ok(to) => create(&folder(path).map_or(to.clone(), |folder| folder.join(&to))),
                // Removed since.
                Err(_) => Ok(()),
            }
        }
        // Whether it can be written SQLite itself finds out.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the statements read of a file that version 7 has written.
    #[tokio::test]
    async fn a_file_of_an_older_schema_keeps_its_jobs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut conn = options.connect().await.unwrap();
        for migration in &MIGRATIONS[..7] {
            sqlx::raw_sql(*migration).execute(&mut conn).await.unwrap();
        }
        let before = "UPDATE legwork SET version = 7;
            INSERT INTO jobs (id, record, name, queue, priority, state, ord, due_ms, indexed, errors, cost) VALUES
                (x'00112233445566778899aabbccddeeff', x'7b7d0a31', 'a.job', 'q', 5, 0, 7, 1000, 1, '[]', 3),
                (x'10112233445566778899aabbccddeeff', x'7b7d0a32', 'b.job', 'q', 5, 1, 8, NULL, 0, NULL, 1);
            INSERT INTO queues (name, n0, n1) VALUES ('q', 1, 1);
            INSERT INTO terms VALUES (x'673a61', 1, x'00112233445566778899aabbccddeeff')";
        sqlx::raw_sql(before).execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        let place = Place::File(path);
        assert_eq!(schema(&place).await.unwrap(), Schema::Older(7), "looking changes nothing");
        assert_eq!(schema(&place).await.unwrap(), Schema::Older(7));
        let pools = open(&place, Durability::Fsync).await.unwrap();
        assert_eq!(schema(&place).await.unwrap(), Schema::Own);
        let mut conn = pools.write.acquire().await.unwrap();
        assert_eq!(version(&mut conn).await.unwrap(), VERSION);
        let all = "SELECT group_concat(name || state || ord || cost || hex(record), ' ') FROM jobs";
        let all: String = sqlx::query_scalar(all).fetch_one(&mut *conn).await.unwrap();
        assert_eq!(all, "a.job0737B7D0A31 b.job1817B7D0A32");
        assert_eq!(super::super::audit::audit(&mut conn).await.unwrap(), Vec::<String>::new());
        let gone = "DELETE FROM jobs WHERE indexed = 1";
        sqlx::query(gone).execute(&mut *conn).await.unwrap();
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM terms").fetch_one(&mut *conn).await.unwrap();
        assert_eq!(left, 0, "its terms went with it");
    }

    #[test]
    fn durabilities() {
        let of = |url: &str, wanted| durability(url, &place(url).unwrap(), wanted);
        assert_eq!(of("sqlite:a.db", None).unwrap(), Durability::Fsync);
        assert_eq!(of("sqlite:a.db?ns=x&durability=memory", None).unwrap(), Durability::Memory);
        assert_eq!(of("sqlite:a.db?durability=memory", Some(Durability::Fsync)).unwrap(), Durability::Fsync);
        assert_eq!(of("sqlite::memory:", None).unwrap(), Durability::Memory);
        let line = |url, wanted| of(url, wanted).unwrap_err().to_string();
        assert!(line("sqlite:a.db?durability=paper", None).contains("use memory, fsync or"));
        assert!(line("sqlite:a.db?durability=replicated:1", None).contains("no replicas"));
        assert!(line("sqlite::memory:", Some(Durability::Fsync)).contains("use a file"));
    }

    #[test]
    fn addresses() {
        let file = |path: &str| Place::File(path.into());
        assert_eq!(place("sqlite::memory:").unwrap(), Place::Memory);
        assert_eq!(place("sqlite:a/b.db").unwrap(), file("a/b.db"));
        assert_eq!(place("sqlite:/a.db").unwrap(), file("/a.db"));
        assert_eq!(place("sqlite:///a.db?ns=x").unwrap(), file("/a.db"));
        assert_eq!(place("sqlite://a.db").unwrap(), file("a.db"));
        assert_eq!(place("sqlite:a.db?").unwrap(), file("a.db"));
        assert_eq!(place("sqlite::memory:?ns=x").unwrap(), Place::Memory);
        for bad in ["", "sqlite", "sqlite:", "sqlite://", "sqlite:?x", "redis://a", "sqlite:a\0b"] {
            let line = place(bad).unwrap_err().to_string();
            assert!(line.starts_with("url: ") && !line.contains('\n'), "{line}");
        }
        for (bad, name) in [
            ("sqlite:a.db?durabilty=memory", "\"durabilty\""),
            ("sqlite:a.db?ns=x&mode", "\"mode\""),
            ("sqlite::memory:?shards=2", "\"shards\""),
        ] {
            let line = place(bad).unwrap_err().to_string();
            let said = format!("url: parameter {name} is not known to SQLite; use durability, ns");
            assert_eq!(line, said);
        }
    }
}
