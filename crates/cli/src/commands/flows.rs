//! `flows` and `flow`: lists of them, one as a tree, and what may be done to it.

use super::{Done, colour};
use crate::args::FlowAct;
use crate::out::{Color, Out, coloured};
use crate::problem::{Exit, Problem};
use crate::words::{cut, relative, shown};
use comfy_table::{Attribute, Cell};
use legwork::backend::{Controlled, Edge, FlowHead, FlowNode, FlowState};
use legwork::{Client, FlowView, JobId};
use serde_json::json;
use std::collections::{HashMap, HashSet};

/// A tree is not longer than this; `--json` tells all.
const LINES: usize = 200;

pub(super) async fn list(client: &Client, limit: usize, out: &mut Out) -> Done {
    let all = client.flows(limit).await?;
    if out.json {
        return out.value(&all);
    }
    if all.is_empty() {
        out.line("no flows yet");
        return Ok(());
    }
    let now_ms = client.backend().now().await?;
    let mut table = out.table(&["FLOW", "STATE", "ENDED", "FAILED", "STARTED", "NAME"]);
    for flow in &all {
        table.add_row([
            Cell::new(flow.id),
            coloured(flow.state, hue(flow.state)),
            Cell::new(format!("{} of {}", flow.nodes - flow.left, flow.nodes)),
            Cell::new(flow.failed),
            Cell::new(relative(flow.created_ms, now_ms)),
            Cell::new(cut(&shown(&flow.name), 60)),
        ]);
    }
    out.print(table, &[0, 1]);
    Ok(())
}

pub(super) async fn flow(client: &Client, act: Option<FlowAct>, id: Option<JobId>, out: &mut Out) -> Done {
    match (act, id) {
        (Some(FlowAct::Cancel { id }), _) => {
            told(client.cancel_flow(id).await?, id, "is being cancelled", out)
        }
        (Some(FlowAct::Mend { id }), _) => told(client.mend_flow(id).await?, id, "is being looked over", out),
        (Some(FlowAct::Replay { id, node }), _) => {
            let started = client.replay(id, node).await?;
            if out.json {
                return out.value(&json!({"id": started.id, "nodes": started.nodes}));
            }
            out.line(format!("flow {} has begun, with {} of its jobs", started.id, started.nodes.len()));
            Ok(())
        }
        (None, Some(id)) => tell(client, id, out).await,
        (None, None) => Err(Problem::new(Exit::Usage, "usage", "which flow? Give its id")),
    }
}

fn told(answer: Controlled, id: JobId, done: &str, out: &mut Out) -> Done {
    match answer {
        Controlled::Done(_) | Controlled::Requested if out.json => {
            out.value(&json!({"id": id, "outcome": "requested"}))
        }
        Controlled::Done(_) | Controlled::Requested => {
            out.line(format!("flow {id} {done}"));
            Ok(())
        }
        Controlled::Missing => Err(missing(id)),
        _ => Err(Problem::new(Exit::Failed, "conflict", format!("flow {id} has ended"))),
    }
}

fn missing(id: JobId) -> Problem {
    Problem::new(Exit::Failed, "not_found", format!("there is no flow {id}, or no longer"))
}

async fn tell(client: &Client, id: JobId, out: &mut Out) -> Done {
    let view = client.flow(id).await?.ok_or_else(|| missing(id))?;
    if out.json {
        return out.value(&view);
    }
    let now_ms = client.backend().now().await?;
    let mut table = out.table(&[]);
    let FlowHead { name, state, nodes, left, failed, created_ms, .. } = &view.head;
    table.add_row([Cell::new("flow"), Cell::new(id).add_attribute(Attribute::Bold)]);
    if !name.is_empty() {
        table.add_row([Cell::new("name"), Cell::new(shown(name))]);
    }
    table.add_row([Cell::new("state"), coloured(state, hue(*state))]);
    let ended = format!("{} of {nodes} ended, {failed} failed", nodes - left);
    table.add_row([Cell::new("jobs"), Cell::new(ended)]);
    table.add_row([Cell::new("started"), Cell::new(relative(*created_ms, now_ms))]);
    out.print(table, &[0]);
    out.line("");
    let mut tree = Tree::of(&view);
    for node in view.nodes.iter().filter(|node| node.inputs == 0) {
        tree.branch(node, 0, None);
    }
    let mut table = out.table(&[]);
    for (name, state, said) in tree.lines.iter().take(LINES) {
        table.add_row([Cell::new(name), state.clone(), Cell::new(said)]);
    }
    out.print(table, &[0, 1]);
    if tree.lines.len() > LINES {
        out.line(format!("… and {} more; --json tells all", tree.lines.len() - LINES));
    }
    Ok(())
}

fn hue(state: FlowState) -> Option<Color> {
    match state {
        FlowState::Running => Some(Color::Cyan),
        FlowState::Succeeded => Some(Color::Green),
        FlowState::Failed => Some(Color::Red),
        FlowState::Cancelled => Some(Color::DarkGrey),
    }
}

/// A graph told as a tree: a node stands whole below the first that it waits for, and by name
/// below the others.
struct Tree<'a> {
    behind: HashMap<JobId, Vec<(&'a FlowNode, Edge)>>,
    seen: HashSet<JobId>,
    lines: Vec<(String, Cell, String)>,
}

impl<'a> Tree<'a> {
    fn of(view: &'a FlowView) -> Tree<'a> {
        let mut behind: HashMap<JobId, Vec<_>> = HashMap::new();
        for node in &view.nodes {
            for (from, edge) in &node.after {
                behind.entry(*from).or_default().push((node, *edge));
            }
        }
        Tree { behind, seen: HashSet::new(), lines: Vec::new() }
    }

    fn branch(&mut self, node: &'a FlowNode, depth: usize, edge: Option<Edge>) {
        // A chain of a hundred thousand must not be too deep to be told.
        let indent = "  ".repeat(depth.min(20));
        let label = if node.label.is_empty() { &node.name } else { &node.label };
        let policy = edge.filter(|edge| *edge != Edge::Fail).map(|edge| format!(" ({edge})"));
        let name = format!("{indent}{}{}", cut(&shown(label), 60), policy.unwrap_or_default());
        if !self.seen.insert(node.id) {
            self.lines.push((name, Cell::new("above"), String::new()));
            return;
        }
        let state = node.state.map_or("lost".into(), |state| state.to_string());
        let said = node.reason.as_deref().map(|reason| cut(&shown(reason), 100)).unwrap_or_default();
        let from = if node.given { "from another flow" } else { "" };
        let said = format!("{}  {from}{said}", node.id);
        self.lines.push((name, coloured(state, node.state.and_then(colour)), said.trim_end().to_owned()));
        if self.lines.len() > LINES && depth > 200 {
            return;
        }
        for (next, edge) in self.behind.get(&node.id).cloned().unwrap_or_default() {
            self.branch(next, depth + 1, Some(edge));
        }
    }
}
