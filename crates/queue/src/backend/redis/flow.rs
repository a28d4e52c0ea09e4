//! Flows: the steps by which they come in, and what is read of them.

use super::{Redis, decode, encode, scripts};
use crate::backend::{
    Due, Edge, EnqueueBatch, Enqueued, FlowAsk, FlowHead, FlowNode, FlowPage, FlowStep, Guard, NewJob, Taken,
};
use crate::{Error, JobId, Result, State};
use redis::{Cmd, Value};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What is kept of a node beside its job, behind its letter.
#[derive(Serialize, Deserialize)]
struct About {
    label: String,
    name: String,
    queue: String,
}

/// What a blocked node's memo says.
#[derive(Serialize)]
struct Memo {
    st: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<i64>,
}

impl Redis {
    /// One step of a flow.
    pub(super) async fn stage(&self, batch: &EnqueueBatch, step: &FlowStep) -> Result<Taken> {
        let mut call = self.script(&scripts::STAGE);
        call.arg(batch.seq)
            .arg(step.root.as_bytes().as_slice())
            .arg(&step.name)
            .arg(encode::ms(step.keep_ms));
        call.arg(u8::from(step.commit)).arg(batch.jobs.len()).arg(step.edges.len()).arg(step.given.len());
        match &batch.guard {
            Guard::Settings { kind, version } => call.arg(kind.as_str()).arg(version),
            _ => call.arg("").arg(""),
        };
        for (job, node) in batch.jobs.iter().zip(&step.nodes) {
            write_node(&mut call, job, if node.entry { 'e' } else { 'n' }, &node.label)?;
        }
        for edge in &step.edges {
            let letter = [edge.edge.letter() as u8];
            call.arg([&edge.to.as_bytes()[..], &edge.from.as_bytes()[..], &letter].concat());
        }
        for given in &step.given {
            let node = &given.node;
            let text = match node.state {
                Some(State::Succeeded) => node.result.as_ref().map_or("", |r| r.get()),
                _ => node.reason.as_deref().unwrap_or("lost"),
            };
            let letter = node.state.map_or("d", |state| &state.as_str()[..1]);
            call.arg(node.id.as_bytes().as_slice());
            call.arg(about('g', &node.label, &node.name, &node.queue)?);
            call.arg(format!("{letter}{}\n{text}", node.finished_ms.unwrap_or(0)));
        }
        let reply = decode::Reply::of(self.run(&scripts::STAGE, &call).await?)?;
        Ok(match reply.word.as_str() {
            "ok" => Taken::Jobs(vec![Enqueued::Created; batch.jobs.len()]),
            _ => Taken::Changed,
        })
    }

    pub(super) async fn flows(&self, ask: &FlowAsk) -> Result<FlowPage> {
        let mut call = self.script(&scripts::FLOWS);
        let slice = |call: &mut Cmd, from: usize, limit: usize| {
            call.arg(from).arg(limit.clamp(1, 1_000));
        };
        match ask {
            FlowAsk::List(limit) => {
                call.arg("list").arg((*limit).clamp(1, 1_000));
            }
            FlowAsk::Nodes { root, from, limit } => {
                call.arg("nodes").arg(root.as_bytes().as_slice());
                slice(&mut call, *from, *limit);
            }
            FlowAsk::Inputs { root, node, from, limit } => {
                call.arg("inputs").arg(root.as_bytes().as_slice()).arg(node.as_bytes().as_slice());
                slice(&mut call, *from, *limit);
            }
        }
        let mut reply = decode::Reply::of(self.run(&scripts::FLOWS, &call).await?)?;
        let flows = decode::list(reply.next()?)?.into_iter().map(head).collect::<Result<_>>()?;
        let total = decode::number(reply.next()?)? as usize;
        let nodes = decode::list(reply.next()?)?.into_iter().map(node).collect::<Result<_>>()?;
        Ok(FlowPage { flows, nodes, total })
    }
}

