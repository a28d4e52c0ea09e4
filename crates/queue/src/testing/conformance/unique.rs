//! Unique keys with a scope: when they are given up, and what a conflict does.

use super::super::harness::*;
use super::keys::worker;
use crate::backend::*;
use crate::{JobId, Limit, State};

const HOUR: i64 = 3_600_000;

fn started(n: u32) -> Draft {
    job("a.job").unique("k").scope(Release::Started, Conflict::Existing).payload(n)
}

fn for_an_hour(n: u32) -> Draft {
    job("a.job").unique("k").scope(Release::After(HOUR), Conflict::Existing).payload(n)
}

fn keep_last(n: u32) -> Draft {
    job("a.job").unique("k").serial("a.job:k").scope(Release::Waiting, Conflict::Replace).payload(n)
}

fn replacing(n: u32) -> Draft {
    job("a.job").unique("k").scope(Release::Finished, Conflict::Replace).payload(n)
}

/// A debounced job, as a client makes it: due after the wait.
fn debounced(n: u32, at_most_ms: Option<i64>) -> Draft {
    let conflict = Conflict::Debounce { wait_ms: 5_000, at_most_ms };
    job("a.job").unique("k").scope(Release::Started, conflict).payload(n).due(Due::In(5_000))
}

pub(super) async fn a_key_until_started_is_free_once_its_job_is_leased(h: &Harness) {
    let first = h.put(started(1)).await;
    assert_eq!(h.offer(started(2)).await, Enqueued::Existing(first));
    let held = h.take("q").await;
    let next = h.put(started(3)).await;
    assert_eq!(h.offer(started(4)).await, Enqueued::Existing(next));
    h.done(&held, success(0)).await;
    assert_eq!(h.offer(started(5)).await, Enqueued::Existing(next), "the next one waits still");
    assert_eq!(h.take("q").await.id, next);
}

pub(super) async fn a_key_until_started_is_not_taken_again(h: &Harness) {
    let back = [retry(5_000), snooze(5_000), Outcome::HandBack, Outcome::Park];
    for (n, outcome) in back.into_iter().enumerate() {
        let queue = format!("q{n}");
        let draft = |n| started(n).queue(&queue).unique(&queue);
        let first = h.put(draft(1)).await;
        h.done(&h.take(&queue).await, outcome).await;
        let next = h.put(draft(2)).await;
        assert_eq!(h.offer(draft(3)).await, Enqueued::Existing(next));
        h.control(first, Action::Cancel).await;
        assert_eq!(h.offer(draft(4)).await, Enqueued::Existing(next), "it was not the first one's");
    }
    let lost = h.put(started(1)).await;
    h.take("q").await;
    h.lose().await;
    h.is(lost, State::Available).await;
    h.put(started(2)).await;
}

pub(super) async fn an_old_owner_does_not_release_the_new_owners_key(h: &Harness) {
    for (n, (outcome, _)) in every_outcome().into_iter().enumerate() {
        let queue = format!("q{n}");
        let draft = || started(1).queue(&queue).unique(&queue);
        h.put(draft()).await;
        let old = h.take(&queue).await;
        let new = h.put(draft()).await;
        h.done(&old, outcome).await;
        for action in [Action::Cancel, Action::Discard] {
            h.control(old.id, action).await;
        }
        assert_eq!(h.offer(draft()).await, Enqueued::Existing(new));
    }
    h.pass(8 * 86_400_000);
    h.backend.prune(1_000).await.unwrap();
    assert!(matches!(h.offer(started(9).unique("q0")).await, Enqueued::Existing(_)));
}

