//! Random sequences of verbs, done to a backend and to a small model in memory, and
//! compared step by step.
//!
//! A run follows from its seed alone. A failure is shown with its seed and the shortest
//! failing sequence that was found.

mod apply;
mod state;
mod steps;
mod sweep;
mod unique;

use super::harness::Harness;
use crate::backend::{Filter, Pause};
use crate::{JobId, State};
use state::{Checked, Model, QUEUES, TAGS, must};
use std::future::Future;
use steps::{Client, End, Step};

/// Runs `count` random steps that follow from `seed` against a backend from `open` and
/// compares it with the model after each; ends with a drain, after which nothing
/// unfinished may remain. `used` is where earlier runs have ended well, which spares opening a
/// namespace; `open` gives a fresh one for each try to make a failure shorter.
///
/// ```
/// use legwork::testing::{harness::Harness, model};
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// model::run(7, 40, &Harness::in_memory().await, Harness::in_memory).await.unwrap();
/// # }
/// ```
///
/// # Errors
/// What differed, the seed, and the shortest sequence of steps that still shows it.
pub async fn run<F: Future<Output = Harness>>(
    seed: u64,
    count: usize,
    used: &Harness,
    open: impl Fn() -> F,
) -> Result<(), String> {
    let all = steps::steps(seed, count);
    let Err((_, before)) = play(used, &all, STRIDE).await else { return Ok(()) };
    // Once more, on its own and with a look after each step: where it went wrong.
    let Err((at, why)) = play(&open().await, &all, 1).await else {
        return Err(format!("seed {seed}, only behind those before it, or with fewer looks: {before}"));
    };
    let mut shortest = all[..(at + 1).min(all.len())].to_vec();
    let mut last = why;
    // Takes out one step after the other, the later ones first, while it still fails.
    for n in (0..shortest.len()).rev() {
        let mut without = shortest.clone();
        without.remove(n);
        if let Err((_, why)) = play(&open().await, &without, 1).await {
            (shortest, last) = (without, why);
        }
    }
    let list: Vec<String> = shortest.iter().map(|(client, s)| format!("  {client}: {s:?}")).collect();
    Err(format!("seed {seed}, {} steps:\n{}\n{last}", shortest.len(), list.join("\n")))
}

/// How many steps are taken between two looks at everything. What a step answers is compared
/// each time.
const STRIDE: usize = 10;

async fn play(h: &Harness, steps: &[(Client, Step)], stride: usize) -> Result<(), (usize, String)> {
    let mut model = begin(h).await.map_err(|why| (0, why))?;
    let second = Harness::new(h.other.clone(), h.backend.clone(), h.clock.clone());
    apply::apply(h, &mut model, Step::Rule { most: 2 }).await.map_err(|why| (0, why))?;
    for (at, (client, step)) in steps.iter().enumerate() {
        let failed = |why: String| (at, format!("after {step:?}: {why}"));
        let h = [h, &second][*client];
        apply::apply(h, &mut model, *step).await.map_err(failed)?;
        if (at + 1).is_multiple_of(stride) {
            compare(h, &mut model).await.map_err(failed)?;
        }
    }
    drain(h, &mut model).await.map_err(|why| (steps.len(), format!("in the drain: {why}")))
}

/// A model of a namespace where nothing is: what earlier cases left there goes first.
async fn begin(h: &Harness) -> Result<Model, String> {
    let failed = |e| format!("it does not begin: {e:?}");
    // Longer than anything is kept.
    h.pass(30 * 86_400_000);
    while h.backend.prune(1_000).await.map_err(failed)? > 0 {}
    let mut model = Model { now: h.now(), ..Model::default() };
    let queues = h.backend.queues().await.map_err(failed)?;
    for (n, queue) in QUEUES.iter().enumerate() {
        model.processed[n] = queues.iter().find(|q| q.name == *queue).map_or(0, |q| q.processed);
    }
    Ok(model)
}

async fn compare(h: &Harness, m: &mut Model) -> Checked {
    let views =
        h.backend.list(&Filter::default(), 10_000).await.map_err(|e| format!("list failed: {e:?}"))?;
    let queues = h.backend.queues().await.map_err(|e| format!("queues failed: {e:?}"))?;
    m.compare(&views, &queues)?;
    // One tag a step: in the end each has been looked for often.
    let tag = m.past.len() % TAGS;
    let filter = Filter { tag: Some(format!("tag {tag}")), ..Filter::default() };
    let found = h.backend.list(&filter, 10_000).await.map_err(|e| format!("a search failed: {e:?}"))?;
    m.compare_tag(tag, &found)?;
    let broken = h.backend.audit().await.map_err(|e| format!("audit failed: {e:?}"))?;
    must!(broken.is_empty(), "the audit found {broken:#?}");
    Ok(())
}

/// Whatever happened, a healthy worker finishes everything: nothing waits for ever.
async fn drain(h: &Harness, m: &mut Model) -> Checked {
    let failed = |e| format!("the drain failed: {e:?}");
    for (n, queue) in QUEUES.iter().enumerate() {
        h.backend.pause(queue, Pause::Off).await.map_err(failed)?;
        m.paused.remove(&n);
    }
    apply::apply(h, m, Step::Rule { most: 2 }).await?;
    for _ in 0..m.jobs.len() + 3 {
        let rest = [
            Step::Pass { seconds: 60 },
            Step::Reap,
            Step::Promote { limit: 1_000 },
            Step::Beat { version: 9 },
        ];
        let work = [0, 1].map(|queue| Step::Lease { queue, max: 9, alone: false });
        for step in rest.into_iter().chain(work) {
            apply::apply(h, m, step).await?;
        }
        while !m.live.is_empty() {
            let ends = [End::SucceedKeepNothing; 3];
            apply::apply(h, m, Step::SettleBatch { lease: 0, ends }).await?;
        }
        if m.jobs.values().all(|j| j.state.is_final()) {
            return compare(h, m).await;
        }
    }
    let waiting: Vec<(&JobId, State)> =
        m.jobs.iter().filter(|(_, j)| !j.state.is_final()).map(|(id, j)| (id, j.state)).collect();
    Err(format!("these never ran: {waiting:?}"))
}
