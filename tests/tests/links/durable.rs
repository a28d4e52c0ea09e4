//! Enqueues that demand a replica or a disk: what was answered is there after a failover, and
//! what a server cannot give is refused when a client connects.

use legwork::backend::{EnqueueBatch, Guard};
use legwork::testing::server::TestServer;
use legwork::{Client, ClientOptions, Durability, JobId};
use std::time::{Duration, Instant};
use tests::{passed, skip, until};

const SOON: Duration = Duration::from_secs(20);

pub(crate) fn options(durability: Durability) -> ClientOptions {
    ClientOptions { durability: Some(durability), patience: Duration::from_millis(500), ..Default::default() }
}

/// An enqueue of one job, as it is repeated under the same number.
fn one_job() -> EnqueueBatch {
    let envelope = legwork::Envelope::new("a.job", "1").expect("good");
    let job = legwork::backend::NewJob {
        record: envelope.encode(),
        envelope,
        due: legwork::backend::Due::Now,
        chosen: false,
    };
    EnqueueBatch { lane: "lane".into(), seq: 1, jobs: vec![job], guard: Guard::None, flow: None }
}

/// A primary and its replica, in step.
async fn pair() -> Option<(TestServer, TestServer)> {
    let primary = TestServer::start_tcp()?;
    let replica = TestServer::start_tcp()?;
    follow(&primary, &replica).await;
    Some((primary, replica))
}

async fn follow(primary: &TestServer, replica: &TestServer) {
    let port = primary.port().expect("a port").to_string();
    // It would wait five seconds for other replicas to come.
    primary.command(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]).expect("answered");
    replica.command(&["REPLICAOF", "127.0.0.1", &port]).expect("answered");
    until("the replica is in step", SOON, async || {
        let said = replica.command(&["INFO", "replication"]).ok()?;
        said.contains("master_link_status:up").then_some(())
    })
    .await;
}

pub(crate) fn signal(server: &TestServer, signal: &str) {
    let pid = server.pid().expect("it runs").to_string();
    let sent = std::process::Command::new("kill").args([signal, &pid]).status();
    assert!(sent.is_ok_and(|status| status.success()), "kill {signal}");
}

/// Enqueues one after the other until told to stop; what was answered, and what was not. The jobs
/// are large: what a server that hangs has been sent is not lost as long as it fits into buffers of
/// the system, some megabytes.
pub(crate) async fn enqueue(jobs: &Client, until: Instant) -> (Vec<JobId>, usize) {
    let (mut answered, mut failed) = (Vec::new(), 0);
    let payload = format!("\"{}\"", "x".repeat(100_000));
    while Instant::now() < until {
        match jobs.enqueue_raw("a.job", &payload).await {
            Ok(receipt) => answered.push(receipt.id),
            Err(e) => {
                assert!(e.is_unavailable(), "{e}");
                failed += 1;
            }
        }
    }
    (answered, failed)
}

/// The replica hangs, the primary goes on alone and dies, the replica takes its place. Returns
/// how many of those answered are lost.
async fn failover(durability: Durability) -> Option<(usize, usize, usize)> {
    let (mut primary, replica) = pair().await?;
    let url = format!("{}?ns=test-durable", primary.url());
    let jobs = Client::connect_with(&url, options(durability)).await.expect("connected");
    let (mut answered, failed) = enqueue(&jobs, Instant::now() + Duration::from_millis(200)).await;
    assert_eq!(failed, 0, "all is well so far");
    assert!(!answered.is_empty());
    signal(&replica, "-STOP");
    let (more, failed) = enqueue(&jobs, Instant::now() + Duration::from_millis(1_500)).await;
    answered.extend(more);
    primary.kill();
    signal(&replica, "-CONT");
    until("it answers", SOON, async || replica.command(&["REPLICAOF", "NO", "ONE"]).ok()).await;
    let url = format!("{}?ns=test-durable", replica.url());
    let there = Client::connect(&url).await.expect("the replica has taken over");
    let mut lost = 0;
    for id in &answered {
        lost += usize::from(there.job(*id).await.expect("read").is_none());
    }
    Some((answered.len(), failed, lost))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_replica_has_is_not_lost_by_a_failover() {
    let Some((answered, failed, lost)) = failover(Durability::Replicated(1)).await else {
        return skip("redis-server is not installed");
    };
    println!("replicated:1: {answered} answered, {failed} not, {lost} lost");
    assert!(failed > 0, "a replica that hangs must be missed");
    assert_eq!(lost, 0, "of {answered} answered");
    // The same with nothing demanded, so that this is known to find a loss.
    let (answered, _, lost) = failover(Durability::Memory).await.expect("installed");
    println!("memory: {answered} answered, {lost} lost");
    assert!(lost > 0, "of {answered} answered while the replica hung");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enqueue_that_found_no_replica_is_repeated_and_counts_once() {
    let Some((primary, replica)) = pair().await else {
        return skip("redis-server is not installed");
    };
    let url = format!("{}?ns=test-repeat&durability=replicated:1", primary.url());
    let options = ClientOptions { patience: SOON, ..Default::default() };
    let jobs = Client::connect_with(&url, options).await.expect("connected");
    let receipt = jobs.enqueue_raw("a.job", "1").await.expect("enqueued");
    assert_eq!(receipt.durability, Durability::Replicated(1));
    signal(&replica, "-STOP");
    let (patient, began) = (jobs.clone(), Instant::now());
    let waits = tokio::spawn(async move { patient.enqueue_raw("a.job", "2").await });
    passed(Duration::from_millis(1_300)).await;
    assert!(!waits.is_finished(), "nobody has it but the primary");
    signal(&replica, "-CONT");
    let id = waits.await.expect("whole").expect("the replica is back").id;
    assert!(began.elapsed() > Duration::from_secs(1));
    assert!(jobs.job(id).await.expect("read").is_some());
    assert_eq!(jobs.queues().await.expect("queues")[0].count(legwork::State::Available), 2, "each once");
}

/// What a script has taken in is never said to be refused, whatever fails right behind it: the
/// client would send it again under another number, and it would be there twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_in_is_not_refused_for_what_fails_behind_it() {
    let Some(server) = TestServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]) else {
        return skip("redis-server is not installed");
    };
    let url = format!("{}?ns=test-behind&durability=fsync", server.url());
    let jobs = Client::connect_with(&url, options(Durability::Fsync)).await.expect("connected");
    let batch = one_job();
    // The script may all; what asks behind it whether the disk has it may not.
    let rights = |words: &[&str]| server.command(&[&["ACL", "SETUSER", "default"], words].concat());
    rights(&["-config|get"]).expect("set");
    // A server older than 7.2 has no such command.
    let _ = rights(&["-waitaof"]);
    for _ in 0..2 {
        let error = jobs.backend().enqueue(&batch).await.expect_err("not known to be on the disk");
        assert!(error.is_unavailable() && error.to_string().contains("it may be there or not"), "{error}");
    }
    rights(&["+@all"]).expect("set");
    jobs.backend().enqueue(&batch).await.expect("on the disk");
    assert_eq!(jobs.queues().await.expect("queues")[0].count(legwork::State::Available), 1, "once");
    assert!(jobs.backend().audit().await.expect("audited").is_empty());
}

