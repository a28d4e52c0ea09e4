//! Opens each backend on an empty namespace for one test.
#![allow(dead_code)] // each test binary opens some of them

mod valkey;

use legwork::backend::Backend;
use legwork::backend::redis::{self, Redis, Rights, Role};
use legwork::backend::sqlite::Sqlite;
use legwork::testing::harness::{Harness, START_MS};
use legwork::testing::server::{TestCluster, TestServer};
use legwork::{Clock, JobId, ManualClock};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

/// What must live as long as a harness: a server or a directory.
pub(crate) type Keeper = Box<dyn Send>;

/// The server that all running tests share, started by the first of them. It ends with
/// the last: a static would never be dropped, and leave its process behind.
fn shared<S>(holder: &Mutex<Weak<S>>, start: impl FnOnce() -> Option<S>) -> Option<Arc<S>> {
    let mut shared = holder.lock().unwrap_or_else(|e| e.into_inner());
    if let Some(server) = shared.upgrade() {
        return Some(server);
    }
    let server = Arc::new(start()?);
    *shared = Arc::downgrade(&server);
    Some(server)
}

static SERVER: Mutex<Weak<TestServer>> = Mutex::new(Weak::new());

async fn on_redis(url: &str, keeper: Keeper) -> Option<(Harness, Keeper)> {
    on_shards(url, 1, keeper).await
}

async fn on_shards(url: &str, shards: u8, keeper: Keeper) -> Option<(Harness, Keeper)> {
    let url = format!("{url}?ns=test-{}&shards={shards}", JobId::new());
    Some((opened(&url).await, keeper))
}

/// Opens a namespace twice. A machine may be so busy that the first answer takes longer than a
/// call may.
async fn opened(url: &str) -> Harness {
    let clock = ManualClock::new(START_MS);
    let soon = Instant::now() + Duration::from_secs(30);
    let open = async || loop {
        match redis::connect(url, Clock::Manual(clock.clone())).await {
            Err(e) if e.is_unavailable() && Instant::now() < soon => {}
            opened => break opened.expect("connect"),
        }
    };
    let (backend, other) = (open().await, open().await);
    Harness::new(backend, other, clock)
}

/// The same server, and a namespace of three shards.
pub(crate) async fn redis_shards() -> Option<(Harness, Keeper)> {
    let server = shared(&SERVER, TestServer::start)?;
    on_shards(&server.url(), 3, Box::new(server)).await
}

/// A private Redis server, and a namespace for this test.
pub(crate) async fn redis() -> Option<(Harness, Keeper)> {
    let server = shared(&SERVER, TestServer::start)?;
    on_redis(&server.url(), Box::new(server)).await
}

/// Makes an account with these roles for the place that a URL says.
pub(crate) fn account(server: &TestServer, url: &str, user: &str, roles: &[Role]) {
    let rights = Rights::of(&Redis::parse(url).expect("a URL"), roles, (7, 0)).expect("a version");
    let line = format!("ACL SETUSER {user} reset on >hush {rights}");
    let answer = server.command(&line.split(' ').collect::<Vec<_>>()).expect("answered");
    assert_eq!(answer, "+OK\r\n", "{line}");
}

/// The hardened mode: functions on a private server, under an account that may call these and
/// no other script, and all that it does within them is allowed by name.
pub(crate) async fn redis_functions() -> Option<(Harness, Keeper)> {
    static FUNCTIONS: Mutex<Weak<TestServer>> = Mutex::new(Weak::new());
    let start = || TestServer::start_with(&["--user", "default", "on", "nopass", "~*", "&*", "+@all"]);
    let server = shared(&FUNCTIONS, start)?;
    let namespace = format!("test-{}", JobId::new());
    let url = format!("{}?ns={namespace}&scripts=functions", server.url());
    redis::migrate(&url, false).await.expect("functions are loaded");
    account(&server, &url, &namespace, &[Role::Worker, Role::Operator]);
    let url = format!("{url}&user={namespace}&pass=hush");
    Some((opened(&url).await, Box::new(server)))
}

/// A private cluster of three nodes, and a namespace for this test, in whichever slot its
/// name falls.
pub(crate) async fn redis_cluster() -> Option<(Harness, Keeper)> {
    static CLUSTER: Mutex<Weak<TestCluster>> = Mutex::new(Weak::new());
    let cluster = shared(&CLUSTER, || TestCluster::start(false, 15_000))?;
    on_redis(&cluster.url(), Box::new(cluster)).await
}

/// A private Valkey server, where one is installed.
pub(crate) async fn valkey() -> Option<(Harness, Keeper)> {
    static SERVER: Mutex<Weak<valkey::Valkey>> = Mutex::new(Weak::new());
    let server = shared(&SERVER, valkey::Valkey::start)?;
    on_redis(&server.url(), Box::new(server)).await
}

/// A SQLite file in a directory of its own, opened twice.
pub(crate) async fn sqlite_file() -> Option<(Harness, Keeper)> {
    let dir = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite:{}", dir.path().join("jobs.db").display());
    let clock = ManualClock::new(START_MS);
    let open = async || Sqlite::connect(&url, Clock::Manual(clock.clone())).await.expect("open");
    let backend: Arc<dyn Backend> = Arc::new(open().await);
    let other = Arc::new(open().await);
    Some((Harness::new(backend, other, clock), Box::new(dir)))
}

/// SQLite in memory: one connection is all there is.
pub(crate) async fn sqlite_memory() -> Option<(Harness, Keeper)> {
    Some((Harness::in_memory().await, Box::new(())))
}
