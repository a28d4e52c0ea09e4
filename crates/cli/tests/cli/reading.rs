//! The commands that only look.

use crate::world::{Act, World};
use legwork::backend::{Due, EnqueueBatch, Guard, NewJob};
use legwork::{JobId, Missed, Schedule, Scheduler, State};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn an_unused_queue_is_empty() {
    let world = World::new().await;
    assert_eq!(world.cli(&["queues"]).good(), "no queues yet\n");
    assert_eq!(world.cli(&["jobs"]).good(), "no such jobs\n");
    assert_eq!(world.cli(&["workers"]).good(), "no worker is running\n");
    assert_eq!(world.cli(&["schedules"]).good(), "no schedules yet\n");
    for command in ["queues", "jobs", "workers", "schedules"] {
        assert_eq!(world.json(&[command]), serde_json::json!([]), "{command}");
    }
    let stats = world.json(&["stats"]);
    assert_eq!((&stats["processed"], &stats["workers"]), (&0.into(), &0.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_are_listed_with_the_reason_they_stand_still() {
    let world = World::new().await;
    for _ in 0..3 {
        world.put("mail.send", "{}").await;
    }
    world
        .client
        .enqueue_raw("mail.send", "{}")
        .queue("later")
        .delay(Duration::from_secs(60))
        .await
        .expect("enqueued");
    world.client.pause("held").await.expect("paused");
    world.client.pause_for("short", Duration::from_secs(900)).await.expect("paused");

    let all = world.json(&["queues"]);
    let names: Vec<_> = all.as_array().expect("a list").iter().map(|q| q["name"].as_str()).collect();
    assert_eq!(names, [Some("default"), Some("held"), Some("later"), Some("short")]);
    assert_eq!(all[0]["counts"]["available"], 3);
    assert_eq!(all[0]["why"], "no worker is running");
    assert!(all[0]["oldest_ms"].as_i64().is_some_and(|ms| ms > 1_700_000_000_000));
    assert_eq!((&all[0]["paused"], &all[0]["paused_until_ms"]), (&false.into(), &serde_json::Value::Null));
    assert_eq!((&all[1]["paused"], &all[1]["paused_until_ms"]), (&true.into(), &serde_json::Value::Null));
    assert_eq!(all[2]["counts"]["scheduled"], 1);
    assert!(all[3]["paused_until_ms"].is_i64());

    let ran = world.cli(&["queues"]);
    let lines: Vec<&str> = ran.good().lines().collect();
    assert_eq!(lines.len(), 5, "{ran:?}");
    assert!(lines[0].starts_with("QUEUE") && lines[0].ends_with("WHY"), "{ran:?}");
    let words: Vec<&str> = lines[1].split_whitespace().take(9).collect();
    assert_eq!(words, ["default", "0", "3", "0", "0", "0", "0", "0", "0"]);
    assert!(lines[1].ends_with("no worker is running"), "{ran:?}");
    assert!(lines[2].contains(" yes ") && lines[2].ends_with(" paused"), "{ran:?}");
    assert!(lines[4].contains("paused for another 14m"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_filtered_and_bounded() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(world.put("mail.send", &n.to_string()).await.to_string());
    }
    world.put("runs.fetch", "{}").await;
    world
        .client
        .enqueue_raw("mail.send", "{}")
        .queue("slow")
        .delay(Duration::from_secs(60))
        .await
        .expect("enqueued");

    let count = |args: &[&str]| {
        let args = [&["jobs"], args].concat();
        let (value, ran) = (world.json(&args), world.cli(&args));
        let count = value.as_array().expect("a list").len();
        let lines = ran.good().lines().count();
        assert_eq!(lines, if count == 0 { 1 } else { count + 1 }, "{ran:?}");
        count
    };
    assert_eq!(count(&[]), 7);
    assert_eq!(count(&["--name", "mail.send"]), 6);
    assert_eq!(count(&["--name", "mail.send", "--queue", "default"]), 5);
    assert_eq!(count(&["--state", "scheduled"]), 1);
    assert_eq!(count(&["--state", "scheduled", "--queue", "default"]), 0);
    assert_eq!(count(&["--limit", "2"]), 2);
    assert_eq!(count(&["--limit", "1000", "--queue", "nowhere"]), 0);

    let ran = world.cli(&["jobs", "--limit", "2"]);
    assert!(ran.err.contains("there may be more"), "{ran:?}");
    let listed = world.json(&["jobs", "--name", "mail.send", "--queue", "default"]);
    let mut listed: Vec<_> =
        listed.as_array().expect("a list").iter().map(|j| j["id"].as_str().unwrap_or("")).collect();
    listed.sort_unstable();
    assert_eq!(listed, ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_and_payloads_come_through_unharmed() {
    let world = World::new().await;
    let payload = r#"{"big":123456789012345678901234567890,"share":1.10,"text":"Zoë \u001b[31m 🏃","n":-0.0,"dup":[1e400]}"#;
    let id = world.put("a.job", payload).await;
    let ran = world.cli(&["job", &id.to_string(), "--json"]);
    assert!(ran.good().contains(&format!("\"payload\":{payload}")), "{ran:?}");
    assert_eq!(ran.out.matches("\"id\":").count(), 1, "{ran:?}");
    assert!(world.cli(&["jobs", "--json"]).good().contains(payload));
    assert!(world.cli(&["job", &id.to_string()]).good().contains(payload));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_shown_can_steer_a_terminal() {
    let world = World::new().await;
    let payload = "{\"csi\":\"\u{9b}31m\",\r\n \"turn\":\"\u{202e}abc\",\t\"del\":\"\u{7f}\"}";
    let id = world.client.enqueue_raw("a.job", payload).unique("k\u{202e}ey").await.expect("enqueued").id;
    let worker = world.worker().await;
    let error = "\u{1b}]0;owned\u{7}\u{1b}[2J\nsecond line";
    let failed = world.acted(Act::Fail(error.into()), State::Retryable).await;
    worker.stop().await;

    let harmless = |text: &str| text.chars().all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}'));
    for args in [&["jobs"][..], &["job", &id.to_string()], &["job", &failed.to_string()], &["queues"]] {
        let ran = world.cli(args);
        assert!(harmless(ran.good()), "{ran:?}");
    }
    let story = world.cli(&["job", &failed.to_string()]);
    assert!(story.out.contains("\\u{1b}]0;owned\\u{7}\\u{1b}[2J"), "{story:?}");
    assert!(world.cli(&["job", &id.to_string()]).out.contains("\\u{9b}31m"));

    // In JSON the strings stay what they were, written as escapes.
    let ran = world.cli(&["job", &id.to_string(), "--json"]);
    assert!(ran.out.contains("\\u009b31m") && !ran.out.contains('\u{9b}'), "{ran:?}");
    let value: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(value["payload"]["csi"], "\u{9b}31m");
    assert_eq!(world.json(&["job", &failed.to_string()])["errors"][0]["error"], error);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_tells_its_story_in_every_state() {
    let world = World::new().await;
    let worker = world.worker().await;
    let said = world.acted(Act::Say("hello".into()), State::Succeeded).await;
    let failed = world.acted(Act::Fail("the server was busy".into()), State::Retryable).await;
    let given = world.acted(Act::Give("no such athlete".into()), State::Discarded).await;
    let held = world.acted(Act::Hold, State::Leased).await;
    let soon = world
        .client
        .enqueue(Act::Hold)
        .delay(Duration::from_secs(3_600))
        .max_attempts(2)
        .timeout(Duration::from_secs(90));
    let soon = soon.unique("runner 7").await.expect("enqueued").id;
    let off = world.put("a.job", "[]").await;
    world.client.cancel(off).await.expect("cancelled");

    let tells = |id: JobId, parts: &[&str]| {
        let ran = world.cli(&["job", &id.to_string()]);
        for part in parts {
            assert!(ran.good().contains(part), "no {part:?} in {ran:?}");
        }
    };
    tells(
        said,
        &[
            "succeeded",
            "act.out, payload version 3",
            "acts, priority 2",
            r#"{"say":"hello"}"#,
            "result    \"hello\"",
            "  made",
        ],
    );
    tells(
        failed,
        &[
            "retryable",
            "1 of 7 spent, 0 crashes",
            "not due for 59m",
            "attempt 1 failed: the server was busy",
            "due for another attempt",
        ],
    );
    tells(given, &["discarded (failed)", "attempt 1 failed: no such athlete"]);
    world.until_progress(held).await;
    tells(held, &["leased", worker.id(), "25 % a quarter", "leased, attempt 1", "unless renewed", "token "]);
    tells(
        soon,
        &["scheduled", "not due for 59m", "at most 2 attempts, timeout 1m 30s", "0 of 2 spent", "runner 7"],
    );
    tells(off, &["cancelled", "default, priority 5", "payload   []"]);

    let value = world.json(&["job", &held.to_string()]);
    assert_eq!(value["lease"]["worker"], worker.id());
    assert_eq!(value["progress"]["share"], 0.25);
    let value = world.json(&["job", &failed.to_string()]);
    assert_eq!(
        (&value["attempts"], &value["state"], &value["version"]),
        (&1.into(), &"retryable".into(), &3.into())
    );
    assert!(value["due_ms"].as_i64() > value["made_ms"].as_i64());
    assert_eq!(world.json(&["job", &said.to_string()])["result"], "hello");
    assert_eq!(world.json(&["job", &soon.to_string()])["timeout_ms"], 90_000);
    worker.stop().await;
    tells(held, &["available", "no worker is running"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_read_is_shown_as_it_is() {
    let world = World::new().await;
    let envelope = legwork::Envelope::new("a.job", "1").expect("an envelope");
    let id = envelope.id;
    let record = b"junk \x1b[31m\xff\nmore".to_vec();
    let job = NewJob { envelope, record, due: Due::Now, chosen: true };
    let batch =
        EnqueueBatch { lane: "broken".into(), seq: 1, jobs: vec![job], guard: Guard::None, flow: None };
    world.client.backend().enqueue(&batch).await.expect("enqueued");

    let ran = world.cli(&["job", &id.to_string()]);
    for part in ["undecodable  envelope: ", "raw          junk \\u{1b}[31m\u{fffd}", "more"] {
        assert!(ran.good().contains(part), "no {part:?} in {ran:?}");
    }
    let value = world.json(&["job", &id.to_string()]);
    assert_eq!(value["raw"], "junk \u{1b}[31m\u{fffd}\nmore");
    assert!(value["undecodable"].is_string() && value.get("payload").is_none());
    assert!(world.cli(&["jobs"]).good().contains(&id.to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_nobody_is_not_found() {
    let world = World::new().await;
    let elsewhere = World::new().await;
    let id = elsewhere.put("a.job", "{}").await.to_string();
    let ran = world.cli(&["job", &id]);
    assert!(ran.bad(1).contains(&format!("there is no job {id}")), "{ran:?}");
    assert_eq!(world.cli(&["job", &id, "--json"]).error(1).0, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_are_listed_with_what_they_handle() {
    let world = World::new().await;
    let worker = world.worker().await;
    let all = world.json(&["workers"]);
    assert_eq!((&all[0]["id"], &all[0]["pid"]), (&worker.id().into(), &std::process::id().into()));
    let group = serde_json::json!({"name": "acts", "permits": 4, "running": 0, "strict": true, "queues": [["acts", 1]]});
    assert_eq!((&all[0]["groups"][0], &all[0]["state"]), (&group, &"running".into()));
    assert_eq!(all[0]["definitions"][0]["name"], "act.out");
    let ran = world.cli(&["workers"]);
    for part in [worker.id(), "running", "0 of 4", "acts:4", "act.out"] {
        assert!(ran.good().contains(part), "no {part:?} in {ran:?}");
    }
    worker.stop().await;
    assert_eq!(world.cli(&["workers"]).good(), "no worker is running\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_tell_their_next_five_instants() {
    let world = World::new().await;
    let nightly =
        Schedule::new("nightly", "30 2 * * *", Act::Say("x".into())).and_then(|s| s.zone("Europe/Berlin"));
    let hourly = Schedule::new("hourly", "@hourly", Act::Hold).expect("a schedule").missed(Missed::Skip);
    let scheduler =
        Scheduler::new(world.client.clone()).schedule(nightly.expect("a schedule")).schedule(hourly);
    scheduler.run_until(async {}).await.expect("stored");

    let all = world.json(&["schedules"]);
    let nightly = &all[1];
    assert_eq!((&nightly["name"], &nightly["zone"]), (&"nightly".into(), &"Europe/Berlin".into()));
    let next = nightly["next_ms"].as_array().expect("a list");
    assert_eq!(next.len(), 5);
    let local: Vec<_> =
        nightly["next_local"].as_array().expect("a list").iter().filter_map(|l| l.as_str()).collect();
    for (ms, local) in next.iter().zip(&local) {
        let at = chrono::DateTime::parse_from_rfc3339(local).expect("RFC 3339");
        assert_eq!(Some(at.timestamp_millis()), ms.as_i64());
        // The only other times of day are those of a night on which clocks are set forward.
        assert!(local.contains("T02:30:00+0") || local.contains("T03:00:00+02:00"), "{local}");
    }
    assert_eq!(all[0]["next_ms"].as_array().map(Vec::len), Some(5));

    let ran = world.cli(&["schedules"]);
    for part in [
        "nightly",
        "30 2 * * *  Europe/Berlin",
        "act.out {\"say\":\"x\"} in acts",
        "02:30:00 CE",
        "Z   in ",
        "missed",
        "skip",
    ] {
        assert!(ran.good().contains(part), "no {part:?} in {ran:?}");
    }
    assert_eq!(ran.out.matches("   in ").count(), 10, "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn stats_add_up() {
    let world = World::new().await;
    let worker = world.worker().await;
    world.acted(Act::Say("a".into()), State::Succeeded).await;
    world.acted(Act::Say("b".into()), State::Succeeded).await;
    world.acted(Act::Give("c".into()), State::Discarded).await;
    world.put("a.job", "{}").await;

    let stats = world.json(&["stats"]);
    assert_eq!((&stats["processed"], &stats["failed"], &stats["workers"]), (&2.into(), &1.into(), &1.into()));
    assert_eq!((&stats["counts"]["succeeded"], &stats["counts"]["available"]), (&2.into(), &1.into()));
    assert_eq!((&stats["queues"][0]["name"], &stats["queues"][0]["processed"]), (&"acts".into(), &2.into()));
    let ran = world.cli(&["stats"]);
    let row = |name: &str| {
        let line = ran.good().lines().find(|l| l.starts_with(name)).unwrap_or_else(|| panic!("{ran:?}"));
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(row("acts "), "0 0 2 1");
    assert_eq!(row("default "), "1 0 0 0");
    assert_eq!(row("all "), "1 0 2 1");
    assert_eq!(row("succeeded "), "2");
    assert_eq!(row("workers "), "1, running 0 of 4 jobs at a time");
    worker.stop().await;
}
