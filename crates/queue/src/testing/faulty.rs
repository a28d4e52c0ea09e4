//! A backend that fails on demand, around any other.

use super::chance::Chance;
use crate::backend::*;
use crate::{Error, JobId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Calls that change nothing that a process does for its jobs: between them there is nothing
/// to die for.
const IDLE: &[&str] = &[
    "now", "get", "list", "search", "queues", "blocked", "workers", "settings", "audit", "beat", "leave",
    "extend", "promote", "reap", "prune", "flow",
];

/// What goes wrong in one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call never reaches the backend; the caller hears "unavailable".
    Before,
    /// The call takes effect, and its reply is lost; the caller hears "unavailable".
    After,
    /// The call waits this long (by tokio's clock) and then goes through.
    Delay(Duration),
}

/// When a rule applies.
#[derive(Debug, Clone)]
enum When {
    /// At this call of the verb, 1 for the first.
    Nth(u64),
    /// From this call on.
    From(u64),
    /// By chance, in this share of calls.
    Share(f64),
}

#[derive(Debug)]
struct Rule {
    verb: Option<&'static str>,
    when: When,
    fault: Fault,
}

#[derive(Debug)]
struct Plan {
    rules: Vec<Rule>,
    chance: Chance,
    calls: HashMap<&'static str, u64>,
    injected: u64,
    /// At which step the process dies, and whether the step still takes effect.
    death: Option<(u64, bool)>,
    steps: u64,
}

/// Wraps a backend and makes calls fail by a plan, or by chance that follows from a seed.
///
/// ```
/// use legwork::backend::{Backend, sqlite::Sqlite};
/// use legwork::testing::faulty::{Fault, FaultyBackend};
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let real = Sqlite::connect("sqlite::memory:", legwork::Clock::Backend).await.unwrap();
/// let faulty = FaultyBackend::new(std::sync::Arc::new(real)).nth("promote", 2, Fault::Before);
/// assert!(faulty.promote(1).await.is_ok());
/// assert!(faulty.promote(1).await.unwrap_err().is_unavailable());
/// assert!(faulty.promote(1).await.is_ok());
/// # }
/// ```
pub struct FaultyBackend {
    inner: Arc<dyn Backend>,
    plan: Mutex<Plan>,
    /// Cancelled when the process has died: nothing is answered any more.
    pub(crate) died: CancellationToken,
}

impl FaultyBackend {
    /// A wrapper that injects nothing yet.
    pub fn new(inner: Arc<dyn Backend>) -> FaultyBackend {
        let plan = Plan {
            rules: Vec::new(),
            chance: Chance::new(0),
            calls: HashMap::new(),
            injected: 0,
            death: None,
            steps: 0,
        };
        FaultyBackend { inner, plan: Mutex::new(plan), died: CancellationToken::new() }
    }

    /// The `n`-th call of the verb (1 for the first) goes wrong.
    pub fn nth(self, verb: &'static str, n: u64, fault: Fault) -> FaultyBackend {
        self.rule(Some(verb), When::Nth(n), fault)
    }

    /// Every call of the verb from the `n`-th on goes wrong.
    pub fn from_nth(self, verb: &'static str, n: u64, fault: Fault) -> FaultyBackend {
        self.rule(Some(verb), When::From(n), fault)
    }

    /// This share (0 to 1) of the verb's calls goes wrong; of every verb's when none is
    /// named.
    pub fn share(self, verb: Option<&'static str>, share: f64, fault: Fault) -> FaultyBackend {
        self.rule(verb, When::Share(share), fault)
    }

    /// Where chance begins: the same seed and the same calls give the same faults.
    pub fn seed(self, seed: u64) -> FaultyBackend {
        self.plan().chance = Chance::new(seed);
        self
    }

    /// Forgets all rules: from here on everything goes through.
    pub fn heal(&self) {
        self.plan().rules.clear();
    }

    /// How often a verb has been called.
    pub fn calls(&self, verb: &str) -> u64 {
        self.plan().calls.get(verb).copied().unwrap_or(0)
    }

    /// How many faults have been injected.
    pub fn injected(&self) -> u64 {
        self.plan().injected
    }

