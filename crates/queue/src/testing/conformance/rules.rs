//! The rules of queues: how long they may grow, and what they keep; and jobs that expire.

use super::super::harness::*;
use crate::backend::*;
use crate::rules::QueueRules;
use crate::{JobId, State};

async fn rule(h: &Harness, queue: &str, rules: QueueRules) {
    let value = serde_json::to_string(&rules).expect("rules are JSON");
    h.backend.put(Setting::Queue, queue, Some(&value)).await.expect("put");
}

async fn at_most(h: &Harness, max: u64) {
    rule(h, "q", QueueRules { max_waiting: Some(max), ..QueueRules::default() }).await;
}

async fn refused(h: &Harness, drafts: impl IntoIterator<Item = Draft>) -> String {
    let batch = h.batch(drafts);
    let error = h.backend.enqueue(&batch).await.expect_err("refused");
    assert!(error.is_refused(), "{error:?}");
    for job in &batch.jobs {
        h.gone(job.envelope.id).await;
    }
    error.to_string()
}

pub(super) async fn a_full_queue_refuses_the_whole_call(h: &Harness) {
    at_most(h, 3).await;
    h.put_all([job("a.job"), job("a.job")]).await;
    let line = refused(h, [job("a.job"), job("a.job").queue("other"), job("a.job").priority(2)]).await;
    assert_eq!(line, "queue q: full: 2 jobs wait, and its limit is 3; nothing was enqueued");
    h.put(job("a.job")).await;
    refused(h, [job("a.job").due(Due::In(5_000))]).await;
    refused(h, [job("a.job").unique("k").serial("s")]).await;
    h.put_all((0..5).map(|_| job("a.job").queue("other"))).await;
    h.take("q").await;
    h.put(job("a.job")).await;
    assert_eq!(h.queue("q").await.count(State::Available), 3);
}

pub(super) async fn what_waits_counts_and_nothing_else(h: &Harness) {
    for state in State::ALL {
        h.bring(job("a.job").queue(&format!("q-{state}")), state).await;
    }
    for state in State::ALL {
        let queue = format!("q-{state}");
        rule(h, &queue, QueueRules { max_waiting: Some(1), ..QueueRules::default() }).await;
        let waits = !state.is_final() && state != State::Leased;
        let next = job("a.job").queue(&queue);
        if waits {
            refused(h, [next]).await;
        } else {
            h.put(next).await;
        }
    }
    // What was cancelled while it waited leaves room at once.
    at_most(h, 1).await;
    let id = h.put(job("a.job")).await;
    h.control(id, Action::Cancel).await;
    h.put(job("a.job")).await;
    refused(h, [job("a.job")]).await;
}

pub(super) async fn what_is_there_already_needs_no_room(h: &Harness) {
    at_most(h, 2).await;
    let replacing = || job("a.job").unique("k").scope(Release::Finished, Conflict::Replace);
    let call = h.batch([job("a.job"), replacing()]);
    let answers = h.backend.enqueue(&call).await.unwrap();
    assert_eq!(h.backend.enqueue(&call).await.unwrap(), answers, "a repeated call");
    let (first, second) = (call.jobs[0].envelope.id, call.jobs[1].envelope.id);
    assert_eq!(h.offer(job("a.job").chosen(first)).await, Enqueued::Existing(first));
    assert_eq!(h.offer(replacing().payload(7)).await, Enqueued::Replaced(second));
    assert_eq!(h.offer(job("a.job").unique("k")).await, Enqueued::Existing(second));
    refused(h, [job("a.job").unique("k"), job("a.job").unique("other")]).await;
    at_most(h, 3).await;
    let two = h.batch([0, 1].map(|_| job("a.job").unique("new")));
    assert_eq!(h.backend.enqueue(&two).await.unwrap().jobs()[0], Enqueued::Created, "one key, one job");
}

