//! A private Redis server for a test, or several: started in a temporary directory, ended on
//! drop.

mod cluster;
mod sentinels;

pub use cluster::TestCluster;
pub use sentinels::TestSentinels;

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A Redis server of the test's own. It keeps nothing on disk and ends with the value.
///
/// ```no_run
/// use legwork::testing::server::TestServer;
/// let Some(server) = TestServer::start() else { return };
/// println!("{}", server.url());
/// ```
pub struct TestServer {
    child: Option<Child>,
    dir: PathBuf,
    port: Option<u16>,
    args: Vec<String>,
    env: Vec<(String, String)>,
    /// What it reads at its start and writes to itself, where it is a sentinel.
    sentinel: Option<String>,
}

impl TestServer {
    /// Starts a server on a Unix socket. `None`, with a line that says so, where no
    /// `redis-server` is on the PATH.
    ///
    /// ```no_run
    /// let server = legwork::testing::server::TestServer::start();
    /// ```
    ///
    /// # Panics
    /// When `CI` is set and there is no server, or the server does not come up.
    pub fn start() -> Option<TestServer> {
        TestServer::launch(None, &[], &[])
    }

    /// Starts a server on a TCP port of the loopback that was free a moment ago.
    ///
    /// ```no_run
    /// let server = legwork::testing::server::TestServer::start_tcp();
    /// ```
    ///
    /// # Panics
    /// As [`TestServer::start`].
    pub fn start_tcp() -> Option<TestServer> {
        TestServer::launch(Some(free_port()), &[], &[])
    }

    /// Starts a server on a Unix socket with further arguments, as `--maxmemory 8mb`.
    ///
    /// ```no_run
    /// let server = legwork::testing::server::TestServer::start_with(&["--maxmemory", "8mb"]);
    /// ```
    ///
    /// # Panics
    /// As [`TestServer::start`].
    pub fn start_with(args: &[&str]) -> Option<TestServer> {
        TestServer::launch(None, &[], args)
    }

    /// As [`TestServer::start_with`], with variables in its environment, as `LD_PRELOAD`.
    ///
    /// ```no_run
    /// let server = legwork::testing::server::TestServer::start_under(&[("LD_PRELOAD", "shim.so")], &[]);
    /// ```
    ///
    /// # Panics
    /// As [`TestServer::start`].
    pub fn start_under(env: &[(&str, &str)], args: &[&str]) -> Option<TestServer> {
        TestServer::launch(None, env, args)
    }

    fn launch(port: Option<u16>, env: &[(&str, &str)], args: &[&str]) -> Option<TestServer> {
        TestServer::launch_as(port, env, args, None)
    }

