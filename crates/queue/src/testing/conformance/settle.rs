//! Ending leases: each outcome, the fence, repetition, one job of a shared batch.

use super::super::harness::*;
use crate::backend::*;
use crate::{JobId, State};

pub(super) async fn success_keeps_the_result(h: &Harness) {
    let id = h.put(job("a.job")).await;
    let held = h.take("q").await;
    h.pass(70);
    let result = Some("{\"runs\":[1,2],\"é\":\"\\u0000\"}".to_string());
    h.done(&held, Outcome::Succeeded { result: result.clone(), keep_ms: 60_000 }).await;
    let view = h.view(id).await;
    assert_eq!((view.state, view.finished_ms), (State::Succeeded, Some(h.now())));
    assert_eq!(view.result.map(|r| r.get().to_string()), result);
    assert!(view.lease.is_none() && view.due_ms.is_none());
    assert_eq!(view.envelope.name(), "a.job");
    let queue = h.queue("q").await;
    assert_eq!((queue.count(State::Succeeded), queue.processed, queue.failed), (1, 1, 0));
}

pub(super) async fn success_with_keep_0_leaves_nothing(h: &Harness) {
    let ids = h.put_all((0..3).map(|_| job("a.job"))).await;
    for held in h.lease("q", 3).await {
        h.done(&held, Outcome::Succeeded { result: Some("1".into()), keep_ms: 0 }).await;
    }
    for id in ids {
        h.gone(id).await;
    }
    let queue = h.queue("q").await;
    assert_eq!(queue.processed, 3);
    assert!(State::ALL.iter().all(|s| queue.count(*s) == 0), "{queue:?}");
}

pub(super) async fn retry_spends_an_attempt_and_waits(h: &Harness) {
    let id = h.put(job("a.job")).await;
    let held = h.take("q").await;
    let outcome = Outcome::Retry { wait_ms: 2_000, error: "a \"bad\" day\n{é}\0".into() };
    h.done(&held, outcome).await;
    let view = h.view(id).await;
    assert_eq!((view.state, view.attempts), (State::Retryable, 1));
    assert_eq!(view.due_ms, Some(h.now() + 2_000));
    let expected = ErrorRecord { at_ms: h.now(), attempt: 1, error: "a \"bad\" day\n{é}\0".into() };
    assert_eq!(view.errors, [expected]);
    assert!(h.lease("q", 1).await.is_empty());
    h.pass(2_000);
    assert_eq!(h.promote().await.count, 1);
    let again = h.take("q").await;
    assert_eq!((again.id, again.job.attempts, again.job.crashes), (id, 1, 0));
    h.done(&again, retry(0)).await;
    let view = h.view(id).await;
    assert_eq!((view.attempts, view.errors.len(), view.errors[1].attempt), (2, 2, 2));
    assert_eq!((h.queue("q").await.failed, h.queue("q").await.processed), (2, 0));
}

pub(super) async fn a_retry_without_a_wait_is_due_at_once(h: &Harness) {
    let id = h.put(job("a.job")).await;
    h.done(&h.take("q").await, retry(0)).await;
    h.is(id, State::Retryable).await;
    assert_eq!(h.promote().await.count, 1);
    h.is(id, State::Available).await;
}

pub(super) async fn snooze_spends_no_attempt(h: &Harness) {
    let id = h.put(job("a.job")).await;
    h.done(&h.take("q").await, snooze(3_000)).await;
    let view = h.view(id).await;
    assert_eq!((view.state, view.attempts, view.due_ms), (State::Scheduled, 0, Some(h.now() + 3_000)));
    assert!(view.errors.is_empty());
    h.pass(3_000);
    h.promote().await;
    assert_eq!(h.take("q").await.job.attempts, 0);
    let queue = h.queue("q").await;
    assert_eq!((queue.processed, queue.failed), (0, 0));
}

