//! A namespace over several shards: what the conformance cases do not ask.

use legwork::backend::{
    Action, Budget, Controlled, Due, Enqueued, FlowAsk, LeaseRequest, Leased, NewJob, Outcome, Setting,
    Settle, Settled, Steer,
};
use legwork::testing::server::TestServer;
use legwork::{Client, Context, Envelope, Failure, Flow, Job, JobId, Keep, Limit, State, Step, Worker};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A client of the namespace that the query names.
async fn open(server: &TestServer, query: &str) -> Client {
    Client::connect(&format!("{}?ns={query}", server.url())).await.unwrap()
}

/// Runs a case on a server of its own; says so where there is none.
macro_rules! on_a_server {
    ($($name:ident)*) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let Some(server) = TestServer::start() else { return };
            cases::$name(&server).await;
        }
    )* };
}

on_a_server! {
    the_number_of_shards_is_fixed
    jobs_spread_and_workers_find_them_all
    a_key_is_exact_under_concurrent_clients
    a_limit_key_is_exact_under_concurrent_workers
    the_limit_of_a_queue_is_exact_whoever_knows_of_it
    a_queue_with_jobs_elsewhere_is_not_put_under_a_limit
    a_flow_lives_in_one_shard
    a_flow_and_its_keys_must_agree
    each_slot_is_enqueued_once
    an_event_is_told_by_what_every_shard_knows
    settings_that_differ_are_mended
    a_job_is_found_where_it_is
    pages_go_through_all_shards_in_order
    a_call_that_is_partly_refused_says_so
    a_token_of_another_shard_is_stale
    pauses_and_renewals_reach_every_shard
}

fn ask(most: usize) -> LeaseRequest {
    let queues = vec![("default".into(), most)];
    LeaseRequest { worker: "w".into(), queues, most, alone: true, ttl_ms: 60_000 }
}

fn ids(leased: &Leased) -> Vec<JobId> {
    leased.batches.iter().flat_map(|batch| batch.jobs.iter().map(|job| job.id)).collect()
}

async fn finish(client: &Client, leased: Leased) {
    let outcome = Outcome::Succeeded { result: None, keep_ms: 0 };
    for batch in leased.batches {
        let settle = |id| Settle { token: batch.token, id, outcome: outcome.clone(), keyed: true };
        let items: Vec<Settle> = batch.jobs.iter().map(|job| settle(job.id)).collect();
        assert!(client.backend().settle(&items).await.unwrap().iter().all(|one| *one == Settled::Done));
    }
}

/// How many live records each shard holds.
fn held(server: &TestServer, namespace: &str, shards: u8) -> Vec<usize> {
    let count = |shard| server.command(&["HLEN", &format!("{{{namespace}:{shard}}}:jobs")]).unwrap();
    (0..shards).map(|shard| count(shard).trim().trim_start_matches(':').parse().unwrap()).collect()
}

#[derive(Serialize, Deserialize, Clone)]
struct Note {
    n: u32,
}

impl Job for Note {
    const NAME: &'static str = "note";
    type Output = ();
    fn policy() -> legwork::Policy {
        legwork::Policy::default().keep(Keep::None)
    }
}

type Seen = Arc<Mutex<HashMap<u32, usize>>>;

async fn see(note: Note, cx: Context<Seen>) -> Result<(), Failure> {
    *cx.state().lock().unwrap().entry(note.n).or_default() += 1;
    Ok(())
}

mod cases {
    use super::*;

