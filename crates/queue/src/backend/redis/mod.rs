//! Redis and Valkey, from 6.2.
//!
//! Ids wait in lists, records in one hash, and a batch of jobs holds one lease; the layout
//! is told in `keys.rs` and `lua/prelude.lua`. One script a verb (`lua/*.lua`), so that each
//! is one atomic step; `encode` and `decode` are the way in and out, `link` the connection.
//! All of it is about one shard; `shards` makes one queue of several.

mod acl;
mod brief;
mod calls;
mod config;
mod decode;
mod diagnose;
mod doctor;
mod durable;
mod encode;
mod enqueue;
#[cfg(all(test, feature = "testing"))]
mod enqueue_tests;
mod errors;
mod eviction;
mod flow;
#[cfg(all(test, feature = "testing"))]
mod flow_tests;
mod functions;
#[cfg(feature = "testing")]
pub(crate) mod fuzz;
mod inspect;
mod keys;
mod lease;
#[cfg(all(test, feature = "testing"))]
mod lease_tests;
#[cfg(all(test, feature = "testing"))]
mod limit_tests;
mod limits;
mod link;
mod node;
mod reply;
mod route;
mod schema;
mod scripts;
mod search;
mod shards;
mod slot;
mod socket;
#[cfg(all(test, feature = "testing"))]
mod tests;
mod tls;
mod trim;
#[cfg(all(test, feature = "testing"))]
mod trouble_tests;
mod wake;

pub use acl::{Rights, Role};
pub use config::Config;
pub use functions::{Migrated, migrate};
pub use shards::{connect, connect_with};

use super::{
    Action, Backend, Blocked, Controlled, EnqueueBatch, Entry, Extended, Fault, Filter, Finding, FlowAsk,
    FlowPage, Fut, Guard, JobView, LOST, LeaseRequest, Leased, MAX_STEPS, Note, Order, Page, Pause, Promoted,
    QueueView, Reaped, Setting, Settings, Settle, Settled, Steer, StepView, Taken, Term, Token, WorkerView,
};
use crate::{Clock, Durability, Error, JobId, Result};
use keys::Keys;
use redis::{Cmd, Value, cmd};
use scripts::Script;
use std::sync::{Arc, Mutex};
use tokio::sync::{OnceCell, watch};

/// How often a script is loaded for one call.
const FORGOTTEN: usize = 5;
/// Settles of one call to Redis.
const SETTLES: usize = 1_000;

/// A queue in Redis: one shard of it where it has several, which [`connect`] puts together.
pub struct Redis {
    link: link::Link,
    keys: Keys,
    namespace: String,
    /// Whether scripts are called as functions.
    functions: bool,
    /// What an enqueue demands, where that is anything.
    durable: Option<durable::Durable>,
    clock: Clock,
    briefs: Briefs,
    /// Whether records go beside the script, once that is known.
    beside: OnceCell<bool>,
    bell: Arc<watch::Sender<u64>>,
    listener: Mutex<Option<tokio::task::AbortHandle>>,
    /// When it was last looked for what Redis has thrown away.
    looked: Mutex<Option<std::time::Instant>>,
}

/// The verbs with brief scripts.
#[derive(Default)]
struct Briefs {
    enqueue: brief::Brief,
    lease: brief::Brief,
    settle: brief::Brief,
    /// Of jobs that may have keys: most keys but unique ones are the full script's.
    settle_keyed: brief::Brief,
}

