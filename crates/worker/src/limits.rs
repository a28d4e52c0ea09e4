//! What an answer of Strava's means for a job: above all, that a spent rate limit pauses
//! the whole queue and spends nobody's attempt.

use legwork::{Context, Failure};
use runnerly::app::App;
use runnerly::jobs::STRAVA;
use runnerly::storage::RefreshError;
use runnerly::strava::{Error, Strava};
use secrecy::SecretString;
use std::time::Duration;

/// Calls Strava for an athlete with a token that lives; once more with a new one where
/// Strava has refused a token that should live.
pub(crate) async fn call<T, F: Future<Output = Result<T, Error>>>(
    cx: &Context<App>,
    athlete: i64,
    call: impl Fn(Strava, SecretString) -> F,
) -> Result<T, Failure> {
    let app = cx.state();
    let token = token(cx, athlete, None).await?;
    // One call before the limit: a refused call would count against the day as well.
    if let Some(pause) = app.strava.usage().and_then(|usage| usage.pause_at_speed(1, app.strava_speed)) {
        return Err(limited(cx, pause.wait).await);
    }
    match call(app.strava.clone(), token.clone()).await {
        Err(Error::Unauthorized { .. }) => {
            let renewed = self::token(cx, athlete, Some(&token)).await?;
            match call(app.strava.clone(), renewed).await {
                Ok(answer) => Ok(answer),
                Err(e) => Err(failure(cx, e).await),
            }
        }
        Err(e) => Err(failure(cx, e).await),
        Ok(answer) => Ok(answer),
    }
}

pub(crate) async fn token(
    cx: &Context<App>,
    athlete: i64,
    dead: Option<&SecretString>,
) -> Result<SecretString, Failure> {
    match cx.state().token(athlete, dead).await {
        Ok(token) => Ok(token),
        Err(RefreshError::NotConnected(_)) => {
            Err(Failure::cancel(format!("athlete {athlete} is not connected")))
        }
        Err(RefreshError::Busy(_)) => Err(Failure::snooze(Duration::from_secs(5))),
        Err(RefreshError::Refused(e @ Error::Unauthorized { .. })) => {
            // Strava has ended the connection; asking again and again would not mend it.
            cx.state().storage.revoke_athlete(athlete).await?;
            Err(Failure::discard(format!("the athlete must connect again: {e}")))
        }
        Err(RefreshError::Refused(e)) => Err(failure(cx, e).await),
        Err(RefreshError::Storage(e)) => Err(Failure::retry(e)),
    }
}

async fn failure(cx: &Context<App>, error: Error) -> Failure {
    match error {
        Error::RateLimited { wait, .. } => limited(cx, wait).await,
        e if e.is_transient() => Failure::retry(e),
        e => Failure::discard(e),
    }
}

/// Pauses everything that calls Strava until the window turns, and puts this job back
/// without spending an attempt.
async fn limited(cx: &Context<App>, wait: Duration) -> Failure {
    let wait = cx.state().real(wait) + Duration::from_millis(200);
    tracing::warn!(?wait, "Strava's limit is spent; the queue {STRAVA} pauses");
    if let Err(e) = cx.client().pause_for(STRAVA, wait).await {
        tracing::warn!(error = %e, "the queue could not be paused; each job finds out by itself");
    }
    Failure::snooze(wait)
}
