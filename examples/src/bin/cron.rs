//! A schedule of every second, seen three times: `cargo run -p examples --bin cron`
use legwork::backend::Setting;
use legwork::{Client, Context, Failure, Job, Schedule, Scheduler, Worker};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

#[derive(Serialize, Deserialize)]
struct Tick {}

impl Job for Tick {
    const NAME: &'static str = "tick";
    type Output = ();
}

async fn tick(_: Tick, cx: Context<mpsc::Sender<String>>) -> Result<(), Failure> {
    cx.state().send(cx.id().to_string()).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let jobs = Client::connect(&examples::url()).await?;
    let (seen, mut ticks) = mpsc::channel(8);
    let worker = Worker::new(jobs.clone(), seen).handle(tick).start().await?;
    let each = Schedule::new("each-second", "* * * * * *", Tick {})?.zone("Europe/Berlin")?;
    let scheduler = Scheduler::new(jobs.clone()).schedule(each).run_until(async {
        for n in 1..=3 {
            let id = ticks.recv().await.unwrap_or_default();
            println!("tick {n}: {id}");
        }
    });
    scheduler.await?;
    for schedule in jobs.schedules().await? {
        let ago = jobs.backend().now().await? - schedule.last_ms;
        println!("{} ({} {}) fired last {ago} ms ago", schedule.name, schedule.expression, schedule.zone);
        jobs.backend().put(Setting::Schedule, &schedule.name, None).await?;
    }
    worker.stop().await;
    Ok(())
}
