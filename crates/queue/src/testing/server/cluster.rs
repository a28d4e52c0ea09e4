//! A private Redis Cluster: real nodes on the loopback.

use super::{TestServer, until};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// As many slots as every cluster has.
const SLOTS: usize = 16_384;

/// Three primaries, and a replica of each where wanted. They keep nothing on disk and end
/// with the value.
///
/// ```no_run
/// use legwork::testing::server::TestCluster;
/// let Some(cluster) = TestCluster::start(false, 15_000) else { return };
/// println!("{}", cluster.url());
/// ```
pub struct TestCluster {
    nodes: Vec<TestServer>,
    ids: Vec<String>,
}

impl TestCluster {
    /// Starts three primaries, the slots shared out evenly, and with `replicas` three more
    /// servers that follow them in the same order. A node is taken for dead when it has not
    /// answered the others for `timeout_ms`.
    ///
    /// ```no_run
    /// let cluster = legwork::testing::server::TestCluster::start(true, 1_000);
    /// ```
    ///
    /// # Panics
    /// As [`TestServer::start`].
    pub fn start(replicas: bool, timeout_ms: u32) -> Option<TestCluster> {
        let timeout = timeout_ms.to_string();
        let args = ["--cluster-enabled", "yes", "--cluster-node-timeout", &timeout];
        let more = ["--repl-diskless-sync-delay", "0", "--cluster-replica-validity-factor", "0"];
        let args = [&args[..], &more[..]].concat();
        let count = if replicas { 6 } else { 3 };
        let nodes = (0..count).map(|_| TestServer::launch(Some(two_ports()), &[], &args));
        let nodes = nodes.collect::<Option<Vec<_>>>()?;
        let ids = nodes.iter().map(|node| bulk(&said(node, &["CLUSTER", "MYID"]))).collect();
        let cluster = TestCluster { nodes, ids };
        cluster.join();
        Some(cluster)
    }

    fn join(&self) {
        for (place, node) in self.nodes.iter().enumerate() {
            said(node, &["CLUSTER", "SET-CONFIG-EPOCH", &(place + 1).to_string()]);
            if place < 3 {
                let slots = (place * SLOTS / 3..(place + 1) * SLOTS / 3).map(|slot| slot.to_string());
                let words: Vec<String> =
                    ["CLUSTER".into(), "ADDSLOTS".into()].into_iter().chain(slots).collect();
                said(node, &words.iter().map(String::as_str).collect::<Vec<_>>());
            }
            if place > 0 {
                said(&self.nodes[0], &["CLUSTER", "MEET", "127.0.0.1", &self.port(place).to_string()]);
            }
        }
        let known = format!("cluster_known_nodes:{}\r\n", self.nodes.len());
        let met = |node: &TestServer| said(node, &["CLUSTER", "INFO"]).contains(&known);
        until("the nodes of the cluster know each other", || self.nodes.iter().all(met));
        for place in 3..self.nodes.len() {
            said(&self.nodes[place], &["CLUSTER", "REPLICATE", &self.ids[place - 3]]);
        }
        // A replica that the others do not know as one is never elected.
        let followers = self.nodes.len() - 3;
        let ready = |node: &TestServer| {
            let nodes = said(node, &["CLUSTER", "NODES"]);
            said(node, &["CLUSTER", "INFO"]).contains("cluster_state:ok")
                && nodes.matches("slave ").count() == followers
        };
        until("the cluster serves every slot", || self.nodes.iter().all(ready));
        let filled =
            |node: &TestServer| said(node, &["INFO", "replication"]).contains("master_link_status:up");
        until("the replicas follow", || self.nodes[3..].iter().all(filled));
    }

