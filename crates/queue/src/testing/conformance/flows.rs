//! Flows: what waits for what, what a failure means, and that all of it survives repetition.

use super::super::chance::Chance;
use super::super::harness::*;
use crate::backend::*;
use crate::{Client, ClientOptions, Flow, JobId, Node, Started, State, Step};
use std::collections::{HashMap, HashSet};

fn step(n: usize) -> Step {
    Step::raw("a.job", &n.to_string()).queue("q")
}

fn client(h: &Harness) -> Client {
    Client::over(h.backend.clone(), ClientOptions::default())
}

async fn start(h: &Harness, flow: Flow) -> Started {
    let started = client(h).start(flow).await.expect("start");
    tend(h).await;
    started
}

/// Lets flows go on until nothing is left to do of them.
pub(super) async fn tend(h: &Harness) {
    for _ in 0..10_000 {
        if h.promote().await.next_ms != Some(h.now()) {
            return;
        }
    }
    panic!("flows never come to rest");
}

pub(super) async fn head(h: &Harness, id: JobId) -> FlowHead {
    let page = h.backend.flow(&FlowAsk::Nodes { root: id, from: 0, limit: 1 }).await.expect("flow");
    page.flows.into_iter().next().unwrap_or_else(|| panic!("flow {id} is gone"))
}

async fn flow_is(h: &Harness, id: JobId, state: FlowState, left: u64) {
    let head = head(h, id).await;
    assert_eq!((head.state, head.left, head.finished_ms.is_some()), (state, left, left == 0));
}

fn result(text: &str) -> Outcome {
    Outcome::Succeeded { result: Some(text.into()), keep_ms: 60_000 }
}

/// Runs every job that becomes available, to success; their ids in order.
pub(super) async fn run_all(h: &Harness) -> Vec<JobId> {
    let mut order = Vec::new();
    loop {
        let held = h.lease("q", 1_000).await;
        if held.is_empty() {
            return order;
        }
        let settles: Vec<_> = held.iter().map(|one| one.settle(result("1"))).collect();
        let answers = h.backend.settle(&settles).await.expect("settle");
        assert!(answers.iter().all(|answer| *answer == Settled::Done));
        order.extend(held.iter().map(|one| one.id));
        tend(h).await;
    }
}

pub(super) async fn a_chain_runs_in_order(h: &Harness) {
    let all = start(h, Flow::chain((0..4).map(step))).await;
    use State::{Available, Blocked, Succeeded};
    h.are(&all.nodes, &[Available, Blocked, Blocked, Blocked]).await;
    let held = h.take("q").await;
    h.done(&held, result("7")).await;
    h.are(&all.nodes, &[Succeeded, Available, Blocked, Blocked]).await;
    flow_is(h, all.id, FlowState::Running, 3).await;
    assert_eq!(run_all(h).await, all.nodes[1..]);
    flow_is(h, all.id, FlowState::Succeeded, 0).await;
}

pub(super) async fn a_fan_in_waits_for_all_of_them(h: &Harness) {
    let all = start(h, Flow::group((0..3).map(step)).then(step(3))).await;
    let held = h.lease("q", 9).await;
    assert_eq!(held.len(), 3);
    for one in &held {
        h.is(all.nodes[3], State::Blocked).await;
        h.done(one, success(0)).await;
    }
    h.is(all.nodes[3], State::Available).await;
    assert_eq!(run_all(h).await, [all.nodes[3]]);
    flow_is(h, all.id, FlowState::Succeeded, 0).await;
}

pub(super) async fn results_are_handed_over_in_order_whatever_is_kept(h: &Harness) {
    let mut flow = Flow::group((0..5).map(|n| step(n).label(format!("part {n}"))));
    let last = flow.after_with(Edge::Ignore, &flow.ends(), step(9));
    let all = start(h, flow).await;
    for held in h.lease("q", 9).await.iter().rev() {
        let n = all.nodes.iter().position(|id| *id == held.id).unwrap();
        let kept = Outcome::Succeeded { result: Some(format!("{{\"n\":{n}}}")), keep_ms: 0 };
        h.done(held, if n == 2 { discard() } else { kept }).await;
    }
    let ask = |from, limit| FlowAsk::Inputs { root: all.id, node: last.id(), from, limit };
    let mut seen = Vec::new();
    while seen.len() < 5 {
        let page = h.backend.flow(&ask(seen.len(), 2)).await.unwrap();
        assert_eq!(page.total, 5);
        seen.extend(page.nodes);
    }
    for (n, input) in seen.iter().enumerate() {
        assert_eq!((input.id, input.label.as_str()), (all.nodes[n], format!("part {n}").as_str()));
        assert_eq!(
            (input.name.as_str(), input.queue.as_str(), input.edge),
            ("a.job", "q", Some(Edge::Ignore))
        );
        let result = input.result.as_ref().map(|r| r.get().to_owned());
        assert_eq!(result, (n != 2).then(|| format!("{{\"n\":{n}}}")));
    }
    assert_eq!(seen[2].state, Some(State::Discarded));
    assert!(seen[2].reason.as_deref().unwrap().starts_with("failed"), "{:?}", seen[2].reason);
    h.gone(all.nodes[0]).await;
    run_all(h).await;
    flow_is(h, all.id, FlowState::Succeeded, 0).await;
}

