//! What the scripts answer, as the types of the contract.

use crate::backend::{
    Batch, ErrorRecord, JobView, LeaseView, Leased, LeasedJob, Limited, Reaped, Record, StepView, Token,
};
use crate::{Error, JobId, Result, State};
use redis::Value;
use serde::Deserialize;
use serde_json::value::RawValue;

fn odd() -> Error {
    Error::corrupt("redis: an answer is not what it must be; is the namespace used by another program?")
}

/// The items of an array.
pub(super) fn list(value: Value) -> Result<Vec<Value>> {
    match value {
        Value::Array(items) => Ok(items),
        Value::Nil => Ok(Vec::new()),
        _ => Err(odd()),
    }
}

pub(super) fn bytes(value: Value) -> Result<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        Value::SimpleString(text) => Ok(text.into_bytes()),
        Value::Int(number) => Ok(number.to_string().into_bytes()),
        Value::Okay => Ok(b"OK".to_vec()),
        _ => Err(odd()),
    }
}

pub(super) fn text(value: Value) -> Result<String> {
    String::from_utf8(bytes(value)?).map_err(|_| odd())
}

pub(super) fn number(value: Value) -> Result<i64> {
    match value {
        Value::Int(number) => Ok(number),
        other => text(other)?.parse::<f64>().map(|n| n as i64).map_err(|_| odd()),
    }
}

pub(super) fn id(raw: &[u8]) -> Result<JobId> {
    JobId::from_slice(raw).ok_or_else(odd)
}

/// A reply that starts with a word: the word, and the rest.
pub(super) struct Reply {
    pub(super) word: String,
    rest: std::vec::IntoIter<Value>,
}

impl Reply {
    pub(super) fn of(value: Value) -> Result<Reply> {
        let mut rest = list(value)?.into_iter();
        Ok(Reply { word: text(rest.next().ok_or_else(odd)?)?, rest })
    }

    pub(super) fn next(&mut self) -> Result<Value> {
        self.rest.next().ok_or_else(odd)
    }

    pub(super) fn rest(self) -> std::vec::IntoIter<Value> {
        self.rest
    }
}

/// The answer of `lease`.
pub(super) fn leased(value: Value) -> Result<Leased> {
    let mut reply = Reply::of(value)?;
    let (now_ms, expires_ms) = (number(reply.next()?)?, number(reply.next()?)?);
    let next_ms = number(reply.next()?).ok();
    let batches = list(reply.next()?)?.into_iter().map(|value| batch(value, now_ms, expires_ms));
    Ok(Leased { batches: batches.collect::<Result<_>>()?, now_ms, next_ms })
}

fn batch(value: Value, now_ms: i64, expires_ms: i64) -> Result<Batch> {
    let mut parts = list(value)?.into_iter();
    let mut part = || parts.next().ok_or_else(odd);
    let token = Token(text(part()?)?.parse().map_err(|_| odd())?);
    let (queue, ids, records) = (text(part()?)?, bytes(part()?)?, list(part()?)?);
    let notes = list(part()?)?.into_iter().map(number).collect::<Result<Vec<_>>>()?;
    let mut jobs = ids.chunks(16).map(job).collect::<Result<Vec<_>>>()?;
    // None where they are to be read natively.
    for (job, record) in jobs.iter_mut().zip(records) {
        job.record = plain(bytes(record)?);
    }
    for note in notes.chunks_exact(4) {
        // Counted from one.
        let at = usize::try_from(note[0]).ok().and_then(|place| place.checked_sub(1));
        if let Some(job) = at.and_then(|at| jobs.get_mut(at)) {
            (job.attempts, job.crashes, job.suspect) = (note[1] as u32, note[2] as u32, note[3] == 1);
        }
    }
    Ok(Batch { token, queue, expires_ms, now_ms, jobs })
}

/// A leased job without a past, its record not read yet.
pub(super) fn job(raw: &[u8]) -> Result<LeasedJob> {
    Ok(LeasedJob { id: id(raw)?, record: Vec::new(), attempts: 0, crashes: 0, suspect: false })
}

/// A record without the mark of jobs that have keys.
pub(super) fn plain(mut record: Vec<u8>) -> Vec<u8> {
    if record.first() == Some(&b'*') {
        record.remove(0);
    }
    record
}

/// The answer of `reap`.
pub(super) fn reaped(value: Value) -> Result<Vec<Reaped>> {
    let rest: Vec<Value> = Reply::of(value)?.rest().collect();
    let mut rest = rest.into_iter();
    let mut all = Vec::new();
    while let (Some(raw), Some(state), Some(crashes)) = (rest.next(), rest.next(), rest.next()) {
        let state = text(state)?.parse().map_err(|_| odd())?;
        all.push(Reaped { id: id(&bytes(raw)?)?, state, crashes: number(crashes)? as u32 });
    }
    Ok(all)
}

