//! Each step, done to the backend and to the model, with the answers compared.

use super::state::{Checked, KEYS, Known, Live, Model, QUEUES, must};
use super::steps::{End, Step};
use super::unique::{Newest, SCOPES};
use crate::backend::*;
use crate::testing::harness::{Harness, job};
use crate::{JobId, Limit, LimitKey, State};
use std::collections::{HashMap, HashSet};

/// Not a whole number of seconds, as no other span here: nothing ends at the very instant
/// at which it is looked at.
const TTL: i64 = 15_250;
const KEEP: i64 = 10_750;
const PAUSE: i64 = 4_500;

fn said<T: std::fmt::Debug>(verb: &str, answer: crate::Result<T>) -> Result<T, String> {
    answer.map_err(|e| format!("{verb} failed: {e:?}"))
}

pub(super) async fn apply(h: &Harness, m: &mut Model, step: Step) -> Checked {
    match step {
        Step::Enqueue { .. } => enqueue(h, m, step).await,
        Step::Lease { queue, max, alone } => lease(h, m, queue, max, alone).await,
        Step::Settle { lease, end, twice } => settle(h, m, lease, &[end], twice).await,
        Step::SettleBatch { lease, ends } => settle(h, m, lease, &ends, false).await,
        Step::SettleLate { past, end, same } => settle_late(h, m, past, end, same).await,
        Step::Extend { lease } => extend(h, m, lease).await,
        Step::Pass { seconds } => {
            h.pass(seconds * 1_000);
            m.now = h.now();
            Ok(())
        }
        Step::Promote { limit } => promote(h, m, limit).await,
        Step::Reap => super::sweep::reap(h, m).await,
        Step::Prune => super::sweep::prune(h, m).await,
        Step::Control { job, action } => super::sweep::control(h, m, job, action).await,
        Step::Pause { queue, how } => pause(h, m, queue, how).await,
        Step::Purge { queue, limit } => super::sweep::purge(h, m, queue, limit).await,
        Step::Beat { version } => super::sweep::beat(h, m, version).await,
        Step::Crash => {
            h.pass(TTL + 1_000);
            m.now = h.now();
            super::sweep::reap(h, m).await
        }
        Step::Rule { most } => {
            h.rule("pair", Some(Limit::default().concurrency(most))).await;
            m.pair = most as usize;
            Ok(())
        }
    }
}

async fn enqueue(h: &Harness, m: &mut Model, step: Step) -> Checked {
    let Step::Enqueue { queue, priority, delay, unique, key, tag, version, chosen, twice } = step else {
        return Ok(());
    };
    let due = (delay > 0).then(|| m.due(delay));
    let mut draft = job("a.job").queue(QUEUES[queue]).priority(priority).with(|e| {
        e.version = version;
        e.unique = unique.map(|n| format!("key {n}"));
        e.scope = unique.map_or(Scope::default(), |n| SCOPES[n]);
        e.tags = tag.map(|n| format!("tag {n}")).into_iter().collect();
        e.serial = (key == Some(0)).then(|| "one at a time".into());
        e.limit = key.filter(|k| *k > 0).map(|k| LimitKey::new("pair", k));
        e.max_crashes = Some(2);
    });
    if let Some(due) = due {
        draft = draft.due(Due::At(due));
    }
    if let Some(id) = chosen.filter(|_| !m.ever.is_empty()).map(|n| m.ever[n % m.ever.len()]) {
        // Kept too long already: whether it is still there is the backend's choice.
        let over = |j: &Known| j.state.is_final() && j.until.is_none_or(|ms| ms <= m.now);
        if !m.jobs.get(&id).is_some_and(over) {
            draft = draft.chosen(id);
        }
    }
    let id = draft.id();
    let expected = match unique.and_then(|key| m.conflict(key)) {
        _ if m.jobs.contains_key(&id) => Enqueued::Existing(id),
        Some(conflict) => conflict,
        None => Enqueued::Created,
    };
    let batch = h.batch([draft]);
    // A reply that was lost: the call is repeated, over whatever connection there is then.
    for backend in [&h.backend, &h.other].into_iter().take(1 + usize::from(twice)) {
        let answer = said("enqueue", backend.enqueue(&batch).await)?;
        must!(answer == Taken::Jobs(vec![expected]), "enqueue answered {answer:?}; expected {expected:?}");
    }
    if let Enqueued::Replaced(holder) = expected {
        m.replace(holder, &Newest { queue, priority, version, key, tag, due });
    }
    if expected == Enqueued::Created {
        m.ever.push(id);
        let state = if due.is_some() { State::Scheduled } else { State::Available };
        let mut known = Known {
            state,
            queue,
            priority,
            version,
            unique,
            owns: false,
            hold: None,
            latest: None,
            tag,
            key,
            place: None,
            attempts: 0,
            crashes: 0,
            suspect: Some(false),
            due,
            lease: None,
            cancel: false,
            parked: false,
            until: None,
        };
        known.own_from(m.now);
        m.jobs.insert(id, known);
        if due.is_none() {
            m.join_tail(id);
        }
    }
    Ok(())
}

