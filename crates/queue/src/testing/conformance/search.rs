//! Finding jobs: by what has an index and by what has none, page by page, while they move.

use super::super::harness::*;
use crate::backend::*;
use crate::{JobId, State, fingerprint};
use std::collections::HashSet;

fn tagged(name: &str, tag: &str) -> Draft {
    let tag = tag.to_owned();
    job(name).with(|e| e.tags.push(tag))
}

fn meta(key: &str, value: &str) -> impl FnOnce(&mut crate::Envelope) {
    move |e| {
        e.meta.insert(key.into(), value.into());
    }
}

fn by_tag(tag: &str) -> Filter {
    Filter { tag: Some(tag.into()), ..Filter::default() }
}

fn by_meta(key: &str, value: Option<&str>) -> Filter {
    Filter { meta: Some((key.into(), value.map(Into::into))), ..Filter::default() }
}

fn by_error(error: &str) -> Filter {
    Filter { error: Some(fingerprint(error)), ..Filter::default() }
}

fn in_state(state: State) -> Filter {
    Filter { state: Some(state), ..Filter::default() }
}

fn failed(error: &str) -> Outcome {
    Outcome::Retry { wait_ms: 5_000, error: error.into() }
}

/// Every page of a filter, in order.
async fn pages(h: &Harness, filter: &Filter) -> Vec<Vec<JobId>> {
    let (mut filter, mut all) = (filter.clone(), Vec::new());
    loop {
        let page = h.backend.search(&filter).await.expect("search");
        assert!(page.jobs.len() <= filter.limit, "a page of {} for {filter:?}", page.jobs.len());
        all.push(page.jobs.iter().map(|job| job.id).collect());
        assert!(all.len() < 500, "the pages of {filter:?} come to an end");
        filter.cursor = page.cursor;
        if filter.cursor.is_none() {
            return all;
        }
    }
}

async fn found(h: &Harness, filter: &Filter) -> Vec<JobId> {
    let mut ids = pages(h, filter).await.concat();
    ids.sort();
    ids
}

async fn terms(h: &Harness) -> Vec<String> {
    h.backend.terms("", 1_000).await.expect("terms").into_iter().map(|term| term.term).collect()
}

pub(super) async fn every_source_is_paged(h: &Harness) {
    let mut all = Vec::new();
    for state in State::ALL {
        let mut ids = Vec::new();
        for n in 0..11 {
            let draft = tagged("a.job", "odd").queue(&format!("{state}-{}", n % 2));
            let (id, _) = h.bring(draft.with(meta("n", &n.to_string())), state).await;
            ids.push(id);
        }
        ids.sort();
        all.push((state, ids));
    }
    let mut everything: Vec<_> = all.iter().flat_map(|(_, ids)| ids.clone()).collect();
    everything.sort();
    for limit in [3, 50] {
        for (state, ids) in &all {
            let filter = Filter { limit, ..in_state(*state) };
            assert_eq!(found(h, &filter).await, *ids, "{state}, {limit} a page");
            let both = Filter { tag: Some("odd".into()), ..filter };
            assert_eq!(found(h, &both).await, *ids, "{state} and a tag, {limit} a page");
        }
        let by = Filter { limit, ..Filter::default() };
        let name = Filter { name: Some("a.job".into()), ..by.clone() };
        let ids = Filter { ids: everything.clone(), ..by.clone() };
        for filter in
            [by, name, ids, Filter { limit, ..by_tag("odd") }, Filter { limit, ..by_meta("n", None) }]
        {
            assert_eq!(found(h, &filter).await, everything, "{filter:?}");
        }
        assert_eq!(found(h, &Filter { limit, ..by_meta("n", Some("7")) }).await.len(), 8);
    }
}

pub(super) async fn jobs_are_found_by_tag_and_metadata(h: &Harness) {
    let both = h.put(tagged("a.job", "x").with(|e| e.tags.push("y".into())).with(meta("k", "v=1"))).await;
    let other = h.put(tagged("b.job", "y").with(meta("k", ""))).await;
    h.put(job("a.job")).await;
    for (filter, ids) in [
        (by_tag("x"), vec![both]),
        (by_tag("y"), vec![both, other]),
        (by_tag("z"), vec![]),
        (by_tag(""), vec![]),
        (by_meta("k", Some("v=1")), vec![both]),
        (by_meta("k", Some("")), vec![other]),
        (by_meta("k", None), vec![both, other]),
        (by_meta("", None), vec![]),
        (Filter { tag: Some("y".into()), ..by_meta("k", None) }, vec![both, other]),
        (Filter { tag: Some("x".into()), ..by_meta("k", None) }, vec![both]),
        (Filter { name: Some("b.job".into()), ..by_tag("y") }, vec![other]),
        (Filter { ids: vec![both, JobId::new()], ..by_tag("y") }, vec![both]),
    ] {
        assert_eq!(found(h, &filter).await, ids, "{filter:?}");
    }
    let odd = format!("{}\u{1f3c3} %d '\"\\", "x".repeat(40));
    let id = h.put(tagged("a.job", &odd).with(meta(&odd, &odd))).await;
    assert_eq!(found(h, &by_tag(&odd)).await, [id]);
    assert_eq!(found(h, &by_meta(&odd, Some(&odd))).await, [id]);
}