pub(super) async fn discard_keeps_the_reason(h: &Harness) {
    let id = h.put(job("a.job")).await;
    let held = h.take("q").await;
    let outcome = Outcome::Discard { reason: "exhausted".into(), error: "too often".into(), keep_ms: 5_000 };
    h.done(&held, outcome).await;
    let view = h.view(id).await;
    assert_eq!((view.state, view.attempts), (State::Discarded, 1));
    assert_eq!(view.reason.as_deref(), Some("exhausted"));
    assert_eq!(view.errors.last().map(|e| e.error.as_str()), Some("too often"));
    assert_eq!(view.finished_ms, Some(h.now()));
    assert_eq!((h.queue("q").await.failed, h.queue("q").await.count(State::Discarded)), (1, 1));
}

pub(super) async fn cancel_keeps_the_reason(h: &Harness) {
    let id = h.put(job("a.job")).await;
    h.done(&h.take("q").await, cancel()).await;
    let view = h.view(id).await;
    assert_eq!((view.state, view.finished_ms), (State::Cancelled, Some(h.now())));
    assert_eq!(view.reason.as_deref(), Some("nobody wants it"));
}

pub(super) async fn a_hand_back_goes_to_the_head(h: &Harness) {
    let ids = h.put_all((0..4).map(|_| job("a.job"))).await;
    let urgent = h.put(job("a.job").priority(1)).await;
    let first = h.take("q").await;
    assert_eq!(first.id, urgent);
    let second = h.take("q").await;
    h.done(&second, Outcome::HandBack).await;
    let view = h.view(second.id).await;
    assert_eq!((view.state, view.attempts, view.crashes), (State::Available, 0, 0));
    h.done(&first, Outcome::HandBack).await;
    let again = h.lease("q", 9).await;
    let order: Vec<_> = again.iter().map(|h| h.id).collect();
    assert_eq!(order, [urgent, ids[0], ids[1], ids[2], ids[3]], "of its own priority");
    assert!(again.iter().all(|h| h.job.attempts == 0 && !h.job.suspect));
}

pub(super) async fn a_batch_handed_back_in_one_call_keeps_its_order(h: &Harness) {
    let ids = h.put_all((0..5).map(|_| job("a.job"))).await;
    let held = h.lease("q", 3).await;
    let items: Vec<_> = held.iter().map(|h| h.settle(Outcome::HandBack)).collect();
    assert_eq!(h.backend.settle(&items).await.unwrap(), [Settled::Done; 3]);
    assert_eq!(h.leased_ids("q", 9).await, ids);
}

pub(super) async fn every_outcome_with_a_wrong_token_changes_nothing(h: &Harness) {
    let id = h.put(job("a.job").unique("k").serial("s")).await;
    let held = h.take("q").await;
    for wrong in [0, 1, held.token.0 - 1, held.token.0 + 1] {
        for (outcome, _) in every_outcome() {
            h.stale(&Held { token: Token(wrong), ..held.clone() }, outcome).await;
        }
    }
    h.is(id, State::Leased).await;
    h.done(&held, success(0)).await;
}

pub(super) async fn the_token_of_another_batch_settles_nothing(h: &Harness) {
    h.put_all([job("a.job"), job("a.job")]).await;
    let (first, second) = (h.take("q").await, h.take("q").await);
    for (outcome, _) in every_outcome() {
        h.stale(&Held { token: second.token, ..first.clone() }, outcome).await;
    }
    assert_eq!(h.queue("q").await.count(State::Leased), 2);
    h.done(&first, success(0)).await;
    h.done(&second, success(0)).await;
}

pub(super) async fn the_token_of_another_batch_settles_nothing_that_waits(h: &Harness) {
    let waiting = h.put(job("a.job").due(Due::In(60_000))).await;
    let available = h.put(job("a.job").queue("other")).await;
    h.put(job("a.job")).await;
    let held = h.take("q").await;
    for id in [waiting, available, JobId::new()] {
        for (outcome, _) in every_outcome() {
            h.stale(&Held { id, ..held.clone() }, outcome).await;
        }
    }
    h.is(held.id, State::Leased).await;
}

