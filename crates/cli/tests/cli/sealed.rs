//! What is sealed, signed or traced, and which versions are queued.

use crate::world::World;
use legwork::middleware::{KeyRing, Sealed, Signed, TraceParent};
use legwork::{Job, Worker};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// 32 times the number, in base64.
const SEVENS: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

#[derive(Serialize, Deserialize)]
struct Mail {
    to: String,
    token: String,
}

impl Job for Mail {
    const NAME: &'static str = "mail.send";
    const VERSION: u32 = 2;
    type Output = String;
}

fn mail() -> Mail {
    Mail { to: "ada".into(), token: "hunter2".into() }
}

fn ring() -> KeyRing {
    KeyRing::new("k1", [7; 32]).expect("a ring")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sealed_is_shown_to_who_has_the_key() {
    let world = World::new().await;
    let file = world.file("keys", &format!("# ours\nk1 {SEVENS}\n"));
    let whole = world.client.with(Sealed::whole(ring()));
    let fields = world.client.with(Sealed::fields(ring(), &["token"]).expect("a path"));
    let worker = Worker::new(whole.clone(), ()).handle(|job: Mail, _| async { Ok(job.token) });
    let worker = worker.start().await.expect("a worker");
    let mut ids = Vec::new();
    for client in [&whole, &fields] {
        let id = client.enqueue(mail()).await.expect("enqueued").id;
        whole.wait::<Mail>(id).await.expect("ran");
        ids.push(id.to_string());
    }
    let shown = world.cli(&["job", &ids[0]]).out;
    assert!(shown.contains("<sealed> with the key k1") && !shown.contains("hunter2"), "{shown}");
    let shown = world.cli(&["job", &ids[1]]).out;
    assert!(shown.contains(r#"{"to":"ada","token":"<sealed>"}"#), "{shown}");
    assert!(shown.lines().any(|l| l.starts_with("result") && l.ends_with("<sealed>")), "{shown}");
    let stored = world.json(&["job", &ids[0]]);
    assert_eq!(stored["packed"], json!(["sealed:k1"]));
    for id in &ids {
        let opened = world.json(&["job", id, "--key-file", &file]);
        assert_eq!((&opened["payload"]["token"], &opened["result"]), (&json!("hunter2"), &json!("hunter2")));
        assert_eq!(opened["packed"], json!([]));
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_enqueued_with_keys_is_sealed_and_signed() {
    let world = World::new().await;
    let file = world.file("keys", &format!("k1 {SEVENS}"));
    let strict = world.client.with(Sealed::whole(ring()).require()).with(Signed::new(ring()).require());
    let worker = Worker::new(strict.clone(), ()).handle(|job: Mail, _| async { Ok(job.to) });
    let worker = worker.start().await.expect("a worker");
    let payload = r#"{"to":"ada","token":"hunter2"}"#;
    let args = ["enqueue", "mail.send", payload, "--key-file", &file, "--sign-key-file", &file];
    let id = world.json(&args)["id"].as_str().expect("an id").to_owned();
    let said = strict.wait::<Mail>(id.parse().expect("an id")).await.expect("ran");
    assert_eq!(said, "ada");
    let shown = world.cli(&["job", &id]).out;
    assert!(shown.contains("by the key k1"), "{shown}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_file_that_is_none_is_refused_in_one_line() {
    let world = World::new().await;
    for (text, said) in [
        ("", "there is none"),
        ("k1 c2hvcnQ=", "is 5 bytes, not 32"),
        (SEVENS, "line 1 is not a name and 32 bytes in base64"),
    ] {
        let file = world.file("keys", text);
        let ran = world.cli(&["queues", "--key-file", &file]);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(
            ran.err.contains(said) && !ran.err.contains(SEVENS) && ran.err.lines().count() == 1,
            "{ran:?}"
        );
    }
    let ran = world.cli(&["queues", "--key-file", "/no/such/file"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.starts_with("legwork: --key-file /no/such/file: "), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_is_told() {
    let world = World::new().await;
    let here = TraceParent::root();
    let id = world.client.enqueue_raw("a.job", "{}").trace(here).await.expect("enqueued").id.to_string();
    let shown = world.cli(&["job", &id]).out;
    assert!(shown.contains(&format!("{here} (parent)")), "{shown}");
    assert_eq!(world.json(&["job", &id])["trace"], json!({"parent": here.to_string(), "later": false}));
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_tell_what_is_queued_and_who_knows_it() {
    let world = World::new().await;
    assert!(world.cli(&["versions"]).good().contains("nothing is queued"));
    let worker = Worker::new(world.client.clone(), ()).handle(|_: Mail, _| async { Ok(String::new()) });
    let worker = worker.queue("elsewhere", 1).start().await.expect("a worker");
    for version in [1, 1, 3] {
        world.client.enqueue_raw("mail.send", "{}").version(version).await.expect("enqueued");
    }
    let seen = world.json(&["versions"]);
    let rows = seen["versions"].as_array().expect("a list");
    let told: Vec<_> = rows.iter().map(|r| (r["version"].as_u64(), r["queued"].as_u64())).collect();
    assert_eq!(told, [(Some(1), Some(2)), (Some(2), Some(0)), (Some(3), Some(1))]);
    assert_eq!(rows[0]["workers"], json!([worker.id()]));
    assert_eq!((&rows[2]["workers"], &seen["whole"]), (&json!([]), &json!(true)));
    let table = world.cli(&["versions"]).out;
    let last = table.lines().last().expect("a line").to_owned();
    assert!(last.starts_with("mail.send") && last.ends_with("none"), "{table}");
    worker.stop().await;
}