/// What `meta` says of a job, with the letters of `lua/prelude.lua`.
#[derive(Deserialize, Default)]
struct Memo {
    #[serde(default)]
    a: f64,
    #[serde(default)]
    c: f64,
    #[serde(default)]
    k: bool,
    #[serde(default)]
    x: bool,
    #[serde(default)]
    y: bool,
    #[serde(default)]
    st: String,
    #[serde(default)]
    e: Vec<ErrorRecord>,
}

/// What stands before the record of a finished job.
#[derive(Deserialize)]
struct Head {
    s: State,
    at: i64,
    #[serde(default)]
    a: u32,
    #[serde(default)]
    c: u32,
    #[serde(default)]
    sus: bool,
    #[serde(default)]
    e: Vec<ErrorRecord>,
    r: Option<String>,
    res: Option<String>,
    p: Option<String>,
    sp: Option<String>,
    cu: Option<String>,
}

impl Head {
    /// Of a job that ended in place: a success at the first attempt.
    fn in_place(line: &[u8], result: &[u8]) -> Result<Head> {
        let at =
            line.split(|byte| *byte == b' ').next().and_then(|at| std::str::from_utf8(at).ok()?.parse().ok());
        let res = (!result.is_empty()).then(|| String::from_utf8_lossy(result).into_owned());
        Ok(Head {
            s: State::Succeeded,
            at: at.ok_or_else(odd)?,
            a: 1,
            c: 0,
            sus: false,
            e: Vec::new(),
            r: None,
            res,
            p: None,
            sp: None,
            cu: None,
        })
    }
}

/// One job of the answer of `view`; none where there is no such job.
pub(super) fn view(id: JobId, value: Value) -> Result<Option<JobView>> {
    let Value::Array(parts) = value else {
        return Ok(None);
    };
    let mut parts = parts.into_iter();
    let mut part = || parts.next().ok_or_else(odd);
    let word = text(part()?)?;
    if word == "fin" {
        return finished(id, &bytes(part()?)?, bytes(part()?)?).map(Some);
    }
    let state: State = word.parse().map_err(|_| odd())?;
    let record = plain(bytes(part()?)?);
    let memo: Memo = serde_json::from_slice(&bytes(part()?)?).unwrap_or_default();
    let due_ms = some(part()?)?.map(Value::BulkString).map(number).transpose()?;
    let (token, expires, worker) = (text(part()?)?, part()?, text(part()?)?);
    let lease = match token.parse() {
        Ok(token) => Some(LeaseView { worker, token: Token(token), expires_ms: number(expires)? }),
        Err(_) => None,
    };
    let progress = lossy(part()?)?.and_then(raw);
    let steps = lossy(part()?)?.map_or_else(Vec::new, |lines| StepView::lines(&lines));
    let cursor = lossy(part()?)?.and_then(raw);
    let (key, until) = (text(part()?)?, part()?);
    let limited = (!key.is_empty()).then(|| Limited { key, until_ms: number(until).ok() });
    Ok(Some(JobView {
        id,
        state,
        envelope: Record::of(id, &record),
        attempts: memo.a as u32,
        crashes: memo.c as u32,
        suspect: memo.k,
        errors: memo.e,
        due_ms,
        lease,
        cancel_requested: memo.x,
        cancel_acknowledged: memo.y,
        parked: memo.st == "parked",
        finished_ms: None,
        reason: None,
        result: None,
        progress,
        steps,
        cursor,
        limited,
    }))
}

/// A finished job, from what is kept of it: its head and its record; or of one that ended as most
/// do a line and its result, and its record where it was (`lua/job.lua`).
fn finished(id: JobId, kept: &[u8], here: Vec<u8>) -> Result<JobView> {
    let split = kept.iter().position(|b| *b == b'\n').ok_or_else(odd)?;
    let (line, rest) = (&kept[..split], &kept[split + 1..]);
    let (head, record) = match line.strip_prefix(b"+") {
        Some(line) => (Head::in_place(line, rest)?, here),
        None => (serde_json::from_slice(line).map_err(|_| odd())?, rest.to_vec()),
    };
    Ok(JobView {
        id,
        state: head.s,
        envelope: Record::of(id, &plain(record)),
        attempts: head.a,
        crashes: head.c,
        suspect: head.sus,
        errors: head.e,
        due_ms: None,
        lease: None,
        cancel_requested: false,
        cancel_acknowledged: false,
        parked: false,
        finished_ms: Some(head.at),
        reason: head.r,
        result: head.res.and_then(raw),
        progress: head.p.and_then(raw),
        steps: head.sp.map_or_else(Vec::new, |lines| StepView::lines(&lines)),
        cursor: head.cu.and_then(raw),
        limited: None,
    })
}

/// A text, where there is one.
fn lossy(value: Value) -> Result<Option<String>> {
    Ok(some(value)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

fn some(value: Value) -> Result<Option<Vec<u8>>> {
    Ok(Some(bytes(value)?).filter(|bytes| !bytes.is_empty()))
}

/// A JSON text as it is; what is none stays visible as a string.
fn raw(json: String) -> Option<Box<RawValue>> {
    let text = serde_json::to_string(&json).ok();
    RawValue::from_string(json).ok().or_else(|| RawValue::from_string(text?).ok())
}
