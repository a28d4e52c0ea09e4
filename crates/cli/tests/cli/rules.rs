//! The rules of queues, unique keys and expiry on the command line.

use crate::world::World;
use legwork::State;

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_set_shown_and_lifted() {
    let world = World::new().await;
    let set = ["queue", "set", "mail", "--max-waiting", "1", "--keep-bytes", "2KiB", "--keep-age", "90m"];
    let said = "mail: at most 1 wait, finished jobs are kept 1h 30m, 2048 bytes of each final state are kept";
    assert_eq!(world.cli(&set).good().trim(), said.replace("1h 30m", &shown_age(&world)));
    world.client.enqueue_raw("a.job", "1").queue("mail").await.expect("room");
    let line = world.cli(&["enqueue", "a.job", "2", "--queue", "mail", "--force"]).bad(1).to_owned();
    assert!(
        line.contains("queue mail: full: 1 jobs wait, and its limit is 1; nothing was enqueued"),
        "{line}"
    );
    let worker = world.worker().await;
    let queues = world.json(&["queues"]);
    let mail = queues.as_array().expect("queues").iter().find(|q| q["name"] == "mail").expect("mail");
    assert_eq!(mail["rules"]["max_waiting"], 1);
    worker.stop().await;
    assert!(world.cli(&["queues"]).good().contains("mail: at most 1 wait"));

    assert_eq!(world.json(&["queue", "set", "mail", "--max-waiting", "none"])["rules"]["keep_bytes"], 2048);
    world.cli(&["queue", "set", "mail", "--keep-age", "none", "--keep-bytes", "none"]).good();
    assert_eq!(world.cli(&["queue", "show", "mail"]).good(), "mail: no rules\n");
    world.cli(&["enqueue", "a.job", "2", "--queue", "mail", "--force"]).good();
    assert!(world.cli(&["queue", "show", "male"]).bad(1).contains("there is no queue male"));
}

fn shown_age(world: &World) -> String {
    let told = world.cli(&["queue", "show", "mail"]).good().to_owned();
    let age = told.split("are kept ").nth(1).and_then(|rest| rest.split(',').next());
    age.expect("an age").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_say_nothing_or_nonsense_are_refused() {
    let world = World::new().await;
    world.cli(&["queue", "set", "mail"]).bad(2);
    for (option, value) in
        [("--max-waiting", "-1"), ("--keep-bytes", "5TB"), ("--keep-age", "5"), ("--keep-count", "x")]
    {
        let line = world.cli(&["queue", "set", "mail", option, value]).bad(2).to_owned();
        assert!(line.contains(option.trim_start_matches('-')), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_and_what_a_conflict_does() {
    let world = World::new().await;
    let put = |n: &str, more: &[&str]| {
        let payload = format!("{{\"athlete\":7,\"page\":{n}}}");
        world.json(&[&["enqueue", "sync", &payload, "--force"], more].concat())
    };
    let by = ["--unique-fields", "athlete", "--until", "last"];
    let first = put("1", &by);
    let newer = put("2", &by);
    assert_eq!((&newer["replaced"], &newer["id"]), (&true.into(), &first["id"]));
    let told = world.cli(&["job", first["id"].as_str().expect("an id")]).good().to_owned();
    assert!(told.contains("while it waits, replaced by the newest") && told.contains("\"page\":2"), "{told}");

    let hourly = ["--unique", "digest", "--unique-for", "1h"];
    assert_eq!(put("1", &hourly)["created"], true);
    assert_eq!(put("2", &hourly)["created"], false);
    let quiet = ["--unique", "quiet", "--debounce", "5m", "--at-most", "1h", "--expires-in", "2h"];
    let id = put("1", &quiet)["id"].as_str().expect("an id").to_owned();
    assert_eq!(world.state(id.parse().expect("an id")).await, State::Scheduled);
    assert!(
        world.json(&["job", &id])["job"]["expires_ms"].is_i64()
            || world.json(&["job", &id])["expires_ms"].is_i64()
    );

    for bad in [
        &["--until", "last"][..],
        &["--unique", "k", "--at-most", "1h"],
        &["--unique", "k", "--until", "never"],
    ] {
        world.cli(&[&["enqueue", "sync", "1", "--force"], bad].concat()).bad(2);
    }
    let line =
        world.cli(&["enqueue", "sync", "{}", "--force", "--unique-fields", "athlete"]).bad(2).to_owned();
    assert!(line.contains("has no field \"athlete\""), "{line}");
}
