//! What moves jobs without a worker: promotion, the sweep of expired leases, wake-ups.

use super::super::harness::*;
use crate::backend::*;
use crate::{JobId, State};
use std::time::Duration;

pub(super) async fn promotion_goes_by_due_instants(h: &Harness) {
    let wait = |ms| job("a.job").due(Due::In(ms));
    let ids = h.put_all([wait(3_000), wait(1_000), wait(2_000), wait(9_000)]).await;
    let next = h.now() + 1_000;
    assert_eq!(h.promote().await, Promoted { count: 0, next_ms: Some(next) });
    h.pass(5_000);
    let first = h.backend.promote(2).await.unwrap();
    assert_eq!(first.count, 2);
    h.are(&ids, &[State::Scheduled, State::Available, State::Available, State::Scheduled]).await;
    assert_eq!(first.next_ms, h.view(ids[0]).await.due_ms);
    let second = h.promote().await;
    assert_eq!((second.count, second.next_ms), (1, h.view(ids[3]).await.due_ms));
    assert_eq!(h.leased_ids("q", 9).await, [ids[1], ids[2], ids[0]]);
    assert_eq!(h.view(ids[0]).await.due_ms, None, "due no more");
}

pub(super) async fn promotion_joins_the_tail(h: &Harness) {
    let early = h.put(job("a.job").due(Due::In(1_000))).await;
    let waiting = h.put(job("a.job")).await;
    let urgent = h.put(job("a.job").priority(1).due(Due::In(2_000))).await;
    h.pass(2_000);
    h.promote().await;
    let late = h.put(job("a.job")).await;
    assert_eq!(h.leased_ids("q", 9).await, [urgent, waiting, early, late]);
}

pub(super) async fn promotion_takes_scheduled_and_retryable(h: &Harness) {
    let (retryable, _) = h.bring(job("a.job"), State::Retryable).await;
    let (other, held) = h.bring(job("a.job"), State::Leased).await;
    h.done(&held.unwrap(), snooze(4_000)).await;
    assert_eq!(h.promote().await.next_ms, Some(h.now() + 4_000));
    h.pass(5_000);
    let promoted = h.promote().await;
    assert_eq!(promoted, Promoted { count: 2, next_ms: None });
    assert_eq!(h.leased_ids("q", 9).await, [other, retryable]);
    assert_eq!(h.promote().await, Promoted { count: 0, next_ms: None });
}

pub(super) async fn promotion_with_a_limit_of_nothing(h: &Harness) {
    h.put(job("a.job").due(Due::In(1))).await;
    h.pass(1);
    assert_eq!(h.backend.promote(0).await.unwrap().count, 0);
    assert_eq!(h.promote().await.count, 1);
}

pub(super) async fn more_at_once_than_a_script_unpacks(h: &Harness) {
    // Lua's unpack gives up at 8,000 values, and a script that tries goes no further.
    const MANY: usize = 8_100;
    for _ in 0..9 {
        h.put_all((0..MANY / 9).map(|_| job("a.job").due(Due::In(1_000)))).await;
    }
    h.pass(1_000);
    let mut promoted = 0;
    while promoted < MANY {
        let step = h.backend.promote(MANY).await.unwrap().count;
        assert!(step > 0, "{promoted} of {MANY} were promoted");
        promoted += step;
    }
    let mut held = Vec::new();
    while held.len() < MANY {
        let more = h.lease("q", MANY).await;
        assert!(!more.is_empty(), "{} of {MANY} were leased", held.len());
        held.extend(more);
    }
    let items: Vec<Settle> = held.iter().map(|held| held.settle(success(1_000))).collect();
    assert_eq!(h.backend.settle(&items).await.unwrap(), vec![Settled::Done; MANY]);
    h.pass(1_001);
    let mut pruned = 0;
    while pruned < MANY {
        let step = h.backend.prune(MANY).await.unwrap();
        assert!(step > 0, "{pruned} of {MANY} were forgotten");
        pruned += step;
    }
}

pub(super) async fn a_lease_that_holds_is_not_taken_back(h: &Harness) {
    let id = h.put(job("a.job")).await;
    h.take("q").await;
    h.pass(TTL - 1);
    assert!(h.reap().await.is_empty());
    h.is(id, State::Leased).await;
}