pub(super) async fn a_full_queue_takes_back_its_own(h: &Harness) {
    let ids = h.put_all((0..4).map(|_| job("a.job"))).await;
    at_most(h, 1).await;
    let held = h.lease_alone("q", 4).await;
    h.put(job("a.job").priority(9)).await;
    h.done(&held[0], retry(1_000)).await;
    h.done(&held[1], Outcome::HandBack).await;
    h.done(&held[2], discard()).await;
    assert_eq!(h.control(held[2].id, Action::Retry).await, Controlled::Done(State::Available));
    h.pass(TTL);
    h.promote().await;
    h.reap().await;
    h.are(&ids, &[State::Available; 4]).await;
    refused(h, [job("a.job")]).await;
}

pub(super) async fn a_limit_is_lifted(h: &Harness) {
    at_most(h, 0).await;
    refused(h, [job("a.job")]).await;
    h.backend.put(Setting::Queue, "q", None).await.unwrap();
    h.put(job("a.job")).await;
    h.backend.put(Setting::Queue, "q", Some("{\"max_waiting\":null,\"of_tomorrow\":1}")).await.unwrap();
    h.put(job("a.job")).await;
}

pub(super) async fn a_slot_of_a_full_queue_is_not_taken(h: &Harness) {
    at_most(h, 0).await;
    let stored = h.backend.put(Setting::Schedule, "nightly", Some("{}")).await.unwrap().unwrap();
    let expect = stored.last_ms;
    let slot =
        || Guard::Slot { kind: Setting::Schedule, name: "nightly".into(), expect, last: expect + 60_000 };
    let id = JobId::new();
    let call = EnqueueBatch { guard: slot(), ..h.batch([job("a.job").chosen(id)]) };
    assert!(h.backend.enqueue(&call).await.unwrap_err().is_refused());
    at_most(h, 1).await;
    assert_eq!(h.backend.enqueue(&call).await.unwrap(), Taken::Jobs(vec![Enqueued::Created]));
    assert_eq!(h.backend.enqueue(&call).await.unwrap(), Taken::Changed, "once");
}

/// Ends `n` jobs of a queue one after the other; their ids, the oldest first.
async fn ended(h: &Harness, queue: &str, n: usize, outcome: Outcome) -> Vec<JobId> {
    let mut ids = Vec::new();
    for _ in 0..n {
        h.pass(1_000);
        ids.push(h.put(job("a.job").queue(queue)).await);
        h.done(&h.take(queue).await, outcome.clone()).await;
    }
    ids
}

async fn prune(h: &Harness) -> usize {
    h.backend.prune(1_000).await.expect("prune")
}

pub(super) async fn so_many_are_kept_of_each_state(h: &Harness) {
    let hour = 3_600_000;
    let good = ended(h, "q", 4, success(hour)).await;
    let short = ended(h, "q", 2, success(hour / 2)).await;
    let bad = ended(h, "q", 3, discard()).await;
    let other = ended(h, "other", 3, success(hour)).await;
    rule(h, "q", QueueRules { keep_count: Some(3), ..QueueRules::default() }).await;
    assert_eq!(prune(h).await, 3);
    for id in &good[..3] {
        h.gone(*id).await;
    }
    let left = [&good[3..], &short[..], &bad[..], &other[..]].concat();
    for id in left {
        assert!(h.state(id).await.is_some(), "the newest of each state stay");
    }
    rule(h, "q", QueueRules { keep_count: Some(0), ..QueueRules::default() }).await;
    assert_eq!((prune(h).await, prune(h).await), (6, 0));
}

