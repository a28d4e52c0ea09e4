//! One job for each committed row, while relays are killed: `cargo run -p examples --bin outbox`
use anyhow::ensure;
use legwork::outbox::sqlx::{self, SqlitePool};
use legwork::outbox::{self, Relay};
use legwork::{Client, Context, Failure, Job, JobId, Keep, Policy, Worker};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[derive(Serialize, Deserialize)]
struct Ship {
    order: i64,
}

impl Job for Ship {
    const NAME: &'static str = "orders.ship";
    type Output = ();
    fn policy() -> Policy {
        Policy::default().keep(Keep::None) // the queue forgets it at once
    }
}

type Shipped = Arc<Mutex<BTreeMap<i64, u32>>>;

async fn ship(job: Ship, cx: Context<Shipped>) -> Result<(), Failure> {
    *cx.state().lock().map_err(|_| "poisoned")?.entry(job.order).or_default() += 1;
    Ok(())
}

/// Writes an order and the job that follows from it: both, or neither.
async fn place(pool: &SqlitePool, order: i64) -> anyhow::Result<()> {
    let mut tx = pool.begin().await?;
    sqlx::query("INSERT INTO orders VALUES ($1)").bind(order).execute(&mut *tx).await?;
    outbox::enqueue(&mut tx, Ship { order }).await?;
    if order % 10 == 0 {
        tx.rollback().await?; // the customer thought better of it
    } else {
        tx.commit().await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let file = std::env::temp_dir().join(format!("legwork-outbox-{}.db", JobId::new()));
    let pool = SqlitePool::connect(&format!("sqlite:{}?mode=rwc", file.display())).await?;
    sqlx::query("CREATE TABLE orders (id INTEGER PRIMARY KEY)").execute(&pool).await?;
    outbox::migrate(&pool).await?;

    let jobs = Client::connect(&examples::url()).await?;
    let shipped = Shipped::default();
    let worker = Worker::new(jobs.clone(), shipped.clone()).handle(ship).start().await?;

    let mut kills = 0;
    for order in 1..=200 {
        place(&pool, order).await?;
        // A relay that is dropped wherever it stands, as a kill would do it.
        let mut relay = Relay::new(jobs.clone(), pool.clone());
        let patience = Duration::from_micros(order.unsigned_abs() * 97 % 12_000);
        kills += u32::from(tokio::time::timeout(patience, relay.hand_over()).await.is_err());
    }
    let mut relay = Relay::new(jobs.clone(), pool.clone());
    relay.hand_over().await?;
    println!("200 orders, {kills} relays killed; {:?}", relay.status().await?);

    let deadline = Instant::now() + Duration::from_secs(30);
    while shipped.lock().map_or(0, |s| s.len()) < 180 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    worker.stop().await;
    let orders: Vec<i64> = sqlx::query_scalar("SELECT id FROM orders ORDER BY id").fetch_all(&pool).await?;
    let shipped = shipped.lock().map_err(|_| anyhow::anyhow!("poisoned"))?.clone();
    ensure!(shipped == orders.iter().map(|order| (*order, 1)).collect(), "not each once: {shipped:?}");
    pool.close().await;
    std::fs::remove_file(file)?;
    println!("{} orders stand, each was shipped once", orders.len());
    Ok(())
}
