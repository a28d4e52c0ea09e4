//! `runnerly import`: files through the queue.

use crate::with_worker::Standby;
use clap::Args;
use legwork::{Job, WaitError};
use runnerly::app::{App, Places, Usage};
use runnerly::import::MAX_BYTES;
use runnerly::jobs::ImportFile;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(crate) struct Import {
    /// GPX, TCX or FIT files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The athlete to whom they belong, where there are several
    #[arg(long, value_name = "ID")]
    athlete: Option<i64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Import {
    pub(crate) async fn run(self, mut places: Places) -> anyhow::Result<()> {
        // An import asks nothing of Strava: any stand-in will do.
        if !places.has_credentials() {
            places.strava_client_id = Some("none".into());
            places.strava_client_secret = Some("none".into());
        }
        let files = self.files.iter().map(|path| read(path)).collect::<anyhow::Result<Vec<_>>>()?;
        let app = places.open().await?;
        let athlete = self.owner(&app).await?;
        let standby = Standby::start(&app, ImportFile::NAME);
        let mut failed = Vec::new();
        for (name, bytes) in files {
            match one(&app, athlete, &name, &bytes).await {
                Ok(activity) => self.print(&name, activity),
                Err(why) => failed.push((name, why)),
            }
        }
        standby.stop().await?;
        self.refuse(failed)
    }

    /// The athlete named, the only one known, or a local one made for the purpose.
    async fn owner(&self, app: &App) -> anyhow::Result<i64> {
        if self.athlete.is_none() && app.storage.athletes().await?.is_empty() {
            app.storage.save_athlete(0, "You", &serde_json::json!({})).await?;
            return Ok(0);
        }
        crate::stats::choose(&app.storage, self.athlete).await
    }

    fn print(&self, name: &str, activity: i64) {
        if self.json {
            println!("{}", serde_json::json!({ "file": name, "activity": activity }));
        } else {
            println!("{name}: imported as activity {activity}");
        }
    }

    /// One line for each file that could not be imported; the last one ends the program.
    fn refuse(&self, mut failed: Vec<(String, String)>) -> anyhow::Result<()> {
        if self.json {
            for (name, error) in &failed {
                println!("{}", serde_json::json!({ "file": name, "error": error }));
            }
        }
        let Some((_, last)) = failed.pop() else {
            return Ok(());
        };
        for (_, error) in failed {
            eprintln!("runnerly: {error}");
        }
        anyhow::bail!(last)
    }
}

fn read(path: &Path) -> anyhow::Result<(String, Vec<u8>)> {
    let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let refuse = |why: String| Usage(format!("FILE: {}: {why}", path.display()));
    let meta = std::fs::metadata(path).map_err(|e| refuse(e.to_string()))?;
    if !meta.is_file() {
        anyhow::bail!(refuse("is not a file".into()));
    }
    if meta.len() > MAX_BYTES as u64 {
        anyhow::bail!(refuse("is larger than 32 MiB".into()));
    }
    let bytes = std::fs::read(path).map_err(|e| refuse(e.to_string()))?;
    Ok((name, bytes))
}

async fn one(app: &App, athlete: i64, name: &str, bytes: &[u8]) -> Result<i64, String> {
    let upload = legwork::JobId::new().to_string();
    let job = app.storage.save_upload(&upload, athlete, name, bytes).await.map_err(|e| e.to_string())?;
    let job = job.ok_or_else(|| format!("{name}: its upload was there already"))?;
    // From here on it will be imported, whatever becomes of this process; we wait for it.
    app.storage.relay(&app.jobs).hand_over().await.map_err(|e| e.to_string())?;
    app.jobs.wait::<ImportFile>(job).await.map_err(|e| match e {
        WaitError::Discarded(why) => why,
        other => other.to_string(),
    })
}
