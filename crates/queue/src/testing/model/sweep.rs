//! The steps that move jobs without a worker.

use super::state::{Checked, Model, QUEUES, must};
use crate::backend::*;
use crate::testing::harness::{Harness, TTL};
use crate::{JobId, Policy, State};
use std::collections::HashSet;

const HOUR: i64 = 3_600_000;

/// The limit of crashes that the drafts carry.
const MAX_CRASHES: u32 = 2;

/// Takes back expired batches one at a time, so that their order is known.
pub(super) async fn reap(h: &Harness, m: &mut Model) -> Checked {
    loop {
        let reaped = h.backend.reap(1, false, TTL).await.map_err(|e| format!("reap failed: {e:?}"))?;
        let Some(first) = reaped.first() else { break };
        let token = m.jobs.get(&first.id).and_then(|j| j.lease);
        let Some((token, live)) = token.and_then(|t| Some((t, m.live.get(&t)?.clone()))) else {
            return Err(format!("{reaped:?} was taken back, but it was not leased"));
        };
        must!(live.expires <= m.now, "{reaped:?} was taken back before it expired");
        let (mut ids, mut all) = (reaped.iter().map(|r| r.id).collect::<Vec<_>>(), live.jobs.clone());
        ids.sort();
        all.sort();
        must!(ids == all, "{reaped:?} of {live:?}");
        let lost = |id: &JobId| m.jobs.get(id).filter(|j| !j.cancel).zip(reaped.iter().find(|r| r.id == *id));
        let comes_back = |id: &JobId| lost(id).is_some_and(|(_, r)| r.state != State::Discarded);
        let behind = |id: &JobId| lost(id).is_some_and(|(_, r)| r.state == State::Cancelled);
        let all: Vec<JobId> = live.jobs.iter().filter(|id| comes_back(id)).copied().collect();
        let behind: HashSet<JobId> = all.iter().filter(|id| behind(id)).copied().collect();
        m.come_back(&all, &behind)?;
        let mut back = Vec::new();
        for id in &live.jobs {
            let Some(job) = m.jobs.get_mut(id) else { continue };
            let answer = reaped.iter().find(|r| r.id == *id).map(|r| (r.state, r.crashes));
            let was_alone = live.alone && !job.cancel;
            let crashes = job.crashes + u32::from(was_alone);
            let state = match () {
                () if job.cancel => State::Cancelled,
                () if was_alone && crashes >= MAX_CRASHES => State::Discarded,
                () if behind.contains(id) => State::Cancelled,
                () => State::Available,
            };
            let free = job.cancel && answer.is_some_and(|(s, c)| s == state && c <= job.crashes + 1);
            must!(
                free || answer == Some((state, crashes)),
                "{answer:?}; expected {state}, {crashes} crashes"
            );
            job.crashes = answer.map_or(crashes, |(_, c)| c);
            job.suspect = if state == State::Cancelled { None } else { Some(true) };
            m.leave(token, *id, None);
            match state {
                State::Available => back.push(*id),
                // Their retention is the backend's choice.
                _ => m.finish(*id, state, None),
            }
        }
        m.join_head(&back);
    }
    let late = m.live.values().find(|l| l.expires <= m.now);
    must!(late.is_none(), "{late:?} has expired and was not taken back");
    Ok(())
}

pub(super) async fn prune(h: &Harness, m: &mut Model) -> Checked {
    let gone = h.backend.prune(1_000).await.map_err(|e| format!("prune failed: {e:?}"))?;
    let over: Vec<JobId> = m
        .jobs
        .iter()
        .filter(|(_, j)| j.state.is_final() && j.until.is_some_and(|ms| ms <= m.now))
        .map(|(id, _)| *id)
        .collect();
    let open = m.jobs.values().filter(|j| j.state.is_final() && j.until.is_none()).count();
    must!(gone <= over.len() + open, "{gone} pruned; at most {} were over", over.len() + open);
    for id in over {
        m.jobs.remove(&id);
    }
    Ok(())
}

