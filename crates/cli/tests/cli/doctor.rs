//! `doctor`: each thing broken on purpose is found, and mended where it can be.

use crate::run::{Ran, legwork};
use crate::world::World;
use legwork::backend::{LeaseRequest, Outcome, Settle};
use legwork::testing::server::TestServer;
use legwork::{Client, JobId};

struct Patient {
    server: TestServer,
    url: String,
    jobs: Client,
}

impl Patient {
    async fn new(args: &[&str]) -> Option<Patient> {
        let server = TestServer::start_with(args)?;
        let url = format!("{}?ns=shop", server.url());
        let jobs = Client::connect(&url).await.expect("connected");
        Some(Patient { server, url, jobs })
    }

    fn doctor(&self, args: &[&str]) -> Ran {
        legwork(&[&["--url", &self.url, "doctor"], args].concat())
    }

    /// Does something to the server that nobody should; `@` is the prefix of the keys.
    fn hurt(&self, words: &[&str]) {
        let words: Vec<String> = words.iter().map(|word| word.replace('@', "{shop:0}:")).collect();
        let answer =
            self.server.command(&words.iter().map(String::as_str).collect::<Vec<_>>()).expect("answered");
        assert!(!answer.starts_with('-'), "{words:?}: {answer}");
    }

    async fn put(&self, n: u32) -> JobId {
        self.jobs.enqueue_raw("a.job", &n.to_string()).await.expect("enqueued").id
    }

    /// The hurt is found, told, mended, and gone.
    fn is_mended_of(&self, what: &str) {
        let told = self.doctor(&[]);
        assert!(
            told.code == 1 && told.out.contains(what) && told.out.contains("--fix mends it"),
            "{what}: {told:?}"
        );
        let mended = self.doctor(&["--fix", "--json"]);
        assert!(mended.out.contains(what), "{what}: {mended:?}");
        let value: serde_json::Value = serde_json::from_str(mended.out.trim()).expect("JSON");
        assert_eq!(value["faults"].as_array().map(Vec::len), Some(0), "{what}: {value}");
        assert!(!self.doctor(&[]).out.contains("broken"), "{what}");
    }
}

fn lease(n: usize) -> LeaseRequest {
    let queues = vec![("default".to_owned(), n)];
    LeaseRequest { worker: "w".into(), queues, most: n, alone: false, ttl_ms: 600_000 }
}

#[tokio::test]
async fn broken_invariants_are_found_and_mended() {
    let Some(p) = Patient::new(&[]).await else { return };
    for n in 0..6 {
        p.put(n).await;
    }
    p.hurt(&["HINCRBY", "@n", "default\0leased", "5"]);
    p.is_mended_of("default leased: 0 jobs, counted 5");
    p.hurt(&["HSET", "@gn", "default:5", "3"]);
    p.is_mended_of("has 0 ghosts, counted are 3");
    // The record of the first in line is gone, as if it had been evicted.
    p.hurt(&[
        "EVAL",
        "redis.call('HDEL', KEYS[1], redis.call('LINDEX', KEYS[2], 0))",
        "2",
        "@jobs",
        "@q:default:5",
    ]);
    p.is_mended_of("in q:default:5 has no record");
    // The first in line is nowhere.
    p.hurt(&["LPOP", "@q:default:5"]);
    p.is_mended_of("is nowhere");
    assert_eq!(
        p.jobs.queues().await.expect("queues")[0].count(legwork::State::Available),
        5,
        "it waits again"
    );
    // A due job without its record, and its count.
    let late =
        p.jobs.enqueue_raw("a.job", "1").delay(std::time::Duration::from_secs(900)).await.expect("put").id;
    p.hurt(&[
        "EVAL",
        "redis.call('HDEL', KEYS[1], redis.call('ZRANGE', KEYS[2], 0, 0)[1])",
        "2",
        "@jobs",
        "@due",
    ]);
    p.is_mended_of("in due has no record");
    assert!(p.jobs.job(late).await.expect("read").is_none());
    // A lease of which nothing else is known.
    let leased = p.jobs.backend().lease(&lease(2)).await.expect("leased").batches;
    assert_eq!(leased[0].jobs.len(), 2);
    p.hurt(&["DEL", "@batch"]);
    p.is_mended_of("has no batch");
    let again = p.jobs.backend().lease(&lease(9)).await.expect("leased").batches;
    assert_eq!(again.iter().map(|batch| batch.jobs.len()).sum::<usize>(), 5, "they wait again");
    // What a late worker says of it counts for nothing.
    let outcome = Outcome::Succeeded { result: None, keep_ms: 0 };
    let settle = Settle { token: leased[0].token, id: leased[0].jobs[0].id, outcome, keyed: false };
    assert_eq!(
        p.jobs.backend().settle(&[settle]).await.expect("settled"),
        [legwork::backend::Settled::Stale]
    );
    // A unique key that a job without a record holds.
    p.hurt(&["HSET", "@uniq", "a.job\0key", "0123456789abcdef"]);
    p.is_mended_of("a unique key is held by job");
    p.hurt(&["SADD", "@cancels", "0123456789abcdef"]);
    p.is_mended_of("is to be cancelled, and its memo does not say so");
}