pub(super) async fn jobs_are_found_by_when_they_were_made(h: &Harness) {
    let made = |ms| move |e: &mut crate::Envelope| e.created_ms = Some(ms);
    let mut ids = Vec::new();
    for ms in [1_000, 2_000, 2_000, 3_000] {
        ids.push(h.put(tagged("a.job", "t").with(made(ms))).await);
    }
    for by in [Filter::default(), by_tag("t"), in_state(State::Available)] {
        for (since_ms, until_ms, wanted) in [
            (None, Some(2_000), &ids[..1]),
            (Some(2_000), None, &ids[1..]),
            (Some(2_000), Some(3_000), &ids[1..3]),
            (Some(3_001), None, &[][..]),
        ] {
            let filter = Filter { since_ms, until_ms, limit: 1, ..by.clone() };
            assert_eq!(found(h, &filter).await, wanted, "{filter:?}");
        }
    }
    let newest_first = pages(h, &by_tag("t")).await.concat();
    assert_eq!((newest_first[0], newest_first[3]), (ids[3], ids[0]));
}

pub(super) async fn jobs_are_found_by_their_newest_error(h: &Harness) {
    let id = h.put(job("a.job")).await;
    let plain = h.put(tagged("a.job", "b").queue("b")).await;
    assert_eq!(found(h, &by_error("run 7 is gone")).await, []);
    h.done(&h.take("q").await, failed("run 7 is gone")).await;
    h.done(&h.take("b").await, failed("run 12345 is gone")).await;
    assert_eq!(found(h, &by_error("run 9 is gone")).await, [id, plain]);
    assert_eq!(found(h, &Filter { tag: Some("b".into()), ..by_error("run 9 is gone") }).await, [plain]);
    h.pass(5_000);
    h.promote().await;
    h.done(&h.take("q").await, failed("the disk is full")).await;
    assert_eq!(found(h, &by_error("run 9 is gone")).await, [plain], "an older error does not count");
    assert_eq!(found(h, &by_error("the disk is full")).await, [id]);
    h.pass(5_000);
    h.promote().await;
    h.done(
        &h.take("q").await,
        Outcome::Discard { reason: "failed".into(), error: "no\nway".into(), keep_ms: 9 },
    )
    .await;
    assert_eq!(found(h, &by_error("no way")).await, [id]);
    assert_eq!(h.control(id, Action::Redrive).await, Controlled::Done(State::Available));
    assert_eq!(found(h, &by_error("no way")).await, [id], "history stays with a job that is put back");
    let held = h.take("b").await;
    h.lose().await;
    assert_eq!(found(h, &by_error(LOST)).await, [held.id]);
    let all = h.backend.terms("e:", 9).await.unwrap();
    let counts: Vec<_> =
        all.iter().filter(|t| t.term.starts_with("e:")).map(|t| (t.count, t.newest)).collect();
    assert!(counts.len() == 2 && counts.contains(&(1, id)) && counts.contains(&(1, plain)), "{all:?}");
}

pub(super) async fn a_replaced_job_is_found_by_what_it_is_now(h: &Harness) {
    let draft = |tag: &str| {
        let tags = if tag.is_empty() { vec![] } else { vec![tag.to_owned(), "all".into()] };
        job("a.job").unique("k").scope(Release::Finished, Conflict::Replace).with(|e| e.tags = tags)
    };
    let id = h.put(draft("one")).await;
    h.done(&h.take("q").await, failed("no")).await;
    for tag in ["two", "", "three"] {
        assert_eq!(h.offer(draft(tag)).await, Enqueued::Replaced(id));
        assert_eq!(found(h, &by_tag("one")).await, [], "{tag}");
        assert_eq!(found(h, &by_tag(if tag.is_empty() { "all" } else { tag })).await.len(), tag.len().min(1));
        assert_eq!(found(h, &by_error("no")).await, [id], "{tag}");
        h.check().await;
    }
    assert_eq!(terms(h).await, [format!("e:{}", fingerprint("no")), "g:all".into(), "g:three".into()]);
}

