//! Calling off what runs: requested, acknowledged, cancelled.

use super::super::harness::*;
use crate::State;
use crate::backend::*;

pub(super) async fn a_request_wakes_the_worker(h: &Harness) {
    let (id, held) = h.bring(job("a.job"), State::Leased).await;
    let mut wakeups = h.backend.wakeups();
    // A listener that has just connected rings by itself: until it is quiet.
    let quiet = std::time::Duration::from_millis(300);
    wakeups.borrow_and_update();
    while tokio::time::timeout(quiet, wakeups.changed()).await.is_ok() {}
    assert_eq!(h.other.control(id, Action::Cancel).await.unwrap(), Controlled::Requested);
    tokio::time::timeout(std::time::Duration::from_secs(10), wakeups.changed()).await.unwrap().unwrap();
    assert_eq!(h.backend.extend(&[], TTL).await.unwrap().cancel, [id]);
    h.done(&held.unwrap(), cancel()).await;
    assert!(h.backend.extend(&[], TTL).await.unwrap().cancel.is_empty());
}

pub(super) async fn a_request_is_acknowledged_under_the_fence(h: &Harness) {
    let (id, held) = h.bring(job("a.job"), State::Leased).await;
    let held = held.unwrap();
    let seen = async |token| h.backend.note(token, id, &Note::CancelSeen).await.unwrap();
    assert_eq!(seen(held.token).await, Settled::Done, "nothing was asked for");
    assert!(!h.view(id).await.cancel_acknowledged);
    h.control(id, Action::Cancel).await;
    assert_eq!(seen(Token(held.token.0 + 1)).await, Settled::Stale);
    let view = h.view(id).await;
    assert_eq!((view.cancel_requested, view.cancel_acknowledged), (true, false));
    for _ in 0..2 {
        assert_eq!(seen(held.token).await, Settled::Done);
        let view = h.view(id).await;
        assert_eq!((view.state, view.cancel_acknowledged), (State::Leased, true));
    }
    h.done(&held, cancel()).await;
    let view = h.view(id).await;
    assert_eq!(
        (view.state, view.cancel_requested, view.cancel_acknowledged),
        (State::Cancelled, false, false)
    );
    assert_eq!(seen(held.token).await, Settled::Stale);
}

/// What ended by itself has ended; whatever would run again is cancelled at once.
pub(super) async fn a_requested_cancellation_and_every_outcome(h: &Harness) {
    let every = every_outcome().into_iter().map(|(outcome, _)| outcome).chain([crash()]);
    for (n, outcome) in every.enumerate() {
        let queue = format!("q{n}");
        let (id, held) = h.bring(job("a.job").queue(&queue), State::Leased).await;
        assert_eq!(h.control(id, Action::Cancel).await, Controlled::Requested);
        let expected = match &outcome {
            Outcome::Succeeded { .. } => State::Succeeded,
            Outcome::Discard { .. } => State::Discarded,
            _ => State::Cancelled,
        };
        let failed = matches!(outcome, Outcome::Retry { .. } | Outcome::Discard { .. });
        let blows = u32::from(failed) + u32::from(matches!(outcome, Outcome::Crash { .. }));
        let shown = format!("{outcome:?}");
        h.done(&held.unwrap(), outcome).await;
        let view = h.view(id).await;
        assert_eq!((view.state, view.errors.len() as u32), (expected, blows), "after {shown}");
        assert_eq!(view.attempts, u32::from(failed || expected == State::Succeeded), "after {shown}");
        assert!(view.finished_ms.is_some() && view.due_ms.is_none() && !view.parked);
    }
    assert!(h.backend.extend(&[], TTL).await.unwrap().cancel.is_empty());
    h.pass(7_200_000);
    assert_eq!(h.promote().await.count, 0);
}

pub(super) async fn a_lost_job_that_was_acknowledged_is_cancelled(h: &Harness) {
    let (id, held) = h.bring(job("a.job"), State::Leased).await;
    h.control(id, Action::Cancel).await;
    h.backend.note(held.unwrap().token, id, &Note::CancelSeen).await.unwrap();
    assert_eq!(h.lose().await[0].state, State::Cancelled);
    assert!(h.lease("q", 9).await.is_empty());
}

pub(super) async fn a_former_request_does_not_hit_a_redriven_job(h: &Harness) {
    for end in [cancel(), success(60_000), discard(), Outcome::HandBack] {
        let (id, held) = h.bring(job("a.job"), State::Leased).await;
        h.control(id, Action::Cancel).await;
        h.backend.note(held.as_ref().unwrap().token, id, &Note::CancelSeen).await.unwrap();
        h.done(&held.unwrap(), end).await;
        assert_eq!(h.control(id, Action::Retry).await, Controlled::Done(State::Available));
        let view = h.view(id).await;
        assert!(!view.cancel_requested && !view.cancel_acknowledged);
        let again = h.take("q").await;
        assert_eq!(again.id, id);
        assert!(h.backend.extend(&[again.token], TTL).await.unwrap().cancel.is_empty());
        h.done(&again, success(0)).await;
    }
}

pub(super) async fn a_repeated_settle_of_a_cancelled_job_answers_done(h: &Harness) {
    for outcome in [retry(5_000), Outcome::HandBack, crash()] {
        let (id, held) = h.bring(job("a.job"), State::Leased).await;
        let held = held.unwrap();
        h.control(id, Action::Cancel).await;
        for _ in 0..2 {
            h.done(&held, outcome.clone()).await;
            h.is(id, State::Cancelled).await;
        }
        h.stale(&held, success(0)).await;
    }
}

pub(super) async fn the_end_of_a_cancelled_job_frees_its_keys(h: &Harness) {
    let id = h.put(job("a.job").unique("u").serial("s")).await;
    let next = h.put(job("b.job").serial("s")).await;
    let held = h.lease("q", 2).await;
    assert_eq!(held.len(), 1);
    h.control(id, Action::Cancel).await;
    h.done(&held[0], retry(60_000)).await;
    assert_eq!(h.take("q").await.id, next);
    h.put(job("a.job").unique("u").queue("other")).await;
}
