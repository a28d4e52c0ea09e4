//! Jobs that never cease to come, a worker for them, and what both have seen.

use legwork::{Client, Context, Failure, Job, JobId, State, Worker};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tests::until;

/// Longer than any outage here, so that a worker that goes on keeps what it holds.
const LEASE: Duration = Duration::from_secs(15);

#[derive(Serialize, Deserialize)]
struct Work {}

impl Job for Work {
    const NAME: &'static str = "work";
    type Output = ();
}

/// What ran, and when; outside the queue.
#[derive(Default)]
struct Ledger(Mutex<BTreeMap<JobId, Vec<Instant>>>);

async fn work(_: Work, cx: Context<Arc<Ledger>>) -> Result<(), Failure> {
    cx.state().0.lock().expect("nobody panics here").entry(cx.id()).or_default().push(Instant::now());
    Ok(())
}

/// A producer and a worker on one queue.
pub(crate) struct Load {
    pub(crate) jobs: Client,
    ledger: Arc<Ledger>,
    acked: Arc<Mutex<Vec<(JobId, Instant)>>>,
    stop: Arc<AtomicBool>,
    producer: tokio::task::JoinHandle<()>,
    worker: legwork::Running,
}

impl Load {
    /// One job after the other, as fast as they are answered, and four jobs at a time.
    pub(crate) async fn start(url: &str) -> Load {
        let jobs = Client::connect(url).await.expect("the queue opens");
        let ledger = Arc::new(Ledger::default());
        let worker = Worker::new(Client::connect(url).await.expect("the queue opens"), ledger.clone())
            .handle(work)
            .queue("default", 4)
            .lease(LEASE)
            .start()
            .await
            .expect("the worker starts");
        let (acked, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (client, list, end) = (jobs.clone(), acked.clone(), stop.clone());
        let producer = tokio::spawn(async move {
            while !end.load(Ordering::SeqCst) {
                // What was refused after all patience was not promised to run.
                if let Ok(receipt) = client.enqueue(Work {}).await {
                    list.lock().expect("nobody panics here").push((receipt.id, Instant::now()));
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        Load { jobs, ledger, acked, stop, producer, worker }
    }

    pub(crate) fn acked(&self) -> Vec<(JobId, Instant)> {
        self.acked.lock().expect("nobody panics here").clone()
    }

    fn runs(&self) -> BTreeMap<JobId, Vec<Instant>> {
        self.ledger.0.lock().expect("nobody panics here").clone()
    }

    /// Waits until so many more jobs have been enqueued and run.
    pub(crate) async fn goes_on(&self, jobs: usize, limit: Duration) {
        let (acked, runs) = (self.acked().len(), self.runs().len());
        until("jobs are enqueued and run", limit, async || {
            (self.acked().len() >= acked + jobs && self.runs().len() >= runs + jobs).then_some(())
        })
        .await;
    }

    /// When the first job after an instant ran that was also enqueued after it.
    pub(crate) async fn resumed(&self, from: Instant, limit: Duration) -> Duration {
        until("a new job runs", limit, async || {
            let fresh = self.acked().into_iter().find(|(_, at)| *at > from)?.0;
            self.runs().get(&fresh).map(|runs| runs[0].saturating_duration_since(from))
        })
        .await
    }

    /// The longest time without an answer to an enqueue since an instant.
    pub(crate) fn stall(&self, from: Instant) -> Duration {
        let mut last = from;
        let mut longest = Duration::ZERO;
        for (_, at) in self.acked().into_iter().filter(|(_, at)| *at > from) {
            longest = longest.max(at - last);
            last = at;
        }
        longest
    }

    /// Stops the producer, waits until nothing waits any more, and says what became of it.
    pub(crate) async fn end(self) -> Account {
        self.stop.store(true, Ordering::SeqCst);
        self.producer.await.expect("the producer ends");
        let empty = async || {
            let queues = self.jobs.queues().await.ok()?;
            let unfinished = State::ALL.into_iter().filter(|state| !state.is_final());
            let waits: u64 = unfinished.map(|state| queues.iter().map(|q| q.count(state)).sum::<u64>()).sum();
            (waits == 0).then_some(())
        };
        until("every job is finished", Duration::from_secs(40), empty).await;
        let audit = self.jobs.backend().audit().await.expect("audited");
        assert_eq!(audit, Vec::<String>::new());
        let runs = self.ledger.0.lock().expect("nobody panics here").clone();
        let acked: Vec<_> = self.acked.lock().expect("nobody panics here").clone();
        self.worker.stop().await;
        let lost = acked.iter().filter(|(id, _)| !runs.contains_key(id)).copied().collect();
        let repeated = runs.values().map(|all| all.len() - 1).sum();
        Account { acked: acked.len(), lost, repeated }
    }
}

/// What became of the jobs.
#[derive(Debug)]
pub(crate) struct Account {
    /// How many enqueues were answered.
    pub(crate) acked: usize,
    /// What was answered and never ran, and when that was.
    pub(crate) lost: Vec<(JobId, Instant)>,
    /// Runs beyond the first of each job.
    pub(crate) repeated: usize,
}

/// Returns when a replica has everything that the server at this port was told before.
pub(crate) async fn replicated(port: u16) -> bool {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).expect("an address");
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
    let mut connection =
        client.get_multiplexed_async_connection_with_config(&config).await.expect("a connection");
    // WAIT waits for what its own connection wrote; replication keeps the order.
    let mut both = redis::pipe();
    both.cmd("PUBLISH").arg("barrier").arg("x").ignore().cmd("WAIT").arg(1).arg(5_000);
    let (replicas,): (i64,) = both.query_async(&mut connection).await.expect("WAIT answers");
    replicas >= 1
}
