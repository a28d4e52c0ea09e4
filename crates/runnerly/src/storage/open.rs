//! Opening a database by its address, and bringing its tables up to date.

use super::{Db, Error, Result, Storage};
use crate::secret::Keyring;
use legwork::Client;
use legwork::outbox::{self, Relay};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, SqlitePool};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

static SQLITE: Migrator = sqlx::migrate!("./migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("./migrations/postgres");

/// How long a statement waits for another process that writes.
const BUSY: Duration = Duration::from_secs(10);

impl Storage {
    /// Opens the database at `url` and brings its tables up to date. `keys` seal the tokens in it.
    ///
    /// Allowed are `sqlite:/path/to/runnerly.db` (made when it is missing), `sqlite::memory:` (gone with the last clone)
    /// and `postgres://user@host/database`. Several processes may open the same database at once.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use runnerly::{secret::Keyring, storage::Storage};
    /// let storage = Storage::open("sqlite::memory:", Keyring::random().unwrap()).await.unwrap();
    /// assert!(storage.athletes().await.unwrap().is_empty());
    /// let error = Storage::open("mysql://root:hush@host/db", Keyring::random().unwrap()).await.unwrap_err();
    /// assert!(error.to_string().starts_with("database url: cannot use mysql; allowed are sqlite:/path"));
    /// # });
    /// ```
    ///
    /// # Errors
    /// [`Error::BadUrl`], [`Error::Away`], [`Error::Open`] or [`Error::Newer`].
    pub async fn open(url: &str, keys: Keyring) -> Result<Self> {
        let db = match read(url)? {
            Address::Sqlite { options, memory } => Db::Sqlite(open_sqlite(options, memory).await?),
            Address::Pg(options) => Db::Pg(open_postgres(options).await?),
        };
        let storage = Self { db, keys: Arc::new(keys) };
        super::on_pool!(storage, pool => outbox::migrate(pool).await?);
        Ok(storage)
    }

    /// Whether `url` is one that [`Storage::open`] takes. Opens and makes nothing.
    ///
    /// ```
    /// use runnerly::storage::Storage;
    /// assert!(Storage::check("postgres://me@localhost/runs").is_ok());
    /// assert!(Storage::check("runs.db").is_err());
    /// ```
    ///
    /// # Errors
    /// [`Error::BadUrl`].
    pub fn check(url: &str) -> Result<()> {
        read(url).map(drop)
    }

    /// Hands over to the queue what was written into the outbox. Every worker runs one; they take turns.
    pub fn relay(&self, jobs: &Client) -> Relay {
        super::on_pool!(self, pool => Relay::new(jobs.clone(), pool.clone()))
    }

    /// Closes the connections, after what is under way.
    pub async fn close(&self) {
        match &self.db {
            Db::Sqlite(pool) => pool.close().await,
            Db::Pg(pool) => pool.close().await,
        }
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn ping(&self) -> Result<()> {
        super::on_pool!(self, pool => sqlx::query("SELECT 1").execute(pool).await.map(drop)?);
        Ok(())
    }
}

fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

/// What an address says.
enum Address {
    Sqlite { options: SqliteConnectOptions, memory: bool },
    Pg(PgConnectOptions),
}

fn read(url: &str) -> Result<Address> {
    let (scheme, path) = url.split_once(':').unwrap_or(("", url));
    match scheme {
        "sqlite" => {}
        "postgres" | "postgresql" => {
            let options = PgConnectOptions::from_str(url)
                .map_err(|_| Error::BadUrl("not a PostgreSQL address".to_owned()))?;
            return Ok(Address::Pg(options.application_name("runnerly")));
        }
        "" => return Err(Error::BadUrl("no scheme".to_owned())),
        // Never the whole address: it may hold a password.
        other => return Err(Error::BadUrl(format!("cannot use {}", plain(other)))),
    }
    let memory = path == ":memory:" || path == "//:memory:";
    if !memory && path.trim_start_matches('/').is_empty() {
        return Err(Error::BadUrl("the path is empty".to_owned()));
    }
    let options = SqliteConnectOptions::from_str(url)
        .map_err(|e| Error::BadUrl(format!("not an SQLite address ({})", plain(&e.to_string()))))?
        .create_if_missing(true)
        .foreign_keys(true)
        .busy_timeout(BUSY)
        .synchronous(SqliteSynchronous::Normal);
    Ok(Address::Sqlite { options, memory })
}

async fn open_sqlite(options: SqliteConnectOptions, memory: bool) -> Result<SqlitePool> {
    if memory {
        // One connection that never ends: the data live in it.
        let lasting = SqlitePoolOptions::new().min_connections(1).max_connections(1);
        let lasting = lasting.idle_timeout(None).max_lifetime(None).acquire_timeout(BUSY);
        return migrated(lasting.connect_with(options).await.map_err(cannot_open)?).await;
    }
    let options = options.journal_mode(SqliteJournalMode::Wal);
    let deadline = Instant::now() + BUSY;
    loop {
        let pools = SqlitePoolOptions::new().max_connections(5).acquire_timeout(BUSY);
        let opened = match pools.connect_with(options.clone()).await {
            Ok(pool) => migrated(pool).await,
            Err(e) => Err(cannot_open(e)),
        };
        match opened {
            // Turning a new file to WAL takes it whole, and SQLite does not let that wait for `busy_timeout`: of
            // several first starts at once, all but one are told at once that it is locked.
            Err(Error::Away(_)) if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(rand::random_range(10..50))).await;
            }
            opened => return opened,
        }
    }
}

async fn migrated(pool: SqlitePool) -> Result<SqlitePool> {
    // SQLite's migrations take no lock of their own: two first starts at once would both create the tables.
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(cannot_open)?;
    SQLITE.run_direct(None, &mut *tx, false).await.map_err(migration_failed)?;
    tx.commit().await.map_err(cannot_open)?;
    Ok(pool)
}

async fn open_postgres(options: PgConnectOptions) -> Result<PgPool> {
    let pools = PgPoolOptions::new().max_connections(10).acquire_timeout(BUSY);
    let pool = pools.connect_with(options).await.map_err(cannot_open)?;
    POSTGRES.run(&pool).await.map_err(migration_failed)?;
    Ok(pool)
}

fn cannot_open(e: sqlx::Error) -> Error {
    let told = e.to_string().replace('\n', " ");
    if Error::Database(e).is_unavailable() { Error::Away(told) } else { Error::Open(told) }
}

fn migration_failed(e: MigrateError) -> Error {
    match e {
        MigrateError::VersionMissing(version) => Error::Newer(version),
        other => Error::Open(other.to_string().replace('\n', " ")),
    }
}