pub(super) async fn one_runs_and_one_waits_with_the_newest_payload(h: &Harness) {
    let first = h.put(keep_last(1)).await;
    assert_eq!(h.offer(keep_last(2)).await, Enqueued::Replaced(first), "nobody has begun with it");
    let running = h.take("q").await;
    assert!(running.job.record.ends_with(b"\n2"), "the newest payload");
    let waiting = h.put(keep_last(3)).await;
    assert!(h.lease("q", 9).await.is_empty(), "one at a time");
    for n in 4..8 {
        assert_eq!(h.offer(keep_last(n)).await, Enqueued::Replaced(waiting));
    }
    assert_eq!(h.payload(waiting).await, "7");
    assert_eq!(h.payload(first).await, "2", "what runs is left alone");
    h.is(waiting, State::Available).await;
    h.done(&running, success(0)).await;
    let held = h.take("q").await;
    assert!(held.id == waiting && held.job.record.ends_with(b"\n7"));
    h.done(&held, success(0)).await;
    h.put(keep_last(8)).await;
}

pub(super) async fn what_comes_back_alone_waits_with_the_newest_payload(h: &Harness) {
    for (n, outcome) in [retry(5_000), snooze(5_000), Outcome::HandBack].into_iter().enumerate() {
        let key = format!("k{n}");
        let draft = |n| keep_last(n).unique(&key).serial(&key).queue(&key);
        let id = h.put(draft(1)).await;
        h.done(&h.take(&key).await, outcome).await;
        let before = h.view(id).await;
        assert_eq!(h.offer(draft(2)).await, Enqueued::Replaced(id), "it waits, and has the key again");
        let after = h.view(id).await;
        assert_eq!((before.state, before.due_ms), (after.state, after.due_ms), "its wait stays");
        h.pass(6_000);
        h.promote().await;
        let held = h.take(&key).await;
        assert!(held.id == id && held.job.record.ends_with(b"\n2"));
        assert_eq!(held.job.attempts, before.attempts, "and its attempts");
        h.done(&held, success(0)).await;
        h.put(draft(3)).await;
    }
}

pub(super) async fn what_comes_back_behind_a_newer_one_is_cancelled(h: &Harness) {
    let back = [retry(5_000), snooze(5_000), Outcome::HandBack, Outcome::Park];
    for (n, outcome) in back.into_iter().enumerate() {
        let key = format!("k{n}");
        let draft = |n| keep_last(n).unique(&key).serial(&key).queue(&key);
        let old = h.put(draft(1)).await;
        let held = h.take(&key).await;
        let new = h.put(draft(2)).await;
        h.done(&held, outcome.clone()).await;
        let view = h.view(old).await;
        assert_eq!((view.state, view.reason.as_deref()), (State::Cancelled, Some("replaced")), "{outcome:?}");
        assert_eq!(h.settle(&held, outcome).await, Settled::Done, "repeated");
        assert_eq!(h.offer(draft(3)).await, Enqueued::Replaced(new), "at most one waits");
        assert_eq!(h.take(&key).await.id, new);
    }
}

pub(super) async fn a_lost_lease_behind_a_newer_one_is_cancelled(h: &Harness) {
    let old = h.put(keep_last(1)).await;
    h.take("q").await;
    let new = h.put(keep_last(2)).await;
    assert!(h.lease("q", 1).await.is_empty());
    assert_eq!(h.lose().await, [Reaped { id: old, state: State::Cancelled, crashes: 1 }]);
    assert_eq!(h.take("q").await.id, new);
    // Nobody newer: it comes back with the key.
    assert_eq!(h.lose().await, [Reaped { id: new, state: State::Available, crashes: 1 }]);
    assert_eq!(h.offer(keep_last(3)).await, Enqueued::Replaced(new));
}

pub(super) async fn a_key_for_a_time_outlives_its_success(h: &Harness) {
    let id = h.put(for_an_hour(1)).await;
    h.pass(1_000);
    h.done(&h.take("q").await, success(0)).await;
    h.gone(id).await;
    h.pass(HOUR - 1_001);
    h.backend.prune(100).await.unwrap();
    assert_eq!(h.offer(for_an_hour(2)).await, Enqueued::Existing(id), "a moment before the end");
    assert_eq!(h.offer(replacing(2)).await, Enqueued::Existing(id), "nothing waits that could be replaced");
    h.put(for_an_hour(2).unique("other")).await;
    h.pass(1);
    let next = h.put(for_an_hour(3)).await;
    h.backend.prune(100).await.unwrap();
    assert_eq!(h.offer(for_an_hour(4)).await, Enqueued::Existing(next));
    // The time of the first one must not shorten or lengthen that of the next.
    h.pass(HOUR - 1);
    assert_eq!(h.offer(for_an_hour(5)).await, Enqueued::Existing(next));
    h.done(&h.lease("q", 9).await[1], success(0)).await;
    h.pass(1);
    h.put(for_an_hour(6)).await;
}

