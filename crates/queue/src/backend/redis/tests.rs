//! What only Redis can get wrong: memory, scripts, types, connections.

use super::*;
use crate::backend::Batch;
use crate::backend::{Due, Enqueued, NewJob, Outcome};
use crate::testing::server::{TestCluster, TestServer};
use crate::{Envelope, ManualClock, State};
use std::time::Duration;

const TTL: i64 = 15_000;

pub(super) async fn open(server: &TestServer, name: &str) -> Redis {
    let url = format!("{}?ns=test-{name}", server.url());
    Redis::connect(&url, Clock::Manual(ManualClock::new(1_800_000_000_000))).await.unwrap()
}

pub(super) fn jobs(count: usize) -> Vec<NewJob> {
    let job = |_| {
        let envelope = Envelope::new("a.job", "{\"n\":1}").unwrap();
        NewJob { record: envelope.encode(), envelope, due: Due::Now, chosen: false }
    };
    (0..count).map(job).collect()
}

pub(super) async fn put(redis: &Redis, seq: u64, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>> {
    let batch = EnqueueBatch { lane: "lane".into(), seq, jobs, guard: Guard::None, flow: None };
    redis.enqueue(&batch).await.map(Taken::jobs)
}

pub(super) async fn take(redis: &Redis, max: usize, alone: bool) -> Vec<Batch> {
    let queues = vec![("default".to_owned(), max)];
    redis
        .lease(&LeaseRequest { worker: "w".into(), queues, most: 1_000, alone, ttl_ms: TTL })
        .await
        .unwrap()
        .batches
}

pub(super) fn settles(batches: &[Batch], outcome: &Outcome) -> Vec<Settle> {
    let item = |token, id| Settle { token, id, outcome: outcome.clone(), keyed: false };
    batches.iter().flat_map(|b| b.jobs.iter().map(move |j| item(b.token, j.id))).collect()
}

/// Every verb but those that take jobs in, with jobs in their way.
async fn every_verb(redis: &Redis) -> Result<()> {
    let batches = take(redis, 4, true).await;
    let tokens: Vec<Token> = batches.iter().map(|b| b.token).collect();
    redis.extend(&tokens, TTL).await?;
    redis.note(tokens[0], batches[0].jobs[0].id, &Note::Progress("1".into())).await?;
    let kept = Outcome::Succeeded { result: Some("1".into()), keep_ms: 60_000 };
    let retry = Outcome::Retry { wait_ms: 0, error: "no".into() };
    assert_eq!(redis.settle(&settles(&batches[..1], &kept)).await?, [Settled::Done]);
    assert_eq!(redis.settle(&settles(&batches[1..2], &retry)).await?, [Settled::Done]);
    assert_eq!(redis.settle(&settles(&batches[2..3], &Outcome::Park)).await?, [Settled::Done]);
    assert_eq!(redis.promote(9).await?.count, 1);
    let first = batches[0].jobs[0].id;
    assert_eq!(redis.control(first, Action::Retry).await?, Controlled::Done(State::Available));
    assert_eq!(redis.control(first, Action::Cancel).await?, Controlled::Done(State::Cancelled));
    assert_eq!(redis.control(batches[3].jobs[0].id, Action::Cancel).await?, Controlled::Requested);
    redis.get(batches[3].jobs[0].id, true).await?;
    redis.reap(9, true, TTL).await?;
    redis.prune(9).await?;
    redis.steer("other", Steer::Pause(Pause::Forever)).await?;
    redis.beat(&WorkerView { id: "w".into(), ..WorkerView::default() }).await?;
    redis.beat(&WorkerView { id: "w".into(), leaving: true, ..WorkerView::default() }).await?;
    redis.settings(Setting::Schedule).await?;
    redis.search(&Filter::default()).await?;
    redis.queues().await?;
    while redis.steer("default", Steer::Purge(100)).await? > 0 {}
    Ok(())
}

#[tokio::test]
async fn a_full_redis_refuses_new_jobs_and_drains() {
    let Some(server) = TestServer::start() else {
        return;
    };
    let redis = open(&server, "full").await;
    put(&redis, 1, jobs(50)).await.unwrap();
    server.command(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    let error = put(&redis, 2, jobs(3)).await.unwrap_err();
    assert!(error.is_refused() && error.to_string().contains("memory"), "{error:?}");
    let mut late = jobs(1);
    late[0].due = Due::In(60_000);
    assert!(put(&redis, 2, late).await.unwrap_err().is_refused());
    assert_eq!(redis.queues().await.unwrap()[0].count(State::Available), 50, "nothing was taken in");
    every_verb(&redis).await.unwrap();
    redis.put(Setting::Schedule, "s", Some("{}")).await.unwrap();
    assert_eq!(redis.audit().await.unwrap(), Vec::<String>::new());
    server.command(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    put(&redis, 2, jobs(3)).await.unwrap();
}

#[tokio::test]
async fn a_record_that_is_gone_is_skipped_and_its_place_given_up() {
    let Some(server) = TestServer::start() else {
        return;
    };
    let redis = open(&server, "gone").await;
    put(&redis, 1, jobs(60)).await.unwrap();
    let script = "local q, jobs = '{test-gone:0}:q:default:5', '{test-gone:0}:jobs'
        for _, at in ipairs({ 0, 7, 55 }) do redis.call('HDEL', jobs, redis.call('LINDEX', q, at)) end
        return 'gone'";
    server.command(&["EVAL", script, "0"]).unwrap();
    // The larger batch is read natively, the smaller one in the script.
    let mut batches = take(&redis, 50, false).await;
    batches.extend(take(&redis, 10, false).await);
    assert_eq!(batches.iter().map(|b| b.jobs.len()).collect::<Vec<_>>(), [48, 9]);
    assert!(batches.iter().flat_map(|b| &b.jobs).all(|job| !job.record.is_empty()));
    assert_eq!(redis.queues().await.unwrap()[0].count(State::Leased), 57);
    let gone = Outcome::Succeeded { result: None, keep_ms: 0 };
    assert_eq!(redis.settle(&settles(&batches, &gone)).await.unwrap(), [Settled::Done; 57]);
    assert_eq!(redis.audit().await.unwrap(), Vec::<String>::new());
    assert_eq!(redis.queues().await.unwrap()[0].count(State::Leased), 0);
}

#[tokio::test]
async fn forgotten_scripts_are_loaded_again() {
    let Some(server) = TestServer::start() else {
        return;
    };
    let redis = open(&server, "flush").await;
    for seq in 1..4 {
        server.command(&["SCRIPT", "FLUSH"]).unwrap();
        put(&redis, seq, jobs(5)).await.unwrap();
        server.command(&["SCRIPT", "FLUSH"]).unwrap();
        let batches = take(&redis, 5, false).await;
        server.command(&["SCRIPT", "FLUSH"]).unwrap();
        let gone = Outcome::Succeeded { result: None, keep_ms: 0 };
        assert_eq!(redis.settle(&settles(&batches, &gone)).await.unwrap(), [Settled::Done; 5]);
    }
    put(&redis, 4, jobs(5)).await.unwrap();
    server.command(&["SCRIPT", "FLUSH"]).unwrap();
    every_verb(&redis).await.unwrap();
}

/// Everything that the server holds, in one number.
pub(super) fn digest(server: &TestServer) -> String {
    let script = "local keys, all = redis.call('KEYS', '*'), {} table.sort(keys)
        for i, key in ipairs(keys) do all[i] = key .. redis.call('DUMP', key) end
        return redis.sha1hex(table.concat(all))";
    let answer = server.command(&["EVAL", script, "0"]).unwrap();
    assert!(answer.starts_with("$40"), "{answer}");
    answer
}

#[tokio::test]
async fn a_key_of_another_type_is_named_and_nothing_changes() {
    let Some(server) = TestServer::start() else {
        return;
    };
    let list = ("q:default:5", "list");
    for (name, kind) in keys::FIXED.into_iter().chain([list]) {
        let redis = open(&server, "type").await;
        let key = redis.keys.named(name);
        let (mut late, mut met) = (jobs(1), 0);
        late[0].due = Due::In(0);
        put(&redis, 1, jobs(5)).await.unwrap();
        put(&redis, 2, late).await.unwrap();
        let held = take(&redis, 2, true).await;
        redis.steer("default", Steer::Pause(Pause::Until(1))).await.unwrap();
        server.command(&["RENAME", &key, "aside"]).unwrap();
        let wrong: &[&str] = if kind == "string" { &["RPUSH", &key, "x"] } else { &["SET", &key, "x"] };
        server.command(wrong).unwrap();
        let before = digest(&server);
        let mut check = |error: Option<Error>| {
            let Some(error) = error else { return false };
            assert!(
                format!("{error:?}").starts_with("Corrupt") && error.to_string().contains(&key),
                "{name}: {error:?}"
            );
            assert_eq!(digest(&server), before, "{name}: {error:?}");
            met += 1;
            true
        };
        let retry = settles(&held[..1], &Outcome::Retry { wait_ms: 0, error: "no".into() });
        let done = settles(&held[1..], &Outcome::Succeeded { result: None, keep_ms: 9 });
        let queues = vec![("default".into(), 2)];
        let request = LeaseRequest { worker: "w".into(), queues, most: 1_000, alone: false, ttl_ms: TTL };
        let worker = WorkerView { id: "w".into(), ..WorkerView::default() };
        // Each in turn; the first that finds the key sound ends the round, for it changes things.
        let _ = check(redis.lease(&request).await.err())
            && check(redis.settle(&done).await.err())
            && check(redis.settle(&retry).await.err())
            && check(redis.control(held[0].jobs[0].id, Action::Cancel).await.err())
            && check(redis.reap(9, false, TTL).await.err())
            && check(put(&redis, 3, jobs(2)).await.err());
        for verb in ["settle", "lease", "reap", "control", "beat"] {
            let error = match verb {
                "settle" => redis.settle(&retry).await.err(),
                "lease" => redis.lease(&request).await.err(),
                "reap" => redis.reap(9, true, TTL).await.err(),
                "control" => redis.control(held[1].jobs[0].id, Action::Discard).await.err(),
                _ => redis.beat(&worker).await.err(),
            };
            let error = error.map(|e| (format!("{e:?}").starts_with("Corrupt"), e.to_string()));
            assert!(error.is_none_or(|(corrupt, line)| corrupt && line.contains(&key)), "{name} {verb}");
        }
        if ["jobs", "n"].contains(&name) {
            assert!(met >= 5, "{name}: {met}");
        }
        server.command(&["FLUSHALL"]).unwrap();
    }
}

#[tokio::test]
async fn a_broken_record_in_any_queue_is_counted_where_it_is() {
    let Some(server) = TestServer::start() else {
        return;
    };
    let redis = open(&server, "broken").await;
    let mut all = jobs(2);
    for job in &mut all {
        (job.envelope.queue, job.record) = ("odd".into(), b"junk".to_vec());
    }
    all[1].due = Due::In(0);
    put(&redis, 1, all).await.unwrap();
    for outcome in [Outcome::Retry { wait_ms: 0, error: "no".into() }, Outcome::HandBack, Outcome::Park] {
        let queues = vec![("odd".to_owned(), 2)];
        let request = LeaseRequest { worker: "w".into(), queues, most: 1_000, alone: false, ttl_ms: TTL };
        let batches = redis.lease(&request).await.unwrap().batches;
        assert_eq!(batches[0].jobs.len(), 2);
        assert_eq!(redis.settle(&settles(&batches, &outcome)).await.unwrap(), [Settled::Done; 2]);
        redis.promote(9).await.unwrap();
        assert_eq!(redis.audit().await.unwrap(), Vec::<String>::new(), "{outcome:?}");
    }
    assert_eq!(redis.queues().await.unwrap()[0].parked, 2);
    assert_eq!(redis.steer("odd", Steer::Purge(9)).await.unwrap(), 2);
}

#[tokio::test]
async fn it_reconnects_and_fails_quickly_in_between() {
    let Some(mut server) = TestServer::start_tcp() else {
        return;
    };
    let redis = open(&server, "down").await;
    let mut bell = redis.wakeups();
    put(&redis, 1, jobs(1)).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), bell.changed()).await.expect("a wake-up").unwrap();
    server.kill();
    for _ in 0..3 {
        let error = redis.promote(1).await.unwrap_err();
        assert!(error.is_unavailable(), "{error:?}");
    }
    bell.mark_unchanged();
    server.restart();
    put(&redis, 2, jobs(1)).await.unwrap();
    assert_eq!(take(&redis, 9, false).await[0].jobs.len(), 1);
    let rung = async {
        loop {
            put(&redis, crate::clock::system_ms() as u64, jobs(1)).await.unwrap();
            take(&redis, 9, false).await;
            if bell.has_changed().unwrap() {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), rung).await.expect("the subscriber came back");
}

#[tokio::test]
async fn what_is_no_redis_is_told_apart() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.read(&mut [0; 512]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let error = Redis::connect(&format!("redis://127.0.0.1:{port}"), Clock::Backend).await.err().unwrap();
    assert!(error.to_string().contains("not a Redis server"), "{error:?}");
    let error = Redis::connect("redis://:hush@127.0.0.1:1", Clock::Backend).await.err().unwrap();
    assert!(error.is_unavailable() && !format!("{error:?}").contains("hush"), "{error:?}");
    let clock = Clock::Manual(ManualClock::new(1));
    assert!(Redis::connect("redis://127.0.0.1:1?ns=shop", clock).await.err().unwrap().is_invalid());
}

#[tokio::test]
async fn newer_data_and_missing_rights_are_refused() {
    let Some(server) = TestServer::start() else {
        return;
    };
    server.command(&["SET", "{test-new:0}:schema", "2"]).unwrap();
    let connect = |ns: &str| format!("{}?ns={ns}", server.url());
    let error = Redis::connect(&connect("test-new"), Clock::Backend).await.err().unwrap();
    assert!(error.is_refused() && error.to_string().contains("version 2"), "{error:?}");
    server.command(&["CONFIG", "SET", "requirepass", "hush"]).unwrap();
    let error = Redis::connect(&connect("test-a"), Clock::Backend).await.err().unwrap();
    assert!(error.is_refused() && error.to_string().contains("permission"), "{error:?}");
    let with = format!("{}?ns=test-a&pass=hush", server.url());
    Redis::connect(&with, Clock::Backend).await.unwrap();
}

/// Every fixed key exists, so that only a computed one can be elsewhere.
#[tokio::test]
async fn no_script_begins_in_a_slot_that_is_being_moved() {
    let Some(cluster) = TestCluster::start(false, 15_000) else {
        return;
    };
    let redis = Redis::connect(&format!("{}?ns=test-whole", cluster.url()), Clock::Backend).await.unwrap();
    for ((name, kind), key) in keys::FIXED.iter().zip(redis.keys.fixed()) {
        let fill = match *kind {
            "hash" => cmd("HSET").arg(key).arg("x").arg(1).to_owned(),
            "zset" => cmd("ZADD").arg(key).arg(9e15).arg("x").to_owned(),
            "set" => cmd("SADD").arg(key).arg("x").to_owned(),
            "list" => cmd("RPUSH").arg(key).arg("x").to_owned(),
            _ => cmd("SETNX").arg(key).arg(0).to_owned(),
        };
        redis.link.ask(&fill).await.unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    let slot = cluster.slot("{test-whole:0}");
    let from = cluster.owner(slot).unwrap();
    let to = (from + 1) % 3;
    cluster.open_slot(slot, from, to);
    // Without the key that never exists, the script is stopped at the list of the queue.
    let error = put(&redis, 1, jobs(1)).await.unwrap_err();
    assert!(error.is_unavailable() && error.to_string().contains("TRYAGAIN"), "{error:?}");
    cluster.move_keys(slot, from, to, usize::MAX);
    let error = put(&redis, 1, jobs(1)).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    cluster.close_slot(slot, to);
    assert_eq!(put(&redis, 1, jobs(1)).await.unwrap(), [Enqueued::Created]);
}
