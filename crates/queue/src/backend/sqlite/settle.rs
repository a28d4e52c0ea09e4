//! Ending leases.
//!
//! Successes of one batch are settled by one statement; what that statement leaves out
//! (keys, watchers, other outcomes, repetitions) goes one by one.

use super::batch::Outcomes;
use super::fault::Sql;
use super::lease::{HOUR_MS, REQUESTED};
use super::tx::{End, Ending, Job, Tx, ids_bytes};
use super::writer::Verb;
use crate::backend::{EXPIRED, Outcome, Settle, Settled};
use crate::{Envelope, JobId, State};
use std::collections::HashMap;

pub(super) struct SettleAll(pub(super) Vec<Settle>);

impl Verb for SettleAll {
    type Answer = Vec<Settled>;

    async fn apply(&self, tx: &mut Tx) -> Sql<Vec<Settled>> {
        let mut batches = Outcomes::default();
        let mut answers = vec![None; self.0.len()];
        for ((token, keep_ms), items) in successes(&self.0) {
            at_once(tx, &mut batches, token, keep_ms, &items, &mut answers).await?;
        }
        // Back to the head in reverse, so that the first of them ends up in front.
        let back = |item: &Settle| matches!(item.outcome, Outcome::HandBack);
        let order = (0..self.0.len()).filter(|n| !back(&self.0[*n]));
        let order: Vec<_> = order.chain((0..self.0.len()).rev().filter(|n| back(&self.0[*n]))).collect();
        for n in order {
            if answers[n].is_none() {
                answers[n] = Some(one(tx, &mut batches, &self.0[n]).await?);
            }
        }
        batches.store(tx).await?;
        Ok(answers.into_iter().map(|a| a.unwrap_or(Settled::Stale)).collect())
    }
}

type Success<'a> = (usize, JobId, Option<&'a str>);

/// The successes without keys, by batch and retention.
fn successes(items: &[Settle]) -> HashMap<(i64, i64), Vec<Success<'_>>> {
    let mut groups = HashMap::<_, Vec<_>>::new();
    for (n, item) in items.iter().enumerate().filter(|(_, item)| !item.keyed) {
        if let Outcome::Succeeded { result, keep_ms } = &item.outcome {
            let group = groups.entry((item.token.0 as i64, *keep_ms)).or_default();
            group.push((n, item.id, result.as_deref()));
        }
    }
    groups
}

