//! Opens each backend on an empty namespace for one test.
#![allow(dead_code)] // each test binary opens some of them

use legwork::backend::Backend;
use legwork::backend::redis::Redis;
use legwork::testing::harness::{Harness, START_MS};
use legwork::testing::server::TestServer;
use legwork::{Clock, JobId, ManualClock};
use std::sync::{Arc, Mutex, Weak};

/// What must live as long as a harness: a server or a directory.
pub(crate) type Keeper = Box<dyn Send>;

/// The server that all running tests share. It ends with the last of them: a static
/// would never be dropped, and leave its process behind.
fn server() -> Option<Arc<TestServer>> {
    static SHARED: Mutex<Weak<TestServer>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(|e| e.into_inner());
    if let Some(server) = shared.upgrade() {
        return Some(server);
    }
    let server = Arc::new(TestServer::start()?);
    *shared = Arc::downgrade(&server);
    Some(server)
}

fn harness(backend: Arc<dyn Backend>, other: Arc<dyn Backend>, clock: ManualClock) -> Harness {
    Harness::new(backend, other, clock)
}

/// A private Redis server, and a namespace for this test.
pub(crate) async fn redis() -> Option<(Harness, Keeper)> {
    let server = server()?;
    let url = format!("{}?ns=test-{}", server.url(), JobId::new());
    let clock = ManualClock::new(START_MS);
    let open = async || {
        Arc::new(
            Redis::connect(&url, Clock::Manual(clock.clone()))
                .await
                .unwrap(),
        )
    };
    let (backend, other) = (open().await, open().await);
    Some((harness(backend, other, clock), Box::new(server)))
}
