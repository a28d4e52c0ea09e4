//! Limits of how many run at once: by key, and of whole queues.

use super::super::harness::*;
use crate::backend::*;
use crate::{JobId, Limit, State};
use std::collections::HashMap;

fn most(concurrency: u32) -> Option<Limit> {
    Some(Limit::default().concurrency(concurrency))
}

/// How many of these are under each key.
fn by_key(held: &[Held]) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for held in held {
        let key = crate::Envelope::decode(held.id, &held.job.record).ok().and_then(|e| e.governed());
        *counts.entry(key.unwrap_or_default()).or_default() += 1;
    }
    counts
}

pub(super) async fn a_key_runs_as_many_as_its_limit_allows(h: &Harness) {
    h.rule("site", most(2)).await;
    for key in ["a", "b", "c"] {
        h.put_all((0..4).map(|_| job("a.job").limit("site", key))).await;
    }
    let held = h.lease("q", 99).await;
    assert_eq!(held.len(), 6);
    assert!(by_key(&held).values().all(|n| *n == 2), "{:?}", by_key(&held));
    assert!(h.lease("q", 99).await.is_empty());
    let of_b: Vec<_> =
        held.iter().filter(|x| by_key(std::slice::from_ref(x)).contains_key("site/b")).collect();
    h.done(of_b[0], success(0)).await;
    let next = h.lease("q", 99).await;
    assert_eq!(by_key(&next), HashMap::from([("site/b".to_owned(), 1)]));
}

pub(super) async fn keys_take_turns(h: &Harness) {
    h.put_all((0..6).map(|_| job("a.job").limit("site", "large"))).await;
    h.put_all((0..2).map(|_| job("a.job").limit("site", "small"))).await;
    let mut keys = Vec::new();
    for _ in 0..4 {
        let held = h.lease("q", 1).await;
        keys.extend(by_key(&held).into_keys());
        h.done(&held[0], success(0)).await;
    }
    assert_eq!(keys, ["site/large", "site/small", "site/large", "site/small"]);
    assert_eq!(h.lease("q", 9).await.len(), 4, "and then what is left");
}

pub(super) async fn priorities_hold_within_a_key(h: &Harness) {
    let of = |priority| job("a.job").limit("site", "a").priority(priority);
    let ids = h.put_all([of(5), of(9), of(0), of(5), of(0)]).await;
    let order = [2, 4, 0, 3, 1].map(|n| ids[n]);
    assert_eq!(h.leased_ids("q", 2).await, order[..2]);
    let held = h.lease("q", 1).await;
    h.done(&held[0], Outcome::HandBack).await;
    assert_eq!(h.leased_ids("q", 9).await, order[2..], "handed back to the head of its priority");
}

pub(super) async fn a_key_at_its_limit_blocks_nobody(h: &Harness) {
    h.rule("site", most(1)).await;
    h.put_all((0..50).map(|_| job("a.job").limit("site", "slow"))).await;
    let slow = h.lease("q", 50).await;
    assert_eq!(slow.len(), 1);
    let plain = h.put_all((0..3).map(|_| job("b.job"))).await;
    let other = h.put(job("a.job").limit("site", "quick")).await;
    let mut leased = h.leased_ids("q", 50).await;
    leased.sort();
    let mut expected = [plain, vec![other]].concat();
    expected.sort();
    assert_eq!(leased, expected);
}

pub(super) async fn both_lanes_have_their_half(h: &Harness) {
    h.put_all((0..20).map(|_| job("a.job"))).await;
    h.put_all((0..20).map(|n| job("b.job").limit("site", n))).await;
    let held = h.lease("q", 8).await;
    let keyed = held.iter().filter(|x| x.job.record.windows(5).any(|w| w == b"b.job")).count();
    assert_eq!((held.len(), keyed), (8, 4));
    let mut keyed = 0;
    for _ in 0..8 {
        let held = h.lease("q", 1).await;
        keyed += held[0].job.record.windows(5).filter(|w| w == b"b.job").count();
    }
    assert!((1..8).contains(&keyed), "one by one neither starves: {keyed} of 8");
    assert_eq!(h.lease("q", 99).await.len(), 24, "what one lane leaves the other takes");
}

