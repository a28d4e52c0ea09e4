//! A real process: started, watched, signalled, killed.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

/// Where a binary of this workspace is; all of them are built once per test process, so
/// that `cargo test -p tests` alone tests what is in the tree. `TESTS_BUILT` says that they
/// have been.
pub fn binary(name: &str) -> PathBuf {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        if std::env::var_os("TESTS_BUILT").is_some() {
            return;
        }
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
        let built = Command::new(cargo)
            .args(["build", "-q", "--workspace", "--bins"])
            .current_dir(crate::root())
            .status();
        assert!(built.is_ok_and(|s| s.success()), "the binaries do not build");
    });
    let own = std::env::current_exe().expect("a test knows its own path");
    let debug = own.parent().and_then(Path::parent).expect("a test lies in deps");
    debug.join(name)
}

/// A program about to start.
pub struct Program {
    command: Command,
    name: String,
}

impl Program {
    /// A program that this machine has installed; none where it has not.
    pub fn installed(name: &str) -> Option<Program> {
        let paths = std::env::var_os("PATH")?;
        let at = std::env::split_paths(&paths).map(|dir| dir.join(name)).find(|at| at.is_file())?;
        Some(Program { command: Command::new(at), name: name.into() })
    }

    /// A binary of this workspace, with no settings of the caller's environment.
    pub fn new(name: &str) -> Program {
        Program::at(&binary(name))
    }

    /// A program that lies there, with no settings of the caller's environment.
    pub fn at(path: &Path) -> Program {
        let mut command = Command::new(path);
        for (key, _) in std::env::vars() {
            if key.starts_with("RUNNERLY_") || key.starts_with("LEGWORK_URL") {
                command.env_remove(key);
            }
        }
        command.env("RUST_LOG", "info").env("NO_COLOR", "1").current_dir(crate::root());
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Program { command, name }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(mut self, args: I) -> Program {
        self.command.args(args);
        self
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub fn env(mut self, key: &str, value: impl AsRef<std::ffi::OsStr>) -> Program {
        self.command.env(key, value);
        self
    }

    /// Removes a variable of the environment.
    #[must_use]
    pub fn without(mut self, key: &str) -> Program {
        self.command.env_remove(key);
        self
    }

    /// Starts it in another directory than the repository's root.
    #[must_use]
    pub fn within(mut self, dir: &Path) -> Program {
        self.command.current_dir(dir);
        self
    }

    /// Starts it; its output goes to a file that [`Process::output`] reads.
    pub fn start(mut self) -> Process {
        use std::os::unix::process::CommandExt;
        let log = tempfile::NamedTempFile::new().expect("a file for the output");
        let out = File::options().append(true).open(log.path()).expect("the file opens again");
        let err = out.try_clone().expect("a file can be had twice");
        let child = self
            .command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|e| panic!("{} does not start: {e}", self.name));
        Process { child, log, name: self.name }
    }

    /// Runs it to its end; panics after `limit`.
    pub fn run(mut self, limit: Duration) -> Done {
        let out = tempfile::NamedTempFile::new().expect("a file for the output");
        let err = tempfile::NamedTempFile::new().expect("a file for the output");
        self.command.stdin(Stdio::null());
        self.command
            .stdout(out.reopen().expect("the file opens"))
            .stderr(err.reopen().expect("the file opens"));
        let mut child = self.command.spawn().unwrap_or_else(|e| panic!("{} does not start: {e}", self.name));
        let status = wait(&mut child, limit);
        let read = |file: &tempfile::NamedTempFile| std::fs::read_to_string(file.path()).unwrap_or_default();
        let (stdout, stderr) = (read(&out), read(&err));
        let Some(status) = status else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{} did not end within {limit:?}\n{stdout}\n{stderr}", self.name);
        };
        Done { code: status.code(), stdout, stderr }
    }
}

/// A program that has ended.
#[derive(Debug)]
pub struct Done {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// What it said.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Done {
    /// The standard output as JSON; panics with everything said where it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("no JSON ({e}): {self:?}"))
    }
}

/// A program that runs.
pub struct Process {
    child: Child,
    log: tempfile::NamedTempFile,
    name: String,
}

impl Process {
    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything said so far.
    pub fn output(&self) -> String {
        let mut text = String::new();
        if let Ok(mut file) = File::open(self.log.path()) {
            let _ = file.read_to_string(&mut text);
        }
        text
    }

    /// Sends a signal by name, as `KILL`, `TERM`, `STOP` or `CONT`.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(self.child.id().to_string()).status();
        assert!(sent.is_ok_and(|s| s.success()), "{} cannot be signalled", self.name);
    }

    /// Kills it with -9 and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for its end; panics after `limit`.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        wait(&mut self.child, limit)
            .unwrap_or_else(|| panic!("{} did not end within {limit:?}\n{}", self.name, self.output()))
    }

    /// Whether it still runs.
    pub fn alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until its output has a line with `mark` and returns that line.
    pub async fn line(&mut self, mark: &str, limit: Duration) -> String {
        self.line_after(0, mark, limit).await
    }

    /// As [`Process::line`], in what it says after the first `from` bytes of its output.
    pub async fn line_after(&mut self, from: usize, mark: &str, limit: Duration) -> String {
        let started = Instant::now();
        loop {
            let said = self.output();
            if let Some(line) = said.get(from..).and_then(|new| new.lines().find(|l| l.contains(mark))) {
                return line.into();
            }
            assert!(self.alive(), "{} ended early\n{said}", self.name);
            assert!(started.elapsed() < limit, "{} did not say {mark:?} within {limit:?}\n{said}", self.name);
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- {} said\n{}", self.name, self.output());
        }
    }
}

fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let started = Instant::now();
    while started.elapsed() < limit {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    None
}
