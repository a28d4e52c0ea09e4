//! Schedules: stored by name, fired by compare-and-set.

use super::super::harness::*;
use crate::backend::*;
use crate::{JobId, State};

fn schedule(h: &Harness, name: &str) -> ScheduleView {
    ScheduleView {
        name: name.into(),
        expression: "0 3 * * *".into(),
        zone: "Europe/Berlin".into(),
        job: "a.job".into(),
        payload: "{\"é\":\"\\u0000 '\"}".into(),
        queue: "q".into(),
        missed: "one".into(),
        dst: "once".into(),
        last_ms: h.now(),
        fired: false,
    }
}

async fn all(h: &Harness) -> Vec<ScheduleView> {
    h.other.schedules().await.expect("schedules")
}

pub(super) async fn a_schedule_is_stored_by_name(h: &Harness) {
    assert!(all(h).await.is_empty());
    let (b, a) = (schedule(h, "b"), schedule(h, "a"));
    assert_eq!(h.backend.put_schedule(&b).await.unwrap(), b);
    assert_eq!(h.backend.put_schedule(&a).await.unwrap(), a);
    assert_eq!(all(h).await, [a, b], "by name");
}

pub(super) async fn a_new_schedule_begins_now(h: &Harness) {
    let mut sent = schedule(h, "s");
    (sent.last_ms, sent.fired) = (0, false);
    let stored = h.backend.put_schedule(&sent).await.unwrap();
    assert_eq!((stored.last_ms, stored.fired), (h.now(), false), "no slot of the past is missed");
    h.pass(5_000);
    assert_eq!(h.backend.put_schedule(&sent).await.unwrap(), stored);
    assert_eq!(all(h).await, [stored]);
}

pub(super) async fn a_schedule_stored_again_keeps_its_last_slot(h: &Harness) {
    let first = schedule(h, "s");
    h.backend.put_schedule(&first).await.unwrap();
    let slot = h.now() + 60_000;
    assert!(h.backend.fire("s", first.last_ms, slot, vec![job("a.job").into_new()]).await.unwrap());
    h.pass(90_000);
    let mut second = schedule(h, "s");
    second.expression = "5 4 * * *".into();
    let stored = h.other.put_schedule(&second).await.unwrap();
    (second.last_ms, second.fired) = (slot, true);
    assert_eq!(stored, second);
    assert_eq!(all(h).await, [second]);
}

pub(super) async fn a_schedule_can_be_dropped(h: &Harness) {
    h.backend.put_schedule(&schedule(h, "s")).await.unwrap();
    assert!(h.other.put(Setting::Schedule, "s", None).await.unwrap().is_some());
    assert!(h.backend.put(Setting::Schedule, "s", None).await.unwrap().is_none());
    assert!(all(h).await.is_empty());
    let slot = h.now() + 1;
    assert!(!h.backend.fire("s", h.now(), slot, vec![job("a.job").into_new()]).await.unwrap());
    assert!(h.lease("q", 9).await.is_empty(), "a schedule that is gone fires nothing");
}

pub(super) async fn a_slot_is_fired_once(h: &Harness) {
    let stored = h.backend.put_schedule(&schedule(h, "s")).await.unwrap();
    let slot = stored.last_ms + 60_000;
    // As a scheduler does: ids that follow from schedule and slot.
    let jobs: Vec<NewJob> = (0..3).map(|_| job("a.job").chosen(JobId::new()).into_new()).collect();
    let fire = |b: &std::sync::Arc<dyn Backend>| {
        let (b, jobs) = (b.clone(), jobs.clone());
        async move { b.fire("s", stored.last_ms, slot, jobs).await.unwrap() }
    };
    let (a, b, c, d, e) =
        tokio::join!(fire(&h.backend), fire(&h.other), fire(&h.backend), fire(&h.other), fire(&h.other));
    assert_eq!([a, b, c, d, e].iter().filter(|won| **won).count(), 1, "one scheduler wins");
    let mut leased = h.leased_ids("q", 9).await;
    leased.sort();
    let mut ids: Vec<_> = jobs.iter().map(|j| j.envelope.id).collect();
    ids.sort();
    assert_eq!(leased, ids);
    let now = &all(h).await[0];
    assert_eq!((now.last_ms, now.fired), (slot, true));
}