pub(super) async fn a_repeated_settle_answers_done_and_happens_once(h: &Harness) {
    for (outcome, state) in every_outcome() {
        for shared in [1, 2] {
            let queue = format!("{state}{shared}");
            h.put_all((0..shared).map(|_| job("a.job").queue(&queue))).await;
            let held = h.lease(&queue, shared).await.remove(0);
            h.done(&held, outcome.clone()).await;
            let before = (h.shown(held.id).await, format!("{:?}", h.queue(&queue).await));
            for backend in [&h.backend, &h.other] {
                let answer = backend.settle(&[held.settle(outcome.clone())]).await.unwrap();
                assert_eq!(answer, [Settled::Done], "the very settle that ended it as {state}");
            }
            let after = (h.shown(held.id).await, format!("{:?}", h.queue(&queue).await));
            assert_eq!(after, before, "repeated as {state} of {shared}");
        }
    }
}

pub(super) async fn a_repeated_settle_that_kept_nothing_answers_done(h: &Harness) {
    for shared in [1, 2] {
        h.put_all((0..2).map(|_| job("a.job"))).await;
        let held = h.lease("q", shared).await.remove(0);
        h.done(&held, success(0)).await;
        h.pass(5_000);
        assert_eq!(h.settle(&held, success(0)).await, Settled::Done, "of a batch of {shared}");
        h.gone(held.id).await;
        assert_eq!(h.queue("q").await.processed, shared as u64, "counted once");
        while !h.lease("q", 5).await.is_empty() {}
    }
}

pub(super) async fn another_outcome_under_an_ended_lease_is_stale(h: &Harness) {
    for (first, state) in every_outcome() {
        let (_, held) = h.bring(job("a.job").queue(state.as_str()), State::Leased).await;
        let held = held.unwrap();
        h.done(&held, first.clone()).await;
        for (second, other) in every_outcome() {
            if other != state {
                h.stale(&held, second).await;
            }
        }
    }
}

pub(super) async fn a_stale_lease_settles_nobody_elses_attempt(h: &Harness) {
    for (outcome, state) in every_outcome() {
        let queue = state.as_str();
        let (id, first) = h.bring(job("a.job").queue(queue), State::Leased).await;
        let first = first.unwrap();
        assert_eq!(h.lose().await.len(), 1);
        h.stale(&first, outcome.clone()).await;
        let second = h.take(queue).await;
        assert!(second.id == id && second.token > first.token);
        h.stale(&first, outcome.clone()).await;
        h.done(&second, outcome).await;
        assert_eq!(h.state(id).await, Some(state));
    }
}

pub(super) async fn one_job_of_a_shared_batch_leaves_the_others_alone(h: &Harness) {
    for (outcome, state) in every_outcome() {
        let queue = state.as_str();
        h.put_all((0..3).map(|_| job("a.job").queue(queue))).await;
        let held = h.lease(queue, 3).await;
        assert!(held.iter().all(|h| h.shared == 3));
        h.done(&held[1], outcome).await;
        h.is(held[1].id, state).await;
        h.is(held[0].id, State::Leased).await;
        h.is(held[2].id, State::Leased).await;
        assert_eq!(h.backend.extend(&[held[0].token], TTL).await.unwrap().held, [true]);
        h.done(&held[2], success(60_000)).await;
        h.done(&held[0], retry(9_000)).await;
        h.are(&[held[0].id, held[2].id], &[State::Retryable, State::Succeeded]).await;
        h.is(held[1].id, state).await;
    }
}

pub(super) async fn a_job_that_left_its_batch_is_fenced_from_it(h: &Harness) {
    for outcome in [Outcome::HandBack, snooze(0), retry(0), Outcome::Park] {
        let queue = JobId::new().to_string();
        let name = format!("job-{queue}");
        h.put_all((0..3).map(|_| job(&name).queue(&queue))).await;
        let held = h.lease(&queue, 3).await;
        h.done(&held[1], outcome.clone()).await;
        h.stale(&held[1], success(0)).await;
        h.promote().await;
        h.control(held[1].id, Action::Retry).await;
        let second = h.take(&queue).await;
        assert_eq!(second.id, held[1].id);
        // The old batch is still live, and this job is leased; only not under it.
        h.stale(&held[1], success(0)).await;
        h.stale(&held[1], discard()).await;
        h.done(&held[0], success(0)).await;
        h.done(&held[2], success(0)).await;
        h.stale(&held[1], success(0)).await;
        h.is(second.id, State::Leased).await;
        h.done(&second, success(60_000)).await;
        h.is(second.id, State::Succeeded).await;
    }
}