pub(super) async fn a_job_lost_alone_is_charged_a_crash(h: &Harness) {
    let id = h.put(job("a.job")).await;
    let waiting = h.put(job("a.job")).await;
    h.take("q").await;
    let reaped = h.lose().await;
    assert_eq!(reaped, [Reaped { id, state: State::Available, crashes: 1 }]);
    let view = h.view(id).await;
    assert_eq!((view.state, view.crashes, view.attempts, view.suspect), (State::Available, 1, 0, true));
    assert!(view.lease.is_none());
    let again = h.take("q").await;
    assert_eq!((again.id, again.job.crashes, again.job.attempts), (id, 1, 0), "at the head");
    assert!(again.job.suspect);
    assert_eq!(h.take("q").await.id, waiting);
}

pub(super) async fn a_shared_batch_lost_charges_nobody(h: &Harness) {
    let ids = h.put_all([job("a.job"), job("a.job").priority(5), job("a.job")]).await;
    let tail = h.put(job("a.job")).await;
    h.lease("q", 3).await;
    let mut reaped = h.lose().await;
    reaped.sort_by_key(|r| r.id);
    let mut sorted = ids.clone();
    sorted.sort();
    let expected: Vec<_> =
        sorted.iter().map(|id| Reaped { id: *id, state: State::Available, crashes: 0 }).collect();
    assert_eq!(reaped, expected);
    for id in &ids {
        let view = h.view(*id).await;
        assert_eq!((view.crashes, view.attempts, view.suspect), (0, 0, true));
    }
    let mut order = Vec::new();
    while order.len() < 4 {
        order.push(h.take("q").await.id);
    }
    assert_eq!(order, [ids[0], ids[1], ids[2], tail], "at the head, in their old order");
}

pub(super) async fn only_what_was_left_of_a_batch_is_taken_back(h: &Harness) {
    h.put_all((0..5).map(|_| job("a.job"))).await;
    let held = h.lease("q", 5).await;
    h.done(&held[0], success(60_000)).await;
    h.done(&held[1], success(0)).await;
    h.done(&held[2], retry(60_000)).await;
    h.done(&held[3], Outcome::HandBack).await;
    let reaped = h.lose().await;
    assert_eq!(reaped.iter().map(|r| r.id).collect::<Vec<_>>(), [held[4].id]);
    use State::{Available, Retryable, Succeeded};
    h.are(&[held[0].id, held[2].id, held[3].id], &[Succeeded, Retryable, Available]).await;
    h.gone(held[1].id).await;
    assert!(!h.view(held[3].id).await.suspect, "it had left the batch");
}

pub(super) async fn a_job_that_keeps_crashing_is_discarded(h: &Harness) {
    for (limit, drafted) in [(3, job("a.job")), (2, job("a.job").with(|e| e.max_crashes = Some(2)))] {
        let id = h.put(drafted.unique("k")).await;
        for crash in 1..=limit {
            assert_eq!(h.take("q").await.id, id);
            let state = if crash == limit { State::Discarded } else { State::Available };
            assert_eq!(h.lose().await, [Reaped { id, state, crashes: crash }]);
        }
        let view = h.view(id).await;
        assert_eq!((view.state, view.reason.as_deref()), (State::Discarded, Some("crashed")));
        assert_eq!((view.crashes, view.attempts), (limit, 0));
        assert_eq!(view.finished_ms, Some(h.now()));
        h.put(job("a.job").unique("k").queue("other")).await;
        h.backend.purge("other", 10).await.unwrap();
    }
}

pub(super) async fn suspicion_ends_in_a_crash_only_when_leased_alone(h: &Harness) {
    let id = h.put(job("a.job")).await;
    h.put(job("a.job")).await;
    h.lease("q", 2).await;
    h.lose().await;
    let held = h.take("q").await;
    assert_eq!((held.id, held.job.crashes, held.job.suspect), (id, 0, true));
    let reaped = h.lose().await;
    assert_eq!(reaped, [Reaped { id, state: State::Available, crashes: 1 }]);
}

