//! What can go wrong.

use crate::secret::SecretError;

/// Why a storage call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address of the database is not one.
    #[error(
        "database url: {0}; allowed are sqlite:/path/to/runnerly.db, sqlite::memory: and postgres://user@host/database"
    )]
    BadUrl(String),
    /// The database cannot be opened.
    #[error("cannot open the database: {0}")]
    Open(String),
    /// The database does not answer.
    #[error("cannot open the database: {0}")]
    Away(String),
    /// The database was written by a newer Runnerly.
    #[error(
        "the database was written by a newer Runnerly (its migration {0} is unknown here); update this one"
    )]
    Newer(i64),
    /// There is no such athlete: never connected, or deleted meanwhile.
    #[error("athlete {0} is not known")]
    UnknownAthlete(i64),
    /// An athlete has planned as much as can be.
    #[error("plan: at most {} runs; delete old ones first", crate::plan::MOST)]
    PlanFull,
    /// A job cannot be written into the outbox, or the outbox cannot be read.
    #[error(transparent)]
    Outbox(#[from] legwork::Error),
    /// A token cannot be sealed or opened.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// What was stored cannot be read back.
    #[error("stored {what} cannot be read: {reason}")]
    Broken {
        /// What it is.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The database failed.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
}

impl Error {
    /// Whether the same call may succeed later: the database is away, or too busy.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Away(_) => true,
            Self::Outbox(e) => e.is_unavailable(),
            Self::Database(sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed) => true,
            Self::Database(sqlx::Error::Database(e)) => {
                // SQLite: busy, locked. PostgreSQL: connection lost, shutting down, serialization, deadlock.
                let code = e.code().unwrap_or_default();
                ["5", "6", "261", "517"].contains(&&*code)
                    || ["08", "57", "40"].iter().any(|class| code.len() == 5 && code.starts_with(class))
            }
            _ => false,
        }
    }

    pub(super) fn broken(what: &'static str, reason: impl ToString) -> Self {
        Self::Broken { what, reason: reason.to_string() }
    }

    /// A row that points to an athlete who is not there is the only foreign key a caller can get wrong.
    pub(super) fn of_athlete(e: sqlx::Error, athlete: i64) -> Self {
        match &e {
            sqlx::Error::Database(inner) if inner.is_foreign_key_violation() => Self::UnknownAthlete(athlete),
            _ => Self::Database(e),
        }
    }
}
