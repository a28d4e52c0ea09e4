//! What every process of Runnerly opens first: the queue, the database, the way to Strava.

use crate::secret::{KEY_VARIABLE, Keyring};
use crate::storage::{RefreshError, Storage};
use crate::strava::{self, Settings, Strava};
use anyhow::Context;
use chrono::TimeDelta;
use clap::Args;
use legwork::{Client, ClientOptions};
use secrecy::SecretString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::TcpListener;

/// Where everything is: the flags that all of Runnerly's programs share. Every flag can be
/// given as a variable `RUNNERLY_…` too; a flag wins.
#[derive(Debug, Clone, Args)]
pub struct Places {
    /// The directory for what is kept: databases, the token key
    #[arg(
        long,
        value_name = "DIR",
        env = "RUNNERLY_DATA_DIR",
        default_value = "runnerly-data",
        global = true
    )]
    pub data_dir: PathBuf,
    /// The queue: redis://host:port or sqlite:path; by default queue.db in the data directory
    #[arg(long, value_name = "URL", env = "RUNNERLY_QUEUE", hide_env_values = true, global = true)]
    pub queue: Option<String>,
    /// The database: sqlite:path or postgres://host/name; by default runnerly.db in the data directory
    #[arg(long, value_name = "URL", env = "RUNNERLY_DATABASE", hide_env_values = true, global = true)]
    pub database: Option<String>,
    /// The client id of your Strava application
    #[arg(long, value_name = "ID", env = "RUNNERLY_STRAVA_CLIENT_ID", global = true)]
    pub strava_client_id: Option<String>,
    /// Its secret
    #[arg(
        long,
        value_name = "SECRET",
        env = "RUNNERLY_STRAVA_CLIENT_SECRET",
        hide_env_values = true,
        global = true
    )]
    pub strava_client_secret: Option<String>,
    /// Where Strava's API is
    #[arg(
        long,
        value_name = "URL",
        env = "RUNNERLY_STRAVA_API",
        default_value = "https://www.strava.com/api/v3",
        global = true
    )]
    pub strava_api: String,
    /// Where Strava's consent page is
    #[arg(
        long,
        value_name = "URL",
        env = "RUNNERLY_STRAVA_OAUTH",
        default_value = "https://www.strava.com",
        global = true
    )]
    pub strava_oauth: String,
    /// How fast a simulated Strava's clock runs: waits for its windows are divided by it
    #[arg(
        long,
        value_name = "FACTOR",
        env = "RUNNERLY_STRAVA_SPEED",
        default_value_t = 1.0,
        global = true,
        hide = true
    )]
    pub strava_speed: f64,
}

/// The opened places: what handlers and pages share. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The queue.
    pub jobs: Client,
    /// The database.
    pub storage: Storage,
    /// Strava, or its simulator.
    pub strava: Strava,
    /// How fast Strava's clock runs; 1 but for a simulator.
    pub strava_speed: f64,
}

/// Queue and database, open: an [`App`] without a way to Strava.
#[derive(Clone)]
pub struct Stores {
    /// The queue.
    pub jobs: Client,
    /// The database.
    pub storage: Storage,
}

impl Places {
    /// Whether there is an application at Strava to speak for.
    pub fn has_credentials(&self) -> bool {
        self.strava_client_id.is_some() && self.strava_client_secret.is_some()
    }

    /// Refuses what is known to be wrong before anything is opened or made: credentials
    /// given by half, a data directory that is a file, a key or a database that is none.
    ///
    /// # Errors
    /// One line that names what is wrong and what is allowed.
    pub fn check(&self) -> anyhow::Result<()> {
        if self.strava_client_id.is_some() || self.strava_client_secret.is_some() {
            self.settings()?;
        }
        if self.data_dir.exists() && !self.data_dir.is_dir() {
            anyhow::bail!(Usage(format!("data directory: {} is not a directory", self.data_dir.display())));
        }
        if let Ok(key) = std::env::var(KEY_VARIABLE) {
            Keyring::parse(&key).map_err(|e| Usage(e.to_string()))?;
        }
        if let Some(url) = &self.database {
            Storage::check(url)?;
        }
        Ok(())
    }