impl Redis {
    /// Reads a URL. The namespace is `legwork` unless named; it has one shard unless it is made
    /// with more (`shards=n`), 64 at most:
    ///
    /// * `redis://[user:password@]host[:port][/db][?ns=name&shards=n]`
    /// * `redis+unix:///path.sock[?db=…&user=…&pass=…&ns=name]`
    /// * `redis+sentinel://[user:password@]host[:26379],host…/NAME[/db][?sentinel_user=…&sentinel_pass=…]`:
    ///   the primary that the sentinels know as NAME, whichever server that is
    /// * `redis+cluster://[user:password@]host[:port],host…[?shards=n]`: any nodes of a cluster
    ///
    /// Each may say what an enqueue demands, `?durability=memory`, `fsync` or `replicated:N`
    /// (see [`Durability`]), and `?scripts=functions`: scripts are called as
    /// functions that [`migrate`] has loaded, so that accounts need no right to run others.
    ///
    /// `rediss` in place of `redis` is TLS (feature `tls`): `?ca=FILE` names whom to trust
    /// instead of whom the machine trusts, `cert=FILE&key=FILE` what to show. Certificate and
    /// host name are always checked.
    ///
    /// ```
    /// use legwork::backend::redis::Redis;
    /// assert!(Redis::parse("redis://localhost/0?ns=shop").is_ok());
    /// assert!(Redis::parse("redis+sentinel://a,b,c/main?ns=shop").is_ok());
    /// assert!(Redis::parse("redis://localhost/zero").is_err());
    /// ```
    ///
    /// # Errors
    /// Invalid, with the part that is wrong.
    pub fn parse(url: &str) -> Result<Config> {
        config::parse(url)
    }

    /// Whether a URL with this scheme is to be read here.
    pub(crate) fn speaks(scheme: &str) -> bool {
        matches!(scheme.split('+').next(), Some("redis" | "rediss" | "valkey" | "valkeys" | "unix"))
    }

    /// Connects, and checks that what answers is a Redis whose data this version can read. For
    /// a namespace of one shard; [`connect`] opens any.
    ///
    /// ```no_run
    /// # async fn example() -> legwork::Result<()> {
    /// use legwork::{Clock, backend::redis::Redis};
    /// let backend = Redis::connect("redis://localhost?ns=shop", Clock::Backend).await?;
    /// # let _ = backend;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Invalid for a bad URL and for what is no Redis, unavailable when nothing answers,
    /// refused when the rights do not suffice or the data is newer than this version.
    pub async fn connect(url: &str, clock: Clock) -> Result<Redis> {
        let (redis, shards) = Redis::first(&config::parse(url)?, clock).await?;
        match shards {
            1 => Ok(redis),
            more => Err(Error::invalid(format!("url: ?shards={more}: open it by backend::redis::connect"))),
        }
    }

    /// The first shard of a namespace, and how many it has.
    async fn first(config: &Config, clock: Clock) -> Result<(Redis, u8)> {
        if matches!(clock, Clock::Manual(_)) && !config.namespace.starts_with("test-") {
            return Err(Error::invalid("clock: a manual clock needs a namespace test-… (?ns=test-…)"));
        }
        let redis = Redis::shard(config, 0, clock, Arc::new(watch::Sender::new(0)))?;
        redis.link.ask(&cmd("PING")).await?;
        let shards = schema::check(&redis, config.shards).await?;
        if config.functions {
            functions::check(&redis).await?;
        }
        redis.check_policy().await;
        redis.check_durability().await?;
        Ok((redis, shards))
    }

    /// One shard, not asked anything yet; `bell` is rung when there may be work in it.
    fn shard(config: &Config, shard: u8, clock: Clock, bell: Arc<watch::Sender<u64>>) -> Result<Redis> {
        Ok(Redis {
            link: link::Link::new(config, &Keys::tag(&config.namespace, shard)),
            keys: config.keys(shard),
            namespace: config.namespace.clone(),
            functions: config.functions,
            durable: durable::Durable::of(config, &Keys::tag(&config.namespace, shard)),
            clock,
            briefs: Briefs::default(),
            beside: OnceCell::new(),
            bell,
            listener: Mutex::default(),
            looked: Mutex::default(),
        })
    }

    /// Whether the server can give what an enqueue demands.
    async fn check_durability(&self) -> Result<()> {
        match &self.durable {
            Some(durable) => durable.check().await,
            None => Ok(()),
        }
    }

    /// A call of a script: the keys of the shard, and a test's time where there is one.
    fn script(&self, script: &Script) -> Cmd {
        let mut call = cmd(if self.functions { "FCALL" } else { "EVALSHA" });
        let keys = self.keys.fixed();
        let never = self.keys.never();
        call.arg(script.called(self.functions)).arg(script.keys.len() + usize::from(never.is_some()));
        encode::args(&mut call, script.keys.iter().filter_map(|key| keys.get(*key)).chain(never));
        match self.clock.manual_ms() {
            Some(ms) => call.arg(ms),
            None => call.arg(""),
        };
        call
    }

