//! What an operator or a client may do to a job or a queue.

use super::super::harness::*;
use crate::backend::*;
use crate::{JobId, State};

pub(super) async fn cancel_in_every_state(h: &Harness) {
    for state in State::ALL {
        let (id, held) = h.bring(job("a.job").queue(state.as_str()), state).await;
        let before = h.shown(id).await;
        let answer = h.control(id, Action::Cancel).await;
        match state {
            State::Leased => {
                assert_eq!(answer, Controlled::Requested);
                let view = h.view(id).await;
                assert!(view.state == State::Leased && view.cancel_requested);
                assert_eq!(h.control(id, Action::Cancel).await, Controlled::Requested, "again");
                h.done(&held.unwrap(), success(60_000)).await;
                h.is(id, State::Succeeded).await;
            }
            _ if state.is_final() => {
                assert_eq!(answer, Controlled::Refused(state));
                assert_eq!(h.shown(id).await, before);
            }
            _ => {
                assert_eq!(answer, Controlled::Done(State::Cancelled), "while {state}");
                let view = h.view(id).await;
                assert_eq!((view.state, view.finished_ms), (State::Cancelled, Some(h.now())));
                assert!(view.due_ms.is_none() && !view.parked);
                assert_eq!(h.queue(state.as_str()).await.count(state), 0);
            }
        }
    }
    h.pass(7_200_000);
    assert_eq!(h.promote().await.count, 0, "what was cancelled is no longer due");
}

pub(super) async fn discard_in_every_state(h: &Harness) {
    for state in State::ALL {
        let (id, held) = h.bring(job("a.job").queue(state.as_str()), state).await;
        let before = h.shown(id).await;
        let answer = h.control(id, Action::Discard).await;
        if state.is_final() || state == State::Leased {
            assert_eq!(answer, Controlled::Refused(state));
            assert_eq!(h.shown(id).await, before);
        } else {
            assert_eq!(answer, Controlled::Done(State::Discarded), "while {state}");
            let view = h.view(id).await;
            assert_eq!(view.reason.as_deref(), Some("operator"));
            assert_eq!((view.state, view.finished_ms), (State::Discarded, Some(h.now())));
        }
        if let Some(held) = held {
            h.done(&held, success(0)).await;
        }
    }
}

pub(super) async fn retry_in_every_state(h: &Harness) {
    for state in State::ALL {
        let queue = state.as_str();
        let (id, held) = h.bring(job("a.job").queue(queue), state).await;
        let errors = h.view(id).await.errors;
        let before = h.shown(id).await;
        let answer = h.control(id, Action::Retry).await;
        if state == State::Leased {
            assert_eq!(answer, Controlled::Refused(state));
            assert_eq!(h.shown(id).await, before);
            h.done(&held.unwrap(), success(0)).await;
            continue;
        }
        assert_eq!(answer, Controlled::Done(State::Available), "while {state}");
        let view = h.view(id).await;
        assert_eq!((view.state, view.due_ms, view.parked), (State::Available, None, false));
        assert_eq!(view.errors, errors, "the errors are kept");
        if state.is_final() {
            assert_eq!((view.attempts, view.crashes), (0, 0));
            assert!(view.finished_ms.is_none() && view.reason.is_none());
        }
        let again = h.take(queue).await;
        assert_eq!(again.id, id);
        assert!(h.lease(queue, 9).await.is_empty(), "leased once");
        h.done(&again, success(0)).await;
        h.gone(id).await;
    }
    h.pass(7_200_000);
    assert_eq!(h.promote().await.count, 0, "nothing of it was left behind");
}

pub(super) async fn retry_spares_the_attempts_of_an_unfinished_job(h: &Harness) {
    let (id, _) = h.bring(job("a.job"), State::Retryable).await;
    assert_eq!(h.control(id, Action::Retry).await, Controlled::Done(State::Available));
    assert_eq!(h.take("q").await.job.attempts, 1);
}

pub(super) async fn a_redriven_job_is_not_suspect_for_its_former_crashes(h: &Harness) {
    let id = h.put(job("a.job").with(|e| e.max_crashes = Some(1))).await;
    h.take("q").await;
    assert_eq!(h.lose().await[0].state, State::Discarded);
    assert_eq!(h.control(id, Action::Retry).await, Controlled::Done(State::Available));
    assert_eq!(h.take("q").await.job.crashes, 0);
    assert_eq!(h.lose().await, [Reaped { id, state: State::Discarded, crashes: 1 }]);
}

pub(super) async fn a_retry_lets_no_serial_waiter_in(h: &Harness) {
    let ids = h.put_all([job("a.job").serial("s"), job("a.job").serial("s")]).await;
    h.lease("q", 2).await;
    assert_eq!(h.control(ids[1], Action::Retry).await, Controlled::Done(State::Available));
    assert!(h.lease("q", 2).await.is_empty());
}

pub(super) async fn retry_of_a_final_job_whose_key_is_held(h: &Harness) {
    for state in [State::Succeeded, State::Discarded, State::Cancelled] {
        let queue = state.as_str();
        let draft = job("a.job").queue(queue).unique(queue);
        let (old, _) = h.bring(draft.clone(), state).await;
        let holder = h.put(draft.with(|e| e.id = JobId::new()).queue("other")).await;
        let before = h.shown(old).await;
        assert_eq!(h.control(old, Action::Retry).await, Controlled::Duplicate(holder));
        assert_eq!(h.shown(old).await, before, "nothing changed");
        h.control(holder, Action::Cancel).await;
        assert_eq!(h.control(old, Action::Retry).await, Controlled::Done(State::Available));
        let again = h.offer(job("a.job").unique(queue)).await;
        assert_eq!(again, Enqueued::Existing(old), "it holds its key again");
    }
}

