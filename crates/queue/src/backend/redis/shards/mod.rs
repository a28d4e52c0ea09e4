//! A namespace over several shards: each is a whole queue of its own ([`Redis`]) in one slot,
//! and this puts them together. What is decided is decided within one shard, by the script
//! of its verb; here calls are sent where they belong, and answers are made one.
//!
//! The token of a lease that callers see is that of the shard, times 256, and the shard.

mod enqueue;
mod lease;
mod look;
mod place;
pub(super) mod settings;

use super::Redis;
use crate::backend::*;
use crate::{Clock, Durability, Envelope, JobId, Result};
use futures_util::future::join_all;
use place::Pins;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, RwLock};
use tokio::sync::watch;

/// Connects to a namespace, of one shard or of several: `?shards=4` in the URL makes an empty
/// one have four, for good.
///
/// ```no_run
/// # async fn example() -> legwork::Result<()> {
/// let url = "redis://localhost?ns=shop&shards=4";
/// let backend = legwork::backend::redis::connect(url, legwork::Clock::Backend).await?;
/// assert_eq!(backend.shards(), 4);
/// # Ok(()) }
/// ```
///
/// # Errors
/// As [`Redis::connect`]; refused where the namespace has another number of shards.
pub async fn connect(url: &str, clock: Clock) -> Result<Arc<dyn Backend>> {
    connect_with(super::config::parse(url)?, clock).await
}

/// As [`connect`], to what has been read already.
///
/// ```no_run
/// # async fn example() -> legwork::Result<()> {
/// use legwork::{Clock, Durability, backend::redis};
/// let config = redis::Redis::parse("redis://localhost")?.durable(Durability::Replicated(1));
/// let backend = redis::connect_with(config, Clock::Backend).await?;
/// # let _ = backend;
/// # Ok(()) }
/// ```
///
/// # Errors
/// As [`connect`].
pub async fn connect_with(config: super::Config, clock: Clock) -> Result<Arc<dyn Backend>> {
    let (first, number) = Redis::first(&config, clock.clone()).await?;
    if number == 1 {
        return Ok(Arc::new(first));
    }
    let mut parts = vec![Part::new(first)];
    for shard in 1..number {
        let bell = Arc::new(watch::Sender::new(0));
        let redis = Redis::shard(&config, shard, clock.clone(), bell)?;
        redis.check_durability().await?;
        parts.push(Part::new(redis));
    }
    let shards = Shards {
        parts,
        turn: AtomicUsize::new(0),
        bell: Arc::new(watch::Sender::new(0)),
        listeners: Mutex::default(),
        pins: RwLock::default(),
        versions: Mutex::default(),
    };
    shards.learn_pins().await?;
    Ok(Arc::new(shards))
}

/// One shard, and what is remembered of it.
struct Part {
    redis: Redis,
    /// How often its bell had rung when it was last asked for work.
    seen: AtomicU64,
    /// Until when, in milliseconds of this process, it is not asked for work: it did not answer.
    rests_until: AtomicU64,
    /// Whether it did not answer the last sweep.
    missed: AtomicBool,
}

impl Part {
    fn new(redis: Redis) -> Part {
        Part {
            redis,
            seen: AtomicU64::new(0),
            rests_until: AtomicU64::new(0),
            missed: AtomicBool::new(false),
        }
    }
}

/// A queue in Redis over several shards.
struct Shards {
    parts: Vec<Part>,
    /// Where the next lease begins.
    turn: AtomicUsize,
    bell: Arc<watch::Sender<u64>>,
    listeners: Mutex<Vec<tokio::task::AbortHandle>>,
    /// What is known of queues that live in one shard; those who refuse know better.
    pins: RwLock<Pins>,
    /// Of each kind of settings the versions in the shards, as they were last read.
    versions: Mutex<HashMap<&'static str, Vec<u64>>>,
}

impl Drop for Shards {
    fn drop(&mut self) {
        for listener in self.listeners.get_mut().map(std::mem::take).unwrap_or_default() {
            listener.abort();
        }
    }
}

/// The token that callers see.
fn outer(token: Token, shard: usize) -> Token {
    Token(token.0.saturating_mul(256) | shard as u64)
}

/// The shard of a token, and the token that it knows.
fn inner(token: Token) -> (usize, Token) {
    ((token.0 % 256) as usize, Token(token.0 / 256))
}

/// A job as callers see it.
fn seen(mut job: JobView, shard: usize) -> JobView {
    if let Some(lease) = &mut job.lease {
        lease.token = outer(lease.token, shard);
    }
    job
}

impl Shards {
    fn number(&self) -> u8 {
        self.parts.len() as u8
    }

    /// Where a job or a flow of this id is looked for first.
    fn home(&self, id: JobId) -> usize {
        usize::from(id.shard(self.number()))
    }