    pub(super) async fn the_number_of_shards_is_fixed(server: &TestServer) {
        let url = |query: &str| format!("{}?ns=fixed{query}", server.url());
        let first = Client::connect(&url("&shards=3")).await.unwrap();
        assert_eq!(first.backend().shards(), 3);
        assert_eq!(Client::connect(&url("")).await.unwrap().backend().shards(), 3, "as it is stored");
        for other in ["1", "4"] {
            let error = Client::connect(&url(&format!("&shards={other}"))).await.expect_err("refused");
            assert!(error.is_refused());
            let line = error.to_string();
            assert!(line.starts_with(&format!("url: shards: namespace fixed has 3, not {other},")), "{line}");
            assert!(line.contains("say ?shards=3"), "{line}");
        }
        let one = format!("{}?ns=one", server.url());
        Client::connect(&one).await.unwrap();
        let error = Client::connect(&format!("{one}&shards=2")).await.expect_err("refused");
        assert!(error.to_string().contains("namespace one has 1, not 2"), "{error}");
        let direct = legwork::backend::redis::Redis::connect(&url(""), legwork::Clock::Backend).await;
        assert!(direct.err().expect("one shard of three").is_invalid());
    }

    pub(super) async fn jobs_spread_and_workers_find_them_all(server: &TestServer) {
        let jobs = open(server, "spread&shards=3").await;
        jobs.enqueue_many((0..600).map(|n| Note { n })).await.unwrap();
        let held = held(server, "spread", 3);
        assert!(held.iter().sum::<usize>() == 600 && held.iter().all(|n| *n > 120), "{held:?}");
        let seen = Seen::default();
        let running = Worker::new(jobs.clone(), seen.clone()).handle(see).start().await.unwrap();
        // One by one into an idle worker: whichever shard rings, the job is found.
        for n in 600..630 {
            jobs.enqueue(Note { n }).await.unwrap();
        }
        until(|| seen.lock().unwrap().len() == 630).await;
        running.stop().await;
        assert!(seen.lock().unwrap().values().all(|times| *times == 1));
        let queue = &jobs.queues().await.unwrap()[0];
        assert_eq!((queue.processed, queue.count(State::Available)), (630, 0));
        assert!(jobs.backend().audit().await.unwrap().is_empty());
    }

    pub(super) async fn a_key_is_exact_under_concurrent_clients(server: &TestServer) {
        let mut tasks = Vec::new();
        for _ in 0..6 {
            let jobs = open(server, "unique&shards=4").await;
            tasks.push(tokio::spawn(async move {
                let mut made = Vec::new();
                for key in 0..40 {
                    let one = jobs.enqueue_raw("a.job", "{}").unique(key.to_string().as_str());
                    made.extend(one.await.unwrap().created.then_some(key));
                }
                made
            }));
        }
        let mut made = Vec::new();
        for task in tasks {
            made.extend(task.await.unwrap());
        }
        made.sort();
        assert_eq!(made, (0..40).collect::<Vec<_>>(), "each key made one job");
        let held = held(server, "unique", 4);
        assert!(held.iter().all(|n| *n > 0), "{held:?}");
    }

    pub(super) async fn a_limit_key_is_exact_under_concurrent_workers(server: &TestServer) {
        let jobs = open(server, "keys&shards=3").await;
        jobs.limit("site").set(Limit::default().concurrency(2)).await.unwrap();
        for n in 0..60 {
            let key = format!("k{}", n % 6);
            jobs.enqueue_raw("a.job", &n.to_string()).limit("site", &key).await.unwrap();
        }
        let mut tasks = Vec::new();
        for _ in 0..3 {
            let jobs = open(server, "keys").await;
            tasks.push(tokio::spawn(async move { jobs.backend().lease(&ask(60)).await.unwrap() }));
        }
        let mut all = Vec::new();
        for task in tasks {
            all.push(task.await.unwrap());
        }
        let leased: HashSet<JobId> = all.iter().flat_map(ids).collect();
        assert_eq!(leased.len(), 12, "two of each of six keys, of 60 that wait");
        assert!(jobs.backend().lease(&ask(60)).await.unwrap().batches.is_empty());
        for some in all {
            finish(&jobs, some).await;
        }
        assert_eq!(ids(&jobs.backend().lease(&ask(60)).await.unwrap()).len(), 12);
    }

