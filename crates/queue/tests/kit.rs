//! The users' test kit: what it runs, how it moves time, what it finds by killing.

use legwork::testing::TestKit;
use legwork::testing::server::TestServer;
use legwork::*;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[derive(Serialize, Deserialize)]
struct Do {
    what: String,
}

impl Job for Do {
    const NAME: &'static str = "do";
    type Output = String;
    fn policy() -> Policy {
        Policy::default().max_attempts(2).backoff(Backoff::fixed(secs(10)))
    }
}

fn to(what: &str) -> Do {
    Do { what: what.into() }
}

async fn act(job: Do, cx: Context<()>) -> Result<String, Failure> {
    match job.what.as_str() {
        "fail" => Err("it failed".into()),
        "snooze" if cx.attempt() == 1 => Err(Failure::snooze(secs(30))),
        "discard" => Err(Failure::discard("never")),
        "cancel" => Err(Failure::cancel("not wanted")),
        "panic" => panic!("oh no"),
        other => Ok(other.to_uppercase()),
    }
}

async fn kit() -> TestKit {
    TestKit::new().await.worker(|jobs| Worker::new(jobs, ()).handle(act))
}

/// What a test says that panics.
async fn said(test: impl Future<Output = ()> + 'static) -> String {
    let here = tokio::task::LocalSet::new();
    let ended = here.run_until(async { tokio::task::spawn_local(test).await }).await;
    let panic = ended.expect_err("it did not panic").into_panic();
    panic.downcast_ref::<String>().cloned().or(panic.downcast_ref::<&str>().map(|s| (*s).into())).unwrap()
}

#[tokio::test]
async fn perform_tells_every_outcome() {
    let kit = kit().await;
    assert_eq!(kit.perform(to("shout")).await.output(), "SHOUT");
    for (what, state, error) in [
        ("fail", State::Retryable, Some("it failed")),
        ("snooze", State::Scheduled, None),
        ("discard", State::Discarded, Some("never")),
        ("cancel", State::Cancelled, Some("not wanted")),
        ("panic", State::Retryable, Some("panicked: oh no")),
    ] {
        let ran = kit.perform(to(what)).await;
        assert_eq!((ran.state, ran.error.as_deref(), ran.attempt), (state, error, 1), "{what}");
        let stored = kit.client().job(ran.id).await.unwrap().unwrap();
        assert_eq!(stored.state, state, "{what}: told and stored are one");
    }
}

#[tokio::test]
async fn perform_runs_nothing_else_and_says_why_not() {
    let kit = kit().await;
    kit.client().enqueue(to("wait")).priority(0).await.unwrap();
    kit.perform(to("now")).await;
    assert_eq!(kit.ran().len(), 1);
    assert_enqueued!(kit, Do, |job| job.what == "wait");
    let line = said(async {
        TestKit::new().await.perform(to("x")).await;
    });
    assert_eq!(line.await, "do did not run: it is available");
    let line = said(async {
        #[derive(Serialize, Deserialize)]
        struct Other;
        impl Job for Other {
            const NAME: &'static str = "other";
            type Output = ();
        }
        let kit = TestKit::new().await.worker(|jobs| Worker::new(jobs, ()).handle(act));
        kit.perform(Other).await.output();
    });
    assert_eq!(line.await, "other is blocked: no error");
}

#[tokio::test]
async fn time_brings_retries_in_their_order() {
    let kit = kit().await;
    kit.client().enqueue(to("fail")).await.unwrap();
    assert_eq!(kit.drain().await.states(), [State::Retryable]);
    assert!(kit.drain().await.is_empty(), "it is not due");
    kit.advance(secs(9)).await;
    assert!(kit.drain().await.is_empty());
    assert_enqueued!(kit, Do, state = State::Retryable, due_in = secs(1));
    kit.advance(secs(1)).await;
    assert_enqueued!(kit, Do, state = State::Available);
    let ran = kit.drain().await;
    assert_eq!((ran[0].attempt, ran[0].state), (2, State::Discarded));

    kit.client().enqueue(to("late")).delay(secs(86_400)).await.unwrap();
    kit.client().enqueue(to("early")).delay(secs(60)).await.unwrap();
    kit.client().enqueue(to("fail")).await.unwrap();
    let ran = kit.drain_scheduled().await;
    let outputs: Vec<_> = ran.iter().map(|r| r.output.as_deref().unwrap_or("-")).collect();
    assert_eq!(outputs, ["-", "-", "\"EARLY\"", "\"LATE\""]);
    assert!(ran[1].state == State::Discarded);
}

