//! Taking jobs in: due instants, order of arrival, lanes, chosen ids.

use super::super::harness::*;
use crate::backend::*;
use crate::{JobId, State};

pub(super) async fn a_job_is_available_at_once(h: &Harness) {
    let draft = job("a.job").with(|e| {
        (e.version, e.priority, e.max_attempts, e.timeout_ms) = (3, 2, Some(7), Some(9_000));
    });
    let sent = draft.clone().into_new().envelope;
    let id = h.put(draft).await;
    let view = h.view(id).await;
    assert_eq!((view.id, view.state), (id, State::Available));
    let stored = view.envelope.envelope().expect("a good record");
    assert_eq!(format!("{stored:?}"), format!("{sent:?}"), "the record comes back as it went in");
    assert_eq!((view.attempts, view.crashes, view.suspect), (0, 0, false));
    assert_eq!((view.due_ms, view.finished_ms, view.lease.is_some()), (None, None, false));
    assert!(view.errors.is_empty() && view.reason.is_none() && view.result.is_none());
    assert!(!view.parked && !view.cancel_requested && view.progress.is_none());
}

pub(super) async fn a_batch_is_answered_in_order(h: &Harness) {
    let first = job("a.job").unique("k");
    let id = first.id();
    let batch = h.batch([first, job("a.job").unique("k"), job("b.job").unique("k"), job("a.job")]);
    let answers = h.backend.enqueue(&batch).await.unwrap().jobs();
    use Enqueued::*;
    assert_eq!(answers, [Created, Existing(id), Created, Created]);
    h.gone(batch.jobs[1].envelope.id).await;
    assert_eq!(h.queue("q").await.count(State::Available), 3);
}

pub(super) async fn an_empty_batch_does_nothing(h: &Harness) {
    assert_eq!(h.backend.enqueue(&h.batch([])).await.unwrap().jobs(), []);
    assert!(h.backend.queues().await.unwrap().is_empty());
}

pub(super) async fn a_delayed_job_waits_by_the_backends_clock(h: &Harness) {
    let id = h.put(job("a.job").due(Due::In(1_500))).await;
    let view = h.view(id).await;
    assert_eq!((view.state, view.due_ms), (State::Scheduled, Some(h.now() + 1_500)));
    assert!(h.lease("q", 9).await.is_empty(), "nothing is leased before it is due");
    h.pass(1_499);
    assert_eq!(h.promote().await.count, 0);
    h.pass(1);
    assert_eq!(h.promote().await.count, 1);
    assert_eq!(h.take("q").await.id, id);
}

pub(super) async fn a_due_instant_in_the_past_is_now(h: &Harness) {
    let at = |ms| job("a.job").due(Due::At(ms));
    let ids = h
        .put_all([
            at(h.now() + 5_000),
            at(h.now() - 5_000),
            at(h.now()),
            at(0),
            job("a.job").due(Due::In(0)),
            job("a.job").due(Due::In(-7)),
        ])
        .await;
    use State::{Available as A, Scheduled as S};
    h.are(&ids, &[S, A, A, A, A, A]).await;
    assert_eq!(h.view(ids[0]).await.due_ms, Some(h.now() + 5_000));
    assert_eq!(h.leased_ids("q", 9).await, ids[1..], "first in, first out, whenever they were due");
}

pub(super) async fn many_jobs_in_one_batch(h: &Harness) {
    let ids = h.put_all((0..1_000).map(|_| job("a.job"))).await;
    assert_eq!(h.queue("q").await.count(State::Available), 1_000);
    let mut leased = Vec::new();
    while leased.len() < 1_000 {
        let more = h.leased_ids("q", 300).await;
        assert!(!more.is_empty(), "{} of 1,000 leased", leased.len());
        leased.extend(more);
    }
    assert_eq!(leased, ids);
}

pub(super) async fn a_repeated_call_answers_as_the_first_time(h: &Harness) {
    let holder = h.put(job("a.job").unique("k")).await;
    let batch = h.batch([job("a.job"), job("a.job").unique("k")]);
    let first = h.backend.enqueue(&batch).await.unwrap().jobs();
    assert_eq!(first, [Enqueued::Created, Enqueued::Existing(holder)]);
    let held = h.take("q").await;
    h.done(&held, success(0)).await;
    for backend in [&h.backend, &h.other] {
        assert_eq!(backend.enqueue(&batch).await.unwrap().jobs(), first, "also when the key is free by now");
    }
    assert_eq!(h.queue("q").await.count(State::Available), 1, "nothing was taken in again");
}

pub(super) async fn a_repeated_call_does_not_revive_a_job_that_is_gone(h: &Harness) {
    let batch = h.batch([job("a.job")]);
    let first = h.backend.enqueue(&batch).await.unwrap().jobs();
    let held = h.take("q").await;
    h.done(&held, success(0)).await;
    h.gone(held.id).await;
    h.pass(9 * 60_000);
    h.backend.prune(100).await.unwrap();
    assert_eq!(h.backend.enqueue(&batch).await.unwrap().jobs(), first);
    h.gone(held.id).await;
    assert!(h.lease("q", 9).await.is_empty(), "the job ran once and does not run again");
}

