//! How long finished jobs stay, and who may ask for longer.

use super::super::harness::*;
use crate::backend::*;
use crate::{JobId, State};

async fn prune(h: &Harness) -> usize {
    h.backend.prune(1_000).await.expect("prune")
}

pub(super) async fn a_finished_job_stays_for_its_retention(h: &Harness) {
    let keep_ms = 60_000;
    let outcomes = [
        success(keep_ms),
        Outcome::Discard { reason: "failed".into(), error: "never".into(), keep_ms },
        Outcome::Cancel { reason: "no".into(), keep_ms },
    ];
    let ids = h.put_all((0..3).map(|_| job("a.job"))).await;
    for (held, outcome) in h.lease("q", 3).await.iter().zip(outcomes) {
        h.done(held, outcome).await;
    }
    h.pass(59_000);
    assert_eq!(prune(h).await, 0);
    h.are(&ids, &[State::Succeeded, State::Discarded, State::Cancelled]).await;
    h.pass(1_001);
    assert_eq!(prune(h).await, 3);
    for id in ids {
        h.gone(id).await;
    }
    let queue = h.queue("q").await;
    assert!(State::ALL.iter().all(|s| queue.count(*s) == 0), "{queue:?}");
    assert_eq!((queue.processed, queue.failed), (1, 1), "what was done stays counted");
}

pub(super) async fn retentions_of_different_lengths(h: &Harness) {
    let ids = h.put_all((0..4).map(|_| job("a.job"))).await;
    for (held, keep) in h.lease("q", 4).await.iter().zip([90_000, 10_000, 50_000, 0]) {
        h.done(held, success(keep)).await;
    }
    h.gone(ids[3]).await;
    h.pass(10_001);
    assert_eq!(prune(h).await, 1);
    h.gone(ids[1]).await;
    h.are(&[ids[0], ids[2]], &[State::Succeeded; 2]).await;
    h.pass(40_000);
    assert_eq!(prune(h).await, 1);
    h.is(ids[0], State::Succeeded).await;
    h.pass(40_000);
    assert_eq!(prune(h).await, 1);
}

pub(super) async fn pruning_goes_in_steps(h: &Harness) {
    h.put_all((0..5).map(|_| job("a.job"))).await;
    for held in h.lease("q", 5).await {
        h.done(&held, success(1_000)).await;
    }
    h.pass(1_001);
    let mut went = Vec::new();
    for _ in 0..4 {
        went.push(h.backend.prune(2).await.unwrap());
    }
    assert_eq!(went, [2, 2, 1, 0]);
}

pub(super) async fn pruning_touches_nothing_unfinished(h: &Harness) {
    let mut kept = Vec::new();
    for state in State::ALL.into_iter().filter(|s| !s.is_final()) {
        kept.push((h.bring(job("a.job").queue(state.as_str()), state).await.0, state));
    }
    h.pass(365 * 86_400_000);
    assert_eq!(prune(h).await, 0);
    for (id, state) in kept {
        h.is(id, state).await;
    }
}

pub(super) async fn a_watched_job_stays_a_minute(h: &Harness) {
    let id = h.put(job("a.job")).await;
    let view = h.backend.watch(id).await.unwrap().expect("it is there");
    assert_eq!((view.id, view.state), (id, State::Available));
    let held = h.take("q").await;
    h.done(&held, Outcome::Succeeded { result: Some("42".into()), keep_ms: 0 }).await;
    for _ in 0..2 {
        h.pass(29_500);
        prune(h).await;
        let view = h.other.watch(id).await.unwrap().expect("watched");
        assert_eq!((view.state, view.result.unwrap().get()), (State::Succeeded, "42"));
    }
    h.pass(1_001);
    h.pass(60_000);
    prune(h).await;
    h.gone(id).await;
}

pub(super) async fn a_watch_while_leased_counts(h: &Harness) {
    let ids = h.put_all((0..3).map(|_| job("a.job"))).await;
    let held = h.lease("q", 3).await;
    assert_eq!(h.backend.watch(ids[1]).await.unwrap().unwrap().state, State::Leased);
    let items: Vec<_> = held.iter().map(|h| h.settle(success(0))).collect();
    h.backend.settle(&items).await.unwrap();
    h.gone(ids[0]).await;
    h.is(ids[1], State::Succeeded).await;
    h.gone(ids[2]).await;
}

pub(super) async fn a_watch_never_shortens_a_retention(h: &Harness) {
    let id = h.put(job("a.job")).await;
    h.backend.watch(id).await.unwrap();
    h.done(&h.take("q").await, success(600_000)).await;
    h.pass(599_000);
    prune(h).await;
    h.is(id, State::Succeeded).await;
}

pub(super) async fn a_watch_of_nothing(h: &Harness) {
    assert!(h.backend.watch(JobId::new()).await.unwrap().is_none());
    let id = h.put(job("a.job")).await;
    h.done(&h.take("q").await, success(0)).await;
    assert!(h.backend.watch(id).await.unwrap().is_none());
}