    pub(super) async fn the_limit_of_a_queue_is_exact_whoever_knows_of_it(server: &TestServer) {
        let (jobs, other) = (open(server, "queue&shards=4").await, open(server, "queue").await);
        jobs.limit("all").set(Limit::default().concurrency(3)).await.unwrap();
        jobs.limit_queue("default", Some("all")).await.unwrap();
        // The other client was there before, and is told where the queue lives.
        for n in 0..20 {
            let id = other.enqueue(Note { n }).await.unwrap().id;
            assert_eq!(jobs.job(id).await.unwrap().unwrap().state, State::Available);
        }
        jobs.enqueue_many((20..40).map(|n| Note { n })).await.unwrap();
        let held = held(server, "queue", 4);
        assert_eq!(held.iter().filter(|n| **n == 40).count(), 1, "{held:?}");
        let leased = jobs.backend().lease(&ask(40)).await.unwrap();
        assert_eq!(ids(&leased).len(), 3);
        assert!(other.backend().lease(&ask(40)).await.unwrap().batches.is_empty());
        let view = &jobs.queues().await.unwrap()[0].limits[0];
        assert_eq!((view.limit.as_str(), view.in_use, view.concurrency), ("all", 3, Some(3)));
        finish(&jobs, leased).await;
        jobs.limit_queue("default", None).await.unwrap();
        let leased = jobs.backend().lease(&ask(9)).await.unwrap();
        assert_eq!(ids(&leased).len(), 9, "and free again");
    }

    pub(super) async fn a_queue_with_jobs_elsewhere_is_not_put_under_a_limit(server: &TestServer) {
        let jobs = open(server, "late&shards=3").await;
        let rules = legwork::QueueRules { max_waiting: Some(1_000), ..Default::default() };
        jobs.set_queue_rules("default", rules).await.unwrap();
        jobs.enqueue_many((0..50).map(|n| Note { n })).await.unwrap();
        let error = jobs.limit_queue("default", Some("all")).await.unwrap_err().to_string();
        assert!(error.starts_with("queue default: ") && error.contains("in other shards than"), "{error}");
        assert_eq!(jobs.queue_rules().await.unwrap()["default"], rules, "as it was");
        jobs.enqueue_many((50..100).map(|n| Note { n })).await.unwrap();
        let held = held(server, "late", 3);
        assert!(held.iter().all(|n| *n > 10), "and open as it was: {held:?}");
        jobs.purge("default").await.unwrap();
        jobs.limit_queue("default", Some("all")).await.unwrap();
        assert_eq!(jobs.queue_rules().await.unwrap()["default"], rules);
    }

    pub(super) async fn a_flow_lives_in_one_shard(server: &TestServer) {
        let jobs = open(server, "flow&shards=5").await;
        let mut homes = HashSet::new();
        for _ in 0..20 {
            let flow = Flow::group((0..5).map(|n| Note { n })).then(Note { n: 9 });
            let started = jobs.start(flow).await.unwrap();
            homes.insert(started.id.shard(5));
            for node in &started.nodes {
                assert_eq!(jobs.job(*node).await.unwrap().unwrap().envelope.name(), "note");
            }
            let nodes = FlowAsk::Nodes { root: started.id, from: 0, limit: 9 };
            assert_eq!(jobs.backend().flow(&nodes).await.unwrap().nodes.len(), 6);
        }
        assert!(homes.len() > 2, "{homes:?}");
        let held = held(server, "flow", 5);
        assert!(held.iter().all(|n| n % 6 == 0) && held.iter().sum::<usize>() == 120, "{held:?}");
        assert_eq!(jobs.backend().flow(&FlowAsk::List(7)).await.unwrap().flows.len(), 7);
        let seen = Seen::default();
        let running = Worker::new(jobs.clone(), seen.clone()).handle(see).start().await.unwrap();
        until(|| seen.lock().unwrap().get(&9) == Some(&20)).await;
        running.stop().await;
        assert!(jobs.backend().audit().await.unwrap().is_empty());
    }

