//! Leasing: order, limits, batches, pauses, extending, progress.

use super::super::harness::*;
use crate::backend::*;
use crate::{JobId, State};

pub(super) async fn first_in_first_out_across_batches(h: &Harness) {
    let mut ids = h.put_all([job("a.job"), job("b.job"), job("a.job")]).await;
    ids.push(h.put(job("a.job")).await);
    ids.extend(h.put_all([job("b.job"), job("a.job")]).await);
    let mut leased = h.leased_ids("q", 2).await;
    ids.push(h.put(job("a.job")).await);
    leased.extend(h.leased_ids("q", 9).await);
    assert_eq!(leased, ids);
}

pub(super) async fn priorities_are_strict(h: &Harness) {
    let of = |p: u8| job("a.job").priority(p);
    let ids = h.put_all([of(9), of(5), of(0), of(5), of(1), of(0)]).await;
    let order = [ids[2], ids[5], ids[4], ids[1], ids[3], ids[0]];
    let mut leased = h.leased_ids("q", 1).await;
    leased.extend(h.leased_ids("q", 3).await);
    let late = h.put(of(2)).await;
    leased.extend(h.leased_ids("q", 9).await);
    let mut expected = order.to_vec();
    expected.insert(4, late);
    assert_eq!(leased, expected);
}

pub(super) async fn every_priority_is_a_priority(h: &Harness) {
    let mut ids = h.put_all((0..=9).rev().map(|p| job("a.job").priority(p))).await;
    ids.reverse();
    assert_eq!(h.leased_ids("q", 10).await, ids);
}

pub(super) async fn each_queue_has_its_own_maximum(h: &Harness) {
    for queue in ["q1", "q2", "q3"] {
        h.put_all((0..4).map(|_| job("a.job").queue(queue))).await;
    }
    let batches = h.batches(&[("q3", 1), ("q1", 3), ("q2", 0), ("none", 5)], false).await;
    let mut taken = Vec::new();
    for batch in &batches {
        assert!(batch.jobs.iter().all(|j| j.record.windows(2).any(|w| w == batch.queue.as_bytes())));
        taken.push((batch.queue.as_str(), batch.jobs.len()));
    }
    assert_eq!(taken, [("q3", 1), ("q1", 3)], "in the order wanted");
    assert_eq!(h.queue("q2").await.count(State::Available), 4);
}

pub(super) async fn all_queues_have_one_maximum_together(h: &Harness) {
    for queue in ["q1", "q2", "q3"] {
        h.put_all((0..4).map(|_| job("a.job").queue(queue))).await;
    }
    for (alone, most, taken) in [(false, 5, [4, 1, 0]), (true, 0, [0, 0, 0]), (true, 5, [0, 3, 2])] {
        let queues = ["q1", "q2", "q3"].map(|q| (q.to_owned(), 4)).to_vec();
        let request = LeaseRequest { worker: "w".into(), queues, most, alone, ttl_ms: TTL };
        let batches = h.backend.lease(&request).await.expect("lease").batches;
        let of = |q: &str| batches.iter().filter(|b| b.queue == q).map(|b| b.jobs.len()).sum::<usize>();
        assert_eq!(["q1", "q2", "q3"].map(of), taken, "{most} in all, alone: {alone}");
    }
    assert_eq!(h.queue("q3").await.count(State::Available), 2);
}

pub(super) async fn a_queue_asked_for_twice_gives_its_share_and_then_the_rest(h: &Harness) {
    h.put_all((0..9).map(|_| job("a.job").queue("q1"))).await;
    h.put(job("a.job").queue("q2")).await;
    for (alone, taken) in [(false, [5, 1]), (true, [4, 0])] {
        let queues = [("q1", 3), ("q2", 3), ("q1", 6), ("q2", 6)].map(|(q, n)| (q.to_owned(), n)).to_vec();
        let request = LeaseRequest { worker: "w".into(), queues, most: 6, alone, ttl_ms: TTL };
        let batches = h.backend.lease(&request).await.expect("lease").batches;
        let of = |q: &str| batches.iter().filter(|b| b.queue == q).map(|b| b.jobs.len()).sum::<usize>();
        assert_eq!(["q1", "q2"].map(of), taken, "alone: {alone}");
    }
}

