//! Every state and verb of a small world, on each backend. `LEGWORK_SMALL_SECONDS` says for
//! how long two jobs are walked with (3).

mod common;

use common::Keeper;
use legwork::testing::harness::Harness;
use legwork::testing::small;
use std::time::{Duration, Instant};

async fn through(opened: Option<(Harness, Keeper)>) {
    let Some((harness, _keeper)) = opened else { return };
    let seconds = std::env::var("LEGWORK_SMALL_SECONDS").map_or(3, |text| text.parse().expect("a number"));
    let began = Instant::now();
    let (one, two) =
        small::drive(&harness, Duration::from_secs(seconds)).await.unwrap_or_else(|why| panic!("{why}"));
    println!("one job: {one:?}, two: {two:?}, in {:.1?}", began.elapsed());
    assert_eq!((one.states, one.steps), (115, 2_079), "fewer would mean that a verb was lost");
    assert!(seconds == 0 || two.steps > 100, "{two:?}");
}

/// All of it, up to the names of jobs and workers: fewer would mean that a verb was lost.
#[test]
fn every_state_of_the_small_world_is_lawful() {
    let began = Instant::now();
    let seen = small::search().unwrap_or_else(|why| panic!("{why}"));
    println!("{seen:?} in {:.1?}", began.elapsed());
    assert_eq!((seen.states, seen.steps), (11_867, 320_178));
}

#[tokio::test]
async fn redis_is_the_small_world() {
    through(common::redis().await).await;
}

#[tokio::test]
async fn sqlite_is_the_small_world() {
    through(common::sqlite_memory().await).await;
}