    pub(super) async fn a_flow_and_its_keys_must_agree(server: &TestServer) {
        let jobs = open(server, "agree&shards=7").await;
        let step = |key: String| Step::raw("a.job", "{}").serial(&key);
        let with = |keys: [String; 3]| {
            let mut flow = Flow::new();
            for key in keys {
                flow.add(step(key));
            }
            flow
        };
        let tagged = with([1, 2, 3].map(|n| format!("{{athlete 7}} {n}")));
        let started = jobs.start(tagged).await.unwrap();
        let envelope = Envelope { serial: Some("athlete 7".into()), ..Envelope::new("a.job", "{}").unwrap() };
        assert_eq!(Some(started.id.shard(7)), jobs.backend().place(&envelope), "where the keys are");
        let apart = (0..).map(|n| format!("k{n}")).find(|key| {
            let other = Envelope { serial: Some(key.clone()), ..envelope.clone() };
            jobs.backend().place(&other) != jobs.backend().place(&envelope)
        });
        let error =
            jobs.start(with(["athlete 7".into(), apart.unwrap(), "athlete 7".into()])).await.unwrap_err();
        assert!(error.is_invalid());
        let line = error.to_string();
        assert!(line.starts_with("flow: a.job: its serial key is counted in shard "), "{line}");
        assert!(line.ends_with("give the keys of one flow the same {tag}"), "{line}");
        let flows = jobs.backend().flow(&FlowAsk::List(9)).await.unwrap().flows;
        assert_eq!(flows.len(), 1, "nothing of the other is there");
    }

    pub(super) async fn each_slot_is_enqueued_once(server: &TestServer) {
        let jobs = open(server, "slots&shards=4").await;
        // By hand, as schedulers do it: six at once want the same slot, whose job has a key.
        for name in ["one", "two", "three"] {
            let entry = jobs.backend().put(Setting::Schedule, name, Some("{}")).await.unwrap().unwrap();
            let mut tasks = Vec::new();
            for _ in 0..6 {
                let (jobs, expect) = (open(server, "slots").await, entry.last_ms);
                tasks.push(tokio::spawn(async move {
                    jobs.backend().enqueue(&slot(name, expect)).await.unwrap()
                }));
            }
            let mut taken = 0;
            for task in tasks {
                taken += usize::from(!task.await.unwrap().jobs().is_empty());
            }
            assert_eq!(taken, 1, "{name}");
            let stored = jobs.backend().settings(Setting::Schedule).await.unwrap().entries;
            let stored = stored.iter().find(|one| one.name == name).unwrap();
            assert_eq!((stored.last_ms, stored.fired), (entry.last_ms + 1_000, true));
        }
        let leased = jobs.backend().lease(&ask(99)).await.unwrap();
        assert_eq!(ids(&leased).len(), 9, "three a slot");
    }

    /// A slot of three jobs: one that may live anywhere, and two whose keys say where.
    fn slot(name: &str, expect: i64) -> legwork::backend::EnqueueBatch {
        let job = |n: u8| {
            let mut envelope = Envelope::new("a.job", "{}").unwrap();
            let mut id = [n; 16];
            id[..name.len()].copy_from_slice(name.as_bytes());
            envelope.id = JobId::from_bytes(id);
            envelope.serial = (n > 0).then(|| format!("{name}{n}"));
            NewJob { record: envelope.encode(), envelope, due: Due::Now, chosen: true }
        };
        let last = expect + 1_000;
        let guard =
            legwork::backend::Guard::Slot { kind: Setting::Schedule, name: name.into(), expect, last };
        let jobs = (0..3).map(job).collect();
        legwork::backend::EnqueueBatch { lane: String::new(), seq: 0, jobs, guard, flow: None }
    }

    pub(super) async fn an_event_is_told_by_what_every_shard_knows(server: &TestServer) {
        let (jobs, other) = (open(server, "event&shards=3").await, open(server, "event").await);
        jobs.subscribe_raw("run.*", "a.job", "default").await.unwrap();
        for _ in 0..9 {
            assert_eq!(jobs.publish_raw("run.done", "{}").await.unwrap().jobs.len(), 1);
        }
        other.subscribe_raw("run.#", "b.job", "default").await.unwrap();
        for _ in 0..9 {
            let told = jobs.publish_raw("run.done", "{}").await.unwrap();
            assert_eq!(told.jobs.len(), 2, "whoever subscribed is told, in whichever shard");
        }
        assert!(held(server, "event", 3).iter().all(|n| *n > 0));
    }

