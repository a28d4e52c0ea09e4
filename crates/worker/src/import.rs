//! Turns an uploaded file into an activity.

use crate::streams::keep;
use legwork::{Context, Failure};
use runnerly::app::App;
use runnerly::import::{ImportError, parse};
use runnerly::jobs::{ComputeStats, ImportFile};
use runnerly::storage::Fetched;

pub(crate) async fn import(job: ImportFile, cx: Context<App>) -> Result<i64, Failure> {
    let storage = &cx.state().storage;
    let (Some(upload), Some(bytes)) =
        (storage.upload(&job.upload).await?, storage.upload_bytes(&job.upload).await?)
    else {
        return Err(Failure::cancel("the upload is gone"));
    };
    // A large file takes a while to parse: off the threads that others wait for.
    let parsed = tokio::task::spawn_blocking(move || parse(&upload.name, &bytes)).await?;
    let run = match parsed {
        Ok(run) => run,
        Err(ImportError { file, reason }) => {
            let line = format!("{file}: {reason}");
            storage.upload_failed(&job.upload, &line).await?;
            return Err(Failure::discard(line));
        }
    };
    let (activity, streams) = run.into_activity(job.athlete);
    let id = activity.id;
    storage.upsert_activities(&[Fetched::imported(activity)]).await?;
    keep(storage, job.athlete, id, &streams).await?;
    storage.upload_imported(&job.upload, id).await?;
    cx.client().enqueue(ComputeStats { athlete: job.athlete }).await?;
    Ok(id)
}
