//! Files that athletes hand in, until they are imported.

use super::{Error, Result, Storage, in_transaction, instant, micros, on_pool};
use crate::jobs::ImportFile;
use chrono::{DateTime, Utc};
use legwork::{JobId, outbox};

/// How far a file has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadState {
    /// Not read yet.
    Waiting,
    /// Read: the activity it became.
    Imported {
        /// Its id.
        activity: i64,
    },
    /// Cannot be read.
    Failed {
        /// Why, in words for the athlete.
        error: String,
    },
}

/// A file that an athlete handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its id, chosen by whoever took it in.
    pub id: String,
    /// Whose it is.
    pub athlete: i64,
    /// Its name.
    pub name: String,
    /// Its length in bytes.
    pub size: i64,
    /// How far it has come.
    pub state: UploadState,
    /// When it was handed in.
    pub created_at: DateTime<Utc>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    athlete: i64,
    name: String,
    size: i64,
    state: String,
    error: Option<String>,
    activity: Option<i64>,
    created_at: i64,
}

impl From<Row> for Upload {
    fn from(row: Row) -> Self {
        let state = match (row.state.as_str(), row.activity) {
            ("imported", Some(activity)) => UploadState::Imported { activity },
            ("failed", _) => UploadState::Failed { error: row.error.unwrap_or_default() },
            _ => UploadState::Waiting,
        };
        let (id, athlete, name, size) = (row.id, row.athlete, row.name, row.size);
        Self { id, athlete, name, size, state, created_at: instant(row.created_at) }
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT id, athlete, name, size, state, error, activity, created_at FROM uploads ", $rest)
    };
}

impl Storage {
    /// Keeps a file until it is imported, and with it the job that imports it: both or neither. The same id again
    /// changes nothing; says the job's id where it is new.
    ///
    /// # Errors
    /// [`Error::UnknownAthlete`], or the database fails.
    pub async fn save_upload(
        &self,
        id: &str,
        athlete: i64,
        name: &str,
        bytes: &[u8],
    ) -> Result<Option<JobId>> {
        const SQL: &str = "INSERT INTO uploads (id, athlete, name, size, bytes, state, created_at) \
            VALUES ($1, $2, $3, $4, $5, 'waiting', $6) ON CONFLICT (id) DO NOTHING";
        let (size, now) = (i64::try_from(bytes.len()).unwrap_or(i64::MAX), micros(Utc::now()));
        Ok(in_transaction!(self, tx => {
            let save = sqlx::query(SQL).bind(id).bind(athlete).bind(name).bind(size).bind(bytes).bind(now);
            let saved = save.execute(&mut *tx).await.map_err(|e| Error::of_athlete(e, athlete))?;
            match saved.rows_affected() {
                0 => None,
                _ => Some(outbox::enqueue(&mut tx, ImportFile { athlete, upload: id.to_owned() }).await?),
            }
        }))
    }

    /// One file, without its content.
    ///
    /// # Errors
    /// The database fails.
    pub async fn upload(&self, id: &str) -> Result<Option<Upload>> {
        const SQL: &str = select!("WHERE id = $1");
        let row = on_pool!(self, pool => sqlx::query_as::<_, Row>(SQL).bind(id).fetch_optional(pool).await?);
        Ok(row.map(Upload::from))
    }

    /// The content of a file; `None` once it is imported.
    ///
    /// # Errors
    /// The database fails.
    pub async fn upload_bytes(&self, id: &str) -> Result<Option<Vec<u8>>> {
        const SQL: &str = "SELECT bytes FROM uploads WHERE id = $1";
        let bytes: Option<Option<Vec<u8>>> =
            on_pool!(self, pool => sqlx::query_scalar(SQL).bind(id).fetch_optional(pool).await?);
        Ok(bytes.flatten())
    }

    /// The files of an athlete, the latest first, at most `limit`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn uploads(&self, athlete: i64, limit: u32) -> Result<Vec<Upload>> {
        const SQL: &str = select!("WHERE athlete = $1 ORDER BY created_at DESC, id DESC LIMIT $2");
        let limit = i64::from(limit);
        let rows = on_pool!(self, pool => {
            sqlx::query_as::<_, Row>(SQL).bind(athlete).bind(limit).fetch_all(pool).await?
        });
        Ok(rows.into_iter().map(Upload::from).collect())
    }

    /// Remembers what a file became and drops its content. Says whether there is such a file.
    ///
    /// # Errors
    /// The database fails.
    pub async fn upload_imported(&self, id: &str, activity: i64) -> Result<bool> {
        const SQL: &str =
            "UPDATE uploads SET state = 'imported', activity = $2, error = NULL, bytes = NULL WHERE id = $1";
        Ok(
            on_pool!(self, pool => sqlx::query(SQL).bind(id).bind(activity).execute(pool).await?.rows_affected())
                == 1,
        )
    }

    /// Remembers why a file cannot be read and keeps its content; one that is imported already stays so. Says whether
    /// anything has changed.
    ///
    /// # Errors
    /// The database fails.
    pub async fn upload_failed(&self, id: &str, error: &str) -> Result<bool> {
        const SQL: &str =
            "UPDATE uploads SET state = 'failed', error = $2 WHERE id = $1 AND state <> 'imported'";
        Ok(on_pool!(self, pool => sqlx::query(SQL).bind(id).bind(error).execute(pool).await?.rows_affected())
            == 1)
    }
}
