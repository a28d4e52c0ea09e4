//! A Redis of the bench's own, on a TCP port of the loopback.

use crate::machine::{self, Side};
use crate::raw::Raw;
use anyhow::{Context as _, Result, bail};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// There is no server to measure.
#[derive(Debug)]
pub(crate) struct Missing(std::io::Error);

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "redis-server cannot be started ({}): install it, or use --backend sqlite", self.0)
    }
}

impl std::error::Error for Missing {}

/// Ends with the value.
pub(crate) struct Server {
    child: Child,
    port: u16,
    _dir: TempDir,
}

impl Server {
    /// Starts one that keeps nothing, or an append-only file synced every second; on a processor
    /// of its own if it is to be pinned.
    pub(crate) fn start(aof: bool, pinned: bool) -> Result<Server> {
        let dir = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""])
            .args(["--appendonly", if aof { "yes" } else { "no" }])
            .current_dir(dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Missing)?;
        let server = Server { child, port, _dir: dir };
        if pinned {
            machine::pin(server.child.id(), Side::Server)?;
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        while server.raw().and_then(|mut raw| raw.ask(&["PING"])).is_err() {
            if Instant::now() > deadline {
                bail!("redis-server does not answer on port {port} within 10 s");
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        Ok(server)
    }

    /// Where it is, for a client.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}?ns=bench", self.port)
    }

    /// A connection without anything around it.
    pub(crate) fn raw(&self) -> Result<Raw> {
        Raw::connect(self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Forgets everything.
    pub(crate) fn flush(&self) -> Result<()> {
        self.raw()?.ask(&["FLUSHALL", "SYNC"]).map(drop)
    }

    /// A section of INFO: the text.
    pub(crate) fn info(&self, section: &str) -> Result<String> {
        self.raw()?.ask(&["INFO", section])
    }

    /// Seconds of processor time that it has used.
    pub(crate) fn cpu(&self) -> Result<f64> {
        let info = self.info("cpu")?;
        Ok(number(&info, "used_cpu_user:")? + number(&info, "used_cpu_sys:")?)
    }

    /// Bytes that it has allocated.
    pub(crate) fn used_memory(&self) -> Result<f64> {
        number(&self.info("memory")?, "used_memory:")
    }

    /// Its version.
    pub(crate) fn version(&self) -> Result<String> {
        let info = self.info("server")?;
        let found = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
        Ok(found.unwrap_or("unknown").to_owned())
    }
}

/// The number behind a field of INFO.
fn number(info: &str, field: &str) -> Result<f64> {
    let found = info.lines().find_map(|line| line.strip_prefix(field));
    let text = found.with_context(|| format!("INFO has no {field}"))?;
    text.trim().parse().with_context(|| format!("INFO: {field}{text} is no number"))
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
