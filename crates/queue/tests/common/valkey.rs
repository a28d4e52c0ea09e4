//! A private Valkey server, for machines that have one.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A `valkey-server` on a Unix socket; it keeps nothing and ends with the value.
pub(crate) struct Valkey {
    child: Child,
    dir: PathBuf,
}

impl Valkey {
    /// None, with a line that says so, where no `valkey-server` is on the PATH. Redis is
    /// what CI demands; Valkey is tested where it is found.
    pub(crate) fn start() -> Option<Valkey> {
        // A number of its own for each: one may start while the last is still ending.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("lw-vk-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).expect("a directory");
        let socket = dir.join("s");
        let spawned = Command::new("valkey-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(&socket)
            .current_dir(&dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = spawned else {
            let _ = std::fs::remove_dir(&dir);
            println!("skipped: valkey-server is not on the PATH");
            return None;
        };
        let server = Valkey { child, dir };
        let deadline = Instant::now() + Duration::from_secs(10);
        while UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < deadline, "valkey-server does not come up");
            std::thread::park_timeout(Duration::from_millis(5));
        }
        Some(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.dir.join("s").display())
    }
}

impl Drop for Valkey {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
