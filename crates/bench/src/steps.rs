//! The pure steps of a job's way that every job pays for, each as a loop to be timed or counted.

use legwork::{Envelope, JobId};
use serde::{Deserialize, Serialize};
use std::hint::black_box;

#[derive(Serialize, Deserialize)]
struct Payload {
    n: u64,
    text: String,
}

/// A step, once per turn.
pub(crate) type Step = (&'static str, fn(usize));

/// In the order of a job's way.
pub(crate) const STEPS: &[Step] = &[
    ("payload to JSON", |turns| {
        let payload = payload();
        (0..turns).for_each(|_| drop(black_box(serde_json::to_string(black_box(&payload)))));
    }),
    ("id made", |turns| (0..turns).for_each(|_| _ = black_box(JobId::new()))),
    ("envelope made and encoded", |turns| {
        let text = text();
        (0..turns).for_each(|_| {
            let envelope = Envelope::new("bench.plain", black_box(&text));
            drop(black_box(envelope.map(|envelope| envelope.encode())));
        });
    }),
    ("envelope decoded", |turns| {
        let (id, record) = (JobId::new(), record());
        (0..turns).for_each(|_| drop(black_box(Envelope::decode(id, black_box(&record)))));
    }),
    ("payload from JSON", |turns| {
        let text = text();
        (0..turns).for_each(|_| drop(black_box(serde_json::from_str::<Payload>(black_box(&text)))));
    }),
];

fn payload() -> Payload {
    Payload { n: 1_234_567, text: "x".repeat(176) }
}

fn text() -> String {
    serde_json::to_string(&payload()).unwrap_or_default()
}

fn record() -> Vec<u8> {
    Envelope::new("bench.plain", &text()).map(|envelope| envelope.encode()).unwrap_or_default()
}