async fn lease(h: &Harness, m: &mut Model, queue: usize, max: usize, alone: bool) -> Checked {
    let request = LeaseRequest {
        worker: "model".into(),
        queues: vec![(QUEUES[queue].into(), max)],
        most: 1_000,
        alone,
        ttl_ms: TTL,
    };
    let batches = said("lease", h.backend.lease(&request).await)?.batches;
    let ids: Vec<JobId> = batches.iter().flat_map(|b| &b.jobs).map(|j| j.id).collect();
    may_lease(m, queue, max, &ids)?;
    for batch in batches {
        must!(Some(batch.token) > m.last_token, "the token {:?} does not grow", batch.token);
        must!(!batch.jobs.is_empty(), "an empty batch");
        must!(batch.expires_ms == m.now + TTL && batch.now_ms == m.now, "the times of {batch:?}");
        m.last_token = Some(batch.token);
        let mut last = HashMap::new();
        for leased in &batch.jobs {
            let room = m.jobs.get(&leased.id).and_then(|j| j.key).is_none_or(|key| m.free(key) > 0);
            must!(room, "more than may run under one key: {batch:?}");
            let Some(job) = m.jobs.get_mut(&leased.id) else { return Err(format!("unknown {leased:?}")) };
            let known = (job.attempts, job.crashes, job.suspect.unwrap_or(leased.suspect));
            must!(known == (leased.attempts, leased.crashes, leased.suspect), "{job:?} leased as {leased:?}");
            must!(batch.jobs.len() == 1 || !(alone || leased.suspect), "should be alone: {leased:?}");
            if let (Some(place), true) = (job.place, job.suspect == Some(false)) {
                let before = last.insert(job.key, (job.priority, place));
                must!(before < Some((job.priority, place)), "out of order within {batch:?}");
            }
            (job.state, job.lease, job.place) = (State::Leased, Some(batch.token), None);
            job.start();
        }
        let jobs = batch.jobs.iter().map(|j| j.id).collect::<Vec<_>>();
        let alone = jobs.len() == 1;
        m.live.insert(batch.token, Live { jobs, alone, expires: batch.expires_ms });
    }
    Ok(())
}

/// Checks what was leased against what waits: the right number, priorities strict, and
/// where places are certain, first in first out.
fn may_lease(m: &Model, queue: usize, max: usize, ids: &[JobId]) -> Checked {
    let waiting: Vec<(&JobId, &Known)> =
        m.jobs.iter().filter(|(_, j)| j.queue == queue && j.state == State::Available).collect();
    must!(ids.len() <= max, "{} leased of {max} asked for", ids.len());
    must!(ids.is_empty() || m.paused(queue).is_none(), "leased from a paused queue");
    for id in ids {
        let found = waiting.iter().find(|(other, _)| *other == id);
        must!(found.is_some_and(|(_, j)| !j.cancel), "{id} was leased; known {:?}", m.jobs.get(id));
    }
    if m.paused(queue).is_some() {
        return Ok(());
    }
    // Suspects may end a batch before it is full, and what is called off goes on the way.
    let certain = |j: &Known| !j.cancel && j.suspect == Some(false);
    let under = |key: Option<usize>| waiting.iter().filter(|(_, j)| j.key == key).count();
    let keyed: usize = (0..KEYS).map(|key| under(Some(key)).min(m.free(key))).sum();
    let could = max.min(under(None) + keyed);
    let full = waiting.iter().all(|(_, j)| certain(j));
    must!(!full || ids.len() == could, "{} leased of {could} possible", ids.len());
    let some = waiting.iter().all(|(_, j)| !j.cancel) && could > 0;
    must!(!some || !ids.is_empty(), "nothing leased of {could} possible");
    let (mut taken, mut left) = (Vec::new(), Vec::new());
    for (id, j) in waiting.iter().filter(|(_, j)| !j.cancel) {
        if ids.contains(id) { taken.push(*j) } else { left.push(*j) }
    }
    for (a, b) in taken.iter().flat_map(|a| left.iter().map(move |b| (a, b))) {
        if a.key != b.key {
            continue; // lanes and keys take turns
        }
        let passed = a.priority == b.priority && a.place.zip(b.place).is_some_and(|(a, b)| a > b);
        must!(a.priority <= b.priority && !passed, "{a:?} was leased before {b:?}");
    }
    Ok(())
}