pub(super) async fn a_finished_job_is_not_due_leased_or_taken_back(h: &Harness) {
    for state in [State::Succeeded, State::Discarded, State::Cancelled] {
        h.bring(job("a.job").queue(state.as_str()), state).await;
        h.pass(TTL * 2);
        assert_eq!(h.promote().await.count, 0);
        assert!(h.reap().await.is_empty());
        assert!(h.lease(state.as_str(), 9).await.is_empty());
    }
}

/// A backend may leave the record of what ended as most do where it was: nobody sees that.
pub(super) async fn successes_of_a_whole_batch_are_finished_jobs_as_others(h: &Harness) {
    let results = [None, Some("{\"a\":\"1\\n\"}".to_owned())];
    let chosen = h.put(job("a.job").payload(40).chosen(JobId::new())).await;
    let mut ids = h.put_all((0..39).map(|n| job("a.job").payload(n))).await;
    ids.insert(0, chosen);
    let held = h.lease("q", 40).await;
    let outcome = |n: usize| Outcome::Succeeded { result: results[n % 2].clone(), keep_ms: 60_000 };
    let items: Vec<_> = held.iter().enumerate().map(|(n, held)| held.settle(outcome(n))).collect();
    assert_eq!(h.backend.settle(&items).await.unwrap(), vec![Settled::Done; 40]);
    assert_eq!(h.backend.settle(&items).await.unwrap(), vec![Settled::Done; 40], "repeated");
    for (n, held) in held.iter().enumerate() {
        let view = h.view(held.id).await;
        assert_eq!((view.state, view.attempts, view.finished_ms), (State::Succeeded, 1, Some(h.now())));
        assert_eq!(view.result.map(|json| json.get().to_owned()), results[n % 2]);
    }
    assert_eq!(h.payload(ids[7]).await, "6");
    ids.sort();
    for name in [None, Some("a.job".to_owned())] {
        let mut filter = Filter { name, limit: 7, ..Filter::default() };
        let mut listed = Vec::new();
        loop {
            let page = h.backend.search(&filter).await.unwrap();
            listed.extend(page.jobs.iter().map(|job| job.id));
            filter.cursor = page.cursor;
            if filter.cursor.is_none() {
                break;
            }
        }
        listed.sort();
        assert_eq!(listed, ids, "each once");
    }
    assert_eq!(h.offer(job("a.job").chosen(chosen)).await, Enqueued::Existing(chosen));
    assert_eq!(h.control(ids[3], Action::Cancel).await, Controlled::Refused(State::Succeeded));
    assert!(h.lease("q", 9).await.is_empty());

    assert_eq!(h.control(ids[3], Action::Redrive).await, Controlled::Done(State::Available));
    assert_eq!(h.queue("q").await.count(State::Succeeded), 39);
    let again = h.take("q").await;
    assert_eq!((again.id, again.job.attempts), (ids[3], 0));
    h.done(&again, success(0)).await;
    h.gone(ids[3]).await;
    h.pass(60_001);
    while prune(h).await > 0 {}
    h.gone(chosen).await;
    assert_eq!(h.offer(job("a.job").chosen(chosen)).await, Enqueued::Created, "nothing of it is left");
}

pub(super) async fn at_most_10_000_of_a_queue_and_state_are_kept(h: &Harness) {
    let mut first = None;
    for round in 0..11 {
        // The first to go are in the index, and must leave it too.
        let tags = if round == 0 { vec!["old".to_owned()] } else { Vec::new() };
        let ids = h.put_all((0..1_000).map(|_| job("a.job").with(|e| e.tags.clone_from(&tags)))).await;
        let held = h.lease("q", 1_000).await;
        assert_eq!(held.len(), 1_000);
        let items: Vec<_> = held.iter().map(|h| h.settle(success(3_600_000))).collect();
        h.backend.settle(&items).await.unwrap();
        first = first.or(Some((ids[0], ids[999])));
        h.pass(1_000);
        if round == 9 {
            prune(h).await;
            h.is(ids[999], State::Succeeded).await;
            assert_eq!(h.queue("q").await.count(State::Succeeded), 10_000);
        }
    }
    let (other, _) = h.bring(job("a.job"), State::Discarded).await;
    // A backend may hold the cap at each settle or at the next sweep.
    while prune(h).await > 0 {}
    assert_eq!(h.queue("q").await.count(State::Succeeded), 10_000);
    let (oldest, last_of_oldest) = first.unwrap();
    h.gone(oldest).await;
    h.gone(last_of_oldest).await;
    assert!(h.backend.terms("g:", 9).await.unwrap().is_empty());
    h.is(other, State::Discarded).await;
    assert_eq!(h.queue("q").await.processed, 11_000);
}