#[tokio::test]
async fn schedules_fire_as_the_clock_is_moved() {
    let kit = kit().await;
    let each = Scheduler::new(kit.client().clone()).cron("each", "*/10 * * * *", to("tick")).unwrap();
    kit.schedule(each).await;
    kit.advance(secs(599)).await;
    refute_enqueued!(kit, Do);
    kit.advance(secs(1)).await;
    assert_enqueued!(kit, Do, count = 1);
    let ran = kit.drain_for(secs(3_600)).await;
    assert_eq!(ran.len(), 7, "the one that waited, and six more");
    let line = said(async move {
        kit.drain_scheduled().await;
    });
    assert!(line.await.contains("use drain_for"));
}

/// A job that enqueues the next; its worker's state is the kit's own client, or none.
#[derive(Serialize, Deserialize)]
struct Down {
    n: u32,
}

impl Job for Down {
    const NAME: &'static str = "down";
    type Output = ();
    fn policy() -> Policy {
        Policy::default().max_attempts(1)
    }
}

async fn down(job: Down, cx: Context<Option<Client>>) -> Result<(), Failure> {
    if job.n > 0 {
        let client = cx.state().as_ref().unwrap_or(cx.client());
        let id = client.enqueue(Down { n: job.n - 1 }).await?.id;
        if job.n == 2 {
            let inner = client.job(id).await?.map(|job| job.state);
            assert_eq!(inner, Some(State::Succeeded), "it has run when the enqueue is answered");
        }
    }
    Ok(())
}

#[tokio::test]
async fn inline_runs_what_is_enqueued_inside_one_another() {
    for own in [false, true] {
        let kit = TestKit::new().await;
        let client = own.then(|| kit.client().clone());
        // One at a time in production; inside one another here.
        let kit = kit
            .worker(move |jobs| Worker::new(jobs, client.clone()).handle(down).queue("default", 1))
            .inline();
        kit.client().enqueue(Down { n: 5 }).await.unwrap();
        assert_eq!(kit.ran().len(), 6);
        assert!(kit.ran().iter().all(|ran| ran.state == State::Succeeded), "{:?}", kit.ran());
        refute_enqueued!(kit, Down);
    }
}

#[tokio::test]
async fn inline_has_a_bottom() {
    let kit = TestKit::new().await.worker(|jobs| Worker::new(jobs, None).handle(down)).inline();
    kit.client().enqueue(Down { n: 100 }).await.unwrap();
    let failed: Vec<_> = kit.ran().iter().filter_map(|ran| ran.error.clone()).collect();
    assert!(failed[0].contains("16 deep"), "{failed:?}");
}

#[tokio::test]
async fn for_ever_is_noticed() {
    #[derive(Serialize, Deserialize)]
    struct Again;
    impl Job for Again {
        const NAME: &'static str = "again";
        type Output = ();
        fn policy() -> Policy {
            Policy::default().keep(Keep::None)
        }
    }
    async fn again(_: Again, cx: Context<()>) -> Result<(), Failure> {
        cx.client().enqueue(Again).await?;
        Ok(())
    }
    let line = said(async {
        let kit = TestKit::new().await.worker(|jobs| Worker::new(jobs, ()).handle(again)).at_most(50);
        kit.client().enqueue(Again).await.unwrap();
        kit.drain().await;
    });
    assert!(line.await.contains("enqueue itself for ever"));
}

#[tokio::test]
async fn a_failed_expectation_says_what_waits() {
    let line = said(async {
        let kit = kit().await;
        kit.client().enqueue(to("a")).queue("mail").delay(secs(60)).await.unwrap();
        kit.client().enqueue_raw("b.job", "[1]").priority(0).await.unwrap();
        assert_enqueued!(kit, Do, |job| job.what == "b", queue = "mail", count = 2);
    });
    assert_eq!(
        line.await,
        "do: expected 2, found 0, where job.what == \"b\", queue = \"mail\"\n\
         what waits:\n  \
         b.job available in default, priority 0: [1]\n  \
         do scheduled in mail, priority 5, due in 60s: {\"what\":\"a\"}"
    );
    let line = said(async {
        let kit = kit().await;
        kit.client().enqueue(to("a")).await.unwrap();
        refute_enqueued!(kit, Do);
    });
    assert!(line.await.starts_with("do: expected none, found 1\nwhat waits:\n"));
    let line = said(async { assert_enqueued!(kit().await, Do) });
    assert_eq!(line.await, "do: expected at least one, found 0\nnothing waits");
}