/// Also those of a flow, once it has been started whole; those of a draft that goes, never.
pub(super) async fn the_jobs_of_a_flow_are_found(h: &Harness) {
    let client = crate::Client::over(h.backend.clone(), crate::ClientOptions::default());
    let node = |n: usize| crate::Step::raw("a.job", "1").queue("q").tag("flow").meta("n", n.to_string());
    let started = client.start(crate::Flow::chain((0..4).map(node))).await.expect("start");
    let mut nodes = started.nodes;
    nodes.sort();
    assert_eq!(found(h, &by_tag("flow")).await, nodes);
    assert_eq!(found(h, &by_meta("n", None)).await, nodes);
    super::flows::run_all(h).await;
    assert_eq!(found(h, &by_tag("flow")).await, nodes);
    h.pass(30 * 86_400_000);
    while h.backend.prune(100).await.unwrap() > 0 {}
    super::flows::tend(h).await;
    assert_eq!(terms(h).await, Vec::<String>::new());
}

/// An entry that outlives its job finds what is not there, and fills the memory.
pub(super) async fn the_index_forgets_what_is_forgotten(h: &Harness) {
    let draft = |queue: &str| tagged("a.job", queue).queue(queue).with(meta("k", "v"));
    let many = h.put_all((0..5).map(|_| draft("gone"))).await;
    let held = h.lease("gone", 5).await;
    let items: Vec<_> = held.iter().map(|held| held.settle(success(0))).collect();
    assert_eq!(h.backend.settle(&items).await.unwrap(), [Settled::Done; 5]);
    h.gone(many[0]).await;
    assert_eq!(terms(h).await, Vec::<String>::new(), "succeeded, kept for no time");
    let mut leased = None;
    for state in State::ALL {
        leased = h.bring(draft(state.as_str()), state).await.1.or(leased);
        assert_eq!(found(h, &by_tag(state.as_str())).await.len(), 1, "{state}");
    }
    for state in State::ALL.into_iter().filter(|state| !state.is_final()) {
        while h.backend.purge(state.as_str(), 100).await.unwrap() > 0 {}
    }
    h.done(&leased.unwrap(), success(0)).await;
    let never = format!("e:{}", fingerprint("never"));
    assert_eq!(terms(h).await, ["d:k\0v", &never, "g:cancelled", "g:discarded", "g:succeeded"]);
    let (id, _) = h.bring(draft("again"), State::Discarded).await;
    assert_eq!(h.control(id, Action::Retry).await, Controlled::Done(State::Available));
    assert_eq!(found(h, &by_tag("again")).await, [id], "put back, and found as before");
    assert_eq!(h.control(id, Action::Cancel).await, Controlled::Done(State::Cancelled));
    h.check().await;
    h.pass(8 * 86_400_000);
    while h.backend.prune(100).await.unwrap() > 0 {}
    assert_eq!(terms(h).await, Vec::<String>::new(), "nothing is left");
}

/// Jobs that end together are more than a page, and others have ended before them.
pub(super) async fn jobs_that_finished_at_one_instant_are_paged(h: &Harness) {
    let mut all = Vec::new();
    for queue in ["q", "r", "q"] {
        all.extend(h.put_all((0..7).map(|_| job("a.job").queue(queue))).await);
        for held in h.lease(queue, 7).await {
            h.done(&held, success(60_000)).await;
        }
        h.pass(if queue == "r" { 1_000 } else { 0 });
    }
    all.sort();
    for limit in [1, 3, 7, 10, 14, 20] {
        let filter = Filter { limit, ..in_state(State::Succeeded) };
        assert_eq!(found(h, &filter).await, all, "{limit} a page");
    }
}

/// Ranges that shift while jobs move show one twice and pass another over.
pub(super) async fn a_search_passes_over_no_job_that_stays(h: &Harness) {
    let stays: HashSet<JobId> = h.put_all((0..40).map(|_| job("a.job"))).await.into_iter().skip(20).collect();
    let mut filter = Filter { limit: 3, ..in_state(State::Available) };
    let mut seen = HashSet::new();
    loop {
        let page = h.backend.search(&filter).await.unwrap();
        seen.extend(page.jobs.iter().map(|job| job.id));
        filter.cursor = page.cursor;
        if filter.cursor.is_none() {
            break;
        }
        // Some leave at the head, others come to the tail and to the head.
        let held = h.lease("q", 2).await;
        if held.iter().any(|held| stays.contains(&held.id)) {
            for held in &held {
                h.done(held, Outcome::HandBack).await;
            }
        }
        h.put_all((0..2).map(|_| job("a.job"))).await;
    }
    assert!(seen.is_superset(&stays), "{} of {} were found", seen.intersection(&stays).count(), stays.len());
}