pub(super) async fn retry_of_a_final_job_whose_key_is_free_takes_it(h: &Harness) {
    let (id, _) = h.bring(job("a.job").unique("k"), State::Discarded).await;
    h.control(id, Action::Retry).await;
    assert_eq!(h.offer(job("a.job").unique("k")).await, Enqueued::Existing(id));
    h.done(&h.take("q").await, success(0)).await;
    h.put(job("a.job").unique("k")).await;
}

pub(super) async fn no_action_on_a_job_that_is_not_there(h: &Harness) {
    for action in [Action::Cancel, Action::Discard, Action::Retry] {
        assert_eq!(h.control(JobId::new(), action).await, Controlled::Missing);
        let id = h.put(job("a.job")).await;
        h.done(&h.take("q").await, success(0)).await;
        assert_eq!(h.control(id, action).await, Controlled::Missing);
    }
}

pub(super) async fn cancel_and_discard_are_kept_for_their_time(h: &Harness) {
    let ids = h.put_all([job("a.job"), job("a.job")]).await;
    h.control(ids[0], Action::Cancel).await;
    h.control(ids[1], Action::Discard).await;
    h.pass(3_599_000);
    h.backend.prune(100).await.unwrap();
    h.are(&ids, &[State::Cancelled, State::Discarded]).await;
    h.pass(2_000);
    h.backend.prune(100).await.unwrap();
    h.gone(ids[0]).await;
    h.pass(7 * 86_400_000 - 3_602_000);
    h.backend.prune(100).await.unwrap();
    h.is(ids[1], State::Discarded).await;
    h.pass(2_000);
    h.backend.prune(100).await.unwrap();
    h.gone(ids[1]).await;
}

pub(super) async fn a_cancelled_waiting_job_is_never_leased(h: &Harness) {
    let ids = h.put_all((0..5).map(|n| job("a.job").priority(n % 2))).await;
    h.control(ids[1], Action::Cancel).await;
    h.control(ids[2], Action::Discard).await;
    assert_eq!(h.queue("q").await.count(State::Available), 3);
    assert_eq!(h.leased_ids("q", 9).await, [ids[0], ids[4], ids[3]]);
    assert!(h.lease("q", 9).await.is_empty());
}

pub(super) async fn a_job_redriven_while_its_old_place_remains_is_leased_once(h: &Harness) {
    let ids = h.put_all((0..4).map(|_| job("a.job"))).await;
    for round in 0..3 {
        h.control(ids[1], Action::Cancel).await;
        assert_eq!(h.control(ids[1], Action::Retry).await, Controlled::Done(State::Available), "{round}");
        assert_eq!(h.queue("q").await.count(State::Available), 4);
    }
    assert_eq!(h.leased_ids("q", 9).await, [ids[0], ids[2], ids[3], ids[1]], "from the tail");
    assert!(h.lease("q", 9).await.is_empty());
}

pub(super) async fn purge_removes_what_waits_in_steps(h: &Harness) {
    for state in State::ALL {
        h.bring(job("a.job").unique(state.as_str()), state).await;
        let id = h.put(job("kept.job").queue("kept").unique(state.as_str())).await;
        h.is(id, State::Available).await;
        if state == State::Available {
            // Out of the way of the next one.
            h.done(&h.take("q").await, snooze(60_000)).await;
        }
    }
    h.put_all((0..3).map(|_| job("a.job"))).await;
    let mut went = Vec::new();
    loop {
        let step = h.backend.purge("q", 2).await.unwrap();
        went.push(step);
        if step == 0 {
            break;
        }
    }
    assert!(went.iter().all(|n| *n <= 2), "at most as many as said: {went:?}");
    assert_eq!(went.iter().sum::<usize>(), 7, "scheduled twice, retryable, parked, three available");
    let queue = h.queue("q").await;
    for state in State::ALL {
        let waiting = !state.is_final() && state != State::Leased;
        assert_eq!(queue.count(state), u64::from(!waiting), "{state}");
        if waiting {
            h.put(job("a.job").unique(state.as_str()).queue("again")).await;
        }
    }
    assert_eq!((queue.parked, h.queue("kept").await.count(State::Available)), (0, 8));
    h.pass(3_600_000);
    assert_eq!(h.promote().await.count, 0, "nothing of what was purged comes back");
}

pub(super) async fn purge_of_nothing(h: &Harness) {
    assert_eq!(h.backend.purge("none", 10).await.unwrap(), 0);
    let id = h.put(job("a.job").queue("nearly")).await;
    assert_eq!(h.backend.purge("near", 10).await.unwrap(), 0);
    h.is(id, State::Available).await;
}

pub(super) async fn purge_spares_the_leased_and_its_serial_key(h: &Harness) {
    h.put_all((0..3).map(|_| job("a.job").serial("s"))).await;
    let held = h.lease("q", 3).await;
    assert_eq!(h.backend.purge("q", 10).await.unwrap(), 2, "the two that waited for the key");
    let next = h.put(job("a.job").serial("s")).await;
    assert!(h.lease("q", 9).await.is_empty(), "the key is still held");
    h.done(&held[0], success(60_000)).await;
    assert_eq!(h.take("q").await.id, next);
}

pub(super) async fn purge_then_enqueue_again(h: &Harness) {
    let id = JobId::new();
    h.put_all([job("a.job").chosen(id), job("a.job")]).await;
    assert_eq!(h.backend.purge("q", 10).await.unwrap(), 2);
    h.gone(id).await;
    h.put(job("a.job").chosen(id)).await;
    assert_eq!(h.queue("q").await.count(State::Available), 1);
    assert_eq!(h.leased_ids("q", 9).await, [id]);
}
