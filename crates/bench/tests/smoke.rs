//! Whether every measurement works, with so few jobs that its figures say nothing.

use serde_json::Value;
use std::process::Command;

/// What must be measured on either backend.
const BOTH: &[&str] = &[
    "enqueue, 1 caller",
    "enqueue, 64 callers",
    "enqueue, 512 callers",
    "enqueue in bulk, 1 caller",
    "enqueue in bulk, 4 callers",
    "drain, nothing kept",
    "drain, defaults",
    "drain, results kept",
    "mixed",
    "drain under a rate and a concurrency of the queue",
    "drain of 1000 keys, one at a time each",
    "drain of unique jobs",
    "pick-up at 50/s, p50",
    "pick-up at 50/s, p99",
    "pick-up at 1000/s, p50",
    "pick-up at 1000/s, p99",
    "memory per queued job",
    "worker memory, idle",
    "worker memory, 200 in flight",
    "drain with a backlog of 1,000",
    "drain with a backlog of 2,000",
    "drain rate lost with the backlog",
    "profile enqueue: client",
    "profile drain: client",
];

/// What has a bare client beside it.
const LIMITED: &[&str] = &[
    "redis enqueue, 64 callers",
    "redis drain, nothing kept",
    "redis pick-up at 1000/s, p50",
    "redis memory per queued job",
    "sqlite enqueue in bulk, 1 caller",
    "sqlite drain, nothing kept",
];

fn measure(words: &[&str]) -> Vec<Value> {
    let out = Command::new(env!("CARGO_BIN_EXE_legwork-bench")).args(words).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{words:?}: {said}");
    serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {said}"))
}

#[test]
fn every_figure_is_measured() {
    let redis = Command::new("redis-server").arg("--version").output().is_ok();
    let room = tempfile::tempdir().unwrap();
    let out = room.path().join("figures").display().to_string();
    let mut words = vec!["all", "--quick", "--json", "--out", &out];
    if !redis {
        assert!(std::env::var_os("CI").is_none(), "redis-server is not on the PATH");
        println!("skipped: redis-server is not on the PATH; SQLite alone is measured");
        words.extend(["--backend", "sqlite"]);
    }
    let rows = measure(&words);
    let of = |name: &str| rows.iter().find(|row| row["name"] == name);
    let backends: &[&str] = if redis { &["redis", "sqlite"] } else { &["sqlite"] };
    for backend in backends {
        for what in BOTH {
            let name = format!("{backend} {what}");
            let row = of(&name).unwrap_or_else(|| panic!("{name} is not measured"));
            assert!(row["value"].is_f64() && row["unit"].is_string(), "{row}");
            assert!(row["settings"].is_string() && row.get("limit").is_some(), "{row}");
            assert!(
                what.contains("lost") || what.contains("profile") || row["value"].as_f64() > Some(0.0),
                "{row}"
            );
        }
    }
    for name in LIMITED.iter().filter(|name| redis || name.starts_with("sqlite")) {
        assert!(of(name).unwrap()["limit"].as_f64() > Some(0.0), "{name} has no limit");
    }
    for (file, word) in [
        ("results.json", "\"sqlite mixed\""),
        ("results.md", "| sqlite mixed |"),
        ("chart.svg", "sqlite mixed"),
    ] {
        let text = std::fs::read_to_string(room.path().join("figures").join(file)).unwrap();
        assert!(text.contains(word), "{file}: {text}");
    }
}

#[test]
fn a_wrong_word_is_told_what_is_allowed() {
    let out = Command::new(env!("CARGO_BIN_EXE_legwork-bench")).arg("speed").output().unwrap();
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("drain"), "{out:?}");
    let out =
        Command::new(env!("CARGO_BIN_EXE_legwork-bench")).args(["drain"]).env("PATH", "/nowhere").output();
    let out = out.unwrap();
    assert_eq!(out.status.code(), Some(3), "{out:?}");
    assert!(String::from_utf8_lossy(&out.stderr).contains("--backend sqlite"), "{out:?}");
}
