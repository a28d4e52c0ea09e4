//! Every script in a Redis that is full, and with each key in turn holding what it must not.

use super::*;
use crate::backend::{Budget, Conflict, Due, Note, Outcome, Release};
use crate::testing::harness::{Harness, Held, TTL, cancel, crash, discard, job, progress, retry, success};
use crate::testing::server::TestServer;
use crate::{Client, ClientOptions, Flow, Limit, ManualClock, Rate, Started, Step};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

/// A namespace in which every kind of key holds something.
struct Rich {
    redis: Arc<Redis>,
    client: Client,
    h: Harness,
    held: Vec<Held>,
    /// Jobs that wait, in every way there is.
    waiting: Vec<JobId>,
    /// A job that has succeeded, and one that was discarded.
    finished: Vec<JobId>,
    flow: Started,
}

fn step(n: usize) -> Step {
    Step::raw("a.job", &n.to_string()).queue("plain")
}

impl Rich {
    async fn new(server: &TestServer) -> Rich {
        let clock = ManualClock::new(1_800_000_000_000);
        let url = format!("{}?ns=test-rich", server.url());
        let redis = Arc::new(Redis::connect(&url, Clock::Manual(clock.clone())).await.unwrap());
        let client = Client::over(redis.clone(), ClientOptions::default());
        let h = Harness::new(redis.clone(), redis.clone(), clock);
        let flow = client.start(Flow::group((0..2).map(step)).then(step(2)).then(step(3))).await.unwrap();
        h.promote().await;
        let mut rich = Rich { redis, client, h, held: vec![], waiting: vec![], finished: vec![], flow };
        rich.settings().await;
        rich.jobs().await;
        rich
    }

    async fn settings(&self) {
        let limit = Limit::default().concurrency(2).rate(Rate::window(50, HOUR));
        self.h.rule("site", Some(limit.clone())).await;
        self.h.rule("all", Some(limit)).await;
        self.h.limit_queue("narrow", "all").await;
        let put = |kind, name, value| self.redis.put(kind, name, Some(value));
        put(Setting::Schedule, "nightly", "{}").await.unwrap();
        put(Setting::Worker, "w quiet", "1").await.unwrap();
        put(Setting::Queue, "brief", "{\"keep_count\":1}").await.unwrap();
        self.redis.steer("paused", Steer::Pause(Pause::Forever)).await.unwrap();
        self.redis.beat(&worker(false)).await.unwrap();
    }

    async fn jobs(&mut self) {
        let (h, plain) = (&self.h, || job("a.job").queue("plain"));
        for outcome in [success(600_000), success(600_000), discard(), cancel()] {
            h.put(job("a.job").queue("brief").with(|e| e.tags = vec!["t".into()])).await;
            let one = h.take("brief").await;
            h.done(&one, outcome).await;
            self.finished.push(one.id);
        }
        h.put_all((0..4).map(|_| job("a.job").queue("narrow"))).await;
        h.put_all((0..4).map(|n| job("a.job").limit("site", n % 2))).await;
        h.put_all((0..3).map(|_| job("a.job").serial("s"))).await;
        h.put_all((0..6).map(|_| plain())).await;
        self.held = h.lease("narrow", 2).await;
        self.held.extend(h.lease("q", 3).await);
        self.held.extend(h.lease("plain", 3).await);
        self.held.push(h.take("plain").await);
        for note in
            [progress("1"), Note::Cursor("2".into()), Note::Step { name: "s".into(), value: "3".into() }]
        {
            self.redis.note(self.held[0].token, self.held[0].id, &note).await.unwrap();
        }
        for (queue, outcome) in [("away", Outcome::Park), ("late", retry(30_000))] {
            h.put(job("a.job").queue(queue)).await;
            let one = h.take(queue).await;
            h.done(&one, outcome).await;
            self.waiting.push(one.id);
        }
        let gone = h.put(plain()).await;
        h.control(gone, Action::Cancel).await;
        let keyed = plain().unique("u").with(|e| e.tags = vec!["t".into()]);
        let held_long = plain().unique("d").scope(Release::After(600_000), Conflict::Replace);
        for draft in [plain(), keyed, held_long, plain().due(Due::In(60_000)), job("a.job").limit("site", 0)]
        {
            self.waiting.push(h.put(draft).await);
        }
        self.waiting.push(self.flow.nodes[2]);
        self.redis.get(self.held[1].id, true).await.unwrap();
        h.control(self.held[2].id, Action::Cancel).await;
        self.redis.reap(9, true, TTL).await.unwrap();
    }

