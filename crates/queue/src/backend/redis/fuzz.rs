//! What reads the answers of a server, as functions of any bytes; see `testing/fuzz.rs`.

use super::node::Node;
use super::reply::Reader;
use super::shards::settings::{part_of, whole_of};
use super::{decode, encode, flow, inspect, limits, route, search};
use crate::JobId;
use crate::backend::{Entry, NewJob};
use crate::rules::QueueRules;
use crate::testing::harness::job;
use redis::Value;
use std::collections::HashMap;

/// An answer as it stands on the wire. Nothing says which call it answers, so all read it.
pub(crate) fn replies(data: &[u8]) -> bool {
    cut(data);
    let Ok(value) = redis::parse_redis_value(data) else { return false };
    let again = || value.clone();
    let view = decode::view(JobId::from_slice(&[7; 16]).expect("16 bytes"), again());
    if let Ok(Some(view)) = &view {
        assert!(serde_json::to_string(view).is_ok(), "what is read can be shown");
    }
    let via = Node::Tcp("localhost".into(), 6_379);
    let good = [
        decode::leased(again()).is_ok(),
        decode::reaped(again()).is_ok_and(|all| !all.is_empty()),
        view.is_ok_and(|view| view.is_some()),
        flow::head(again()).is_ok(),
        flow::node(again()).is_ok(),
        inspect::queue(again(), &HashMap::new()).is_ok(),
        limits::row(again()).is_ok(),
        search::named(again()).is_ok(),
        setting(again()),
        enqueued(again()),
        decode::list(again())
            .and_then(|ranges| route::holders(ranges, 7, &via))
            .is_ok_and(|(o, _)| o.is_some()),
    ];
    good.contains(&true)
}

/// What our reader takes for a reply is the same however it is cut, and what the driver reads.
fn cut(data: &[u8]) {
    let (mut whole, mut rest) = (Reader::default(), data);
    let Ok(Some(value)) = whole.next(&mut rest) else { return };
    let length = data.len() - rest.len();
    assert!(redis::parse_redis_value(&data[..length]).is_ok_and(|other| other == value), "{data:?}");
    let mut late = Reader::default();
    let mut first = &data[..length / 2];
    assert!(matches!(late.next(&mut first), Ok(None)), "half of {data:?}");
    let mut second = &data[length / 2 - first.len()..];
    assert!(matches!(late.next(&mut second), Ok(Some(other)) if other == value), "{data:?}");
}

fn setting(value: Value) -> bool {
    let mut parts = decode::list(value).unwrap_or_default().into_iter();
    let (Some(name), Some(value), Some(mark)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    decode::text(name).and_then(|name| inspect::entry(name, value, mark)).is_ok()
}

fn enqueued(value: Value) -> bool {
    let jobs: Vec<NewJob> = (0..3).map(|_| job("a.job").unique("a key").into_new()).collect();
    let answers = decode::bytes(value).and_then(|bytes| encode::Jobs::of(&jobs).answers(&bytes));
    answers.is_ok_and(|answers| answers.len() == jobs.len())
}

/// Rules of a queue: what each shard is told is put together as it was said.
pub(crate) fn rules(json: &str) {
    let said = Entry { name: "q".into(), value: json.into(), last_ms: 0, fired: false };
    // A field that is said twice makes it no rules of ours.
    if json.contains("whole") || serde_json::from_str::<QueueRules>(json).is_err() {
        return;
    }
    for shard in 0..3 {
        let part = Entry { value: part_of(json, shard, 3), ..said.clone() };
        assert_eq!(QueueRules::of(&whole_of(part)), QueueRules::of(&said), "of shard {shard}: {json}");
    }
}
