//! A Redis that answers, and will not do what it is asked: it loads, is a replica, has
//! forgotten the scripts, is busy with somebody else's.

use crate::{SOON, TWO_LEASES, impatient};
use legwork::Client;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tests::world::World;
use tests::{passed, until};

/// What a caller without patience hears, once it hears this word: unavailable, never failed.
async fn hears(jobs: &Client, word: &str) {
    until(word, SOON, async || {
        let error = jobs.enqueue_raw("probe.other", "{}").queue("other").await.err()?;
        assert!(error.is_unavailable(), "{error:?}");
        error.to_string().contains(word).then_some(())
    })
    .await;
}

/// The file that grows, of the append-only files below a directory.
fn append_only(dir: &Path) -> Option<PathBuf> {
    std::fs::read_dir(dir).ok()?.flatten().find_map(|entry| match entry.path() {
        path if path.is_dir() => append_only(&path),
        path => ["incr.aof", "appendonly.aof"]
            .iter()
            .any(|end| path.ends_with(end) || path.to_string_lossy().ends_with(end))
            .then_some(path),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_loads_is_waited_for() {
    let keeps = ["--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0"];
    let Some(mut world) = World::redis_with(&[], &keeps).await else {
        return;
    };
    let mut ids = world.enqueue("probe.work", r#"{"ms":30}"#, 200).await;
    let worker = world.worker(4).await;
    world.begun(20).await;
    let mut server = world.server.take().expect("a server");
    server.kill();
    let file = append_only(world.dir.path()).expect("an append-only file");
    let one = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n".repeat(10_000);
    let mut file = std::fs::File::options().append(true).open(file).expect("opened");
    (0..200).for_each(|_| file.write_all(&one).expect("written"));
    let back = std::thread::spawn(move || {
        server.restart();
        server
    });
    until("it loads", SOON, async || worker.output().contains("LOADING").then_some(())).await;
    ids.extend(world.enqueue("probe.work", r#"{"ms":1}"#, 3).await);
    world.server = Some(back.join().expect("it came back"));
    world.all_done(&ids, SOON).await;
    // A lease that was granted when the server died, and whose reply nobody got, may be taken
    // for a crash: of as many as the worker had asked for, and no more.
    let mut crashes = 0;
    for id in ids {
        let job = world.jobs.job(id).await.expect("read").expect("kept");
        assert_eq!(job.attempts, 1, "{id}");
        crashes += job.crashes;
    }
    assert!(crashes <= 4, "{crashes} crashes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demoted_server_is_waited_for() {
    let Some(world) = World::redis_with(&[], &[]).await else {
        return;
    };
    let ids = world.enqueue("probe.work", r#"{"ms":100}"#, 100).await;
    let _workers = [world.worker(4).await, world.worker(4).await];
    world.begun(12).await;
    let jobs = impatient(&world.url).await;
    world.server().command(&["REPLICAOF", "127.0.0.1", "1"]).expect("demoted");
    hears(&jobs, "READONLY").await;
    passed(TWO_LEASES).await;
    world.server().command(&["REPLICAOF", "NO", "ONE"]).expect("promoted");
    world.all_done(&ids, SOON).await;
    world.none_charged(&ids).await;
    assert_eq!(world.started(), ids.len(), "each ran once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_flushed_under_load_are_nobodys_error() {
    let Some(world) = World::redis_with(&[], &[]).await else {
        return;
    };
    let _workers = [world.worker(8).await, world.worker(8).await];
    let jobs = impatient(&world.url).await;
    let flush = async {
        let mut every = tokio::time::interval(Duration::from_millis(100));
        loop {
            every.tick().await;
            world.server().command(&["SCRIPT", "FLUSH"]).expect("flushed");
        }
    };
    let callers: Vec<_> = (0..32)
        .map(|_| {
            let jobs = jobs.clone();
            tokio::spawn(async move {
                let mut ids = Vec::new();
                for _ in 0..40 {
                    ids.push(jobs.enqueue_raw("probe.work", r#"{"ms":10}"#).await.expect("enqueued").id);
                }
                ids
            })
        })
        .collect();
    let load = async {
        let mut ids = Vec::new();
        for caller in callers {
            ids.extend(caller.await.expect("no caller sees an error"));
        }
        world.all_ran(&ids, Duration::from_secs(30)).await;
        ids
    };
    let ids = tokio::select! { ids = load => ids, () = flush => unreachable!("it never ends") };
    world.all_done(&ids, SOON).await;
    world.none_charged(&ids).await;
    assert_eq!(world.started(), ids.len(), "each ran once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_busy_with_a_script_is_waited_for() {
    let Some(world) = World::redis_with(&[], &["--lua-time-limit", "100"]).await else {
        return;
    };
    let ids = world.enqueue("probe.work", r#"{"ms":100}"#, 100).await;
    let _worker = world.worker(4).await;
    world.begun(12).await;
    let jobs = impatient(&world.url).await;
    let other = redis::Client::open(world.url.as_str()).expect("an address");
    let busy = std::thread::spawn(move || {
        let mut connection = other.get_connection().expect("connected");
        redis::cmd("EVAL").arg("while true do end").arg(0).query::<redis::Value>(&mut connection)
    });
    hears(&jobs, "BUSY").await;
    passed(TWO_LEASES).await;
    let killed = world.server().command(&["SCRIPT", "KILL"]).expect("asked");
    assert!(killed.starts_with("+OK"), "nobody else did: {killed}");
    assert!(busy.join().expect("ended").is_err());
    world.all_done(&ids, SOON).await;
    world.none_charged(&ids).await;
    assert_eq!(world.started(), ids.len(), "each ran once");
}
