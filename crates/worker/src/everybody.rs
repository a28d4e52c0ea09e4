//! Fans out: one job per athlete.

use chrono::{TimeDelta, Utc};
use legwork::{Context, Failure};
use runnerly::app::App;
use runnerly::jobs::{ComputeEverybody, ComputeStats, RefreshToken, SyncAthlete, SyncEverybody};
use runnerly::storage::Connection;

/// Tokens that end within this are renewed along with the sync.
const SOON: TimeDelta = TimeDelta::hours(1);

pub(crate) async fn sync_everybody(_: SyncEverybody, cx: Context<App>) -> Result<u64, Failure> {
    let mut athletes = cx.state().storage.athletes().await?;
    athletes.retain(|a| a.connection == Connection::Connected);
    let ending = athletes.iter().filter(|a| a.expires_at.is_some_and(|at| at - Utc::now() < SOON));
    cx.client().enqueue_many(ending.map(|a| RefreshToken { athlete: a.id })).await?;
    let syncs = athletes.iter().map(|a| SyncAthlete { athlete: a.id, full: false });
    Ok(cx.client().enqueue_many(syncs).await?.len() as u64)
}

pub(crate) async fn compute_everybody(_: ComputeEverybody, cx: Context<App>) -> Result<u64, Failure> {
    let athletes = cx.state().storage.athletes().await?;
    let all = athletes.iter().map(|a| ComputeStats { athlete: a.id });
    Ok(cx.client().enqueue_many(all).await?.len() as u64)
}
