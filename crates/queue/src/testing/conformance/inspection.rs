//! Reading: one job, pages of jobs, queues, workers; hostile and broken records.

use super::super::harness::*;
use super::keys::worker;
use crate::backend::*;
use crate::{JobId, State};

pub(super) async fn list_by_each_filter(h: &Harness) {
    let mut by_state = Vec::new();
    for state in State::ALL {
        let queue = if state.is_final() { "ended" } else { "open" };
        let name = if state == State::Available { "b.job" } else { "a.job" };
        let own = format!("x-{state}");
        let (id, _) = h.bring(job(name).queue(&own), state).await;
        let (other, _) = h.bring(job("c.job").queue(&format!("{queue}-{state}")), state).await;
        by_state.push((state, own, id, other));
    }
    let any = Filter { limit: 100, ..Filter::default() };
    assert_eq!(h.listed(any.clone()).await.len(), 16);
    for (state, own, id, other) in &by_state {
        let with_state = Filter { state: Some(*state), ..any.clone() };
        let mut both = vec![*id, *other];
        both.sort();
        assert_eq!(h.listed(with_state.clone()).await, both, "{state}");
        let in_queue = Filter { queue: Some(own.clone()), ..any.clone() };
        assert_eq!(h.listed(in_queue.clone()).await, [*id], "{own}");
        let all = Filter { state: Some(*state), name: Some("c.job".into()), ..in_queue };
        assert!(h.listed(all).await.is_empty());
        let named = Filter { name: Some("c.job".into()), ..with_state };
        assert_eq!(h.listed(named).await, [*other], "{state} c.job");
    }
    let named = Filter { name: Some("c.job".into()), ..any.clone() };
    assert_eq!(h.listed(named).await.len(), 8);
    let none = Filter { name: Some("c.jo".into()), ..any.clone() };
    assert!(h.listed(none).await.is_empty());
    let nowhere = Filter { queue: Some("nowhere".into()), ..any };
    assert!(h.listed(nowhere).await.is_empty());
}

pub(super) async fn a_page_has_at_most_its_limit(h: &Harness) {
    h.put_all((0..7).map(|_| job("a.job"))).await;
    h.put_all((0..7).map(|_| job("b.job").due(Due::In(1_000)))).await;
    for limit in [0, 1, 5, 14, 99] {
        for state in [None, Some(State::Available), Some(State::Scheduled)] {
            let all = if state.is_some() { 7 } else { 14 };
            let filter = Filter { limit, state, ..Filter::default() };
            assert_eq!(h.listed(filter).await.len(), limit.min(all), "{state:?}, at most {limit}");
        }
    }
    let filter = Filter { limit: 3, name: Some("b.job".into()), ..Filter::default() };
    let page = h.backend.search(&filter).await.unwrap().jobs;
    assert!(page.len() == 3 && page.iter().all(|v| v.envelope.name() == "b.job"));
}

pub(super) async fn a_list_shows_what_get_shows(h: &Harness) {
    for state in State::ALL {
        h.bring(job("a.job").queue(state.as_str()), state).await;
    }
    for view in h.backend.list(&Filter::default(), 100).await.unwrap() {
        let listed = format!("{:?}", Some(&view));
        assert_eq!(listed, h.shown(view.id).await);
    }
}

pub(super) async fn finished_jobs_are_listed_newest_first(h: &Harness) {
    let ids = h.put_all((0..3).map(|_| job("a.job"))).await;
    let held = h.lease("q", 3).await;
    for n in [1, 0, 2] {
        h.pass(10);
        h.done(&held[n], success(60_000)).await;
    }
    let filter = Filter { state: Some(State::Succeeded), limit: 2, ..Filter::default() };
    let page: Vec<_> = h.backend.list(&filter, 2).await.unwrap().iter().map(|v| v.id).collect();
    assert_eq!(page, [ids[2], ids[0]]);
}