/// What a handler writes outside the queue.
type Ledger = Arc<Mutex<Vec<String>>>;

/// Pays, and then enqueues the receipt: `careful` writes by key and derives the id.
#[derive(Serialize, Deserialize)]
struct Pay {
    careful: bool,
}

impl Job for Pay {
    const NAME: &'static str = "pay";
    type Output = ();
    fn policy() -> Policy {
        Policy::default().queue("pay")
    }
}

async fn pay(job: Pay, cx: Context<(Ledger, TestKit)>) -> Result<(), Failure> {
    let (ledger, kit) = cx.state();
    let line = format!("paid {}", cx.id());
    {
        let mut ledger = ledger.lock().unwrap();
        if !job.careful || !ledger.contains(&line) {
            ledger.push(line);
        }
    }
    kit.point().await;
    let receipt = cx.client().enqueue(to("receipt"));
    if job.careful {
        // The same id in every attempt: the second enqueue answers `Existing`.
        let mut id = *cx.id().as_bytes();
        id[7] ^= 0xff;
        receipt.id(JobId::from_bytes(id)).await?;
    } else {
        receipt.await?;
    }
    Ok(())
}

async fn payday(kit: TestKit, careful: bool) {
    let ledger = Ledger::default();
    let state = (ledger.clone(), kit.clone());
    let kit = kit
        .worker(move |jobs| Worker::new(jobs, state.clone()).handle(pay).queue("pay", 1))
        .worker(|jobs| Worker::new(jobs, ()).handle(act));
    kit.client().enqueue(Pay { careful }).await.unwrap();
    kit.drain().await;
    assert_eq!(ledger.lock().unwrap().len(), 1, "paid once");
    assert!(kit.client().backend().audit().await.unwrap().is_empty());
    let succeeded: u64 = kit.client().queues().await.unwrap().iter().map(|q| q.count(State::Succeeded)).sum();
    assert_eq!(succeeded, 2, "paid, and one receipt");
}

#[tokio::test]
async fn every_crash_is_borne_by_a_careful_handler() {
    let crashes = TestKit::every_crash(async |kit: TestKit| payday(kit, true).await).await;
    // Lease, point, enqueue, settle; lease, settle, and the look that finds nothing: each
    // before and after.
    assert!(crashes >= 12, "{crashes}");
}

#[tokio::test]
async fn every_crash_finds_a_careless_handler() {
    let line = said(async {
        assert!(TestKit::every_crash(async |kit: TestKit| payday(kit, false).await).await > 0)
    });
    assert!(line.await.contains("paid once"));
}

#[tokio::test]
async fn a_crash_takes_effect_or_not_as_asked() {
    for (after, attempts) in [(false, 2), (true, 1)] {
        let kit = kit().await;
        let id = kit.client().enqueue(to("x")).await.unwrap().id;
        kit.crash_at(2, after);
        let began = kit.clock().now_ms();
        let ran = kit.drain().await;
        assert_eq!(kit.crashes(), 1);
        assert_eq!(ran.len(), attempts - 1, "an attempt whose end was stored does not run again");
        let job = kit.client().job(id).await.unwrap().unwrap();
        assert_eq!((job.state, job.crashes), (State::Succeeded, attempts as u32 - 1));
        assert!(kit.clock().now_ms() - began >= 15_000, "a lease has passed");
    }
}

#[tokio::test]
async fn the_kit_is_the_same_on_redis() {
    let Some(server) = TestServer::start() else { return };
    let kit = TestKit::on(&format!("{}?ns=test-kit", server.url())).await.unwrap();
    let kit = kit.worker(|jobs| Worker::new(jobs, ()).handle(act));
    kit.client().enqueue(to("fail")).await.unwrap();
    kit.client().enqueue(to("later")).delay(secs(5)).await.unwrap();
    kit.crash_at(2, false);
    let ran = kit.drain_scheduled().await;
    assert_eq!((ran.len(), kit.crashes()), (3, 1));
    assert_eq!(kit.perform(to("shout")).await.output(), "SHOUT");
}
