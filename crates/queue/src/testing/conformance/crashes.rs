//! A job that takes down the process that ran it, as its worker tells.

use super::super::harness::*;
use crate::State;
use crate::backend::*;

pub(super) async fn a_crash_is_charged_and_spends_no_attempt(h: &Harness) {
    let ids = h.put_all([job("a.job").serial("s"), job("b.job")]).await;
    let held = h.take("q").await;
    h.done(&held, crash()).await;
    let view = h.view(ids[0]).await;
    assert_eq!((view.state, view.attempts, view.crashes, view.suspect), (State::Available, 0, 1, true));
    assert_eq!((view.errors[0].error.as_str(), view.errors[0].attempt), ("it crashed", 1));
    let again = h.lease("q", 9).await;
    assert_eq!((again[0].id, again[0].shared, again[0].job.crashes), (ids[0], 1, 1), "first, and alone");
}

pub(super) async fn too_many_crashes_discard(h: &Harness) {
    let id = h.put(job("a.job").unique("u")).await;
    h.done(&h.take("q").await, crash()).await;
    h.done(&h.take("q").await, crash()).await;
    let view = h.view(id).await;
    assert_eq!((view.state, view.reason.as_deref(), view.crashes), (State::Discarded, Some("crashed"), 2));
    h.put(job("a.job").unique("u")).await;
}

pub(super) async fn a_crash_in_a_shared_batch_charges_nobody_else(h: &Harness) {
    let ids = h.put_all((0..3).map(|_| job("a.job"))).await;
    let held = h.lease("q", 3).await;
    h.done(&held[1], crash()).await;
    h.are(&ids, &[State::Leased, State::Available, State::Leased]).await;
    h.stale(&held[1], success(0)).await;
    h.done(&held[0], success(0)).await;
    h.done(&held[2], success(0)).await;
    assert_eq!(h.leased_ids("q", 9).await, [ids[1]]);
}

pub(super) async fn a_repeated_crash_is_charged_once(h: &Harness) {
    let (id, held) = h.bring(job("a.job"), State::Leased).await;
    let held = held.unwrap();
    h.done(&held, crash()).await;
    h.done(&held, crash()).await;
    assert_eq!(h.view(id).await.crashes, 1);
    h.stale(&held, Outcome::HandBack).await;
}
