//! The simulated Strava: one per data directory, whoever comes first.

use crate::Simulator;
use anyhow::Context;
use runnerly::app::{Places, Usage};
use serde::Deserialize;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::time::Duration;
use strava_sim::{Limits, Options, Sim};

/// The application that Runnerly is to the simulator.
const CLIENT: (&str, &str) = ("12345", "simulated");

/// The simulator in use: this process's own, or that of another process on the same data.
pub(crate) struct Running {
    /// Where it is.
    pub(crate) base: String,
    /// Held for as long as this process serves it: the lock is the proof of life.
    own: Option<(Sim, File)>,
}

impl Running {
    pub(crate) async fn stop(self) {
        if let Some((sim, _lock)) = self.own {
            sim.stop().await;
        }
    }
}

impl Simulator {
    /// Refuses what is known to be wrong before anything is opened.
    pub(crate) fn check(&self, places: &Places) -> anyhow::Result<()> {
        let Some(dir) = &self.recordings else {
            return Ok(());
        };
        if places.has_credentials() {
            anyhow::bail!(Usage(
                "--recordings: is for the simulated Strava; leave the credentials out".into()
            ));
        }
        if !dir.join("strava-activities-1132.jsonl").is_file() {
            anyhow::bail!(Usage(format!(
                "--recordings: {} holds no strava-activities-1132.jsonl",
                dir.display()
            )));
        }
        Ok(())
    }
}

/// Points `places` to a simulated Strava where no credentials are given, and starts it
/// unless another process serves one from the same data directory.
pub(crate) async fn stand_in(places: &mut Places, simulator: &Simulator) -> anyhow::Result<Option<Running>> {
    if places.has_credentials() {
        return Ok(None);
    }
    let dir = places.data_dir.join("strava-sim");
    std::fs::create_dir_all(&dir)
        .with_context(|| format!("data directory: {} cannot be made", dir.display()))?;
    let mut address =
        File::options().create(true).truncate(false).read(true).write(true).open(dir.join("address"))?;
    let running = match address.try_lock() {
        Ok(()) => {
            let sim = strava_sim::start(options(&dir, simulator)).await?;
            let base = sim.base_url();
            address.set_len(0)?;
            address.rewind()?;
            address.write_all(base.as_bytes())?;
            address.flush()?;
            Running { base, own: Some((sim, address)) }
        }
        Err(_) => Running { base: served_by_another(&mut address).await?, own: None },
    };
    places.strava_client_id = Some(CLIENT.0.into());
    places.strava_client_secret = Some(CLIENT.1.into());
    places.strava_api = format!("{}/api/v3", running.base);
    places.strava_oauth = running.base.clone();
    Ok(Some(running))
}

fn options(dir: &std::path::Path, simulator: &Simulator) -> Options {
    Options {
        data_dir: dir.into(),
        recordings: simulator.recordings.clone(),
        limits: if simulator.sim_limits == "real" { Limits::real() } else { Limits::demo() },
        client_id: CLIENT.0.into(),
        client_secret: CLIENT.1.into(),
        ..Options::default()
    }
}

/// The one that holds the lock writes its address right after: wait for it a moment.
async fn served_by_another(address: &mut File) -> anyhow::Result<String> {
    for _ in 0..100 {
        let mut base = String::new();
        address.rewind()?;
        address.read_to_string(&mut base)?;
        if base.starts_with("http://") {
            return Ok(base);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("the simulated Strava of another process on this data directory does not say where it is")
}

/// Consents for the simulator's default athlete, or the one named, without a browser.
pub(crate) async fn consent(base: &str, athlete: Option<i64>) -> anyhow::Result<(String, String)> {
    #[derive(Deserialize)]
    struct Consent {
        code: String,
    }
    let scope = runnerly::strava::SCOPES;
    let body = serde_json::json!({ "athlete": athlete, "scope": scope });
    let answer = reqwest::Client::new().post(format!("{base}/sim/authorize")).json(&body).send().await?;
    if !answer.status().is_success() {
        anyhow::bail!(Usage(format!(
            "--athlete: the simulated Strava has no athlete {}",
            athlete.unwrap_or_default()
        )));
    }
    let consent: Consent = answer.json().await?;
    Ok((consent.code, scope.into()))
}
