//! What processes do to one SQLite file in the fault tests: [`churn`] enqueues, leases and settles
//! beside others until it is killed, [`fill`] goes on while the disk is full at one write after the
//! other.

use crate::shim::Full;
use anyhow::{Result, bail, ensure};
use legwork::backend::sqlite::Sqlite;
use legwork::backend::{
    Backend, EnqueueBatch, Enqueued, Guard, LeaseRequest, NewJob, Outcome, Settle, Settled,
};
use legwork::{Clock, Envelope, JobId};
use sqlx::{Connection, SqliteConnection};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

/// How many jobs are in flight at the most in a process that churns.
pub const IN_FLIGHT: usize = 20;

/// One process's own way to the file.
struct Hand {
    backend: Sqlite,
    lane: String,
    seq: u64,
    longest: Duration,
}

impl Hand {
    async fn open(url: &str) -> Result<Hand> {
        let backend = Sqlite::connect(url, Clock::Backend).await?;
        Ok(Hand { backend, lane: JobId::new().to_string(), seq: 0, longest: Duration::ZERO })
    }

    /// Jobs that came in, or why they did not; either way their ids.
    async fn enqueue(&mut self, count: usize) -> (Vec<JobId>, legwork::Result<()>) {
        let job = |n: usize| {
            let envelope = Envelope::new("a.job", &n.to_string()).expect("a job");
            let record = envelope.encode();
            NewJob { envelope, record, due: legwork::backend::Due::Now, chosen: false }
        };
        self.seq += 1;
        let jobs: Vec<NewJob> = (0..count).map(job).collect();
        let ids = jobs.iter().map(|job| job.envelope.id).collect();
        let lane = self.lane.clone();
        let batch = EnqueueBatch { lane, seq: self.seq, jobs, guard: Guard::None, flow: None };
        let asked = Instant::now();
        let answer = self.backend.enqueue(&batch).await;
        self.longest = self.longest.max(asked.elapsed());
        let taken = answer.map(|taken| assert_eq!(taken.jobs(), vec![Enqueued::Created; count]));
        (ids, taken)
    }

    async fn lease(&mut self, most: usize) -> legwork::Result<Vec<Settle>> {
        let queues = vec![("default".into(), most)];
        let request =
            LeaseRequest { worker: self.lane.clone(), queues, most, alone: false, ttl_ms: LEASE_MS };
        let asked = Instant::now();
        let leased = self.backend.lease(&request).await?;
        self.longest = self.longest.max(asked.elapsed());
        let outcome = Outcome::Succeeded { result: None, keep_ms: 3_600_000 };
        let end = |token, id| Settle { token, id, outcome: outcome.clone(), keyed: false };
        let all = leased.batches.iter().flat_map(|b| b.jobs.iter().map(|job| end(b.token, job.id)));
        Ok(all.collect())
    }

    async fn settle(&mut self, items: &[Settle]) -> legwork::Result<Vec<Settled>> {
        let asked = Instant::now();
        let settled = self.backend.settle(items).await?;
        self.longest = self.longest.max(asked.elapsed());
        Ok(settled)
    }
}

/// The lease of those that churn: longer than a busy machine holds one of them up.
const LEASE_MS: i64 = 5_000;

/// How many jobs a process that churns enqueues in a round: at times so many that they are taken in
/// by one statement.
pub fn enqueued(round: usize) -> usize {
    if round % 16 == 1 { 40 } else { 5 }
}

