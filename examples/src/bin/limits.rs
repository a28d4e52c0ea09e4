//! Limits: two at a time of each athlete, ten a second of all, and a server that says no.
//!
//! `cargo run -p examples --bin limits`

use legwork::{Client, Context, Failure, Job, Limit, LimitKey, Worker};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[derive(Serialize, Deserialize)]
struct Fetch {
    athlete: u64,
}

impl Job for Fetch {
    const NAME: &'static str = "fetch";
    type Output = ();
    fn limit(&self) -> Option<LimitKey> {
        Some(LimitKey::new("athlete", self.athlete))
    }
}

/// How many run of each athlete, the most that ran at once, and the order in which they began.
type Notes = (HashMap<u64, usize>, usize, Vec<u64>);

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Notes>>);

async fn fetch(job: Fetch, cx: Context<Seen>) -> Result<(), Failure> {
    let seen = cx.state();
    {
        let (running, most, order) = &mut *seen.0.lock().unwrap();
        let now = running.entry(job.athlete).or_default();
        *now += 1;
        *most = (*most).max(*now);
        order.push(job.athlete);
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    *seen.0.lock().unwrap().0.get_mut(&job.athlete).unwrap() -= 1;
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (jobs, seen) = (Client::connect(&examples::url()).await?, Seen::default());
    jobs.limit("athlete").set(Limit::default().concurrency(2)).await?;
    jobs.limit("site").set(Limit::default().rate("20/1s:burst=5".parse()?)).await?;
    jobs.limit_queue("default", Some("site")).await?;

    let mut ids = Vec::new();
    for athlete in std::iter::repeat_n(7, 20).chain([8, 9]) {
        ids.push(jobs.enqueue(Fetch { athlete }).await?.id);
    }
    let begun = Instant::now();
    let worker = Worker::new(jobs.clone(), seen.clone()).handle(fetch).start().await?;
    for id in ids {
        jobs.wait::<Fetch>(id).await?;
    }
    let took = begun.elapsed();
    let (_, most, order) = seen.0.lock().unwrap().clone();
    println!("22 jobs in {took:?}, at most {most} of an athlete at once, in the order {order:?}");
    anyhow::ensure!(most <= 2, "two at a time of each athlete");
    anyhow::ensure!(order[..9].contains(&8) && order[..9].contains(&9), "nobody waits for athlete 7");
    anyhow::ensure!(took > Duration::from_millis(800), "five at once, then twenty a second");

    // The server has had enough: nothing goes until it says so.
    jobs.limit("site").block_for(Duration::from_millis(500)).await?;
    let (begun, id) = (Instant::now(), jobs.enqueue(Fetch { athlete: 8 }).await?.id);
    jobs.wait::<Fetch>(id).await?;
    println!("after Retry-After: {:?}", begun.elapsed());
    anyhow::ensure!(begun.elapsed() >= Duration::from_millis(490), "it waited");
    worker.stop().await;
    jobs.limit_queue("default", None).await?;
    Ok(())
}
