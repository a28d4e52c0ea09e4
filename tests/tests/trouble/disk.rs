//! A disk that is full, under the append-only file of Redis.

use crate::{SOON, TWO_LEASES, impatient};
use legwork::{Client, JobId};
use tests::shim::Disk;
use tests::world::World;
use tests::{passed, until};

async fn world(fsync: &str) -> Option<(Disk, World)> {
    let disk = Disk::mount(6)?;
    let at = disk.path().display().to_string();
    let args = ["--appendonly", "yes", "--appendfsync", fsync, "--dir", &at];
    Some((disk, World::redis_with(&[], &args).await?))
}

/// Enqueues until that is refused; what was answered joins `ids`.
async fn until_refused(jobs: &Client, ids: &mut Vec<JobId>) -> legwork::Error {
    until("nothing is taken in", SOON, async || match jobs.enqueue_raw("probe.work", r#"{"ms":20}"#).await {
        Ok(receipt) => {
            ids.push(receipt.id);
            None
        }
        Err(error) => Some(error),
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_holds_everything_up_and_loses_nothing() {
    let Some((disk, world)) = world("everysec").await else {
        return;
    };
    let mut ids = world.enqueue("probe.work", r#"{"ms":60}"#, 200).await;
    let _workers = [world.worker(4).await, world.worker(4).await];
    world.begun(20).await;
    let jobs = impatient(&world.url).await;
    disk.fill();
    let error = until_refused(&jobs, &mut ids).await;
    assert!(error.is_refused() && error.to_string().contains("does not take writes"), "{error:?}");
    passed(TWO_LEASES).await;
    disk.free();
    world.all_done(&ids, SOON).await;
    // What handlers had done when the disk was full was kept, and nobody was blamed.
    world.none_charged(&ids).await;
    assert_eq!(world.started(), ids.len(), "each ran once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_ends_on_a_full_disk_loses_nothing() {
    let Some((disk, mut world)) = world("always").await else {
        return;
    };
    let mut ids = world.enqueue("probe.work", r#"{"ms":60}"#, 200).await;
    let _workers = [world.worker(4).await, world.worker(4).await];
    world.begun(20).await;
    let jobs = impatient(&world.url).await;
    disk.fill();
    let error = until_refused(&jobs, &mut ids).await;
    assert!(error.is_unavailable(), "with `always` Redis ends: {error:?}");
    let gone = async || world.server().command(&["PING"]).is_err().then_some(());
    until("the server is gone", SOON, gone).await;
    disk.free();
    world.server.as_mut().expect("a server").restart();
    world.all_done(&ids, SOON).await;
    world.none_charged(&ids).await;
}
