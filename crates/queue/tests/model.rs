//! Random sequences of verbs against the model. `LEGWORK_MODEL_CASES` says how many per
//! backend (1,000), `LEGWORK_MODEL_SEED` where to begin (1). `LEGWORK_MODEL_STEPS` makes the
//! sequences longer than 50 steps: then the same seed is another case.

mod common;

use common::Keeper;
use legwork::testing::harness::Harness;
use legwork::testing::model;
use std::time::Instant;

/// So many cases share a namespace, one after the other.
const GROUP: u64 = 50;

fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: {text:?} is not a number")))
}

async fn cases<F: Future<Output = Option<(Harness, Keeper)>>>(test: &str, open: impl Fn() -> F) {
    // Keeps a shared server up between the runs.
    let Some((_harness, _keeper)) = open().await else { return };
    let fresh = async || open().await.expect("the backend was there a moment ago").0;
    let (first, steps) = (from_env("LEGWORK_MODEL_SEED", 1), from_env("LEGWORK_MODEL_STEPS", 50));
    let (cases, began) = (from_env("LEGWORK_MODEL_CASES", 1_000), Instant::now());
    let mut used = fresh().await;
    for seed in first..first + cases {
        // Everything that a namespace may gather in the course of time, but not for ever.
        let place = (seed - first) % GROUP;
        if place == 0 {
            used = fresh().await;
        }
        if let Err(why) = model::run(seed, steps as usize, &used, &fresh).await {
            let (seed, cases) = (seed - place, place + 1);
            let env =
                format!("LEGWORK_MODEL_SEED={seed} LEGWORK_MODEL_CASES={cases} LEGWORK_MODEL_STEPS={steps}");
            panic!("{why}\nagain: {env} cargo test -p legwork --test model {test}");
        }
    }
    println!("{cases} cases of {steps} steps in {:.1?}", began.elapsed());
}

#[tokio::test]
async fn redis_does_what_the_model_does() {
    cases("redis", common::redis).await;
}

#[tokio::test]
async fn sqlite_does_what_the_model_does() {
    cases("sqlite", common::sqlite_memory).await;
}