    /// Runs a script; one that Redis has forgotten is loaded again.
    async fn run(&self, script: &Script, call: &Cmd) -> Result<Value> {
        if let Some(durable) = self.durable.as_ref().filter(|_| script.takes_in()) {
            return durable.run(self, script, call).await;
        }
        let mut answer = self.link.send(call).await?;
        // Whoever makes Redis forget scripts may do so again between the two.
        for _ in 0..FORGOTTEN {
            if !matches!(&answer, Err(error) if errors::no_script(error)) {
                break;
            }
            self.link.ask(cmd("SCRIPT").arg("LOAD").arg(&script.text)).await?;
            answer = self.link.send(call).await?;
        }
        match answer {
            Ok(value) => Ok(value),
            Err(error) => Err(self.diagnose(error).await),
        }
    }

    async fn time(&self) -> Result<i64> {
        if let Some(ms) = self.clock.manual_ms() {
            return Ok(ms);
        }
        let parts = decode::list(self.link.ask(&cmd("TIME")).await?)?;
        let numbers = parts.into_iter().map(decode::number).collect::<Result<Vec<_>>>()?;
        match numbers[..] {
            [seconds, micros] => Ok(seconds * 1000 + micros / 1000),
            _ => Err(Error::corrupt("redis: TIME answered something else")),
        }
    }

    async fn hold(&self, queue: &str, pause: Pause) -> Result<()> {
        let (what, ms) = match pause {
            Pause::Forever => ("forever", 0),
            Pause::Until(at) => ("until", encode::ms(at)),
            Pause::For(wait) => ("for", encode::ms(wait)),
            Pause::Off => ("off", 0),
        };
        let mut call = self.script(&scripts::PAUSE);
        call.arg(queue).arg(what).arg(ms);
        self.run(&scripts::PAUSE, &call).await.map(drop)
    }

    async fn clear(&self, queue: &str, limit: usize) -> Result<usize> {
        for phase in ["list", "keys", "due", "meta"] {
            let mut cursor = "0".to_owned();
            loop {
                let mut call = self.script(&scripts::PURGE);
                call.arg(queue).arg(limit.clamp(1, 1_000)).arg(phase).arg(&cursor);
                let mut reply = decode::Reply::of(self.run(&scripts::PURGE, &call).await?)?;
                let gone = decode::number(reply.next()?)?;
                if gone > 0 {
                    return Ok(gone as usize);
                }
                cursor = decode::text(reply.next()?)?;
                if cursor == "0" {
                    break;
                }
            }
        }
        Ok(0)
    }

    async fn act(&self, id: JobId, action: Action) -> Result<Controlled> {
        let mut call = self.script(&scripts::CONTROL);
        call.arg(id.as_bytes().as_slice()).arg(match action {
            Action::Cancel => "cancel",
            Action::Discard => "discard",
            Action::Retry => "retry",
            Action::Mend => "mend",
            Action::Hurry => "hurry",
            Action::Redrive => "redrive",
        });
        let mut reply = decode::Reply::of(self.run(&scripts::CONTROL, &call).await?)?;
        Ok(match reply.word.as_str() {
            "done" => Controlled::Done(decode::text(reply.next()?)?.parse()?),
            "refused" => Controlled::Refused(decode::text(reply.next()?)?.parse()?),
            "duplicate" => Controlled::Duplicate(decode::id(&decode::bytes(reply.next()?)?)?),
            "requested" => Controlled::Requested,
            _ => Controlled::Missing,
        })
    }

    async fn write_down(&self, token: Token, id: JobId, note: &Note) -> Result<Settled> {
        let mut call = self.script(&scripts::NOTE);
        call.arg(token.0).arg(id.as_bytes().as_slice());
        match note {
            Note::Progress(text) => call.arg("progress").arg(text),
            Note::Cursor(text) => call.arg("cursor").arg(text).arg("").arg(MAX_STEPS),
            Note::CancelSeen => call.arg("seen"),
            Note::Step { name, value } => {
                let (mark, line) = StepView::line(name, value);
                call.arg("step").arg(line).arg(mark).arg(MAX_STEPS)
            }
        };
        let mut reply = decode::Reply::of(self.run(&scripts::NOTE, &call).await?)?;
        match reply.word.as_str() {
            "ok" => Ok(Settled::Done),
            "full" => Err(StepView::too_many(decode::number(reply.next()?)?)),
            _ => Ok(Settled::Stale),
        }
    }