/// Enqueues, leases and settles in as many rounds, or for ever; every answer is noted in the
/// ledger: `A` came in, `S` begun, `D` done, `X` too late. No call may fail.
pub async fn churn(url: &str, ledger: &str, rounds: Option<usize>) -> Result<()> {
    let mut ledger = File::options().create(true).append(true).open(ledger)?;
    let mut note = |word: &str, ids: &mut dyn Iterator<Item = JobId>| {
        let lines: String = ids.map(|id| format!("{word} {id}\n")).collect();
        ledger.write_all(lines.as_bytes())
    };
    let mut hand = Hand::open(url).await?;
    println!("probe is up");
    for round in 0..rounds.unwrap_or(usize::MAX) {
        let (ids, taken) = hand.enqueue(enqueued(round)).await;
        taken?;
        note("A", &mut ids.into_iter())?;
        let leased = hand.lease(if round % 2 == 0 { IN_FLIGHT } else { 5 }).await?;
        note("S", &mut leased.iter().map(|item| item.id))?;
        let settled = hand.settle(&leased).await?;
        for (item, answer) in leased.iter().zip(settled) {
            note(if answer == Settled::Done { "D" } else { "X" }, &mut [item.id].into_iter())?;
        }
        if round % 8 == 7 {
            hand.backend.reap(100, false, LEASE_MS).await?;
        }
    }
    println!("probe has ended; its longest call took {} ms", hand.longest.as_millis());
    Ok(())
}

/// Everything that came in is there, and nothing of what was refused.
async fn compare(hand: &Hand, there: &BTreeSet<JobId>, refused: &BTreeSet<JobId>) -> Result<()> {
    for id in there {
        ensure!(hand.backend.get(*id, false).await?.is_some(), "{id} was answered, and is not there");
    }
    for id in refused {
        ensure!(hand.backend.get(*id, false).await?.is_none(), "{id} was refused, and is there");
    }
    let broken = hand.backend.audit().await?;
    ensure!(broken.is_empty(), "{}", broken.join("; "));
    Ok(())
}

/// What a full disk is answered with, and nothing else.
fn refused(place: u32, e: &legwork::Error) -> Result<()> {
    let line = e.to_string();
    ensure!(e.is_refused() && line.ends_with(": storage full"), "at write {place}: {line}");
    Ok(())
}

/// Goes on while the disk is full from the first, the second, … write on: every call is carried
/// out or refused as for a full disk, and once there is room all goes on as if nothing had been.
pub async fn fill(url: &str, places: u32) -> Result<()> {
    let mut hand = Hand::open(url).await?;
    let (mut there, mut gone) = (BTreeSet::new(), BTreeSet::new());
    let mut stopped = 0;
    for place in 0..places {
        Full::after(Some(place));
        // Emptying the log is given up for want of room, and nothing else.
        let mut bare = SqliteConnection::connect(url).await?;
        let emptied = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut bare).await;
        let mut held = Vec::new();
        let mut full = emptied.is_err();
        for turn in 0..8 {
            // At times so many that they are taken in by one statement, about where the disk gets full.
            let many = place % 5 == 0 && turn == place / 25;
            let (ids, taken) = hand.enqueue(if many { 40 } else { 3 }).await;
            match taken {
                Ok(()) => there.extend(ids),
                Err(e) => {
                    (full, _) = (true, refused(place, &e)?);
                    gone.extend(ids);
                }
            }
            match hand.lease(3).await {
                Ok(items) => held = items,
                Err(e) => (full, _) = (true, refused(place, &e)?),
            }
            match hand.settle(&held).await {
                Ok(all) => ensure!(all.iter().all(|s| *s == Settled::Done), "at write {place}: stale"),
                Err(e) => (full, _) = (true, refused(place, &e)?),
            }
        }
        stopped += u32::from(full);
        Full::after(None);
        bare.close().await?;
        // What was refused goes through now, unless its lease is over by then.
        let settled = hand.settle(&held).await?;
        if !settled.iter().all(|s| *s == Settled::Done) {
            bail!("at write {place}: a settle that was refused cannot be repeated");
        }
        let (ids, taken) = hand.enqueue(1).await;
        taken?;
        there.extend(ids);
        if place % 32 == 31 {
            compare(&hand, &there, &gone).await?;
        }
    }
    compare(&hand, &there, &gone).await?;
    drop(hand);
    compare(&Hand::open(url).await?, &there, &gone).await?;
    println!("full at {stopped} of {places} writes, {} jobs came in and {} did not", there.len(), gone.len());
    Ok(())
}