fn about(letter: char, label: &str, name: &str, queue: &str) -> Result<String> {
    let about = About { label: label.into(), name: name.into(), queue: queue.into() };
    let json = serde_json::to_string(&about).map_err(|e| Error::invalid(format!("label: {e}")))?;
    Ok(format!("{letter}{json}"))
}

fn write_node(call: &mut Cmd, job: &NewJob, letter: char, label: &str) -> Result<()> {
    let e = &job.envelope;
    let (wait, at) = match job.due {
        Due::Now => (None, None),
        Due::In(wait) => (Some(encode::ms(wait)).filter(|ms| *ms > 0), None),
        Due::At(at) => (None, Some(encode::ms(at))),
    };
    let memo =
        serde_json::to_vec(&Memo { st: "flow", wait, at }).map_err(|e| Error::invalid(e.to_string()))?;
    call.arg(e.id.as_bytes().as_slice()).arg([b"*", job.record.as_slice()].concat());
    call.arg(&e.queue).arg(memo).arg(about(letter, label, &e.name, &e.queue)?);
    Ok(())
}

fn odd() -> Error {
    Error::corrupt("redis: what is kept of a flow is not what it must be")
}

fn parts(value: Value) -> Result<impl FnMut() -> Result<Value>> {
    let mut parts = decode::list(value)?.into_iter();
    Ok(move || parts.next().ok_or_else(odd))
}

pub(super) fn head(value: Value) -> Result<FlowHead> {
    let mut part = parts(value)?;
    Ok(FlowHead {
        id: decode::id(&decode::bytes(part()?)?)?,
        name: decode::text(part()?)?,
        state: decode::text(part()?)?.parse().map_err(|_| odd())?,
        created_ms: decode::number(part()?)?,
        finished_ms: decode::text(part()?)?.parse().ok(),
        nodes: decode::number(part()?)? as u64,
        left: decode::number(part()?)? as u64,
        failed: decode::number(part()?)? as u64,
    })
}

/// An id and the letter of an edge, in one.
fn link(value: Value) -> Result<(JobId, Edge)> {
    let bytes = decode::bytes(value)?;
    let letter = bytes.get(16).and_then(|letter| Edge::of_letter(*letter)).ok_or_else(odd)?;
    Ok((decode::id(&bytes[..16])?, letter))
}

pub(super) fn node(value: Value) -> Result<FlowNode> {
    let mut part = parts(value)?;
    let id = decode::id(&decode::bytes(part()?)?)?;
    let about = decode::text(part()?)?;
    let known = about.get(1..).and_then(|json| serde_json::from_str(json).ok());
    let unknown = About { label: String::new(), name: "?".into(), queue: "?".into() };
    let About { label, name, queue } = known.unwrap_or(unknown);
    let state = decode::text(part()?)?;
    let outcome = decode::text(part()?)?;
    let edge = decode::bytes(part()?)?.first().copied().and_then(Edge::of_letter);
    let (first, text) = outcome.split_once('\n').unwrap_or((&outcome, ""));
    let ended = match first.as_bytes().first() {
        Some(b's') => Some(State::Succeeded),
        Some(b'd') => Some(State::Discarded),
        Some(b'c' | b'n') => Some(State::Cancelled),
        _ => None,
    };
    let said = Some(text.to_owned()).filter(|text| !text.is_empty());
    let good = ended == Some(State::Succeeded);
    Ok(FlowNode {
        id,
        label,
        name,
        queue,
        state: ended.or_else(|| state.parse().ok()),
        finished_ms: first.get(1..).and_then(|ms| ms.parse().ok()),
        reason: said.clone().filter(|_| ended.is_some() && !good),
        result: said.filter(|_| good).and_then(|json| RawValue::from_string(json).ok()),
        given: about.starts_with('g'),
        edge,
        inputs: decode::number(part()?)? as usize,
        after: decode::list(part()?)?.into_iter().map(link).collect::<Result<_>>()?,
    })
}
