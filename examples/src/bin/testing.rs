//! What a test of a job can do, without a server and without waiting:
//! `cargo run -p examples --bin testing`
use legwork::testing::TestKit;
use legwork::{Backoff, Context, Failure, Job, Policy, Scheduler, State, Worker};
use legwork::{assert_enqueued, refute_enqueued};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Serialize, Deserialize)]
struct Welcome {
    to: String,
}

impl Job for Welcome {
    const NAME: &'static str = "mail.welcome";
    type Output = String;
    fn policy() -> Policy {
        Policy::default().queue("mail").max_attempts(3).backoff(Backoff::fixed(Duration::from_secs(60)))
    }
}

/// The mails that went out, by recipient: to send one again is no harm.
type Outbox = Arc<Mutex<BTreeSet<String>>>;

async fn welcome(job: Welcome, cx: Context<Outbox>) -> Result<String, Failure> {
    if job.to.ends_with("@slow") && cx.attempt() == 1 {
        return Err("the server is busy".into());
    }
    cx.state().lock().map_err(|_| "poisoned")?.insert(job.to.clone());
    Ok(format!("welcome, {}", job.to))
}

fn to(name: &str) -> Welcome {
    Welcome { to: name.into() }
}

/// The scenario that must bear a crash at every step.
async fn two_mails(kit: TestKit) {
    let sent = Outbox::default();
    let state = sent.clone();
    let kit = kit.worker(move |jobs| Worker::new(jobs, state.clone()).handle(welcome));
    for name in ["a@b", "c@slow"] {
        kit.client().enqueue(to(name)).await.expect("enqueued");
    }
    kit.drain_scheduled().await;
    assert_eq!(sent.lock().expect("whole").len(), 2, "both mails went out");
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let kit = TestKit::new().await.worker(|jobs| Worker::new(jobs, Outbox::default()).handle(welcome));

    assert_eq!(kit.perform(to("ada@b")).await.output(), "welcome, ada@b");
    println!("performed one job");

    kit.client().enqueue(to("bob@slow")).await?;
    assert_enqueued!(kit, Welcome, |job| job.to == "bob@slow", queue = "mail", count = 1);
    assert_eq!(kit.drain().await.states(), [State::Retryable]);
    assert_enqueued!(kit, Welcome, due_in = Duration::from_secs(60));
    kit.advance(Duration::from_secs(60)).await;
    assert_eq!(kit.drain().await.states(), [State::Succeeded]);
    refute_enqueued!(kit, Welcome);
    println!("a retry came when the clock was moved");

    let daily = Scheduler::new(kit.client().clone()).cron("daily", "0 9 * * *", to("all@b"))?;
    kit.schedule(daily).await;
    let week = kit.drain_for(Duration::from_secs(7 * 86_400)).await;
    assert_eq!(week.names(), ["mail.welcome"; 7]);
    println!("a week of a daily schedule ran");

    let crashes = TestKit::every_crash(two_mails).await;
    println!("the mails went out in spite of {crashes} crashes, one at each step");
    Ok(())
}