pub(super) async fn a_wrong_expectation_fires_nothing(h: &Harness) {
    let stored = h.backend.put_schedule(&schedule(h, "s")).await.unwrap();
    for expect in [0, stored.last_ms - 1, stored.last_ms + 1, i64::MAX] {
        let jobs = vec![job("a.job").into_new()];
        assert!(!h.backend.fire("s", expect, stored.last_ms + 9, jobs).await.unwrap());
    }
    assert_eq!(all(h).await, [stored]);
    assert!(h.lease("q", 9).await.is_empty());
}

pub(super) async fn slots_follow_each_other(h: &Harness) {
    let mut last = h.backend.put_schedule(&schedule(h, "s")).await.unwrap().last_ms;
    for n in 1..=4 {
        let slot = last + 60_000;
        let jobs = vec![job("a.job").into_new()];
        assert!(h.backend.fire("s", last, slot, jobs.clone()).await.unwrap());
        assert!(!h.other.fire("s", last, slot, jobs).await.unwrap());
        last = slot;
        assert_eq!(h.queue("q").await.count(State::Available), n);
    }
    assert!(h.backend.fire("s", last, last + 1, vec![]).await.unwrap(), "a slot may be skipped");
    assert_eq!(all(h).await[0].last_ms, last + 1);
}

pub(super) async fn a_fired_job_is_enqueued_as_any_other(h: &Harness) {
    let stored = h.backend.put_schedule(&schedule(h, "s")).await.unwrap();
    let there = h.put(job("a.job").unique("k")).await;
    let chosen = JobId::new();
    h.put(job("a.job").queue("r").chosen(chosen)).await;
    let later = job("a.job").due(Due::In(5_000)).priority(2);
    let later_id = later.id();
    let jobs =
        vec![job("a.job").chosen(chosen).into_new(), job("a.job").unique("k").into_new(), later.into_new()];
    assert!(h.backend.fire("s", stored.last_ms, stored.last_ms + 1, jobs.clone()).await.unwrap());
    h.is(later_id, State::Scheduled).await;
    h.gone(jobs[1].envelope.id).await;
    assert_eq!(h.leased_ids("q", 9).await, [there]);
    assert_eq!(h.queue("r").await.count(State::Available), 1);
}

pub(super) async fn settings_have_a_version_that_grows_with_each_change(h: &Harness) {
    let read = async || h.other.settings(Setting::Limit).await.unwrap();
    let start = read().await;
    assert!(start.entries.is_empty());
    h.backend.put(Setting::Limit, "b", Some("{\"é\":1}")).await.unwrap();
    h.backend.put(Setting::Limit, "a", Some("2")).await.unwrap();
    let two = read().await;
    let held: Vec<_> = two.entries.iter().map(|e| (e.name.as_str(), e.value.as_str())).collect();
    assert_eq!(held, [("a", "2"), ("b", "{\"é\":1}")], "by name");
    assert!(two.version > start.version);
    h.backend.put(Setting::Limit, "a", Some("2")).await.unwrap();
    h.backend.put(Setting::Limit, "none", None).await.unwrap();
    h.backend.put(Setting::Queue, "a", Some("2")).await.unwrap();
    assert_eq!(read().await, two, "nothing of this kind has changed");
    h.pass(1_000);
    let changed = h.backend.put(Setting::Limit, "a", Some("3")).await.unwrap().unwrap();
    assert_eq!((changed.value.as_str(), changed.last_ms), ("3", two.entries[0].last_ms));
    let gone = h.backend.put(Setting::Limit, "b", None).await.unwrap().unwrap();
    assert_eq!(gone, two.entries[1]);
    let end = read().await;
    assert!(end.version > two.version && end.entries == [changed]);
}

pub(super) async fn a_batch_guarded_by_settings_is_refused_when_they_changed(h: &Harness) {
    let version = h.backend.settings(Setting::Subscriber).await.unwrap().version;
    let guard = Guard::Settings { kind: Setting::Subscriber, version };
    let first = EnqueueBatch { guard: guard.clone(), ..h.batch([job("a.job")]) };
    assert_eq!(h.backend.enqueue(&first).await.unwrap(), Taken::Jobs(vec![Enqueued::Created]));
    h.other.put(Setting::Subscriber, "s", Some("1")).await.unwrap();
    let again = h.backend.enqueue(&first).await.unwrap();
    assert_eq!(again, Taken::Jobs(vec![Enqueued::Created]), "the repetition of a call answers as it did");
    let late = EnqueueBatch { guard, ..h.batch([job("a.job")]) };
    assert_eq!(h.backend.enqueue(&late).await.unwrap(), Taken::Changed);
    assert_eq!(h.queue("q").await.count(State::Available), 1);
}
