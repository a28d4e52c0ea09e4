//! What sentinels say is not believed: half-open ones, ones that know nothing, ones that name
//! a server that is no primary. The sentinels are played; the servers are real.

use legwork::testing::server::TestServer;
use legwork::{Client, State};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tests::{skip, until};

/// A sentinel that names whom it is told to name, `None` for nobody; returns its port.
fn sentinel(named: Arc<Mutex<Option<u16>>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its port").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let named = named.clone();
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(n) = stream.read(&mut buffer)
                    && n > 0
                {
                    let asked = String::from_utf8_lossy(&buffer[..n]).to_uppercase();
                    let port = named.lock().expect("nobody panics here").map(|port| port.to_string());
                    let told = match port {
                        Some(port) => format!("*2\r\n$9\r\n127.0.0.1\r\n${}\r\n{port}\r\n", port.len()),
                        None => "*-1\r\n".into(),
                    };
                    let greetings = "+OK\r\n".repeat(asked.matches("SETINFO").count());
                    let told = if asked.contains("GET-MASTER") { told } else { String::new() };
                    if stream.write_all(format!("{greetings}{told}").as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demoted_primary_is_left() {
    let (Some(a), Some(b)) = (TestServer::start_tcp(), TestServer::start_tcp()) else {
        return skip("redis-server is not installed");
    };
    let (port_a, port_b) = (a.port().expect("a port"), b.port().expect("a port"));
    // One takes connections and says nothing, one knows no primary, and one is right.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = silent.local_addr().map(|at| (silent, at.port())).expect("its port");
    let ignorant = sentinel(Arc::new(Mutex::new(None)));
    let named = Arc::new(Mutex::new(Some(port_a)));
    let hosts = format!("127.0.0.1:{},127.0.0.1:{ignorant},127.0.0.1:{}", silent.1, sentinel(named.clone()));
    let began = Instant::now();
    let jobs =
        Client::connect(&format!("redis+sentinel://{hosts}/main?ns=test-demoted")).await.expect("found");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    let first = jobs.enqueue_raw("a", "1").await.expect("enqueued").id;

    b.command(&["REPLICAOF", "127.0.0.1", &port_a.to_string()]).expect("asked");
    until("the replica follows", Duration::from_secs(10), async || {
        let said = b.command(&["INFO", "replication"]).ok()?;
        said.contains("master_link_status:up").then_some(())
    })
    .await;
    b.command(&["REPLICAOF", "NO", "ONE"]).expect("asked");
    a.command(&["REPLICAOF", "127.0.0.1", &port_b.to_string()]).expect("asked");

    // The socket lives, and its server says READONLY. The sentinel still names it: no call
    // gets through, and none is lost.
    let waiting = tokio::spawn({
        let jobs = jobs.clone();
        async move { jobs.enqueue_raw("b", "2").await }
    });
    until("the old primary has refused", Duration::from_secs(10), async || {
        a.command(&["INFO", "errorstats"]).ok()?.contains("errorstat_READONLY").then_some(())
    })
    .await;
    *named.lock().expect("nobody panics here") = Some(port_b);
    let second = waiting.await.expect("no panic").expect("enqueued after all").id;
    for id in [first, second] {
        assert_eq!(jobs.job(id).await.expect("asked").expect("there").state, State::Available);
    }
    assert!(b.command(&["EXISTS", "{test-demoted:0}:jobs"]).expect("asked").starts_with(":1"));

    let error = Client::connect(&format!("redis+sentinel://127.0.0.1:{ignorant}/main")).await.unwrap_err();
    assert!(error.is_refused() && error.to_string().contains("no primary named \"main\""), "{error:?}");
    *named.lock().expect("nobody panics here") = Some(port_a);
    let last = hosts.rsplit(',').next().expect("a host");
    let error = Client::connect(&format!("redis+sentinel://{last}/main")).await.unwrap_err();
    assert!(error.is_unavailable() && error.to_string().contains("is not the primary"), "{error:?}");
}
