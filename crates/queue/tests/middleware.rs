//! What middlewares see and decide, and what packs payloads: on SQLite in memory, and on
//! Redis where there is a server.

#[macro_use]
#[path = "common/both.rs"]
mod both;

use legwork::backend::JobView;
use legwork::middleware::{
    Attempt, Compress, End, KeyRing, Middleware, Next, Run, Sealed, Signed, Unreadable,
};
use legwork::{
    Backoff, Client, Context, Envelope, Failure, Flow, Job, JobId, Policy, State, Unique, WaitError, Worker,
};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

on_both! {
    the_first_one_added_is_the_outermost
    a_refused_enqueue_stores_nothing
    a_panic_ends_an_attempt_and_not_the_worker
    every_attempt_is_told_with_its_outcome
    what_is_packed_is_opened_on_the_way_back
    a_replaced_payload_is_opened_under_the_id_it_came_to
    a_result_is_sealed_too
    fields_are_sealed_and_the_rest_is_not
    a_missing_key_parks_the_job_until_it_is_there
    a_payload_cannot_be_moved_to_another_job
    what_is_not_signed_or_was_changed_never_runs
    keys_and_ids_work_as_without
    the_largest_payload_counts_before_and_after
    a_secret_is_in_no_error
    a_flow_hands_on_sealed_results_also_when_it_is_run_again
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
struct Mail {
    to: String,
    token: String,
}

impl Job for Mail {
    const NAME: &'static str = "mail.send";
    type Output = String;
    fn policy() -> Policy {
        Policy::default().max_attempts(2u32).backoff(Backoff::fixed(Duration::from_millis(10)))
    }
    fn unique(&self) -> Option<Unique> {
        Some(self.to.clone().into())
    }
}

fn mail(to: &str) -> Mail {
    Mail { to: to.into(), token: "hunter2".into() }
}

async fn send(job: Mail, _: Context) -> Result<String, Failure> {
    Ok(format!("{} got {}", job.to, job.token))
}

fn ring(id: &str) -> KeyRing {
    KeyRing::new(id, [id.as_bytes()[1]; 32]).unwrap()
}

async fn seen(jobs: &Client, id: JobId, good: impl Fn(&JobView) -> bool) -> JobView {
    let started = Instant::now();
    loop {
        let job = jobs.job(id).await.unwrap().expect("the job is there");
        if good(&job) {
            return job;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "it stays {job:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn undecodable(jobs: &Client, id: JobId) -> String {
    let job = seen(jobs, id, |job| job.state.is_final()).await;
    assert_eq!((job.state, job.reason.as_deref()), (State::Discarded, Some("undecodable")), "{job:?}");
    job.errors.last().unwrap().error.clone()
}

fn payload(job: &JobView) -> &str {
    job.envelope.envelope().unwrap().payload.get()
}

type Log = Arc<Mutex<Vec<String>>>;

struct Told(&'static str, Log);

impl Told {
    fn tell(&self, what: &str) {
        self.1.lock().unwrap().push(format!("{} {what}", self.0));
    }
}

impl Middleware for Told {
    fn enqueue(&self, _: &mut Envelope) -> legwork::Result<()> {
        self.tell("enqueue");
        Ok(())
    }
    fn open(&self, _: &mut Envelope) -> Result<(), Unreadable> {
        self.tell("open");
        Ok(())
    }
    fn run<'a>(&'a self, job: &'a Attempt<'a>, next: Next<'a>) -> Run<'a> {
        Box::pin(async move {
            self.tell(&format!("begins {}", job.attempt));
            let ran = next.run().await;
            self.tell(if ran.is_ok() { "good" } else { "bad" });
            ran
        })
    }
}

async fn the_first_one_added_is_the_outermost(plain: Client) {
    let log = Log::default();
    let jobs = plain.with(Told("a", log.clone())).with(Told("b", log.clone()));
    let id = jobs.enqueue(mail("ada")).await.unwrap().id;
    let worker = Worker::new(jobs, ()).handle(send).with(Told("c", log.clone())).start().await.unwrap();
    plain.wait::<Mail>(id).await.unwrap();
    worker.stop().await;
    let told = log.lock().unwrap().join(", ");
    let expected = "a enqueue, b enqueue, c open, b open, a open, \
                    a begins 1, b begins 1, c begins 1, c good, b good, a good";
    assert_eq!(told, expected);
}

struct Moody(&'static str);

impl Middleware for Moody {
    fn enqueue(&self, job: &mut Envelope) -> legwork::Result<()> {
        match self.0 {
            "refuse" => return "x".parse::<JobId>().map(drop),
            "panic" => panic!("no mood"),
            "id" => job.id = JobId::new(),
            "name" => job.name = "other".into(),
            "queue" => job.queue = "no such queue!".into(),
            _ => {}
        }
        Ok(())
    }
    fn open(&self, _: &mut Envelope) -> Result<(), Unreadable> {
        assert_ne!(self.0, "panic at open");
        Ok(())
    }
    fn run<'a>(&'a self, _: &'a Attempt<'a>, next: Next<'a>) -> Run<'a> {
        assert_ne!(self.0, "panic at run");
        next.run()
    }
}

async fn a_refused_enqueue_stores_nothing(plain: Client) {
    for (mood, said) in [
        ("refuse", "is not"),
        ("panic", "middleware, at the enqueue of mail.send: panicked: no mood"),
        ("id", "the id and name of mail.send must stay"),
        ("name", "the id and name of mail.send must stay"),
        ("queue", "no such queue!"),
    ] {
        let jobs = plain.with(Moody(mood));
        let error = jobs.enqueue(mail("ada")).await.unwrap_err().to_string();
        assert!(error.contains(said), "{mood}: {error}");
        assert!(jobs.enqueue_many([mail("ada")]).await.is_err());
    }
    assert!(plain.queues().await.unwrap().iter().all(|q| q.counts.values().all(|n| *n == 0)));
}

async fn a_panic_ends_an_attempt_and_not_the_worker(plain: Client) {
    for mood in ["panic at open", "panic at run"] {
        let id = plain.enqueue(mail(mood)).await.unwrap().id;
        let worker = Worker::new(plain.with(Moody(mood)), ()).handle(send).start().await.unwrap();
        let job = seen(&plain, id, |job| job.state.is_final()).await;
        assert_eq!((job.reason.as_deref(), job.attempts), (Some("exhausted"), 2), "{mood}");
        assert!(job.errors.iter().all(|e| e.error.starts_with("panicked: ")), "{job:?}");
        assert!(worker.is_ready());
        worker.stop().await;
    }
}

#[derive(Clone, Default)]
struct Ends(Log);

impl Middleware for Ends {
    fn ended(&self, job: &Attempt<'_>, end: &End) {
        assert!(end.took < Duration::from_secs(20));
        self.0.lock().unwrap().push(format!("{} {} {}", job.envelope.name, job.attempt, end.outcome));
        assert_ne!(job.attempt, 2, "a panic here changes nothing");
    }
}

async fn every_attempt_is_told_with_its_outcome(plain: Client) {
    let ends = Ends::default();
    let fails = |_: Mail, _: Context| async { Err::<String, _>(Failure::retry("not yet")) };
    let worker = Worker::new(plain.with(ends.clone()), ()).handle(fails).start().await.unwrap();
    let id = plain.enqueue(mail("ada")).await.unwrap().id;
    seen(&plain, id, |job| job.state == State::Discarded).await;
    worker.stop().await;
    let worker = Worker::new(plain.clone(), ()).handle(send).with(ends.clone()).start().await.unwrap();
    let id = plain.enqueue(mail("bob")).await.unwrap().id;
    plain.wait::<Mail>(id).await.unwrap();
    worker.stop().await;
    let told = ends.0.lock().unwrap().clone();
    assert_eq!(told, ["mail.send 1 retryable", "mail.send 2 discarded", "mail.send 1 succeeded"]);
}

fn all(plain: &Client) -> Client {
    let sealed = Sealed::whole(ring("k1")).require();
    plain.with(Compress::above(64)).with(sealed).with(Signed::new(ring("s1")).require())
}

async fn what_is_packed_is_opened_on_the_way_back(plain: Client) {
    let jobs = all(&plain);
    let long = mail(&"ada ".repeat(1_000));
    let id = jobs.enqueue(long.clone()).unique("k").await.unwrap().id;
    let stored = plain.job(id).await.unwrap().unwrap();
    let envelope = stored.envelope.envelope().unwrap();
    assert_eq!(envelope.packed, ["lz4", "sealed:k1"]);
    assert!(envelope.signature.as_ref().unwrap().starts_with("s1:"));
    assert!(payload(&stored).len() < 400, "{}", payload(&stored).len());
    let shown = jobs.job(id).await.unwrap().unwrap();
    assert_eq!(serde_json::from_str::<Mail>(payload(&shown)).unwrap(), long);
    let filter = legwork::backend::Filter { limit: 9, ..Default::default() };
    assert_eq!(payload(&jobs.jobs(&filter).await.unwrap()[0]), payload(&shown));
    let worker = Worker::new(jobs.clone(), ()).handle(send).start().await.unwrap();
    assert!(jobs.wait::<Mail>(id).await.unwrap().ends_with("got hunter2"));
    worker.stop().await;
}

async fn a_replaced_payload_is_opened_under_the_id_it_came_to(plain: Client) {
    let jobs = all(&plain);
    let by = || Unique::key("inbox").keep_last();
    let id = jobs.enqueue(mail("ada")).unique(by()).await.unwrap().id;
    let newer = jobs.enqueue(mail("bob")).unique(by()).await.unwrap();
    assert!(newer.replaced && newer.id == id);
    let worker = Worker::new(jobs.clone(), ()).handle(send).start().await.unwrap();
    assert_eq!(jobs.wait::<Mail>(id).await.unwrap(), "bob got hunter2");
    worker.stop().await;
}

async fn a_result_is_sealed_too(plain: Client) {
    let jobs = plain.with(Sealed::whole(ring("k1")));
    let id = jobs.enqueue(mail("ada")).await.unwrap().id;
    let worker = Worker::new(jobs.clone(), ()).handle(send).start().await.unwrap();
    assert_eq!(jobs.wait::<Mail>(id).await.unwrap(), "ada got hunter2");
    let stored = plain.wait_raw(id).await.unwrap();
    assert!(stored.result.as_ref().unwrap().get().starts_with("{\"$sealed\":\"k1:"), "{stored:?}");
    assert!(!format!("{stored:?}").contains("hunter2"));
    for (client, said) in [
        (plain.clone(), "result of mail.send: sealed, and there is no key here"),
        (
            plain.with(Sealed::whole(ring("k2"))),
            "sealed with the key \"k1\", which is not in this KeyRing[\"k2\"]",
        ),
        (
            plain.with(Sealed::whole(KeyRing::new("k1", [9; 32]).unwrap())),
            "was changed, or belongs to another job",
        ),
    ] {
        let error = client.wait::<Mail>(id).await.unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    worker.stop().await;
    let open = plain.with(Sealed::whole(ring("k1")).results(false));
    let worker = Worker::new(open, ()).handle(send).start().await.unwrap();
    let id = jobs.enqueue(mail("bob")).await.unwrap().id;
    assert_eq!(plain.wait::<Mail>(id).await.unwrap(), "bob got hunter2");
    worker.stop().await;
}

async fn fields_are_sealed_and_the_rest_is_not(plain: Client) {
    let jobs = plain.with(Sealed::fields(ring("k1"), &["token", "not.there"]).unwrap());
    let id = jobs.enqueue(mail("ada")).await.unwrap().id;
    let stored = plain.job(id).await.unwrap().unwrap();
    assert!(payload(&stored).starts_with(r#"{"to":"ada","token":{"$sealed":""#), "{stored:?}");
    assert_eq!(payload(&jobs.job(id).await.unwrap().unwrap()), r#"{"to":"ada","token":"hunter2"}"#);
    // Another version of the program seals other fields, or all: what travels says which.
    let other = plain.with(Sealed::whole(ring("k2").and("k1", [b'1'; 32]).unwrap()));
    let worker = Worker::new(other.clone(), ()).handle(send).start().await.unwrap();
    assert_eq!(other.wait::<Mail>(id).await.unwrap(), "ada got hunter2");
    // A field that somebody put there in the open is not taken for a sealed one.
    let mut forged = stored.envelope.envelope().unwrap().clone();
    forged.id = JobId::new();
    forged.payload = serde_json::from_str(r#"{"to":"eve","token":"mine"}"#).unwrap();
    put(&plain, forged.clone()).await;
    assert_eq!(
        undecodable(&plain, forged.id).await,
        "payload of mail.send: sealed fields: /token is not sealed"
    );
    worker.stop().await;
}

/// Stores an envelope as somebody would who can write to the backend.
async fn put(plain: &Client, envelope: Envelope) {
    use legwork::backend::{Due, EnqueueBatch, Guard, NewJob};
    let job = NewJob { record: envelope.encode(), envelope, due: Due::Now, chosen: true };
    let lane = JobId::new().to_string();
    let batch = EnqueueBatch { lane, seq: 1, jobs: vec![job], guard: Guard::None, flow: None };
    plain.backend().enqueue(&batch).await.unwrap();
}

async fn a_missing_key_parks_the_job_until_it_is_there(plain: Client) {
    let old = plain.with(Sealed::whole(ring("k1"))).with(Signed::new(ring("s1")));
    let id = old.enqueue(mail("ada")).await.unwrap().id;
    let forgetful = [
        plain.clone(),
        plain.with(Sealed::whole(ring("k2"))).with(Signed::new(ring("s1"))),
        plain.with(Sealed::whole(ring("k1"))).with(Signed::new(ring("s2"))),
    ];
    for jobs in forgetful {
        // Its own beats let the job go and meet it again: it waits, and spends nothing.
        let worker =
            Worker::new(jobs, ()).handle(send).lease(Duration::from_millis(500)).start().await.unwrap();
        let job = seen(&plain, id, |job| job.parked).await;
        assert_eq!((job.state, job.attempts, job.errors.len()), (State::Blocked, 0, 0));
        worker.stop().await;
    }
    let rotated = plain
        .with(Sealed::whole(ring("k2").and("k1", [b'1'; 32]).unwrap()))
        .with(Signed::new(ring("s2").and("s1", [b'1'; 32]).unwrap()).require());
    let worker = Worker::new(rotated.clone(), ()).handle(send).start().await.unwrap();
    assert_eq!(rotated.wait::<Mail>(id).await.unwrap(), "ada got hunter2");
    let new = rotated.enqueue(mail("bob")).await.unwrap().id;
    let stored = plain.job(new).await.unwrap().unwrap();
    assert_eq!(stored.envelope.envelope().unwrap().packed, ["sealed:k2"], "the newest seals");
    rotated.wait::<Mail>(new).await.unwrap();
    worker.stop().await;
}

async fn a_payload_cannot_be_moved_to_another_job(plain: Client) {
    let jobs = plain.with(Sealed::whole(ring("k1")));
    let fields = plain.with(Sealed::fields(ring("k1"), &["to", "token"]).unwrap());
    let mut moved = Vec::new();
    for (to, client) in [("ada", &jobs), ("bob", &fields)] {
        let id = client.enqueue(mail(to)).await.unwrap().id;
        let stored = plain.job(id).await.unwrap().unwrap().envelope.envelope().unwrap().clone();
        moved.push(Envelope { id: JobId::new(), unique: None, ..stored.clone() });
        moved.push(Envelope { id: JobId::new(), version: 0, unique: None, ..stored.clone() });
        if to == "bob" {
            // Two fields changed about within one job.
            let mut swapped: serde_json::Map<_, _> = serde_json::from_str(stored.payload.get()).unwrap();
            let (a, b) = (swapped["to"].clone(), swapped["token"].clone());
            swapped.insert("to".into(), b);
            swapped.insert("token".into(), a);
            let payload = serde_json::value::to_raw_value(&swapped).unwrap();
            moved.push(Envelope { payload, id: JobId::new(), unique: None, ..stored });
        }
    }
    for forged in moved {
        let id = forged.id;
        put(&plain, forged).await;
        let worker = Worker::new(jobs.clone(), ()).handle(send).start().await.unwrap();
        let said = undecodable(&plain, id).await;
        assert!(said.contains("was changed, or belongs to another job"), "{said}");
        worker.stop().await;
    }
}

async fn what_is_not_signed_or_was_changed_never_runs(plain: Client) {
    let jobs = plain.with(Signed::new(ring("s1")).require());
    let ran = Arc::new(Mutex::new(Vec::new()));
    let (log, bare) = (ran.clone(), plain.enqueue(mail("eve")).await.unwrap().id);
    let worker = Worker::new(jobs.clone(), ())
        .handle(move |job: Mail, _: Context| {
            log.lock().unwrap().push(job.to);
            async { Ok(String::new()) }
        })
        .start()
        .await
        .unwrap();
    let said = undecodable(&plain, bare).await;
    assert_eq!(said, "payload of mail.send: signature: there is none, and this worker requires it");
    let kept = plain.job(bare).await.unwrap().unwrap();
    assert_eq!(payload(&kept), r#"{"to":"eve","token":"hunter2"}"#, "kept for inspection");

    let good = jobs.enqueue(mail("ada")).await.unwrap().id;
    jobs.wait::<Mail>(good).await.unwrap();
    let signed = plain.job(good).await.unwrap().unwrap().envelope.envelope().unwrap().clone();
    let evil = serde_json::value::to_raw_value(&mail("mallory")).unwrap();
    let stolen = Envelope { id: JobId::new(), ..signed.clone() };
    put(&plain, stolen.clone()).await;
    let wrong = "signature: does not match, or is of another job";
    assert_eq!(undecodable(&plain, stolen.id).await, format!("payload of mail.send: {wrong}"));
    let forgeries = [
        Envelope { version: 0, ..signed.clone() },
        Envelope { queue: "other".into(), ..signed.clone() },
        Envelope { payload: evil, ..signed.clone() },
        Envelope { packed: vec!["lz4".into()], ..signed.clone() },
        Envelope { signature: Some("s1:AAAA".into()), ..signed.clone() },
        Envelope { signature: Some("junk".into()), ..signed.clone() },
    ];
    for mut forged in forgeries {
        let said = Signed::new(ring("s1")).open(&mut forged).unwrap_err().to_string();
        assert_eq!(said, wrong, "{forged:?}");
    }
    worker.stop().await;
    assert_eq!(*ran.lock().unwrap(), ["ada"]);
}

async fn keys_and_ids_work_as_without(plain: Client) {
    let jobs = all(&plain);
    let first = jobs.enqueue(mail("ada")).await.unwrap();
    let again = jobs.enqueue(mail("ada")).await.unwrap();
    assert_eq!((again.id, again.created), (first.id, false));
    let id = JobId::new();
    assert!(jobs.enqueue(mail("bob")).id(id).await.unwrap().created);
    assert!(!jobs.enqueue(mail("bob")).id(id).await.unwrap().created);
    let many = jobs.enqueue_many((0..30).map(|n| mail(&n.to_string()))).await.unwrap();
    assert!(many.iter().all(|receipt| receipt.created));
    let worker = Worker::new(jobs.clone(), ()).handle(send).start().await.unwrap();
    for receipt in many.iter().chain([&first]) {
        jobs.wait::<Mail>(receipt.id).await.unwrap();
    }
    worker.stop().await;
}

async fn the_largest_payload_counts_before_and_after(plain: Client) {
    let sealed = plain.with(Sealed::whole(ring("k1")));
    let error = sealed.enqueue(mail(&"x".repeat(200 * 1024))).unique("k").await.unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("is too large; at most 262144"), "{error}");
    assert!(sealed.enqueue(mail(&"x".repeat(190 * 1024))).unique("k").await.is_ok());
    let packed = plain.with(Compress::default());
    let error = packed.enqueue(mail(&"x".repeat(300 * 1024))).unique("l").await.unwrap_err();
    assert!(error.to_string().contains("is too large"), "what is decoded counts too: {error}");
    assert!(packed.enqueue(mail(&"x".repeat(250 * 1024))).unique("l").await.is_ok());
}

async fn a_secret_is_in_no_error(plain: Client) {
    let jobs = plain.with(Sealed::whole(ring("k1")));
    let id = jobs.enqueue_raw("mail.send", r#"{"to":"ada","token":{"hunter2":1}}"#).await.unwrap().id;
    let other = jobs.enqueue_raw("mail.send", r#""hunter2""#).await.unwrap().id;
    let worker = Worker::new(jobs.clone(), ()).handle(send).start().await.unwrap();
    for id in [id, other] {
        let said = undecodable(&plain, id).await;
        assert_eq!(said, "payload of mail.send: not what its type wants; it was sealed, so no more is said");
        assert!(matches!(jobs.wait::<Mail>(id).await, Err(WaitError::Discarded(_))));
    }
    worker.stop().await;
}

/// Joins the results of the mails before it.
#[derive(Serialize, Deserialize)]
struct Report;

impl Job for Report {
    const NAME: &'static str = "mail.report";
    type Output = Vec<String>;
}

async fn a_flow_hands_on_sealed_results_also_when_it_is_run_again(plain: Client) {
    let jobs = all(&plain);
    let mut flow = Flow::group([mail("ada"), mail("bob")]);
    let last = flow.after(&flow.ends(), Report);
    let worker = Worker::new(jobs.clone(), ())
        .handle(send)
        .handle(|_: Report, cx: Context| async move { Ok(cx.results::<Mail>().all().await?) });
    let worker = worker.start().await.unwrap();
    let started = jobs.start(flow).await.unwrap();
    let said = ["ada got hunter2", "bob got hunter2"];
    assert_eq!(jobs.wait::<Report>(last.id()).await.unwrap(), said);
    assert!(!format!("{:?}", plain.wait_raw(last.id()).await.unwrap()).contains("hunter2"));
    let finished = async {
        while plain.flow(started.id).await.unwrap().is_some_and(|flow| flow.head.finished_ms.is_none()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), finished).await.unwrap();
    let without = plain.replay(started.id, last.id()).await.err().map(|e| e.to_string());
    assert!(without.is_some_and(|said| said.contains("does not open here")), "a copy needs the key");
    let again = jobs.replay(started.id, last.id()).await.unwrap();
    let flow = jobs.flow(again.id).await.unwrap().unwrap();
    let report = flow.nodes.iter().find(|node| node.name == Report::NAME).unwrap();
    assert_eq!(
        jobs.wait::<Report>(report.id).await.unwrap(),
        said,
        "what was handed over is of the flow before"
    );
    worker.stop().await;
}