/// A job that fails, one that does not, and one behind both; and one behind that.
async fn fork(h: &Harness, edge: Edge) -> (Started, Vec<Held>) {
    let mut flow = Flow::new();
    let (a, b) = (flow.add(step(0)), flow.add(step(1)));
    let c = flow.after_with(edge, &[a, b], step(2));
    flow.after(&[c], step(3));
    let all = start(h, flow).await;
    (all, h.lease("q", 2).await)
}

pub(super) async fn each_edge_says_what_a_failure_means(h: &Harness) {
    use State::{Available, Blocked, Cancelled, Discarded, Leased, Succeeded};
    for (edge, after_failure, after_all, state) in [
        (
            Edge::Fail,
            [Discarded, Leased, Discarded, Discarded],
            [Succeeded, Discarded, Discarded],
            FlowState::Failed,
        ),
        (
            Edge::Ignore,
            [Discarded, Leased, Blocked, Blocked],
            [Succeeded, Succeeded, Succeeded],
            FlowState::Succeeded,
        ),
        (
            Edge::Continue,
            [Discarded, Leased, Available, Blocked],
            [Succeeded, Succeeded, Succeeded],
            FlowState::Succeeded,
        ),
        (
            Edge::CancelRest,
            [Discarded, Leased, Discarded, Cancelled],
            [Cancelled, Discarded, Cancelled],
            FlowState::Cancelled,
        ),
        (
            Edge::Rescue,
            [Discarded, Leased, Available, Blocked],
            [Succeeded, Succeeded, Succeeded],
            FlowState::Succeeded,
        ),
    ] {
        let (all, held) = fork(h, edge).await;
        h.done(&held[0], discard()).await;
        tend(h).await;
        h.are(&all.nodes, &after_failure).await;
        if edge == Edge::CancelRest {
            let extended = h.backend.extend(&[held[1].token], TTL).await.unwrap();
            assert_eq!(extended.cancel, [all.nodes[1]], "what runs is called off");
            h.done(&held[1], cancel()).await;
        } else {
            h.done(&held[1], result("1")).await;
        }
        run_all(h).await;
        h.are(&all.nodes[1..], &after_all).await;
        flow_is(h, all.id, state, 0).await;
        if edge == Edge::Fail {
            let view = h.view(all.nodes[2]).await;
            assert_eq!(view.reason.as_deref(), Some("dependency"));
            assert_eq!(view.errors[0].error, "it depends on a.job, which failed");
        }
    }
}

pub(super) async fn a_rescue_is_not_needed_when_nothing_fails(h: &Harness) {
    let (all, held) = fork(h, Edge::Rescue).await;
    for one in &held {
        h.done(one, success(60_000)).await;
    }
    use State::{Cancelled, Succeeded};
    h.are(&all.nodes, &[Succeeded, Succeeded, Cancelled, Cancelled]).await;
    assert_eq!(h.view(all.nodes[2]).await.reason.as_deref(), Some("not needed"));
    flow_is(h, all.id, FlowState::Succeeded, 0).await;
    assert_eq!(head(h, all.id).await.failed, 0);
}