    async fn sign(&self, worker: &WorkerView) -> Result<Vec<Order>> {
        let json = serde_json::to_vec(worker).map_err(|e| Error::invalid(format!("worker: {e}")))?;
        let mut call = self.script(&scripts::BEAT);
        let orders = worker.orders();
        call.arg(&worker.id).arg(if worker.leaving { Vec::new() } else { json }).arg(orders.len());
        for (name, value) in orders {
            call.arg(name).arg(value);
        }
        for definition in &worker.definitions {
            call.arg(&definition.name).arg(definition.version);
        }
        let mut rest = decode::Reply::of(self.run(&scripts::BEAT, &call).await?)?.rest();
        let mut left = Vec::new();
        while let (Some(name), Some(value)) = (rest.next(), rest.next()) {
            left.extend(Order::of(&decode::text(name)?, &decode::text(value)?));
        }
        Ok(left)
    }

    async fn store(&self, kind: Setting, name: &str, value: Option<&str>) -> Result<Option<Entry>> {
        let mut call = self.script(&scripts::PUT);
        call.arg(kind.as_str()).arg(name).arg(value.unwrap_or_default());
        let mut rest = decode::Reply::of(self.run(&scripts::PUT, &call).await?)?.rest();
        match (rest.next(), rest.next()) {
            (Some(value), Some(mark)) => inspect::entry(name.into(), value, mark).map(Some),
            _ => Ok(None),
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(listener) = self.listener.get_mut().ok().and_then(Option::take) {
            listener.abort();
        }
    }
}

impl Backend for Redis {
    fn describe(&self) -> String {
        format!("redis at {}, namespace {}", self.link.target(), self.namespace)
    }

    /// They go over one connection.
    fn leases_in_order(&self) -> bool {
        true
    }

    fn durability(&self) -> Durability {
        self.durable.as_ref().map_or(Durability::Memory, |durable| durable.wanted)
    }

    fn now(&self) -> Fut<'_, i64> {
        Box::pin(self.time())
    }

    fn enqueue<'a>(&'a self, batch: &'a EnqueueBatch) -> Fut<'a, Taken> {
        Box::pin(async move {
            if let Some(step) = &batch.flow {
                return self.stage(batch, step).await;
            }
            if batch.jobs.is_empty() && !matches!(batch.guard, Guard::Slot { .. }) {
                return Ok(Taken::Jobs(Vec::new()));
            }
            self.take_in(batch).await
        })
    }

    fn lease<'a>(&'a self, request: &'a LeaseRequest) -> Fut<'a, Leased> {
        Box::pin(self.lease_from(request))
    }

    fn extend<'a>(&'a self, tokens: &'a [Token], ttl_ms: i64) -> Fut<'a, Extended> {
        Box::pin(async move {
            let mut call = self.script(&scripts::EXTEND);
            call.arg(encode::ms(ttl_ms));
            encode::args(&mut call, tokens.iter().map(|token| token.0));
            let mut reply = decode::Reply::of(self.run(&scripts::EXTEND, &call).await?)?;
            let held = decode::bytes(reply.next()?)?.iter().map(|letter| *letter == b'h').collect();
            let cancel =
                decode::list(reply.next()?)?.into_iter().map(|value| decode::id(&decode::bytes(value)?));
            Ok(Extended { held, cancel: cancel.collect::<Result<_>>()? })
        })
    }

    fn settle<'a>(&'a self, items: &'a [Settle]) -> Fut<'a, Vec<Settled>> {
        Box::pin(async move {
            let mut all = Vec::with_capacity(items.len());
            for items in items.chunks(SETTLES) {
                let plan = encode::Settles::of(items);
                let full = &*scripts::SETTLE;
                let brief = plan.successes().map(|keyed| match keyed {
                    true => &self.briefs.settle_keyed,
                    false => &self.briefs.settle,
                });
                let answer = if let Some(brief) = brief {
                    let scripts = (&*scripts::SETTLE_BRIEF, full);
                    brief.run(self, scripts, |call| plan.write(call)).await?
                } else {
                    let mut call = self.script(full);
                    plan.write(&mut call);
                    self.run(full, &call).await?
                };
                let mut reply = decode::Reply::of(answer)?;
                all.extend(plan.answers(&decode::bytes(reply.next()?)?)?);
            }
            Ok(all)
        })
    }

