//! The library's decoders as plain functions that take any bytes: what reads records, answers
//! of Redis, URLs, expressions, rules and sealed payloads. `tests` throws a corpus and what is
//! made of it at them, `cargo fuzz` whatever it thinks of.
//!
//! Each function panics where a promise is broken: that nothing given makes a decoder panic,
//! that what was written is read back as it was, that what was changed does not open. It
//! answers whether the bytes were taken for good ones, so that a search knows what to keep.

use crate::backend::{Edge, Entry, Filter, FlowState, Record, ScheduleView, WorkerView};
use crate::limit::Book;
use crate::middleware::TraceParent;
use crate::{Envelope, JobId, Limit, QueueRules, Rate, State};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::fmt::{Debug, Display};
use std::str::FromStr;

/// A decoder under its name.
///
/// ```
/// let all = legwork::testing::fuzz::TARGETS;
/// let record = all.iter().find(|target| target.name == "record").unwrap();
/// assert!((record.run)(b"{\"n\":\"a.job\"}\n[1]"));
/// assert!(!(record.run)(b"junk"));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its directory in `fuzz/corpus`.
    pub name: &'static str,
    /// Reads these bytes; whether they were good. Panics where a promise is broken.
    pub run: fn(&[u8]) -> bool,
}

/// All of the library's.
pub const TARGETS: &[Target] = &[
    Target { name: "record", run: record },
    Target { name: "words", run: words },
    Target { name: "limits", run: limits },
    Target { name: "settings", run: settings },
    #[cfg(feature = "cron")]
    Target { name: "cron", run: cron },
    #[cfg(feature = "redis")]
    Target { name: "url", run: url },
    #[cfg(feature = "redis")]
    Target { name: "replies", run: crate::backend::redis::fuzz::replies },
    #[cfg(unix)]
    Target { name: "frames", run: crate::worker::fuzz_frames },
    #[cfg(all(feature = "compress", feature = "encrypt", feature = "sign"))]
    Target { name: "packed", run: packed },
];

/// Where every record comes from.
const ID: [u8; 16] = [1, 0x93, 0xa5, 0xb0, 0x7c, 0x1e, 0x7f, 0, 0x80, 0, 0xa, 0x1b, 0x2c, 0x3d, 0x4e, 0];

fn id() -> JobId {
    JobId::from_slice(&ID).expect("16 bytes")
}

fn text(data: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(data)
}

/// The first line, and all behind it.
fn split(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, b""),
    }
}

/// A record: what is decoded, encoded again, is the same.
fn record(data: &[u8]) -> bool {
    assert_eq!(Record::of(id(), data).envelope().is_some(), Envelope::decode(id(), data).is_ok());
    let Ok(one) = Envelope::decode(id(), data) else { return false };
    let bytes = one.encode();
    let two = Envelope::decode(id(), &bytes).expect("what was encoded is decoded");
    assert_eq!(format!("{one:?}"), format!("{two:?}"), "as it was");
    assert_eq!(bytes, two.encode(), "in the same bytes");
    serde_json::to_string(&one).expect("it can be shown");
    let _ = (one.governed(), one.keyed(), one.is_sealed(), one.made_ms(), one.scope.to_string());
    let _ = crate::envelope::nesting(one.payload.get());
    let found = |filter: Filter| (filter.term(), filter.key(), filter.only_term());
    for (key, value) in &one.meta {
        found(Filter { meta: Some((key.clone(), Some(value.clone()))), ..Filter::default() });
    }
    true
}

/// What is read is shown as it was read, whatever was left out.
fn reads<T: FromStr + Display + PartialEq + Debug>(text: &str) -> bool
where
    T::Err: Display,
{
    match text.parse::<T>() {
        Ok(one) => {
            let shown = one.to_string();
            let two = shown.parse::<T>().unwrap_or_else(|e| panic!("{shown:?} is not read: {e}"));
            assert_eq!(one, two, "{shown:?}");
            true
        }
        Err(e) => {
            let line = e.to_string();
            assert!(!line.is_empty() && !line.contains('\n'), "not one line: {line:?}");
            false
        }
    }
}