/// Settles successes of one batch by one statement. Where it moved fewer jobs than it was
/// given, the answers are left open: those that it moved answer as a repetition does.
async fn at_once(
    tx: &mut Tx,
    batches: &mut Outcomes,
    token: i64,
    keep_ms: i64,
    items: &[Success<'_>],
    answers: &mut [Option<Settled>],
) -> Sql<()> {
    let Some(batch) = batches.open(tx, token).await? else {
        return Ok(());
    };
    let (ids, zeros) = ids_bytes(items.iter().map(|(_, id, _)| id));
    if batch.keyed {
        let turn = tx.tail(1);
        let free = sqlx::query(include_str!("sql/free.sql")).bind(&ids[..]).bind(&*zeros).bind(turn);
        tx.woke |= free.execute(&mut *tx.conn).await?.rows_affected() > 0;
    }
    let state = (keep_ms > 0).then_some(State::Succeeded);
    let moved = if state.is_some() {
        let results: Vec<_> = items.iter().map(|(.., result)| result).collect();
        let results = serde_json::to_string(&results).map_err(super::fault::broken)?;
        let keep = sqlx::query(include_str!("sql/settle_keep.sql")).bind(ids).bind(results);
        keep.bind(token).bind(tx.now).bind(tx.now.saturating_add(keep_ms))
    } else {
        sqlx::query(include_str!("sql/settle_gone.sql")).bind(ids).bind(zeros).bind(token)
    };
    let moved = moved.execute(&mut *tx.conn).await?.rows_affected() as usize;
    batch.left(moved);
    tx.count(&batch.queue, Some(State::Leased), state, moved);
    tx.processed(&batch.queue, moved);
    if batch.ruled {
        tx.free_queue(&batch.queue).await?;
    }
    if moved == items.len() {
        items.iter().for_each(|(n, ..)| answers[*n] = Some(Settled::Done));
    }
    Ok(())
}

async fn one(tx: &mut Tx, batches: &mut Outcomes, item: &Settle) -> Sql<Settled> {
    let token = item.token.0 as i64;
    let Some(batch) = batches.open(tx, token).await? else {
        return Ok(Settled::Stale);
    };
    let job = match tx.load(item.id).await? {
        Some(job) if job.state == State::Leased && job.token == Some(token) => job,
        _ => return Ok(batch.repeated(item.id, &item.outcome)),
    };
    batch.end(item.id, &item.outcome);
    let queue = batch.queue.clone();
    let limit = job.limit.clone();
    apply(tx, job, &item.outcome).await?;
    tx.free(limit.as_deref()).await?;
    tx.free_queue(&queue).await?;
    Ok(Settled::Done)
}

/// What becomes of a leased job.
async fn apply(tx: &mut Tx, mut job: Job, outcome: &Outcome) -> Sql<()> {
    if job.cancel && again(outcome) {
        charge(tx, &mut job, outcome).await?;
        // Asked for while it ran, and it did not end by itself: it must not run again.
        let ending = Ending { keep_ms: HOUR_MS, reason: Some(REQUESTED), result: None };
        return tx.finish(&job, State::Cancelled, ending).await;
    }
    let last_crash = matches!(outcome, Outcome::Crash { max, .. } if job.crashes + 1 >= *max);
    if again(outcome) && !last_crash && !tx.waits(&job).await? {
        charge(tx, &mut job, outcome).await?;
        return tx.finish(&job, State::Cancelled, super::lease::replaced()).await;
    }
    match outcome {
        Outcome::Succeeded { result, keep_ms } => {
            tx.processed(&job.queue, 1);
            job.attempts = job.attempts.saturating_add(1);
            let ending = Ending { keep_ms: *keep_ms, reason: None, result: result.as_deref() };
            tx.finish(&job, State::Succeeded, ending).await
        }
        Outcome::Retry { wait_ms, error } => {
            fail(tx, &mut job, error).await?;
            let due_ms = tx.now.saturating_add((*wait_ms).max(0));
            tx.delay(&job, State::Retryable, due_ms).await
        }
        Outcome::Snooze { wait_ms } => {
            let due_ms = tx.now.saturating_add((*wait_ms).max(0));
            tx.delay(&job, State::Scheduled, due_ms).await
        }
        Outcome::Discard { reason, error, keep_ms } => {
            if reason != EXPIRED {
                fail(tx, &mut job, error).await?;
            }
            let ending = Ending { keep_ms: *keep_ms, reason: Some(reason), result: None };
            tx.finish(&job, State::Discarded, ending).await
        }
        Outcome::Cancel { reason, keep_ms } => {
            let ending = Ending { keep_ms: *keep_ms, reason: Some(reason), result: None };
            tx.finish(&job, State::Cancelled, ending).await
        }
        Outcome::HandBack => tx.available(&job, End::Head).await,
        Outcome::Crash { error, max, keep_ms } => {
            crash(tx, &mut job, error).await?;
            if job.crashes < *max {
                return tx.available(&job, End::Head).await;
            }
            let ending = Ending { keep_ms: *keep_ms, reason: Some("crashed"), result: None };
            tx.finish(&job, State::Discarded, ending).await
        }
        Outcome::Park => {
            let record = tx.record(job.id).await?;
            let version = Envelope::decode(job.id, &record).map_or(0, |e| e.version);
            tx.block(&job, Some(version)).await
        }
    }
}

/// Whether the job would run again after this.
fn again(outcome: &Outcome) -> bool {
    !matches!(outcome, Outcome::Succeeded { .. } | Outcome::Discard { .. } | Outcome::Cancel { .. })
}

/// What an outcome costs a job that would run again.
async fn charge(tx: &mut Tx, job: &mut Job, outcome: &Outcome) -> Sql<()> {
    match outcome {
        Outcome::Retry { error, .. } => fail(tx, job, error).await,
        Outcome::Crash { error, .. } => crash(tx, job, error).await,
        _ => Ok(()),
    }
}

/// A crash is charged.
async fn crash(tx: &mut Tx, job: &mut Job, error: &str) -> Sql<()> {
    job.crashes = job.crashes.saturating_add(1);
    job.blow(tx.now, job.attempts.saturating_add(1), error);
    tx.store(job, true).await?;
    tx.index_error(job).await
}

/// An attempt is spent.
async fn fail(tx: &mut Tx, job: &mut Job, error: &str) -> Sql<()> {
    job.attempts = job.attempts.saturating_add(1);
    job.blow(tx.now, job.attempts, error);
    tx.failed(&job.queue);
    tx.store(job, false).await?;
    tx.index_error(job).await
}
