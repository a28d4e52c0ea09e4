//! Unique keys, serial keys, and jobs parked for a worker that knows them.

use super::super::harness::*;
use crate::backend::*;
use crate::{JobId, Policy, State};

/// A worker that handles these names up to these versions.
pub(super) fn worker(id: &str, handles: &[(&str, u32)]) -> WorkerView {
    let define = |(name, version): &(&str, u32)| Definition {
        name: name.to_string(),
        version: *version,
        policy: Policy::default().queue("q"),
    };
    WorkerView {
        id: id.into(),
        host: "a \"host\"".into(),
        pid: 4_711,
        started_ms: START_MS,
        groups: vec![GroupView {
            name: "é".into(),
            permits: 8,
            running: 3,
            strict: true,
            queues: vec![("q".into(), 1)],
        }],
        running: 3,
        definitions: handles.iter().map(define).collect(),
        ..WorkerView::default()
    }
}

pub(super) async fn a_unique_key_is_held_in_every_unfinished_state(h: &Harness) {
    for state in State::ALL.into_iter().filter(|s| !s.is_final()) {
        let key = format!("key of {state}");
        let queue = state.as_str();
        let (id, _) = h.bring(job("a.job").queue(queue).unique(&key), state).await;
        let before = h.shown(id).await;
        for due in [Due::Now, Due::In(5_000)] {
            let again = job("a.job").queue("other").unique(&key).due(due);
            let answer = h.offer(again.clone()).await;
            assert_eq!(answer, Enqueued::Existing(id), "while the holder is {state}");
            h.gone(again.id()).await;
        }
        assert_eq!(h.shown(id).await, before);
        h.put(job("b.job").queue("others").unique(&key)).await;
    }
    assert!(h.lease("other", 9).await.is_empty());
}

pub(super) async fn a_unique_key_is_free_in_every_final_state(h: &Harness) {
    for state in State::ALL.into_iter().filter(|s| s.is_final()) {
        let key = format!("key of {state}");
        h.bring(job("a.job").queue(state.as_str()).unique(&key), state).await;
        let next = h.put(job("a.job").queue("next").unique(&key)).await;
        let again = h.offer(job("a.job").queue("next").unique(&key)).await;
        assert_eq!(again, Enqueued::Existing(next), "held again by the next");
    }
}

pub(super) async fn a_unique_key_is_free_after_success_with_keep_0(h: &Harness) {
    for round in 0..3 {
        let id = h.put(job("a.job").unique("k")).await;
        h.done(&h.take("q").await, success(0)).await;
        h.gone(id).await;
        assert_eq!(h.queue("q").await.processed, round + 1);
    }
}

pub(super) async fn a_unique_key_is_free_after_an_operator_ends_its_job(h: &Harness) {
    for action in [Action::Cancel, Action::Discard] {
        for state in [State::Available, State::Scheduled, State::Retryable, State::Blocked] {
            let queue = format!("q-{state}");
            let (id, _) = h.bring(job("a.job").queue(&queue).unique("k"), state).await;
            h.control(id, action).await;
            let again = h.put(job("a.job").unique("k").queue("other")).await;
            h.control(again, Action::Cancel).await;
        }
    }
}

pub(super) async fn the_end_of_an_old_job_does_not_free_its_successors_key(h: &Harness) {
    let (old, held) = h.bring(job("a.job").unique("k"), State::Leased).await;
    h.done(&held.unwrap(), discard()).await;
    let next = h.put(job("a.job").unique("k")).await;
    h.control(old, Action::Cancel).await;
    h.pass(8 * 86_400_000);
    h.backend.prune(100).await.unwrap();
    h.gone(old).await;
    assert_eq!(h.offer(job("a.job").unique("k")).await, Enqueued::Existing(next));
}

pub(super) async fn a_stale_settle_frees_no_key(h: &Harness) {
    let (id, held) = h.bring(job("a.job").unique("k").serial("s"), State::Leased).await;
    let waiter = h.put(job("b.job").serial("s").queue("w")).await;
    assert!(h.lease("w", 1).await.is_empty());
    let lost = held.unwrap();
    let wrong = Held { token: Token(lost.token.0 + 1), ..lost };
    for (outcome, _) in every_outcome() {
        h.stale(&wrong, outcome).await;
    }
    assert_eq!(h.offer(job("a.job").unique("k")).await, Enqueued::Existing(id));
    h.is(waiter, State::Available).await;
    assert!(h.lease("w", 1).await.is_empty());
}

pub(super) async fn keys_of_any_characters_are_different_keys(h: &Harness) {
    let long = "k".repeat(256);
    let keys =
        ["a", "A", "a ", "a:b", "a}{b", "*", "%s\\", "'; DROP", "é", "e\u{301}", "走る🏃", &long, &long[1..]];
    for key in keys {
        let id = h.put(job("a.job").unique(key).serial(key)).await;
        assert_eq!(h.offer(job("a.job").unique(key)).await, Enqueued::Existing(id), "{key}");
    }
    let held = h.lease("q", 20).await;
    assert_eq!(held.len(), keys.len(), "no two are the same serial key");
    for held in held {
        h.done(&held, success(0)).await;
    }
    for key in keys {
        h.put(job("a.job").unique(key)).await;
    }
}