/// Single words: ids, states, cursors of a search, traces; and texts of errors.
fn words(data: &[u8]) -> bool {
    let text = text(data);
    let print = crate::fingerprint(&text);
    assert!(print.len() == 12 && print.bytes().all(|b| b.is_ascii_hexdigit()), "{print}");
    let _ = (crate::check_queue_name(&text), crate::name::check_key("key", &text));
    for backend in ["redis", "sqlite"] {
        let cursor = Filter::default().cursor(backend, data);
        let place = Filter { cursor: Some(cursor), ..Filter::default() }.place(backend);
        assert_eq!(place.expect("its own cursor").as_deref(), Some(data));
        let _ = Filter { cursor: Some(text.to_string()), ..Filter::default() }.place(backend);
    }
    #[cfg(any(feature = "encrypt", feature = "sign"))]
    let _ = crate::middleware::KeyRing::parse(&text);
    let known = [
        reads::<JobId>(&text),
        reads::<State>(&text),
        reads::<Edge>(&text),
        text.parse::<FlowState>().is_ok(),
        reads::<TraceParent>(&text),
    ];
    known.contains(&true)
}

/// A line with a rule, as people write it or as JSON, and below it a balance as it is stored.
fn limits(data: &[u8]) -> bool {
    let (rule, stored) = split(data);
    let (rule, stored) = (text(rule), text(stored));
    let written = reads::<Rate>(&rule);
    let mut limit = crate::limit::rule(&rule);
    if let Ok(rate) = rule.parse() {
        limit = limit.rate(rate);
    }
    if limit.check().is_err() {
        return false;
    }
    let json = serde_json::to_string(&limit).expect("a rule");
    assert_eq!(crate::limit::rule(&json), limit, "{json}");
    balance(&limit, &stored);
    let _ = crate::limit::check_address(&rule);
    written || !stored.is_empty()
}

/// A balance: finite, and never more than there is, whatever was stored.
fn balance(limit: &Limit, stored: &str) {
    use crate::backend::Budget;
    const NOW: i64 = 1_800_000_000_000;
    if let Some(mut book) = Book::open(limit, Some(stored), NOW) {
        let before = book.left();
        let _ = (book.when(1.0), book.when(1e6));
        book.spend(1.0);
        assert!(book.left() <= before, "spent: {before}, then {}", book.left());
    }
    let changes = [
        Budget::Told { remaining: 3, reset_ms: NOW + 9_000 },
        Budget::Told { remaining: 0, reset_ms: i64::MIN },
        Budget::Block { wait_ms: i64::MAX },
        Budget::Spend { extra: 7 },
    ];
    let mut kept = Some(stored.to_owned());
    for change in changes {
        kept = Book::change(limit, kept.as_deref(), NOW, change);
        let kept: Option<serde_json::Value> =
            kept.as_ref().map(|json| serde_json::from_str(json).expect("JSON"));
        assert!(kept.is_none_or(|kept| kept.is_object()));
    }
}

/// What is read as JSON is written and read as the same.
fn keeps<T: Serialize + DeserializeOwned>(json: &str) -> bool {
    let Ok(one) = serde_json::from_str::<T>(json) else { return false };
    let again = serde_json::to_string(&one).expect("it is written");
    let two: T = serde_json::from_str(&again).unwrap_or_else(|e| panic!("{again}: {e}"));
    assert_eq!(again, serde_json::to_string(&two).expect("it is written"));
    true
}

/// What stands in settings, as JSON: rules of queues, schedules, subscribers, workers.
fn settings(data: &[u8]) -> bool {
    let json = text(data);
    let entry = Entry { name: "a".into(), value: json.to_string(), last_ms: 7, fired: true };
    assert!(ScheduleView::of(&entry).is_none_or(|view| view.last_ms == 7));
    let _ = QueueRules::of(&entry);
    #[cfg(feature = "sqlite")]
    let _ = crate::limit::of_rules(&json);
    if let Some(subscriber) = crate::event::Subscriber::of(&entry) {
        let _ = (subscriber.hears("a.b.c"), subscriber.hears(""));
    }
    #[cfg(feature = "redis")]
    crate::backend::redis::fuzz::rules(&json);
    let known = [
        keeps::<QueueRules>(&json),
        keeps::<ScheduleView>(&json),
        keeps::<crate::event::Subscriber>(&json),
        keeps::<WorkerView>(&json),
        keeps::<Limit>(&json),
        keeps::<crate::Policy>(&json),
    ];
    known[1..].contains(&true)
}

