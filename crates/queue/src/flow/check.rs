//! What is no flow is refused before anything is sent, in one line.

use super::{Flow, Step, check_words};
use crate::backend::Edge;
use crate::{Error, JobId, Result};
use std::collections::{HashMap, HashSet};

/// The most jobs of one flow.
const MAX_NODES: usize = 100_000;
/// The most edges of one flow.
const MAX_EDGES: usize = 500_000;

pub(super) fn check(flow: &Flow) -> Result<()> {
    let no = |line: String| Err(Error::invalid(format!("flow: {line}")));
    if flow.steps.is_empty() {
        return no("it has no job; add one".into());
    } else if flow.steps.len() > MAX_NODES {
        return no(format!("{} jobs are too many; at most {MAX_NODES}", flow.steps.len()));
    } else if flow.edges.len() > MAX_EDGES {
        let advice = "put a job between groups that all wait for each other";
        return no(format!("{} edges are too many; at most {MAX_EDGES} ({advice})", flow.edges.len()));
    }
    check_words("name of the flow", &flow.name)?;
    let mut labels = HashSet::new();
    for label in flow.steps.iter().map(|step| &step.label).filter(|label| !label.is_empty()) {
        check_words("label", label)?;
        if !labels.insert(label) {
            return no(format!("two jobs have the label {label:?}; a label is unique in its flow"));
        }
    }
    let nodes: HashMap<JobId, &Step> = flow.steps.iter().map(|step| (step.id, step)).collect();
    let (mut seen, mut rescue) = (HashSet::new(), HashMap::new());
    for (from, to, edge) in &flow.edges {
        if !nodes.contains_key(from) || !nodes.contains_key(to) {
            return no("an edge belongs to a node of another flow; join them with Flow::all first".into());
        } else if !seen.insert((from, to)) {
            let (from, to) = (shown(nodes[from]), shown(nodes[to]));
            return no(format!("{to} waits for {from} twice; one edge is enough"));
        } else if *rescue.entry(to).or_insert(*edge == Edge::Rescue) != (*edge == Edge::Rescue) {
            let to = shown(nodes[to]);
            return no(format!("{to} has rescue edges and others; a rescue has nothing else to wait for"));
        }
    }
    match circle(flow) {
        Some(id) => no(format!("{} waits for itself, by way of others", shown(nodes[&id]))),
        None => Ok(()),
    }
}

fn shown(step: &Step) -> String {
    match (&step.label, &step.envelope) {
        (label, _) if !label.is_empty() => format!("{label:?}"),
        (_, Ok(envelope)) => envelope.name.clone(),
        _ => "a job".into(),
    }
}

/// A node that can never begin, if there is one.
fn circle(flow: &Flow) -> Option<JobId> {
    let mut waits: HashMap<JobId, usize> = flow.steps.iter().map(|step| (step.id, 0)).collect();
    let mut behind: HashMap<JobId, Vec<JobId>> = HashMap::new();
    for (from, to, _) in &flow.edges {
        *waits.entry(*to).or_default() += 1;
        behind.entry(*from).or_default().push(*to);
    }
    let mut free: Vec<JobId> = waits.iter().filter(|(_, n)| **n == 0).map(|(id, _)| *id).collect();
    while let Some(id) = free.pop() {
        waits.remove(&id);
        for to in behind.remove(&id).unwrap_or_default() {
            if let Some(n) = waits.get_mut(&to) {
                *n -= 1;
                if *n == 0 {
                    free.push(to);
                }
            }
        }
    }
    flow.steps.iter().map(|step| step.id).find(|id| waits.contains_key(id))
}
