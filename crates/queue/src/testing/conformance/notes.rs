//! Steps and cursors: what a handler remembers from one attempt to the next.

use super::super::harness::*;
use crate::backend::*;
use crate::{JobId, State};

fn step(name: &str, value: &str) -> Note {
    Note::Step { name: name.into(), value: value.into() }
}

async fn say(h: &Harness, held: &Held, note: Note) {
    assert_eq!(h.backend.note(held.token, held.id, &note).await.unwrap(), Settled::Done, "{note:?}");
}

/// The steps of a job as `name=value`, and its cursor.
async fn told(h: &Harness, id: JobId) -> (Vec<String>, Option<String>) {
    let view = h.view(id).await;
    let steps = view.steps.iter().map(|s| format!("{}={}", s.name, s.value.get())).collect();
    (steps, view.cursor.map(|c| c.get().to_owned()))
}

pub(super) async fn steps_stay_in_order_and_the_first_of_a_name_wins(h: &Harness) {
    let (id, held) = h.bring(job("a.job"), State::Leased).await;
    let held = held.unwrap();
    assert_eq!(told(h, id).await, (vec![], None));
    for (name, value) in [("b", "1"), ("a", "{\"x\":[2]}"), ("b", "3"), ("ab", "null")] {
        say(h, &held, step(name, value)).await;
    }
    say(h, &held, Note::Cursor("7".into())).await;
    say(h, &held, Note::Cursor("{\"page\":8}".into())).await;
    let all = vec!["b=1".into(), "a={\"x\":[2]}".into(), "ab=null".into()];
    assert_eq!(told(h, id).await, (all, Some("{\"page\":8}".into())));
    h.done(&held, success(0)).await;
}

pub(super) async fn a_step_under_a_lost_lease_is_stale(h: &Harness) {
    let (id, held) = h.bring(job("a.job"), State::Leased).await;
    let held = held.unwrap();
    say(h, &held, step("one", "1")).await;
    h.lose().await;
    let next = h.take("q").await;
    for note in [step("two", "2"), Note::Cursor("2".into()), progress("2"), Note::CancelSeen] {
        assert_eq!(h.backend.note(held.token, id, &note).await.unwrap(), Settled::Stale, "{note:?}");
    }
    assert_eq!(told(h, id).await, (vec!["one=1".into()], None));
    say(h, &next, step("two", "2")).await;
    assert_eq!(told(h, id).await.0, ["one=1", "two=2"]);
}

pub(super) async fn steps_and_cursor_outlive_the_attempt(h: &Harness) {
    let id = h.put(job("a.job").serial("s").unique("u")).await;
    let again = [retry(0), snooze(0), Outcome::HandBack, crash(), Outcome::Park];
    for (n, outcome) in again.into_iter().enumerate() {
        let held = h.take("q").await;
        assert_eq!(told(h, id).await.0.len(), n);
        say(h, &held, step(&format!("step {n}"), "true")).await;
        say(h, &held, Note::Cursor(n.to_string())).await;
        h.done(&held, outcome).await;
        assert_eq!((told(h, id).await.0.len(), told(h, id).await.1), (n + 1, Some(n.to_string())));
        h.promote().await;
    }
    h.control(id, Action::Retry).await;
    h.take("q").await;
    h.lose().await;
    assert_eq!(told(h, id).await.0.len(), 5, "after a lost worker");
}

pub(super) async fn steps_go_when_the_job_succeeds(h: &Harness) {
    for keep in [0, 60_000] {
        let ids = h.put_all([job("a.job"), job("a.job")]).await;
        let held = h.lease("q", 2).await;
        say(h, &held[0], step("one", "1")).await;
        say(h, &held[0], Note::Cursor("1".into())).await;
        let items: Vec<_> = held.iter().map(|held| held.settle(success(keep))).collect();
        assert_eq!(h.backend.settle(&items).await.unwrap(), [Settled::Done; 2]);
        if keep > 0 {
            assert_eq!(told(h, ids[0]).await, (vec![], None));
            h.control(ids[0], Action::Retry).await;
            assert_eq!(told(h, ids[0]).await, (vec![], None), "it begins anew");
        }
    }
}