/// Three lines: an expression, a zone, seconds since the epoch. The slots rise, and each is
/// the same wherever between it and the last the question is asked.
#[cfg(feature = "cron")]
fn cron(data: &[u8]) -> bool {
    use crate::cron::{DateTime, DstPolicy, Expression, OnGap, OnOverlap, Tz, Utc};
    let (expression, rest) = split(data);
    let (zone, at) = split(rest);
    let zone = crate::cron::parse_zone(&text(zone)).unwrap_or(Tz::Europe__Berlin);
    let expression = match Expression::parse(&text(expression)) {
        Ok(expression) => expression,
        Err(e) => {
            assert!(!e.to_string().contains('\n'), "not one line: {e}");
            return false;
        }
    };
    assert_eq!(Expression::parse(&expression.to_string()).as_ref(), Ok(&expression));
    let seconds = text(at).trim().parse().unwrap_or(1_800_000_000);
    let Some(mut last) = DateTime::<Utc>::from_timestamp(seconds, 0) else { return true };
    let policy = match at.len() % 2 {
        0 => DstPolicy::default(),
        _ => DstPolicy { on_gap: OnGap::Skip, on_overlap: OnOverlap::Both },
    };
    for _ in 0..3 {
        let Some(slot) = expression.next_after(last, zone, policy) else { break };
        assert!(slot > last, "{expression} in {zone}: {slot} after {last}");
        let between = last + (slot - last) / 2;
        assert_eq!(expression.next_after(between, zone, policy), Some(slot), "{expression} in {zone}");
        last = slot;
    }
    true
}

/// A URL. What may be a password is never shown.
#[cfg(feature = "redis")]
fn url(data: &[u8]) -> bool {
    const SECRET: &str = "hunter2hunter2";
    let url = text(data);
    // Files that it names are read: none but those that a corpus cannot know.
    if url.contains("/dev") || url.contains("/proc") {
        return false;
    }
    let found = crate::backend::redis::Redis::parse(&url);
    let shown = format!("{found:?}");
    let secret = url.matches(SECRET).count() == 1
        && (url.contains(&format!(":{SECRET}@"))
            || url.split_once('?').is_some_and(|(_, said)| said.contains("pass=")));
    assert!(found.is_err() || !secret || !shown.contains(SECRET), "a password is shown: {shown}");
    assert!(!shown.contains('\n'), "{shown}");
    found.is_ok()
}

/// A line of what a payload was packed with, words with blanks between, and the payload.
#[cfg(all(feature = "compress", feature = "encrypt", feature = "sign"))]
fn packed(data: &[u8]) -> bool {
    use crate::middleware::{Compress, KeyRing, Middleware, Sealed, Signed};
    let ring = KeyRing::new("k1", [7; 32]).and_then(|ring| ring.and("k2", [3; 32])).expect("a ring");
    let (words, payload) = split(data);
    let Ok(payload) = serde_json::from_slice(payload) else { return false };
    let mut job = Envelope::from_raw("a.job", payload);
    job.id = id();
    let plain = job.payload.get().to_owned();
    job.packed = text(words).split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    let all: [&dyn Middleware; 3] =
        [&Compress::above(16), &Sealed::whole(ring.clone()), &Signed::new(ring).require()];
    let mut opened = job.clone();
    let good = opened.packed.len() < 4 && all[..2].iter().rev().all(|one| one.open(&mut opened).is_ok());
    // And the way there and back.
    job.packed.clear();
    all.iter().for_each(|one| one.enqueue(&mut job).expect("packed"));
    let mut changed = job.clone();
    all.iter().rev().for_each(|one| one.open(&mut job).unwrap_or_else(|e| panic!("opened: {e}")));
    assert_eq!(job.payload.get(), plain, "as it was");
    assert!(job.packed.is_empty());
    let at = 1 + data.len() % (changed.payload.get().len() - 2);
    let mut bytes = changed.payload.get().as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    changed.payload = serde_json::from_slice(&bytes).expect("a string");
    assert!(all[2].open(&mut changed).is_err(), "a changed byte is noticed by its signature");
    assert!(all[1].open(&mut changed).is_err(), "and by its seal");
    good
}
