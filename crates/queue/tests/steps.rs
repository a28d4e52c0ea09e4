//! What a handler remembers from one attempt to the next.

#[macro_use]
#[path = "common/both.rs"]
mod both;

use legwork::backend::{JobView, Outcome, Settle, Token};
use legwork::testing::faulty::{Fault, FaultyBackend};
use legwork::{Backoff, Client, ClientOptions, Context, Failure, Job, JobId, Policy, Running, State, Worker};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

on_both! {
    a_step_is_done_once_however_often_the_job_fails
    a_step_that_fails_is_not_remembered
    a_name_is_good_for_one_step
    too_much_to_remember_is_refused_in_a_line
    a_remembered_value_of_another_shape_is_told
    a_redrive_goes_on_where_it_failed
    a_step_under_a_lost_lease_stops_the_handler
    a_step_whose_reply_was_lost_is_stored_once
    a_long_iteration_goes_on_after_a_shutdown
    the_last_cursor_is_stored_when_the_handler_is_dropped
    items_are_worked_through_once_each
    a_job_without_steps_pays_nothing
    a_called_off_job_begins_no_further_step
}

#[derive(Serialize, Deserialize, Clone)]
struct Do {
    what: String,
}

impl Job for Do {
    const NAME: &'static str = "do";
    type Output = u32;
    fn policy() -> Policy {
        let soon = Backoff::fixed(Duration::from_millis(10));
        Policy::default().max_attempts(3u32).backoff(soon).grace(Duration::from_millis(50))
    }
}

fn job(what: &str) -> Do {
    Do { what: what.into() }
}

/// What really happened, outside the queue.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<Vec<String>>>, Arc<AtomicUsize>);