pub(super) async fn an_id_chosen_again_does_not_inherit_a_key(h: &Harness) {
    let id = JobId::new();
    h.put(for_an_hour(1).chosen(id)).await;
    h.done(&h.take("q").await, success(0)).await;
    h.gone(id).await;
    // Another job of that id, which names no key, and outlives the time of the first one's.
    h.put(job("b.job").queue("other").chosen(id)).await;
    assert_eq!(h.offer(for_an_hour(2)).await, Enqueued::Existing(id));
    assert_eq!(h.offer(replacing(2)).await, Enqueued::Existing(id), "what has the id is another job");
    h.pass(HOUR);
    let next = h.put(for_an_hour(3)).await;
    h.backend.prune(100).await.unwrap();
    assert_eq!(h.offer(for_an_hour(4)).await, Enqueued::Existing(next));
    assert_eq!(h.take("other").await.id, id);
}

pub(super) async fn a_key_for_a_time_outlives_its_failure(h: &Harness) {
    let id = h.put(for_an_hour(1)).await;
    h.done(&h.take("q").await, discard()).await;
    assert_eq!(h.offer(for_an_hour(2)).await, Enqueued::Existing(id));
    h.pass(HOUR);
    h.backend.prune(100).await.unwrap();
    h.put(for_an_hour(3)).await;
}

pub(super) async fn a_key_for_a_time_is_never_shorter_than_its_job(h: &Harness) {
    let id = h.put(for_an_hour(1)).await;
    for _ in 0..3 {
        h.pass(HOUR);
        h.backend.prune(100).await.unwrap();
        assert_eq!(h.offer(for_an_hour(2)).await, Enqueued::Existing(id), "it waits still");
    }
    let held = h.take("q").await;
    assert_eq!(h.offer(for_an_hour(2)).await, Enqueued::Existing(id), "it runs still");
    h.done(&held, success(0)).await;
    h.put(for_an_hour(3)).await;
}

pub(super) async fn a_key_for_a_time_is_free_when_its_job_is_called_off(h: &Harness) {
    for action in [Action::Cancel, Action::Discard] {
        let id = h.put(for_an_hour(1)).await;
        h.control(id, action).await;
    }
    h.put(for_an_hour(2)).await;
    h.done(&h.take("q").await, cancel()).await;
    h.put(for_an_hour(3)).await;
    assert_eq!(h.backend.steer("q", Steer::Purge(10)).await.unwrap(), 1);
    let id = h.put(for_an_hour(4)).await;
    let held = h.take("q").await;
    h.control(id, Action::Cancel).await;
    h.done(&held, Outcome::HandBack).await;
    assert!(h.lease("q", 1).await.is_empty(), "cancelled instead");
    h.put(for_an_hour(5)).await;
}

pub(super) async fn a_debounced_job_runs_after_the_last_enqueue(h: &Harness) {
    let id = h.put(debounced(1, None)).await;
    for n in 2..5 {
        h.pass(4_000);
        assert_eq!(h.promote().await.count, 0);
        assert_eq!(h.offer(debounced(n, None)).await, Enqueued::Replaced(id));
        assert_eq!(h.view(id).await.due_ms, Some(h.now() + 5_000));
    }
    h.pass(5_000);
    assert_eq!(h.promote().await.count, 1);
    let held = h.take("q").await;
    assert!(held.id == id && held.job.record.ends_with(b"\n4"));
    let next = h.put(debounced(5, None)).await;
    h.is(next, State::Scheduled).await;
}