    /// What must pass whatever memory there is.
    async fn act(&self, verb: &str, n: usize) -> Result<()> {
        let (redis, held) = (&self.redis, &self.held);
        let settle = async |one: &Held, outcome| redis.settle(&[one.settle(outcome)]).await.map(drop);
        match verb {
            "lease" => {
                let queues = ["narrow", "q", "plain"].map(|queue| (queue.to_owned(), 2)).to_vec();
                redis
                    .lease(&LeaseRequest { worker: "w".into(), queues, most: 9, alone: n == 1, ttl_ms: TTL })
                    .await
                    .map(drop)
            }
            "extend" => {
                redis.extend(&held.iter().map(|one| one.token).collect::<Vec<_>>(), TTL).await.map(drop)
            }
            "note" => redis.note(held[n].token, held[n].id, &progress("9")).await.map(drop),
            "step" => {
                let note = Note::Step { name: "other".into(), value: "3".into() };
                redis.note(held[n].token, held[n].id, &note).await.map(drop)
            }
            "succeed" => settle(&held[n], success(60_000)).await,
            "forget" => settle(&held[n], success(0)).await,
            "all" => {
                let all: Vec<Settle> = held.iter().map(|one| one.settle(success(60_000))).collect();
                redis.settle(&all).await.map(drop)
            }
            "retry" => settle(&held[n], retry(9)).await,
            "crash" => settle(&held[n], crash()).await,
            "park" => settle(&held[n], Outcome::Park).await,
            "hand back" => settle(&held[n], Outcome::HandBack).await,
            "discard" => settle(&held[n], discard()).await,
            "cancel" => redis.control(self.waiting[n], Action::Cancel).await.map(drop),
            "now" => redis.control(self.waiting[n], Action::Retry).await.map(drop),
            "redrive" => redis.control(self.finished[2], Action::Redrive).await.map(drop),
            "request" => redis.control(held[n].id, Action::Cancel).await.map(drop),
            "end flow" => redis.control(self.flow.id, Action::Cancel).await.map(drop),
            "mend flow" => redis.control(self.flow.id, Action::Mend).await.map(drop),
            "promote" => redis.promote(100).await.map(drop),
            "reap" => redis.reap(100, false, TTL).await.map(drop),
            "grant" => redis.reap(100, true, TTL).await.map(drop),
            "prune" => redis.prune(100).await.map(drop),
            "pause" => redis.steer("plain", Steer::Pause(Pause::Forever)).await.map(drop),
            "purge" => redis.steer(["plain", "q", "away"][n], Steer::Purge(100)).await.map(drop),
            "budget" => {
                let steer = Steer::Budget { limit: "site/0".into(), change: Budget::Spend { extra: 2 } };
                redis.steer("", steer).await.map(drop)
            }
            "beat" => redis.beat(&worker(false)).await.map(drop),
            "leave" => redis.beat(&worker(true)).await.map(drop),
            "put" => redis.put(Setting::Queue, "narrow", None).await.map(drop),
            "enqueue" => redis.enqueue(&self.h.batch(self.drafts())).await.map(drop),
            "start" => self.client.start(Flow::chain([step(7), step(8)])).await.map(drop),
            other => unreachable!("{other}"),
        }
    }

