//! The span of an attempt, in a process of its own: who listens to spans does so for all.

use legwork::middleware::TraceParent;
use legwork::{Backoff, Client, Context, Failure, Job, Policy, Worker};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Serialize, Deserialize)]
struct Again;

impl Job for Again {
    const NAME: &'static str = "again";
    type Output = ();
    fn policy() -> Policy {
        Policy::default().backoff(Backoff::fixed(Duration::from_millis(5)))
    }
}

async fn again(_: Again, cx: Context) -> Result<(), Failure> {
    if cx.attempt() == 1 { Err(Failure::retry("not yet")) } else { Ok(()) }
}

/// Remembers the fields of every span `job`.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<BTreeMap<u64, BTreeMap<String, String>>>>);

struct Fields<'a>(&'a mut BTreeMap<String, String>);

impl tracing::field::Visit for Fields<'_> {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name().into(), format!("{value:?}").trim_matches('"').into());
    }
}

impl tracing::Subscriber for Spans {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        let mut all = self.0.lock().unwrap();
        let id = all.len() as u64 + 1;
        let mut fields = BTreeMap::from([("span".into(), span.metadata().name().into())]);
        span.record(&mut Fields(&mut fields));
        all.insert(id, fields);
        tracing::span::Id::from_u64(id)
    }
    fn record(&self, id: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        if let Some(fields) = self.0.lock().unwrap().get_mut(&id.into_u64()) {
            values.record(&mut Fields(fields));
        }
    }
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn the_span_of_an_attempt_says_its_trace() {
    let spans = Spans::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tracing::subscriber::set_global_default(spans.clone()).unwrap();
    let (root, id) = runtime.block_on(async {
        let jobs = Client::connect("sqlite::memory:").await.unwrap();
        let root = TraceParent::root();
        let id = jobs.enqueue(Again).trace(root).await.unwrap().id;
        let worker = Worker::new(jobs.clone(), ()).handle(again).start().await.unwrap();
        jobs.wait::<Again>(id).await.unwrap();
        worker.stop().await;
        (root, id)
    });
    let all = spans.0.lock().unwrap();
    let attempts: Vec<_> = all.values().filter(|s| s["span"] == "job").collect();
    assert_eq!(attempts.len(), 2, "{all:?}");
    for span in &attempts {
        assert_eq!((&span["id"], &span["trace_id"]), (&id.to_string(), &root.trace_id()));
    }
    assert_eq!((attempts[0].get("parent"), attempts[0].get("link")), (Some(&root.span_id()), None));
    assert_eq!((attempts[1].get("parent"), attempts[1].get("link")), (None, Some(&root.span_id())));
}