pub(super) async fn a_lost_job_with_a_cancel_request_is_cancelled(h: &Harness) {
    let ids = h.put_all([job("a.job").unique("k"), job("a.job")]).await;
    h.lease("q", 2).await;
    assert_eq!(h.control(ids[0], Action::Cancel).await, Controlled::Requested);
    let mut reaped = h.lose().await;
    reaped.sort_by_key(|r| r.state != State::Cancelled);
    assert_eq!((reaped[0].id, reaped[0].state), (ids[0], State::Cancelled));
    assert_eq!((reaped[1].id, reaped[1].state), (ids[1], State::Available));
    h.are(&ids, &[State::Cancelled, State::Available]).await;
    h.put(job("a.job").unique("k")).await;
}

pub(super) async fn the_sweep_has_a_limit(h: &Harness) {
    h.put_all((0..5).map(|_| job("a.job"))).await;
    h.lease_alone("q", 5).await;
    h.pass(TTL + 1);
    let mut counts = Vec::new();
    for _ in 0..4 {
        counts.push(h.backend.reap(2, false, TTL).await.unwrap().len());
    }
    assert_eq!(counts, [2, 2, 1, 0]);
}

pub(super) async fn two_sweeps_at_once_take_a_job_back_once(h: &Harness) {
    h.put_all((0..4).map(|_| job("a.job"))).await;
    h.lease_alone("q", 4).await;
    h.pass(TTL + 1);
    let (a, b) = tokio::join!(h.backend.reap(9, false, TTL), h.other.reap(9, false, TTL));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!(a.len() + b.len(), 4);
    assert!(a.iter().chain(&b).all(|r| r.crashes == 1));
}

pub(super) async fn an_outage_charges_nobody_once_per_ttl(h: &Harness) {
    let id = h.put(job("a.job")).await;
    let held = h.take("q").await;
    h.pass(TTL * 4);
    assert!(h.backend.reap(9, true, TTL).await.unwrap().is_empty());
    let view = h.view(id).await;
    assert_eq!((view.state, view.crashes, view.suspect), (State::Leased, 0, false));
    assert_eq!(view.lease.unwrap().expires_ms, h.now() + TTL);
    h.pass(TTL / 2);
    // The second worker to notice the same outage renews nothing again.
    h.other.reap(9, true, TTL).await.unwrap();
    assert_eq!(h.view(id).await.lease.unwrap().expires_ms, h.now() - TTL / 2 + TTL);
    assert_eq!(h.backend.extend(&[held.token], TTL).await.unwrap().held, [true]);
    let reaped = h.lose().await;
    assert_eq!((reaped.len(), reaped[0].crashes), (1, 1));
}

/// Waits for a wake-up, with a deadline.
async fn woken(wakeups: &mut tokio::sync::watch::Receiver<u64>, what: &str) {
    let change = tokio::time::timeout(Duration::from_secs(10), wakeups.changed()).await;
    change.unwrap_or_else(|_| panic!("no wake-up after {what}")).expect("the backend lives");
}

pub(super) async fn whatever_makes_work_available_wakes(h: &Harness) {
    let mut wakeups = h.backend.wakeups();
    wakeups.borrow_and_update();
    h.put(job("a.job")).await;
    woken(&mut wakeups, "an enqueue").await;
    let held = h.take("q").await;
    wakeups.borrow_and_update();
    h.done(&held, Outcome::HandBack).await;
    woken(&mut wakeups, "a hand-back").await;
    let held = h.take("q").await;
    h.done(&held, retry(1_000)).await;
    h.pass(1_000);
    wakeups.borrow_and_update();
    h.promote().await;
    woken(&mut wakeups, "a promotion").await;
    h.backend.pause("q", Pause::Forever).await.unwrap();
    wakeups.borrow_and_update();
    h.backend.pause("q", Pause::Off).await.unwrap();
    woken(&mut wakeups, "a resume").await;
    h.take("q").await;
    h.pass(TTL + 1);
    wakeups.borrow_and_update();
    h.reap().await;
    woken(&mut wakeups, "a sweep").await;
}

