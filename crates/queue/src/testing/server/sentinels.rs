//! A private Redis under real sentinels.

use super::{TestServer, free_port, until};

/// A primary, two replicas and three sentinels that watch over them. They keep nothing on
/// disk and end with the value.
///
/// ```no_run
/// use legwork::testing::server::TestSentinels;
/// let Some(sentinels) = TestSentinels::start() else { return };
/// println!("{}", sentinels.url());
/// ```
pub struct TestSentinels {
    servers: Vec<TestServer>,
    sentinels: Vec<TestServer>,
}

impl TestSentinels {
    /// Starts them: the first server is the primary, and taken for dead after a second.
    ///
    /// ```no_run
    /// let sentinels = legwork::testing::server::TestSentinels::start();
    /// ```
    ///
    /// # Panics
    /// As [`TestServer::start`].
    pub fn start() -> Option<TestSentinels> {
        let quick = ["--repl-diskless-sync-delay", "0"];
        let primary = TestServer::launch(Some(free_port()), &[], &quick)?;
        let port = primary.port()?.to_string();
        let follow = [&quick[..], &["--replicaof", "127.0.0.1", &port]].concat();
        let replicas = (0..2).map(|_| TestServer::launch(Some(free_port()), &[], &follow));
        let servers: Vec<_> = std::iter::once(Some(primary)).chain(replicas).collect::<Option<_>>()?;
        // A sentinel looks for replicas at once, and then only every ten seconds.
        let online = |n: usize| {
            format!("slave{n}:ip=127.0.0.1,port={},state=online", servers[n + 1].port().unwrap_or(0))
        };
        until("the replicas follow", || {
            let said = servers[0].command(&["INFO", "replication"]).unwrap_or_default();
            said.matches("state=online").count() == 2 || (0..2).all(|n| said.contains(&online(n)))
        });
        let conf = format!(
            "sentinel monitor main 127.0.0.1 {port} 2\n\
             sentinel down-after-milliseconds main 1000\n\
             sentinel failover-timeout main 6000\n\
             sentinel parallel-syncs main 2\n"
        );
        let sentinels =
            (0..3).map(|_| TestServer::launch_as(Some(free_port()), &[], &[], Some(conf.clone())));
        let sentinels: Vec<_> = sentinels.collect::<Option<_>>()?;
        let ready = |sentinel: &TestServer| {
            let said = sentinel.command(&["SENTINEL", "MASTER", "main"]).unwrap_or_default();
            let value =
                |name: &str| said.split("\r\n").skip_while(|word| *word != name).nth(2).map(str::to_owned);
            value("num-slaves").as_deref() == Some("2")
                && value("num-other-sentinels").as_deref() == Some("2")
        };
        until("the sentinels know each other", || sentinels.iter().all(ready));
        Some(TestSentinels { servers, sentinels })
    }

    /// Its address, for `Client::connect`: the primary `main`, by every sentinel.
    ///
    /// ```no_run
    /// # let sentinels = legwork::testing::server::TestSentinels::start().unwrap();
    /// assert!(sentinels.url().ends_with("/main"));
    /// ```
    pub fn url(&self) -> String {
        let port = |sentinel: &TestServer| sentinel.port().unwrap_or_default();
        let hosts: Vec<_> = self.sentinels.iter().map(|s| format!("127.0.0.1:{}", port(s))).collect();
        format!("redis+sentinel://{}/main", hosts.join(","))
    }

    /// The servers; at first the primary stands in front.
    ///
    /// ```no_run
    /// # let mut sentinels = legwork::testing::server::TestSentinels::start().unwrap();
    /// sentinels.servers()[0].kill();
    /// ```
    pub fn servers(&mut self) -> &mut [TestServer] {
        &mut self.servers
    }

    /// The sentinels.
    ///
    /// ```no_run
    /// # let mut sentinels = legwork::testing::server::TestSentinels::start().unwrap();
    /// sentinels.sentinels()[0].command(&["SENTINEL", "FAILOVER", "main"]).unwrap();
    /// ```
    pub fn sentinels(&mut self) -> &mut [TestServer] {
        &mut self.sentinels
    }

    /// Which of the servers the sentinels name as the primary.
    ///
    /// ```no_run
    /// # let sentinels = legwork::testing::server::TestSentinels::start().unwrap();
    /// assert_eq!(sentinels.primary(), Some(0));
    /// ```
    pub fn primary(&self) -> Option<usize> {
        let question = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"];
        let answer = self.sentinels.iter().find_map(|sentinel| sentinel.command(&question).ok())?;
        let port: u16 = answer.split("\r\n").nth(4)?.parse().ok()?;
        self.servers.iter().position(|server| server.port() == Some(port))
    }
}