    fn drafts(&self) -> Vec<crate::testing::harness::Draft> {
        let plain = || job("a.job").queue("plain");
        let tagged = plain().with(|e| e.tags = vec!["t".into()]);
        let debounce = Conflict::Debounce { wait_ms: 9, at_most_ms: None };
        let put_off = plain().unique("d").scope(Release::After(600_000), debounce);
        vec![
            plain(),
            plain(),
            tagged,
            plain().unique("v"),
            put_off,
            plain().due(Due::In(9)),
            job("a.job").limit("site", 1),
        ]
    }
}

fn worker(leaving: bool) -> WorkerView {
    let definition =
        crate::backend::Definition { name: "a.job".into(), version: 1, policy: crate::Policy::default() };
    WorkerView { id: "w".into(), definitions: vec![definition], leaving, ..WorkerView::default() }
}

/// Every verb, with the ways there are of it.
const VERBS: [(&str, usize); 30] = [
    ("enqueue", 1),
    ("start", 1),
    ("lease", 2),
    ("extend", 1),
    ("note", 1),
    ("step", 2),
    ("all", 1),
    ("succeed", 6),
    ("forget", 6),
    ("retry", 6),
    ("crash", 6),
    ("park", 6),
    ("hand back", 6),
    ("discard", 6),
    ("cancel", 8),
    ("now", 8),
    ("redrive", 1),
    ("request", 1),
    ("end flow", 1),
    ("mend flow", 1),
    ("promote", 1),
    ("grant", 1),
    ("prune", 2),
    ("reap", 1),
    ("pause", 1),
    ("purge", 3),
    ("budget", 1),
    ("beat", 1),
    ("leave", 1),
    ("put", 1),
];

/// Saves or restores everything that the server holds: db 1 is the copy.
fn copy(server: &TestServer, from: u8, to: u8) {
    let script = format!(
        "redis.call('SELECT', {to}) redis.call('FLUSHDB') redis.call('SELECT', {from})
        for _, key in ipairs(redis.call('KEYS', '*')) do
            redis.call('PERSIST', key) -- or it might expire between two looks
            redis.call('COPY', key, key, 'DB', {to})
        end
        return redis.call('DBSIZE')"
    );
    let answer = server.command(&["EVAL", &script, "0"]).unwrap();
    assert!(answer.starts_with(':'), "{answer}");
}

