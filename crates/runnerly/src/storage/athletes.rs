//! Athletes: who they are, whether they are connected, how far their runs have been fetched.

use super::{Db, Error, Result, Storage, in_transaction, instant, micros, on_pool};
use crate::strava::{PROVIDER, Tokens};
use chrono::{DateTime, Utc};
use serde_json::Value;

/// Whether we may act for an athlete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// Never connected: only files are imported.
    Local,
    /// Connected: there are tokens.
    Connected,
    /// Was connected; the tokens are gone.
    Revoked,
}

/// How far an athlete's activities have been fetched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sync {
    /// When a sync was last complete.
    pub last_synced_at: Option<DateTime<Utc>>,
    /// Where an unfinished one goes on, in the words of whoever syncs.
    pub cursor: Option<String>,
    /// Activities read so far by the unfinished one, or by the last.
    pub count: i64,
}

/// An athlete.
#[derive(Debug, Clone, PartialEq)]
pub struct Athlete {
    /// The provider's id.
    pub id: i64,
    /// First and last name.
    pub name: String,
    /// The profile as the provider sent it.
    pub profile: Value,
    /// Whether we may act for the athlete.
    pub connection: Connection,
    /// The scopes the athlete granted, separated by commas.
    pub scope: String,
    /// When the access token dies.
    pub expires_at: Option<DateTime<Utc>>,
    /// How far the activities have been fetched.
    pub sync: Sync,
    /// When the athlete was first seen here.
    pub created_at: DateTime<Utc>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    name: String,
    profile: String,
    state: String,
    scope: String,
    expires_at: Option<i64>,
    synced_at: Option<i64>,
    sync_cursor: Option<String>,
    sync_count: i64,
    created_at: i64,
}

impl TryFrom<Row> for Athlete {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: row.id,
            name: row.name,
            profile: serde_json::from_str(&row.profile).map_err(|e| Error::broken("profile", e))?,
            connection: match row.state.as_str() {
                "connected" => Connection::Connected,
                "revoked" => Connection::Revoked,
                _ => Connection::Local,
            },
            scope: row.scope,
            expires_at: row.expires_at.map(instant),
            sync: Sync {
                last_synced_at: row.synced_at.map(instant),
                cursor: row.sync_cursor,
                count: row.sync_count,
            },
            created_at: instant(row.created_at),
        })
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, profile, state, scope, expires_at, synced_at, sync_cursor, sync_count, created_at \
             FROM athletes ",
            $rest
        )
    };
}

const SAVE: &str = "INSERT INTO athletes (id, name, profile, created_at) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, profile = excluded.profile";

const CONNECT: &str = "UPDATE athletes SET state = 'connected', scope = $2, tokens = $3, expires_at = $4, \
    token_version = token_version + 1, refresher = NULL, refresher_until = NULL WHERE id = $1";

const REVOKE: &str = "UPDATE athletes SET state = 'revoked', scope = '', tokens = NULL, expires_at = NULL, \
    token_version = token_version + 1, refresher = NULL, refresher_until = NULL WHERE id = $1 AND state = 'connected'";

const SAVE_SYNC: &str = "UPDATE athletes SET synced_at = $2, sync_cursor = $3, sync_count = $4 WHERE id = $1";

impl Storage {
    /// Makes an athlete, or gives a known one another name and profile; the connection stays as it is.
    ///
    /// # Errors
    /// The database fails.
    pub async fn save_athlete(&self, id: i64, name: &str, profile: &Value) -> Result<()> {
        let profile = profile.to_string();
        let now = micros(Utc::now());
        on_pool!(self, pool => {
            sqlx::query(SAVE).bind(id).bind(name).bind(&profile).bind(now).execute(pool).await.map(drop)?;
        });
        Ok(())
    }