pub(super) async fn nothing_wanted_nothing_leased(h: &Harness) {
    h.put(job("a.job")).await;
    assert!(h.batches(&[], false).await.is_empty());
    assert!(h.batches(&[("q", 0)], false).await.is_empty());
    assert!(h.batches(&[("other", 9)], true).await.is_empty());
    assert_eq!(h.queue("q").await.count(State::Available), 1);
}

pub(super) async fn a_lease_says_what_the_worker_must_know(h: &Harness) {
    let draft = job("a.job");
    let sent = draft.clone().into_new();
    let id = h.put(draft).await;
    let batches = h.batches(&[("q", 5)], false).await;
    let [batch] = &batches[..] else { panic!("one batch: {batches:?}") };
    assert_eq!((batch.queue.as_str(), batch.now_ms), ("q", h.now()));
    assert_eq!(batch.expires_ms, h.now() + TTL);
    let leased = &batch.jobs[0];
    assert_eq!((leased.id, &leased.record), (id, &sent.record));
    assert_eq!((leased.attempts, leased.crashes, leased.suspect), (0, 0, false));
    let view = h.view(id).await;
    let lease = view.lease.expect("a leased job shows its lease");
    assert_eq!((lease.worker.as_str(), lease.token), ("worker-1", batch.token));
    assert_eq!((view.state, lease.expires_ms), (State::Leased, batch.expires_ms));
}

pub(super) async fn a_shared_batch_has_one_token_and_alone_has_many(h: &Harness) {
    h.put_all((0..6).map(|_| job("a.job"))).await;
    let shared = h.batches(&[("q", 3)], false).await;
    assert_eq!(shared.len(), 1, "one priority, one batch");
    assert_eq!(shared[0].jobs.len(), 3);
    let alone = h.batches(&[("q", 3)], true).await;
    assert!(alone.len() == 3 && alone.iter().all(|b| b.jobs.len() == 1));
    let mut tokens: Vec<_> = alone.iter().map(|b| b.token).collect();
    tokens.push(shared[0].token);
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), 4, "every batch has a token of its own");
}

pub(super) async fn no_job_is_leased_twice(h: &Harness) {
    let ids = h.put_all((0..60).map(|_| job("a.job"))).await;
    let request = |alone| LeaseRequest {
        worker: "w".into(),
        queues: vec![("q".into(), 7)],
        most: 1_000,
        alone,
        ttl_ms: TTL,
    };
    let (shared, alone) = (request(false), request(true));
    let mut leased = Vec::new();
    while leased.len() < ids.len() {
        let (a, b, c, d) = tokio::join!(
            h.backend.lease(&shared),
            h.other.lease(&shared),
            h.other.lease(&alone),
            h.backend.lease(&alone)
        );
        let before = leased.len();
        for answer in [a, b, c, d] {
            leased.extend(answer.unwrap().batches.into_iter().flat_map(|b| b.jobs).map(|j| j.id));
        }
        assert!(leased.len() > before, "{before} of 60 leased");
    }
    leased.sort();
    let mut all = ids;
    all.sort();
    assert_eq!(leased, all);
}

pub(super) async fn tokens_grow_also_when_the_clock_stands(h: &Harness) {
    h.put_all((0..4).map(|_| job("a.job"))).await;
    let mut last = Token(0);
    for step in 0..12 {
        let held = h.take("q").await;
        assert!(held.token > last, "step {step}: {:?} after {last:?}", held.token);
        assert!(held.token.0 >= h.now() as u64 * 1_000, "at least the microseconds of the clock");
        last = held.token;
        h.done(&held, Outcome::HandBack).await;
        h.pass(step % 2);
    }
}