/// Brings `n` jobs with one serial key into being, the first leased, the others waiting.
async fn one_runs_others_wait(h: &Harness, n: usize) -> (Vec<JobId>, Held) {
    let ids = h.put_all((0..n).map(|_| job("a.job").serial("s"))).await;
    let mut held = h.lease("q", n).await;
    assert_eq!(held.iter().map(|h| h.id).collect::<Vec<_>>(), ids[..1], "one at a time");
    (ids, held.remove(0))
}

pub(super) async fn a_serial_key_runs_one_at_a_time_in_order(h: &Harness) {
    let (ids, mut held) = one_runs_others_wait(h, 4).await;
    let other = h.put(job("a.job").serial("t")).await;
    assert_eq!(h.leased_ids("q", 9).await, [other], "another key is free");
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(held.id, *id);
        assert!(h.lease("q", 9).await.is_empty(), "the others wait");
        h.done(&held, success(60_000)).await;
        if n + 1 < ids.len() {
            let next = h.lease("q", 9).await;
            assert_eq!(next.len(), 1);
            held = next[0].clone();
        }
    }
    h.are(&ids, &[State::Succeeded; 4]).await;
}

pub(super) async fn waiters_stay_available_and_say_why(h: &Harness) {
    let (ids, held) = one_runs_others_wait(h, 3).await;
    let view = h.view(ids[1]).await;
    assert_eq!((view.state, view.parked, view.attempts), (State::Available, false, 0));
    assert_eq!(view.limited, Some(Limited { key: "serial/s".into(), until_ms: None }));
    let queue = h.queue("q").await;
    assert_eq!((queue.count(State::Available), queue.count(State::Blocked)), (2, 0));
    let limit = LimitView {
        limit: "serial/s".into(),
        in_use: 1,
        concurrency: Some(1),
        waiting: 2,
        ..LimitView::default()
    };
    assert_eq!(queue.limits, [limit]);
    h.done(&held, success(0)).await;
    assert_eq!(h.view(ids[1]).await.limited, None, "its turn has come");
}

pub(super) async fn every_outcome_lets_the_next_holder_in(h: &Harness) {
    for (outcome, state) in every_outcome() {
        let (ids, held) = one_runs_others_wait(h, 3).await;
        h.done(&held, outcome).await;
        // The one handed back stands at the head as well; either may be first.
        let next = h.lease("q", 9).await;
        assert_eq!(next.len(), 1, "one at a time after {state}");
        assert!(next[0].id == ids[1] || state == State::Available && next[0].id == ids[0]);
        h.done(&next[0], success(0)).await;
        loop {
            let held = h.lease("q", 9).await;
            assert!(held.len() <= 1);
            let Some(held) = held.first() else { break };
            h.done(held, success(0)).await;
        }
        h.gone(ids[2]).await;
        h.control(ids[0], Action::Discard).await;
        let left = h.queue("q").await;
        assert_eq!(
            left.count(State::Blocked) + left.count(State::Available),
            0,
            "nobody waits for ever after {state}"
        );
    }
}

pub(super) async fn a_lost_lease_lets_the_next_holder_in(h: &Harness) {
    for crashing in [false, true] {
        let serial = job("a.job").serial("s").with(|e| e.max_crashes = Some(1));
        let ids = h.put_all([serial, job("a.job").serial("s")]).await;
        if crashing {
            h.take("q").await;
            assert!(h.lease("q", 1).await.is_empty());
        } else {
            // Shared with a job of another kind: nobody is charged.
            h.put(job("b.job").priority(4)).await;
            h.put(job("b.job").priority(6)).await;
            h.lease("q", 9).await;
        }
        h.is(ids[1], State::Available).await;
        h.lose().await;
        let mut ran = Vec::new();
        loop {
            let held = h.lease("q", 9).await;
            assert!(held.iter().filter(|h| ids.contains(&h.id)).count() <= 1, "one at a time");
            if held.is_empty() {
                break;
            }
            for held in held {
                ran.push(held.id);
                h.done(&held, success(0)).await;
            }
        }
        assert!(ran.contains(&ids[1]), "the waiter was let in");
        assert_eq!(h.queue("q").await.count(State::Available), 0);
    }
}

pub(super) async fn one_serial_key_across_queues_and_names(h: &Harness) {
    let first = h.put(job("a.job").serial("s")).await;
    let second = h.put(job("b.job").queue("r").serial("s")).await;
    let held = h.take("q").await;
    assert_eq!(held.id, first);
    assert!(h.lease("r", 9).await.is_empty());
    h.is(second, State::Available).await;
    h.done(&held, success(0)).await;
    assert_eq!(h.take("r").await.id, second);
}

pub(super) async fn a_serial_waiter_that_goes_away_is_skipped(h: &Harness) {
    let (ids, held) = one_runs_others_wait(h, 4).await;
    assert_eq!(h.control(ids[1], Action::Cancel).await, Controlled::Done(State::Cancelled));
    assert_eq!(h.control(ids[2], Action::Discard).await, Controlled::Done(State::Discarded));
    h.done(&held, success(0)).await;
    assert_eq!(h.leased_ids("q", 9).await, [ids[3]]);
    h.are(&ids[1..3], &[State::Cancelled, State::Discarded]).await;
}