impl Ledger {
    fn write(&self, line: impl ToString) {
        self.0.lock().unwrap().push(line.to_string());
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

async fn handle(job: Do, cx: Context<Ledger>) -> Result<u32, Failure> {
    let ledger = cx.state().clone();
    let write = async |line: &str| {
        ledger.write(line);
        Ok(cx.attempt())
    };
    match job.what.as_str() {
        "two" => {
            let one: u32 = cx.step("one", async || write("one").await).await?;
            if cx.attempt() == 1 {
                Err("between")?;
            }
            let two: u32 = cx.step("two", async || write("two").await).await?;
            if cx.attempt() == 2 {
                panic!("after both");
            }
            Ok(one * 10 + two)
        }
        "failing step" => {
            let tried = async || match ledger.1.fetch_add(1, Ordering::SeqCst) {
                0 | 1 => Err(Failure::retry("not yet")),
                n => Ok(n as u32),
            };
            // Once more within the attempt, which is allowed.
            let first = cx.step("one", tried).await;
            assert!(first.is_err() || cx.attempt() > 1);
            cx.step("one", tried).await
        }
        "twice" => {
            cx.step("one", async || Ok(1)).await?;
            cx.step("one", async || Ok(2)).await
        }
        "no name" => cx.step("", async || Ok(1)).await,
        "too much" => {
            cx.step("small", async || Ok("x".repeat(1_000))).await?;
            cx.step("large", async || Ok("x".repeat(300_000))).await?;
            Ok(0)
        }
        "shape" => match cx.attempt() {
            1 => {
                cx.step("one", async || Ok("text".to_owned())).await?;
                Err("later")?
            }
            _ => cx.step::<u32, _, _>("one", async || Ok(1)).await,
        },
        "lost" => {
            if ledger.1.fetch_add(1, Ordering::SeqCst) == 0 {
                hand_back(&cx).await;
                let late = cx.step("one", async || write("late").await).await.unwrap_err();
                assert!(cx.is_cancelled(), "{late}");
                ledger.write(late);
                return Ok(0);
            }
            cx.step("one", async || write("one").await).await
        }
        "pages" => {
            let turn = async |page: u32| {
                ledger.write(page);
                if page == 3 && cx.attempt() == 1 && ledger.1.fetch_add(1, Ordering::SeqCst) == 0 {
                    cx.stopping().cancelled().await;
                }
                Ok((page < 5).then_some(page + 1))
            };
            cx.pages(1, turn).await?;
            Ok(cx.cursor().await?.unwrap())
        }
        "hang at 3" => {
            let from = cx.cursor().await?.unwrap_or(0u32);
            ledger.write(from);
            for at in from + 1..=3 {
                cx.checkpoint(&at).await?;
            }
            if cx.attempt() == 1 {
                std::future::pending::<()>().await;
            }
            Ok(from)
        }
        "items" => {
            let work = async |item: &str| {
                ledger.write(item);
                if item == "c" && ledger.1.fetch_add(1, Ordering::SeqCst) == 0 {
                    Err("stumbled")?
                } else {
                    Ok(())
                }
            };
            Ok(cx.iterate(["a", "b", "c", "d"], work).await? as u32)
        }
        "called off" => {
            ledger.1.store(1, Ordering::SeqCst);
            cx.cancelled().cancelled().await;
            cx.step("one", async || write("one").await).await
        }
        _ => Ok(7),
    }
}

/// What another worker's sweep would do to a lease that has expired.
async fn hand_back(cx: &Context<Ledger>) {
    let item = Settle { token: Token(cx.token()), id: cx.id(), outcome: Outcome::HandBack, keyed: false };
    cx.client().backend().settle(&[item]).await.unwrap();
}

async fn start(jobs: &Client, ledger: &Ledger) -> Running {
    Worker::new(jobs.clone(), ledger.clone()).handle(handle).start().await.unwrap()
}

async fn ended(jobs: &Client, id: JobId) -> JobView {
    let started = Instant::now();
    loop {
        let job = jobs.job(id).await.unwrap().expect("the job is there");
        if job.state.is_final() {
            return job;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "it stays {job:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn a_step_is_done_once_however_often_the_job_fails(jobs: Client) {
    let ledger = Ledger::default();
    let worker = start(&jobs, &ledger).await;
    let id = jobs.enqueue(job("two")).await.unwrap().id;
    assert_eq!(jobs.wait::<Do>(id).await.unwrap(), 12, "each from the attempt that did it");
    assert_eq!(ledger.lines(), ["one", "two"]);
    let job = jobs.job(id).await.unwrap().unwrap();
    assert_eq!((job.attempts, job.steps.len()), (3, 0), "forgotten with its success");
    worker.stop().await;
}

async fn a_step_that_fails_is_not_remembered(jobs: Client) {
    let ledger = Ledger::default();
    let worker = start(&jobs, &ledger).await;
    let id = jobs.enqueue(job("failing step")).max_attempts(2).await.unwrap().id;
    // Two failures in the first attempt; in the second the step of that name is taken.
    let job = ended(&jobs, id).await;
    assert_eq!((job.state, job.reason.as_deref()), (State::Discarded, Some("failed")));
    assert_eq!((job.steps[0].name.as_str(), job.steps[0].value.get()), ("one", "2"));
    worker.stop().await;
}

async fn a_name_is_good_for_one_step(jobs: Client) {
    let worker = start(&jobs, &Ledger::default()).await;
    for (what, line) in [
        ("twice", "step \"one\": this attempt has had a step of that name; each needs its own"),
        ("no name", "step \"\": a name has 1 to 200 bytes"),
    ] {
        let id = jobs.enqueue(job(what)).await.unwrap().id;
        let job = ended(&jobs, id).await;
        assert_eq!((job.state, job.errors[0].error.as_str()), (State::Discarded, line));
    }
    worker.stop().await;
}

async fn too_much_to_remember_is_refused_in_a_line(jobs: Client) {
    let worker = start(&jobs, &Ledger::default()).await;
    let id = jobs.enqueue(job("too much")).await.unwrap().id;
    let job = ended(&jobs, id).await;
    let said = job.errors[0].error.as_str();
    assert_eq!(said, "steps: 301022 bytes, with the cursor, are more than the 262144 of a job");
    assert_eq!((job.state, job.steps.len()), (State::Discarded, 1));
    worker.stop().await;
}

async fn a_remembered_value_of_another_shape_is_told(jobs: Client) {
    let worker = start(&jobs, &Ledger::default()).await;
    let id = jobs.enqueue(job("shape")).max_attempts(2).await.unwrap().id;
    let job = ended(&jobs, id).await;
    let said = job.errors[1].error.as_str();
    assert!(said.starts_with("step \"one\": what is remembered has another shape: invalid type"), "{said}");
    worker.stop().await;
}

async fn a_redrive_goes_on_where_it_failed(jobs: Client) {
    let ledger = Ledger::default();
    let worker = start(&jobs, &ledger).await;
    let id = jobs.enqueue(job("two")).max_attempts(1).await.unwrap().id;
    let failed = ended(&jobs, id).await;
    assert_eq!((failed.state, failed.steps.len()), (State::Discarded, 1));
    jobs.retry(id).await.unwrap();
    // Its first attempt once more: it fails between the steps again, but does nothing twice.
    let again = ended(&jobs, id).await;
    assert_eq!((again.state, again.attempts), (State::Discarded, 1));
    assert_eq!(ledger.lines(), ["one"]);
    worker.stop().await;
}

async fn a_step_under_a_lost_lease_stops_the_handler(jobs: Client) {
    let ledger = Ledger::default();
    let worker = start(&jobs, &ledger).await;
    let id = jobs.enqueue(job("lost")).await.unwrap().id;
    assert_eq!(jobs.wait::<Do>(id).await.unwrap(), 1);
    let mut lines = ledger.lines();
    lines.sort();
    // The work of a late worker is done, and not remembered: at least once, and fenced.
    assert_eq!(lines, ["late", "one", "the lease is lost; another worker may run this job by now"]);
    worker.stop().await;
}

async fn a_step_whose_reply_was_lost_is_stored_once(jobs: Client) {
    let faulty =
        FaultyBackend::new(jobs.backend().clone()).nth("note", 1, Fault::After).nth("get", 1, Fault::Before);
    let faulty = Arc::new(faulty);
    let shaky = Client::over(faulty.clone(), ClientOptions::default());
    let ledger = Ledger::default();
    let worker = start(&shaky, &ledger).await;
    let id = jobs.enqueue(job("two")).await.unwrap().id;
    assert_eq!(jobs.wait::<Do>(id).await.unwrap(), 12);
    assert_eq!((ledger.lines(), faulty.injected()), (vec!["one".into(), "two".into()], 2));
    worker.stop().await;
}

async fn a_long_iteration_goes_on_after_a_shutdown(jobs: Client) {
    let ledger = Ledger::default();
    let worker = start(&jobs, &ledger).await;
    let id = jobs.enqueue(job("pages")).await.unwrap().id;
    let started = Instant::now();
    while ledger.1.load(Ordering::SeqCst) == 0 {
        assert!(started.elapsed() < Duration::from_secs(20));
        tokio::task::yield_now().await;
    }
    worker.stop().await;
    let between = jobs.job(id).await.unwrap().unwrap();
    assert_eq!((between.state, between.attempts), (State::Available, 0), "no attempt is spent");
    assert_eq!(between.cursor.unwrap().get(), "4");
    let worker = start(&jobs, &ledger).await;
    assert_eq!(jobs.wait::<Do>(id).await.unwrap(), 5);
    assert_eq!(ledger.lines(), ["1", "2", "3", "4", "5"]);
    worker.stop().await;
}

async fn the_last_cursor_is_stored_when_the_handler_is_dropped(jobs: Client) {
    let ledger = Ledger::default();
    let worker = start(&jobs, &ledger).await;
    let id = jobs.enqueue(job("hang at 3")).timeout(Duration::from_millis(50)).await.unwrap().id;
    assert_eq!(jobs.wait::<Do>(id).await.unwrap(), 3);
    assert_eq!(ledger.lines(), ["0", "3"]);
    worker.stop().await;
}

async fn items_are_worked_through_once_each(jobs: Client) {
    let ledger = Ledger::default();
    let worker = start(&jobs, &ledger).await;
    let id = jobs.enqueue(job("items")).await.unwrap().id;
    assert_eq!(jobs.wait::<Do>(id).await.unwrap(), 4);
    assert_eq!(ledger.lines(), ["a", "b", "c", "c", "d"], "only what stumbled comes again");
    worker.stop().await;
}

async fn a_job_without_steps_pays_nothing(jobs: Client) {
    let counted = Arc::new(FaultyBackend::new(jobs.backend().clone()));
    let client = Client::over(counted.clone(), ClientOptions::default());
    let worker = start(&client, &Ledger::default()).await;
    let id = jobs.enqueue(job("plain")).await.unwrap().id;
    assert_eq!(jobs.wait::<Do>(id).await.unwrap(), 7);
    worker.stop().await;
    assert_eq!((counted.calls("get"), counted.calls("note")), (0, 0));
    assert!(counted.calls("settle") > 0);
}

async fn a_called_off_job_begins_no_further_step(jobs: Client) {
    let ledger = Ledger::default();
    let worker = start(&jobs, &ledger).await;
    let id = jobs.enqueue(job("called off")).await.unwrap().id;
    while ledger.1.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    jobs.cancel(id).await.unwrap();
    assert_eq!(ended(&jobs, id).await.state, State::Cancelled);
    assert!(ledger.lines().is_empty());
    worker.stop().await;
}