pub(super) async fn control(h: &Harness, m: &mut Model, n: usize, action: Action) -> Checked {
    if m.ever.is_empty() {
        return Ok(());
    }
    let id = m.ever[n % m.ever.len()];
    if m.jobs.get(&id).is_some_and(|j| j.state.is_final() && j.until.is_none_or(|ms| ms <= m.now)) {
        return Ok(());
    }
    let answer = h.backend.control(id, action).await.map_err(|e| format!("control failed: {e:?}"))?;
    let expected = expect_control(m, id, action);
    must!(
        answer == expected,
        "{action:?} of {:?} answered {answer:?}; expected {expected:?}",
        m.jobs.get(&id)
    );
    match expected {
        Controlled::Requested => {
            if let Some(job) = m.jobs.get_mut(&id) {
                job.cancel = true;
            }
        }
        Controlled::Done(State::Cancelled) => m.finish(id, State::Cancelled, Some(HOUR)),
        Controlled::Done(State::Discarded) => {
            m.give_up(id, false);
            m.finish(id, State::Discarded, Some(7 * 24 * HOUR));
        }
        Controlled::Done(State::Available) => put_back(m, id),
        _ => {}
    }
    Ok(())
}

fn expect_control(m: &Model, id: JobId, action: Action) -> Controlled {
    let Some(job) = m.jobs.get(&id) else { return Controlled::Missing };
    match (action, job.state) {
        (Action::Mend, _) => Controlled::Missing,
        (Action::Cancel, State::Leased) => Controlled::Requested,
        (_, State::Leased) => Controlled::Refused(State::Leased),
        (Action::Hurry, state) if state.is_final() => Controlled::Refused(state),
        (Action::Redrive, state) if !state.is_final() => Controlled::Refused(state),
        (Action::Retry | Action::Redrive, state) if state.is_final() => {
            match job.unique.and_then(|k| m.bar(k)).filter(|holder| *holder != id) {
                Some(holder) => Controlled::Duplicate(holder),
                None => Controlled::Done(State::Available),
            }
        }
        (Action::Retry | Action::Hurry | Action::Redrive, _) => Controlled::Done(State::Available),
        (_, state) if state.is_final() => Controlled::Refused(state),
        (Action::Cancel, _) => Controlled::Done(State::Cancelled),
        (Action::Discard, _) => Controlled::Done(State::Discarded),
    }
}

fn put_back(m: &mut Model, id: JobId) {
    let Some(job) = m.jobs.get_mut(&id) else { return };
    if job.state == State::Available {
        return;
    }
    if job.state.is_final() {
        (job.attempts, job.crashes, job.suspect, job.cancel) = (0, 0, None, false);
        m.revive(id);
    }
    m.join_tail(id);
}

/// Which of the jobs that wait are removed first is the backend's choice.
pub(super) async fn purge(h: &Harness, m: &mut Model, queue: usize, limit: usize) -> Checked {
    let gone = h.backend.purge(QUEUES[queue], limit).await.map_err(|e| format!("purge failed: {e:?}"))?;
    let waiting: Vec<JobId> = m
        .jobs
        .iter()
        .filter(|(_, j)| j.queue == queue && !j.state.is_final() && j.state != State::Leased)
        .map(|(id, _)| *id)
        .collect();
    // Fewer than the limit is allowed, none only when none waits: call until 0.
    let most = limit.min(waiting.len());
    must!(
        gone <= most && (gone > 0 || most == 0),
        "{gone} purged of {} with a limit of {limit}",
        waiting.len()
    );
    let mut missing = 0;
    for id in waiting {
        if h.backend.get(id, false).await.map_err(|e| format!("get failed: {e:?}"))?.is_none() {
            m.jobs.remove(&id);
            missing += 1;
        }
    }
    must!(missing == gone, "{gone} purged, {missing} gone");
    Ok(())
}

pub(super) async fn beat(h: &Harness, m: &mut Model, version: u32) -> Checked {
    let handles = Definition { name: "a.job".into(), version, policy: Policy::default() };
    let worker = WorkerView { id: "model".into(), definitions: vec![handles], ..WorkerView::default() };
    h.backend.beat(&worker).await.map_err(|e| format!("beat failed: {e:?}"))?;
    let known: Vec<JobId> =
        m.jobs.iter().filter(|(_, j)| j.parked && j.version <= version).map(|(id, _)| *id).collect();
    for id in known {
        m.available(id, None);
    }
    Ok(())
}