    /// Makes the data directory (for its owner alone) and opens queue and database.
    ///
    /// # Errors
    /// One line that names the place and what is wrong with it.
    pub async fn open(&self) -> anyhow::Result<App> {
        self.settings()?;
        self.with(self.open_stores().await?)
    }

    /// Opens queue and database, without a way to Strava.
    ///
    /// # Errors
    /// As [`Places::open`].
    pub async fn open_stores(&self) -> anyhow::Result<Stores> {
        self.check()?;
        let jobs = self.open_queue().await?;
        let storage = self.open_storage().await?;
        Ok(Stores { jobs, storage })
    }

    /// Adds the way to Strava to what is open.
    ///
    /// # Errors
    /// As [`Places::open`].
    pub fn with(&self, stores: Stores) -> anyhow::Result<App> {
        let strava = Strava::new(self.settings()?)?;
        let strava_speed = if self.strava_speed.is_finite() { self.strava_speed.max(1.0) } else { 1.0 };
        let Stores { jobs, storage } = stores;
        Ok(App { jobs, storage, strava, strava_speed })
    }

    fn settings(&self) -> anyhow::Result<Settings> {
        let (id, secret) = match (&self.strava_client_id, &self.strava_client_secret) {
            (Some(id), Some(secret)) => (id.clone(), SecretString::from(secret.clone())),
            (None, None) => anyhow::bail!(Usage(
                "strava: no application given; set --strava-client-id and --strava-client-secret".into()
            )),
            (None, _) => anyhow::bail!(Usage("--strava-client-id: missing, though a secret is given".into())),
            (_, None) => {
                anyhow::bail!(Usage("--strava-client-secret: missing, though an id is given".into()))
            }
        };
        let settings = Settings::new(id, secret).with_bases(&self.strava_api, &self.strava_oauth);
        Ok(settings.map_err(|e| Usage(e.to_string()))?)
    }

    /// Opens the queue alone.
    ///
    /// # Errors
    /// As [`Places::open`].
    pub async fn open_queue(&self) -> anyhow::Result<Client> {
        let url = self.queue.clone().unwrap_or_else(|| sqlite(&self.data_dir, "queue.db"));
        if self.keeps(&url) {
            self.make_dir()?;
        }
        let opened = Client::connect_with(&url, ClientOptions::default()).await;
        opened.context("queue")
    }

    /// Opens the database alone.
    ///
    /// # Errors
    /// As [`Places::open`].
    pub async fn open_storage(&self) -> anyhow::Result<Storage> {
        self.check()?;
        self.make_dir()?;
        let key = std::env::var(KEY_VARIABLE).ok().map(SecretString::from);
        let keys = Keyring::load(key.as_ref(), &self.data_dir).map_err(|e| Usage(e.to_string()))?;
        let url = self.database.clone().unwrap_or_else(|| sqlite(&self.data_dir, "runnerly.db"));
        Ok(Storage::open(&url, keys).await?)
    }

    /// Whether a URL is a file of the data directory, which must be there first.
    fn keeps(&self, url: &str) -> bool {
        let path = url.strip_prefix("sqlite:").map(|p| p.strip_prefix("//").unwrap_or(p));
        path.is_some_and(|p| Path::new(p).starts_with(&self.data_dir))
    }

    fn make_dir(&self) -> anyhow::Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        let dir = &self.data_dir;
        if dir.exists() && !dir.is_dir() {
            anyhow::bail!(Usage(format!("data directory: {} is not a directory", dir.display())));
        }
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.with_context(|| format!("data directory: {} cannot be made", dir.display()))
    }
}

