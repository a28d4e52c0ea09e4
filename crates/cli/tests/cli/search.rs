//! Finding jobs, and acting on all that were found.

use crate::world::World;
use legwork::backend::{Action, Filter};
use legwork::{Client, State};
use serde_json::Value;

async fn tagged(client: &Client, tag: &str, athlete: &str) -> legwork::JobId {
    client.enqueue_raw("a.job", "{}").tag(tag).meta("athlete", athlete).await.expect("enqueued").id
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_found_by_tag_metadata_and_time() {
    let world = World::new().await;
    let one = tagged(&world.client, "nightly", "7").await;
    let two = tagged(&world.client, "hourly", "8").await;
    let ids = |args: &[&str]| {
        let told = world.json(&[&["jobs"], args].concat());
        let ids = told.as_array().expect("an array").iter();
        ids.map(|job| job["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&["--tag", "nightly"]), [one.to_string()]);
    assert_eq!(ids(&["--meta", "athlete=8"]), [two.to_string()]);
    assert_eq!(ids(&["--meta", "athlete"]).len(), 2);
    assert_eq!(ids(&["--since", "1h"]).len(), 2);
    assert_eq!(ids(&["--until", "1h"]).len(), 0);
    assert_eq!(ids(&["--tag", "nightly", "--state", "discarded"]).len(), 0);
    for wrong in [["--meta", "=7"], ["--error", "oops"], ["--since", "soon"]] {
        assert!(world.cli(&["jobs", wrong[0], wrong[1]]).bad(2).contains(&wrong[0][2..]), "{wrong:?}");
    }
    let (code, line) = world.cli(&["jobs", "--cursor", "nonsense", "--json"]).error(2);
    assert!(code == "invalid" && line.starts_with("cursor: "), "{code} {line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_go_on_with_a_cursor_or_all_at_once() {
    let world = World::new().await;
    for n in 0..5 {
        tagged(&world.client, "t", &n.to_string()).await;
    }
    let (mut cursor, mut seen) = ("start".to_owned(), 0);
    loop {
        let page = world.json(&["jobs", "--tag", "t", "--limit", "2", "--cursor", &cursor]);
        seen += page["jobs"].as_array().expect("jobs").len();
        let Some(next) = page["cursor"].as_str() else { break };
        cursor = next.to_owned();
    }
    assert_eq!(seen, 5);
    let ran = world.cli(&["jobs", "--all", "--json"]);
    let lines: Vec<Value> =
        ran.good().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 5);
    assert!(world.cli(&["jobs", "--all", "--tag", "none"]).good().contains("no such jobs"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_is_acted_on_when_it_is_confirmed() {
    let world = World::new().await;
    let one = tagged(&world.client, "old", "7").await;
    tagged(&world.client, "old", "8").await;
    let stays = tagged(&world.client, "new", "9").await;
    let ran = world.cli(&["cancel", "--tag", "old"]);
    assert_eq!(
        ran.bad(2),
        "cancel: 2 jobs match and would be cancelled where their state allows it; say --yes to do it"
    );
    let would = "2 jobs match and would be cancelled where their state allows it\n";
    assert_eq!(world.cli(&["cancel", "--tag", "old", "--dry-run"]).good(), would);
    assert_eq!(world.json(&["cancel", "--tag", "old", "--dry-run"])["matched"], 2);
    assert_eq!(world.state(one).await, State::Available, "nothing has been done");
    assert_eq!(world.cli(&["cancel", "--tag", "old", "--yes"]).good(), "2 of 2 jobs cancelled\n");
    assert_eq!((world.state(one).await, world.state(stays).await), (State::Cancelled, State::Available));
    let told = world.json(&["discard", "--meta", "athlete", "--yes"]);
    assert_eq!(
        (&told["matched"], &told["done"], &told["refused"]["cancelled"]),
        (&3.into(), &1.into(), &2.into())
    );
    let none = world.cli(&["cancel", "--tag", "old", "--yes"]);
    assert_eq!(
        (none.code, none.out.as_str()),
        (1, "0 of 2 jobs cancelled, 2 refused: cancelled\n"),
        "{none:?}"
    );
    assert_eq!(none.bad(1), "cancel: none could be cancelled");
    assert!(world.cli(&["retry"]).bad(2).contains("which jobs?"));
    let filter = Filter { state: Some(State::Discarded), ..Filter::default() };
    assert_eq!(world.client.act(&filter, Action::Retry).await.expect("acted").done, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_grouped() {
    let world = World::new().await;
    assert_eq!(world.cli(&["errors"]).good(), "no job that is kept has failed\n");
    let worker = world.worker().await;
    world.acted(crate::world::Act::Give("run 7 is gone".into()), State::Discarded).await;
    world.acted(crate::world::Act::Give("run 8 is gone".into()), State::Discarded).await;
    worker.stop().await;
    let groups = world.json(&["errors"]);
    assert_eq!((groups.as_array().expect("groups").len(), &groups[0]["count"]), (1, &2.into()));
    let print = groups[0]["fingerprint"].as_str().expect("a fingerprint");
    assert!(world.cli(&["errors"]).good().contains(print));
    assert_eq!(world.json(&["jobs", "--error", print]).as_array().expect("jobs").len(), 2);
    assert_eq!(world.json(&["retry", "--error", print, "--yes"])["done"], 2);
}
