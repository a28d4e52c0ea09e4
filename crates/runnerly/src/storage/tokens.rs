//! Tokens: sealed at rest, replaced in one step, refreshed by one process at a time.
//!
//! Strava kills the old refresh token as soon as it hands out another, so two refreshers at once can lose an athlete.
//! A lease in the athlete's row, by the database's clock, lets one process refresh; the others wait and read what it
//! stored. The lease is a courtesy, the version is the truth: tokens are only replaced by whoever knows the version
//! that they replace, so a refresher that overslept its lease, or a revoked athlete, changes nothing.

use super::{Error, Result, Storage, micros, on_pool, with_now};
use crate::strava::{PROVIDER, Tokens};
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::{Duration, Instant};

/// Tokens, and which version of them they are.
#[derive(Debug, Clone)]
pub struct Held {
    /// The tokens.
    pub tokens: Tokens,
    /// Grows with every change.
    pub version: i64,
}

/// What became of tokens that were to be saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// They are stored.
    Saved,
    /// Others were stored meanwhile, or the athlete was revoked: nothing has changed, read again.
    Stale,
}

/// The right to refresh one athlete's tokens for a while.
#[derive(Debug)]
pub struct RefreshLease {
    athlete: i64,
    holder: String,
}

/// An access token that lives long enough.
#[derive(Debug, Clone)]
pub struct Fresh {
    /// The token.
    pub access: SecretString,
    /// Whether this call refreshed it.
    pub refreshed: bool,
}

/// Why there is no fresh token.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError<E> {
    /// The athlete is not connected.
    #[error("athlete {0} is not connected")]
    NotConnected(i64),
    /// Another process has been refreshing for too long.
    #[error("another process is still refreshing the token of athlete {0}; try again later")]
    Busy(i64),
    /// The provider gave no new token.
    #[error(transparent)]
    Refused(E),
    /// The database failed.
    #[error(transparent)]
    Storage(Error),
}

/// What is sealed.
#[derive(Serialize, Deserialize)]
struct Plain<'a> {
    access: Cow<'a, str>,
    refresh: Cow<'a, str>,
    expires_at: DateTime<Utc>,
}

/// How long one refresh may take before another process may try.
const LEASE: Duration = Duration::from_secs(60);
/// How often the waiting look.
const LOOK: Duration = Duration::from_millis(50);

impl Storage {
    /// The tokens of an athlete; `None` when not connected.
    ///
    /// # Errors
    /// They cannot be opened, or the database fails.
    pub async fn tokens(&self, athlete: i64) -> Result<Option<Held>> {
        const SQL: &str = "SELECT tokens, token_version FROM athletes WHERE id = $1 AND tokens IS NOT NULL";
        let row = on_pool!(self, pool => {
            sqlx::query_as::<_, (Vec<u8>, i64)>(SQL).bind(athlete).fetch_optional(pool).await?
        });
        let Some((sealed, version)) = row else {
            return Ok(None);
        };
        let plain = self.keys.open(PROVIDER, athlete, &sealed)?;
        let plain: Plain<'_> =
            serde_json::from_slice(&plain).map_err(|_| Error::broken("tokens", "not JSON"))?;
        let tokens = Tokens {
            access: plain.access.into_owned().into(),
            refresh: plain.refresh.into_owned().into(),
            expires_at: plain.expires_at,
        };
        Ok(Some(Held { tokens, version }))
    }

    /// Replaces tokens of this `version` in one step. Save new tokens before they are used.
    ///
    /// # Errors
    /// They cannot be sealed, or the database fails.
    pub async fn save_tokens(&self, athlete: i64, version: i64, tokens: &Tokens) -> Result<Saved> {
        const SQL: &str = "UPDATE athletes SET tokens = $3, expires_at = $4, token_version = token_version + 1 \
            WHERE id = $1 AND token_version = $2 AND state = 'connected'";
        let (sealed, expires) = (self.seal(athlete, tokens)?, micros(tokens.expires_at));
        let saved = on_pool!(self, pool => {
            let query = sqlx::query(SQL).bind(athlete).bind(version).bind(&sealed).bind(expires);
            query.execute(pool).await?.rows_affected()
        });
        Ok(if saved == 1 { Saved::Saved } else { Saved::Stale })
    }