pub(super) async fn callbacks_of_a_batch(h: &Harness) {
    for fails in [false, true] {
        let batch = Flow::group((0..3).map(step));
        let batch = batch.on_complete(step(3)).on_success(step(4)).on_failure(step(5));
        let all = start(h, batch).await;
        let held = h.lease("q", 3).await;
        let last = if fails { discard() } else { success(60_000) };
        h.done(&held[0], last).await;
        h.is(all.nodes[5], if fails { State::Available } else { State::Blocked }).await;
        h.done(&held[1], success(0)).await;
        h.is(all.nodes[3], State::Blocked).await;
        h.done(&held[2], success(0)).await;
        let mut ran = run_all(h).await;
        ran.sort();
        let expected = if fails { [all.nodes[3], all.nodes[5]] } else { [all.nodes[3], all.nodes[4]] };
        assert_eq!(ran, expected, "fails: {fails}");
        let state = if fails { FlowState::Failed } else { FlowState::Succeeded };
        flow_is(h, all.id, state, 0).await;
    }
}

pub(super) async fn only_an_end_counts_as_one(h: &Harness) {
    let all = start(h, Flow::job(step(0)).then(step(1))).await;
    let held = h.take("q").await;
    h.done(&held, retry(0)).await;
    h.promote().await;
    let held = h.take("q").await;
    h.done(&held, snooze(0)).await;
    h.promote().await;
    let held = h.take("q").await;
    h.done(&held, Outcome::HandBack).await;
    h.take("q").await;
    h.lose().await;
    h.is(all.nodes[1], State::Blocked).await;
    let held = h.take("q").await;
    h.done(&held, Outcome::Park).await;
    h.backend.beat(&super::keys::worker("w", &[("a.job", 1)])).await.unwrap();
    h.is(all.nodes[1], State::Blocked).await;
    flow_is(h, all.id, FlowState::Running, 2).await;
    assert_eq!(run_all(h).await, all.nodes);
}

pub(super) async fn a_lost_reply_tells_of_an_end_once(h: &Harness) {
    let all = start(h, Flow::group((0..2).map(step)).then(step(2))).await;
    let held = h.lease("q", 2).await;
    for _ in 0..3 {
        assert_eq!(h.settle(&held[0], success(0)).await, Settled::Done);
        h.is(all.nodes[2], State::Blocked).await;
    }
    h.done(&held[1], success(0)).await;
    let last = h.take("q").await;
    assert_eq!(last.id, all.nodes[2]);
    h.settle(&held[1], success(0)).await;
    h.done(&last, success(0)).await;
    h.done(&last, success(0)).await;
    assert!(h.lease("q", 9).await.is_empty());
    flow_is(h, all.id, FlowState::Succeeded, 0).await;
}

pub(super) async fn a_job_that_takes_its_worker_down_fails_its_dependants(h: &Harness) {
    let all = start(h, Flow::job(step(0)).then(step(1))).await;
    for _ in 0..3 {
        h.take("q").await;
        h.lose().await;
    }
    h.are(&all.nodes, &[State::Discarded, State::Discarded]).await;
    flow_is(h, all.id, FlowState::Failed, 0).await;
}

pub(super) async fn a_fan_in_of_ten_thousand_runs_once(h: &Harness) {
    const MANY: usize = 10_000;
    let flow = Flow::group((0..MANY).map(step)).then(step(MANY));
    let all = client(h).start(flow).await.unwrap();
    assert_eq!(h.queue("q").await.count(State::Blocked) + h.queue("q").await.count(State::Available), 10_001);
    tend(h).await;
    let (mut ended, mut lost) = (HashSet::new(), false);
    while ended.len() < MANY {
        let held = h.lease("q", 1_000).await;
        if !lost {
            // A worker dies with a thousand of them, and its late settle is stale.
            lost = true;
            h.lose().await;
            let settles: Vec<_> = held.iter().map(|one| one.settle(success(0))).collect();
            let answers = h.backend.settle(&settles).await.unwrap();
            assert!(answers.iter().all(|answer| *answer == Settled::Stale));
            continue;
        }
        assert!(!held.is_empty());
        h.is(all.nodes[MANY], State::Blocked).await;
        let settles: Vec<_> = held.iter().map(|one| one.settle(success(0))).collect();
        for _ in 0..2 {
            let answers = h.backend.settle(&settles).await.unwrap();
            assert!(answers.iter().all(|answer| *answer == Settled::Done));
        }
        ended.extend(held.iter().map(|one| one.id));
        tend(h).await;
    }
    assert_eq!(run_all(h).await, [all.nodes[MANY]]);
    flow_is(h, all.id, FlowState::Succeeded, 0).await;
    assert_eq!(head(h, all.id).await.nodes, 10_001);
    h.pass(3_600_001);
    h.backend.prune(10_000).await.unwrap();
    tend(h).await;
    assert!(h.backend.flow(&FlowAsk::List(9)).await.unwrap().flows.is_empty(), "it is forgotten");
}

