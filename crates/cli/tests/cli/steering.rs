//! The commands that change jobs and queues.

use crate::run::legwork;
use crate::world::{Act, World};
use legwork::backend::{LeaseRequest, Note, WorkerView};
use legwork::{JobId, State};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn every_id_gets_its_outcome() {
    let world = World::new().await;
    let (one, two) = (world.put("a.job", "1").await, world.put("a.job", "2").await);
    let ran = world.cli(&["discard", &one.to_string(), &two.to_string()]);
    assert_eq!(ran.good(), format!("{one}  is discarded now\n{two}  is discarded now\n"));

    let nobody = JobId::new().to_string();
    let ran = world.cli(&["cancel", &one.to_string(), &nobody]);
    assert_eq!(ran.bad(1), "2 of 2 jobs not cancelled");
    assert_eq!(ran.out, format!("{one}  refused: it is discarded\n{nobody}  there is no such job\n"));

    let ran = world.cli(&["retry", &one.to_string(), &nobody, "--json"]);
    assert_eq!(ran.error(1), ("not_found".into(), "1 of 2 jobs not retried".into()));
    let told: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!((&told[0]["outcome"], &told[0]["state"]), (&"done".into(), &"available".into()));
    assert_eq!((&told[1]["outcome"], &told[1]["id"]), (&"missing".into(), &nobody.as_str().into()));
    assert_eq!((world.state(one).await, world.state(two).await), (State::Available, State::Discarded));

    let told = world.json(&["cancel", &one.to_string()]);
    assert_eq!(told[0]["state"], "cancelled");
    assert_eq!(world.json(&["redrive", &one.to_string()])[0]["state"], "available");
    let (code, _) = world.cli(&["discard", &two.to_string(), "--json"]).error(1);
    assert_eq!(code, "conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_id_among_good_ones_changes_nothing() {
    let world = World::new().await;
    let id = world.put("a.job", "1").await;
    assert!(world.cli(&["cancel", &id.to_string(), "nonsense"]).bad(2).contains("\"nonsense\""));
    assert_eq!(world.state(id).await, State::Available);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_is_asked_to_stop() {
    let world = World::new().await;
    let worker = world.worker().await;
    let held = world.acted(Act::Hold, State::Leased).await;
    let ran = world.cli(&["discard", &held.to_string()]);
    assert!(ran.out.contains("refused: it is leased") && ran.code == 1, "{ran:?}");
    let ran = world.cli(&["cancel", &held.to_string()]);
    assert_eq!(ran.good(), format!("{held}  its worker has been asked to stop\n"));
    world.until(held, State::Cancelled).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_can_be_waited_for() {
    let world = World::new().await;
    let worker = world.worker().await;
    let held = world.acted(Act::Hold, State::Leased).await;
    let ran = world.cli(&["cancel", &held.to_string(), "--wait"]);
    let line = ran.good();
    assert!(line.starts_with(&format!("{held}  acknowledged after ")), "{line}");
    assert!(line.contains(" s, cancelled after ") && line.ends_with(" s\n"), "{line}");
    let waits = world.client.enqueue_raw("no.body", "1").await.expect("enqueued").id;
    let told = world.json(&["cancel", &waits.to_string(), "--wait=5s"]);
    assert_eq!((&told[0]["outcome"], &told[0]["state"]), (&"done".into(), &"cancelled".into()));
    assert_eq!(world.cli(&["cancel", &held.to_string(), "--wait"]).bad(1), "1 of 1 job not cancelled");
    assert!(world.cli(&["cancel", &held.to_string(), "--wait=soon"]).bad(2).contains("soon"));
    worker.stop().await;
    // Held by a worker that is gone: nobody can acknowledge it.
    let request = LeaseRequest {
        worker: "gone".into(),
        queues: vec![("acts".into(), 1)],
        most: 1,
        alone: true,
        ttl_ms: 60_000,
    };
    let id = world.client.enqueue(Act::Hold).await.expect("enqueued").id;
    world.client.backend().lease(&request).await.expect("leased");
    let ran = world.cli(&["cancel", &id.to_string(), "--wait=100ms"]);
    assert_eq!(ran.out, format!("{id}  requested; no worker has acknowledged it yet\n"));
    assert_eq!(ran.code, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_shows_what_its_handler_remembers() {
    let world = World::new().await;
    let id = world.client.enqueue(Act::Hold).await.expect("enqueued").id;
    let request = LeaseRequest {
        worker: "here".into(),
        queues: vec![("acts".into(), 1)],
        most: 1,
        alone: true,
        ttl_ms: 60_000,
    };
    let token = world.client.backend().lease(&request).await.expect("leased").batches[0].token;
    for note in
        [Note::Step { name: "fetch".into(), value: "[1,2]".into() }, Note::Cursor("{\"page\":7}".into())]
    {
        world.client.backend().note(token, id, &note).await.expect("noted");
    }
    let told = world.json(&["job", &id.to_string()]);
    assert_eq!(told["steps"], serde_json::json!([{"name": "fetch", "value": [1, 2]}]));
    assert_eq!((&told["cursor"]["page"], &told["cancel_acknowledged"]), (&7.into(), &false.into()));
    world.client.cancel(id).await.expect("requested");
    world.client.backend().note(token, id, &Note::CancelSeen).await.expect("noted");
    let shown = world.cli(&["job", &id.to_string()]).good().to_owned();
    for words in ["fetch: [1,2]", "{\"page\":7}", "requested of its worker, which has told the handler"] {
        assert!(shown.contains(words), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unique_key_that_is_taken_keeps_a_job_from_coming_back() {
    let world = World::new().await;
    let first = world.client.enqueue_raw("a.job", "1").unique("k").await.expect("enqueued").id;
    world.client.discard(first).await.expect("discarded");
    let second = world.client.enqueue_raw("a.job", "1").unique("k").await.expect("enqueued").id;
    let ran = world.cli(&["retry", &first.to_string()]);
    assert_eq!(
        (ran.bad(1), ran.out.contains(&format!("job {second} holds its unique key"))),
        ("1 of 1 job not retried", true)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_runs_again_now() {
    let world = World::new().await;
    let worker = world.worker().await;
    let failed = world.acted(Act::Fail("busy".into()), State::Retryable).await;
    assert_eq!(world.json(&["retry", &failed.to_string()])[0]["outcome"], "done");
    let attempts = || async { world.client.job(failed).await.expect("answers").expect("kept").attempts };
    let started = std::time::Instant::now();
    while attempts().await < 2 {
        assert!(started.elapsed() < Duration::from_secs(20), "it did not run again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_are_paused_and_resumed() {
    let world = World::new().await;
    world.put("a.job", "1").await;
    assert_eq!(
        world.cli(&["pause", "default", "--for", "15m"]).good().split(" until ").next(),
        Some("default is paused")
    );
    let until = chrono::Utc::now() + chrono::Duration::hours(2);
    let value = world.json(&["pause", "default", "--until", &until.to_rfc3339()]);
    assert_eq!(value["paused_until_ms"], until.timestamp_millis());
    // What lasts longer stays, and the answer says what is so.
    let value = world.json(&["pause", "default", "--for", "1s"]);
    assert_eq!(value["paused_until_ms"], until.timestamp_millis());
    let ran = world.cli(&["pause", "default"]);
    assert_eq!((ran.good(), ran.err.as_str()), ("default is paused until it is resumed\n", ""));
    assert_eq!(world.json(&["queues"])[0]["why"], "paused");

    assert_eq!(world.cli(&["resume", "default"]).good(), "default is resumed\n");
    assert_eq!(world.cli(&["resume", "default"]).good(), "default was not paused\n");
    assert_eq!(world.json(&["resume", "default"])["was_paused"], false);
    assert_eq!(world.json(&["queues"])[0]["paused"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistyped_queue_is_noticed() {
    let world = World::new().await;
    world.put("a.job", "1").await;
    for args in [&["resume", "defualt"][..], &["purge", "defualt", "--yes"], &["purge", "defualt"]] {
        assert_eq!(world.cli(args).bad(1), "queue: there is no queue defualt; did you mean default?");
    }
    let ran = world.cli(&["pause", "defualt"]);
    ran.good();
    assert!(ran.err.contains("no job has ever been in the queue defualt; did you mean default?"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_asks_first() {
    let world = World::new().await;
    for n in 0..3 {
        world.put("a.job", &n.to_string()).await;
    }
    world.client.enqueue_raw("a.job", "{}").delay(Duration::from_secs(60)).await.expect("enqueued");
    let other = world.client.enqueue_raw("a.job", "{}").queue("other").await.expect("enqueued").id;
    let dry = world.json(&["purge", "default", "--dry-run"]);
    assert_eq!(dry, serde_json::json!({"queue": "default", "would_remove": 4}));
    world.cli(&["purge", "default", "--dry-run", "--yes"]).bad(2);
    assert!(world.cli(&["purge", "default"]).bad(2).contains("4 jobs would be removed from default"));
    let (code, message) = world.cli(&["purge", "default", "--json"]).error(2);
    assert!(code == "not_confirmed" && message.contains("--yes"), "{message}");
    assert_eq!(world.json(&["jobs"]).as_array().map(Vec::len), Some(5));
    assert_eq!(world.json(&["purge", "default", "--yes"])["removed"], 4);
    assert_eq!(world.cli(&["purge", "default", "--yes"]).good(), "0 jobs removed from default\n");
    assert_eq!(world.state(other).await, State::Available);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_gone_is_not_waited_for() {
    let world = World::new().await;
    let mut worker = WorkerView { id: "w1".into(), ready: true, ..WorkerView::default() };
    let beat = async |worker: &WorkerView| world.client.backend().beat(worker).await.expect("seen");
    assert!(beat(&worker).await.is_empty());
    let leave = async {
        while beat(&worker).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        worker.leaving = true;
        beat(&worker).await;
    };
    let url = world.url.clone();
    let ordered = move || legwork(&["--url", &url, "worker", "quiet", "w1", "--wait=60s"]);
    let (ran, ()) = tokio::join!(tokio::task::spawn_blocking(ordered), leave);
    let ran = ran.expect("it ran");
    assert!(ran.bad(1).contains("1 of 1 have not followed") && ran.out.contains("it is gone"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_follow_orders() {
    let world = World::new().await;
    let ran = world.cli(&["worker", "quiet", "--all"]);
    assert_eq!(ran.bad(1), "no worker is running that this order could mean");
    let worker = world.worker().await;
    let id = worker.id().to_owned();
    let told = world.json(&["worker", "resize", "acts", "2", "--all", "--wait"]);
    assert_eq!(told, serde_json::json!([{"id": id, "outcome": "followed"}]));
    let all = world.json(&["workers"]);
    assert_eq!(all[0]["groups"][0]["permits"], 2);
    let ran = world.cli(&["worker", "quiet", &id, "--wait=20s"]);
    assert_eq!(ran.good(), format!("{id}  has followed\n"));
    assert!(worker.is_quiet() && world.cli(&["workers"]).good().contains("quiet"));
    world
        .client
        .enqueue_raw("acts", "{}")
        .queue("acts")
        .delay(Duration::from_secs(600))
        .await
        .expect("enqueued");
    assert!(world.cli(&["queues"]).good().contains("every worker of the queue acts is quiet"));
    assert_eq!(world.json(&["worker", "resume", &id, "--wait"])[0]["outcome"], "followed");
    assert!(!worker.is_quiet());
    for (args, code, line) in [
        (vec!["resize", "mail", "2", id.as_str()], 1, "1 of 1 have not followed"),
        (vec!["resize", "nope", "2", "--all"], 1, "group: no running worker has nope; there are acts"),
        (vec!["quiet", "nobody"], 1, "1 of 1 have not followed"),
        (vec!["resize", "acts", "0", "--all"], 2, "permits"),
        (vec!["stop"], 2, "ID"),
    ] {
        let ran = world.cli(&[vec!["worker"], args].concat());
        assert!(ran.bad(code).contains(line), "{ran:?}");
    }
    assert_eq!(world.json(&["worker", "stop", "--all", "--wait"])[0]["outcome"], "followed");
    assert_eq!(world.cli(&["workers"]).good(), "no worker is running\n");
    worker.stop().await;
}