pub(super) async fn a_limit_without_a_rule_is_fairness_alone(h: &Harness) {
    h.put_all((0..9).map(|n| job("a.job").limit("site", n % 2))).await;
    assert_eq!(h.lease("q", 9).await.len(), 9);
}

pub(super) async fn a_lost_lease_frees_its_permit(h: &Harness) {
    h.rule("site", most(1)).await;
    h.limit_queue("q", "all").await;
    h.rule("all", most(2)).await;
    h.put_all((0..4).map(|n| job("a.job").limit("site", n % 2))).await;
    for _ in 0..3 {
        let held = h.lease("q", 9).await;
        assert_eq!(held.len(), 2, "one of each key, two in all");
        assert!(h.lease("q", 9).await.is_empty());
        assert_eq!(h.lose().await.len(), 2);
    }
    assert_eq!(h.lease("q", 9).await.len(), 2);
}

pub(super) async fn every_outcome_frees_the_permit(h: &Harness) {
    h.rule("site", most(1)).await;
    for (n, (outcome, _)) in every_outcome().into_iter().enumerate() {
        let queue = format!("q{n}");
        let ids = h.put_all((0..2).map(|_| job("a.job").queue(&queue).limit("site", n))).await;
        let held = h.lease(&queue, 9).await;
        assert_eq!(held.len(), 1);
        h.stale(&Held { token: Token(held[0].token.0 + 1), ..held[0].clone() }, outcome.clone()).await;
        assert!(h.lease(&queue, 9).await.is_empty(), "a stale settle frees nothing");
        let shown = format!("{outcome:?}");
        h.done(&held[0], outcome).await;
        h.control(ids[0], Action::Discard).await;
        let next = h.lease(&queue, 9).await;
        assert_eq!(next.iter().map(|x| x.id).collect::<Vec<_>>(), ids[1..], "after {shown}");
    }
}

pub(super) async fn a_limit_changed_while_running(h: &Harness) {
    h.rule("site", most(4)).await;
    h.put_all((0..30).map(|_| job("a.job").limit("site", "a"))).await;
    let mut held = h.lease("q", 30).await;
    assert_eq!(held.len(), 4);
    h.rule("site", most(2)).await;
    for _ in 0..2 {
        assert!(h.lease("q", 30).await.is_empty(), "lowered below what runs");
        h.done(&held.remove(0), success(0)).await;
    }
    assert!(h.lease("q", 30).await.is_empty(), "two run, two may");
    h.done(&held.remove(0), success(0)).await;
    assert_eq!(h.lease("q", 30).await.len(), 1);
    h.rule("site", most(5)).await;
    assert_eq!(h.lease("q", 30).await.len(), 3, "raised: at once");
    h.rule("site", None).await;
    assert_eq!(h.lease("q", 30).await.len(), 22, "dropped: as many as are wanted");
}

pub(super) async fn a_key_with_a_rule_of_its_own(h: &Harness) {
    h.rule("site", most(1)).await;
    h.rule("site/large", most(3)).await;
    h.put_all((0..5).map(|_| job("a.job").limit("site", "large"))).await;
    h.put_all((0..5).map(|_| job("a.job").limit("site", "small"))).await;
    let counts = by_key(&h.lease("q", 20).await);
    assert_eq!((counts["site/large"], counts["site/small"]), (3, 1));
    h.rule("site/large", None).await;
    assert!(h.lease("q", 20).await.is_empty());
}

