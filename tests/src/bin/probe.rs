//! A worker and a scheduler for the fault tests: every start and every end of a job is
//! appended to a ledger outside the system, so that what really ran can be compared with
//! what the queue says.
//!
//! `probe worker URL LEDGER LEASE_MS CONCURRENCY`, `probe producer URL LEDGER`,
//! `probe scheduler URL`, `probe zones URL` for schedules in six zones, or
//! `probe relay URL DATABASE` from an outbox in PostgreSQL, or what `tests::sqlite` does:
//! `probe churn URL LEDGER [ROUNDS]`, `probe fill URL PLACES`

use legwork::{Backoff, Client, Context, Failure, Job, Policy, Schedule, Scheduler, Worker, shutdown_signal};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where handlers write.
type Ledger = Arc<PathBuf>;

/// One line, in one write: lines of several processes do not mix.
fn note(ledger: &Ledger, cx: &Context<Ledger>, what: &str) -> std::io::Result<()> {
    let line = format!("{what} {} {} {}\n", cx.id(), cx.token(), cx.attempt());
    std::fs::File::options().create(true).append(true).open(&**ledger)?.write_all(line.as_bytes())
}

fn policy() -> Policy {
    Policy::default().backoff(Backoff::fixed(Duration::from_millis(20)))
}

#[derive(Serialize, Deserialize)]
struct Work {
    ms: u64,
}

impl Job for Work {
    const NAME: &'static str = "probe.work";
    type Output = u64;
    fn policy() -> Policy {
        policy()
    }
}

async fn work(job: Work, cx: Context<Ledger>) -> Result<u64, Failure> {
    note(cx.state(), &cx, "S")?;
    tokio::time::sleep(Duration::from_millis(job.ms)).await;
    note(cx.state(), &cx, "D")?;
    Ok(cx.token())
}

#[derive(Serialize, Deserialize)]
struct Poison {}

impl Job for Poison {
    const NAME: &'static str = "probe.poison";
    type Output = ();
}

async fn poison(_: Poison, cx: Context<Ledger>) -> Result<(), Failure> {
    note(cx.state(), &cx, "S")?;
    std::process::abort()
}

#[derive(Serialize, Deserialize)]
struct Block {
    ms: u64,
}

impl Job for Block {
    const NAME: &'static str = "probe.block";
    type Output = ();
}

/// Blocks the thread on purpose: the lease must hold all the same.
async fn block(job: Block, cx: Context<Ledger>) -> Result<(), Failure> {
    note(cx.state(), &cx, "S")?;
    std::thread::sleep(Duration::from_millis(job.ms));
    note(cx.state(), &cx, "D")?;
    Ok(())
}

#[derive(Serialize, Deserialize)]
struct Tick {}

impl Job for Tick {
    const NAME: &'static str = "probe.tick";
    type Output = ();
}

async fn tick(_: Tick, cx: Context<Ledger>) -> Result<(), Failure> {
    Ok(note(cx.state(), &cx, "D")?)
}

/// Says when the worker becomes ready, and when it is not any more.
async fn tell(ready: impl Fn() -> bool) {
    let mut was = false;
    loop {
        if ready() != was {
            was = !was;
            println!("probe is {}", if was { "ready" } else { "not ready" });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Enqueues one job after the other, until it is killed, and notes each that was answered.
async fn produce(jobs: &Client, ledger: &str) -> anyhow::Result<()> {
    let mut file = std::fs::File::options().create(true).append(true).open(ledger)?;
    loop {
        let id = jobs.enqueue(Work { ms: 0 }).await?.id;
        file.write_all(format!("A {id}\n").as_bytes())?;
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["worker", url, ledger, lease, concurrency] => {
            let jobs = Client::connect(url).await?;
            let running = Worker::new(jobs, Arc::new(PathBuf::from(ledger)))
                .handle(work)
                .handle(poison)
                .handle(block)
                .handle(tick)
                .queue("default", concurrency.parse()?)
                .lease(Duration::from_millis(lease.parse()?))
                .drain(Duration::from_millis(500))
                .start()
                .await?;
            println!("probe is up");
            let told = tokio::spawn(tell(running.readiness()));
            shutdown_signal().await;
            told.abort();
            running.stop().await;
            println!("probe has ended");
        }
        ["producer", url, ledger] => {
            let jobs = Client::connect(url).await?;
            println!("probe is up");
            tokio::try_join!(produce(&jobs, ledger), produce(&jobs, ledger), produce(&jobs, ledger))?;
        }
        ["zones", url] => {
            let jobs = Client::connect(url).await?;
            let scheduler =
                tests::zones::schedules()?.into_iter().fold(Scheduler::new(jobs), Scheduler::schedule);
            println!("probe is up");
            scheduler.run_until(shutdown_signal()).await?;
        }
        ["scheduler", url] => {
            let jobs = Client::connect(url).await?;
            let each = Schedule::new("each-second", "* * * * * *", Tick {})?;
            println!("probe is up");
            Scheduler::new(jobs).schedule(each).run_until(shutdown_signal()).await?;
        }
        ["relay", url, database] => {
            let jobs = Client::connect(url).await?;
            let pool = sqlx::PgPool::connect(database).await?;
            println!("probe is up");
            legwork::outbox::Relay::new(jobs, pool)
                .every(Duration::from_millis(10))
                .run_until(shutdown_signal())
                .await?;
        }
        ["churn", url, ledger] => tests::sqlite::churn(url, ledger, None).await?,
        ["churn", url, ledger, rounds] => tests::sqlite::churn(url, ledger, Some(rounds.parse()?)).await?,
        ["fill", url, places] => tests::sqlite::fill(url, places.parse()?).await?,
        _ => anyhow::bail!(
            "probe worker URL LEDGER LEASE_MS CONCURRENCY | probe producer URL LEDGER | \
             probe scheduler URL | probe zones URL | probe relay URL DATABASE | \
             probe churn URL LEDGER [ROUNDS] | probe fill URL PLACES"
        ),
    }
    Ok(())
}
