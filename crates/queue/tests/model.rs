//! Random sequences of verbs against the model. `LEGWORK_MODEL_CASES` says how many per
//! backend (200), `LEGWORK_MODEL_SEED` where to begin (1).

mod common;

use common::Keeper;
use legwork::testing::harness::Harness;
use legwork::testing::model;

const STEPS: usize = 40;

fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: {text:?} is not a number")))
}

async fn cases<F: Future<Output = Option<(Harness, Keeper)>>>(open: impl Fn() -> F) {
    // Keeps a shared server up between the runs.
    let Some((_harness, _keeper)) = open().await else { return };
    let fresh = async || open().await.expect("the backend was there a moment ago").0;
    let first = from_env("LEGWORK_MODEL_SEED", 1);
    for seed in first..first + from_env("LEGWORK_MODEL_CASES", 200) {
        if let Err(why) = model::run(seed, STEPS, &fresh).await {
            panic!("{why}");
        }
    }
}

#[tokio::test]
async fn redis_does_what_the_model_does() {
    cases(common::redis).await;
}

#[tokio::test]
async fn sqlite_does_what_the_model_does() {
    cases(common::sqlite_memory).await;
}
