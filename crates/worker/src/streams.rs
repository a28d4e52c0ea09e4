//! Fetches the streams of one run and computes what follows from them.

use crate::limits::Calls;
use legwork::{Context, Failure};
use runnerly::app::App;
use runnerly::jobs::{ComputeStats, FetchStreams};
use runnerly::run::Streams;
use runnerly::stats::efforts::best_efforts;
use runnerly::stats::splits::splits;
use runnerly::stats::{KM, MILE};
use runnerly::storage::{Storage, StreamState};

pub(crate) async fn fetch(job: FetchStreams, cx: Context<App>) -> Result<bool, Failure> {
    let storage = &cx.state().storage;
    let mut calls = Calls::new(&cx, job.athlete);
    match storage.stream_state(job.athlete, job.activity).await? {
        None => learn(storage, &mut calls, &job).await?,
        Some(StreamState::Unknown) => {}
        // Asked for twice: by a flow, and by itself.
        Some(known) => {
            calls.give_back().await?;
            return Ok(known == StreamState::Fetched);
        }
    }
    let id = job.activity;
    let streams = calls.call(move |strava, token| async move { strava.streams(&token, id).await }).await?;
    match &streams {
        Some(streams) => keep(storage, job.athlete, job.activity, streams).await?,
        None => {
            storage.mark_streams_absent(job.athlete, job.activity).await?;
        }
    }
    // The last of many starts the computation of what they change together; in a flow it
    // stands behind them all.
    if cx.flow().is_none() && storage.runs_without_streams(job.athlete, 1).await?.is_empty() {
        cx.client().enqueue(ComputeStats { athlete: job.athlete }).await?;
    }
    Ok(streams.is_some())
}

/// An activity of which we were told before the list had it.
async fn learn(storage: &Storage, calls: &mut Calls<'_>, job: &FetchStreams) -> Result<(), Failure> {
    let id = job.activity;
    let mut told = calls.call(move |strava, token| async move { strava.activity(&token, id).await }).await?;
    told.activity.athlete = job.athlete;
    storage.upsert_activities(&[told]).await?;
    Ok(())
}

/// Efforts and splits first: once the streams are there nobody asks for them again.
pub(crate) async fn keep(
    storage: &Storage,
    athlete: i64,
    activity: i64,
    streams: &Streams,
) -> Result<(), Failure> {
    storage.save_efforts(athlete, activity, &best_efforts(streams)).await?;
    storage.save_splits(athlete, activity, "km", &splits(streams, KM)).await?;
    storage.save_splits(athlete, activity, "mile", &splits(streams, MILE)).await?;
    storage.save_streams(athlete, activity, streams).await?;
    Ok(())
}
