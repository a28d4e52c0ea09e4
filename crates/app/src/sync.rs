//! `runnerly sync`: the whole sync through the queue, with a progress bar.

use crate::with_worker::Standby;
use crate::{Simulator, simulator, with_worker};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use legwork::backend::QueueView;
use legwork::{Job, JobId, State, WaitError};
use runnerly::app::{App, Places, Usage};
use runnerly::jobs::{ComputeStats, STRAVA, SyncAthlete, SyncOutcome};
use runnerly::storage::Connection;
use serde_json::json;
use std::time::{Duration, Instant};

#[derive(Args)]
pub(crate) struct Sync {
    /// The athlete; everybody who is connected unless said
    #[arg(long, value_name = "ID")]
    athlete: Option<i64>,
    /// Wait until list, streams and statistics are done
    #[arg(long)]
    wait: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Sync {
    pub(crate) async fn run(self, mut places: Places, simulator: Simulator) -> anyhow::Result<()> {
        simulator.check(&places)?;
        let stores = places.open_stores().await?;
        let sim = simulator::stand_in(&mut places, &simulator).await?;
        let app = places.with(stores)?;
        let outcome = tokio::select! {
            outcome = self.sync(&app, sim.as_ref()) => outcome,
            () = legwork::shutdown_signal() => Err(anyhow::anyhow!("interrupted; the sync goes on with the next worker")),
        };
        if let Some(sim) = sim {
            sim.stop().await;
        }
        outcome
    }

    async fn sync(&self, app: &App, sim: Option<&simulator::Running>) -> anyhow::Result<()> {
        let athletes = self.athletes(app, sim).await?;
        let standby = self.wait.then(|| Standby::start(app, SyncAthlete::NAME));
        let mut done = Vec::new();
        for athlete in athletes {
            done.push(self.one(app, athlete).await);
        }
        match standby {
            Some(standby) => standby.stop().await?,
            None if with_worker::alive(&app.jobs, SyncAthlete::NAME).await? => {}
            None => eprintln!("runnerly: note: no worker is running; start runnerly, or say --wait"),
        }
        let done = done.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
        self.print(&done);
        Ok(())
    }

    /// Whom to sync: the one named, the simulator's athlete (connected here and now), or
    /// everybody who is connected.
    async fn athletes(&self, app: &App, sim: Option<&simulator::Running>) -> anyhow::Result<Vec<i64>> {
        let mut known = app.storage.athletes().await?;
        known.retain(|a| a.connection == Connection::Connected && self.athlete.is_none_or(|id| id == a.id));
        if let Some(sim) = sim
            && (known.is_empty() || self.athlete.is_none())
        {
            let (code, scope) = simulator::consent(&sim.base, self.athlete).await?;
            return Ok(vec![app.link(&code, &scope).await?]);
        }
        match (known.is_empty(), self.athlete) {
            (false, _) => Ok(known.into_iter().map(|a| a.id).collect()),
            (true, Some(id)) => anyhow::bail!(Usage(format!(
                "--athlete: {id} is not connected; connect through the web front"
            ))),
            (true, None) => {
                anyhow::bail!("nobody is connected yet; connect through the web front first")
            }
        }
    }

    async fn one(&self, app: &App, athlete: i64) -> anyhow::Result<serde_json::Value> {
        let started = Instant::now();
        let receipt = app.jobs.enqueue(SyncAthlete { athlete, full: false }).await?;
        if !self.wait {
            return Ok(json!({ "athlete": athlete, "job": receipt.id, "waited": false }));
        }
        let bar = bar(self.json);
        let outcome = follow(app, receipt.id, &bar).await?;
        let pending = streams(app, athlete, &bar).await?;
        let stats = app.jobs.enqueue(ComputeStats { athlete }).await?;
        bar.set_message("statistics");
        app.jobs.wait::<ComputeStats>(stats.id).await.map_err(told)?;
        bar.finish_and_clear();
        let SyncOutcome { pages, seen, inserted, updated, unchanged } = outcome;
        Ok(json!({
            "athlete": athlete, "job": receipt.id, "waited": true,
            "pages": pages, "seen": seen, "inserted": inserted, "updated": updated, "unchanged": unchanged,
            "streams_pending": pending, "seconds": (started.elapsed().as_secs_f64() * 10.0).round() / 10.0,
        }))
    }

    fn print(&self, done: &[serde_json::Value]) {
        if self.json {
            match done {
                [one] => println!("{one}"),
                all => println!("{}", json!(all)),
            }
            return;
        }
        for one in done {
            let id = &one["athlete"];
            if one["waited"] == false {
                println!("athlete {id}: sync enqueued as job {}", one["job"].as_str().unwrap_or_default());
                continue;
            }
            println!(
                "athlete {id}: {} activities seen, {} new, {} changed; {} s",
                one["seen"], one["inserted"], one["updated"], one["seconds"]
            );
            if one["streams_pending"] != 0 {
                println!(
                    "{} runs wait for their streams until Strava's limit allows",
                    one["streams_pending"]
                );
            }
        }
    }
}

/// A bar for people; hidden where nobody looks.
fn bar(json: bool) -> ProgressBar {
    let bar = if json { ProgressBar::hidden() } else { ProgressBar::new(1_000) };
    if let Ok(style) = ProgressStyle::with_template("{bar:32} {percent:>3}% {msg}") {
        bar.set_style(style);
    }
    bar
}

/// Follows the list, from what its job says of its progress.
async fn follow(app: &App, id: JobId, bar: &ProgressBar) -> anyhow::Result<SyncOutcome> {
    loop {
        let job = app.jobs.job(id).await?;
        let Some(job) = job.filter(|job| !job.state.is_final()) else {
            return app.jobs.wait::<SyncAthlete>(id).await.map_err(told);
        };
        let said =
            job.progress.as_ref().and_then(|p| serde_json::from_str::<serde_json::Value>(p.get()).ok());
        if let Some(said) = said {
            bar.set_position((said["share"].as_f64().unwrap_or(0.0) * 500.0) as u64);
            bar.set_message(said["note"].as_str().unwrap_or_default().to_owned());
        }
        if job.state != State::Leased
            && let Some(why) = app.jobs.snapshot().await?.why(&job)
        {
            bar.set_message(why);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Follows the streams until there are no more to fetch, or a limit or a failure holds
/// the rest up; returns how many are left.
async fn streams(app: &App, athlete: i64, bar: &ProgressBar) -> anyhow::Result<usize> {
    let mut total = 1;
    loop {
        let left = app.storage.runs_without_streams(athlete, 100_000).await?.len();
        total = total.max(left);
        bar.set_position(500 + (500 * (total - left) / total) as u64);
        bar.set_message(format!("streams of {left} more runs"));
        let queues = app.jobs.queues().await?;
        let strava = queues.iter().find(|q| q.name == STRAVA);
        let waits = strava.map_or(0, |q| q.count(State::Available) + q.count(State::Leased));
        let held = strava.is_some_and(|q| q.paused.is_some() || spent(q));
        if left == 0 || held || waits == 0 {
            return Ok(left);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Whether nothing is left of what Strava allows.
fn spent(queue: &QueueView) -> bool {
    queue.limits.iter().any(|limit| limit.limit == STRAVA && limit.left.is_some_and(|left| left <= 0))
}

fn told(e: WaitError) -> anyhow::Error {
    match e {
        WaitError::Failed(e) => e.into(),
        other => anyhow::anyhow!("sync: {other}"),
    }
}
