//! Computes an athlete's statistics anew: from everything stored, so that a repetition
//! changes nothing.

use legwork::{Context, Failure};
use runnerly::app::App;
use runnerly::jobs::ComputeStats;
use runnerly::run::Activity;
use runnerly::stats::efforts::Effort;
use runnerly::stats::records::{Record, records};
use runnerly::stats::summary::summarize;
use std::collections::BTreeMap;

pub(crate) async fn compute(job: ComputeStats, cx: Context<App>) -> Result<(), Failure> {
    let storage = &cx.state().storage;
    let begun = chrono::Utc::now();
    let activities = storage.all_activities(job.athlete).await?;
    let efforts = storage.all_efforts(job.athlete).await?;
    storage.save_records(job.athlete, &best(&activities, &efforts)).await?;
    let summary = summarize(&activities, begun.date_naive());
    storage.save_stats(job.athlete, "summary", &summary, begun).await?;
    Ok(())
}

fn best(activities: &[Activity], efforts: &BTreeMap<i64, Vec<Effort>>) -> Vec<Record> {
    let of = |activity: &Activity| efforts.get(&activity.id).map_or(&[] as &[Effort], Vec::as_slice);
    let both: Vec<_> = activities.iter().map(|activity| (activity, of(activity))).collect();
    records(&both)
}