pub(super) async fn what_did_not_succeed_is_redriven_with_its_steps(h: &Harness) {
    for end in [discard(), cancel()] {
        let (id, held) = h.bring(job("a.job"), State::Leased).await;
        say(h, held.as_ref().unwrap(), step("one", "1")).await;
        say(h, held.as_ref().unwrap(), Note::Cursor("[5]".into())).await;
        h.done(&held.unwrap(), end).await;
        let expected = (vec!["one=1".to_owned()], Some("[5]".to_owned()));
        assert_eq!(told(h, id).await, expected);
        h.control(id, Action::Retry).await;
        assert_eq!(told(h, id).await, expected);
        let held = h.take("q").await;
        say(h, &held, step("one", "2")).await;
        say(h, &held, step("two", "2")).await;
        assert_eq!(told(h, id).await.0, ["one=1", "two=2"]);
        h.done(&held, success(0)).await;
        h.gone(id).await;
    }
}

pub(super) async fn names_and_values_of_any_content(h: &Harness) {
    let (id, held) = h.bring(job("a.job"), State::Leased).await;
    let held = held.unwrap();
    let names = ["", " ", "a b", "\"", "a\nb", "%d+", "\u{0}", "é", "a\" 1", "\\"];
    let values = ["\"\\n\"", "[1,\n2]", "\"\\u0000 é\"", "{\"\\n\":{}}"];
    for (n, name) in names.iter().enumerate() {
        say(h, &held, step(name, values[n % values.len()])).await;
        say(h, &held, step(name, "0")).await;
    }
    let steps = h.view(id).await.steps;
    let found: Vec<&str> = steps.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(found, names);
    for (n, step) in steps.iter().enumerate() {
        let is: serde_json::Value = serde_json::from_str(step.value.get()).unwrap();
        assert_eq!(is, serde_json::from_str::<serde_json::Value>(values[n % values.len()]).unwrap());
    }
}

pub(super) async fn steps_have_a_limit(h: &Harness) {
    let (id, held) = h.bring(job("a.job"), State::Leased).await;
    let held = held.unwrap();
    let large = format!("\"{}\"", "x".repeat(MAX_STEPS / 2));
    say(h, &held, step("one", &large)).await;
    for note in [step("two", &large), Note::Cursor(large.clone())] {
        let line = h.backend.note(held.token, id, &note).await.unwrap_err();
        assert!(line.is_invalid() && line.to_string().starts_with("steps: 262"), "{line}");
    }
    assert_eq!((told(h, id).await.0.len(), told(h, id).await.1), (1, None));
    say(h, &held, step("three", "3")).await;
    say(h, &held, step("one", &large)).await;
    h.done(&held, retry(0)).await;
    assert_eq!(told(h, id).await.0.len(), 2);
}

pub(super) async fn steps_go_with_what_is_purged(h: &Harness) {
    let (id, held) = h.bring(job("a.job").chosen(JobId::new()), State::Leased).await;
    say(h, held.as_ref().unwrap(), step("one", "1")).await;
    say(h, held.as_ref().unwrap(), Note::Cursor("1".into())).await;
    h.done(&held.unwrap(), snooze(5_000)).await;
    while h.backend.steer("q", Steer::Purge(10)).await.unwrap() > 0 {}
    h.gone(id).await;
    h.put(job("a.job").chosen(id)).await;
    assert_eq!(told(h, id).await, (vec![], None), "another job of that id begins anew");
}

pub(super) async fn a_list_shows_no_steps(h: &Harness) {
    let (id, held) = h.bring(job("a.job"), State::Leased).await;
    h.put(job("a.job")).await;
    say(h, held.as_ref().unwrap(), step("one", "1")).await;
    say(h, held.as_ref().unwrap(), Note::Cursor("1".into())).await;
    let filter = Filter { limit: 10, ..Filter::default() };
    for view in h.backend.list(&filter, 100).await.unwrap() {
        assert!(view.steps.is_empty() && view.cursor.is_none());
    }
    assert_eq!(told(h, id).await.0.len(), 1);
}
