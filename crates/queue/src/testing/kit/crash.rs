//! Killing the workers' process between any two steps.

use super::TestKit;

impl TestKit {
    /// The workers' process dies at its `n`-th step from here (1 for the next): nothing it does
    /// from then on is heard, what it was doing is dropped, and its leases run out. The step
    /// itself, a call to the backend that changes something or a [`TestKit::point`], takes
    /// effect if `after` says so. The [`TestKit::drain`] in which it happens goes on with a new
    /// process, when the clock has moved by a lease.
    ///
    /// ```
    /// # use legwork::{*, testing::TestKit}; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # async fn ping(_: Ping, _: Context<()>) -> Result<(), Failure> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// let kit = TestKit::new().await.worker(|jobs| Worker::new(jobs, ()).handle(ping));
    /// kit.client().enqueue(Ping).await?;
    /// kit.crash_at(2, false); // leased, run, and dead before the outcome is stored
    /// assert_eq!(kit.drain().await.states(), [State::Succeeded]); // by the second process
    /// assert_eq!(kit.crashes(), 1);
    /// # Ok(()) }
    /// ```
    pub fn crash_at(&self, n: u64, after: bool) {
        self.shared.faulty().dies(n, after);
    }

    /// A step that the test names itself, between two things that a handler does: put it where
    /// the handler's state is a test's, as in a fake of the service that it calls.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let kit = legwork::testing::TestKit::new().await;
    /// kit.point().await; // a step like any other
    /// # }
    /// ```
    pub async fn point(&self) {
        self.shared.faulty().point().await;
    }

    /// Runs a scenario once for every step at which its workers' process can die, before and
    /// after the step, each time with a new kit, and once without: what the scenario asserts at
    /// its end must hold however often a job had to begin again. Returns how many crashes there
    /// were.
    ///
    /// ```
    /// # use legwork::{*, testing::TestKit}; use serde::{Serialize, Deserialize};
    /// # use std::{collections::BTreeSet, sync::{Arc, Mutex}};
    /// # #[derive(Serialize, Deserialize)] struct Grant { athlete: u32 }
    /// # impl Job for Grant { const NAME: &'static str = "grant"; type Output = (); }
    /// type Badges = Arc<Mutex<BTreeSet<u32>>>;
    /// async fn grant(job: Grant, cx: Context<Badges>) -> Result<(), Failure> {
    ///     cx.state().lock().unwrap().insert(job.athlete); // a set: again is no harm
    ///     Ok(())
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let crashes = TestKit::every_crash(async |kit: TestKit| {
    ///     let badges = Badges::default();
    ///     let given = badges.clone();
    ///     let kit = kit.worker(move |jobs| Worker::new(jobs, given.clone()).handle(grant));
    ///     kit.client().enqueue(Grant { athlete: 7 }).await.unwrap();
    ///     kit.drain().await;
    ///     assert_eq!(*badges.lock().unwrap(), [7].into());
    /// }).await;
    /// assert!(crashes >= 4, "before and after the lease, before and after the settle");
    /// # }
    /// ```
    ///
    /// # Panics
    /// Where the scenario does, with a line that says where the process died; and after 1,000
    /// steps.
    pub async fn every_crash(scenario: impl AsyncFn(TestKit)) -> usize {
        let mut crashes = 0;
        for step in 1..=1_000 {
            for after in [false, true] {
                let kit = TestKit::new().await;
                kit.crash_at(step, after);
                let said = Where(step, after);
                scenario(kit.clone()).await;
                drop(said);
                match kit.crashes() {
                    0 => return crashes,
                    n => crashes += n,
                }
            }
        }
        panic!("1,000 steps, and the scenario has more");
    }
}

/// Says where the process died, when what follows panics.
struct Where(u64, bool);

impl Drop for Where {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Where(step, after) = self;
            let when = if *after { "after" } else { "before" };
            eprintln!("the process of the workers died {when} its step {step}");
        }
    }
}