pub(super) async fn a_debounced_job_waits_no_longer_than_its_limit(h: &Harness) {
    let id = h.put(debounced(1, Some(12_000))).await;
    let limit = h.now() + 12_000;
    for n in 2..8 {
        h.pass(2_000);
        assert_eq!(h.offer(debounced(n, Some(60_000))).await, Enqueued::Replaced(id));
        assert_eq!(h.view(id).await.due_ms, Some(limit.min(h.now() + 5_000)), "after {n}");
    }
    assert_eq!(h.promote().await.count, 1);
    assert_eq!(h.offer(debounced(8, None)).await, Enqueued::Replaced(id));
    h.is(id, State::Available).await;
    assert!(h.take("q").await.job.record.ends_with(b"\n8"));
}

pub(super) async fn a_debounced_job_that_is_available_is_put_off_again(h: &Harness) {
    let other = h.put(job("b.job")).await;
    let id = h.put(debounced(1, None)).await;
    for n in 2..4 {
        h.pass(5_000);
        h.promote().await;
        h.are(&[id, other], &[State::Available, State::Available]).await;
        assert_eq!(h.offer(debounced(n, None)).await, Enqueued::Replaced(id));
        h.is(id, State::Scheduled).await;
    }
    assert_eq!(h.leased_ids("q", 9).await, [other]);
    h.pass(5_000);
    h.promote().await;
    assert_eq!(h.leased_ids("q", 9).await, [id], "once");
}

pub(super) async fn a_replaced_job_keeps_its_place(h: &Harness) {
    let ids = h.put_all([job("b.job"), replacing(1), job("b.job")]).await;
    assert_eq!(h.offer(replacing(2)).await, Enqueued::Replaced(ids[1]));
    let later = replacing(3).due(Due::In(60_000));
    assert_eq!(h.offer(later).await, Enqueued::Replaced(ids[1]), "its instant stays as well");
    let held = h.lease("q", 9).await;
    assert_eq!(held.iter().map(|h| h.id).collect::<Vec<_>>(), ids);
    assert!(held[1].job.record.ends_with(b"\n3"));
}

pub(super) async fn a_job_is_replaced_in_every_state_that_waits(h: &Harness) {
    for state in [State::Scheduled, State::Available, State::Retryable, State::Blocked] {
        let queue = format!("q-{state}");
        let (id, _) = h.bring(replacing(1).queue(&queue).unique(&queue), state).await;
        let before = h.view(id).await;
        assert_eq!(h.offer(replacing(2).queue(&queue).unique(&queue)).await, Enqueued::Replaced(id));
        assert_eq!(h.payload(id).await, "2");
        let after = h.view(id).await;
        assert_eq!(
            (before.state, before.due_ms, before.attempts, before.parked),
            (after.state, after.due_ms, after.attempts, after.parked)
        );
    }
    // A parked one is judged by the newest version.
    let newer = replacing(3).queue("q-blocked").unique("q-blocked").with(|e| e.version = 3);
    assert!(matches!(h.offer(newer).await, Enqueued::Replaced(_)));
    h.backend.beat(&worker("w", &[("a.job", 2)])).await.unwrap();
    assert_eq!(h.queue("q-blocked").await.parked, 1);
    h.backend.beat(&worker("w", &[("a.job", 3)])).await.unwrap();
    assert!(h.take("q-blocked").await.job.record.ends_with(b"\n3"));
}

pub(super) async fn a_job_that_runs_is_not_replaced(h: &Harness) {
    let (id, held) = h.bring(replacing(1), State::Leased).await;
    let before = h.shown(id).await;
    assert_eq!(h.offer(replacing(2)).await, Enqueued::Existing(id));
    assert_eq!(h.shown(id).await, before);
    h.done(&held.unwrap(), success(60_000)).await;
    assert_eq!(h.payload(id).await, "1");
    h.put(replacing(3)).await;
}

