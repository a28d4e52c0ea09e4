//! Flows and events.

use crate::world::World;
use legwork::backend::Edge;
use legwork::{Flow, JobId, State, Step};

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_is_listed_shown_cancelled_and_replayed() {
    let world = World::new().await;
    assert_eq!(world.cli(&["flows"]).good(), "no flows yet\n");
    let fetch = Flow::group((0..2).map(|n| Step::raw("fetch", &n.to_string())));
    let flow = fetch.then_with(Edge::Ignore, Step::raw("sum", "{}").label("total")).name("week 47");
    let started = world.client.start(flow).await.expect("started");
    let id = started.id.to_string();

    let ran = world.cli(&["flows"]);
    let line = ran.good().lines().nth(1).expect("a flow").to_owned();
    assert!(line.starts_with(&format!("{id}  running  0 of 3  0 ")) && line.ends_with("week 47"), "{line}");
    let listed = world.json(&["flows", "--limit", "1"]);
    assert_eq!((&listed[0]["id"], &listed[0]["nodes"]), (&id.as_str().into(), &3.into()));

    let ran = world.cli(&["flow", &id]);
    let tree: Vec<&str> = ran.good().lines().skip_while(|line| !line.is_empty()).skip(1).collect();
    assert_eq!(tree.len(), 4, "{tree:?}");
    assert!(tree[0].starts_with("fetch ") && tree[0].contains("available"), "{tree:?}");
    assert!(tree[1].starts_with("  total (ignore)  blocked") && tree[3].contains("above"), "{tree:?}");
    let told = world.json(&["flow", &id]);
    assert_eq!((&told["state"], &told["graph"][2]["label"]), (&"running".into(), &"total".into()));
    assert_eq!(told["graph"][2]["after"][1][1], "ignore");

    assert_eq!(world.cli(&["flow", "mend", &id]).good(), format!("flow {id} is being looked over\n"));
    let node = started.nodes[0].to_string();
    let early = world.cli(&["flow", "replay", &id, &node]);
    assert!(early.bad(1).contains("has not ended"), "{early:?}");
    assert_eq!(world.cli(&["flow", "cancel", &id]).good(), format!("flow {id} is being cancelled\n"));
    assert_eq!(world.state(started.nodes[2]).await, State::Cancelled);
    assert_eq!(world.cli(&["flow", "cancel", &id]).bad(1), format!("flow {id} has ended"));
    let again = world.json(&["flow", "replay", &id, &node]);
    assert_eq!(again["nodes"].as_array().map(Vec::len), Some(2));

    let nobody = JobId::new().to_string();
    for args in [vec!["flow", &nobody], vec!["flow", "mend", &nobody], vec!["flow", "cancel", &nobody]] {
        let ran = world.cli(&args);
        assert_eq!(ran.bad(1), format!("there is no flow {nobody}, or no longer"));
    }
    assert!(world.cli(&["flow", "nonsense"]).bad(2).contains("nonsense"));
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_come_are_told_and_go() {
    let world = World::new().await;
    assert_eq!(world.cli(&["subscribers"]).good(), "no subscribers yet\n");
    let none = "published; nobody has subscribed to this topic\n";
    assert_eq!(world.cli(&["publish", "race.42", "{}"]).good(), none);
    let ran = world.cli(&["subscribe", "race.*", "notify", "mail"]);
    assert_eq!(ran.good(), "notify in mail is told of race.*\n");
    assert_eq!(world.json(&["subscribers"])[0]["pattern"], "race.*");
    assert!(world.cli(&["subscribers"]).good().contains("race.*  notify  mail"));
    assert_eq!(world.cli(&["publish", "race.42", "{\"run\":7}"]).good(), "published; 1 job enqueued\n");
    let told = world.json(&["publish", "race.43", "{}"]);
    let id: JobId = told["jobs"][0].as_str().expect("an id").parse().expect("an id");
    assert_eq!(world.state(id).await, State::Available);
    assert!(world.cli(&["publish", "race 42", "{}"]).bad(2).starts_with("topic: \"race 42\""));
    assert!(world.cli(&["publish", "race.42", "{oops"]).bad(2).starts_with("payload: not JSON"));
    assert!(world.cli(&["subscribe", "#.a", "notify"]).bad(2).starts_with("pattern: \"#.a\""));
    assert!(world.cli(&["unsubscribe", "race.*", "notify", "mail"]).good().contains("no longer"));
    assert!(world.cli(&["unsubscribe", "race.*", "notify", "mail"]).bad(1).contains("has not subscribed"));
}
