//! What is repeated after a lost reply happens once, on every backend.

mod common;

use common::Keeper;
use legwork::backend::*;
use legwork::testing::faulty::{Fault, FaultyBackend};
use legwork::testing::harness::*;
use legwork::{Client, ClientOptions, Flow, JobId, Result, State, Step};
use std::sync::Arc;

/// Repeats a call until it is answered, as a client does.
async fn patiently<'a, T>(mut call: impl FnMut() -> Fut<'a, T>) -> T {
    for _ in 0..1_000 {
        match call().await {
            Err(e) if e.is_unavailable() => {}
            answer => return answer.expect("only injected faults"),
        }
    }
    panic!("no answer to 1,000 calls");
}

async fn opened(
    open: impl Future<Output = Option<(Harness, Keeper)>>,
) -> Option<(Harness, Arc<dyn Backend>, Keeper)> {
    let (h, keeper) = open.await?;
    let real = h.backend.clone();
    Some((h, real, keeper))
}

async fn an_enqueue_whose_reply_was_lost_happens_once(h: &Harness, real: Arc<dyn Backend>) {
    let faulty = FaultyBackend::new(real).nth("enqueue", 1, Fault::After).nth("enqueue", 2, Fault::Before);
    let batch = h.batch([job("a.job"), job("a.job").unique("k"), job("a.job").unique("k")]);
    let first = batch.jobs[1].envelope.id;
    let answers = patiently(|| faulty.enqueue(&batch)).await;
    assert_eq!(answers.jobs(), [Enqueued::Created, Enqueued::Created, Enqueued::Existing(first)]);
    assert_eq!((faulty.calls("enqueue"), faulty.injected()), (3, 2));
    assert_eq!(h.queue("q").await.count(State::Available), 2);
}

async fn a_settle_whose_reply_was_lost_happens_once(h: &Harness, real: Arc<dyn Backend>) {
    for (outcome, state) in every_outcome() {
        let faulty = FaultyBackend::new(real.clone()).nth("settle", 1, Fault::After);
        let (id, held) = h.bring(job("a.job").queue(state.as_str()), State::Leased).await;
        let items = [held.expect("leased").settle(outcome)];
        assert_eq!(patiently(|| faulty.settle(&items)).await, [Settled::Done], "as {state}");
        assert_eq!(faulty.calls("settle"), 2);
        let view = h.view(id).await;
        let spent = u32::from(matches!(state, State::Retryable | State::Discarded));
        assert_eq!((view.state, view.errors.len() as u32), (state, spent), "one attempt, one error");
    }
}

async fn a_settle_that_was_never_sent_is_sent_again(h: &Harness, real: Arc<dyn Backend>) {
    let faulty = FaultyBackend::new(real).nth("settle", 1, Fault::Before);
    let (id, held) = h.bring(job("a.job"), State::Leased).await;
    let items = [held.expect("leased").settle(success(60_000))];
    assert!(faulty.settle(&items).await.unwrap_err().is_unavailable());
    h.is(id, State::Leased).await;
    assert_eq!(patiently(|| faulty.settle(&items)).await, [Settled::Done]);
    h.is(id, State::Succeeded).await;
}

async fn a_fired_slot_whose_reply_was_lost_is_fired_once(h: &Harness, real: Arc<dyn Backend>) {
    let expect = real.put(Setting::Schedule, "s", Some("{}")).await.expect("stored").expect("stored").last_ms;
    let faulty = FaultyBackend::new(real).nth("enqueue", 1, Fault::After);
    let mut batch = h.batch([job("a.job").chosen(JobId::new())]);
    let (kind, name, last) = (Setting::Schedule, "s".to_owned(), expect + 60_000);
    batch.guard = Guard::Slot { kind, name, expect, last };
    // The repetition hears that somebody was first; that somebody was itself.
    assert_eq!(patiently(|| faulty.enqueue(&batch)).await, Taken::Changed);
    assert_eq!(h.leased_ids("q", 9).await, [batch.jobs[0].envelope.id]);
}

async fn a_lease_whose_reply_was_lost_costs_no_job(h: &Harness, real: Arc<dyn Backend>) {
    let faulty = FaultyBackend::new(real).nth("lease", 1, Fault::After);
    let ids = h.put_all([job("a.job"), job("a.job")]).await;
    let request = LeaseRequest {
        worker: "w".into(),
        queues: vec![("q".into(), 9)],
        most: 1_000,
        alone: false,
        ttl_ms: TTL,
    };
    assert!(faulty.lease(&request).await.is_err());
    h.are(&ids, &[State::Leased; 2]).await;
    h.lose().await;
    let mut leased = Vec::new();
    while leased.len() < 2 {
        leased.push(h.take("q").await.id);
    }
    assert_eq!(leased, ids, "they run again after their lease, in order");
}

async fn chance_follows_from_its_seed(h: &Harness, real: Arc<dyn Backend>) {
    let storm = async |seed| {
        let faulty = FaultyBackend::new(real.clone()).seed(seed).share(None, 0.3, Fault::Before);
        let mut heard = Vec::new();
        for _ in 0..64 {
            heard.push(faulty.now().await.is_err());
        }
        assert_eq!(heard.iter().filter(|lost| **lost).count() as u64, faulty.injected());
        faulty.heal();
        assert_eq!(faulty.now().await.expect("healed"), h.now());
        heard
    };
    let first = storm(5).await;
    assert_eq!(first, storm(5).await);
    assert_ne!(first, storm(6).await);
    let lost = first.iter().filter(|lost| **lost).count();
    assert!((8..32).contains(&lost), "{lost} of 64 at a share of 0.3");
}

