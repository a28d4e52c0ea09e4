//! Where a job of Runnerly stands, in words, and why it is not running.

use crate::fault::Result;
use crate::web::Web;
use legwork::backend::{Filter, JobView};
use legwork::{Job, JobId, Snapshot, State};
use runnerly::jobs::{ComputeStats, FetchStreams, ImportFile, RefreshToken, SyncAthlete, SyncOutcome};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The most jobs of a name looked at to find an athlete's.
const LOOK: usize = 1_000;

/// Where a job stands.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct JobStatus {
    /// The job's id.
    pub(crate) id: String,
    /// Its name, such as `athlete.sync`.
    pub(crate) name: String,
    /// One of `scheduled`, `available`, `leased`, `retryable`, `blocked`, `succeeded`, `discarded`, `cancelled`.
    pub(crate) state: String,
    /// Whether it will never move again.
    pub(crate) finished: bool,
    /// Where it stands, in a line for people.
    pub(crate) text: String,
    /// How much is done, 0 to 1, once its handler has said so.
    pub(crate) share: Option<f64>,
    /// Why it is not running; none when it runs, has finished, or is simply next.
    pub(crate) why: Option<String>,
    /// Attempts spent.
    pub(crate) attempts: u32,
    /// The last error, in a line.
    pub(crate) error: Option<String>,
    /// When it finished, milliseconds since 1970.
    pub(crate) finished_ms: Option<i64>,
}

#[derive(Deserialize)]
struct Progress {
    share: f64,
    note: String,
}

#[derive(Deserialize)]
struct Owner {
    athlete: i64,
}

impl JobStatus {
    pub(crate) fn of(job: &JobView, snapshot: &Snapshot) -> JobStatus {
        let progress: Option<Progress> =
            job.progress.as_ref().and_then(|raw| serde_json::from_str(raw.get()).ok());
        let why = snapshot.why(job);
        let error = job.errors.last().map(|e| line(&e.error));
        JobStatus {
            id: job.id.to_string(),
            name: job.envelope.name().into(),
            state: job.state.to_string(),
            finished: job.state.is_final(),
            text: text(job, progress.as_ref().map(|p| p.note.as_str()), why.as_deref()),
            share: progress.map(|p| p.share.clamp(0.0, 1.0)),
            why,
            attempts: job.attempts,
            error: error.filter(|_| job.state != State::Succeeded),
            finished_ms: job.finished_ms,
        }
    }

    /// How much is done, in percent.
    pub(crate) fn percent(&self) -> u32 {
        (self.share.unwrap_or(0.0) * 100.0).round() as u32
    }

    pub(crate) fn failed(&self) -> bool {
        self.state == State::Discarded.as_str()
    }
}

fn text(job: &JobView, note: Option<&str>, why: Option<&str>) -> String {
    let because = why.map(|why| format!(": {why}")).unwrap_or_default();
    match job.state {
        State::Leased => note.map_or("running".into(), |note| format!("running: {}", line(note))),
        State::Retryable => format!("failed, will be tried again{because}"),
        State::Succeeded => outcome(job).unwrap_or_else(|| "done".into()),
        State::Discarded => "failed for good".into(),
        State::Cancelled => "called off".into(),
        State::Available | State::Scheduled | State::Blocked => format!("waiting{because}"),
    }
}

fn outcome(job: &JobView) -> Option<String> {
    let outcome: SyncOutcome = serde_json::from_str(job.result.as_ref()?.get()).ok()?;
    Some(format!("{} new, {} changed, {} unchanged", outcome.inserted, outcome.updated, outcome.unchanged))
}

/// One line, without control characters, not too long.
pub(crate) fn line(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(300).map(clean).collect()
}

/// The athlete that a job works for; none for jobs that are not Runnerly's.
fn owner(job: &JobView) -> Option<i64> {
    let ours =
        [SyncAthlete::NAME, FetchStreams::NAME, ComputeStats::NAME, RefreshToken::NAME, ImportFile::NAME];
    let envelope = job.envelope.envelope().filter(|e| ours.contains(&e.name.as_str()))?;
    serde_json::from_str::<Owner>(envelope.payload.get()).ok().map(|owner| owner.athlete)
}

/// One of Runnerly's own jobs, if it works for an athlete that `may_see` allows.
pub(crate) async fn job(web: &Web, id: JobId, may_see: impl Fn(i64) -> bool) -> Result<Option<JobStatus>> {
    let Some(job) = web.app.jobs.job(id).await? else { return Ok(None) };
    if !owner(&job).is_some_and(may_see) {
        return Ok(None);
    }
    Ok(Some(JobStatus::of(&job, &web.app.jobs.snapshot().await?)))
}

/// The job of this name that matters for an athlete: the unfinished one, else the last.
pub(crate) async fn latest(web: &Web, name: &str, athlete: i64) -> Result<Option<JobStatus>> {
    let filter = Filter { name: Some(name.into()), limit: LOOK, ..Filter::default() };
    let mut jobs = web.app.jobs.jobs(&filter).await?;
    jobs.retain(|job| owner(job) == Some(athlete));
    let newest = jobs.into_iter().max_by_key(|job| (!job.state.is_final(), job.finished_ms, job.id));
    match newest {
        Some(job) => Ok(Some(JobStatus::of(&job, &web.app.jobs.snapshot().await?))),
        None => Ok(None),
    }
}

/// Why nothing of a queue is running; also when the queue itself does not answer.
pub(crate) async fn why_queue(web: &Web, queue: &str) -> Option<String> {
    match web.app.jobs.snapshot().await {
        Ok(snapshot) if snapshot.workers.is_empty() => Some("no worker is running".into()),
        Ok(snapshot) => snapshot.why_queue(queue),
        Err(_) => Some("the queue does not answer".into()),
    }
}
