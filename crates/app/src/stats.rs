//! `runnerly stats`: the totals, from the database.

use clap::Args;
use runnerly::app::{Places, Usage};
use runnerly::stats::pace::clock;
use runnerly::stats::summary::{Summary, summarize};
use runnerly::storage::Storage;

#[derive(Args)]
pub(crate) struct Stats {
    /// The athlete, where there are several
    #[arg(long, value_name = "ID")]
    athlete: Option<i64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Stats {
    pub(crate) async fn run(self, places: Places) -> anyhow::Result<()> {
        let storage = places.open_storage().await?;
        let athlete = choose(&storage, self.athlete).await?;
        let activities = storage.all_activities(athlete).await?;
        let summary = summarize(&activities, chrono::Utc::now().date_naive());
        if self.json {
            println!("{}", serde_json::to_string(&summary)?);
        } else {
            print(athlete, &summary);
        }
        Ok(())
    }
}

/// The athlete named, or the only one there is.
pub(crate) async fn choose(storage: &Storage, named: Option<i64>) -> anyhow::Result<i64> {
    let known: Vec<i64> = storage.athletes().await?.into_iter().map(|a| a.id).collect();
    let list = || known.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
    match (named, &known[..]) {
        (Some(id), known) if known.contains(&id) => Ok(id),
        (Some(id), []) => {
            anyhow::bail!("no athlete is known yet, {id} neither; sync or import first")
        }
        (Some(id), _) => anyhow::bail!("--athlete: {id} is not known; known are {}", list()),
        (None, [one]) => Ok(*one),
        (None, []) => anyhow::bail!("no athlete is known yet; sync or import first"),
        (None, _) => anyhow::bail!(Usage(format!("--athlete: choose one of {}", list()))),
    }
}

fn print(athlete: i64, s: &Summary) {
    println!(
        "athlete {athlete}: {} activities, {} of them runs, on {} days",
        s.activities, s.runs, s.run_days
    );
    println!(
        "longest streak {} days, {} weeks; now {} days",
        s.longest_day_streak, s.longest_week_streak, s.current_day_streak
    );
    println!("Eddington {} km, {} mi", s.eddington_km, s.eddington_mi);
    println!(
        "\n{:>6} {:>6} {:>12} {:>12} {:>10} {:>9}",
        "year", "runs", "km", "moving", "gain m", "pace /km"
    );
    for year in &s.years {
        let t = &year.totals;
        let each = t.pace_s_per_km().map_or_else(String::new, clock);
        let (h, m) = (t.moving_s / 3_600, t.moving_s % 3_600 / 60);
        println!(
            "{:>6} {:>6} {:>12.1} {:>9}h{m:02} {:>10.1} {each:>9}",
            year.year,
            t.runs,
            t.distance_m / 1000.0,
            h,
            t.gain_m
        );
    }
}
