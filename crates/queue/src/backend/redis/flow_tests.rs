//! Flows whose keys were damaged: the audit says so, and the sweep mends what can be derived.

use super::*;
use crate::backend::{FlowState, LeaseRequest, Outcome};
use crate::testing::server::TestServer;
use crate::{Client, ClientOptions, Flow, ManualClock, Started, State, Step};
use std::sync::Arc;
use std::time::Duration;

struct World {
    redis: Arc<Redis>,
    client: Client,
    clock: ManualClock,
}

impl World {
    async fn new(server: &TestServer, name: &str) -> World {
        let clock = ManualClock::new(1_800_000_000_000);
        let url = format!("{}?ns=test-{name}", server.url());
        let redis = Arc::new(Redis::connect(&url, Clock::Manual(clock.clone())).await.unwrap());
        let client = Client::over(redis.clone(), ClientOptions::default());
        World { redis, client, clock }
    }

    /// Two jobs, one behind both, one behind that.
    async fn flow(&self) -> Started {
        let step = |n: usize| Step::raw("a.job", &n.to_string());
        self.client.start(Flow::group((0..2).map(step)).then(step(2)).then(step(3))).await.unwrap()
    }

    /// Runs up to `most` jobs to success; how many there were.
    async fn run(&self, most: usize) -> usize {
        let queues = vec![("default".to_owned(), most)];
        let ask = LeaseRequest { worker: "w".into(), queues, most, alone: false, ttl_ms: 15_000 };
        let outcome = Outcome::Succeeded { result: None, keep_ms: 3_600_000 };
        let mut items = Vec::new();
        for batch in self.redis.lease(&ask).await.unwrap().batches {
            let item = |id| Settle { token: batch.token, id, outcome: outcome.clone(), keyed: true };
            items.extend(batch.jobs.iter().map(|job| item(job.id)));
        }
        self.redis.settle(&items).await.unwrap();
        items.len()
    }

    /// Lets a minute pass, and the daemons do their work.
    async fn sweep(&self) {
        self.clock.advance(Duration::from_secs(61));
        self.redis.prune(500).await.unwrap();
        for _ in 0..100 {
            self.redis.promote(500).await.unwrap();
        }
    }

    async fn damage(&self, verb: &str, key: &str, id: JobId, field: Option<JobId>) {
        let key = [self.redis.keys.named(key).as_bytes(), id.as_bytes()].concat();
        let mut call = cmd(verb);
        call.arg(key);
        if let Some(field) = field {
            call.arg(field.as_bytes().as_slice());
        }
        let went = decode::number(self.redis.link.ask(&call).await.unwrap()).unwrap();
        assert_eq!(went, 1, "{verb} found what it was to damage");
    }

    async fn states(&self, ids: &[JobId]) -> Vec<Option<State>> {
        let mut all = Vec::new();
        for id in ids {
            all.push(self.redis.get(*id, false).await.unwrap().map(|job| job.state));
        }
        all
    }

    async fn found(&self, what: &str) {
        let lines = self.redis.audit().await.unwrap();
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
    let Some(server) = TestServer::start() else { return };
    let world = World::new(&server, "waits").await;
    let flow = world.flow().await;
    world.damage("DEL", "fd:", flow.nodes[2], None).await;
    world.found("for nothing").await;
    assert_eq!(world.run(1).await, 1);
    assert_eq!(world.states(&flow.nodes[2..3]).await, [Some(State::Blocked)], "not before the other");
    world.sweep().await;
    assert!(world.redis.audit().await.unwrap().is_empty(), "mended");
    assert_eq!(world.states(&flow.nodes[1..3]).await, [Some(State::Available), Some(State::Blocked)]);
    world.ends(&flow, FlowState::Succeeded).await;
}

#[tokio::test]
async fn a_release_that_was_lost_is_made_up_for() {
    let Some(server) = TestServer::start() else { return };
    let world = World::new(&server, "release").await;
    let flow = world.flow().await;
    world.damage("DEL", "ft:", flow.nodes[0], None).await;
    assert_eq!(world.run(2).await, 2);
    world.found("which has ended").await;
    assert_eq!(world.run(2).await, 0, "it is stuck");
    world.ends(&flow, FlowState::Succeeded).await;
}

#[tokio::test]
async fn work_that_was_left_and_lost_is_found_again() {
    let Some(server) = TestServer::start() else { return };
    let world = World::new(&server, "left").await;
    let step = |n: usize| Step::raw("a.job", &n.to_string());
    let wide = Flow::job(step(0)).then_flow(Flow::group((1..=450).map(step)));
    let flow = world.client.start(wide).await.unwrap();
    assert_eq!(world.run(1).await, 1);
    let went = world.redis.link.ask(cmd("DEL").arg(world.redis.keys.named("todo"))).await.unwrap();
    assert_eq!(decode::number(went).unwrap(), 1);
    assert!(world.run(500).await < 450, "the rest was left to do");
    world.sweep().await;
    while world.run(500).await > 0 {
        world.sweep().await;
    }
    world.ends(&flow, FlowState::Succeeded).await;
}

#[tokio::test]
async fn a_flow_that_forgot_its_nodes_ends_after_the_last() {
    let Some(server) = TestServer::start() else { return };
    let world = World::new(&server, "forgot").await;
    let flow = world.flow().await;
    world.damage("DEL", "fo:", flow.id, None).await;
    world.found("does not know it").await;
    world.run(1).await;
    assert_eq!(world.client.flow(flow.id).await.unwrap().unwrap().head.finished_ms, None);
    world.ends(&flow, FlowState::Succeeded).await;
}

#[tokio::test]
async fn a_dependency_whose_record_is_lost_counts_as_failed() {
    let Some(server) = TestServer::start() else { return };
    let world = World::new(&server, "record").await;
    let flow = world.flow().await;
    let gone =
        cmd("HDEL").arg(world.redis.keys.named("jobs")).arg(flow.nodes[0].as_bytes().as_slice()).clone();
    world.redis.link.ask(&gone).await.unwrap();
    world.found("which has no record").await;
    world.ends(&flow, FlowState::Failed).await;
    let view = world.client.flow(flow.id).await.unwrap().unwrap();
    assert_eq!(view.nodes[0].reason.as_deref(), Some("lost"));
    use State::{Discarded, Succeeded};
    assert_eq!(world.states(&flow.nodes).await, [None, Some(Succeeded), Some(Discarded), Some(Discarded)]);
}

#[tokio::test]
async fn a_node_whose_place_in_the_graph_is_lost_does_not_run() {
    let Some(server) = TestServer::start() else { return };
    let world = World::new(&server, "graph").await;
    let flow = world.flow().await;
    world.damage("DEL", "fd:", flow.nodes[2], None).await;
    world.damage("DEL", "fp:", flow.nodes[2], None).await;
    world.ends(&flow, FlowState::Failed).await;
    let view = world.redis.get(flow.nodes[2], false).await.unwrap().unwrap();
    assert_eq!((view.state, view.reason.as_deref()), (State::Discarded, Some("lost")));
}

#[tokio::test]
async fn a_flow_of_a_full_redis_is_refused_whole() {
    let Some(server) = TestServer::start() else { return };
    let world = World::new(&server, "fullflow").await;
    let kept = world.flow().await;
    server.command(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    let flow = Flow::job(Step::raw("a.job", "1")).then(Step::raw("a.job", "2"));
    assert!(world.client.start(flow).await.unwrap_err().is_refused());
    assert_eq!(world.client.flows(9).await.unwrap().len(), 1);
    // What was taken in goes on.
    world.ends(&kept, FlowState::Succeeded).await;
}