/// To mend is not to run again what has run, nor to run what has to wait for others.
#[tokio::test]
async fn what_is_mended_runs_when_it_should_and_not_otherwise() {
    let Some(p) = Patient::new(&[]).await else { return };
    let came = async |n| {
        let batches = p.jobs.backend().lease(&lease(n)).await.expect("leased").batches;
        batches
            .into_iter()
            .flat_map(|b| b.jobs.into_iter().map(move |job| (b.token, job.id)))
            .collect::<Vec<_>>()
    };
    let done = |(token, id)| {
        let outcome = Outcome::Succeeded { result: None, keep_ms: 3_600_000 };
        Settle { token, id, outcome, keyed: false }
    };
    // What has succeeded, and whose end nobody knows any more.
    p.put(1).await;
    let leased = came(1).await;
    p.jobs.backend().settle(&[done(leased[0])]).await.expect("settled");
    p.hurt(&["DEL", "@fin"]);
    p.is_mended_of("is finished and not in fin");
    assert_eq!(came(9).await, []);
    // Jobs whose queue nobody knows of any more, and something that is no job.
    for n in 0..3 {
        p.put(n).await;
    }
    p.hurt(&["SREM", "@queues", "default"]);
    p.is_mended_of("is nowhere");
    let leased = came(9).await;
    assert_eq!(leased.len(), 3, "each is there once");
    p.jobs.backend().settle(&leased.into_iter().map(done).collect::<Vec<_>>()).await.expect("settled");
    p.hurt(&["HSET", "@jobs", "short", "x"]);
    assert!(p.doctor(&["--fix"]).out.contains("an entry of jobs that is none"));
    assert_eq!(came(9).await, []);
    p.hurt(&["HDEL", "@jobs", "short"]);
    // What waits under a limit, and is in no lane.
    p.jobs.limit("site").set(legwork::Limit::default().concurrency(1)).await.expect("set");
    let id = p.jobs.enqueue_raw("a.job", "1").limit("site", 7).await.expect("enqueued").id;
    for lane in ["@k:*", "@w:*", "@ring:*"] {
        let delete =
            "for _, key in ipairs(redis.call('KEYS', KEYS[1])) do redis.call('DEL', key) end return 1";
        p.hurt(&["EVAL", delete, "1", lane]);
    }
    p.hurt(&["DEL", "@gov"]);
    p.is_mended_of("is nowhere");
    let leased = came(9).await;
    assert_eq!(leased.iter().map(|(_, id)| *id).collect::<Vec<_>>(), [id], "it is leased like any other");
    p.jobs.backend().settle(&[Settle { keyed: true, ..done(leased[0]) }]).await.expect("settled");
    // A node of a flow whose turn has not come, and nobody knows that any more.
    let steps = ["1", "2"].map(|n| legwork::Step::raw("a.job", n));
    p.jobs.start(legwork::Flow::chain(steps)).await.expect("started");
    p.hurt(&["DEL", "@meta"]);
    assert!(p.doctor(&["--fix"]).out.contains("of a flow is nowhere"));
    assert_eq!(came(9).await.len(), 1, "the first alone");
}