pub(super) async fn a_serial_waiter_let_in_that_goes_away_lets_in_the_next(h: &Harness) {
    for way in 0..4 {
        let ids = h.put_all((0..3).map(|n| job("a.job").serial("s").queue(["q", "r", "t"][n]))).await;
        let held = h.take("q").await;
        h.batches(&[("r", 1), ("t", 1)], false).await;
        h.done(&held, success(0)).await;
        match way {
            0 => drop(h.control(ids[1], Action::Cancel).await),
            1 => drop(h.control(ids[1], Action::Discard).await),
            2 => assert_eq!(h.backend.purge("r", 10).await.unwrap(), 1),
            _ => {
                let next = h.take("r").await;
                h.control(ids[1], Action::Cancel).await;
                h.done(&next, Outcome::HandBack).await;
                h.lease("r", 1).await;
                assert_eq!(h.state(ids[1]).await, Some(State::Cancelled));
            }
        }
        assert_eq!(h.take("t").await.id, ids[2], "the key is free (way {way})");
        h.lose().await;
        h.backend.purge("t", 10).await.unwrap();
    }
}

pub(super) async fn a_scheduled_waiter_does_not_hold_the_key(h: &Harness) {
    let ids = h.put_all([job("a.job").serial("s"), job("a.job").serial("s")]).await;
    let first = h.take("q").await;
    h.done(&first, retry(60_000)).await;
    let second = h.take("q").await;
    assert_eq!(second.id, ids[1]);
    h.pass(10_000);
    h.backend.extend(&[second.token], 100_000).await.unwrap();
    h.pass(50_000);
    h.promote().await;
    assert!(h.lease("q", 9).await.is_empty(), "its turn comes after the holder's");
    h.done(&second, success(0)).await;
    assert_eq!(h.take("q").await.id, ids[0]);
}

pub(super) async fn a_parked_job_waits_for_its_name_and_version(h: &Harness) {
    let drafts = [("a.job", 1), ("a.job", 3), ("b.job", 1)]
        .map(|(name, version)| job(name).with(|e| e.version = version));
    let ids = h.put_all(drafts).await;
    for held in h.lease("q", 3).await {
        h.done(&held, Outcome::Park).await;
    }
    let view = h.view(ids[1]).await;
    assert_eq!((view.state, view.parked, view.attempts), (State::Blocked, true, 0));
    let queue = h.queue("q").await;
    assert_eq!((queue.count(State::Blocked), queue.parked), (3, 3));
    use State::{Available as A, Blocked as B};
    h.backend.beat(&worker("w", &[("c.job", 9), ("a.job.x", 3)])).await.unwrap();
    h.are(&ids, &[B, B, B]).await;
    h.backend.beat(&worker("w", &[("a.job", 2)])).await.unwrap();
    h.are(&ids, &[A, B, B]).await;
    h.backend.beat(&worker("v", &[("a.job", 3), ("b.job", 1)])).await.unwrap();
    h.are(&ids, &[A, A, A]).await;
    assert!(!h.view(ids[1]).await.parked);
    let mut leased = h.leased_ids("q", 9).await;
    leased.sort();
    let mut all = ids;
    all.sort();
    assert_eq!(leased, all);
}

pub(super) async fn a_parked_job_keeps_its_unique_key_and_frees_its_serial_key(h: &Harness) {
    let (ids, held) = one_runs_others_wait(h, 2).await;
    let (unique, keyed) = h.bring(job("u.job").queue("u").unique("k"), State::Leased).await;
    h.done(&keyed.unwrap(), Outcome::Park).await;
    h.done(&held, Outcome::Park).await;
    h.are(&ids, &[State::Blocked, State::Available]).await;
    assert_eq!(h.offer(job("u.job").unique("k")).await, Enqueued::Existing(unique));
    let next = h.take("q").await;
    h.backend.beat(&worker("w", &[("a.job", 1), ("u.job", 1)])).await.unwrap();
    h.is(unique, State::Available).await;
    assert!(h.lease("q", 9).await.is_empty(), "unparked, but the key is held");
    h.done(&next, success(0)).await;
    assert_eq!(h.take("q").await.id, ids[0]);
}

pub(super) async fn a_parked_job_that_goes_away_is_not_released(h: &Harness) {
    let ids = h.put_all((0..3).map(|_| job("a.job"))).await;
    for held in h.lease("q", 3).await {
        h.done(&held, Outcome::Park).await;
    }
    h.control(ids[0], Action::Cancel).await;
    h.control(ids[1], Action::Discard).await;
    assert_eq!(h.queue("q").await.parked, 1);
    h.backend.beat(&worker("w", &[("a.job", 1)])).await.unwrap();
    h.are(&ids, &[State::Cancelled, State::Discarded, State::Available]).await;
    assert_eq!(h.leased_ids("q", 9).await, ids[2..]);
}