#[tokio::test]
async fn every_script_but_those_that_take_jobs_in_passes_when_redis_is_full() {
    let Some(server) = TestServer::start() else {
        return;
    };
    let rich = Rich::new(&server).await;
    copy(&server, 0, 1);
    server.command(&["SCRIPT", "FLUSH"]).unwrap();
    server.command(&["CONFIG", "RESETSTAT"]).unwrap();
    let mut refused = 0;
    for (verb, ways) in VERBS {
        for n in 0..ways {
            server.command(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
            copy(&server, 1, 0);
            server.command(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
            // Time for a sweep to find what has expired, and for retention to have passed.
            if verb == "reap" || n == 1 && verb == "prune" {
                rich.h.clock.advance(HOUR);
            }
            let answer = rich.act(verb, n).await;
            if verb == "enqueue" || verb == "start" {
                let error = answer.unwrap_err();
                assert!(
                    error.is_refused() && error.to_string().contains("out of memory"),
                    "{verb}: {error:?}"
                );
                refused += 1;
            } else {
                answer.unwrap_or_else(|e| panic!("{verb} {n}: {e:?}"));
            }
            assert_eq!(rich.redis.audit().await.unwrap(), Vec::<String>::new(), "{verb} {n}");
        }
    }
    let redis = &rich.redis;
    for state in crate::State::ALL {
        redis.search(&Filter { state: Some(state), ..Filter::default() }).await.unwrap();
    }
    redis.search(&Filter { tag: Some("t".into()), ..Filter::default() }).await.unwrap();
    redis.terms("", 9).await.unwrap();
    redis.flow(&FlowAsk::List(9)).await.unwrap();
    redis.queues().await.unwrap();
    redis.blocked().await.unwrap();
    redis.settings(Setting::Queue).await.unwrap();
    redis.get(rich.held[0].id, true).await.unwrap();
    // A script that is not asked for here has not been loaded: it belongs into the list of verbs.
    for (name, script) in scripts::ALL {
        let known = server.command(&["SCRIPT", "EXISTS", &script.sha]).unwrap();
        assert!(known.ends_with(":1\r\n"), "{name} was not run");
    }
    let errors = server.command(&["INFO", "errorstats"]).unwrap();
    let of =
        |line: &str| line.trim().strip_prefix("errorstat_OOM:count=").and_then(|n| n.parse::<usize>().ok());
    let oom = errors.lines().find_map(of).unwrap_or_default();
    assert!(oom >= refused, "{errors}");
}

/// Keys whose names follow from what a script reads on its way, by how they begin: where one
/// of these is of another type, what came before it in the same call is done.
const MIDWAY: [&str; 13] =
    ["b:", "fd:", "fg:", "fl:", "fo:", "ft:", "fw:", "ix:", "k:", "pk:", "q:", "ring:", "w:"];

/// Everything that the server holds, in one number.
fn digest(server: &TestServer) -> String {
    super::tests::digest(server)
}

#[tokio::test]
async fn no_script_changes_anything_when_it_meets_a_key_of_another_type() {
    let Some(server) = TestServer::start() else {
        return;
    };
    let rich = Rich::new(&server).await;
    copy(&server, 0, 1);
    let keys = rich.redis.link.ask(cmd("KEYS").arg("*")).await.and_then(decode::list).unwrap();
    let (mut broken, mut met, mut seen) = (Vec::new(), 0, std::collections::HashMap::new());
    for key in keys.into_iter().map(|key| decode::bytes(key).unwrap()) {
        let shown: String = String::from_utf8_lossy(&key).chars().filter(|c| !c.is_control()).collect();
        let end = shown.split_once("}:").map_or("", |(_, end)| end).to_owned();
        let midway = MIDWAY.iter().any(|begin| end.starts_with(begin));
        // Of batches, nodes and terms a few are enough.
        let family = seen.entry(end.split_once(':').map_or("", |(family, _)| family).to_owned()).or_insert(0);
        *family += usize::from(end.contains(':'));
        if *family > 2 {
            continue;
        }
        for (verb, ways) in VERBS {
            for n in 0..ways {
                copy(&server, 1, 0);
                let kind = decode::text(rich.redis.link.ask(cmd("TYPE").arg(&key)).await.unwrap()).unwrap();
                rich.redis.link.ask(cmd("DEL").arg(&key)).await.unwrap();
                let wrong = if kind == "string" { "RPUSH" } else { "SET" };
                rich.redis.link.ask(cmd(wrong).arg(&key).arg("x")).await.unwrap();
                let before = digest(&server);
                if let Err(error) = rich.act(verb, n).await {
                    met += 1;
                    let named =
                        format!("{error:?}").starts_with("Corrupt") && error.to_string().contains(&shown);
                    if !midway && digest(&server) != before {
                        broken.push(format!("{shown}: {verb} {n} changes things: {error}"));
                    } else if !named {
                        broken.push(format!("{shown}: {verb} {n} says {error:?}"));
                    }
                }
            }
        }
    }
    assert!(met > 300, "{met}");
    assert!(broken.is_empty(), "{} of {met}:\n{}", broken.len(), broken.join("\n"));
}

#[tokio::test]
async fn keys_that_have_vanished_are_told_by_name() {
    let Some(server) = TestServer::start() else {
        return;
    };
    let rich = Rich::new(&server).await;
    assert_eq!(rich.redis.vanished().await.unwrap(), Vec::<String>::new());
    copy(&server, 0, 1);
    let batch = format!("b:{}", rich.held[0].token.0);
    for end in ["jobs", "queues", "due", "lease", "batch", "fin", "fls", "n", &batch] {
        copy(&server, 1, 0);
        let key = rich.redis.keys.named(end);
        server.command(&["DEL", &key]).unwrap();
        let gone = rich.redis.vanished().await.unwrap();
        assert!(gone.contains(&key), "{key}: {gone:?}");
    }
}