/// The trap of a repeated call: its script writes nothing, and a `WAIT` behind nothing written
/// is content with a replica that has nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_call_waits_for_what_the_first_has_written() {
    let Some((primary, replica)) = pair().await else {
        return skip("redis-server is not installed");
    };
    let url = format!("{}?ns=test-trap", primary.url());
    let open =
        async || Client::connect_with(&url, options(Durability::Replicated(1))).await.expect("connected");
    let (first, second) = (open().await, open().await);
    let batch = one_job();
    signal(&replica, "-STOP");
    for backend in [first.backend(), second.backend()] {
        let e = backend.enqueue(&batch).await.expect_err("no replica has it");
        assert!(e.is_unavailable() && e.to_string().contains("0 of 1 replicas"), "{e}");
    }
    signal(&replica, "-CONT");
    second.backend().enqueue(&batch).await.expect("the replica has it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_cannot_give_is_refused_when_a_client_connects() {
    let Some(server) = TestServer::start() else {
        return skip("redis-server is not installed");
    };
    let url = format!("{}?ns=test-refused", server.url());
    let refused = async |durability: Durability, part: &str| {
        let e = Client::connect_with(&url, options(durability)).await.expect_err("refused");
        assert!(e.is_refused() && e.to_string().contains(part), "{e}");
    };
    refused(Durability::Replicated(1), "0 of 1 replicas are in step").await;
    let newer = server.command(&["WAITAOF", "0", "0", "1"]).expect("answered").starts_with('*');
    let valkey = server.command(&["HELLO"]).expect("answered").contains("valkey");
    let part = if newer { "set appendonly yes" } else { "appendfsync always" };
    refused(Durability::Fsync, part).await;
    server.command(&["CONFIG", "SET", "appendonly", "yes"]).expect("answered");
    if !newer {
        refused(Durability::Fsync, "needs Redis 7.2, or").await;
    } else if valkey {
        refused(Durability::Fsync, "answers before the disk has it; needs appendonly yes").await;
    }
    server.command(&["CONFIG", "SET", "appendfsync", "always"]).expect("answered");
    let jobs = Client::connect(&format!("{url}&durability=fsync")).await.expect("it can be had now");
    assert_eq!(jobs.enqueue_raw("a.job", "1").await.expect("enqueued").durability, Durability::Fsync);
    if !newer || valkey {
        // What is taken away later is noticed at the next answer.
        server.command(&["CONFIG", "SET", "appendfsync", "everysec"]).expect("answered");
        let hasty = Client::connect_with(&url, options(Durability::Memory)).await.expect("connected");
        assert_eq!(hasty.enqueue_raw("a.job", "1").await.expect("enqueued").durability, Durability::Memory);
        let batch =
            EnqueueBatch { lane: "l".into(), seq: 1, jobs: Vec::new(), guard: Guard::None, flow: None };
        jobs.backend().enqueue(&batch).await.expect("nothing to do");
        let envelope = legwork::Envelope::new("a.job", "1").expect("good");
        let due = legwork::backend::Due::Now;
        let job = legwork::backend::NewJob { record: envelope.encode(), envelope, due, chosen: false };
        let e =
            jobs.backend().enqueue(&EnqueueBatch { jobs: vec![job], ..batch }).await.expect_err("not synced");
        assert!(e.to_string().contains("no-appendfsync-on-rewrite no any more"), "{e}");
    }
}