    pub(super) async fn settings_that_differ_are_mended(server: &TestServer) {
        let jobs = open(server, "mend&shards=3").await;
        jobs.limit("site").set(Limit::default().concurrency(1)).await.unwrap();
        // A call that reached the first shard alone.
        for shard in [1, 2] {
            let key = format!("{{mend:{shard}}}:set:limit");
            assert_eq!(server.command(&["HDEL", &key, "site"]).unwrap().trim().trim_start_matches(':'), "1");
        }
        assert_eq!(jobs.limits().await.unwrap().len(), 1);
        for shard in [1, 2] {
            let key = format!("{{mend:{shard}}}:set:limit");
            assert!(server.command(&["HGET", &key, "site"]).unwrap().contains("concurrency"));
        }
    }

    pub(super) async fn a_job_is_found_where_it_is(server: &TestServer) {
        let jobs = open(server, "find&shards=4").await;
        for n in 0..8 {
            // An id of another system, and a key that says another shard.
            let mut bytes = *JobId::new().as_bytes();
            bytes[15] = n;
            let id = JobId::from_bytes(bytes);
            let made = jobs.enqueue_raw("a.job", "{}").id(id).unique(format!("k{n}").as_str()).await.unwrap();
            assert_eq!(made.id, id);
            assert_eq!(jobs.job(id).await.unwrap().unwrap().id, id);
            let again = jobs.enqueue_raw("a.job", "{}").unique(format!("k{n}").as_str()).await.unwrap();
            assert_eq!((again.id, again.created), (id, false));
            assert_eq!(
                jobs.backend().control(id, Action::Cancel).await.unwrap(),
                Controlled::Done(State::Cancelled)
            );
        }
        // One that the client may place is where its id says.
        let id = jobs.enqueue_raw("a.job", "{}").unique("mine").await.unwrap().id;
        let key = format!("{{find:{}}}:jobs", id.shard(4));
        assert_eq!(server.command(&["HLEN", &key]).unwrap().trim().trim_start_matches(':'), "1");
    }

    pub(super) async fn pages_go_through_all_shards_in_order(server: &TestServer) {
        let jobs = open(server, "pages&shards=3").await;
        let mut made = Vec::new();
        for n in 0..50_u64 {
            let wait = Duration::from_secs(1_000 - n * 10);
            made.push(jobs.enqueue_raw("a.job", "{}").delay(wait).tag("t").await.unwrap().id);
        }
        let soonest: Vec<JobId> = made.iter().rev().copied().collect();
        let filter = |state| legwork::backend::Filter { state, limit: 7, ..Default::default() };
        assert_eq!(paged(&jobs, filter(Some(State::Scheduled))).await, soonest);
        let by_tag = legwork::backend::Filter { tag: Some("t".into()), ..filter(None) };
        assert_eq!(sorted(paged(&jobs, by_tag).await), sorted(made.clone()));
        for limit in [1, 7, 1_000] {
            let any = legwork::backend::Filter { limit, ..filter(None) };
            assert_eq!(sorted(paged(&jobs, any).await), sorted(made.clone()), "{limit} a page");
        }
        let term = &jobs.backend().terms("g:", 9).await.unwrap()[0];
        assert_eq!((term.term.as_str(), term.count), ("g:t", 50));
    }

