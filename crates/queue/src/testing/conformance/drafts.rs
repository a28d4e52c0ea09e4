//! Flows that come in by steps: nobody sees them before the one that commits.

use super::super::harness::*;
use super::flows::{head, run_all, tend};
use crate::backend::*;
use crate::{JobId, State};

/// The steps of a flow of two jobs, as a client sends them.
fn steps(h: &Harness) -> (JobId, Vec<JobId>, Vec<EnqueueBatch>) {
    let root = JobId::new();
    let jobs: Vec<_> = (0..2)
        .map(|_| job("a.job").with(|e| (e.flow, e.tags) = (Some(root), vec!["draft".into()])).into_new())
        .collect();
    let ids: Vec<_> = jobs.iter().map(|job| job.envelope.id).collect();
    let empty = FlowStep {
        root,
        name: "drafted".into(),
        keep_ms: 3_600_000,
        nodes: vec![],
        given: vec![],
        edges: vec![],
        commit: false,
    };
    let edge = NewEdge { from: ids[0], to: ids[1], edge: Edge::Fail };
    let nodes = [true, false].map(|entry| NewNode { label: String::new(), entry }).to_vec();
    let flows = [
        FlowStep { nodes, ..empty.clone() },
        FlowStep { edges: vec![edge], ..empty.clone() },
        FlowStep { commit: true, ..empty },
    ];
    let batch = |(n, flow)| EnqueueBatch {
        jobs: if n == 0 { jobs.clone() } else { vec![] },
        seq: n as u64 + 1,
        flow: Some(flow),
        ..h.batch([])
    };
    (root, ids, flows.into_iter().enumerate().map(batch).collect())
}

pub(super) async fn nobody_sees_a_draft(h: &Harness) {
    let (root, ids, steps) = steps(h);
    for step in &steps[..2] {
        assert_ne!(h.backend.enqueue(step).await.unwrap(), Taken::Changed);
    }
    tend(h).await;
    h.gone(ids[0]).await;
    assert_eq!(h.queue("q").await.counts.values().sum::<u64>(), 0);
    let listed = h.listed(Filter { queue: Some("q".into()), limit: 9, ..Filter::default() }).await;
    assert!(listed.is_empty() && h.lease("q", 9).await.is_empty());
    assert!(h.backend.flow(&FlowAsk::List(9)).await.unwrap().flows.is_empty());
    for action in [Action::Cancel, Action::Discard, Action::Retry, Action::Mend] {
        assert_eq!(h.control(ids[0], action).await, Controlled::Missing);
        assert_eq!(h.control(root, action).await, Controlled::Missing);
    }
    assert_eq!(h.backend.purge("q", 100).await.unwrap(), 0);
    h.backend.enqueue(&steps[2]).await.unwrap();
    h.are(&ids, &[State::Available, State::Blocked]).await;
    assert_eq!(run_all(h).await, ids);
}

pub(super) async fn a_step_that_is_repeated_counts_once(h: &Harness) {
    let (root, ids, steps) = steps(h);
    for (n, step) in steps.iter().enumerate() {
        for again in &steps[..=n] {
            assert_ne!(h.other.enqueue(again).await.unwrap(), Taken::Changed);
        }
        assert_ne!(h.backend.enqueue(step).await.unwrap(), Taken::Changed);
    }
    h.are(&ids, &[State::Available, State::Blocked]).await;
    assert_eq!(head(h, root).await.nodes, 2);
    assert_eq!(run_all(h).await, ids);
    for step in &steps {
        h.backend.enqueue(step).await.unwrap();
    }
    assert!(h.lease("q", 9).await.is_empty(), "what has ended does not begin again");
}

pub(super) async fn a_draft_that_nobody_commits_is_forgotten(h: &Harness) {
    let (_, ids, steps) = steps(h);
    h.backend.enqueue(&steps[0]).await.unwrap();
    h.backend.enqueue(&steps[1]).await.unwrap();
    h.pass(3_600_001);
    h.backend.prune(100).await.unwrap();
    tend(h).await;
    assert_eq!(h.backend.enqueue(&steps[2]).await.unwrap(), Taken::Changed);
    h.gone(ids[0]).await;
    assert!(h.lease("q", 9).await.is_empty());
}