pub(super) async fn a_flow_is_cancelled_whatever_its_jobs_do(h: &Harness) {
    let mut flow = Flow::new();
    let all: Vec<Node> = (0..6).map(|n| flow.add(step(n))).collect();
    flow.after_with(Edge::Rescue, &all, step(6));
    flow.after_with(Edge::Ignore, &all, step(7));
    let all = start(h, flow).await;
    let held = h.lease("q", 4).await;
    h.done(&held[0], success(60_000)).await;
    h.done(&held[1], retry(1_000)).await;
    h.done(&held[2], snooze(1_000)).await;
    assert_eq!(h.control(all.id, Action::Retry).await, Controlled::Refused(State::Leased));
    assert_eq!(h.control(all.id, Action::Cancel).await, Controlled::Done(State::Cancelled));
    tend(h).await;
    use State::{Cancelled, Leased, Succeeded};
    let states = [Succeeded, Cancelled, Cancelled, Leased, Cancelled, Cancelled, Cancelled, Cancelled];
    h.are(&all.nodes, &states).await;
    flow_is(h, all.id, FlowState::Cancelled, 1).await;
    h.done(&held[3], retry(0)).await;
    h.promote().await;
    assert!(h.lease("q", 9).await.is_empty());
    h.is(all.nodes[3], Cancelled).await;
    flow_is(h, all.id, FlowState::Cancelled, 0).await;
    assert_eq!(h.control(all.id, Action::Cancel).await, Controlled::Refused(State::Cancelled));
    assert_eq!(h.view(all.nodes[6]).await.reason.as_deref(), Some("flow cancelled"));
}

pub(super) async fn an_operator_ends_a_node(h: &Harness) {
    for (action, state) in [(Action::Cancel, State::Cancelled), (Action::Discard, State::Discarded)] {
        let all = start(h, Flow::chain((0..3).map(step))).await;
        assert_eq!(h.control(all.nodes[1], Action::Retry).await, Controlled::Refused(State::Blocked));
        assert_eq!(h.control(all.nodes[1], action).await, Controlled::Done(state));
        h.are(&all.nodes, &[State::Available, state, State::Discarded]).await;
        assert_eq!(run_all(h).await, all.nodes[..1]);
        flow_is(h, all.id, FlowState::Failed, 0).await;
        for node in [all.nodes[0], all.nodes[2]] {
            let state = h.state(node).await.unwrap();
            assert_eq!(h.control(node, Action::Retry).await, Controlled::Refused(state), "replay it");
        }
        assert_eq!(h.control(all.nodes[0], Action::Mend).await, Controlled::Missing);
    }
}

pub(super) async fn a_purged_node_counts_as_cancelled(h: &Harness) {
    let fetch = Flow::group((0..3).map(|n| step(n).queue("fetch")));
    let all = start(h, fetch.then_with(Edge::Ignore, step(3)).then(step(4).queue("sum"))).await;
    while h.backend.purge("fetch", 2).await.unwrap() > 0 {}
    tend(h).await;
    h.gone(all.nodes[0]).await;
    h.are(&all.nodes[3..], &[State::Available, State::Blocked]).await;
    while h.backend.purge("sum", 2).await.unwrap() > 0 {}
    assert_eq!(run_all(h).await, [all.nodes[3]]);
    flow_is(h, all.id, FlowState::Failed, 0).await;
    assert_eq!(head(h, all.id).await.failed, 4);
}

pub(super) async fn a_node_is_put_off_once_its_turn_has_come(h: &Harness) {
    let second = step(1).delay(std::time::Duration::from_secs(60));
    let all = start(h, Flow::job(step(0)).then(second)).await;
    h.pass(600_000);
    let held = h.take("q").await;
    h.done(&held, success(0)).await;
    let view = h.view(all.nodes[1]).await;
    assert_eq!((view.state, view.due_ms), (State::Scheduled, Some(h.now() + 60_000)));
    h.pass(60_000);
    h.promote().await;
    assert_eq!(run_all(h).await, [all.nodes[1]]);
}

pub(super) async fn a_serial_key_holds_in_a_flow(h: &Harness) {
    let all = start(h, Flow::group((0..3).map(|n| step(n).serial("k"))).then(step(3).serial("k"))).await;
    let held = h.lease("q", 9).await;
    assert_eq!(held.iter().map(|one| one.id).collect::<Vec<_>>(), all.nodes[..1]);
    h.are(&all.nodes[1..], &[State::Available, State::Available, State::Blocked]).await;
    h.done(&held[0], success(0)).await;
    assert_eq!(run_all(h).await, all.nodes[1..]);
}