    pub(super) async fn a_call_that_is_partly_refused_says_so(server: &TestServer) {
        let jobs = open(server, "full&shards=2").await;
        let rules = legwork::QueueRules { max_waiting: Some(2), ..Default::default() };
        jobs.set_queue_rules("default", rules).await.unwrap();
        let job = |shard: u8| {
            let mut envelope = Envelope::new("a.job", "{}").unwrap();
            envelope.id = JobId::in_shard(shard);
            NewJob { record: envelope.encode(), envelope, due: Due::Now, chosen: false }
        };
        let send = async |lane: &str, jobs_of: &[u8]| {
            let all = jobs_of.iter().map(|shard| job(*shard)).collect();
            let guard = legwork::backend::Guard::None;
            let batch =
                legwork::backend::EnqueueBatch { lane: lane.into(), seq: 1, jobs: all, guard, flow: None };
            jobs.backend().enqueue(&batch).await.map(|taken| taken.jobs())
        };
        assert_eq!(send("a", &[0]).await.unwrap(), [Enqueued::Created]);
        let error = send("b", &[0, 1]).await.unwrap_err();
        assert!(!error.is_refused(), "the rest may not be sent again under another number");
        let line = error.to_string();
        assert!(
            line.ends_with("its limit is 1; 1 jobs of this call, in other shards, were enqueued"),
            "{line}"
        );
        let error = send("c", &[0, 1]).await.unwrap_err();
        assert!(error.is_refused() && error.to_string().ends_with("nothing was enqueued"), "{error}");
    }

    pub(super) async fn a_token_of_another_shard_is_stale(server: &TestServer) {
        let jobs = open(server, "token&shards=3").await;
        jobs.enqueue_raw("a.job", "{}").await.unwrap();
        let leased = jobs.backend().lease(&ask(1)).await.unwrap();
        let (token, id) = (leased.batches[0].token, leased.batches[0].jobs[0].id);
        assert_eq!(jobs.job(id).await.unwrap().unwrap().lease.unwrap().token, token);
        let outcome = Outcome::Succeeded { result: None, keep_ms: 0 };
        for other in [token.0 ^ 1, token.0 | 0xff, 7, u64::MAX] {
            let token = legwork::backend::Token(other);
            let item = Settle { token, id, outcome: outcome.clone(), keyed: false };
            assert_eq!(jobs.backend().settle(&[item]).await.unwrap(), [Settled::Stale], "{other}");
            let note = legwork::backend::Note::Progress("1".into());
            assert_eq!(jobs.backend().note(token, id, &note).await.unwrap(), Settled::Stale);
        }
        let held =
            jobs.backend().extend(&[legwork::backend::Token(u64::MAX), token], 9_000).await.unwrap().held;
        assert_eq!(held, [false, true]);
        finish(&jobs, leased).await;
    }

    pub(super) async fn pauses_and_renewals_reach_every_shard(server: &TestServer) {
        let jobs = open(server, "pause&shards=3").await;
        jobs.enqueue_many((0..30).map(|n| Note { n })).await.unwrap();
        jobs.pause("default").await.unwrap();
        assert!(jobs.backend().lease(&ask(30)).await.unwrap().batches.is_empty());
        assert_eq!(jobs.queues().await.unwrap()[0].paused, Some(None));
        jobs.resume("default").await.unwrap();
        let change = Budget::Block { wait_ms: 60_000 };
        let steer = Steer::Budget { limit: "site".into(), change };
        jobs.backend().steer("", steer).await.unwrap();
        let leased = jobs.backend().lease(&ask(30)).await.unwrap();
        assert_eq!(ids(&leased).len(), 30);
        let tokens: Vec<_> = leased.batches.iter().map(|batch| batch.token).collect();
        let answer = jobs.backend().extend(&tokens, 60_000).await.unwrap();
        assert_eq!(answer.held, vec![true; tokens.len()]);
        finish(&jobs, leased).await;
        assert_eq!(held(server, "pause", 3), [0, 0, 0]);
    }
}

async fn paged(jobs: &Client, mut filter: legwork::backend::Filter) -> Vec<JobId> {
    let mut all = Vec::new();
    loop {
        let page = jobs.backend().search(&filter).await.unwrap();
        assert!(page.jobs.len() <= filter.limit);
        all.extend(page.jobs.iter().map(|job| job.id));
        filter.cursor = page.cursor;
        if filter.cursor.is_none() {
            return all;
        }
    }
}

fn sorted(mut ids: Vec<JobId>) -> Vec<JobId> {
    ids.sort();
    ids
}

async fn until(done: impl Fn() -> bool) {
    let waits = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waits).await.expect("in time");
}