pub(super) async fn suspects_are_leased_alone(h: &Harness) {
    let ids = h.put_all([job("a.job"), job("a.job")]).await;
    assert_eq!(h.lease("q", 2).await.len(), 2);
    assert_eq!(h.lose().await.len(), 2);
    let fresh = h.put_all([job("a.job"), job("a.job")]).await;
    let mut seen = Vec::new();
    while seen.len() < 4 {
        let batches = h.batches(&[("q", 4)], false).await;
        assert!(!batches.is_empty(), "{} of 4 leased", seen.len());
        for batch in batches {
            let suspect = batch.jobs.iter().any(|j| j.suspect);
            assert!(!suspect || batch.jobs.len() == 1, "a suspect shares no batch");
            seen.extend(batch.jobs.iter().map(|j| (j.id, j.suspect)));
        }
    }
    let all: Vec<JobId> = ids.iter().chain(&fresh).copied().collect();
    assert_eq!(seen, all.iter().map(|id| (*id, ids.contains(id))).collect::<Vec<_>>());
}

pub(super) async fn a_suspect_between_others_is_leased_alone(h: &Harness) {
    let (fresh, suspect) = (job("a.job").priority(1), job("a.job").priority(5));
    h.put(suspect).await;
    h.take("q").await;
    h.lose().await;
    h.put_all([fresh.clone().with(|e| e.id = JobId::new()), fresh]).await;
    h.put(job("a.job").priority(9)).await;
    let mut total = 0;
    while total < 4 {
        let batches = h.batches(&[("q", 9)], false).await;
        assert!(!batches.is_empty(), "{total} of 4 leased");
        for batch in batches {
            total += batch.jobs.len();
            assert!(batch.jobs.len() == 1 || batch.jobs.iter().all(|j| !j.suspect));
        }
    }
}

pub(super) async fn extend_renews_what_is_held(h: &Harness) {
    let id = h.put(job("a.job")).await;
    let held = h.take("q").await;
    h.pass(10_000);
    let answer = h.backend.extend(&[Token(1), held.token, Token(u64::MAX >> 12)], TTL).await.unwrap();
    assert_eq!((answer.held, answer.cancel), (vec![false, true, false], vec![]));
    assert_eq!(h.view(id).await.lease.unwrap().expires_ms, h.now() + TTL);
    h.pass(10_000);
    assert!(h.reap().await.is_empty(), "it was renewed");
    h.is(id, State::Leased).await;
    h.pass(5_001);
    assert_eq!(h.reap().await.len(), 1);
    assert_eq!(h.backend.extend(&[held.token], TTL).await.unwrap().held, [false], "lost");
    h.is(id, State::Available).await;
}

pub(super) async fn extend_after_the_last_settle_is_not_held(h: &Harness) {
    h.put_all([job("a.job"), job("a.job")]).await;
    let held = h.lease("q", 2).await;
    h.done(&held[0], success(0)).await;
    assert_eq!(h.backend.extend(&[held[0].token], TTL).await.unwrap().held, [true]);
    h.done(&held[1], retry(1_000)).await;
    assert_eq!(h.backend.extend(&[held[0].token], TTL).await.unwrap().held, [false], "closed");
    assert!(h.backend.extend(&[], TTL).await.unwrap().held.is_empty());
}

pub(super) async fn extend_tells_whose_cancellation_is_requested(h: &Harness) {
    let ids = h.put_all([job("a.job"), job("a.job")]).await;
    let (first, second) = (h.take("q").await, h.take("q").await);
    assert_eq!(h.control(ids[1], Action::Cancel).await, Controlled::Requested);
    for token in [first.token, second.token] {
        let answer = h.other.extend(&[token], TTL).await.unwrap();
        assert_eq!(answer.cancel, [ids[1]], "of any worker");
    }
    assert!(h.view(ids[1]).await.cancel_requested && !h.view(ids[0]).await.cancel_requested);
    h.done(&second, cancel()).await;
    assert!(h.backend.extend(&[first.token], TTL).await.unwrap().cancel.is_empty());
    h.is(ids[1], State::Cancelled).await;
}