    fn rule(self, verb: Option<&'static str>, when: When, fault: Fault) -> FaultyBackend {
        self.plan().rules.push(Rule { verb, when, fault });
        self
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn decide(&self, verb: &'static str) -> Option<Fault> {
        let mut plan = self.plan();
        let Plan { rules, chance, calls, injected, .. } = &mut *plan;
        let call = calls.entry(verb).or_default();
        *call += 1;
        let hit = rules.iter().filter(|r| r.verb.is_none_or(|v| v == verb)).find(|r| match r.when {
            When::Nth(n) => *call == n,
            When::From(n) => *call >= n,
            When::Share(share) => chance.hit(share),
        });
        *injected += u64::from(hit.is_some());
        hit.map(|r| r.fault)
    }

    /// Lets the process that uses this die at its `step`-th step from the start (1 for the
    /// first), before or after the step has taken effect.
    pub(crate) fn dies(&self, step: u64, after: bool) {
        self.plan().death = Some((step, after));
    }

    /// One step of the process; whether it dies here, and whether the step takes effect.
    fn fate(&self) -> Option<bool> {
        let mut plan = self.plan();
        plan.steps += 1;
        plan.death.filter(|(step, _)| *step == plan.steps).map(|(_, after)| after)
    }

    /// A step that the test itself names.
    pub(crate) async fn point(&self) {
        if self.died.is_cancelled() || self.fate().is_some() {
            self.died.cancel();
            std::future::pending::<()>().await;
        }
    }

    /// As `through`, in a process that may die: the dead hear nothing.
    fn mortal<'a, T: Send + 'a>(&'a self, verb: &'static str, call: Fut<'a, T>) -> Fut<'a, T> {
        let call = self.through(verb, call);
        let fate = if IDLE.contains(&verb) { None } else { self.fate() };
        Box::pin(async move {
            if !self.died.is_cancelled() {
                match fate {
                    None => return call.await,
                    Some(true) => drop(call.await),
                    Some(false) => {}
                }
                self.died.cancel();
            }
            std::future::pending().await
        })
    }

    fn through<'a, T: Send + 'a>(&'a self, verb: &'static str, call: Fut<'a, T>) -> Fut<'a, T> {
        let lost = move |what: &str| Error::unavailable(format!("{verb}: {what} (injected)"));
        let fault = self.decide(verb);
        Box::pin(async move {
            match fault {
                Some(Fault::Before) => return Err(lost("not sent")),
                Some(Fault::After) => {
                    call.await?;
                    return Err(lost("the reply was lost"));
                }
                Some(Fault::Delay(wait)) => tokio::time::sleep(wait).await,
                None => {}
            }
            call.await
        })
    }
}

/// Every verb that a fault can hit, as it stands in the contract.
macro_rules! verbs {
    ($($name:ident $(<$life:lifetime>)? ($($arg:ident: $type:ty),*) -> $fut:ty;)*) => {
        impl Backend for FaultyBackend {
            $(fn $name $(<$life>)? (& $($life)? self, $($arg: $type),*) -> $fut {
                self.mortal(stringify!($name), self.inner.$name($($arg),*))
            })*

            fn describe(&self) -> String {
                self.inner.describe()
            }

            fn shards(&self) -> u8 {
                self.inner.shards()
            }

            fn leases_in_order(&self) -> bool {
                self.inner.leases_in_order()
            }

            fn durability(&self) -> crate::Durability {
                self.inner.durability()
            }

            fn place(&self, envelope: &crate::Envelope) -> Option<u8> {
                self.inner.place(envelope)
            }

            fn wakeups(&self) -> watch::Receiver<u64> {
                self.inner.wakeups()
            }
        }
    };
}

verbs! {
    now() -> Fut<'_, i64>;
    enqueue<'a>(batch: &'a EnqueueBatch) -> Fut<'a, Taken>;
    lease<'a>(request: &'a LeaseRequest) -> Fut<'a, Leased>;
    extend<'a>(tokens: &'a [Token], ttl_ms: i64) -> Fut<'a, Extended>;
    settle<'a>(items: &'a [Settle]) -> Fut<'a, Vec<Settled>>;
    note<'a>(token: Token, id: JobId, note: &'a Note) -> Fut<'a, Settled>;
    promote(limit: usize) -> Fut<'_, Promoted>;
    reap(limit: usize, outage: bool, ttl_ms: i64) -> Fut<'_, Vec<Reaped>>;
    prune(limit: usize) -> Fut<'_, usize>;
    control<'a>(id: JobId, action: Action) -> Fut<'a, Controlled>;
    steer<'a>(queue: &'a str, steer: Steer) -> Fut<'a, usize>;
    get(id: JobId, watch: bool) -> Fut<'_, Option<JobView>>;
    search<'a>(filter: &'a Filter) -> Fut<'a, Page>;
    terms<'a>(from: &'a str, limit: usize) -> Fut<'a, Vec<Term>>;
    queues() -> Fut<'_, Vec<QueueView>>;
    blocked() -> Fut<'_, Vec<Blocked>>;
    beat<'a>(worker: &'a WorkerView) -> Fut<'a, Vec<Order>>;
    workers() -> Fut<'_, Vec<WorkerView>>;
    put<'a>(kind: Setting, name: &'a str, value: Option<&'a str>) -> Fut<'a, Option<Entry>>;
    settings(kind: Setting) -> Fut<'_, Settings>;
    flow<'a>(ask: &'a FlowAsk) -> Fut<'a, FlowPage>;
    audit() -> Fut<'_, Vec<String>>;
}