pub(super) async fn queues_are_counted_by_state(h: &Harness) {
    assert!(h.backend.queues().await.unwrap().is_empty());
    for state in State::ALL {
        h.bring(job("a.job").queue("one"), state).await;
        if state == State::Available {
            h.done(&h.take("one").await, discard()).await;
        }
    }
    h.put_all((0..3).map(|_| job("a.job").queue("two"))).await;
    h.backend.pause("idle", Pause::Forever).await.unwrap();
    let mut names: Vec<_> = h.backend.queues().await.unwrap().into_iter().map(|q| q.name).collect();
    names.sort();
    assert_eq!(names, ["idle", "one", "two"]);
    let one = h.queue("one").await;
    let counts: Vec<u64> = State::ALL.iter().map(|s| one.count(*s)).collect();
    assert_eq!(counts, [1, 0, 1, 1, 1, 1, 2, 1]);
    assert_eq!((one.parked, one.processed, one.failed), (1, 1, 3));
    assert_eq!((one.paused, one.oldest_ms), (None, None));
    assert_eq!(h.queue("two").await.count(State::Available), 3);
}

pub(super) async fn a_queue_that_had_jobs_is_remembered(h: &Harness) {
    h.put(job("a.job")).await;
    h.done(&h.take("q").await, success(0)).await;
    let queue = h.queue("q").await;
    assert_eq!((queue.name.as_str(), queue.processed), ("q", 1));
}

pub(super) async fn the_oldest_available_job_is_known(h: &Harness) {
    let made = |ms| move |e: &mut crate::Envelope| e.created_ms = Some(ms);
    h.put(job("a.job").with(made(5_000))).await;
    h.put(job("a.job").with(made(7_000))).await;
    assert_eq!(h.queue("q").await.oldest_ms, Some(5_000));
    let held = h.take("q").await;
    assert_eq!(h.queue("q").await.oldest_ms, Some(7_000));
    h.done(&h.take("q").await, success(0)).await;
    assert_eq!(h.queue("q").await.oldest_ms, None);
    h.done(&held, Outcome::HandBack).await;
    assert_eq!(h.queue("q").await.oldest_ms, Some(5_000));
}

pub(super) async fn orders_hold_until_they_are_followed(h: &Harness) {
    let (mut first, second) = (worker("w1", &[]), worker("w2", &[]));
    let order = async |id: &str, order: Order| {
        let (name, value) = order.entry(id);
        h.other.put(Setting::Worker, &name, Some(&value)).await.unwrap();
    };
    let beat = async |worker: &WorkerView| h.backend.beat(worker).await.unwrap();
    assert!(beat(&first).await.is_empty() && beat(&second).await.is_empty());
    let smaller = Order::Resize { group: "é".into(), permits: 2 };
    order("w1", Order::Quiet).await;
    order("w1", smaller.clone()).await;
    for _ in 0..2 {
        assert_eq!(beat(&first).await, [Order::Quiet, smaller.clone()], "until it is so");
        assert!(beat(&second).await.is_empty(), "it is not meant");
    }
    first.state = WorkerState::Quiet;
    assert_eq!(beat(&first).await, [smaller], "one is followed");
    first.groups[0].permits = 2;
    assert!(beat(&first).await.is_empty());
    assert!(h.other.settings(Setting::Worker).await.unwrap().entries.is_empty(), "and over");
    // The last one holds, and one that came meanwhile is not taken for the one followed.
    order("w1", Order::Quiet).await;
    order("w1", Order::Resume).await;
    assert_eq!(beat(&first).await, [Order::Resume]);
    order("w1", Order::Stop).await;
    first.state = WorkerState::Running;
    assert_eq!(beat(&first).await, [Order::Stop]);
}

pub(super) async fn orders_go_with_their_worker(h: &Harness) {
    let order = async |id: &str| h.backend.put(Setting::Worker, id, Some("quiet")).await.unwrap();
    let left = async || h.other.settings(Setting::Worker).await.unwrap().entries.len();
    let first = worker("w1", &[]);
    h.backend.beat(&first).await.unwrap();
    order("w1").await;
    h.backend.beat(&WorkerView { leaving: true, ..first }).await.unwrap();
    assert_eq!(left().await, 0, "it has left");
    h.backend.beat(&worker("w2", &[])).await.unwrap();
    order("w2").await;
    h.backend.prune(10).await.unwrap();
    assert_eq!(left().await, 1, "it may yet come back");
    h.pass(3_600_001);
    h.backend.prune(10).await.unwrap();
    h.backend.prune(10).await.unwrap();
    assert_eq!(left().await, 0, "it has not been seen for an hour");
}