    /// Its address, for `Client::connect`: every node it began with.
    ///
    /// ```no_run
    /// # let cluster = legwork::testing::server::TestCluster::start(false, 15_000).unwrap();
    /// assert!(cluster.url().starts_with("redis+cluster://127.0.0.1:"));
    /// ```
    pub fn url(&self) -> String {
        let hosts: Vec<_> =
            (0..self.nodes.len()).map(|place| format!("127.0.0.1:{}", self.port(place))).collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    /// The servers, primaries first.
    ///
    /// ```no_run
    /// # let mut cluster = legwork::testing::server::TestCluster::start(true, 1_000).unwrap();
    /// cluster.nodes()[0].kill();
    /// ```
    pub fn nodes(&mut self) -> &mut [TestServer] {
        &mut self.nodes
    }

    /// The slot of a key, as the cluster reckons it.
    ///
    /// ```no_run
    /// # let cluster = legwork::testing::server::TestCluster::start(false, 15_000).unwrap();
    /// assert_eq!(cluster.slot("foo"), 12_182);
    /// ```
    pub fn slot(&self, key: &str) -> u16 {
        let answer = self.nodes.iter().find_map(|node| node.command(&["CLUSTER", "KEYSLOT", key]).ok());
        answer.and_then(|text| text.trim_matches([':', '\r', '\n']).parse().ok()).expect("a slot")
    }

    /// Which of the servers holds a slot, in the eyes of those that live.
    ///
    /// ```no_run
    /// # let cluster = legwork::testing::server::TestCluster::start(false, 15_000).unwrap();
    /// assert_eq!(cluster.owner(0), Some(0));
    /// ```
    pub fn owner(&self, slot: u16) -> Option<usize> {
        (0..self.nodes.len()).find(|place| {
            let Ok(nodes) = self.nodes[*place].command(&["CLUSTER", "NODES"]) else { return false };
            let own = nodes.lines().find(|line| line.contains("myself,master")).unwrap_or_default();
            own.split(' ').skip(8).any(|range| {
                let (from, to) = range.split_once('-').unwrap_or((range, range));
                let number = |text: &str| text.parse::<u16>().ok();
                number(from).zip(number(to)).is_some_and(|(from, to)| (from..=to).contains(&slot))
            })
        })
    }

    /// Begins to move a slot: from now on `from` sends away whoever asks for a key that is
    /// not there (any more).
    ///
    /// ```no_run
    /// # let cluster = legwork::testing::server::TestCluster::start(false, 15_000).unwrap();
    /// cluster.open_slot(0, 0, 1);
    /// cluster.move_keys(0, 0, 1, usize::MAX);
    /// cluster.close_slot(0, 1);
    /// ```
    pub fn open_slot(&self, slot: u16, from: usize, to: usize) {
        let slot = slot.to_string();
        said(&self.nodes[to], &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &self.ids[from]]);
        said(&self.nodes[from], &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &self.ids[to]]);
    }

    /// Moves up to `most` keys of an open slot; how many.
    ///
    /// ```no_run
    /// # let cluster = legwork::testing::server::TestCluster::start(false, 15_000).unwrap();
    /// cluster.open_slot(0, 0, 1);
    /// assert_eq!(cluster.move_keys(0, 0, 1, 10), 0);
    /// ```
    pub fn move_keys(&self, slot: u16, from: usize, to: usize, most: usize) -> usize {
        let (slot, port, mut moved) = (slot.to_string(), self.port(to).to_string(), 0);
        while moved < most {
            let answer = said(&self.nodes[from], &["CLUSTER", "GETKEYSINSLOT", &slot, "10"]);
            let keys: Vec<&str> =
                answer.split("\r\n").skip(2).step_by(2).filter(|key| !key.is_empty()).collect();
            let keys = &keys[..keys.len().min(most - moved)];
            if keys.is_empty() {
                break;
            }
            let migrate = ["MIGRATE", "127.0.0.1", &port, "", "0", "10000", "KEYS"];
            said(&self.nodes[from], &[&migrate[..], keys].concat());
            moved += keys.len();
        }
        moved
    }

    /// Gives an open slot, empty by now, to its new holder.
    ///
    /// ```no_run
    /// # let cluster = legwork::testing::server::TestCluster::start(false, 15_000).unwrap();
    /// cluster.close_slot(0, 0);
    /// ```
    pub fn close_slot(&self, slot: u16, to: usize) {
        // The new holder first: if the old one knew alone, nobody would serve it.
        let others = (0..3).filter(|place| *place != to);
        for place in std::iter::once(to).chain(others) {
            said(&self.nodes[place], &["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", &self.ids[to]]);
        }
    }

    fn port(&self, place: usize) -> u16 {
        self.nodes[place].port().expect("a node has a port")
    }
}

/// A port that is free with the one of the cluster's bus, ten thousand above it. Both lie
/// below those that outgoing connections get.
fn two_ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = (std::process::id() % 9_000) as u16;
    loop {
        let port = 11_000 + first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if free(port) && free(port + 10_000) {
            return port;
        }
    }
}

fn said(node: &TestServer, words: &[&str]) -> String {
    let answer = node.command(words).expect("the node answers");
    assert!(!answer.starts_with('-'), "{}: {answer}", words[..words.len().min(5)].join(" "));
    answer
}

fn bulk(answer: &str) -> String {
    answer.split("\r\n").nth(1).unwrap_or_default().to_owned()
}