    fn note<'a>(&'a self, token: Token, id: JobId, note: &'a Note) -> Fut<'a, Settled> {
        Box::pin(self.write_down(token, id, note))
    }

    fn promote(&self, limit: usize) -> Fut<'_, Promoted> {
        Box::pin(async move {
            let mut call = self.script(&scripts::PROMOTE);
            call.arg(limit.min(1_000));
            let mut reply = decode::Reply::of(self.run(&scripts::PROMOTE, &call).await?)?;
            let count = decode::number(reply.next()?)? as usize;
            Ok(Promoted { count, next_ms: decode::number(reply.next()?).ok() })
        })
    }

    fn reap(&self, limit: usize, outage: bool, ttl_ms: i64) -> Fut<'_, Vec<Reaped>> {
        Box::pin(async move {
            let mut call = self.script(&scripts::REAP);
            call.arg(limit.min(1_000)).arg(u8::from(outage)).arg(encode::ms(ttl_ms));
            call.arg(encode::blamed(LOST));
            decode::reaped(self.run(&scripts::REAP, &call).await?)
        })
    }

    fn prune(&self, limit: usize) -> Fut<'_, usize> {
        Box::pin(async move {
            self.look_after().await;
            let mut call = self.script(&scripts::PRUNE);
            call.arg(limit);
            let mut reply = decode::Reply::of(self.run(&scripts::PRUNE, &call).await?)?;
            let gone = decode::number(reply.next()?)? as usize;
            Ok(gone + self.trim(limit.saturating_sub(gone)).await?)
        })
    }

    fn control<'a>(&'a self, id: JobId, action: Action) -> Fut<'a, Controlled> {
        Box::pin(self.act(id, action))
    }

    fn steer<'a>(&'a self, queue: &'a str, steer: Steer) -> Fut<'a, usize> {
        Box::pin(async move {
            match steer {
                Steer::Pause(pause) => self.hold(queue, pause).await.map(|()| 0),
                Steer::Purge(limit) => self.clear(queue, limit).await,
                Steer::Budget { limit, change } => self.budget(queue, &limit, change).await.map(|()| 0),
            }
        })
    }

    fn get(&self, id: JobId, watch: bool) -> Fut<'_, Option<JobView>> {
        Box::pin(async move { Ok(self.view(&[id], watch).await?.pop()) })
    }

    fn search<'a>(&'a self, filter: &'a Filter) -> Fut<'a, Page> {
        Box::pin(self.find(filter))
    }

    fn terms<'a>(&'a self, from: &'a str, limit: usize) -> Fut<'a, Vec<Term>> {
        Box::pin(self.terms_from(from, limit))
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
        Box::pin(self.all_workers())
    }

    fn put<'a>(&'a self, kind: Setting, name: &'a str, value: Option<&'a str>) -> Fut<'a, Option<Entry>> {
        Box::pin(self.store(kind, name, value))
    }

    fn settings(&self, kind: Setting) -> Fut<'_, Settings> {
        Box::pin(self.all_settings(kind))
    }

    fn wakeups(&self) -> watch::Receiver<u64> {
        if let Ok(mut listener) = self.listener.lock()
            && listener.as_ref().is_none_or(|task| task.is_finished())
        {
            let (route, channel) = (self.link.route().clone(), self.keys.named("wake"));
            *listener = Some(tokio::spawn(wake::listen(route, channel, self.bell.clone())).abort_handle());
        }
        self.bell.subscribe()
    }

    fn flow<'a>(&'a self, ask: &'a FlowAsk) -> Fut<'a, FlowPage> {
        Box::pin(self.flows(ask))
    }

    fn audit(&self) -> Fut<'_, Vec<String>> {
        Box::pin(async move { Ok(self.faults(false).await?.into_iter().map(|fault| fault.line).collect()) })
    }

    fn mend(&self, really: bool) -> Fut<'_, Vec<Fault>> {
        Box::pin(self.faults(really))
    }

    fn examine(&self) -> Fut<'_, Vec<Finding>> {
        Box::pin(self.examined())
    }
}