#[tokio::test]
async fn what_is_wrong_with_a_server_is_told() {
    let Some(p) = Patient::new(&["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"]).await else {
        return;
    };
    p.put(1).await;
    let told = p.doctor(&[]);
    assert_eq!(told.code, 1, "{told:?}");
    for part in ["nothing is kept on disk", "maxmemory-policy allkeys-lru", "default: 1 wait: no worker"] {
        assert!(told.out.contains(part), "{part}: {told:?}");
    }
    for (name, value) in [
        ("maxmemory-policy", "noeviction"),
        ("appendonly", "yes"),
        ("appendfsync", "always"),
        ("min-replicas-to-write", "0"),
    ] {
        p.hurt(&["CONFIG", "SET", name, value]);
    }
    p.jobs.pause("default").await.expect("paused");
    let value: serde_json::Value = serde_json::from_str(p.doctor(&["--json"]).out.trim()).expect("JSON");
    let lines: Vec<(&str, &str)> = value["findings"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|f| Some((f["about"].as_str()?, f["line"].as_str()?)))
        // Depends on the server that is installed.
        .filter(|(about, _)| *about != "version")
        .collect();
    assert_eq!(lines, [("queues", "default is paused")], "{value}");
    // Its holes by number, said to be mended: it is healthy then.
    let words = value.to_string();
    let holes = words.match_indices("CVE-").map(|(at, _)| {
        let end = words[at..].find(' ').expect("more is said");
        &words[at..at + end]
    });
    let holes: Vec<_> = holes.collect();
    let all = holes.join(",");
    let args: &[&str] = if holes.is_empty() { &["--json"] } else { &["--json", "--accept", &all] };
    let told = p.doctor(args).json();
    assert_eq!(
        (&told["healthy"], told["findings"].as_array().map(Vec::len)),
        (&true.into(), Some(1)),
        "{told}"
    );
    assert_eq!(told["accepted"].as_array().map(Vec::len), Some(holes.len()), "{told}");
    assert!(p.doctor(&["--accept", "CVE-1"]).bad(2).contains("use CVE-YEAR-NUMBER"));
    let wanted = legwork(&["--url", &format!("{}&durability=replicated:1", p.url), "doctor"]);
    assert!(wanted.code == 1 && wanted.out.contains("0 of 1 replicas are in step"), "{wanted:?}");
    legwork(&["--url", "redis://127.0.0.1:1", "doctor"]).bad(3);
}

#[tokio::test]
async fn a_file_is_healthy_or_not() {
    let world = World::new().await;
    assert!(world.cli(&["doctor"]).good().contains("all is well"));
    let value = world.json(&["doctor"]);
    assert_eq!((value["healthy"].as_bool(), value["audited"].as_bool()), (Some(true), Some(true)), "{value}");
    let told = legwork(&["--url", &format!("{}?durability=memory", world.url), "doctor"]);
    assert!(told.code == 1 && told.out.contains("synchronous=NORMAL"), "{told:?}");
    world.put("a.job", "1").await;
    assert!(world.cli(&["doctor"]).out.contains("1 wait: no worker"));
}

#[tokio::test]
async fn a_checkup_makes_no_queue_of_a_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("empty.db");
    let url = format!("sqlite:{}", path.display());
    legwork(&["--url", &url, "doctor"]).bad(3);
    std::fs::write(&path, "").expect("written");
    for args in [&["doctor"][..], &["doctor", "--fix"]] {
        let told = legwork(&[&["--url", &url], args].concat());
        assert!(told.code == 1 && told.out.contains("no queue has been made in it"), "{told:?}");
        assert_eq!(std::fs::metadata(&path).expect("it is there").len(), 0);
    }
}
