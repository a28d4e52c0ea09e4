//! Fetches an athlete's activities, page by page.

use crate::limits::Calls;
use chrono::{DateTime, TimeDelta, Utc};
use legwork::{Context, Edge, Failure, Flow};
use runnerly::app::App;
use runnerly::jobs::{ComputeStats, FetchStreams, SyncAthlete, SyncOutcome};
use runnerly::storage::{Athlete, Connection, Sync};
use runnerly::strava::ListActivities;

/// Activities are uploaded late and out of order: an incremental sync looks back this far
/// before the newest one known, and upserts.
const OVERLAP: TimeDelta = TimeDelta::days(14);
/// Runs whose streams are asked for in one go.
const STREAMS: u32 = 10_000;

pub(crate) async fn sync(job: SyncAthlete, cx: Context<App>) -> Result<SyncOutcome, Failure> {
    let storage = &cx.state().storage;
    let known = storage.athlete(job.athlete).await?.filter(|a| a.connection == Connection::Connected);
    let Some(athlete) = known else {
        return Err(Failure::cancel(format!("athlete {} is not connected", job.athlete)));
    };
    let mut list = start(&cx, &athlete, job.full).await?;
    let mut outcome = SyncOutcome::default();
    let before = storage.count_activities(athlete.id).await?;
    cx.progress(0.0, "asking Strava").await?;
    let mut calls = Calls::new(&cx, athlete.id);
    loop {
        let page =
            calls.call(move |strava, token| async move { strava.activities(&token, &list).await }).await?;
        outcome.pages += 1;
        for refused in &page.refused {
            tracing::warn!(id = refused.id, why = %refused.why, "an activity cannot be read; left out");
        }
        // An empty page ends the list; a short one may not.
        if page.is_end() {
            break;
        }
        let upserted = storage.upsert_activities(&page.activities).await?;
        outcome.seen += page.activities.len() as u64;
        outcome.inserted += upserted.inserted.len() as u64;
        outcome.updated += upserted.updated.len() as u64;
        outcome.unchanged += upserted.unchanged as u64;
        list.page += 1;
        if list.after.is_none() {
            remember(&cx, &athlete, Some(list.page)).await?;
        }
        cx.progress(
            share(outcome.seen, before),
            &format!("{} activities, page {}", outcome.seen, outcome.pages),
        )
        .await?;
        // A worker that is told to stop ends here, and the next one goes on from here.
        cx.checkpoint(&(list.page, list.after)).await?;
    }
    let wanting = storage.runs_without_streams(athlete.id, STREAMS).await?;
    fetch(&cx, &athlete, wanting).await?;
    remember(&cx, &athlete, None).await?;
    cx.client().enqueue(ComputeStats { athlete: athlete.id }).await?;
    cx.progress(1.0, &format!("{} activities", outcome.seen)).await?;
    Ok(outcome)
}

/// Asks for the streams of runs. The first time that is a whole history, of some days where the
/// limits are small: one flow, which can be looked at and cancelled as one, and behind all of it
/// the statistics, also where some streams could not be had. Later it is a run or two, each by
/// itself: a flow takes no regard of those that have been asked for already.
async fn fetch(cx: &Context<App>, athlete: &Athlete, runs: Vec<i64>) -> Result<(), Failure> {
    let id = athlete.id;
    let first = athlete.sync.last_synced_at.is_none() && !runs.is_empty();
    let fetch = runs.into_iter().map(|activity| FetchStreams { athlete: id, activity });
    if !first {
        cx.client().enqueue_many(fetch).await?;
        return Ok(());
    }
    let flow = Flow::group(fetch).then_with(Edge::Ignore, ComputeStats { athlete: id });
    let flow = flow.name(format!("history of athlete {id}"));
    // Remembered, so that the next attempt starts no second one. If this one is killed in
    // between, what is asked for twice is fetched once.
    let start = || async { Ok(cx.client().start(flow).await?.id) };
    cx.step("history", start).await.map(drop)
}

/// Where to begin: at the page before the one that this job had come to, or in a full sync
/// a former job (what was deleted meanwhile has moved the rest up); at the newest of all; or
/// some days before the newest activity known.
async fn start(cx: &Context<App>, athlete: &Athlete, full: bool) -> Result<ListActivities, Failure> {
    if let Some((page, after)) = cx.cursor::<(u32, Option<DateTime<Utc>>)>().await? {
        return Ok(ListActivities {
            page: page.saturating_sub(1).max(1),
            after,
            ..ListActivities::default()
        });
    }
    let cursor = athlete.sync.cursor.as_deref().and_then(|c| c.parse::<u32>().ok());
    if let Some(page) = cursor {
        return Ok(ListActivities { page: page.saturating_sub(1).max(1), ..ListActivities::default() });
    }
    let newest = cx.state().storage.activities(athlete.id, 1, 0).await?;
    let after = match (full || athlete.sync.last_synced_at.is_none(), newest.first()) {
        (false, Some(newest)) => Some(newest.start - OVERLAP),
        _ => None,
    };
    Ok(ListActivities { after, ..ListActivities::default() })
}

/// Keeps how far a sync has come, so that a kill or a spent limit costs one page.
async fn remember(cx: &Context<App>, athlete: &Athlete, page: Option<u32>) -> Result<(), Failure> {
    let storage = &cx.state().storage;
    let count = storage.count_activities(athlete.id).await?;
    let last_synced_at = match page {
        Some(_) => athlete.sync.last_synced_at,
        None => Some(Utc::now()),
    };
    let cursor = page.map(|p| p.to_string());
    storage.save_sync(athlete.id, &Sync { last_synced_at, cursor, count }).await?;
    Ok(())
}

/// Nobody knows how many activities there will be: the more have come, the nearer the end.
fn share(seen: u64, known: i64) -> f64 {
    let expected = (known.max(0) as f64).max(1_000.0);
    let seen = seen as f64;
    (seen / (seen + expected)).clamp(0.05, 0.95)
}