pub(super) async fn many_leases_in_one_call(h: &Harness) {
    let ids = h.put_all((0..12).map(|_| job("a.job"))).await;
    let mut held = h.lease("q", 5).await;
    held.extend(h.lease_alone("q", 3).await);
    held.extend(h.lease("q", 4).await);
    let stale = Held { token: Token(7), ..held[0].clone() };
    let mut items: Vec<Settle> = held
        .iter()
        .enumerate()
        .map(|(n, h)| h.settle(if n % 3 == 0 { retry(1_000) } else { success(60_000) }))
        .collect();
    items.swap(0, 9);
    items.swap(2, 7);
    items.insert(4, stale.settle(success(0)));
    let mut expected = vec![Settled::Done; 13];
    expected[4] = Settled::Stale;
    assert_eq!(h.backend.settle(&items).await.unwrap(), expected, "one answer an item, in order");
    for (n, id) in ids.iter().enumerate() {
        h.is(*id, if n % 3 == 0 { State::Retryable } else { State::Succeeded }).await;
    }
    assert!(h.backend.settle(&[]).await.unwrap().is_empty());
}

pub(super) async fn a_large_batch_in_one_call(h: &Harness) {
    h.put_all((0..1_000).map(|_| job("a.job"))).await;
    let held = h.lease("q", 1_000).await;
    let items: Vec<Settle> = held.iter().map(|h| h.settle(success(0))).collect();
    assert!(h.backend.settle(&items).await.unwrap().iter().all(|s| *s == Settled::Done));
    let queue = h.queue("q").await;
    assert_eq!((held.len(), queue.processed, queue.count(State::Leased)), (1_000, 1_000, 0));
}

pub(super) async fn a_late_settle_is_all_or_nothing(h: &Harness) {
    let id = h.put(job("a.job")).await;
    let held = h.take("q").await;
    h.pass(TTL * 3);
    // Expired, but nobody has taken it back: either answer is right if the state agrees.
    match h.settle(&held, success(60_000)).await {
        Settled::Done => h.is(id, State::Succeeded).await,
        Settled::Stale => h.is(id, State::Leased).await,
    }
    h.reap().await;
    assert_ne!(h.state(id).await, Some(State::Leased));
}

pub(super) async fn the_newest_25_errors_are_kept(h: &Harness) {
    let id = h.put(job("a.job")).await;
    for n in 1..=28 {
        let held = h.take("q").await;
        h.done(&held, Outcome::Retry { wait_ms: 0, error: format!("error {n}") }).await;
        h.promote().await;
    }
    let errors = h.view(id).await.errors;
    assert_eq!(errors.len(), MAX_ERRORS);
    assert_eq!((errors[0].error.as_str(), errors[24].error.as_str()), ("error 4", "error 28"));
    assert_eq!((errors[0].attempt, errors[24].attempt), (4, 28));
}

pub(super) async fn a_long_error_is_cut(h: &Harness) {
    let id = h.put(job("a.job")).await;
    let held = h.take("q").await;
    let error = "é".repeat(10_000);
    h.done(&held, Outcome::Retry { wait_ms: 0, error: error.clone() }).await;
    let stored = h.view(id).await.errors.remove(0).error;
    assert!(stored.len() <= 4_100 && stored.len() > 4_000, "{} bytes", stored.len());
    assert!(error.starts_with(stored.trim_end_matches('…')), "cut between characters");
}

pub(super) async fn a_cancel_mark_outlives_the_attempt(h: &Harness) {
    for outcome in [Outcome::HandBack, retry(0), snooze(0)] {
        let id = h.put(job("a.job").queue("m")).await;
        let held = h.take("m").await;
        assert_eq!(h.control(id, Action::Cancel).await, Controlled::Requested);
        h.done(&held, outcome).await;
        h.promote().await;
        assert!(h.lease("m", 5).await.is_empty(), "a job with a cancel request is not leased");
        h.is(id, State::Cancelled).await;
    }
    assert_eq!(h.queue("m").await.count(State::Cancelled), 3);
}
