//! Events: everybody who has subscribed is told once, whoever comes and goes meanwhile.

use super::super::harness::*;
use super::flows::tend;
use crate::{Client, ClientOptions, JobId, State};

fn client(h: &Harness) -> Client {
    Client::over(h.backend.clone(), ClientOptions::default())
}

pub(super) async fn every_subscriber_is_told_and_nobody_else(h: &Harness) {
    let client = client(h);
    assert!(client.publish_raw("race.42", "{}").await.unwrap().jobs.is_empty(), "nobody yet");
    for (pattern, job) in [("race.42", "one"), ("race.*", "any"), ("#", "all"), ("race.43", "other")] {
        client.subscribe_raw(pattern, job, "q").await.unwrap();
    }
    // The same job and queue by another pattern: told once.
    client.subscribe_raw("race.#", "any", "q").await.unwrap();
    let published = client.publish_raw("race.42", "{\"run\":7}").await.unwrap();
    let mut names = Vec::new();
    for id in &published.jobs {
        let view = h.view(*id).await;
        assert_eq!(view.envelope.envelope().unwrap().payload.get(), "{\"run\":7}");
        names.push(view.envelope.name().to_owned());
    }
    names.sort();
    assert_eq!(names, ["all", "any", "one"]);
    assert_eq!(h.queue("q").await.count(State::Available), 3);
    assert!(client.unsubscribe("#", "all", "q").await.unwrap());
    assert_eq!(client.publish_raw("race.42", "{}").await.unwrap().jobs.len(), 2);
}

pub(super) async fn an_event_published_again_is_told_once(h: &Harness) {
    let client = client(h);
    client.subscribe_raw("a.b", "one", "q").await.unwrap();
    let id = JobId::new();
    let first = client.publish_raw("a.b", "{}").id(id).await.unwrap();
    client.subscribe_raw("a.*", "late", "q").await.unwrap();
    let again = client.publish_raw("a.b", "{}").id(id).await.unwrap();
    assert_eq!((first.jobs.len(), again.jobs.len()), (1, 2), "who came later is told of the second");
    assert_eq!(h.queue("q").await.count(State::Available), 2);
    let held = h.take("q").await;
    h.done(&held, success(60_000)).await;
    client.publish_raw("a.b", "{}").id(id).await.unwrap();
    assert_eq!(h.queue("q").await.count(State::Available), 1);
}

pub(super) async fn a_list_of_subscribers_that_has_changed_is_read_again(h: &Harness) {
    let (client, other) = (client(h), Client::over(h.other.clone(), ClientOptions::default()));
    client.subscribe_raw("a", "one", "q").await.unwrap();
    assert_eq!(client.publish_raw("a", "{}").await.unwrap().jobs.len(), 1);
    other.subscribe_raw("a", "two", "q").await.unwrap();
    assert_eq!(client.publish_raw("a", "{}").await.unwrap().jobs.len(), 2);
    other.unsubscribe("a", "one", "q").await.unwrap();
    assert_eq!(client.publish_raw("a", "{}").await.unwrap().jobs.len(), 1);
    other.unsubscribe("a", "two", "q").await.unwrap();
    assert!(client.publish_raw("a", "{}").await.unwrap().jobs.is_empty());
    other.subscribe_raw("a", "three", "q").await.unwrap();
    assert_eq!(client.publish_raw("a", "{}").await.unwrap().jobs.len(), 1);
    assert_eq!(h.queue("q").await.count(State::Available), 5);
}

pub(super) async fn publishing_races_subscribing(h: &Harness) {
    let (client, other) = (client(h), Client::over(h.other.clone(), ClientOptions::default()));
    let come = async {
        for n in 0..20 {
            other.subscribe_raw("a", &format!("job-{n}"), "q").await.unwrap();
        }
    };
    let publish = async {
        let mut told = Vec::new();
        for _ in 0..20 {
            told.push(client.publish_raw("a", "{}").await.unwrap().jobs.len());
        }
        told
    };
    let ((), told) = tokio::join!(come, publish);
    assert!(told.is_sorted(), "who has been told once is told ever after: {told:?}");
    let all = told.iter().sum::<usize>() as u64;
    assert_eq!(h.queue("q").await.count(State::Available), all);
    assert_eq!(client.publish_raw("a", "{}").await.unwrap().jobs.len(), 20);
}

pub(super) async fn many_subscribers_are_told_all_or_none(h: &Harness) {
    let client = client(h);
    for n in 0..620 {
        client.subscribe_raw("a.#", &format!("job-{n}"), "q").await.unwrap();
    }
    let id = JobId::new();
    for _ in 0..2 {
        let published = client.publish_raw("a.b", "{}").id(id).await.unwrap();
        assert_eq!(published.jobs.len(), 620);
        tend(h).await;
        assert_eq!(h.queue("q").await.count(State::Available), 620, "once, also when it is repeated");
    }
    assert!(client.unsubscribe("a.#", "job-0", "q").await.unwrap());
    assert_eq!(client.publish_raw("a.b", "{}").await.unwrap().jobs.len(), 619);
    tend(h).await;
    assert_eq!(h.queue("q").await.count(State::Available), 1_239);
    h.backend.purge("q", 2_000).await.unwrap();
    while h.backend.purge("q", 2_000).await.unwrap() > 0 {}
    assert_eq!(client.flows(9).await.unwrap().iter().filter(|flow| flow.finished_ms.is_some()).count(), 2);
}