pub(super) async fn many_keys_drain_one_at_a_time(h: &Harness) {
    h.rule("site", most(1)).await;
    for round in 0..3 {
        h.put_all((0..150).map(|n| job("a.job").limit("site", n).priority(round * 3))).await;
    }
    let (mut done, mut before) = (0, Vec::new());
    while done < 450 {
        let held = h.lease("q", 64).await;
        let counts = by_key(&held);
        assert!(!held.is_empty() && counts.values().all(|n| *n == 1), "{done} done, {counts:?}");
        done += held.len();
        let items: Vec<Settle> = held.iter().map(|x| x.settle(success(0))).collect();
        let all = h.backend.settle(&items).await.unwrap();
        assert_eq!(all, vec![Settled::Done; items.len()]);
        before = items;
    }
    assert_eq!(h.backend.settle(&before).await.unwrap(), vec![Settled::Done; before.len()], "repeated");
    assert_eq!(h.queue("q").await.count(State::Available), 0);
}

pub(super) async fn a_queue_has_a_limit_of_its_own(h: &Harness) {
    h.rule("all", most(3)).await;
    h.limit_queue("q", "all").await;
    h.put_all((0..6).map(|_| job("a.job"))).await;
    h.put_all((0..6).map(|n| job("b.job").limit("site", n))).await;
    let held = h.lease("q", 99).await;
    assert_eq!(held.len(), 3);
    assert!(h.lease("q", 99).await.is_empty());
    h.done(&held[0], retry(0)).await;
    assert_eq!(h.lease("q", 99).await.len(), 1);
    h.rule("all", most(5)).await;
    assert_eq!(h.lease("q", 99).await.len(), 2);
    h.backend.put(Setting::Queue, "q", None).await.unwrap();
    assert_eq!(h.lease("q", 99).await.len(), 6);
    h.promote().await;
    assert_eq!(h.lease("q", 99).await.len(), 1);
}

pub(super) async fn queues_share_the_limit_that_they_name(h: &Harness) {
    h.rule("all", most(4)).await;
    for queue in ["q1", "q2"] {
        h.limit_queue(queue, "all").await;
        h.put_all((0..9).map(|_| job("a.job").queue(queue))).await;
    }
    h.put_all((0..9).map(|_| job("a.job").queue("q3"))).await;
    let batches = h.batches(&[("q1", 3), ("q2", 3), ("q3", 3)], false).await;
    assert_eq!(
        batches.iter().map(|b| (b.queue.as_str(), b.jobs.len())).collect::<Vec<_>>(),
        [("q1", 3), ("q2", 1), ("q3", 3)]
    );
    assert!(h.lease("q2", 9).await.is_empty() && h.lease("q1", 9).await.is_empty());
}

pub(super) async fn a_permit_of_a_queue_wakes(h: &Harness) {
    h.rule("all", most(1)).await;
    for queue in ["q", "r"] {
        h.limit_queue(queue, "all").await;
        h.put(job("a.job").queue(queue)).await;
    }
    let held = h.take("q").await;
    assert!(h.lease("r", 1).await.is_empty());
    let mut wakeups = h.backend.wakeups();
    wakeups.borrow_and_update();
    h.done(&held, success(0)).await;
    tokio::time::timeout(std::time::Duration::from_secs(5), wakeups.changed()).await.expect("woken").unwrap();
    h.take("r").await;
}

pub(super) async fn waiters_that_go_away(h: &Harness) {
    h.rule("site", most(1)).await;
    let ids = h.put_all((0..6).map(|n| job("a.job").limit("site", n / 3))).await;
    let held = h.lease("q", 9).await;
    assert_eq!(held.len(), 2);
    assert_eq!(h.control(ids[1], Action::Cancel).await, Controlled::Done(State::Cancelled));
    assert_eq!(h.control(ids[4], Action::Discard).await, Controlled::Done(State::Discarded));
    h.check().await;
    for held in &held {
        h.done(held, success(0)).await;
    }
    assert_eq!(h.leased_ids("q", 9).await, [ids[2], ids[5]]);
    assert_eq!(h.control(ids[1], Action::Retry).await, Controlled::Done(State::Available));
    h.check().await;
    h.put_all((0..40).map(|n| job("a.job").limit("site", n % 7))).await;
    assert_eq!(h.backend.steer("q", Steer::Purge(5)).await.unwrap(), 5);
    h.check().await;
    while h.backend.steer("q", Steer::Purge(7)).await.unwrap() > 0 {}
    h.check().await;
    assert_eq!(h.queue("q").await.count(State::Available), 0);
    let id = h.put(job("a.job").limit("site", 6)).await;
    assert_eq!(h.leased_ids("q", 9).await, [id], "a key that was purged empty has its turn again");
}