fn sqlite(dir: &Path, name: &str) -> String {
    format!("sqlite:{}", dir.join(name).display())
}

impl App {
    /// A wait by Strava's clock as a wait by ours.
    pub fn real(&self, wait: Duration) -> Duration {
        wait.div_f64(self.strava_speed)
    }

    /// An access token of an athlete that lives for at least ten minutes more, refreshed
    /// under a lock where it must be. `dead` is one that Strava has refused meanwhile.
    ///
    /// # Errors
    /// The athlete is not connected, Strava gives no new token, or the database fails.
    pub async fn token(
        &self,
        athlete: i64,
        dead: Option<&SecretString>,
    ) -> Result<SecretString, RefreshError<strava::Error>> {
        strava::access_token(&self.storage, &self.strava, athlete, TimeDelta::minutes(10), dead).await
    }

    /// Connects an athlete from the code that Strava's consent page handed over, and
    /// enqueues the first sync. Returns the athlete's id.
    ///
    /// # Errors
    /// Strava does not accept the code, or database or queue fail.
    pub async fn connect(&self, code: &str, scope: &str) -> anyhow::Result<i64> {
        let athlete = self.link(code, scope).await?;
        self.jobs.enqueue(crate::jobs::SyncAthlete { athlete, full: true }).await?;
        Ok(athlete)
    }

    /// As [`App::connect`], without a sync.
    ///
    /// # Errors
    /// Strava does not accept the code, or the database fails.
    pub async fn link(&self, code: &str, scope: &str) -> anyhow::Result<i64> {
        let connected = self.strava.exchange(code).await?;
        let athlete = connected.athlete;
        self.storage
            .connect_athlete(athlete.id, &athlete.name, &athlete.raw, scope, &connected.tokens)
            .await?;
        Ok(athlete.id)
    }
}

/// What somebody gave that is not allowed: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// The exit code that an error means: 2 for what is not allowed, 3 for a backend that
/// cannot be reached, 1 for anything else.
///
/// ```
/// let error = anyhow::Error::new(runnerly::app::Usage("port: 0".into()));
/// assert_eq!(runnerly::app::exit_code(&error), 2);
/// ```
pub fn exit_code(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if cause.is::<Usage>() {
            return 2;
        }
        if let Some(e) = cause.downcast_ref::<legwork::Error>() {
            return if e.is_invalid() {
                2
            } else if e.is_unavailable() {
                3
            } else {
                1
            };
        }
        if let Some(e) = cause.downcast_ref::<crate::storage::Error>() {
            return match e {
                crate::storage::Error::BadUrl(_) => 2,
                e if e.is_unavailable() => 3,
                _ => 1,
            };
        }
    }
    1
}

/// Listens on an address.
///
/// # Errors
/// One line that names the address: taken, or not this machine's.
pub async fn listen(at: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(at).await.map_err(|e| anyhow::anyhow!("listen: {at} cannot be used: {e}"))
}

/// Runs a program to its exit code: one line for an error, and nothing of a secret.
pub fn end(name: &str, outcome: anyhow::Result<()>) -> std::process::ExitCode {
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{name}: {}", line(&e));
            exit_code(&e).into()
        }
    }
}

/// An error and its causes in one line, without the causes that it has told already.
fn line(e: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in e.chain() {
        let cause = cause.to_string().replace(['\n', '\r'], " ");
        if !told.contains(cause.trim()) {
            let gap = if told.is_empty() { "" } else { ": " };
            told = format!("{told}{gap}{}", cause.trim());
        }
    }
    told
}

/// Logs to standard error, as `RUST_LOG` says (`info` unless it says anything), as JSON
/// with `RUNNERLY_LOG=json`.
pub fn log() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colours =
        std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    // A second call in one process changes nothing.
    let _ = match std::env::var("RUNNERLY_LOG").as_deref() {
        Ok("json") => builder.json().try_init(),
        _ => builder.with_target(false).try_init(),
    };
}