    /// Saves an athlete who has just connected, with the granted `scope` and the first tokens, in one step.
    ///
    /// # Errors
    /// The tokens cannot be sealed, or the database fails.
    pub async fn connect_athlete(
        &self,
        id: i64,
        name: &str,
        profile: &Value,
        scope: &str,
        tokens: &Tokens,
    ) -> Result<()> {
        let sealed = self.seal(id, tokens)?;
        let (profile, now, expires) = (profile.to_string(), micros(Utc::now()), micros(tokens.expires_at));
        in_transaction!(self, tx => {
            sqlx::query(SAVE).bind(id).bind(name).bind(&profile).bind(now).execute(&mut *tx).await.map(drop)?;
            let connect = sqlx::query(CONNECT).bind(id).bind(scope).bind(&sealed).bind(expires);
            connect.execute(&mut *tx).await.map(drop)?;
        });
        Ok(())
    }

    /// Forgets the tokens of an athlete who is no longer connected. A refresh under way cannot bring them back. Says
    /// whether the athlete was connected.
    ///
    /// # Errors
    /// The database fails.
    pub async fn revoke_athlete(&self, id: i64) -> Result<bool> {
        Ok(on_pool!(self, pool => sqlx::query(REVOKE).bind(id).execute(pool).await?.rows_affected()) == 1)
    }

    /// Deletes an athlete and everything that belongs to the athlete. Says whether there was one.
    ///
    /// # Errors
    /// The database fails.
    pub async fn delete_athlete(&self, id: i64) -> Result<bool> {
        const SQL: &str = "DELETE FROM athletes WHERE id = $1";
        Ok(on_pool!(self, pool => sqlx::query(SQL).bind(id).execute(pool).await?.rows_affected()) == 1)
    }

    /// One athlete.
    ///
    /// # Errors
    /// The database fails.
    pub async fn athlete(&self, id: i64) -> Result<Option<Athlete>> {
        const SQL: &str = select!("WHERE id = $1");
        let row = on_pool!(self, pool => sqlx::query_as::<_, Row>(SQL).bind(id).fetch_optional(pool).await?);
        row.map(Athlete::try_from).transpose()
    }

    /// All athletes, by id.
    ///
    /// # Errors
    /// The database fails.
    pub async fn athletes(&self) -> Result<Vec<Athlete>> {
        const SQL: &str = select!("ORDER BY id");
        let rows = on_pool!(self, pool => sqlx::query_as::<_, Row>(SQL).fetch_all(pool).await?);
        rows.into_iter().map(Athlete::try_from).collect()
    }

    /// Saves how far the activities of an athlete have been fetched.
    ///
    /// # Errors
    /// [`Error::UnknownAthlete`], or the database fails.
    pub async fn save_sync(&self, id: i64, sync: &Sync) -> Result<()> {
        let at = sync.last_synced_at.map(micros);
        let saved = on_pool!(self, pool => {
            let query = sqlx::query(SAVE_SYNC).bind(id).bind(at).bind(&sync.cursor).bind(sync.count);
            query.execute(pool).await?.rows_affected()
        });
        if saved == 1 { Ok(()) } else { Err(Error::UnknownAthlete(id)) }
    }

    /// Seals the tokens of every athlete anew whose key is no longer the first. Says how many there were.
    ///
    /// # Errors
    /// A key is missing, or the database fails.
    pub async fn reseal_tokens(&self) -> Result<u64> {
        const FIND: &str = "SELECT id, tokens FROM athletes WHERE tokens IS NOT NULL";
        // By content, not by version: the tokens are the same, and a refresh under way must not be disturbed.
        const REPLACE: &str = "UPDATE athletes SET tokens = $2 WHERE id = $1 AND tokens = $3";
        let rows = on_pool!(self, pool => sqlx::query_as::<_, (i64, Vec<u8>)>(FIND).fetch_all(pool).await?);
        let mut resealed = 0;
        for (id, old) in rows.into_iter().filter(|(_, sealed)| self.keys.is_outdated(sealed)) {
            let new = self.keys.seal(PROVIDER, id, &self.keys.open(PROVIDER, id, &old)?)?;
            resealed += on_pool!(self, pool => {
                sqlx::query(REPLACE).bind(id).bind(&new).bind(&old).execute(pool).await?.rows_affected()
            });
        }
        Ok(resealed)
    }

    /// Which database this is: `sqlite` or `postgres`.
    pub fn backend(&self) -> &'static str {
        match self.db {
            Db::Sqlite(_) => "sqlite",
            Db::Pg(_) => "postgres",
        }
    }
}
