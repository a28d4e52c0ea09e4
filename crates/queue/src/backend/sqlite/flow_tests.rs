//! Flows whose rows were damaged: the audit says so, and the sweep mends what can be derived.

use super::*;
use crate::{Client, ClientOptions, Clock, Flow, ManualClock, Started, State, Step};
use sqlx::{Connection, SqliteConnection};
use std::sync::Arc;
use std::time::Duration;

struct World {
    dir: tempfile::TempDir,
    sqlite: Arc<Sqlite>,
    client: Client,
    clock: ManualClock,
}

impl World {
    async fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(1_800_000_000_000);
        let url = format!("sqlite:{}", dir.path().join("jobs.db").display());
        let sqlite = Arc::new(Sqlite::connect(&url, Clock::Manual(clock.clone())).await.unwrap());
        let client = Client::over(sqlite.clone(), ClientOptions::default());
        World { dir, sqlite, client, clock }
    }

    /// Two jobs, one behind both, one behind that.
    async fn flow(&self) -> Started {
        let step = |n: usize| Step::raw("a.job", &n.to_string());
        self.client.start(Flow::group((0..2).map(step)).then(step(2)).then(step(3))).await.unwrap()
    }

    async fn run(&self, most: usize) -> usize {
        let queues = vec![("default".to_owned(), most)];
        let ask = LeaseRequest { worker: "w".into(), queues, most, alone: false, ttl_ms: 15_000 };
        let outcome = Outcome::Succeeded { result: None, keep_ms: 60_000 };
        let mut items = Vec::new();
        for batch in self.sqlite.lease(&ask).await.unwrap().batches {
            let item = |id| Settle { token: batch.token, id, outcome: outcome.clone(), keyed: true };
            items.extend(batch.jobs.iter().map(|job| item(job.id)));
        }
        self.sqlite.settle(&items).await.unwrap();
        items.len()
    }

    async fn sweep(&self) {
        self.clock.advance(Duration::from_secs(61));
        self.sqlite.prune(500).await.unwrap();
        for _ in 0..9 {
            self.sqlite.promote(500).await.unwrap();
        }
    }

    async fn damage(&self, sql: &'static str, id: crate::JobId) {
        let path = self.dir.path().join("jobs.db").display().to_string();
        let mut conn = SqliteConnection::connect(&format!("sqlite:{path}")).await.unwrap();
        let damage = sqlx::query(sql).bind(&id.as_bytes()[..]).execute(&mut conn).await.unwrap();
        assert!(damage.rows_affected() > 0, "{sql} damaged something");
    }

    async fn state(&self, id: crate::JobId) -> Option<State> {
        self.sqlite.get(id, false).await.unwrap().map(|job| job.state)
    }

    async fn found(&self, what: &str) {
        let lines = self.sqlite.audit().await.unwrap();
        assert!(lines.iter().any(|line| line.contains(what)), "{what}: {lines:?}");
    }

    async fn ends(&self, flow: &Started, state: FlowState) {
        for _ in 0..9 {
            self.run(9).await;
            self.sweep().await;
        }
        let head = self.client.flow(flow.id).await.unwrap().unwrap().head;
        assert_eq!((head.state, head.left), (state, 0));
    }
}

#[tokio::test]
async fn a_node_that_lost_what_it_waits_for_waits_all_the_same() {
    let world = World::new().await;
    let flow = world.flow().await;
    world.damage("UPDATE flow_edges SET done = 1 WHERE dst = ?", flow.nodes[2]).await;
    world.found("for nothing").await;
    assert_eq!(world.run(1).await, 1);
    world.sweep().await;
    assert!(world.sqlite.audit().await.unwrap().is_empty(), "mended");
    assert_eq!(world.state(flow.nodes[2]).await, Some(State::Blocked), "not before the other");
    world.ends(&flow, FlowState::Succeeded).await;
}

#[tokio::test]
async fn a_release_that_was_lost_is_made_up_for() {
    let world = World::new().await;
    let flow = world.flow().await;
    assert_eq!(world.run(1).await, 1);
    world.damage("UPDATE flow_edges SET done = 0 WHERE dst = ?", flow.nodes[2]).await;
    assert_eq!(world.run(1).await, 1);
    assert_eq!(world.run(1).await, 0, "it is stuck");
    world.ends(&flow, FlowState::Succeeded).await;
}

#[tokio::test]
async fn a_dependency_whose_record_is_lost_counts_as_failed() {
    let world = World::new().await;
    let flow = world.flow().await;
    world.damage("DELETE FROM jobs WHERE id = ?", flow.nodes[0]).await;
    world.found("which has no record").await;
    world.ends(&flow, FlowState::Failed).await;
    let view = world.client.flow(flow.id).await.unwrap().unwrap();
    assert_eq!(view.nodes[0].reason.as_deref(), Some("lost"));
    assert_eq!(world.state(flow.nodes[3]).await, Some(State::Discarded));
}

#[tokio::test]
async fn a_node_whose_place_in_the_graph_is_lost_does_not_run() {
    let world = World::new().await;
    let flow = world.flow().await;
    world.damage("DELETE FROM flow_edges WHERE dst = ?", flow.nodes[2]).await;
    world.ends(&flow, FlowState::Failed).await;
    let view = world.sqlite.get(flow.nodes[2], false).await.unwrap().unwrap();
    assert_eq!((view.state, view.reason.as_deref()), (State::Discarded, Some("lost")));
}
