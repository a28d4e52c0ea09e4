//! Where a measurement takes place: a backend of its own, empty each time, and the figures.

use crate::args::{Args, Kind};
use crate::machine::{Meter, Sample};
use crate::plan::Plan;
use crate::report::{Report, Row};
use crate::server::Server;
use anyhow::{Context as _, Result, bail};
use legwork::Client;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(crate) struct Bench {
    pub(crate) args: Args,
    pub(crate) kind: Kind,
    pub(crate) report: Report,
    server: Option<Server>,
    dir: TempDir,
    files: usize,
}

impl Bench {
    pub(crate) fn start(args: Args, kind: Kind, report: Report) -> Result<Bench> {
        let server = if kind == Kind::Redis { Some(Server::start(args.aof, args.pin)?) } else { None };
        Ok(Bench { args, kind, report, server, dir: tempfile::tempdir()?, files: 0 })
    }

    /// What is measured, in a line.
    pub(crate) fn version(&self) -> Result<Option<String>> {
        let Some(server) = &self.server else { return Ok(None) };
        let aof = if self.args.aof { "append-only file, synced every second" } else { "without persistence" };
        Ok(Some(format!("Redis {}, {aof}, TCP on the loopback", server.version()?)))
    }

    /// The size of what is filled or stands waiting: as usual, or very little.
    pub(crate) fn size(&self, redis: usize, sqlite: usize) -> usize {
        match self.kind {
            _ if self.args.quick => 2_000,
            Kind::Redis => redis,
            Kind::Sqlite => sqlite,
        }
    }

    /// How many jobs a window of a rate has at most.
    pub(crate) fn jobs(&self, redis: usize, sqlite: usize) -> usize {
        self.args.jobs.map_or(self.size(redis, sqlite), |jobs| jobs as usize)
    }

    /// The windows of a rate.
    pub(crate) fn plan(&self, redis: usize, sqlite: usize) -> Plan {
        Plan::new(self.jobs(redis, sqlite), self.runs(), Duration::from_secs(self.args.seconds))
    }

    pub(crate) fn runs(&self) -> usize {
        if self.args.quick { 1 } else { self.args.runs as usize }
    }

    /// The server, where there is one.
    pub(crate) fn server(&self) -> Result<&Server> {
        self.server.as_ref().context("this is measured on Redis only")
    }

    /// A client of an empty backend.
    pub(crate) async fn client(&mut self) -> Result<Client> {
        Ok(Client::connect(&self.empty()?).await?)
    }

    /// The address of an empty backend.
    pub(crate) fn empty(&mut self) -> Result<String> {
        if let Some(server) = &self.server {
            server.flush()?;
            return Ok(server.url());
        }
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", self.file().display()));
        }
        self.files += 1;
        self.url()
    }

    /// The address of the backend as it is.
    pub(crate) fn url(&self) -> Result<String> {
        let file = format!("sqlite:{}", self.file().display());
        Ok(self.server.as_ref().map_or(file, Server::url))
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join(format!("{}.db", self.files))
    }

    fn redis_cpu(&self) -> Option<f64> {
        self.server.as_ref().and_then(|server| server.cpu().ok())
    }

    pub(crate) fn meter(&self) -> Meter {
        Meter::start(self.redis_cpu())
    }

    pub(crate) fn stop(&self, meter: Meter, jobs: usize) -> Sample {
        meter.stop(jobs, self.redis_cpu())
    }

    /// The full name of a figure.
    pub(crate) fn name(&self, what: &str) -> String {
        let backend = if self.kind == Kind::Redis { "redis" } else { "sqlite" };
        format!("{backend} {what}")
    }

    /// Notes a figure.
    pub(crate) fn note(&mut self, mut row: Row) -> Result<()> {
        if self.args.pin && self.kind == Kind::Redis {
            row.settings += "; Redis on a processor of its own (default: anywhere)";
        }
        self.report.note(row)
    }
}

/// Starts this program again, for a part of a measurement that is another process.
pub(crate) fn child(part: &str, place: &str, detail: &str) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["all", "--part", part, place, detail]).stdout(Stdio::piped());
    command.spawn().with_context(|| format!("the process {part} cannot be started"))
}

/// Waits until no job is unfinished.
pub(crate) async fn finished(client: &Client) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let left = waiting(client).await?;
        if left == 0 {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("{left} jobs are not settled a minute after the last has run");
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// How many jobs are unfinished.
pub(crate) async fn waiting(client: &Client) -> Result<u64> {
    let queues = client.queues().await?;
    let states = legwork::State::ALL.iter().filter(|state| !state.is_final());
    Ok(states.map(|state| queues.iter().map(|queue| queue.count(*state)).sum::<u64>()).sum())
}
