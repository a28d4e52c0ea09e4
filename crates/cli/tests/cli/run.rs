//! Runs the binary and keeps what it said.

use serde_json::Value;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than the command line's own patience with a backend.
const LIMIT: Duration = Duration::from_secs(40);

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// The one JSON value on stdout, of a run that went well.
    pub(crate) fn json(&self) -> Value {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{self:?}");
        assert_eq!(self.out.lines().count(), 1, "{self:?}");
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// Stdout of a run that went well.
    pub(crate) fn good(&self) -> &str {
        assert_eq!(self.code, 0, "{self:?}");
        &self.out
    }

    /// The one line on stderr, without its prefix, of a run that ended so.
    pub(crate) fn bad(&self, code: i32) -> &str {
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(self.err.lines().count(), 1, "{self:?}");
        assert!(!self.err.contains("panicked"), "{self:?}");
        let line = self.err.trim_end();
        line.strip_prefix("legwork: ").unwrap_or_else(|| panic!("no prefix: {self:?}"))
    }

    /// Code and message of the error object on stderr, of a run that ended so.
    pub(crate) fn error(&self, code: i32) -> (String, String) {
        assert_eq!(self.code, code, "{self:?}");
        let value: Value = serde_json::from_str(&self.err).unwrap_or_else(|e| panic!("{e}: {self:?}"));
        let part = |name| value["error"][name].as_str().unwrap_or_else(|| panic!("{self:?}")).to_owned();
        (part("code"), part("message"))
    }
}

/// The binary, without what the surroundings of the test would tell it.
pub(crate) fn command(args: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_legwork"));
    command.args(args).env_remove("LEGWORK_URL").env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

/// Runs it with these arguments.
pub(crate) fn legwork(args: &[impl AsRef<OsStr>]) -> Ran {
    finish(command(args))
}

/// Runs a prepared command to its end, and panics when that does not come.
pub(crate) fn finish(mut command: Command) -> Ran {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let out = collect(child.stdout.take().expect("stdout is piped"));
    let err = collect(child.stderr.take().expect("stderr is piped"));
    let code = wait(&mut child);
    Ran { code, out: out.join().expect("stdout is read"), err: err.join().expect("stderr is read") }
}

/// Runs it with bytes on stdin, as many as it takes.
pub(crate) fn fed(args: &[&str], mut bytes: impl Read + Send + 'static) -> Ran {
    let mut command = command(args);
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    command.stdin(reader);
    thread::spawn(move || {
        // It stops reading when it has had enough.
        let _ = std::io::copy(&mut bytes, &mut writer).and_then(|_| writer.flush());
    });
    finish(command)
}

/// The exit code, once there is one.
pub(crate) fn wait(child: &mut Child) -> i32 {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("the child is ours") {
            return status.code().unwrap_or(-1);
        }
        if started.elapsed() > LIMIT {
            child.kill().expect("the child is ours");
            panic!("still running after {LIMIT:?}");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn collect(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).expect("the pipe is read");
        String::from_utf8(bytes).expect("what it says is UTF-8")
    })
}