pub(super) async fn a_replaced_job_follows_the_newest_to_its_queue(h: &Harness) {
    for state in [State::Scheduled, State::Available, State::Retryable, State::Blocked] {
        // A queue that nobody knew before.
        let (queue, there) = (format!("q-{state}"), format!("there-{state}"));
        let (id, _) = h.bring(replacing(1).queue(&queue).unique(&queue), state).await;
        let moved = replacing(2).queue(&there).priority(2).unique(&queue);
        assert_eq!(h.offer(moved).await, Enqueued::Replaced(id));
        assert_eq!(h.view(id).await.envelope.queue(), there);
        let waits = if state == State::Blocked { State::Available } else { state };
        assert_eq!(h.queue(&there).await.count(waits), 1);
        let filter = Filter { queue: Some(there.clone()), limit: 9, ..Filter::default() };
        assert_eq!(h.listed(filter).await, [id]);
        h.pass(HOUR);
        h.promote().await;
        assert!(h.lease(&queue, 9).await.is_empty());
        let held = h.take(&there).await;
        assert_eq!(held.id, id);
        h.done(&held, success(0)).await;
    }
}

pub(super) async fn a_replaced_job_lets_go_of_its_serial_key(h: &Harness) {
    let running = h.put(job("b.job").serial("s")).await;
    let held = h.take("q").await;
    assert_eq!(held.id, running);
    let first = h.put(replacing(1).serial("s")).await;
    let second = h.put(job("b.job").serial("s")).await;
    assert!(h.lease("q", 9).await.is_empty());
    h.done(&held, success(0)).await;
    h.are(&[first, second], &[State::Available, State::Available]).await;
    assert_eq!(h.offer(replacing(2).serial("t")).await, Enqueued::Replaced(first));
    assert_eq!(h.leased_ids("q", 9).await.len(), 2, "nothing waits for a key that nobody holds");
}

pub(super) async fn a_replaced_job_comes_under_a_limit_key(h: &Harness) {
    h.rule("site", Some(Limit::default().concurrency(1))).await;
    let id = h.put(replacing(1)).await;
    assert_eq!(h.offer(replacing(2).limit("site", 7)).await, Enqueued::Replaced(id));
    h.put(job("b.job").limit("site", 7)).await;
    // What it left behind in its former place stands for nothing.
    let held = h.lease("q", 9).await;
    assert_eq!(held.iter().map(|one| one.id).collect::<Vec<_>>(), [id]);
    h.done(&held[0], success(0)).await;
    let held = h.lease("q", 9).await;
    assert_eq!(held.len(), 1);
    h.done(&held[0], Outcome::Park).await;
    // A parked one is tried again when it goes to another place.
    let parked = h.put(replacing(3)).await;
    h.done(&h.take("q").await, Outcome::Park).await;
    assert_eq!(h.offer(replacing(4).limit("site", 7)).await, Enqueued::Replaced(parked));
    assert_eq!(h.take("q").await.id, parked);
}

pub(super) async fn every_scope_holds_within_one_batch(h: &Harness) {
    let all = [started(1), started(2)];
    let answers = wide(h, all).await;
    assert!(answers[0] == Enqueued::Created && matches!(answers[1], Enqueued::Existing(_)));
    let key = |d: Draft, key: &str| d.unique(key).queue("r");
    let batch = [1, 2, 3].map(|n| key(keep_last(n), "l"));
    let id = batch[0].id();
    assert_eq!(wide(h, batch).await, [Enqueued::Created, Enqueued::Replaced(id), Enqueued::Replaced(id)]);
    assert_eq!(h.payload(id).await, "3");
    let batch = [1, 2].map(|n| key(for_an_hour(n), "w"));
    let id = batch[0].id();
    assert_eq!(wide(h, batch).await, [Enqueued::Created, Enqueued::Existing(id)]);
    let many = (0..300).map(|n| key(debounced(n, None), &format!("d{}", n % 3)));
    let answers = wide(h, many).await;
    assert_eq!(answers.iter().filter(|a| **a == Enqueued::Created).count(), 3);
    assert!(answers[3..].iter().all(|a| matches!(a, Enqueued::Replaced(_))));
    assert_eq!(h.queue("r").await.count(State::Scheduled), 3);
}

async fn wide(h: &Harness, drafts: impl IntoIterator<Item = Draft>) -> Vec<Enqueued> {
    match h.backend.enqueue(&h.batch(drafts)).await.expect("enqueue") {
        Taken::Jobs(answers) => answers,
        other => panic!("{other:?}"),
    }
}

