//! What follows from new runs and from changed ones: statistics, the plan, a message. The store
//! leaves a job with what it stores; that job publishes; each subscriber has a job of its own, so
//! that one which fails keeps no other waiting.

use chrono::{TimeDelta, Utc};
use legwork::{Client, Context, Event, Failure};
use runnerly::app::App;
use runnerly::events::{RunsAdded, RunsChanged};
use runnerly::jobs::{ComputeStats, FollowStats, MatchPlan, NotifyAthlete, TellRuns};
use std::time::Duration;

/// Runs that started longer ago are no news: a first sync brings the runs of years.
const NEWS: TimeDelta = TimeDelta::days(14);
/// Statistics follow once for all that comes within this.
const TOGETHER: Duration = Duration::from_secs(1);

/// Who hears of what; to say so again changes nothing.
pub(crate) async fn subscribe(jobs: &Client) -> Result<(), legwork::Error> {
    jobs.subscribe::<FollowStats>("run.*").await?;
    jobs.subscribe::<MatchPlan>("run.*").await?;
    jobs.subscribe::<NotifyAthlete>(RunsAdded::TOPIC).await
}

/// Under the job's own id, so that a second attempt tells nobody twice.
pub(crate) async fn tell(job: TellRuns, cx: Context<App>) -> Result<usize, Failure> {
    let TellRuns { athlete, added, runs } = job;
    let publish = match added {
        true => cx.client().publish(RunsAdded { athlete, runs }),
        false => cx.client().publish(RunsChanged { athlete, runs }),
    };
    Ok(publish.id(cx.id()).await?.jobs.len())
}

pub(crate) async fn stats(job: FollowStats, cx: Context<App>) -> Result<(), Failure> {
    // One that waits already takes this one in, and keeps its instant: a long row of pages
    // puts nothing off.
    cx.client().enqueue(ComputeStats { athlete: job.athlete }).delay(TOGETHER).await?;
    Ok(())
}

pub(crate) async fn plan(job: MatchPlan, cx: Context<App>) -> Result<usize, Failure> {
    Ok(cx.state().storage.match_plan(job.athlete).await?)
}

pub(crate) async fn notify(job: NotifyAthlete, cx: Context<App>) -> Result<u64, Failure> {
    Ok(cx.state().storage.announce(job.athlete, &job.runs, Utc::now() - NEWS).await?)
}