pub(super) async fn a_flow_is_read_as_a_graph(h: &Harness) {
    let mut flow = Flow::new().name("week 47");
    let a = flow.add(step(0).label("a"));
    let b = flow.after_with(Edge::Ignore, &[a], step(1));
    let c = flow.after(&[a, b], step(2).label("c").queue("other"));
    let all = start(h, flow).await;
    let page = h.backend.flow(&FlowAsk::Nodes { root: all.id, from: 1, limit: 9 }).await.unwrap();
    assert_eq!((page.total, page.nodes.len(), page.flows[0].name.as_str()), (3, 2, "week 47"));
    let [two, three] = &page.nodes[..] else { panic!() };
    assert_eq!((two.id, &two.after[..]), (b.id(), &[(a.id(), Edge::Ignore)][..]));
    assert_eq!(three.after, [(a.id(), Edge::Fail), (b.id(), Edge::Fail)]);
    assert_eq!((three.id, three.label.as_str(), three.queue.as_str()), (c.id(), "c", "other"));
    assert_eq!((three.state, three.inputs), (Some(State::Blocked), 2));
    let held = h.take("q").await;
    let page = h.backend.flow(&FlowAsk::Nodes { root: all.id, from: 0, limit: 1 }).await.unwrap();
    assert_eq!(page.nodes[0].state, Some(State::Leased));
    h.done(&held, success(0)).await;
    let page = h.backend.flow(&FlowAsk::Nodes { root: all.id, from: 0, limit: 1 }).await.unwrap();
    assert_eq!((page.nodes[0].state, page.nodes[0].finished_ms), (Some(State::Succeeded), Some(h.now())));
    h.pass(1);
    let second = start(h, Flow::job(step(9))).await;
    let list = h.backend.flow(&FlowAsk::List(9)).await.unwrap().flows;
    assert_eq!(list.iter().map(|f| f.id).collect::<Vec<_>>(), [second.id, all.id]);
    assert!(
        h.backend
            .flow(&FlowAsk::Nodes { root: JobId::new(), from: 0, limit: 9 })
            .await
            .unwrap()
            .flows
            .is_empty()
    );
}

pub(super) async fn a_flow_is_replayed_from_a_node(h: &Harness) {
    let mut flow = Flow::new();
    let (a, b) = (flow.add(step(0).label("a")), flow.add(step(1)));
    let c = flow.after(&[a, b], step(2));
    flow.after(&[c], step(3));
    let all = start(h, flow).await;
    for held in h.lease("q", 2).await {
        h.done(&held, result("\"kept\"")).await;
    }
    let client = client(h);
    assert!(client.replay(all.id, all.nodes[2]).await.unwrap_err().to_string().contains("has not ended"));
    h.done(&h.take("q").await, discard()).await;
    flow_is(h, all.id, FlowState::Failed, 0).await;
    let other = client.replay(all.id, all.nodes[3]).await.unwrap_err().to_string();
    assert!(other.contains("which failed; replay that one"), "{other}");
    let new = client.replay(all.id, all.nodes[2]).await.unwrap();
    assert_eq!(new.nodes.len(), 2);
    h.are(&new.nodes, &[State::Available, State::Blocked]).await;
    let ask = FlowAsk::Inputs { root: new.id, node: new.nodes[0], from: 0, limit: 9 };
    let mut inputs = h.backend.flow(&ask).await.unwrap().nodes;
    inputs.sort_by_key(|input| input.label.is_empty());
    assert_eq!((inputs.len(), inputs[0].label.as_str(), inputs[0].given), (2, "a", true));
    assert_eq!(inputs[0].result.as_ref().unwrap().get(), "\"kept\"");
    assert_eq!(run_all(h).await, new.nodes);
    flow_is(h, new.id, FlowState::Succeeded, 0).await;
    assert!(client.replay(JobId::new(), all.nodes[2]).await.unwrap_err().is_not_found());
}