pub(super) async fn a_repeated_call_replaces_once(h: &Harness) {
    let id = h.put(replacing(1)).await;
    let call = h.batch([replacing(2)]);
    assert_eq!(h.backend.enqueue(&call).await.unwrap(), Taken::Jobs(vec![Enqueued::Replaced(id)]));
    let held = h.take("q").await;
    h.done(&held, success(0)).await;
    // Its reply was lost: the repetition must not make a second job.
    assert_eq!(h.backend.enqueue(&call).await.unwrap(), Taken::Jobs(vec![Enqueued::Replaced(id)]));
    assert!(h.lease("q", 9).await.is_empty());
}

pub(super) async fn a_redrive_while_another_holds_the_key(h: &Harness) {
    let scopes = [Release::Finished, Release::Started, Release::Waiting, Release::After(HOUR)];
    for (n, release) in scopes.into_iter().enumerate() {
        let key = format!("k{n}");
        let draft = || job("a.job").queue(&key).unique(&key).scope(release, Conflict::Existing);
        let (old, _) = h.bring(draft(), State::Discarded).await;
        h.pass(HOUR);
        let new = h.put(draft()).await;
        assert_eq!(h.control(old, Action::Retry).await, Controlled::Duplicate(new), "{release:?}");
        h.control(new, Action::Cancel).await;
        assert_eq!(h.control(old, Action::Retry).await, Controlled::Done(State::Available));
        assert_eq!(h.offer(draft()).await, Enqueued::Existing(old), "it holds the key again");
    }
}

pub(super) async fn a_redrive_within_its_own_time(h: &Harness) {
    let id = h.put(for_an_hour(1)).await;
    h.done(&h.take("q").await, discard()).await;
    assert_eq!(h.offer(for_an_hour(2)).await, Enqueued::Existing(id));
    assert_eq!(h.control(id, Action::Retry).await, Controlled::Done(State::Available));
    assert_eq!(h.offer(for_an_hour(2)).await, Enqueued::Existing(id));
    h.pass(HOUR - 1);
    h.done(&h.take("q").await, discard()).await;
    assert_eq!(h.offer(for_an_hour(3)).await, Enqueued::Existing(id));
    h.pass(1);
    let next = h.put(for_an_hour(3)).await;
    assert_eq!(h.control(id, Action::Retry).await, Controlled::Duplicate(next));
}

pub(super) async fn a_redriven_job_was_called_off_with_its_time(h: &Harness) {
    for action in [Action::Cancel, Action::Discard] {
        let id = h.put(for_an_hour(1)).await;
        h.control(id, action).await;
        h.control(id, Action::Retry).await;
        h.done(&h.take("q").await, success(0)).await;
        assert_eq!(h.offer(for_an_hour(2)).await, Enqueued::Created, "after {action:?}");
        h.done(&h.take("q").await, cancel()).await;
    }
}

pub(super) async fn a_redriven_job_is_put_off_no_longer_than_its_limit(h: &Harness) {
    let id = h.put(debounced(1, Some(20_000))).await;
    h.control(id, Action::Cancel).await;
    h.control(id, Action::Retry).await;
    assert_eq!(h.offer(debounced(2, Some(20_000))).await, Enqueued::Replaced(id));
    assert_eq!(h.take("q").await.id, id, "it is wanted now");
}