pub(super) async fn an_operator_and_a_beat_wake(h: &Harness) {
    let mut wakeups = h.backend.wakeups();
    let (id, _) = h.bring(job("a.job"), State::Discarded).await;
    wakeups.borrow_and_update();
    h.control(id, Action::Retry).await;
    woken(&mut wakeups, "a retry by hand").await;
    let held = h.take("q").await;
    h.done(&held, Outcome::Park).await;
    wakeups.borrow_and_update();
    h.backend.beat(&super::keys::worker("w", &[("a.job", 1)])).await.unwrap();
    woken(&mut wakeups, "unparking").await;
}

pub(super) async fn a_serial_waiter_let_in_wakes(h: &Harness) {
    let mut wakeups = h.backend.wakeups();
    h.put_all([job("a.job").serial("s"), job("a.job").serial("s")]).await;
    let held = h.lease("q", 2).await;
    assert_eq!(held.len(), 1);
    wakeups.borrow_and_update();
    h.done(&held[0], success(0)).await;
    woken(&mut wakeups, "a serial key's release").await;
    h.take("q").await;
}

pub(super) async fn an_enqueue_elsewhere_wakes(h: &Harness) {
    let mut wakeups = h.backend.wakeups();
    let id: JobId = h.put(job("a.job")).await;
    woken(&mut wakeups, "an enqueue").await;
    assert_eq!(h.take("q").await.id, id);
    wakeups.borrow_and_update();
    let batch = h.batch([job("a.job")]);
    h.other.enqueue(&batch).await.unwrap().jobs();
    woken(&mut wakeups, "an enqueue by another connection").await;
}

pub(super) async fn a_clock_set_back_prolongs_no_lease(h: &Harness) {
    h.put_all([job("a.job"), job("a.job")]).await;
    let dead = h.take("q").await.id;
    let held = h.take("q").await;
    h.clock.set_back(Duration::from_secs(3_600));
    assert!(h.reap().await.is_empty(), "whoever lives has a lease's time to say so");
    h.pass(TTL - 1);
    assert_eq!(h.backend.extend(&[held.token], TTL).await.unwrap().held, [true]);
    h.pass(1);
    let reaped = h.reap().await;
    assert_eq!(reaped.iter().map(|r| r.id).collect::<Vec<_>>(), [dead], "and no more");
    h.is(held.id, State::Leased).await;
    h.done(&held, success(0)).await;
}

pub(super) async fn an_outage_before_the_clock_was_set_back_hides_no_later_one(h: &Harness) {
    h.put(job("a.job")).await;
    let held = h.take("q").await;
    h.backend.reap(100, true, TTL).await.unwrap();
    h.clock.set_back(Duration::from_secs(3_600));
    h.reap().await;
    h.pass(TTL);
    assert!(h.backend.reap(100, true, TTL).await.unwrap().is_empty(), "an outage charges nobody");
    h.done(&held, success(0)).await;
}

pub(super) async fn a_longer_lease_than_the_sweeper_knows_holds(h: &Harness) {
    let id = h.put(job("a.job")).await;
    let queues = vec![("q".to_owned(), 1)];
    let ask = LeaseRequest { worker: "w".into(), queues, most: 1, alone: false, ttl_ms: 10 * TTL };
    let token = h.backend.lease(&ask).await.unwrap().batches[0].token;
    assert!(h.reap().await.is_empty());
    h.pass(9 * TTL);
    assert!(h.reap().await.is_empty());
    assert_eq!(h.backend.extend(&[token], 10 * TTL).await.unwrap().held, [true]);
    h.pass(9 * TTL);
    assert!(h.reap().await.is_empty());
    h.is(id, State::Leased).await;
}

pub(super) async fn a_clock_set_back_keeps_the_order_of_what_waits(h: &Harness) {
    let wait = |ms| job("a.job").due(Due::In(ms));
    let ids = h.put_all([wait(3_000), wait(1_000), wait(2_000)]).await;
    h.pass(500);
    h.clock.set_back(Duration::from_secs(3_600));
    assert_eq!(h.promote().await.count, 0);
    h.pass(3_600_000 + 5_000);
    assert_eq!(h.promote().await.count, 3);
    assert_eq!(h.leased_ids("q", 9).await, [ids[1], ids[2], ids[0]]);
}