pub(super) fn outcome(m: &mut Model, end: End) -> Outcome {
    let wait_ms = |m: &mut Model| m.due(3) - m.now;
    match end {
        End::Succeed => Outcome::Succeeded { result: Some("7".into()), keep_ms: KEEP },
        End::SucceedKeepNothing => Outcome::Succeeded { result: None, keep_ms: 0 },
        End::Retry => Outcome::Retry { wait_ms: wait_ms(m), error: "no".into() },
        End::Snooze => Outcome::Snooze { wait_ms: wait_ms(m) },
        End::Discard => Outcome::Discard { reason: "failed".into(), error: "no".into(), keep_ms: KEEP },
        End::Cancel => Outcome::Cancel { reason: "no".into(), keep_ms: KEEP },
        End::HandBack => Outcome::HandBack,
        End::Park => Outcome::Park,
        End::Crash => Outcome::Crash { error: "no".into(), max: 2, keep_ms: KEEP },
    }
}

/// The lease that a number stands for.
fn pick(m: &Model, n: usize) -> Option<(Token, Live)> {
    let count = m.live.len();
    m.live.iter().nth(n % count.max(1)).map(|(token, live)| (*token, live.clone()))
}

async fn settle(h: &Harness, m: &mut Model, lease: usize, ends: &[End], twice: bool) -> Checked {
    let Some((token, live)) = pick(m, lease) else { return Ok(()) };
    let mut items = Vec::new();
    for (n, end) in ends.iter().enumerate().take(live.jobs.len()) {
        let id = live.jobs[(lease + n) % live.jobs.len()];
        let keyed = m.jobs.get(&id).is_some_and(|j| j.unique.is_some());
        items.push(Settle { token, id, outcome: outcome(m, *end), keyed });
    }
    let answers = said("settle", h.backend.settle(&items).await)?;
    must!(answers.len() == items.len(), "{} answers to {} items", answers.len(), items.len());
    let expired = live.expires <= m.now;
    if expired && answers.iter().all(|a| *a == Settled::Stale) {
        return Ok(());
    }
    must!(answers.iter().all(|a| *a == Settled::Done), "{answers:?} to {items:?}, which is held");
    let handed: Vec<JobId> =
        items.iter().filter(|i| matches!(i.outcome, Outcome::HandBack)).map(|i| i.id).collect();
    let behind = replaced(h, m, &items).await?;
    for item in &items {
        settled(m, item, behind.contains(&item.id));
    }
    m.join_head(&handed.into_iter().filter(|id| m.jobs[id].state == State::Available).collect::<Vec<_>>());
    if twice {
        let again = said("settle", h.other.settle(&items).await)?;
        must!(again == answers, "{again:?} to the repetition of {items:?}");
    }
    Ok(())
}

/// Which of these came back behind a newer job with their key, and were cancelled therefore.
async fn replaced(h: &Harness, m: &mut Model, items: &[Settle]) -> Result<HashSet<JobId>, String> {
    let (mut back, mut behind) = (Vec::new(), HashSet::new());
    for Settle { id, outcome, .. } in items {
        let Some(job) = m.jobs.get(id) else { continue };
        let last = matches!(outcome, Outcome::Crash { max, .. } if job.crashes + 1 >= *max);
        if job.cancel || last || over(outcome) {
            continue;
        }
        back.push(*id);
        let view = said("get", h.backend.get(*id, false).await)?;
        if view.is_some_and(|v| v.reason.as_deref() == Some("replaced")) {
            behind.insert(*id);
        }
    }
    m.come_back(&back, &behind)?;
    Ok(behind)
}

/// Whether a job never runs again after this.
fn over(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Succeeded { .. } | Outcome::Discard { .. } | Outcome::Cancel { .. })
}