pub(super) async fn workers_are_seen_until_they_leave(h: &Harness) {
    let (mut first, second) = (worker("w1", &[("a.job", 2)]), worker("w'2\"", &[]));
    h.backend.beat(&first).await.unwrap();
    h.pass(1_000);
    h.other.beat(&second).await.unwrap();
    first.running = 7;
    h.pass(1_000);
    h.backend.beat(&first).await.unwrap();
    first.seen_ms = h.now();
    let second = WorkerView { seen_ms: h.now() - 1_000, ..second };
    let seen = async || {
        let mut all = h.other.workers().await.unwrap();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    };
    assert_eq!(seen().await, [second, first.clone()]);
    let gone = WorkerView { leaving: true, ..worker("w'2\"", &[]) };
    h.backend.beat(&gone).await.unwrap();
    assert_eq!(seen().await, [first]);
    h.backend.beat(&gone).await.unwrap();
    h.pass(3_599_000);
    assert_eq!(seen().await.len(), 1);
    h.pass(2_000);
    assert!(seen().await.is_empty(), "not seen within the last hour");
    h.backend.prune(100).await.unwrap();
    assert!(seen().await.is_empty());
}

pub(super) async fn a_job_that_is_not_there(h: &Harness) {
    assert!(h.backend.get(JobId::new(), false).await.unwrap().is_none());
    assert!(h.backend.get(JobId::from_bytes([0; 16]), false).await.unwrap().is_none());
    assert!(h.backend.get(JobId::from_bytes([255; 16]), false).await.unwrap().is_none());
}

/// Records that no decoder of today takes.
fn broken() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = [
        "",
        "\n",
        "*",
        "*{\"v\":1,\"n\":\"a.job\",\"u\":\"k\"}\n1",
        "junk",
        "{\"v\":1,\"n\":\"a.job\"}",
        "{\"v\":9,\"n\":\"a.job\"}\n1",
        "{\"v\":1,\"n\":\"A JOB\"}\n1",
        "{\"v\":1,\"n\":7}\n1",
        "{\"v\":1,\"n\":\"a.job\",\"u\":5,\"s\":[]}\n1",
        "[1,2]\n1",
        "null\nnull",
        "\"text\"\n1",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    all.push(vec![0, 255, 10, 0, 254, 1, 2]);
    all.push((0..=255).collect());
    all.push(b"[".repeat(5_000));
    all
}

pub(super) async fn a_broken_record_survives_every_verb(h: &Harness) {
    for bytes in broken() {
        for (outcome, state) in every_outcome() {
            let shown = format!("{} as {state}", String::from_utf8_lossy(&bytes[..bytes.len().min(40)]));
            let draft = || job("a.job").queue("default").record(&bytes);
            let id = h.put(draft()).await;
            let view = h.view(id).await;
            let Record::Broken { raw, .. } = &view.envelope else { panic!("{shown} was decoded") };
            assert!(bytes.len() > 4_096 || *raw == String::from_utf8_lossy(&bytes), "{shown}");
            let held = h.take("default").await;
            assert_eq!((held.id, &held.job.record), (id, &bytes), "{shown}");
            h.lose().await;
            let held = h.take("default").await;
            assert_eq!(held.job.record, bytes, "{shown}");
            h.backend.note(held.token, id, &progress("1")).await.unwrap();
            h.done(&held, outcome).await;
            h.is(id, state).await;
            if state != State::Available {
                let answer = h.control(id, Action::Retry).await;
                assert_eq!(answer, Controlled::Done(State::Available), "{shown}");
            }
            let held = h.take("default").await;
            assert_eq!((held.id, &held.job.record), (id, &bytes), "{shown}");
            h.done(
                &held,
                Outcome::Discard { reason: "undecodable".into(), error: "bad".into(), keep_ms: 9_000 },
            )
            .await;
            let view = h.view(id).await;
            assert_eq!(view.reason.as_deref(), Some("undecodable"));
            assert!(matches!(view.envelope, Record::Broken { .. }));
        }
    }
    h.check().await;
    h.pass(9_001);
    while h.backend.prune(50).await.unwrap() > 0 {}
    assert_eq!(h.queue("default").await.count(State::Discarded), 0);
}

