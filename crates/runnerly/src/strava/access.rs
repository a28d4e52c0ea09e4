//! A live access token, from the database or from Strava.

use super::{Error, Strava, Tokens};
use crate::storage::{RefreshError, Storage};
use chrono::TimeDelta;
use secrecy::SecretString;

/// An access token of an athlete that lives for at least `margin` more, refreshed and stored first if it must be.
/// Whoever calls this at the same time, in whatever process, waits and gets the same token. `dead` is a token that Strava
/// has just refused with 401. A caller may be cancelled at any point: what Strava hands out is stored all the same.
///
/// # Errors
/// [`RefreshError`]; if it holds [`Error::Unauthorized`], the athlete must connect again.
pub async fn access_token(
    storage: &Storage,
    strava: &Strava,
    athlete: i64,
    margin: TimeDelta,
    dead: Option<&SecretString>,
) -> Result<SecretString, RefreshError<Error>> {
    let (storage, strava, dead) = (storage.clone(), strava.clone(), dead.cloned());
    // A task of its own: a caller that is cancelled between Strava's answer and the database would lose the only
    // refresh token there is.
    let work = async move {
        let refresh = async |old: Tokens| strava.refresh(&old.refresh).await;
        storage.fresh_token(athlete, margin, dead.as_ref(), refresh).await
    };
    match tokio::spawn(work).await {
        Ok(outcome) => outcome.map(|fresh| fresh.access),
        // The process is going down.
        Err(_) => Err(RefreshError::Busy(athlete)),
    }
}
