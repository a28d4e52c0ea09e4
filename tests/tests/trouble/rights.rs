//! Rights that are taken away, files that cannot be opened any more, callers that go away.

use crate::SOON;
use legwork::backend::LeaseRequest;
use std::process::Command;
use std::time::Duration;
use tests::world::World;
use tests::{Process, passed, until};

/// A number of a server's `INFO`.
fn info(world: &World, section: &str, name: &str) -> u64 {
    let said = world.server().command(&["INFO", section]).expect("answered");
    let line = said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or_else(|| panic!("{name} in {said}"))
}

/// Takes something from a worker, sees that it says so and does not spin, gives it back.
async fn without(world: &World, worker: &mut Process, take: &[&[&str]], give: &[&str], word: &str) {
    let from = worker.output().len();
    for command in take {
        world.server().command(command).expect("answered");
    }
    worker.line_after(from, "probe is not ready", SOON).await;
    let before = info(world, "stats", "total_connections_received");
    passed(Duration::from_secs(2)).await;
    let tries = info(world, "stats", "total_connections_received") - before;
    assert!(tries <= 30, "{tries} connections in two seconds");
    assert!(worker.output()[from..].contains(word), "{}", worker.output());
    let from = worker.output().len();
    world.server().command(give).expect("answered");
    worker.line_after(from, "probe is ready", SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_password_makes_a_worker_unready_and_charges_nobody() {
    let Some(world) = World::redis_with(&[], &[]).await else {
        return;
    };
    world.server().command(&["ACL", "SETUSER", "w", "on", ">hush-hush", "~*", "&*", "+@all"]).expect("made");
    let url = format!("{}?user=w&pass=hush-hush", world.url);
    let mut worker = world.worker_with(&url, 4, &[]).await;
    worker.line("probe is ready", SOON).await;
    let ids = world.enqueue("probe.work", r#"{"ms":400}"#, 40).await;
    world.begun(4).await;
    let rotated: [&[&str]; 2] =
        [&["ACL", "SETUSER", "w", "resetpass", ">changed"], &["CLIENT", "KILL", "USER", "w"]];
    without(
        &world,
        &mut worker,
        &rotated,
        &["ACL", "SETUSER", "w", "resetpass", ">hush-hush"],
        "check user and password",
    )
    .await;
    let barred: [&[&str]; 1] = [&["ACL", "SETUSER", "w", "-evalsha"]];
    without(&world, &mut worker, &barred, &["ACL", "SETUSER", "w", "+evalsha"], "NOPERM").await;
    world.all_done(&ids, SOON).await;
    world.none_charged(&ids).await;
    assert_eq!(world.started(), ids.len(), "each ran once");
    let said = worker.output();
    assert!(!said.contains("hush-hush") && !said.contains("changed"), "a secret is told");
}

/// The seconds of processor time that a process has used.
fn cpu(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let after = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: f64 = after.split(' ').skip(11).take(2).filter_map(|n| n.parse::<f64>().ok()).sum();
    ticks / 100.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_may_open_no_file_does_not_spin_and_comes_back() {
    let Some(world) = World::redis_with(&[], &[]).await else {
        return;
    };
    let mut worker = world.worker(4).await;
    worker.line("probe is ready", SOON).await;
    let prlimit = |worker: &Process, files: &str| {
        let args = [format!("--pid={}", worker.pid()), format!("--nofile={files}")];
        let done = Command::new("prlimit").args(args).status();
        assert!(done.is_ok_and(|status| status.success()), "prlimit");
    };
    prlimit(&worker, "4:1024");
    let from = worker.output().len();
    world.server().command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).expect("killed");
    world.server().command(&["CLIENT", "KILL", "TYPE", "pubsub"]).expect("killed");
    worker.line_after(from, "probe is not ready", SOON).await;
    let before = cpu(worker.pid());
    passed(Duration::from_secs(2)).await;
    let used = cpu(worker.pid()) - before;
    assert!(used < 0.6, "{used} s of two in which nothing could be done");
    assert!(worker.output().contains("os error 24"), "{}", worker.output());
    let from = worker.output().len();
    prlimit(&worker, "1024:1024");
    worker.line_after(from, "probe is ready", SOON).await;
    let ids = world.enqueue("probe.work", r#"{"ms":1}"#, 20).await;
    world.all_done(&ids, SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_away_in_mid_call_leaves_nothing_half_done() {
    let Some(world) = World::redis_with(&[], &[]).await else {
        return;
    };
    let (mut answered, mut dropped) = (Vec::new(), 0);
    for n in 0..400_u64 {
        let call = world.jobs.enqueue_raw("probe.work", r#"{"ms":0}"#);
        // Half go away after so many looks, however fast the machine is, the others by the clock.
        let patience = async {
            match n % 2 {
                0 => {
                    for _ in 0..n % 10 {
                        tokio::task::yield_now().await;
                    }
                }
                _ => tokio::time::sleep(Duration::from_micros(n * 7 % 900)).await,
            }
        };
        tokio::select! {
            biased;
            receipt = call.into_future() => answered.push(receipt.expect("enqueued").id),
            () = patience => dropped += 1,
        }
    }
    // Leases whose answer nobody waits for expire.
    let backend = world.jobs.backend();
    for n in 0..40_u64 {
        let queues = vec![("default".to_owned(), 5)];
        let ask = LeaseRequest { worker: "gone".into(), queues, most: 5, alone: false, ttl_ms: 500 };
        let _ = tokio::time::timeout(Duration::from_micros(n * 11 % 400), backend.lease(&ask)).await;
    }
    answered.extend(world.enqueue("probe.work", r#"{"ms":0}"#, 1).await);
    world.audited().await;
    let _worker = world.worker(16).await;
    world.all_done(&answered, SOON).await;
    let empty = async || {
        let queues = world.jobs.queues().await.ok()?;
        let open = |q: &legwork::backend::QueueView| {
            legwork::State::ALL.iter().filter(|s| !s.is_final()).map(|s| q.count(*s)).sum::<u64>()
        };
        (queues.iter().map(open).sum::<u64>() == 0).then_some(())
    };
    until("the queue is empty", SOON, empty).await;
    world.audited().await;
    let ran: std::collections::BTreeSet<String> = world.ledger().into_iter().map(|l| l.id).collect();
    assert_eq!(world.started(), ran.len(), "each ran once");
    assert!(dropped > 20 && ran.len() >= answered.len(), "{dropped} dropped, {} ran", ran.len());
}
