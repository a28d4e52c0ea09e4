//! A worker of the storm, in a process of its own.

use super::{ATTEMPTS, CRASHES, Plan, Wrong, wrong};
use crate::totalq::{Entry, Kind, Ledger, record};
use anyhow::{Context as _, Result};
use legwork::{Backoff, ClientOptions, Context, Failure, Group, Job, Keep, Policy, Worker, shutdown_signal};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What a worker of the storm is told, on its command line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Orders {
    /// Where the queue is.
    pub(super) url: String,
    /// Where the ledger is.
    pub(super) ledger: String,
    /// Which worker this is.
    pub(super) number: u64,
    /// How many jobs there are, which says how many queues.
    pub(super) jobs: u64,
    /// Its permits.
    pub(super) slots: usize,
    /// A lease in milliseconds.
    pub(super) lease_ms: u64,
    /// How it is broken.
    pub(super) wrong: Option<Wrong>,
}

/// The payload.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Work {
    pub(super) n: u64,
    pub(super) ms: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) block: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) poison: bool,
    /// The first attempt fails.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) fails: bool,
}

impl Job for Work {
    const NAME: &'static str = "storm.work";
    type Output = u64;

    fn policy() -> Policy {
        let day = Keep::For(Duration::from_secs(86_400));
        let backoff = Backoff::fixed(Duration::from_millis(200));
        Policy::default().max_attempts(ATTEMPTS).max_crashes(CRASHES).backoff(backoff).keep(day)
    }
}

/// One run in the ledger: what is dropped before its end says so.
struct Run<'a> {
    ledger: &'a Ledger,
    start: Entry,
    ended: bool,
}

impl<'a> Run<'a> {
    fn start(job: &Work, cx: &'a Context<Arc<Ledger>>) -> Run<'a> {
        let start = Entry::now(Kind::Started, job.n, record(cx.id()), cx.token());
        cx.state().note(start);
        Run { ledger: cx.state(), start, ended: false }
    }

    fn end(&mut self, kind: Kind) {
        self.ended = true;
        let Entry { job, record, token, .. } = self.start;
        self.ledger.note(Entry::now(kind, job, record, token));
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.end(Kind::Dropped);
        }
    }
}

async fn handle(job: Work, cx: Context<Arc<Ledger>>) -> Result<u64, Failure> {
    let mut run = Run::start(&job, &cx);
    if job.poison {
        std::process::abort();
    }
    if job.fails && cx.attempt() == 1 {
        run.end(Kind::Failed);
        return Err("it fails once".into());
    }
    let length = Duration::from_millis(job.ms);
    match job.block {
        true => std::thread::sleep(length),
        false => tokio::time::sleep(length).await,
    }
    run.end(Kind::Done);
    Ok(cx.token())
}

/// Works until it is told to stop.
///
/// # Errors
/// The orders cannot be read, or the queue cannot be reached for half a minute.
pub async fn work(orders: &str) -> Result<()> {
    let orders: Orders = serde_json::from_str(orders).context("orders of a worker")?;
    let name = format!("worker-{}", orders.number);
    let ledger = Arc::new(Ledger::open(Path::new(&orders.ledger), &name)?);
    let queues = Plan::queues(orders.jobs);
    let mut tries = 0;
    // A supervisor would start it again and again; so does it itself.
    let running = loop {
        let options = ClientOptions::default();
        let started = async {
            let client = wrong::client(&orders.url, options, orders.wrong).await?;
            Worker::new(client, ledger.clone())
                .handle(handle)
                .group(Group::strict("storm", orders.slots, queues.iter().map(String::as_str)))
                .lease(Duration::from_millis(orders.lease_ms))
                .drain(Duration::from_secs(2))
                .start()
                .await
        };
        match started.await {
            Ok(running) => break running,
            Err(e) if e.is_unavailable() && tries < 150 => tries += 1,
            Err(e) => return Err(e.into()),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    shutdown_signal().await;
    running.stop().await;
    Ok(())
}
