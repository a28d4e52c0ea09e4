//! Strava's budget: one limit of the queue `strava`, which all workers share. What Strava tells
//! feeds it; a job that finds it spent is put back without spending an attempt.

use legwork::{Client, Context, Failure, Limit, Rate};
use runnerly::app::App;
use runnerly::jobs::STRAVA;
use runnerly::storage::RefreshError;
use runnerly::strava::{Error, Left, Strava};
use secrecy::SecretString;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Calls left unused in every window: a refused call would count against the day as well.
const SPARE: u32 = 1;

/// Puts the queue of everything that calls Strava under its limit. It limits nothing until
/// Strava has told its numbers.
pub(crate) async fn govern(jobs: &Client) -> Result<(), legwork::Error> {
    jobs.limit_queue(STRAVA, Some(STRAVA)).await
}

/// The calls of one job for an athlete. The lease has paid for the first one; each further
/// one is paid for before it is made.
pub(crate) struct Calls<'a> {
    cx: &'a Context<App>,
    athlete: i64,
    made: u32,
}

impl<'a> Calls<'a> {
    pub(crate) fn new(cx: &'a Context<App>, athlete: i64) -> Calls<'a> {
        Calls { cx, athlete, made: 0 }
    }

    /// Calls Strava with a token that lives; once more with a new one where Strava has refused
    /// a token that should live.
    pub(crate) async fn call<T, F: Future<Output = Result<T, Error>>>(
        &mut self,
        call: impl Fn(Strava, SecretString) -> F,
    ) -> Result<T, Failure> {
        let app = self.cx.state();
        let token = match token(self.cx, self.athlete, None).await {
            Ok(token) => token,
            Err(e) => return Err(self.instead(e).await),
        };
        // Others may have spent more than they had paid for, or call without this queue.
        if let Some(pause) =
            app.strava.usage().and_then(|usage| usage.pause_at_speed(SPARE, app.strava_speed))
        {
            let later = Failure::snooze(later(app, pause.wait));
            return Err(self.instead(later).await);
        }
        let mut answer = self.once(&call, token.clone()).await?;
        if let Err(Error::Unauthorized { .. }) = answer {
            let renewed = self::token(self.cx, self.athlete, Some(&token)).await?;
            answer = self.once(&call, renewed).await?;
        }
        match answer {
            Ok(answer) => Ok(answer),
            Err(e) => Err(failure(self.cx, e).await),
        }
    }

    async fn once<T, F: Future<Output = Result<T, Error>>>(
        &mut self,
        call: &impl Fn(Strava, SecretString) -> F,
        token: SecretString,
    ) -> Result<Result<T, Error>, Failure> {
        if self.made > 0 {
            self.cx.spend(1).await?;
        }
        self.made += 1;
        let answer = call(self.cx.state().strava.clone(), token).await;
        // The answer is worth more than the bookkeeping: the next one tells it again.
        if let Err(e) = heed(self.cx.state()).await {
            tracing::warn!(error = %e, "what Strava told of its limits could not be passed on");
        }
        Ok(answer)
    }

    /// Gives back what the lease has paid for, where no call was made.
    pub(crate) async fn give_back(&self) -> Result<(), Failure> {
        match self.made {
            0 => Ok(self.cx.spend(-1).await?),
            _ => Ok(()),
        }
    }

    async fn instead(&self, failure: Failure) -> Failure {
        self.give_back().await.err().unwrap_or(failure)
    }
}

/// Passes on what Strava has told last: its numbers become the rule, and where a good part of
/// a window is spent, by whomever, no more goes than is left of it.
async fn heed(app: &App) -> Result<(), legwork::Error> {
    let Some(usage) = app.strava.usage() else { return Ok(()) };
    let windows = usage.left_at_speed(SPARE, app.strava_speed);
    learn(app, &windows).await?;
    for window in windows.into_iter().filter(|window| window.calls < window.allowed / 2) {
        // By the queue's clock: ours may be wrong.
        let now = app.jobs.backend().now().await?;
        let now = UNIX_EPOCH + Duration::from_millis(now.max(0).unsigned_abs());
        let reset: SystemTime = now + later(app, window.ends_in);
        app.jobs.limit(STRAVA).told(window.calls, reset).await?;
    }
    Ok(())
}

/// Strava's windows follow the clock, and so do the rule's. What else the rule says, such as
/// how many may run at once, is the operator's and stays.
async fn learn(app: &App, windows: &[Left]) -> Result<(), legwork::Error> {
    // One that has just ended says nothing of itself, and nothing has changed.
    if windows.len() < 2 {
        return Ok(());
    }
    let rates: Vec<Rate> =
        windows.iter().map(|window| Rate::window(window.allowed, app.real(window.length))).collect();
    let known = app.jobs.limits().await?.into_iter().find(|(name, _)| name == STRAVA);
    let known = known.map(|(_, rule)| rule).unwrap_or_default();
    if known.rates == rates {
        return Ok(());
    }
    tracing::info!(?rates, "Strava has told its limits");
    app.jobs.limit(STRAVA).set(Limit { rates, ..known }).await
}

/// A wait by Strava's clock by ours, and a little more: both are read in whole seconds.
fn later(app: &App, wait: Duration) -> Duration {
    app.real(wait) + Duration::from_millis(200)
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
        Error::RateLimited { wait, .. } => refused(cx, wait).await,
        e if e.is_transient() => Failure::retry(e),
        e => Failure::discard(e),
    }
}

/// Strava has refused a call: nothing of this queue is leased until the window turns, and this
/// job waits with the others, without spending an attempt.
async fn refused(cx: &Context<App>, wait: Duration) -> Failure {
    let wait = later(cx.state(), wait);
    tracing::warn!(?wait, "Strava's limit is spent; the queue {STRAVA} waits");
    if let Err(e) = cx.client().limit(STRAVA).block_for(wait).await {
        tracing::warn!(error = %e, "the limit could not be told; each job finds out by itself");
    }
    Failure::snooze(wait)
}
