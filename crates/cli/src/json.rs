//! The shapes of the JSON output that are not a view of the library as it is.

use legwork::backend::{ErrorRecord, JobView, LeaseView, QueueView, Record, Scope, StepView};
use legwork::{LimitKey, State};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A job: its id once, its payload and result as they are stored, byte by byte.
#[derive(Serialize)]
pub(crate) struct JobJson<'a> {
    id: legwork::JobId,
    state: State,
    #[serde(flatten)]
    record: RecordJson<'a>,
    attempts: u32,
    crashes: u32,
    suspect: bool,
    parked: bool,
    cancel_requested: bool,
    cancel_acknowledged: bool,
    made_ms: Option<i64>,
    due_ms: Option<i64>,
    finished_ms: Option<i64>,
    reason: Option<&'a str>,
    lease: Option<&'a LeaseView>,
    progress: Option<&'a RawValue>,
    result: Option<&'a RawValue>,
    /// What a handler remembers; only where one job is asked for.
    steps: &'a [StepView],
    cursor: Option<&'a RawValue>,
    errors: &'a [ErrorRecord],
    /// Why it is not running, where there is a reason.
    why: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
#[expect(clippy::large_enum_variant, reason = "one at a time, and gone when it is written")]
enum RecordJson<'a> {
    Decoded {
        name: &'a str,
        version: u32,
        queue: &'a str,
        priority: u8,
        payload: &'a RawValue,
        unique: Option<&'a str>,
        #[serde(skip_serializing_if = "is_default")]
        scope: Scope,
        serial: Option<&'a str>,
        limit: Option<&'a LimitKey>,
        cost: u32,
        tags: &'a [String],
        meta: &'a BTreeMap<String, String>,
        flow: Option<legwork::JobId>,
        max_attempts: Option<u32>,
        max_crashes: Option<u32>,
        timeout_ms: Option<u64>,
        keep_ms: Option<i64>,
        expires_ms: Option<i64>,
        trace: Option<legwork::middleware::Trace>,
        packed: &'a [String],
        signature: Option<&'a str>,
    },
    Broken {
        undecodable: &'a str,
        raw: &'a str,
    },
}

impl<'a> JobJson<'a> {
    pub(crate) fn of(job: &'a JobView, why: Option<String>) -> JobJson<'a> {
        JobJson {
            id: job.id,
            state: job.state,
            record: RecordJson::of(&job.envelope),
            attempts: job.attempts,
            crashes: job.crashes,
            suspect: job.suspect,
            parked: job.parked,
            cancel_requested: job.cancel_requested,
            cancel_acknowledged: job.cancel_acknowledged,
            made_ms: made_ms(job),
            due_ms: job.due_ms,
            finished_ms: job.finished_ms,
            reason: job.reason.as_deref(),
            lease: job.lease.as_ref(),
            progress: job.progress.as_deref(),
            result: job.result.as_deref(),
            steps: &job.steps,
            cursor: job.cursor.as_deref(),
            errors: &job.errors,
            why,
        }
    }
}

fn is_default(scope: &Scope) -> bool {
    *scope == Scope::default()
}

impl<'a> RecordJson<'a> {
    fn of(record: &'a Record) -> RecordJson<'a> {
        match record {
            Record::Decoded(e) => RecordJson::Decoded {
                name: &e.name,
                version: e.version,
                queue: &e.queue,
                priority: e.priority,
                payload: &e.payload,
                unique: e.unique.as_deref(),
                scope: e.scope,
                serial: e.serial.as_deref(),
                limit: e.limit.as_ref(),
                cost: e.cost,
                tags: &e.tags,
                meta: &e.meta,
                flow: e.flow,
                max_attempts: e.max_attempts,
                max_crashes: e.max_crashes,
                timeout_ms: e.timeout_ms,
                keep_ms: e.keep_ms,
                expires_ms: e.expires_ms,
                trace: e.trace,
                packed: &e.packed,
                signature: e.signature.as_deref(),
            },
            Record::Broken { undecodable, raw } => RecordJson::Broken { undecodable, raw },
        }
    }
}

/// When a job was made, as far as its record or its id tells.
pub(crate) fn made_ms(job: &JobView) -> Option<i64> {
    job.envelope.envelope().map_or_else(|| job.id.created_ms(), legwork::Envelope::made_ms)
}

/// A queue: "paused" and "until when" apart, and every state with its count.
#[derive(Serialize)]
pub(crate) struct QueueJson<'a> {
    name: &'a str,
    counts: BTreeMap<&'static str, u64>,
    parked: u64,
    paused: bool,
    paused_until_ms: Option<i64>,
    oldest_ms: Option<i64>,
    processed: u64,
    failed: u64,
    #[serde(skip_serializing_if = "legwork::QueueRules::is_empty")]
    rules: legwork::QueueRules,
    /// Why nothing of it is running, where there is a reason.
    why: Option<String>,
}

impl<'a> QueueJson<'a> {
    pub(crate) fn of(queue: &'a QueueView, why: Option<String>) -> QueueJson<'a> {
        QueueJson {
            name: &queue.name,
            counts: State::ALL.iter().map(|s| (s.as_str(), queue.count(*s))).collect(),
            parked: queue.parked,
            paused: queue.paused.is_some(),
            paused_until_ms: queue.paused.flatten(),
            oldest_ms: queue.oldest_ms,
            processed: queue.processed,
            failed: queue.failed,
            rules: queue.rules,
            why,
        }
    }
}