/// What follows from an outcome; places at the head are given by the caller.
fn settled(m: &mut Model, item: &Settle, behind: bool) {
    let id = item.id;
    let now = m.now;
    m.leave(item.token, id, Some(item.outcome.clone()));
    let Some(job) = m.jobs.get_mut(&id) else { return };
    if job.suspect == Some(true) {
        job.suspect = None;
    }
    job.lease = None;
    if behind || (job.cancel && !over(&item.outcome)) {
        job.attempts += u32::from(matches!(item.outcome, Outcome::Retry { .. }));
        job.crashes += u32::from(matches!(item.outcome, Outcome::Crash { .. }));
        job.suspect = None;
        return m.finish(id, State::Cancelled, Some(3_600_000));
    }
    match &item.outcome {
        Outcome::Succeeded { keep_ms, .. } => {
            m.processed[job.queue] += 1;
            m.finish(id, State::Succeeded, Some(*keep_ms));
        }
        Outcome::Retry { wait_ms, .. } => {
            job.attempts += 1;
            (job.state, job.due) = (State::Retryable, Some(now + wait_ms));
        }
        Outcome::Snooze { wait_ms } => (job.state, job.due) = (State::Scheduled, Some(now + wait_ms)),
        Outcome::Discard { keep_ms, .. } => m.finish(id, State::Discarded, Some(*keep_ms)),
        Outcome::Cancel { keep_ms, .. } => m.finish(id, State::Cancelled, Some(*keep_ms)),
        Outcome::HandBack => job.state = State::Available,
        Outcome::Crash { max, .. } => {
            job.crashes += 1;
            job.suspect = Some(true);
            match job.crashes >= *max {
                true => m.finish(id, State::Discarded, Some(KEEP)),
                false => (job.state, job.place) = (State::Available, None),
            }
        }
        Outcome::Park => (job.state, job.parked) = (State::Blocked, true),
    }
}

/// Settles a lease that has ended. The comparison that follows shows that nothing moved.
async fn settle_late(h: &Harness, m: &mut Model, past: usize, end: End, same: bool) -> Checked {
    if m.past.is_empty() {
        return Ok(());
    }
    let past = m.past[past % m.past.len()].clone();
    let outcome = match &past.settled {
        Some(first) if same => first.clone(),
        _ => outcome(m, end),
    };
    let repeated = past
        .settled
        .as_ref()
        .is_some_and(|first| std::mem::discriminant(first) == std::mem::discriminant(&outcome));
    let item = Settle { token: past.token, id: past.id, outcome, keyed: past.keyed };
    let answer = said("settle", h.backend.settle(std::slice::from_ref(&item)).await)?;
    // A repetition is recognised for a while; after that it is stale like any other.
    must!(repeated || answer == [Settled::Stale], "{answer:?} to {item:?}, which is not held");
    Ok(())
}

async fn extend(h: &Harness, m: &mut Model, lease: usize) -> Checked {
    let Some((token, live)) = pick(m, lease) else { return Ok(()) };
    let ended = m.past.iter().map(|p| p.token).find(|t| !m.live.contains_key(t));
    let tokens = [token, ended.unwrap_or(Token(3))];
    let answer = said("extend", h.backend.extend(&tokens, TTL).await)?;
    let expired = live.expires <= m.now;
    must!(answer.held.len() == 2 && !answer.held[1], "{answer:?} to {tokens:?}");
    must!(answer.held[0] || expired, "{token:?} is held, but {answer:?}");
    let mut marked: Vec<JobId> =
        m.jobs.iter().filter(|(_, j)| j.cancel && j.lease.is_some()).map(|(id, _)| *id).collect();
    let mut told = answer.cancel;
    marked.sort();
    told.sort();
    must!(told == marked, "cancellations {told:?}; expected {marked:?}");
    if let (true, Some(live)) = (answer.held[0], m.live.get_mut(&token)) {
        live.expires = m.now + TTL;
    }
    Ok(())
}

async fn promote(h: &Harness, m: &mut Model, limit: usize) -> Checked {
    let mut due: Vec<(i64, JobId)> = m.jobs.iter().filter_map(|(id, j)| j.due.map(|ms| (ms, *id))).collect();
    due.sort();
    let count = due.iter().take_while(|(ms, _)| *ms <= m.now).count().min(limit);
    for (_, id) in &due[..count] {
        m.join_tail(*id);
    }
    let expected = Promoted { count, next_ms: due.get(count).map(|(ms, _)| *ms) };
    let answer = said("promote", h.backend.promote(limit).await)?;
    must!(answer == expected, "promote answered {answer:?}; expected {expected:?}");
    Ok(())
}

async fn pause(h: &Harness, m: &mut Model, queue: usize, how: usize) -> Checked {
    let until = m.now + PAUSE * how as i64;
    let pause = match how {
        0 => Pause::Off,
        1 => Pause::Forever,
        2 => Pause::Until(until),
        _ => Pause::For(until - m.now),
    };
    let longer = match m.paused(queue) {
        Some(None) => None,
        Some(Some(ms)) => Some(ms.max(until)),
        None => Some(until),
    };
    match how {
        0 => drop(m.paused.remove(&queue)),
        1 => drop(m.paused.insert(queue, None)),
        _ => drop(m.paused.insert(queue, longer)),
    }
    said("pause", h.backend.pause(QUEUES[queue], pause).await)
}