/// A call that was held up on its way comes once more, after its jobs have gone their ways.
pub(super) async fn a_large_call_that_comes_late_changes_nothing(h: &Harness) {
    let batch = h.batch((0..80).map(|_| job("a.job")));
    let first = h.backend.enqueue(&batch).await.unwrap().jobs();
    let held = h.lease_alone("q", 4).await;
    for (held, outcome) in held.iter().zip([success(0), success(60_000), retry(60_000)]) {
        h.done(held, outcome).await;
    }
    h.backend.control(batch.jobs[79].envelope.id, Action::Cancel).await.unwrap();
    let shown = async || {
        let mut all = Vec::new();
        for job in &batch.jobs {
            all.push(h.shown(job.envelope.id).await);
        }
        all
    };
    let before = shown().await;
    assert_eq!(h.backend.enqueue(&batch).await.unwrap().jobs(), first, "as the first time");
    assert_eq!(shown().await, before);
    h.gone(held[0].id).await;
}

pub(super) async fn lanes_do_not_answer_for_each_other(h: &Harness) {
    let mut batch = h.batch([job("a.job")]);
    h.backend.enqueue(&batch).await.unwrap().jobs();
    batch.lane = JobId::new().to_string();
    batch.jobs = vec![job("a.job").into_new(), job("a.job").into_new()];
    assert_eq!(h.backend.enqueue(&batch).await.unwrap().jobs(), [Enqueued::Created; 2]);
    batch.seq += 1;
    batch.jobs = vec![job("a.job").into_new()];
    assert_eq!(h.backend.enqueue(&batch).await.unwrap().jobs(), [Enqueued::Created]);
    assert_eq!(h.queue("q").await.count(State::Available), 4);
}

pub(super) async fn a_chosen_id_exists_in_every_state(h: &Harness) {
    for state in State::ALL {
        let id = JobId::new();
        h.bring(job("a.job").queue(state.as_str()).chosen(id), state).await;
        let before = h.shown(id).await;
        let again = job("b.job").queue("other").chosen(id);
        assert_eq!(h.offer(again).await, Enqueued::Existing(id), "while it is {state}");
        assert_eq!(h.shown(id).await, before, "nothing changed while it is {state}");
    }
    assert!(h.lease("other", 9).await.is_empty());
}

pub(super) async fn a_chosen_id_whose_record_is_gone_is_free(h: &Harness) {
    let id = JobId::new();
    h.put(job("a.job").chosen(id)).await;
    let held = h.take("q").await;
    h.done(&held, success(0)).await;
    h.put(job("a.job").chosen(id)).await;
    let again = h.take("q").await;
    assert!(again.id == id && again.token > held.token, "tokens grow for an id that comes back");
    // The lease of its former life settles nothing of this one.
    let answer = h.settle(&held, retry(0)).await;
    assert_eq!(answer, Settled::Stale);
    h.is(id, State::Leased).await;
}

pub(super) async fn a_chosen_id_that_was_cancelled_while_it_waited_is_leased_once(h: &Harness) {
    let id = JobId::new();
    h.put(job("a.job").chosen(id)).await;
    let other = h.put(job("a.job")).await;
    h.control(id, Action::Cancel).await;
    h.pass(3_600_001);
    h.backend.prune(100).await.unwrap();
    h.gone(id).await;
    h.put(job("a.job").chosen(id)).await;
    assert_eq!(h.leased_ids("q", 9).await, [other, id], "from the tail, once");
    assert_eq!(h.queue("q").await.count(State::Leased), 2);
}

pub(super) async fn a_chosen_id_twice_in_one_batch(h: &Harness) {
    let id = JobId::new();
    let batch = h.batch([job("a.job").chosen(id), job("a.job").chosen(id)]);
    let answers = h.backend.enqueue(&batch).await.unwrap().jobs();
    assert_eq!(answers, [Enqueued::Created, Enqueued::Existing(id)]);
    assert_eq!(h.leased_ids("q", 9).await, [id]);
}

pub(super) async fn a_chosen_id_may_have_keys(h: &Harness) {
    let (id, other) = (JobId::new(), JobId::new());
    h.put(job("a.job").chosen(id).unique("k")).await;
    let again = h.offer(job("a.job").chosen(other).unique("k")).await;
    assert_eq!(again, Enqueued::Existing(id), "the key answers");
    h.gone(other).await;
    let again = h.offer(job("a.job").chosen(id).unique("free")).await;
    assert_eq!(again, Enqueued::Existing(id), "the id answers");
    h.put(job("a.job").unique("free")).await;
}

pub(super) async fn the_time_is_the_backends(h: &Harness) {
    assert_eq!(h.backend.now().await.unwrap(), h.now());
    h.pass(1_234);
    assert_eq!(h.backend.now().await.unwrap(), h.now());
    assert_eq!(h.other.now().await.unwrap(), h.now());
}

pub(super) async fn another_connection_sees_it(h: &Harness) {
    let id = h.put(job("a.job")).await;
    let view = h.other.get(id, false).await.unwrap().expect("the same data");
    assert_eq!(view.state, State::Available);
    let text = h.backend.describe();
    assert!(text.contains("redis") || text.contains("sqlite"), "{text}");
}