/// Acting on a page takes its jobs out of the order in which the next one goes on.
pub(super) async fn a_search_goes_on_where_the_last_job_has_gone(h: &Harness) {
    for (state, action) in [(State::Discarded, Action::Redrive), (State::Retryable, Action::Hurry)] {
        let ids = h.put_all((0..23).map(|_| tagged("a.job", state.as_str()))).await;
        for held in h.lease("q", 100).await {
            let outcome = if state == State::Discarded { discard() } else { retry(5_000) };
            h.done(&held, outcome).await;
        }
        let mut filter = Filter { limit: 5, ..in_state(state) };
        let mut acted = Vec::new();
        loop {
            let page = h.backend.search(&filter).await.unwrap();
            for job in &page.jobs {
                acted.push(job.id);
                assert_eq!(h.control(job.id, action).await, Controlled::Done(State::Available));
            }
            filter.cursor = page.cursor;
            if filter.cursor.is_none() {
                break;
            }
        }
        acted.sort();
        let mut wanted = ids;
        wanted.sort();
        assert_eq!(acted, wanted, "each once, {state}");
        for held in h.lease("q", 100).await {
            h.done(&held, success(0)).await;
        }
    }
}

/// A page costs the same in a namespace of any size.
pub(super) async fn a_page_looks_at_a_bounded_number_of_jobs(h: &Harness) {
    for _ in 0..7 {
        h.put_all((0..1_000).map(|_| job("a.job"))).await;
    }
    let rare = h.put(job("b.job").queue("p")).await;
    for state in [None, Some(State::Available)] {
        let filter = Filter { name: Some("b.job".into()), state, ..Filter::default() };
        let pages = pages(h, &filter).await;
        assert!(pages.len() > 2, "{} pages", pages.len());
        assert_eq!(pages.concat(), [rare]);
    }
    let first = h.backend.search(&Filter { limit: 5_000, ..in_state(State::Available) }).await.unwrap();
    assert!(first.jobs.len() <= 1_000 && first.cursor.is_some());
}

pub(super) async fn a_wrong_search_is_refused(h: &Harness) {
    h.put_all((0..3).map(|_| tagged("a.job", "x"))).await;
    let page = h.backend.search(&Filter { limit: 1, ..by_tag("x") }).await.unwrap();
    assert!(page.cursor.is_some());
    let junk = || Some("junk".to_owned());
    for (filter, word) in [
        (Filter { limit: 0, ..Filter::default() }, "limit: "),
        (Filter { ids: vec![JobId::new(); 1_001], ..Filter::default() }, "ids: "),
        (Filter { cursor: junk(), ..Filter::default() }, "cursor: "),
        (Filter { cursor: Some(String::new()), ..Filter::default() }, "cursor: "),
        (Filter { cursor: page.cursor.clone(), ..by_tag("y") }, "cursor: "),
        (Filter { cursor: page.cursor.clone().map(|c| c + "0"), ..by_tag("x") }, "cursor: "),
    ] {
        let error = h.backend.search(&filter).await.unwrap_err();
        assert!(error.is_invalid() && error.to_string().starts_with(word), "{filter:?}: {error:?}");
    }
    // A cursor that was tampered with may lead anywhere, but it harms nothing.
    for end in ["", "00", "ff", "7b7d", "3a3a3a", "300000", "007c00"] {
        let cursor = page.cursor.as_ref().map(|cursor| cursor[..8].to_owned() + end);
        let _ = h.backend.search(&Filter { cursor, ..by_tag("x") }).await;
    }
}

pub(super) async fn a_retry_of_what_waits_is_none_of_what_has_finished(h: &Harness) {
    for state in State::ALL {
        let (id, _) = h.bring(job("a.job").queue(state.as_str()), state).await;
        let done = Controlled::Done(State::Available);
        let hurried = match state {
            State::Leased | State::Succeeded | State::Discarded | State::Cancelled => {
                Controlled::Refused(state)
            }
            _ => done,
        };
        assert_eq!(h.control(id, Action::Hurry).await, hurried, "{state}");
        let now = h.view(id).await.state;
        let again = if now.is_final() { done } else { Controlled::Refused(now) };
        assert_eq!(h.control(id, Action::Redrive).await, again, "{state}");
    }
    assert_eq!(h.control(JobId::new(), Action::Hurry).await, Controlled::Missing);
    assert_eq!(h.control(JobId::new(), Action::Redrive).await, Controlled::Missing);
}

pub(super) async fn terms_are_counted_in_order(h: &Harness) {
    h.put_all((0..3).map(|_| tagged("a.job", "b"))).await;
    let last = h.put(tagged("a.job", "a").with(|e| e.tags.push("b".into())).with(meta("k", "v"))).await;
    let term = |term: &str, count| Term { term: term.into(), count, newest: last };
    let all = [term("d:k\0v", 1), term("g:a", 1), term("g:b", 4)];
    assert_eq!(h.backend.terms("", 9).await.unwrap(), all);
    assert_eq!(h.backend.terms("g:", 1).await.unwrap(), all[1..2]);
    assert_eq!(h.backend.terms("g:b", 9).await.unwrap(), all[2..]);
    assert_eq!(h.backend.terms("", 0).await.unwrap(), []);
}