async fn a_delay_is_waited_out(h: &Harness, real: Arc<dyn Backend>) {
    let wait = std::time::Duration::from_millis(20);
    let faulty = FaultyBackend::new(real).from_nth("now", 1, Fault::Delay(wait));
    let begun = std::time::Instant::now();
    assert_eq!(faulty.now().await.expect("late, but answered"), h.now());
    assert!(begun.elapsed() >= wait);
}

/// Under a storm of lost calls and lost replies, every job that was taken in runs to its
/// end once, and no counter is off.
async fn a_storm_loses_and_repeats_nothing(h: &Harness, real: Arc<dyn Backend>) {
    let faulty =
        FaultyBackend::new(real).seed(11).share(None, 0.25, Fault::After).share(None, 0.2, Fault::Before);
    let mut ids = Vec::new();
    for n in 0..30 {
        let batch = h.batch((0..3).map(|k| job("a.job").priority(k + n % 3)));
        let answers = patiently(|| faulty.enqueue(&batch)).await;
        assert_eq!(answers.jobs(), [Enqueued::Created; 3]);
        ids.extend(batch.jobs.iter().map(|j| j.envelope.id));
    }
    let request = LeaseRequest {
        worker: "w".into(),
        queues: vec![("q".into(), 4)],
        most: 1_000,
        alone: false,
        ttl_ms: TTL,
    };
    let mut ended = Vec::new();
    while ended.len() < ids.len() {
        let batches = match faulty.lease(&request).await {
            Ok(leased) => leased.batches,
            Err(_) => continue,
        };
        if batches.is_empty() {
            // What the lost replies leased comes back after its lease.
            h.pass(TTL + 1);
            let back = faulty.reap(100, false, TTL).await;
            assert!(
                back.is_err()
                    || !back.expect("swept").is_empty()
                    || h.queue("q").await.count(State::Available) > 0
            );
            continue;
        }
        for batch in batches {
            let items: Vec<Settle> = batch
                .jobs
                .iter()
                .map(|j| Settle { token: batch.token, id: j.id, outcome: success(0), keyed: false })
                .collect();
            assert!(patiently(|| faulty.settle(&items)).await.iter().all(|s| *s == Settled::Done));
            ended.extend(items.iter().map(|i| i.id));
        }
    }
    ended.sort();
    ids.sort();
    assert_eq!(ended, ids);
    let queue = h.queue("q").await;
    assert_eq!((queue.processed, queue.count(State::Leased)), (90, 0));
    assert!(faulty.injected() > 20, "{} faults", faulty.injected());
}

/// A flow that takes many steps to come in, while every second call loses its reply.
async fn a_flow_whose_replies_were_lost_runs_once(h: &Harness, real: Arc<dyn Backend>) {
    let faulty =
        FaultyBackend::new(real).seed(7).share(None, 0.3, Fault::After).share(None, 0.2, Fault::Before);
    let faulty = Arc::new(faulty);
    let client = Client::over(faulty.clone(), ClientOptions::default());
    let step = |n: usize| Step::raw("a.job", &n.to_string()).queue("q");
    let started = client.start(Flow::group((0..1_200).map(step)).then(step(1_200))).await.expect("started");
    assert!(faulty.injected() > 0, "something went wrong on the way");
    let mut ran = Vec::new();
    loop {
        while h.promote().await.next_ms == Some(h.now()) {}
        let held = h.lease("q", 1_000).await;
        if held.is_empty() {
            break;
        }
        let items: Vec<_> = held.iter().map(|one| one.settle(success(0))).collect();
        assert!(patiently(|| faulty.settle(&items)).await.iter().all(|s| *s == Settled::Done));
        ran.extend(held.iter().map(|one| one.id));
    }
    assert_eq!(ran.len(), 1_201, "each once");
    assert_eq!(ran.last(), started.nodes.last(), "the fan-in last");
}

macro_rules! on {
    ($($backend:ident)*: $cases:tt) => { $(on! { @ $backend $cases })* };
    (@ $backend:ident { $($case:ident)* }) => { mod $backend { $(
        #[tokio::test]
        async fn $case() -> crate::Result<()> {
            let Some((h, real, _keeper)) = crate::opened(crate::common::$backend()).await else { return Ok(()) };
            crate::$case(&h, real).await;
            h.check().await;
            Ok(())
        }
    )* } };
}

on! { redis sqlite_file sqlite_memory: {
    an_enqueue_whose_reply_was_lost_happens_once
    a_settle_whose_reply_was_lost_happens_once
    a_settle_that_was_never_sent_is_sent_again
    a_fired_slot_whose_reply_was_lost_is_fired_once
    a_lease_whose_reply_was_lost_costs_no_job
    chance_follows_from_its_seed
    a_delay_is_waited_out
    a_storm_loses_and_repeats_nothing
    a_flow_whose_replies_were_lost_runs_once
} }
