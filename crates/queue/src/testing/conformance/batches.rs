//! Large batches: what is moved and settled many at a time is what single jobs would be.

use super::super::harness::*;
use crate::backend::*;
use crate::{JobId, State};

fn ids(held: &[Held]) -> Vec<JobId> {
    held.iter().map(|held| held.id).collect()
}

async fn settle(h: &Harness, held: &[Held], outcome: Outcome) -> Vec<Settled> {
    let items: Vec<Settle> = held.iter().map(|held| held.settle(outcome.clone())).collect();
    h.backend.settle(&items).await.expect("settle")
}

pub(super) async fn a_large_batch_has_its_records_in_order(h: &Harness) {
    let drafts: Vec<Draft> = (0..300).map(|n| job("a.job").payload(n)).collect();
    let records: Vec<Vec<u8>> = drafts.iter().map(|draft| draft.clone().into_new().record).collect();
    let all = h.put_all(drafts).await;
    for (from, most) in [(0, 200), (200, 17), (217, 16), (233, 100)] {
        let batches = h.batches(&[("q", most)], false).await;
        assert_eq!(batches.len(), 1, "one lease");
        let until = (from + most).min(300);
        assert_eq!(batches[0].jobs.iter().map(|job| job.id).collect::<Vec<_>>(), all[from..until]);
        for (job, record) in batches[0].jobs.iter().zip(&records[from..until]) {
            assert_eq!((&job.record, job.attempts, job.suspect), (record, 0, false));
        }
    }
}

pub(super) async fn jobs_with_a_past_among_many_without_one(h: &Harness) {
    let tried = h.put_all((0..2).map(|_| job("a.job"))).await;
    for held in h.lease("q", 2).await {
        h.done(&held, retry(0)).await;
    }
    let first = h.put_all((0..30).map(|_| job("a.job"))).await;
    h.promote().await;
    let last = h.put_all((0..30).map(|_| job("a.job"))).await;
    // Some leave while they wait, from both kinds.
    h.control(first[3], Action::Cancel).await;
    h.control(last[29], Action::Discard).await;
    h.control(tried[1], Action::Cancel).await;
    let held = h.lease("q", 100).await;
    let mut expected = first;
    expected.remove(3);
    expected.push(tried[0]);
    expected.extend(&last[..29]);
    assert_eq!(ids(&held), expected);
    assert!(held.iter().all(|held| held.job.attempts == u32::from(held.id == tried[0])));
    assert_eq!(settle(h, &held, success(0)).await, vec![Settled::Done; 59]);
    assert_eq!(h.queue("q").await.processed, 59);
}

pub(super) async fn a_job_that_came_back_is_leased_with_its_past_whatever_else_waits(h: &Harness) {
    let id = h.put(job("a.job")).await;
    for n in 0..3 {
        h.put_all((0..20).map(|_| job("a.job"))).await;
        let held = h.lease("q", 100).await;
        let mine = held.iter().find(|held| held.id == id).expect("it is leased");
        assert_eq!(mine.job.attempts, n);
        h.done(mine, retry(0)).await;
        h.promote().await;
    }
}

pub(super) async fn a_key_is_given_up_at_the_start_among_many(h: &Harness) {
    for release in [Release::Started, Release::Waiting] {
        let keyed = || job("a.job").unique("k").scope(release, Conflict::Existing);
        h.put_all((0..20).map(|_| job("b.job"))).await;
        let id = h.put(keyed()).await;
        h.put_all((0..20).map(|_| job("b.job"))).await;
        assert_eq!(h.offer(keyed()).await, Enqueued::Existing(id));
        let held = h.lease("q", 100).await;
        assert_eq!((held.len(), held[20].id), (41, id));
        let next = h.put(keyed()).await;
        assert_eq!(settle(h, &held, success(0)).await, vec![Settled::Done; 41]);
        let held = h.take("q").await;
        assert_eq!(held.id, next);
        h.done(&held, success(0)).await;
    }
}

pub(super) async fn a_key_that_a_replacement_gives_up_at_the_start(h: &Harness) {
    let keyed = |release| job("a.job").unique("k").scope(release, Conflict::Replace);
    let id = h.put(keyed(Release::Finished)).await;
    assert_eq!(h.offer(keyed(Release::Started)).await, Enqueued::Replaced(id));
    h.put_all((0..20).map(|_| job("b.job"))).await;
    assert_eq!(h.lease("q", 100).await.iter().filter(|held| held.id == id).count(), 1);
    let next = h.put(keyed(Release::Started)).await;
    assert_ne!(next, id, "the key was given up at the start");
    assert_eq!(h.control(next, Action::Cancel).await, Controlled::Done(State::Cancelled));
    assert!(h.lease("q", 9).await.is_empty());
}

pub(super) async fn a_batch_is_settled_in_any_pieces(h: &Harness) {
    h.put_all((0..120).map(|_| job("a.job"))).await;
    let held = h.lease("q", 120).await;
    let done = |n: usize| vec![Settled::Done; n];
    assert_eq!(settle(h, &held[..30], success(0)).await, done(30), "what it begins with");
    assert_eq!(settle(h, &held[..30], success(0)).await, done(30), "the same again");
    assert_eq!(settle(h, &held[..30], retry(0)).await, vec![Settled::Stale; 30], "another outcome");
    let mut middle = held[50..90].to_vec();
    middle.reverse();
    assert_eq!(settle(h, &middle, success(60_000)).await, done(40), "from the middle, backwards");
    assert_eq!(settle(h, &held[35..37], success(0)).await, done(2), "two of them");
    h.done(&held[119], snooze(1_000)).await;
    assert_eq!(settle(h, &held[..40], success(0)).await, done(40), "some of them again");
    assert_eq!(h.queue("q").await.count(State::Leased), 39);
    h.lose().await;
    assert_eq!(settle(h, &held[40..50], success(0)).await, vec![Settled::Stale; 10], "lost by now");
    assert_eq!(settle(h, &held[..35], success(0)).await, done(35), "ended before that");
    let queue = h.queue("q").await;
    assert_eq!((queue.count(State::Available), queue.processed), (39, 80));
    assert_eq!(queue.count(State::Succeeded), 40);
}

pub(super) async fn whole_batches_are_settled_together(h: &Harness) {
    h.put_all((0..90).map(|_| job("a.job"))).await;
    let mut held = Vec::new();
    for most in [40, 20, 30] {
        held.extend(h.lease("q", most).await);
    }
    // One of the second batch is somebody else's by now; the others are not touched by that.
    h.done(&held[45], Outcome::HandBack).await;
    let answers = settle(h, &held, success(0)).await;
    let stale: Vec<usize> = (0..90).filter(|n| answers[*n] == Settled::Stale).collect();
    assert_eq!(stale, [45]);
    assert_eq!(h.queue("q").await.processed, 89);
    assert_eq!(h.leased_ids("q", 9).await, [held[45].id]);
}