pub(super) async fn an_age_shortens_and_never_lengthens(h: &Harness) {
    rule(h, "q", QueueRules { keep_age_ms: Some(60_000), ..QueueRules::default() }).await;
    let long = ended(h, "q", 1, success(3_600_000)).await[0];
    let short = ended(h, "q", 1, success(10_000)).await[0];
    let failed = ended(h, "q", 1, discard()).await[0];
    let live = h.put(job("a.job")).await;
    h.pass(10_000);
    assert_eq!(prune(h).await, 1);
    h.gone(short).await;
    h.pass(48_000);
    assert_eq!(prune(h).await, 1);
    h.gone(long).await;
    h.pass(2_000);
    assert_eq!(prune(h).await, 1);
    h.gone(failed).await;
    h.pass(3_600_000);
    prune(h).await;
    h.is(live, State::Available).await;
}

pub(super) async fn so_many_bytes_are_kept(h: &Harness) {
    let big = |n: usize| {
        let text = serde_json::value::to_raw_value(&"x".repeat(n)).expect("text is JSON");
        job("a.job").with(|e| e.payload = text)
    };
    let mut ids = Vec::new();
    for size in [10, 30_000, 10_000, 10_000, 10] {
        h.pass(1_000);
        ids.push(h.put(big(size)).await);
        h.done(&h.take("q").await, success(3_600_000)).await;
    }
    rule(h, "q", QueueRules { keep_bytes: Some(25_000), ..QueueRules::default() }).await;
    assert_eq!(prune(h).await, 2, "the one that is too much, and all before it");
    h.are(&ids[2..], &[State::Succeeded; 3]).await;
    rule(h, "q", QueueRules { keep_bytes: Some(0), ..QueueRules::default() }).await;
    assert_eq!(prune(h).await, 3);
}

pub(super) async fn rules_spare_what_somebody_waits_for(h: &Harness) {
    rule(h, "q", QueueRules { keep_count: Some(0), ..QueueRules::default() }).await;
    let id = h.put(job("a.job")).await;
    h.backend.get(id, true).await.unwrap();
    h.done(&h.take("q").await, success(3_600_000)).await;
    ended(h, "q", 2, success(3_600_000)).await;
    assert_eq!(prune(h).await, 2);
    h.is(id, State::Succeeded).await;
    h.pass(60_000);
    assert_eq!(prune(h).await, 1);
}

pub(super) async fn rules_are_kept_in_steps(h: &Harness) {
    let all = (0..600).map(|_| job("a.job"));
    h.put_all(all).await;
    let items: Vec<Settle> = h.lease("q", 600).await.iter().map(|l| l.settle(success(3_600_000))).collect();
    h.backend.settle(&items).await.unwrap();
    rule(h, "q", QueueRules { keep_count: Some(10), ..QueueRules::default() }).await;
    assert_eq!(h.backend.prune(100).await.unwrap(), 100);
    assert_eq!(h.backend.prune(1_000).await.unwrap(), 490);
    assert_eq!(h.queue("q").await.count(State::Succeeded), 10);
}

pub(super) async fn an_expired_job_spends_nothing(h: &Harness) {
    let draft = job("a.job").unique("k").serial("s").with(|e| e.expires_ms = Some(START_MS + 5));
    let id = h.put(draft).await;
    let next = h.put(job("b.job").serial("s")).await;
    let held = h.take("q").await;
    let record = crate::Envelope::decode(id, &held.job.record).expect("a record");
    assert_eq!(record.expires_ms, Some(START_MS + 5));
    assert!(h.lease("q", 9).await.is_empty());
    let outcome = Outcome::Discard { reason: EXPIRED.into(), error: String::new(), keep_ms: 60_000 };
    h.done(&held, outcome.clone()).await;
    assert_eq!(h.settle(&held, outcome).await, Settled::Done, "repeated");
    let view = h.view(id).await;
    assert_eq!((view.state, view.reason.as_deref()), (State::Discarded, Some("expired")));
    assert_eq!((view.attempts, view.errors.len()), (0, 0));
    assert_eq!(h.queue("q").await.failed, 0);
    assert_eq!(h.take("q").await.id, next, "the serial key is free");
    h.put(job("a.job").unique("k")).await;
}
