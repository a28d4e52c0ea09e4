//! A private PostgreSQL cluster on a Unix socket, under an unprivileged user: it refuses
//! to run as root.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A running cluster; stopped and removed when dropped.
pub struct Postgres {
    dir: TempDir,
}

impl Postgres {
    /// Makes and starts a cluster; none where PostgreSQL is not installed.
    pub fn start() -> Option<Postgres> {
        let bin = bin_dir()?;
        let dir = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp").ok()?;
        let postgres = Postgres { dir };
        let (data, sockets) = (postgres.path().join("data"), postgres.path());
        if is_root() {
            let owned = Command::new("chown").arg("postgres").arg(sockets).status();
            assert!(owned.is_ok_and(|s| s.success()), "the directory cannot be given to the user postgres");
        }
        let made = run(
            &bin.join("initdb"),
            &["-A", "trust", "-U", "postgres", "--no-sync", "-D", &data.to_string_lossy()],
        );
        assert!(made, "initdb failed");
        let options =
            format!("-c listen_addresses='' -c unix_socket_directories='{}' -c fsync=off", sockets.display());
        let started = run(
            &bin.join("pg_ctl"),
            &[
                "-w",
                "-t",
                "30",
                "-D",
                &data.to_string_lossy(),
                "-l",
                &sockets.join("log").to_string_lossy(),
                "-o",
                &options,
                "start",
            ],
        );
        assert!(started, "pg_ctl start failed");
        Some(postgres)
    }

    /// Where it is, for sqlx: a socket's directory in the query.
    pub fn url(&self) -> String {
        let host = self.path().display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{host}/postgres")
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(bin) = bin_dir() {
            let data = self.path().join("data");
            run(&bin.join("pg_ctl"), &["-D", &data.to_string_lossy(), "-m", "immediate", "stop"]);
        }
    }
}

fn bin_dir() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|e| Some(e.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    versions.sort();
    versions.pop()
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.starts_with(b"0\n"))
}

/// Runs a program of the cluster as a user that is not root.
fn run(program: &Path, args: &[&str]) -> bool {
    let mut command = if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    let status = command
        .args(args)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|s| s.success())
}
