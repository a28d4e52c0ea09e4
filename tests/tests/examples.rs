//! Every example ends by itself and says by its exit code that it is so: without a server,
//! and on a Redis of its own.

use legwork::testing::server::TestServer;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;
use tests::{Program, root};

/// No example may take longer, on a machine that is busy with others.
const LIMIT: Duration = Duration::from_secs(120);
/// So many run at a time.
const SIDE_BY_SIDE: usize = 3;

/// The binaries of the package, from the folder: a new one cannot be forgotten.
fn examples() -> Vec<String> {
    let bins = root().join("examples/src/bin");
    let all = std::fs::read_dir(&bins).expect("the folder of the examples");
    let mut names: Vec<String> = all
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.split('.').next().map(str::to_owned))
        .collect();
    names.sort();
    assert!(names.len() >= 4, "examples in {}: {names:?}", bins.display());
    names
}

/// Runs them all and tells of every one that failed.
fn run_all(url: impl Fn(&str) -> Option<String> + Sync) {
    let (waiting, failed) = (Mutex::new(VecDeque::from(examples())), Mutex::new(Vec::new()));
    let next = || waiting.lock().expect("whole").pop_front();
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some(name) = next() {
                    let url = url(&name);
                    let ran = std::panic::catch_unwind(|| {
                        let program = Program::new(&name).env("RUST_LOG", "warn");
                        let program = match &url {
                            Some(url) => program.env("LEGWORK_URL", url),
                            None => program,
                        };
                        program.run(LIMIT)
                    });
                    match ran {
                        Ok(done) if done.code == Some(0) => {}
                        Ok(done) => failed.lock().expect("whole").push(format!(
                            "{name} ended with {:?}\n{}\n{}",
                            done.code, done.stdout, done.stderr
                        )),
                        Err(_) => failed.lock().expect("whole").push(format!("{name} did not end")),
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("whole");
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

#[test]
fn every_example_runs_without_a_server() {
    run_all(|_| None);
}

#[test]
fn every_example_runs_on_redis() {
    let Some(server) = TestServer::start_tcp() else { return };
    run_all(|name| Some(format!("{}?ns=example-{name}", server.url())));
}