    fn launch_as(
        port: Option<u16>,
        env: &[(&str, &str)],
        args: &[&str],
        sentinel: Option<String>,
    ) -> Option<TestServer> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let found = std::env::var_os("PATH")
            .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join("redis-server").is_file()));
        if !found {
            assert!(std::env::var_os("CI").is_none(), "redis-server is not on the PATH");
            println!("skipped: redis-server is not on the PATH");
            return None;
        }
        // Short on purpose: the path of a Unix socket has room for about 100 bytes.
        let name = format!("lw-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).expect("a directory for the server");
        let args = args.iter().map(|a| (*a).to_owned()).collect();
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut server = TestServer { child: None, dir, port, args, env, sentinel };
        server.restart();
        Some(server)
    }

    /// Its address, for `Client::connect`; give every test its own namespace with
    /// `?ns=test-…` behind it.
    ///
    /// ```no_run
    /// # let server = legwork::testing::server::TestServer::start().unwrap();
    /// let url = format!("{}?ns=test-one", server.url());
    /// ```
    pub fn url(&self) -> String {
        match self.port {
            Some(port) => format!("redis://127.0.0.1:{port}"),
            None => format!("redis+unix://{}", self.socket().display()),
        }
    }

    /// Its port on the loopback, where it has one.
    ///
    /// ```no_run
    /// # let server = legwork::testing::server::TestServer::start_tcp().unwrap();
    /// assert!(server.port().is_some());
    /// ```
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The process id, while it runs.
    ///
    /// ```no_run
    /// # let server = legwork::testing::server::TestServer::start().unwrap();
    /// assert!(server.pid().is_some());
    /// ```
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Ends it at once, as `kill -9` does. What it held is lost.
    ///
    /// ```no_run
    /// # let mut server = legwork::testing::server::TestServer::start().unwrap();
    /// server.kill();
    /// ```
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Ends it if it runs, starts it again empty at the same address, and waits until it
    /// answers.
    ///
    /// ```no_run
    /// # let mut server = legwork::testing::server::TestServer::start().unwrap();
    /// server.restart();
    /// ```
    ///
    /// # Panics
    /// When it does not answer within a minute: one with much to load takes its time.
    pub fn restart(&mut self) {
        self.kill();
        let _ = std::fs::remove_file(self.socket());
        let mut command = Command::new("redis-server");
        if let Some(text) = &self.sentinel {
            let conf = self.dir.join("sentinel.conf");
            // What it has learned since its first start stays.
            if !conf.exists() {
                std::fs::write(&conf, text).expect("a file for the sentinel");
            }
            command.arg(conf).arg("--sentinel");
        }
        command.arg("--port").arg(self.port.unwrap_or(0).to_string());
        if self.port.is_some() {
            command.args(["--bind", "127.0.0.1"]);
        } else {
            command.arg("--unixsocket").arg(self.socket());
        }
        if self.sentinel.is_none() {
            command.args(["--save", "", "--appendonly", "no"]);
        }
        command.args(&self.args).current_dir(&self.dir);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        self.child = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("redis-server"));
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.ping().is_err() {
            assert!(Instant::now() < deadline, "redis-server does not answer");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Sends one command, as `&["CONFIG", "SET", "maxmemory", "1"]`, on a connection of
    /// its own and returns the first bytes of the raw reply.
    ///
    /// ```no_run
    /// # let server = legwork::testing::server::TestServer::start().unwrap();
    /// assert_eq!(server.command(&["PING"]).unwrap(), "+PONG\r\n");
    /// ```
    ///
    /// # Errors
    /// The server cannot be reached.
    pub fn command(&self, words: &[&str]) -> io::Result<String> {
        ask(self.connect()?, &request(words))
    }

    /// As [`TestServer::command`], by an account with this password.
    ///
    /// ```no_run
    /// # let server = legwork::testing::server::TestServer::start().unwrap();
    /// assert_eq!(server.command_as("default", "any", &["PING"]).unwrap(), "+PONG\r\n");
    /// ```
    ///
    /// # Errors
    /// The server cannot be reached, or knows no such account.
    pub fn command_as(&self, user: &str, password: &str, words: &[&str]) -> io::Result<String> {
        let mut stream = self.connect()?;
        match ask(&mut stream, &request(&["AUTH", user, password]))?.as_str() {
            "+OK\r\n" => ask(&mut stream, &request(words)),
            other => Err(io::Error::other(other.to_owned())),
        }
    }

    fn connect(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self.port {
            Some(port) => Box::new(TcpStream::connect(("127.0.0.1", port))?),
            None => Box::new(UnixStream::connect(self.socket())?),
        })
    }

    fn ping(&self) -> io::Result<()> {
        match self.command(&["PING"])?.as_str() {
            "+PONG\r\n" => Ok(()),
            other => Err(io::Error::other(other.to_owned())),
        }
    }

    fn socket(&self) -> PathBuf {
        self.dir.join("s")
    }
}

/// A byte stream, whatever carries it.
trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

fn request(words: &[&str]) -> String {
    let words = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
    format!("*{}\r\n{}", words.len(), words.collect::<String>())
}

/// A port of the loopback that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port()
}

/// Asks until the answer is as wanted.
fn until(what: &str, mut good: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !good() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn ask(mut stream: impl Read + Write, request: &str) -> io::Result<String> {
    stream.write_all(request.as_bytes())?;
    let mut buffer = [0; 4096];
    let n = stream.read(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..n]).into_owned())
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

#[cfg(test)]
mod tests {
    use super::TestServer;

    #[test]
    fn it_answers_and_starts_empty_again() {
        for start in [TestServer::start, TestServer::start_tcp] {
            let Some(mut server) = start() else { return };
            assert_eq!(server.command(&["SET", "a", "1"]).unwrap(), "+OK\r\n");
            let before = server.pid();
            server.restart();
            assert_ne!(server.pid(), before);
            assert_eq!(server.command(&["EXISTS", "a"]).unwrap(), ":0\r\n");
            server.kill();
            assert!(server.command(&["PING"]).is_err());
        }
    }
}