    /// Asks every shard at once; the answers in their order.
    async fn every<'a, T>(&'a self, ask: impl Fn(&'a Redis) -> Fut<'a, T>) -> Vec<Result<T>> {
        join_all(self.parts.iter().map(|part| ask(&part.redis))).await
    }

    /// As [`Shards::every`]; the first error where there is one, when all have answered.
    async fn all<'a, T>(&'a self, ask: impl Fn(&'a Redis) -> Fut<'a, T>) -> Result<Vec<T>> {
        self.every(ask).await.into_iter().collect()
    }

    /// Asks one shard after the other until one answers.
    async fn any<'a, T>(&'a self, ask: impl Fn(&'a Redis) -> Fut<'a, T>) -> Result<T> {
        let mut answer = ask(&self.parts[0].redis).await;
        for part in &self.parts[1..] {
            if !matches!(&answer, Err(e) if e.is_unavailable()) {
                break;
            }
            answer = ask(&part.redis).await;
        }
        answer
    }

    /// A job, looked for where its id says; elsewhere only if it is not there, for an id that an
    /// application chose and the nodes of flows may live elsewhere.
    async fn find(&self, id: JobId, watch: bool) -> Result<Option<JobView>> {
        let home = self.home(id);
        if let Some(job) = self.parts[home].redis.get(id, watch).await? {
            return Ok(Some(seen(job, home)));
        }
        let all = self.all(|redis| redis.get(id, watch)).await?;
        let found = all.into_iter().enumerate().find_map(|(shard, job)| Some(seen(job?, shard)));
        Ok(found)
    }

    async fn act(&self, id: JobId, action: Action) -> Result<Controlled> {
        let home = self.home(id);
        let mut answer = self.parts[home].redis.control(id, action).await?;
        for (shard, part) in self.parts.iter().enumerate() {
            if answer != Controlled::Missing {
                break;
            }
            if shard != home {
                answer = part.redis.control(id, action).await?;
            }
        }
        Ok(answer)
    }

    async fn sign(&self, worker: &WorkerView) -> Result<Vec<Order>> {
        let mut orders = Vec::new();
        let (mut failed, mut well) = (None, false);
        for answer in self.every(|redis| redis.beat(worker)).await {
            match answer {
                Ok(some) => {
                    well = true;
                    for order in some {
                        if !orders.contains(&order) {
                            orders.push(order);
                        }
                    }
                }
                // The next beat reaches it, or one after that.
                Err(e) => failed = Some(e),
            }
        }
        match failed {
            Some(e) if !well => Err(e),
            _ => Ok(orders),
        }
    }

    async fn direct(&self, queue: &str, steer: Steer) -> Result<usize> {
        if let Steer::Purge(limit) = steer {
            let mut gone = 0;
            for part in &self.parts {
                if gone < limit {
                    gone += part.redis.steer(queue, Steer::Purge(limit - gone)).await?;
                }
            }
            return Ok(gone);
        }
        self.all(|redis| redis.steer(queue, steer.clone())).await.map(|_| 0)
    }

    fn listen(&self) -> watch::Receiver<u64> {
        let receiver = self.bell.subscribe();
        let Ok(mut listeners) = self.listeners.lock() else { return receiver };
        if !listeners.is_empty() && listeners.iter().all(|task| !task.is_finished()) {
            return receiver;
        }
        listeners.drain(..).for_each(|task| task.abort());
        for part in &self.parts {
            let (mut one, all) = (part.redis.wakeups(), self.bell.clone());
            let pass_on = async move {
                while one.changed().await.is_ok() {
                    all.send_modify(|count| *count = count.wrapping_add(1));
                }
            };
            listeners.push(tokio::spawn(pass_on).abort_handle());
        }
        receiver
    }

    /// Whether somebody listens to the bells, so that they tell where work may be.
    fn listens(&self) -> bool {
        self.listeners.lock().is_ok_and(|listeners| !listeners.is_empty())
    }
}

impl Backend for Shards {
    fn describe(&self) -> String {
        format!("{}, {} shards", self.parts[0].redis.describe(), self.parts.len())
    }

    fn shards(&self) -> u8 {
        self.number()
    }

    fn durability(&self) -> Durability {
        self.parts[0].redis.durability()
    }

    fn place(&self, envelope: &Envelope) -> Option<u8> {
        self.bound(envelope)
    }

