//! Queues that are broken on purpose, as others are in earnest: a test of the test. Each is
//! the real backend with one thing wrong; a small storm must end with the fault's name.

use anyhow::Result;
use clap::ValueEnum;
use legwork::backend::*;
use legwork::testing::faulty::{Fault, FaultyBackend};
use legwork::{Client, ClientOptions, JobId, State};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// How the queue is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Wrong {
    /// A job is ended by its id alone, whoever holds it.
    AcksWithoutToken,
    /// A job is ended when it is leased.
    AcksBeforeRunning,
    /// A job is taken out of the queue when it is leased, as by `BRPOP`.
    PopsBeforeRunning,
    /// A lost lease is a lease handed back: nobody counts crashes.
    SweepsWithoutCounting,
    /// A repeated enqueue is another one.
    EnqueuesWithoutLanes,
    /// A lease is a key that is gone when its time is over, whatever the reason.
    LeasesByTtl,
    /// Leases are renewed on the runtime of the handlers.
    BeatsAmongHandlers,
}

impl Wrong {
    /// Whether it is the producers who are broken, and not the workers.
    pub(super) fn of_producers(self) -> bool {
        self == Wrong::EnqueuesWithoutLanes
    }
}

/// A client, broken as told.
pub(super) async fn client(
    url: &str,
    options: ClientOptions,
    wrong: Option<Wrong>,
) -> Result<Client, legwork::Error> {
    let client = Client::connect_with(url, options.clone()).await?;
    let Some(wrong) = wrong else { return Ok(client) };
    let real = client.backend().clone();
    let backend: Arc<dyn Backend> = match wrong {
        Wrong::EnqueuesWithoutLanes => {
            let broken =
                Arc::new(Broken { wrong, real, ends: Mutex::default(), handlers: Handle::current() });
            Arc::new(FaultyBackend::new(broken).share(Some("enqueue"), 0.3, Fault::After))
        }
        _ => Arc::new(Broken { wrong, real, ends: Mutex::default(), handlers: Handle::current() }),
    };
    Ok(Client::over(backend, options))
}

struct Broken {
    wrong: Wrong,
    real: Arc<dyn Backend>,
    /// When the keys of leases are gone.
    ends: Mutex<HashMap<Token, Instant>>,
    /// The runtime of the handlers.
    handlers: Handle,
}

impl Broken {
    fn is(&self, wrong: Wrong) -> bool {
        self.wrong == wrong
    }

    /// Whether jobs are out of the queue before they run.
    fn is_early(&self) -> bool {
        self.is(Wrong::AcksBeforeRunning) || self.is(Wrong::PopsBeforeRunning)
    }

    fn live(&self, token: Token, ttl_ms: i64) {
        if let Ok(mut ends) = self.ends.lock() {
            ends.insert(token, Instant::now() + Duration::from_millis(ttl_ms.max(0) as u64));
        }
    }

    fn lives(&self, token: Token) -> bool {
        let ends = self.ends.lock();
        ends.is_ok_and(|ends| ends.get(&token).is_some_and(|end| *end > Instant::now()))
    }

    async fn leased(&self) -> legwork::Result<Vec<JobView>> {
        let filter = Filter { state: Some(State::Leased), limit: 500, ..Filter::default() };
        Ok(self.real.search(&filter).await?.jobs)
    }

    async fn token(&self, id: JobId) -> legwork::Result<Option<Token>> {
        Ok(self.real.get(id, false).await?.and_then(|view| view.lease).map(|lease| lease.token))
    }
}

impl Backend for Broken {
    fn enqueue<'a>(&'a self, batch: &'a EnqueueBatch) -> Fut<'a, Taken> {
        Box::pin(async move {
            let mut batch = batch.clone();
            if self.is(Wrong::EnqueuesWithoutLanes) {
                batch.lane = JobId::new().to_string();
            }
            self.real.enqueue(&batch).await
        })
    }

    fn lease<'a>(&'a self, request: &'a LeaseRequest) -> Fut<'a, Leased> {
        Box::pin(async move {
            let leased = self.real.lease(request).await?;
            leased.batches.iter().for_each(|batch| self.live(batch.token, request.ttl_ms));
            if self.is_early() {
                let keep_ms = if self.is(Wrong::PopsBeforeRunning) { 0 } else { 86_400_000 };
                for batch in &leased.batches {
                    let result = Some(batch.token.0.to_string());
                    let outcome = Outcome::Succeeded { result, keep_ms };
                    let item = |id| Settle { token: batch.token, id, outcome: outcome.clone(), keyed: true };
                    let items: Vec<Settle> = batch.jobs.iter().map(|job| item(job.id)).collect();
                    self.real.settle(&items).await?;
                }
            }
            Ok(leased)
        })
    }

