//! The short storm, and queues that are broken on purpose, each in one way that others have in
//! earnest: a small storm must end with the fault's name, and the same storm over the real queue
//! with none. (A sweep that unpacks without a limit is caught by a conformance case; see
//! `mutants.rs`.) `STORM_SEED` is where chance begins; 1 when it is not set.

use legwork::testing::server::TestServer;
use serde_json::Value;
use std::time::Duration;
use tests::Program;

/// A storm: its exit code and what it found; none where there is no server.
fn storm(args: &str, limit: Duration) -> Option<(Option<i32>, Value)> {
    TestServer::start()?;
    let done = Program::new("storm").args(args.split_whitespace()).args(["--json"]).run(limit);
    eprintln!("storm {args}\n{}{}", done.stdout, done.stderr);
    Some((done.code, done.json()))
}

fn seed() -> String {
    std::env::var("STORM_SEED").unwrap_or_else(|_| "1".into())
}

/// What a tiny storm says is broken.
fn broken(args: &str) -> Option<Vec<String>> {
    let (code, said) = storm(&format!("tiny {} {args}", seed()), Duration::from_secs(120))?;
    let names: Vec<String> = serde_json::from_value(said["broken"].clone()).expect("names");
    assert_eq!(code, Some(i32::from(!names.is_empty())), "the exit code says the same");
    Some(names)
}

/// A storm that the real queue weathers, and a broken one does not.
fn caught(args: &str, wrong: &str, name: &str) {
    let Some(found) = broken(&format!("{args} --wrong {wrong}")) else { return };
    assert!(found.iter().any(|found| found == name), "{wrong} must be caught as {name}, not as {found:?}");
    let sound = broken(args).expect("there is a server");
    assert!(sound.is_empty(), "nothing is wrong, and yet: {sound:?}");
}

mod link {
    use legwork::testing::server::TestServer;
    use legwork::{Client, JobId, State};
    use tests::proxy::{Cut, Proxy};

    /// What an enqueue hears through a cut is never a refusal: it is in doubt, and repeated.
    #[tokio::test]
    async fn no_cut_reply_makes_an_enqueue_fail_or_happen_twice() {
        let Some(server) = TestServer::start() else { return };
        let proxy = Proxy::start(&server.url(), 1).await.expect("a proxy");
        let jobs = Client::connect(&format!("{}?ns=test-{}", proxy.url(), JobId::new())).await.expect("open");
        let cuts = [Cut::LostReply, Cut::MidRequest(1), Cut::MidRequest(90), Cut::Reset];
        let all: Vec<Cut> = cuts.into_iter().chain((1..30).map(Cut::MidReply)).collect();
        for cut in &all {
            proxy.cut(*cut);
            let receipt = jobs.enqueue_raw("a.job", "{}").await;
            assert!(receipt.as_ref().is_ok_and(|receipt| receipt.created), "{cut:?}: {receipt:?}");
        }
        let count = jobs.queues().await.expect("queues")[0].count(State::Available);
        assert_eq!((count, proxy.armed()), (all.len() as u64, 0));
    }
}

mod short {
    use super::{seed, storm};
    use std::time::Duration;

    /// What the storm is to show beside that nothing is broken: figures with room for a machine
    /// that is slow or busy.
    fn weathered(args: &str, recovery_ms: u64) {
        let Some((code, said)) = storm(&format!("short {} {args}", seed()), Duration::from_secs(400)) else {
            return;
        };
        // Nothing lost, unexpected, falsely or lately settled, miscounted, doubled or run again without a cause.
        assert_eq!(code, Some(0), "{said}");
        let recovery = said["recovery"]["p100"].as_u64().expect("a figure");
        assert!(recovery <= recovery_ms, "{recovery} ms");
        assert!(said["throughput"]["regained_ms"].as_u64().is_some_and(|ms| ms <= 10_000), "{said}");
    }

    #[test]
    fn nothing_is_lost_on_redis() {
        // A lease of 2 s, a sweep, and some.
        weathered("", 6_000);
    }

    #[test]
    fn nothing_is_lost_on_sqlite() {
        // Nobody is stopped: one that is, amid a transaction, holds the file, and what the others
        // then lose is no fault of theirs (see "Not promised"). `faults.rs` has the zombie.
        weathered("--backend sqlite --jobs 8000 --kills 8 --zombies 0", 12_000);
    }
}

mod broken {
    use super::caught;

    #[test]
    fn an_ack_without_a_token_is_a_stale_ack() {
        // A permit for each job: the heir takes all of the zombie's as soon as it may.
        caught("--jobs 16 --slots 16 --work 1500 --zombies 1", "acks-without-token", "stale_ack_accepted");
    }

    #[test]
    fn an_ack_before_the_run_is_a_false_ack() {
        caught("--kills 2", "acks-before-running", "false_ack");
    }

    #[test]
    fn what_is_popped_before_it_runs_is_lost() {
        caught("--kills 2", "pops-before-running", "lost");
    }

    #[test]
    fn a_sweep_that_counts_no_crashes_breaks_their_limit() {
        caught("--jobs 50 --poison 1", "sweeps-without-counting", "crash_limit");
    }

    #[test]
    fn an_enqueue_that_knows_no_lanes_runs_twice() {
        caught("--cuts 10", "enqueues-without-lanes", "unexplained");
    }

    #[test]
    fn a_lease_that_ends_by_itself_is_lost_in_an_outage() {
        caught("--jobs 150 --server-kills 1 --away 2000", "leases-by-ttl", "unexplained");
    }

    /// The work lasts for several leases: where the machine stands still for one, it counts as an
    /// outage, which grants every lease one more.
    #[test]
    fn a_heartbeat_among_the_handlers_loses_leases() {
        caught("--jobs 4 --slots 2 --work 5000 --block", "beats-among-handlers", "unexplained");
    }
}