pub(super) async fn mending_a_sound_flow_changes_nothing(h: &Harness) {
    let all = start(h, Flow::group((0..3).map(step)).then(step(3)).on_failure(step(4))).await;
    let held = h.lease("q", 2).await;
    h.done(&held[0], success(0)).await;
    assert_eq!(h.control(all.id, Action::Mend).await, Controlled::Requested);
    tend(h).await;
    h.pass(61_000);
    h.backend.prune(100).await.unwrap();
    tend(h).await;
    assert!(h.backend.extend(&[held[1].token], TTL).await.unwrap().held[0], "the lease holds");
    h.are(&all.nodes[3..], &[State::Blocked, State::Blocked]).await;
    h.done(&held[1], success(0)).await;
    assert_eq!(run_all(h).await, all.nodes[2..4]);
    flow_is(h, all.id, FlowState::Succeeded, 0).await;
    assert_eq!(h.control(all.id, Action::Mend).await, Controlled::Refused(State::Succeeded));
}

/// What must become of a random flow whose jobs end as `fails` says, by the rules alone.
fn foretold(edges: &[(usize, usize, Edge)], fails: &[bool]) -> Vec<&'static str> {
    let mut ends: Vec<&str> = Vec::new();
    for (node, own) in fails.iter().enumerate() {
        let before: Vec<_> = edges.iter().filter(|(_, to, _)| *to == node).collect();
        let end = |from: usize| ends[from];
        let lost = |from: usize| matches!(end(from), "failed" | "dependency");
        let fatal = before.iter().any(|(from, _, edge)| *edge == Edge::Fail && lost(*from));
        let unneeded = before.iter().any(|(from, _, edge)| {
            end(*from) == "not needed" && !matches!(edge, Edge::Ignore | Edge::Rescue)
        });
        let rescue = before.iter().any(|(.., edge)| *edge == Edge::Rescue);
        ends.push(if rescue && !before.iter().any(|(from, ..)| lost(*from)) || unneeded && !fatal {
            "not needed"
        } else if fatal {
            "dependency"
        } else if *own {
            "failed"
        } else {
            "succeeded"
        });
    }
    ends
}

pub(super) async fn random_flows_end_as_the_rules_say(h: &Harness) {
    for seed in 0..25 {
        let mut chance = Chance::new(seed);
        let size = 2 + chance.below(9);
        let (mut flow, mut edges) = (Flow::new(), Vec::new());
        let nodes: Vec<Node> = (0..size).map(|n| flow.add(step(n))).collect();
        for to in 1..size {
            let rescue = chance.hit(0.2);
            for from in 0..to {
                if chance.hit(0.4) {
                    // Which of two ends comes first decides between some policies: only those
                    // stand here for which it does not.
                    let edge = match (rescue, chance.hit(0.5)) {
                        (true, _) => Edge::Rescue,
                        (_, true) => Edge::Fail,
                        _ => Edge::Ignore,
                    };
                    flow.link(nodes[from], nodes[to], edge);
                    edges.push((from, to, edge));
                }
            }
        }
        let fails: Vec<bool> = (0..size).map(|_| chance.hit(0.3)).collect();
        let unclear = |ends: &[&str]| {
            // A node with both a fatal and an unneeded input ends as the first of them says.
            ends.iter().enumerate().any(|(n, _)| {
                let of = |what: &str| {
                    edges.iter().any(|(f, t, e)| *t == n && *e == Edge::Fail && (ends[*f] == what))
                };
                of("not needed") && (of("failed") || of("dependency"))
            })
        };
        let ends = foretold(&edges, &fails);
        if unclear(&ends) {
            continue;
        }
        let all = start(h, flow).await;
        let place: HashMap<JobId, usize> = all.nodes.iter().copied().zip(0..).collect();
        let mut ran = HashSet::new();
        loop {
            let mut held = h.lease_alone("q", 9).await;
            if held.is_empty() {
                break;
            }
            let one = held.swap_remove(chance.below(held.len()));
            for other in &held {
                h.done(other, Outcome::HandBack).await;
            }
            assert!(ran.insert(one.id), "seed {seed}: runs once");
            h.done(&one, if fails[place[&one.id]] { discard() } else { result("1") }).await;
            tend(h).await;
        }
        for (n, id) in all.nodes.iter().enumerate() {
            let view = h.view(*id).await;
            let found = match view.state {
                State::Succeeded => "succeeded",
                State::Discarded | State::Cancelled => view.reason.as_deref().unwrap_or("?"),
                _ => "not ended",
            };
            assert_eq!(found, ends[n], "seed {seed}, node {n} of {edges:?}, failing {fails:?}");
            assert_eq!(ran.contains(id), matches!(ends[n], "succeeded" | "failed"), "seed {seed}, node {n}");
        }
    }
}