pub(super) async fn a_note_is_kept_under_the_fence(h: &Harness) {
    let id = h.put(job("a.job")).await;
    let held = h.take("q").await;
    for text in ["{\"done\":1}", "[2,\"é\",\"\\u0000\"]"] {
        assert_eq!(h.backend.note(held.token, id, &progress(text)).await.unwrap(), Settled::Done);
        assert_eq!(h.view(id).await.progress.unwrap().get(), text);
    }
    let wrong = Token(held.token.0 + 1);
    assert_eq!(h.backend.note(wrong, id, &progress("3")).await.unwrap(), Settled::Stale);
    assert_eq!(h.backend.note(held.token, JobId::new(), &progress("3")).await.unwrap(), Settled::Stale);
    assert_eq!(h.view(id).await.progress.unwrap().get(), "[2,\"é\",\"\\u0000\"]");
    h.lose().await;
    let next = h.take("q").await;
    assert_eq!(h.backend.note(held.token, id, &progress("4")).await.unwrap(), Settled::Stale);
    assert_eq!(h.backend.note(next.token, id, &progress("5")).await.unwrap(), Settled::Done);
    assert_eq!(h.view(id).await.progress.unwrap().get(), "5");
    h.done(&next, success(0)).await;
    assert_eq!(h.backend.note(next.token, id, &progress("6")).await.unwrap(), Settled::Stale);
    h.gone(id).await;
}

pub(super) async fn a_paused_queue_is_skipped_until_it_is_resumed(h: &Harness) {
    let id = h.put(job("a.job")).await;
    h.put(job("a.job").queue("open")).await;
    h.backend.pause("q", Pause::Forever).await.unwrap();
    assert_eq!(h.queue("q").await.paused, Some(None));
    let batches = h.batches(&[("q", 5), ("open", 5)], false).await;
    assert!(batches.len() == 1 && batches[0].queue == "open");
    h.pass(365 * 86_400_000);
    assert!(h.lease("q", 5).await.is_empty());
    h.is(id, State::Available).await;
    h.other.pause("q", Pause::Off).await.unwrap();
    assert_eq!(h.queue("q").await.paused, None);
    assert_eq!(h.take("q").await.id, id);
}

pub(super) async fn a_pause_ends_by_the_clock(h: &Harness) {
    h.put_all([job("a.job"), job("a.job")]).await;
    let until = h.now() + 5_000;
    h.backend.pause("q", Pause::Until(until)).await.unwrap();
    assert_eq!(h.queue("q").await.paused, Some(Some(until)));
    h.pass(4_999);
    assert!(h.lease("q", 1).await.is_empty());
    h.pass(2);
    assert_eq!(h.queue("q").await.paused, None, "the instant has passed");
    assert_eq!(h.lease("q", 1).await.len(), 1);
    h.backend.pause("q", Pause::For(1_000)).await.unwrap();
    assert_eq!(h.queue("q").await.paused, Some(Some(h.now() + 1_000)));
    assert!(h.lease("q", 1).await.is_empty());
    h.pass(1_001);
    assert_eq!(h.lease("q", 1).await.len(), 1);
}

pub(super) async fn a_longer_pause_stays(h: &Harness) {
    let paused = async || h.queue("q").await.paused;
    let pause = async |p| h.backend.pause("q", p).await.unwrap();
    let far = h.now() + 60_000;
    pause(Pause::Until(far)).await;
    pause(Pause::Until(h.now() + 1_000)).await;
    assert_eq!(paused().await, Some(Some(far)));
    pause(Pause::For(1_000)).await;
    assert_eq!(paused().await, Some(Some(far)));
    pause(Pause::For(90_000)).await;
    assert_eq!(paused().await, Some(Some(h.now() + 90_000)));
    pause(Pause::Forever).await;
    pause(Pause::Until(far)).await;
    assert_eq!(paused().await, Some(None), "for good lasts longest");
    pause(Pause::Off).await;
    pause(Pause::Until(h.now() - 1)).await;
    assert_eq!(paused().await, None, "an instant that has passed pauses nothing");
}

pub(super) async fn a_pause_stops_no_settle_and_no_enqueue(h: &Harness) {
    let id = h.put(job("a.job")).await;
    let held = h.take("q").await;
    h.backend.pause("q", Pause::Forever).await.unwrap();
    h.put(job("a.job")).await;
    assert_eq!(h.backend.extend(&[held.token], TTL).await.unwrap().held, [true]);
    h.done(&held, success(60_000)).await;
    h.is(id, State::Succeeded).await;
}