    fn extend<'a>(&'a self, tokens: &'a [Token], ttl_ms: i64) -> Fut<'a, Extended> {
        Box::pin(async move {
            let mut answer = match self.is(Wrong::BeatsAmongHandlers) {
                true => {
                    let (real, tokens) = (self.real.clone(), tokens.to_vec());
                    let renewal = self.handlers.spawn(async move { real.extend(&tokens, ttl_ms).await });
                    renewal.await.expect("it outlives the heartbeat")?
                }
                false => self.real.extend(tokens, ttl_ms).await?,
            };
            if self.is_early() || self.is(Wrong::AcksWithoutToken) {
                answer.held.fill(true);
            }
            if self.is(Wrong::LeasesByTtl) {
                for (token, held) in tokens.iter().zip(&mut answer.held) {
                    *held &= self.lives(*token);
                    if *held {
                        self.live(*token, ttl_ms);
                    }
                }
            }
            Ok(answer)
        })
    }

    fn settle<'a>(&'a self, items: &'a [Settle]) -> Fut<'a, Vec<Settled>> {
        Box::pin(async move {
            if self.is_early() {
                return Ok(vec![Settled::Done; items.len()]);
            }
            let mut items = items.to_vec();
            for item in &mut items {
                if self.is(Wrong::AcksWithoutToken) {
                    item.token = self.token(item.id).await?.unwrap_or(item.token);
                }
                if self.is(Wrong::LeasesByTtl) && !self.lives(item.token) {
                    item.token = Token(1);
                }
            }
            self.real.settle(&items).await
        })
    }

    fn reap(&self, limit: usize, outage: bool, ttl_ms: i64) -> Fut<'_, Vec<Reaped>> {
        Box::pin(async move {
            if self.is(Wrong::SweepsWithoutCounting) && !outage {
                let now = self.real.now().await?;
                for view in self.leased().await? {
                    if let Some(lease) = view.lease.filter(|lease| lease.expires_ms <= now) {
                        let item = Settle {
                            token: lease.token,
                            id: view.id,
                            outcome: Outcome::HandBack,
                            keyed: true,
                        };
                        self.real.settle(&[item]).await?;
                    }
                }
            }
            self.real.reap(limit, outage, ttl_ms).await
        })
    }

    fn describe(&self) -> String {
        self.real.describe()
    }
    fn wakeups(&self) -> watch::Receiver<u64> {
        self.real.wakeups()
    }
    fn now(&self) -> Fut<'_, i64> {
        self.real.now()
    }
    fn note<'a>(&'a self, token: Token, id: JobId, note: &'a Note) -> Fut<'a, Settled> {
        self.real.note(token, id, note)
    }
    fn promote(&self, limit: usize) -> Fut<'_, Promoted> {
        self.real.promote(limit)
    }
    fn prune(&self, limit: usize) -> Fut<'_, usize> {
        self.real.prune(limit)
    }
    fn control<'a>(&'a self, id: JobId, action: Action) -> Fut<'a, Controlled> {
        self.real.control(id, action)
    }
    fn steer<'a>(&'a self, queue: &'a str, steer: Steer) -> Fut<'a, usize> {
        self.real.steer(queue, steer)
    }
    fn get(&self, id: JobId, watch: bool) -> Fut<'_, Option<JobView>> {
        self.real.get(id, watch)
    }
    fn search<'a>(&'a self, filter: &'a Filter) -> Fut<'a, Page> {
        self.real.search(filter)
    }
    fn terms<'a>(&'a self, from: &'a str, limit: usize) -> Fut<'a, Vec<Term>> {
        self.real.terms(from, limit)
    }
    fn queues(&self) -> Fut<'_, Vec<QueueView>> {
        self.real.queues()
    }
    fn blocked(&self) -> Fut<'_, Vec<Blocked>> {
        self.real.blocked()
    }
    fn beat<'a>(&'a self, worker: &'a WorkerView) -> Fut<'a, Vec<Order>> {
        self.real.beat(worker)
    }
    fn workers(&self) -> Fut<'_, Vec<WorkerView>> {
        self.real.workers()
    }
    fn put<'a>(&'a self, kind: Setting, name: &'a str, value: Option<&'a str>) -> Fut<'a, Option<Entry>> {
        self.real.put(kind, name, value)
    }
    fn settings(&self, kind: Setting) -> Fut<'_, Settings> {
        self.real.settings(kind)
    }
    fn flow<'a>(&'a self, ask: &'a FlowAsk) -> Fut<'a, FlowPage> {
        self.real.flow(ask)
    }
    fn audit(&self) -> Fut<'_, Vec<String>> {
        self.real.audit()
    }
}
