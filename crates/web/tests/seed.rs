//! Not a test: fills a data directory with many invented runs, to look at the pages.
//!
//! `SEED_DIR=/tmp/runs cargo test -p runnerly-web --test seed -- --ignored`, then
//! `runnerly-web --data-dir /tmp/runs` and hand in any file: it shows the same athlete.

mod common;

use common::{LOCAL, seed};
use runnerly::secret::Keyring;
use runnerly::storage::Storage;
use serde_json::json;
use std::path::PathBuf;

#[tokio::test]
#[ignore = "a helper for looking at pages; needs SEED_DIR"]
async fn seed_a_directory() {
    let dir = PathBuf::from(std::env::var("SEED_DIR").expect("SEED_DIR names the directory"));
    std::fs::create_dir_all(&dir).unwrap();
    let url = format!("sqlite:{}", dir.join("runnerly.db").display());
    let storage = Storage::open(&url, Keyring::load(None, &dir).unwrap()).await.unwrap();
    let name = "Wolfeschlegelsteinhausenbergerdorff-Maximiliane von und zu Hohenstein";
    storage.save_athlete(LOCAL, name, &json!({})).await.unwrap();
    seed(&storage, LOCAL, 15 * 365, 40).await;
}
