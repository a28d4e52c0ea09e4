//! Power that fails: processes are gone, and of their files stays what had been synced.

use crate::{SOON, pairs};
use legwork::{Client, ClientOptions, Durability, JobId};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tests::shim::Power;
use tests::world::World;
use tests::{Program, until};

/// A Redis whose append-only file is synced like this, and whose power may fail.
async fn synced(when: &str) -> Option<(Power, World)> {
    let power = Power::of_appended()?;
    let args = ["--appendonly", "yes", "--appendfsync", when];
    let world = World::redis_with(&pairs(&power.env()), &args).await?;
    Some((power, world))
}

/// Enqueues from some callers until `enough` are answered; each answer with its instant.
async fn accepted(world: &World, enough: usize) -> Vec<(JobId, Instant)> {
    let all = Mutex::new(Vec::new());
    let caller = async || {
        while all.lock().expect("whole").len() < enough {
            let id = world.jobs.enqueue_raw("probe.work", r#"{"ms":1}"#).await.expect("enqueued").id;
            all.lock().expect("whole").push((id, Instant::now()));
        }
    };
    tokio::join!(caller(), caller(), caller(), caller());
    all.into_inner().expect("whole")
}

/// The directories that hold append-only files.
fn kept_in(world: &World) -> PathBuf {
    let newer = world.dir.path().join("appendonlydir");
    if newer.is_dir() { newer } else { world.dir.path().into() }
}

/// Lets a server fail in the middle of work; those accepted, and the bytes that were lost.
async fn fail(world: &mut World, power: &Power) -> (Vec<(JobId, Instant)>, Instant, u64) {
    let mut worker = world.worker(4).await;
    let mut ids = Vec::new();
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(2_700) {
        ids.extend(accepted(world, 100).await);
    }
    let server = world.server.as_mut().expect("a server");
    server.kill();
    let failed = Instant::now();
    worker.kill();
    let lost = power.lose(&kept_in(world));
    world.server.as_mut().expect("a server").restart();
    (ids, failed, lost)
}

/// Which of these neither wait nor ran.
async fn lost(world: &World, ids: impl Iterator<Item = JobId>) -> Vec<JobId> {
    let ran: std::collections::BTreeSet<String> =
        world.ledger().into_iter().filter(|line| line.done).map(|line| line.id).collect();
    let mut lost = Vec::new();
    for id in ids {
        if !ran.contains(&id.to_string()) && world.jobs.job(id).await.expect("read").is_none() {
            lost.push(id);
        }
    }
    lost
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_appendfsync_always_a_power_loss_loses_nothing() {
    let Some((power, mut world)) = synced("always").await else { return };
    let (ids, ..) = fail(&mut world, &power).await;
    world.audited().await;
    let gone = lost(&world, ids.iter().map(|(id, _)| *id)).await;
    assert!(gone.is_empty(), "{} of {} lost", gone.len(), ids.len());
    let _worker = world.worker(8).await;
    world.all_done(&ids.iter().map(|(id, _)| *id).collect::<Vec<_>>(), SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_everysec_a_power_loss_costs_the_last_two_seconds_and_halves_nothing() {
    let Some((power, mut world)) = synced("everysec").await else { return };
    let (ids, failed, bytes) = fail(&mut world, &power).await;
    assert!(bytes > 0, "this power loss loses nothing: is the shim at work?");
    world.audited().await;
    let (young, old): (Vec<_>, Vec<_>) =
        ids.into_iter().partition(|(_, at)| failed - *at < Duration::from_secs(2));
    let gone = lost(&world, old.iter().map(|(id, _)| *id)).await;
    assert!(gone.is_empty(), "{} of {} older than two seconds lost", gone.len(), old.len());
    let gone = lost(&world, young.iter().map(|(id, _)| *id)).await;
    eprintln!(
        "everysec: lost {} of {} younger than two seconds, 0 of {}",
        gone.len(),
        young.len(),
        old.len()
    );
    let _worker = world.worker(8).await;
    world.all_done(&old.iter().map(|(id, _)| *id).collect::<Vec<_>>(), SOON).await;
}

/// What an enqueue demanded of the disk is there, whatever else is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_demanded_the_disk_survives_a_power_loss_with_everysec() {
    let Some((power, mut world)) = synced("everysec").await else { return };
    let options = ClientOptions { durability: Some(Durability::Fsync), ..ClientOptions::default() };
    let demanding = match Client::connect_with(&world.url, options).await {
        Err(e) if e.is_refused() => return eprintln!("skipped: this server cannot: {e}"),
        connected => connected.expect("connected"),
    };
    let safe = Mutex::new(Vec::new());
    let demand = async {
        loop {
            let id = demanding.enqueue_raw("probe.work", r#"{"ms":1}"#).await.expect("enqueued").id;
            safe.lock().expect("whole").push(id);
        }
    };
    let (_, _, bytes) =
        tokio::select! { failed = fail(&mut world, &power) => failed, () = demand => unreachable!() };
    let safe = safe.into_inner().expect("whole");
    assert!(bytes > 0 && !safe.is_empty(), "{bytes} bytes lost, {} answered", safe.len());
    world.audited().await;
    let gone = lost(&world, safe.iter().copied()).await;
    assert!(gone.is_empty(), "{} of {} lost", gone.len(), safe.len());
}

/// The ids that a producer noted as answered.
fn answered(ledger: &Path) -> Vec<JobId> {
    let text = std::fs::read_to_string(ledger).unwrap_or_default();
    text.lines().filter_map(|line| line.strip_prefix("A ")?.parse().ok()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_loses_nothing_to_a_power_loss() {
    for round in 1..=3 {
        let Some(power) = Power::of_any() else { return };
        let (files, dir) =
            (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let url = format!("sqlite:{}", files.path().join("queue.db").display());
        let noted = dir.path().join("answered");
        // Nobody else has the file open: what was not synced under the shim counts as lost.
        let start = |args: &[&str]| {
            let program = Program::new("probe").args(args);
            power.env().iter().fold(program, |program, (name, value)| program.env(name, value)).start()
        };
        let mut producer = start(&["producer", &url, &noted.display().to_string()]);
        producer.line("probe is up", SOON).await;
        let ledger = dir.path().join("ledger").display().to_string();
        let mut worker = start(&["worker", &url, &ledger, "1000", "4"]);
        let more = async || (answered(&noted).len() >= 150 * round).then_some(());
        until("jobs are answered", SOON, more).await;
        producer.kill();
        worker.kill();
        power.lose(files.path());
        let ids = answered(&noted);
        let world = World::at(url, dir, None).await.expect("it opens again");
        world.audited().await;
        let gone = lost(&world, ids.iter().copied()).await;
        assert!(gone.is_empty(), "{} of {} lost", gone.len(), ids.len());
        let _worker = world.worker(8).await;
        world.all_done(&ids, SOON).await;
    }
}
