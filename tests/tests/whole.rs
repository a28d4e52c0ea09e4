//! Runnerly whole, in one process, on the embedded defaults.

use runnerly::storage::Storage;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use tests::runnerly::{RECORDED, assert_worked_numbers, gpx_of_today, storage};
use tests::{Process, Program, free_port, recordings, skip, until};

const LONG: Duration = Duration::from_secs(120);

fn runnerly(data: &Path) -> Program {
    Program::new("runnerly").args(["--data-dir".as_ref(), data.as_os_str()])
}

async fn serve(data: &Path) -> Process {
    let listen = format!("127.0.0.1:{}", free_port());
    let mut process = runnerly(data).args(["--listen", &listen]).start();
    process.line("Runnerly is ready", LONG).await;
    process
}

fn stats(data: &Path) -> Value {
    runnerly(data).args(["stats", "--json"]).run(LONG).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_history_equals_the_worked_numbers() {
    let Some(recordings) = recordings() else { return skip("no recordings on this machine") };
    let dir = tempfile::tempdir().expect("a directory");
    let sync = || {
        let sync = runnerly(dir.path()).args(["--recordings".as_ref(), recordings.as_os_str()]);
        let done = sync.args(["sync", "--wait", "--json"]).run(LONG);
        assert_eq!(done.code, Some(0), "{done:?}");
        done.json()
    };
    let first = sync();
    assert_eq!((&first["inserted"], &first["streams_pending"]), (&1_132.into(), &0.into()));
    let before = stats(dir.path());
    assert_worked_numbers(&before);
    let second = sync();
    assert_eq!((&second["inserted"], &second["updated"]), (&0.into(), &0.into()));
    assert_eq!(stats(dir.path()), before, "a second sync changes nothing");
    time_zones(&storage(dir.path()).await).await;
}

/// Runs that began on another date by UTC belong to the local day, month and year.
async fn time_zones(storage: &Storage) {
    let local = |id| async move {
        let run = storage.activity(RECORDED, id).await.expect("read").expect("stored");
        (run.start_local.to_string(), run.start.naive_utc().to_string())
    };
    let silvester = local(1_335_501_607).await;
    assert_eq!(silvester, ("2017-12-31 23:59:07".into(), "2018-01-01 04:59:07".into()));
    let all = storage.all_activities(RECORDED).await.expect("read");
    let moved = all.iter().filter(|a| a.is_run() && a.start_local.date() != a.start.date_naive()).count();
    assert_eq!(moved, 26);
}

#[tokio::test(flavor = "multi_thread")]
async fn best_efforts_and_splits_equal_the_worked_numbers() {
    let Some(recordings) = recordings() else { return skip("no recordings on this machine") };
    const RUN: i64 = 4_437_021_783;
    let dir = tempfile::tempdir().expect("a directory");
    let listen = format!("127.0.0.1:{}", free_port());
    let args = ["--listen".as_ref(), listen.as_ref(), "--recordings".as_ref(), recordings.as_os_str()];
    let mut process = runnerly(dir.path()).args(args).start();
    process.line("Runnerly is ready", LONG).await;
    let done = runnerly(dir.path()).args(["sync", "--wait"]).run(LONG);
    assert_eq!(done.code, Some(0), "{done:?}");
    // The run with recorded streams is in nobody's list: it is fetched by its id, by the
    // same job, as after an event of Strava's.
    let queue = format!("sqlite:{}", dir.path().join("queue.db").display());
    let payload = format!(r#"{{"athlete":{RECORDED},"activity":{RUN}}}"#);
    let enqueued =
        Program::new("legwork").args(["--url", &queue, "enqueue", "activity.streams", &payload]).run(LONG);
    assert_eq!(enqueued.code, Some(0), "{enqueued:?}");
    let storage = storage(dir.path()).await;
    let efforts = until("the efforts are there", LONG, || async {
        let efforts = storage.efforts(RECORDED, RUN).await.ok()?;
        (storage.streams(RECORDED, RUN).await.ok()?.is_some() && !efforts.is_empty()).then_some(efforts)
    });
    let efforts: Vec<(f64, i64)> = efforts.await.iter().map(|e| (e.distance_m, e.seconds)).collect();
    let worked = [
        (400.0, 143),
        (805.0, 297),
        (1000.0, 370),
        (1609.0, 606),
        (3219.0, 1226),
        (5000.0, 1946),
        (10000.0, 4272),
    ];
    assert_eq!(efforts, worked);
    for (unit, first) in [
        ("km", vec![(1005.3, 423), (994.9, 389), (1000.5, 403)]),
        ("mile", vec![(1614.6, 662), (1610.4, 637)]),
    ] {
        let splits = storage.splits(RECORDED, RUN, unit).await.expect("read").expect("stored");
        let rounded = |m: f64| (m * 10.0).round() / 10.0;
        let found: Vec<_> =
            splits.iter().take(first.len()).map(|s| (rounded(s.distance_m), s.elapsed_s)).collect();
        assert_eq!(found, first, "{unit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_sync_is_completed_after_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut first = serve(dir.path()).await;
    let enqueued = runnerly(dir.path()).args(["sync", "--json"]).run(LONG);
    assert_eq!(enqueued.code, Some(0), "{enqueued:?}");
    let athlete = enqueued.json()["athlete"].as_i64().expect("an athlete");
    let storage = storage(dir.path()).await;
    let pending = || async { Some(storage.runs_without_streams(athlete, 10_000).await.ok()?.len()) };
    let all = || async { storage.all_activities(athlete).await.ok() };
    until("the sync is in its middle", LONG, || async {
        let (pending, runs) = (pending().await?, all().await?.iter().filter(|a| a.is_run()).count());
        (runs > 0 && pending > 0 && pending < runs).then_some(())
    })
    .await;
    first.kill();
    let _second = serve(dir.path()).await;
    until("the sync is completed", LONG, || async {
        let athlete = storage.athlete(athlete).await.ok()??;
        (athlete.sync.last_synced_at.is_some() && pending().await? == 0).then_some(())
    })
    .await;
    let after = stats(dir.path());
    // What Strava has, counted there.
    let fresh = tempfile::tempdir().expect("a directory");
    let done = runnerly(fresh.path()).args(["sync", "--wait", "--json"]).run(LONG);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(after, stats(fresh.path()), "nothing lost, nothing doubled");
    let summary = until("the statistics follow", LONG, || async {
        storage
            .stats::<Value>(athlete, "summary")
            .await
            .ok()?
            .filter(|(s, _)| s["activities"] == after["activities"])
    });
    assert_eq!(summary.await.0["years"], after["years"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_program_ends_in_good_order_and_keeps_everything() {
    let dir = tempfile::tempdir().expect("a directory");
    let done = runnerly(dir.path()).args(["sync", "--wait"]).run(LONG);
    assert_eq!(done.code, Some(0), "{done:?}");
    let before = stats(dir.path());
    let mut process = serve(dir.path()).await;
    process.signal("TERM");
    assert!(process.wait(Duration::from_secs(40)).success(), "{}", process.output());
    assert_eq!(stats(dir.path()), before);
    let secret = std::fs::metadata(dir.path().join("runnerly.key")).expect("a key file");
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&secret.permissions()) & 0o777, 0o600);
}

/// A file and the job that imports it are committed together, and so are the run that comes of
/// it and what tells of it: a crash behind either commit loses nothing and doubles nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_run_is_counted_matched_and_told_whatever_is_killed() {
    let dir = tempfile::tempdir().expect("a directory");
    let storage = storage(dir.path()).await;
    storage.save_athlete(0, "Ada", &serde_json::json!({})).await.expect("saved");
    let plan = runnerly::plan::Planned {
        id: "a".into(),
        athlete: 0,
        day: chrono::Utc::now().date_naive(),
        name: "lap run".into(),
        distance_m: Some(3_200.0),
        duration_s: None,
        note: String::new(),
        activity: None,
    };
    storage.save_planned(&plan).await.expect("planned");
    // Taken in by a front that died right behind the commit: nobody has told the queue.
    storage.save_upload("u", 0, "lake.gpx", gpx_of_today().as_bytes()).await.expect("saved");
    let mut first = serve(dir.path()).await;
    let runs = async || storage.all_activities(0).await.ok();
    until("the run is stored", LONG, async || runs().await.filter(|runs| !runs.is_empty())).await;
    first.kill();
    let _second = serve(dir.path()).await;
    let told = until("the three things have happened", LONG, async || {
        let (summary, _) = storage.stats::<Value>(0, "summary").await.ok()??;
        let messages = storage.messages(0, 10).await.ok()?;
        let told = messages.iter().any(|m| m.planned.is_some());
        (summary["runs"] == 1 && told && storage.records(0).await.ok()?.len() > 1).then_some(messages)
    })
    .await;
    assert_eq!((told.len(), told[0].planned.as_deref(), told[0].read), (1, Some("lap run"), false));
    let run = &runs().await.expect("read")[0];
    assert_eq!(storage.planned(0, "a").await.expect("read").expect("kept").activity, Some(run.id));
    assert_eq!(storage.unread(0).await.expect("read"), 1);
}