    /// Takes the right to refresh an athlete's tokens for `ttl`, unless another process has it.
    ///
    /// # Errors
    /// The database fails.
    pub async fn try_lease_refresh(&self, athlete: i64, ttl: Duration) -> Result<Option<RefreshLease>> {
        let sql = with_now!(
            self,
            "UPDATE athletes SET refresher = $2, refresher_until = $3 + ",
            " WHERE id = $1 AND (refresher IS NULL OR refresher_until <= ",
            ")"
        );
        let holder = format!("{:016x}", rand::random::<u64>());
        let ttl = i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX / 4);
        let leased = on_pool!(self, pool => {
            sqlx::query(sql).bind(athlete).bind(&holder).bind(ttl).execute(pool).await?.rows_affected()
        });
        Ok((leased == 1).then_some(RefreshLease { athlete, holder }))
    }

    /// Gives the right to refresh back, if it is still held.
    ///
    /// # Errors
    /// The database fails; the right then ends by itself.
    pub async fn release_refresh(&self, lease: RefreshLease) -> Result<()> {
        const SQL: &str =
            "UPDATE athletes SET refresher = NULL, refresher_until = NULL WHERE id = $1 AND refresher = $2";
        on_pool!(self, pool => {
            sqlx::query(SQL).bind(lease.athlete).bind(&lease.holder).execute(pool).await.map(drop)?;
        });
        Ok(())
    }

    /// An access token that lives for at least `margin` more. Calls `refresh` with the old tokens if it must, in one
    /// process at a time, and stores the new ones before it returns. `dead` is an access token that the provider has
    /// refused although it should live: it counts as expired.
    ///
    /// A caller that is cancelled while `refresh` runs may lose the only refresh token there is; [`access_token`] guards
    /// against that.
    ///
    /// [`access_token`]: crate::strava::access_token
    ///
    /// # Errors
    /// [`RefreshError`]; what `refresh` returned is passed on.
    pub async fn fresh_token<E>(
        &self,
        athlete: i64,
        margin: TimeDelta,
        dead: Option<&SecretString>,
        refresh: impl AsyncFnOnce(Tokens) -> std::result::Result<Tokens, E>,
    ) -> std::result::Result<Fresh, RefreshError<E>> {
        let is_fresh = |held: &Held| {
            let refused = dead.is_some_and(|dead| dead.expose_secret() == held.tokens.access.expose_secret());
            held.tokens.is_fresh(margin) && !refused
        };
        let deadline = Instant::now() + LEASE + LEASE;
        loop {
            let held = self.held(athlete).await?;
            if is_fresh(&held) {
                return Ok(Fresh { access: held.tokens.access, refreshed: false });
            }
            if let Some(lease) =
                self.try_lease_refresh(athlete, LEASE).await.map_err(RefreshError::Storage)?
            {
                // Read again: the one before us may have refreshed between our look and our lease.
                let outcome = match self.held(athlete).await {
                    Ok(held) if is_fresh(&held) => Ok(Fresh { access: held.tokens.access, refreshed: false }),
                    Ok(held) => self.refresh_held(athlete, held, refresh).await,
                    Err(e) => Err(e),
                };
                // If this fails, the lease ends by itself; the outcome matters more.
                if let Err(e) = self.release_refresh(lease).await {
                    tracing::warn!(athlete, error = %e, "a refresh lease was not given back");
                }
                return outcome;
            }
            if Instant::now() >= deadline {
                return Err(RefreshError::Busy(athlete));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn refresh_held<E>(
        &self,
        athlete: i64,
        held: Held,
        refresh: impl AsyncFnOnce(Tokens) -> std::result::Result<Tokens, E>,
    ) -> std::result::Result<Fresh, RefreshError<E>> {
        let refreshed = match refresh(held.tokens).await {
            Ok(tokens) => {
                let saved =
                    self.save_tokens(athlete, held.version, &tokens).await.map_err(RefreshError::Storage)?;
                (saved == Saved::Saved).then_some(tokens).ok_or(None)
            }
            Err(e) => Err(Some(e)),
        };
        let refused = match refreshed {
            Ok(tokens) => {
                return Ok(Fresh { access: tokens.access, refreshed: true });
            }
            Err(refused) => refused,
        };
        // Another process outlived our lease and was first: then its tokens count, whatever we were told.
        let now = self.held(athlete).await?;
        match refused {
            Some(e) if now.version == held.version => Err(RefreshError::Refused(e)),
            _ => Ok(Fresh { access: now.tokens.access, refreshed: false }),
        }
    }

    async fn held<E>(&self, athlete: i64) -> std::result::Result<Held, RefreshError<E>> {
        let held = self.tokens(athlete).await.map_err(RefreshError::Storage)?;
        held.ok_or(RefreshError::NotConnected(athlete))
    }

    pub(super) fn seal(&self, athlete: i64, tokens: &Tokens) -> Result<Vec<u8>> {
        let plain = Plain {
            access: tokens.access.expose_secret().into(),
            refresh: tokens.refresh.expose_secret().into(),
            expires_at: tokens.expires_at,
        };
        let plain = serde_json::to_vec(&plain).map_err(|e| Error::broken("tokens", e))?;
        Ok(self.keys.seal(PROVIDER, athlete, &plain)?)
    }
}