pub(super) async fn a_promoted_job_waits_under_its_key(h: &Harness) {
    h.rule("site", most(1)).await;
    let late = h.put(job("a.job").limit("site", "a").due(Due::In(5_000))).await;
    let first = h.put(job("a.job").limit("site", "a")).await;
    let held = h.take("q").await;
    assert_eq!(held.id, first);
    h.pass(5_000);
    h.promote().await;
    h.is(late, State::Available).await;
    assert!(h.lease("q", 9).await.is_empty());
    h.done(&held, retry(1_000)).await;
    assert_eq!(h.take("q").await.id, late);
}

pub(super) async fn a_broken_record_with_a_limit_key(h: &Harness) {
    h.rule("site", most(1)).await;
    let broken = h.put(job("a.job").limit("site", "a").record(b"junk")).await;
    let starred = h.put(job("a.job").limit("site", "a").record(b"*junk\n1")).await;
    let held = h.lease("q", 9).await;
    assert_eq!(held.iter().map(|x| x.id).collect::<Vec<_>>(), [broken], "it is governed all the same");
    assert_eq!(held[0].job.record, b"junk");
    h.done(&held[0], Outcome::HandBack).await;
    h.check().await;
    let held = h.lease("q", 9).await;
    h.done(&held[0], discard()).await;
    let held = h.lease("q", 9).await;
    assert_eq!(held[0].id, starred);
    assert_eq!(h.control(starred, Action::Cancel).await, Controlled::Requested);
    h.done(&held[0], Outcome::HandBack).await;
}

pub(super) async fn keys_of_any_characters(h: &Harness) {
    h.rule("site", most(1)).await;
    let long = "k".repeat(256);
    let keys =
        ["a", "A", "a b", "a/b", "a:b", "a}{b", "*", "%s\\", "'; DROP", "[a-z]", "e\u{301}", "走る🏃", &long];
    h.put_all(keys.iter().flat_map(|key| [job("a.job").limit("site", key), job("a.job").limit("site", key)]))
        .await;
    let held = h.lease("q", 99).await;
    assert_eq!(held.len(), keys.len(), "each is a key of its own");
    let before: Vec<JobId> = held.iter().map(|x| x.id).collect();
    for held in held {
        h.done(&held, success(0)).await;
    }
    let after = h.leased_ids("q", 99).await;
    assert!(after.len() == keys.len() && after.iter().all(|id| !before.contains(id)));
}

pub(super) async fn what_limits_a_queue_is_shown(h: &Harness) {
    h.rule("site", most(1)).await;
    h.rule("all", most(7)).await;
    h.limit_queue("q", "all").await;
    h.put_all((0..3).map(|_| job("a.job").limit("site", "a"))).await;
    let id = h.put(job("a.job")).await;
    assert_eq!(h.lease("q", 9).await.len(), 2);
    let limits = h.queue("q").await.limits;
    let shown = |limit: &str, in_use, concurrency, waiting| LimitView {
        limit: limit.into(),
        in_use,
        concurrency: Some(concurrency),
        waiting,
        ..LimitView::default()
    };
    assert_eq!(limits, [shown("all", 2, 7, 2), shown("site/a", 1, 1, 2)]);
    h.is(id, State::Leased).await;
}

pub(super) async fn nothing_runs_at_a_concurrency_of_none(h: &Harness) {
    h.rule("site", most(0)).await;
    let id = h.put(job("a.job").limit("site", "a")).await;
    assert!(h.lease("q", 9).await.is_empty());
    assert_eq!(h.view(id).await.limited.map(|l| l.key).as_deref(), Some("site/a"));
    h.reap().await;
    assert!(h.lease("q", 9).await.is_empty());
    h.rule("site", most(1)).await;
    assert_eq!(h.leased_ids("q", 9).await, [id]);
}
