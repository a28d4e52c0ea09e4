//! `enqueue`: what becomes of a name, a payload and the options.

use crate::run::{command, fed, finish};
use crate::world::World;
use legwork::{JobId, MAX_PAYLOAD, State};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_known_name_brings_its_policy() {
    let world = World::new().await;
    let worker = world.worker().await;
    let receipt = world.json(&["enqueue", "act.out", r#"{"say":"hi"}"#]);
    assert_eq!((&receipt["created"], &receipt["note"]), (&true.into(), &serde_json::Value::Null));
    let id: JobId = receipt["id"].as_str().expect("an id").parse().expect("a UUID");
    world.until(id, State::Succeeded).await;
    let job = world.json(&["job", &id.to_string()]);
    assert_eq!((&job["queue"], &job["priority"], &job["version"]), (&"acts".into(), &2.into(), &3.into()));
    assert_eq!(job["result"], "hi");

    let ran = world.cli(&[
        "enqueue",
        "act.out",
        "\"hold\"",
        "--queue",
        "other",
        "--priority",
        "9",
        "--max-attempts",
        "4",
        "--serial",
        "s 1",
    ]);
    assert!(ran.good().contains(" enqueued: act.out in other") && ran.err.is_empty(), "{ran:?}");
    let job = world.json(&["jobs", "--queue", "other"]);
    assert_eq!(
        (&job[0]["priority"], &job[0]["max_attempts"], &job[0]["serial"]),
        (&9.into(), &4.into(), &"s 1".into())
    );
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_name_is_refused_unless_forced() {
    let world = World::new().await;
    let worker = world.worker().await;
    let ran = world.cli(&["enqueue", "act.outt", "1"]);
    let line = ran.bad(2);
    assert!(line.starts_with("name: no worker knows act.outt; did you mean act.out?"), "{line}");
    assert!(line.contains("--force"), "{line}");
    let (code, message) = world.cli(&["enqueue", "zzz", "1", "--json"]).error(2);
    assert_eq!(code, "unknown_name");
    assert!(message.contains("known: act.out") && !message.contains("did you mean"), "{message}");
    assert_eq!(world.json(&["jobs"]), json!([]));

    let ran = world.cli(&["enqueue", "zzz", "1", "--force"]);
    assert!(ran.good().contains("zzz in default"), "{ran:?}");
    assert_eq!(ran.err, "legwork: note: no worker knows the name zzz\n");
    assert_eq!(world.json(&["jobs"])[0]["name"], "zzz");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_workers_any_name_is_taken_with_a_note() {
    let world = World::new().await;
    let ran = world.cli(&["enqueue", "runs.fetch", r#"{"runner":7}"#]);
    assert!(ran.good().contains("runs.fetch in default"), "{ran:?}");
    assert!(ran.err.starts_with("legwork: note: no worker has published"), "{ran:?}");
    assert_eq!(ran.err.lines().count(), 1);
    let id = ran.out.split(' ').next().expect("an id");
    assert_eq!(world.json(&["job", id])["payload"], json!({"runner": 7}));
    let receipt = world.json(&["enqueue", "runs.fetch", "1"]);
    assert!(receipt["note"].as_str().is_some_and(|n| n.contains("no worker")), "{receipt}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_file_is_made_by_an_enqueue() {
    let dir = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite:{}", dir.path().join("new.db").display());
    let mut command = command(&["enqueue", "a.job", "null"]);
    command.env("LEGWORK_URL", &url);
    finish(command).good();
    let mut list = crate::run::command(&["jobs", "--json"]);
    list.env("LEGWORK_URL", &url);
    assert_eq!(finish(list).json()[0]["name"], "a.job");
}

#[tokio::test(flavor = "multi_thread")]
async fn payloads_come_from_stdin_up_to_the_limit() {
    let world = World::new().await;
    let args = ["--url", &world.url, "--json", "enqueue", "a.job", "-"];
    let receipt = fed(&args, &b"  {\"from\":\n \"stdin\"}\n\n"[..]).json();
    let job = world.json(&["job", receipt["id"].as_str().expect("an id")]);
    assert_eq!(job["payload"], json!({"from": "stdin"}));

    let most = format!("\"{}\"\n", "x".repeat(MAX_PAYLOAD - 2));
    let receipt = fed(&args, std::io::Cursor::new(most)).json();
    let job = world.json(&["job", receipt["id"].as_str().expect("an id")]);
    assert_eq!(job["payload"].as_str().map(str::len), Some(MAX_PAYLOAD - 2));
    let more = format!("\"{}\"\n", "x".repeat(MAX_PAYLOAD - 1));
    assert_eq!(fed(&args, std::io::Cursor::new(more)).error(2).0, "too_large");
    assert_eq!(world.json(&["jobs"]).as_array().map(Vec::len), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_a_payload() {
    let world = World::new().await;
    let receipt = world.json(&["enqueue", "a.job", "-5"]);
    assert_eq!(world.json(&["job", receipt["id"].as_str().expect("an id")])["payload"], -5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delay_schedules() {
    let world = World::new().await;
    let ran = world.cli(&["enqueue", "a.job", "1", "--delay", "1h 30m"]);
    assert!(ran.good().ends_with(", due in 1h 30m\n"), "{ran:?}");
    let job = &world.json(&["jobs"])[0];
    assert_eq!(job["state"], "scheduled");
    let wait = job["due_ms"].as_i64().unwrap_or(0) - job["made_ms"].as_i64().unwrap_or(0);
    assert!((5_390_000..5_460_000).contains(&wait), "{wait}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_enqueue_of_the_same_answers_with_the_first() {
    let world = World::new().await;
    let first = world.json(&["enqueue", "a.job", "1", "--unique", "runner 7"]);
    let again = world.json(&["enqueue", "a.job", "2", "--unique", "runner 7"]);
    assert_eq!((&again["id"], &again["created"]), (&first["id"], &false.into()));
    let id = "0193a5b0-7c1e-7f00-8000-0a1b2c3d4e00";
    assert!(world.cli(&["enqueue", "a.job", "1", "--id", id]).good().contains(&format!("{id} enqueued")));
    assert!(
        world.cli(&["enqueue", "a.job", "1", "--id", id]).good().contains(&format!("{id} is there already"))
    );
    assert_eq!(world.json(&["jobs"]).as_array().map(Vec::len), Some(2));
    let ran = world.cli(&["enqueue", "a.job", "1", "--unique", "a\nb"]);
    assert!(ran.err.contains("unique: must be 1 to 256 bytes") && ran.code == 2, "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_runs_under_and_is_found_by() {
    let world = World::new().await;
    world.cli(&["limit", "set", "site", "--concurrency", "2"]).good();
    let said =
        ["--limit", "site/a/b", "--cost", "3", "--tag", "nightly", "--tag", "big", "--meta", "athlete=7"];
    let receipt = world.json(&[&["enqueue", "a.job", "1"], &said[..]].concat());
    let job = world.json(&["job", receipt["id"].as_str().expect("an id")]);
    assert_eq!((&job["limit"], &job["cost"]), (&json!({"name": "site", "key": "a/b"}), &3.into()), "{job}");
    let told = world.cli(&["job", receipt["id"].as_str().expect("an id")]);
    for line in ["limit", "site/a/b", "cost", "nightly, big", "athlete = 7"] {
        assert!(told.good().contains(line), "{line}: {told:?}");
    }
    for found in [["--tag", "big"], ["--tag", "nightly"], ["--meta", "athlete=7"]] {
        assert_eq!(world.json(&["jobs", found[0], found[1]])[0]["id"], receipt["id"]);
    }
    let ran = world.cli(&["enqueue", "a.job", "1", "--at", "2030-01-01T00:00:00+01:00"]);
    assert!(ran.good().ends_with(", due at 2029-12-31T23:00:00Z\n"), "{ran:?}");
    assert_eq!(world.json(&["jobs", "--state", "scheduled"])[0]["due_ms"], 1_893_452_400_000i64);
}
