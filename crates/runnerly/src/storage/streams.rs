//! The samples of activities, compressed, and what is known about those that have none.

use super::{Error, Result, Storage, in_transaction, on_pool};
use crate::run::Streams;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use std::io::{BufReader, Write};

/// What is known of an activity's samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamState {
    /// Nobody has asked yet, or the recording has changed since.
    Unknown,
    /// They were fetched, and are kept unless they were purged since.
    Fetched,
    /// There are none.
    Absent,
}

const FETCHED: &str = "UPDATE activities SET stream_state = 'fetched' WHERE athlete = $1 AND id = $2";

const SAVE: &str = "INSERT INTO streams (athlete, activity, body) VALUES ($1, $2, $3) \
    ON CONFLICT (athlete, activity) DO UPDATE SET body = excluded.body";

impl Storage {
    /// Ids of runs fetched from the provider whose samples nobody has asked for, the latest first, at most `limit`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn runs_without_streams(&self, athlete: i64, limit: u32) -> Result<Vec<i64>> {
        const SQL: &str = "SELECT id FROM activities WHERE athlete = $1 AND stream_state = 'unknown' \
            AND source = 'strava' AND sport IN ('Run', 'TrailRun', 'VirtualRun') ORDER BY start_at DESC, id DESC LIMIT $2";
        let limit = i64::from(limit);
        Ok(on_pool!(self, pool => sqlx::query_scalar(SQL).bind(athlete).bind(limit).fetch_all(pool).await?))
    }

    /// Saves the samples of an activity. Says whether it is there: it may have been deleted meanwhile.
    ///
    /// # Errors
    /// The database fails.
    pub async fn save_streams(&self, athlete: i64, activity: i64, streams: &Streams) -> Result<bool> {
        let body = pack(streams.clone()).await?;
        Ok(in_transaction!(self, tx => {
            let known = sqlx::query(FETCHED).bind(athlete).bind(activity).execute(&mut *tx).await?.rows_affected() == 1;
            if known {
                sqlx::query(SAVE).bind(athlete).bind(activity).bind(&body).execute(&mut *tx).await.map(drop)?;
            }
            known
        }))
    }

    /// Remembers that an activity has no samples. Says whether it is there.
    ///
    /// # Errors
    /// The database fails.
    pub async fn mark_streams_absent(&self, athlete: i64, activity: i64) -> Result<bool> {
        const ABSENT: &str = "UPDATE activities SET stream_state = 'absent' WHERE athlete = $1 AND id = $2";
        const DELETE: &str = "DELETE FROM streams WHERE athlete = $1 AND activity = $2";
        Ok(in_transaction!(self, tx => {
            let known = sqlx::query(ABSENT).bind(athlete).bind(activity).execute(&mut *tx).await?.rows_affected() == 1;
            sqlx::query(DELETE).bind(athlete).bind(activity).execute(&mut *tx).await.map(drop)?;
            known
        }))
    }

    /// What is known of an activity's samples; `None` if there is no such activity.
    ///
    /// # Errors
    /// The database fails.
    pub async fn stream_state(&self, athlete: i64, activity: i64) -> Result<Option<StreamState>> {
        const SQL: &str = "SELECT stream_state FROM activities WHERE athlete = $1 AND id = $2";
        let state: Option<String> = on_pool!(self, pool => {
            sqlx::query_scalar(SQL).bind(athlete).bind(activity).fetch_optional(pool).await?
        });
        Ok(state.map(|state| match state.as_str() {
            "fetched" => StreamState::Fetched,
            "absent" => StreamState::Absent,
            _ => StreamState::Unknown,
        }))
    }

    /// The samples of an activity, if they are kept.
    ///
    /// # Errors
    /// They cannot be read back, or the database fails.
    pub async fn streams(&self, athlete: i64, activity: i64) -> Result<Option<Streams>> {
        const SQL: &str = "SELECT body FROM streams WHERE athlete = $1 AND activity = $2";
        let body: Option<Vec<u8>> = on_pool!(self, pool => {
            sqlx::query_scalar(SQL).bind(athlete).bind(activity).fetch_optional(pool).await?
        });
        match body {
            Some(body) => unpack(body).await.map(Some),
            None => Ok(None),
        }
    }
}

/// Compresses apart from the async threads: a day-long run takes a while.
async fn pack(streams: Streams) -> Result<Vec<u8>> {
    let work = move || {
        let json = serde_json::to_vec(&streams)?;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&json)?;
        gzip.finish()
    };
    tokio::task::spawn_blocking(work).await.map_err(broken)?.map_err(broken)
}

async fn unpack(body: Vec<u8>) -> Result<Streams> {
    let work = move || serde_json::from_reader(BufReader::new(GzDecoder::new(body.as_slice())));
    tokio::task::spawn_blocking(work).await.map_err(broken)?.map_err(broken)
}

fn broken(e: impl ToString) -> Error {
    Error::broken("streams", e)
}