    fn now(&self) -> Fut<'_, i64> {
        Box::pin(self.any(|redis| redis.now()))
    }

    fn enqueue<'a>(&'a self, batch: &'a EnqueueBatch) -> Fut<'a, Taken> {
        Box::pin(self.take_in(batch))
    }

    fn lease<'a>(&'a self, request: &'a LeaseRequest) -> Fut<'a, Leased> {
        Box::pin(self.lease_some(request))
    }

    fn extend<'a>(&'a self, tokens: &'a [Token], ttl_ms: i64) -> Fut<'a, Extended> {
        Box::pin(self.renew(tokens, ttl_ms))
    }

    fn settle<'a>(&'a self, items: &'a [Settle]) -> Fut<'a, Vec<Settled>> {
        Box::pin(self.settle_all(items))
    }

    fn note<'a>(&'a self, token: Token, id: JobId, note: &'a Note) -> Fut<'a, Settled> {
        let (shard, token) = inner(token);
        match self.parts.get(shard) {
            Some(part) => part.redis.note(token, id, note),
            None => Box::pin(async { Ok(Settled::Stale) }),
        }
    }

    fn promote(&self, limit: usize) -> Fut<'_, Promoted> {
        Box::pin(self.promote_all(limit))
    }

    fn reap(&self, limit: usize, outage: bool, ttl_ms: i64) -> Fut<'_, Vec<Reaped>> {
        Box::pin(self.reap_all(limit, outage, ttl_ms))
    }

    fn prune(&self, limit: usize) -> Fut<'_, usize> {
        Box::pin(self.prune_all(limit))
    }

    fn control<'a>(&'a self, id: JobId, action: Action) -> Fut<'a, Controlled> {
        Box::pin(self.act(id, action))
    }

    fn steer<'a>(&'a self, queue: &'a str, steer: Steer) -> Fut<'a, usize> {
        Box::pin(self.direct(queue, steer))
    }

    fn get(&self, id: JobId, watch: bool) -> Fut<'_, Option<JobView>> {
        Box::pin(self.find(id, watch))
    }

    fn search<'a>(&'a self, filter: &'a Filter) -> Fut<'a, Page> {
        Box::pin(self.page(filter))
    }

    fn terms<'a>(&'a self, from: &'a str, limit: usize) -> Fut<'a, Vec<Term>> {
        Box::pin(self.all_terms(from, limit))
    }

    fn queues(&self) -> Fut<'_, Vec<QueueView>> {
        Box::pin(self.all_queues())
    }

    fn blocked(&self) -> Fut<'_, Vec<Blocked>> {
        Box::pin(self.all_blocked())
    }

    fn beat<'a>(&'a self, worker: &'a WorkerView) -> Fut<'a, Vec<Order>> {
        Box::pin(self.sign(worker))
    }

    fn workers(&self) -> Fut<'_, Vec<WorkerView>> {
        Box::pin(self.any(|redis| redis.workers()))
    }

    fn put<'a>(&'a self, kind: Setting, name: &'a str, value: Option<&'a str>) -> Fut<'a, Option<Entry>> {
        Box::pin(self.store(kind, name, value))
    }

    fn settings(&self, kind: Setting) -> Fut<'_, Settings> {
        Box::pin(self.all_settings(kind))
    }

    fn wakeups(&self) -> watch::Receiver<u64> {
        self.listen()
    }

    fn flow<'a>(&'a self, ask: &'a FlowAsk) -> Fut<'a, FlowPage> {
        Box::pin(self.flows(ask))
    }

    fn audit(&self) -> Fut<'_, Vec<String>> {
        Box::pin(async move {
            let all = self.all(|redis| redis.audit()).await?.into_iter().enumerate();
            let told = |(shard, lines): (usize, Vec<String>)| {
                lines.into_iter().map(move |line| format!("shard {shard}: {line}"))
            };
            Ok(all.flat_map(told).collect())
        })
    }

    fn mend(&self, really: bool) -> Fut<'_, Vec<Fault>> {
        Box::pin(async move {
            let mut all = Vec::new();
            for (shard, faults) in self.all(|redis| redis.mend(really)).await?.into_iter().enumerate() {
                all.extend(
                    faults.into_iter().map(|f| Fault { line: format!("shard {shard}: {}", f.line), ..f }),
                );
            }
            Ok(all)
        })
    }

    fn examine(&self) -> Fut<'_, Vec<Finding>> {
        Box::pin(async move {
            let mut all: Vec<Finding> = Vec::new();
            for finding in self.all(|redis| redis.examine()).await?.into_iter().flatten() {
                // Shards on one server are told the same.
                if !all.contains(&finding) {
                    all.push(finding);
                }
            }
            Ok(all)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_shards_do_not_collide_and_grow() {
        let raw = Token(1_800_000_000_000_000);
        assert_eq!(inner(outer(raw, 63)), (63, raw));
        assert_ne!(outer(raw, 1), outer(raw, 2));
        assert!(outer(Token(raw.0 + 1), 0) > outer(raw, 63));
        assert_eq!(inner(Token(u64::MAX)).0, 255, "no shard: stale");
    }
}