/// Ends each job in every way there is, and takes its key again.
pub(super) async fn no_end_leaks_a_key_of_any_scope(h: &Harness) {
    let scopes = [Release::Finished, Release::Started, Release::Waiting, Release::After(1_000)];
    for (n, release) in scopes.into_iter().enumerate() {
        let queue = format!("q{n}");
        let draft = || job("a.job").queue(&queue).unique("k").scope(release, Conflict::Replace);
        for end in 0..9 {
            let id = h.put(draft()).await;
            match end {
                0 => drop(h.control(id, Action::Cancel).await),
                1 => drop(h.control(id, Action::Discard).await),
                2 => drop(h.backend.steer(&queue, Steer::Purge(10)).await.unwrap()),
                3 => h.done(&h.take(&queue).await, success(0)).await,
                4 => h.done(&h.take(&queue).await, success(1)).await,
                5 => h.done(&h.take(&queue).await, discard()).await,
                6 => h.done(&h.take(&queue).await, cancel()).await,
                7 => crash(h, id, &queue).await,
                _ => {
                    let held = h.take(&queue).await;
                    h.control(id, Action::Cancel).await;
                    h.done(&held, retry(0)).await;
                    h.promote().await;
                    assert!(h.lease(&queue, 9).await.is_empty());
                }
            }
            h.pass(1_000);
            h.backend.prune(1_000).await.unwrap();
        }
        let last = h.put(draft()).await;
        h.control(last, Action::Cancel).await;
    }
}

async fn crash(h: &Harness, id: JobId, queue: &str) {
    for _ in 0..3 {
        assert_eq!(h.take(queue).await.id, id);
        h.lose().await;
    }
    h.is(id, State::Discarded).await;
}

/// Enqueues and leases from two connections at once: the payload of every enqueue that was
/// answered is run, or one that is newer.
pub(super) async fn a_replacement_races_a_lease(h: &Harness) {
    let enqueue = async {
        for n in 1..=60 {
            let answer = h.offer(keep_last(n)).await;
            assert!(matches!(answer, Enqueued::Created | Enqueued::Replaced(_)), "{answer:?}");
        }
    };
    let request =
        LeaseRequest { worker: "w".into(), queues: vec![("q".into(), 2)], most: 2, alone: true, ttl_ms: TTL };
    let run = async {
        let mut seen = 0;
        while seen < 60 {
            for batch in h.other.lease(&request).await.unwrap().batches {
                assert_eq!(batch.jobs.len(), 1, "one at a time");
                let record = String::from_utf8(batch.jobs[0].record.clone()).unwrap();
                let n: u32 = record.rsplit('\n').next().unwrap().parse().unwrap();
                assert!(n > seen, "{n} after {seen}: an older payload");
                seen = n;
                let outcome = success(0);
                let settle = Settle { token: batch.token, id: batch.jobs[0].id, outcome, keyed: true };
                h.other.settle(&[settle]).await.unwrap();
            }
            tokio::task::yield_now().await;
        }
    };
    let both = async { tokio::join!(enqueue, run) };
    tokio::time::timeout(std::time::Duration::from_secs(60), both).await.expect("the newest payload is run");
    assert!(h.lease("q", 9).await.is_empty());
}

pub(super) async fn many_holders_end_in_one_settle(h: &Harness) {
    let draft = |n: u32| {
        let release = if n == 5 { Release::Started } else { Release::Finished };
        job("a.job").unique(&format!("k{n}")).scope(release, Conflict::Existing).payload(n)
    };
    for keep in [0, HOUR] {
        let ids = h.put_all((0..6).map(draft)).await;
        let held = h.lease("q", 6).await;
        // Its key was given up at its start, and is another's when it ends.
        let heir = h.put(draft(5)).await;
        let all: Vec<_> = held.iter().map(|one| one.settle(success(keep))).collect();
        for _ in 0..2 {
            assert_eq!(h.backend.settle(&all).await.unwrap(), vec![Settled::Done; 6]);
        }
        let next = h.put_all((0..5).map(draft)).await;
        assert_eq!(h.offer(draft(5)).await, Enqueued::Existing(heir));
        h.check().await;
        if keep == 0 {
            h.gone(ids[0]).await;
        } else {
            h.are(&ids, &[State::Succeeded; 6]).await;
            assert_eq!(h.control(ids[0], Action::Redrive).await, Controlled::Duplicate(next[0]));
        }
        for one in h.lease("q", 6).await {
            h.done(&one, success(0)).await;
        }
        if keep > 0 {
            assert_eq!(h.control(ids[0], Action::Redrive).await, Controlled::Done(State::Available));
            assert_eq!(h.offer(draft(0)).await, Enqueued::Existing(ids[0]));
        }
    }
}
