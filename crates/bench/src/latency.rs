//! From the producer's call to the handler's first line: two processes, an idle worker.

use crate::args::Kind;
use crate::bench::{Bench, child};
use crate::load::{Load, Plain};
use crate::raw::Raw;
use crate::report::Row;
use anyhow::{Context as _, Result, bail};
use legwork::{Client, Context, Failure, Worker};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::Notify;

/// Nanoseconds since the epoch, by the clock that both processes share.
fn now_ns() -> usize {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as usize)
}

/// The waits so far, in milliseconds.
struct Waits {
    all: Mutex<Vec<f64>>,
    one_more: Notify,
}

impl Waits {
    fn add(&self, sent_ns: usize) {
        let ms = now_ns().saturating_sub(sent_ns) as f64 / 1e6;
        self.all.lock().unwrap_or_else(PoisonError::into_inner).push(ms);
        self.one_more.notify_waiters();
    }

    fn seen(&self) -> Vec<f64> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(crate) async fn run(bench: &mut Bench) -> Result<()> {
    for rate in [50, 1_000] {
        // By its time alone: some seconds, and enough for a p99.
        let jobs = if bench.args.quick { rate / 5 } else { (rate * 5).max(300) };
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..bench.runs() {
            if bench.kind == Kind::Redis {
                bare.push(bare_window(bench, rate, jobs)?);
            }
            ours.push(window(bench, rate, jobs).await?);
        }
        for (what, share) in [("p50", 0.5), ("p99", 0.99)] {
            let of = |windows: &[Vec<f64>]| {
                let mut each: Vec<f64> = windows.iter().map(|all| quantile(all, share)).collect();
                each.sort_by(f64::total_cmp);
                each.get(each.len() / 2).copied()
            };
            let name = bench.name(&format!("pick-up at {rate}/s, {what}"));
            let windows = ours.len();
            let settings = format!("two processes, concurrency 16; {windows} windows of {jobs} jobs");
            let value = of(&ours).context("no window was measured")?;
            bench.note(Row { limit: of(&bare), ..Row::of(name, value, "ms", settings) })?;
        }
    }
    Ok(())
}

fn quantile(all: &[f64], share: f64) -> f64 {
    let mut all = all.to_vec();
    all.sort_by(f64::total_cmp);
    all[((all.len() as f64 * share).ceil() as usize).clamp(1, all.len()) - 1]
}

async fn heard(job: Load<Plain>, cx: Context<Arc<Waits>>) -> Result<(), Failure> {
    cx.state().add(job.n);
    Ok(())
}

/// The waits of as many jobs as another process enqueues.
async fn window(bench: &mut Bench, rate: usize, jobs: usize) -> Result<Vec<f64>> {
    let url = bench.empty()?;
    let waits = Arc::new(Waits { all: Mutex::default(), one_more: Notify::new() });
    let worker = Worker::new(Client::connect(&url).await?, waits.clone());
    let running = worker.handle(heard).start().await?;
    let mut producer = child("producer", &url, &format!("{rate} {jobs}"))?;
    let ended = tokio::task::spawn_blocking(move || producer.wait()).await??;
    if !ended.success() {
        bail!("the process that enqueues has failed");
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    while waits.seen().len() < jobs {
        let _ = tokio::time::timeout(Duration::from_millis(10), waits.one_more.notified()).await;
        if Instant::now() > deadline {
            bail!("{} of {jobs} jobs have run within a minute", waits.seen().len());
        }
    }
    running.stop().await;
    Ok(waits.seen())
}

fn bare_window(bench: &mut Bench, rate: usize, jobs: usize) -> Result<Vec<f64>> {
    bench.empty()?;
    let port = bench.server()?.port();
    let mut raw = Raw::connect(port)?;
    let mut producer = child("bare-producer", &port.to_string(), &format!("{rate} {jobs}"))?;
    let taken = tokio::task::block_in_place(|| {
        let one = |_| {
            let record = raw.take_one()?;
            let seen = now_ns();
            let at = record.iter().position(|b| *b == b'\n').context("no job came within 5 s")?;
            let job: Load<Plain> = serde_json::from_slice(&record[at + 1..])?;
            Ok(seen.saturating_sub(job.n) as f64 / 1e6)
        };
        (0..jobs).map(one).collect::<Result<Vec<f64>>>()
    });
    producer.wait()?;
    taken
}

/// Rate and number of a producer's jobs.
fn plan(text: &str) -> Result<(f64, usize)> {
    let (rate, jobs) = text.split_once(' ').context("part: RATE JOBS is wanted")?;
    Ok((rate.parse()?, jobs.parse()?))
}

/// The other process: enqueues evenly, and waits for no answer before the next.
pub(crate) async fn produce(url: &str, text: &str) -> Result<()> {
    let (rate, jobs) = plan(text)?;
    let client = Client::connect(url).await?;
    let begun = tokio::time::Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..jobs {
        tokio::time::sleep_until(begun + Duration::from_secs_f64(n as f64 / rate)).await;
        let client = client.clone();
        calls.spawn(async move { client.enqueue(Load::<Plain>::new(now_ns())).await });
    }
    while let Some(done) = calls.join_next().await {
        done??;
    }
    Ok(())
}

/// The same by a bare client.
pub(crate) fn produce_bare(port: &str, text: &str) -> Result<()> {
    let (rate, jobs) = plan(text)?;
    let mut raw = Raw::connect(port.parse()?)?;
    let begun = Instant::now();
    for n in 0..jobs {
        let due = Duration::from_secs_f64(n as f64 / rate);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
        let payload = serde_json::to_string(&Load::<Plain>::new(now_ns()))?;
        let envelope = legwork::Envelope::new("bench.plain", &payload)?;
        raw.enqueue(&[(*envelope.id.as_bytes(), envelope.encode())])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn quantiles() {
        let all: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!((super::quantile(&all, 0.5), super::quantile(&all, 0.99)), (50.0, 99.0));
        assert_eq!(super::quantile(&[7.0], 0.99), 7.0);
    }
}