pub(super) async fn a_broken_record_waits_and_is_purged(h: &Harness) {
    let n = broken().len();
    let drafts =
        |due: Due| broken().into_iter().map(move |b| job("a.job").queue("default").due(due).record(&b));
    h.put_all(drafts(Due::In(1_000))).await;
    h.pass(1_000);
    assert_eq!(h.promote().await.count, n);
    let listed = h.listed(Filter { limit: 99, name: Some("a.job".into()), ..Filter::default() }).await;
    assert!(listed.is_empty() || listed.len() == n, "a broken record has no name, or the one it came with");
    assert_eq!(h.backend.purge("default", 5).await.unwrap(), 5);
    while h.backend.purge("default", 5).await.unwrap() > 0 {}
    let ids = h.put_all(drafts(Due::In(60_000))).await;
    for id in ids {
        assert_eq!(h.control(id, Action::Cancel).await, Controlled::Done(State::Cancelled));
    }
    assert_eq!(h.queue("default").await.count(State::Cancelled), n as u64);
}

pub(super) async fn payloads_of_any_content_come_back_as_they_were(h: &Harness) {
    let large = format!("\"{}\"", "x".repeat(crate::MAX_PAYLOAD - 2));
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let payloads = [
        "null",
        "{\"\\u0000\":\"\\u0000\\u0001\\n\"}",
        "\"*{n}\\\\ %d '; -- 走る🏃\"",
        "[1.0, 1e400, 12345678901234567890123, -0]",
        " { \"spaces\" : [ ] } ",
        &deep,
        &large,
    ];
    for payload in payloads {
        let made = crate::Envelope::new("a.job", payload).expect("JSON");
        let id = h.put(job("a.job").with(|e| e.payload = made.payload)).await;
        let view = h.view(id).await;
        let stored = view.envelope.envelope().expect("decodes").payload.get().to_string();
        assert!(stored == payload.trim(), "{:.60} came back as {stored:.60}", payload);
        let held = h.take("q").await;
        let decoded = crate::Envelope::decode(id, &held.job.record).expect("decodes");
        assert!(decoded.payload.get() == payload.trim(), "{payload:.60}");
        let outcome = Outcome::Succeeded { result: Some(payload.trim().into()), keep_ms: 60_000 };
        h.done(&held, outcome).await;
        let view = h.view(id).await;
        assert!(view.result.expect("a result").get() == payload.trim(), "{payload:.60}");
        assert!(view.envelope.envelope().is_some(), "the record is whole beside its result");
    }
}

pub(super) async fn names_at_the_edge_of_their_grammar(h: &Harness) {
    let longest = format!("a{}", "._-".repeat(21));
    for queue in ["0", "a.b-c_d", "available", "succeeded", "q:1".replace(':', "-").as_str(), &longest] {
        let id = h.put(job(&longest).queue(queue).priority(0)).await;
        assert_eq!(h.queue(queue).await.count(State::Available), 1);
        let listed = Filter { queue: Some(queue.into()), name: Some(longest.clone()), ..Filter::default() };
        assert_eq!(h.listed(listed).await, [id]);
        assert_eq!(h.take(queue).await.id, id);
    }
}

pub(super) async fn an_audit_changes_nothing(h: &Harness) {
    for state in State::ALL {
        h.bring(job("a.job").queue(state.as_str()).unique(state.as_str()), state).await;
    }
    let filter = Filter::default();
    let look = async || {
        let mut seen: Vec<_> =
            h.backend.list(&filter, 100).await.unwrap().iter().map(|v| format!("{v:?}")).collect();
        seen.sort();
        (seen, format!("{:?}", h.backend.queues().await.unwrap()))
    };
    let before = look().await;
    assert_eq!(h.backend.audit().await.unwrap(), Vec::<String>::new());
    assert_eq!(look().await, before);
}
