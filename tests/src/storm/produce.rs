//! The producers: they write down what they heard of each enqueue.

use super::worker::Work;
use super::world::World;
use super::{Plan, wrong};
use crate::totalq::{Entry, Kind, Ledger, record};
use anyhow::Result;
use legwork::{Client, ClientOptions, JobId};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// Producers, each with a client of its own.
const PRODUCERS: u64 = 2;
/// Callers on one client: what they say at the same time rides in one call.
const CALLERS: u64 = 8;
/// How long a client tries before it says that it does not know.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// What all callers of a producer share.
struct Producer {
    client: Client,
    ledger: Ledger,
    next: Arc<AtomicU64>,
    /// How many jobs are done, as the world sees it.
    done: Arc<AtomicU64>,
    plan: Plan,
    /// How far the producers may be ahead of the workers.
    ahead: u64,
}

/// Starts the producers; they end when every job has been enqueued, or tried.
pub(super) async fn start(plan: &Plan, world: &World) -> Result<JoinSet<()>> {
    let mut all = JoinSet::new();
    let next = Arc::new(AtomicU64::new(0));
    for number in 0..PRODUCERS {
        let options = ClientOptions { patience: PATIENCE, ..ClientOptions::default() };
        let producer = Arc::new(Producer {
            client: wrong::client(world.url(), options, plan.wrong.filter(|wrong| wrong.of_producers()))
                .await?,
            ledger: Ledger::open(world.dir(), &format!("producer-{number}"))?,
            next: next.clone(),
            done: world.done_counter(),
            plan: plan.clone(),
            ahead: (plan.jobs / 10).clamp(200, 5_000),
        });
        for _ in 0..CALLERS {
            all.spawn(call(producer.clone()));
        }
    }
    Ok(all)
}

async fn call(producer: Arc<Producer>) {
    loop {
        let n = producer.next.fetch_add(1, Ordering::Relaxed);
        if n >= producer.plan.jobs {
            return;
        }
        while n > producer.done.load(Ordering::Relaxed) + producer.ahead {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        producer.enqueue(n).await;
    }
}

impl Producer {
    /// Half of the jobs have an id of the caller's choice, which it repeats until it knows.
    async fn enqueue(&self, n: u64) {
        let (plan, chosen) = (&self.plan, n.is_multiple_of(2).then(JobId::new));
        let poison = n < plan.poison;
        loop {
            let ms = plan.work.as_millis() as u64;
            let work = Work { n, ms, block: plan.block, poison, fails: n % 50 == 7 };
            let queue = format!("storm-{}", n / Plan::PER_QUEUE);
            let mut enqueue = self.client.enqueue(work).queue(queue);
            if let Some(id) = chosen {
                enqueue = enqueue.id(id);
            }
            let (kind, id) = match enqueue.await {
                Ok(receipt) => (Kind::Accepted, Some(receipt.id)),
                Err(e) if e.is_unavailable() => (Kind::Unknown, chosen),
                Err(e) => {
                    tracing::warn!(n, error = %e, "refused");
                    (Kind::Refused, chosen)
                }
            };
            self.ledger.note(Entry::now(kind, n, id.map_or(0, record), u64::from(poison)));
            if kind != Kind::Unknown || chosen.is_none() {
                return;
            }
        }
    }
}
