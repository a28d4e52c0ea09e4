//! Moving the clock, and doing on the way what is due.

use super::{Drained, Shared, TestKit, lock};
use crate::Result;
use std::sync::Arc;
use std::time::Duration;

impl Shared {
    /// Does what is due now, and says when there is more.
    async fn now(&self) -> Result<Option<i64>> {
        #[cfg_attr(not(feature = "cron"), allow(unused_mut))]
        let mut next = None::<i64>;
        #[cfg(feature = "cron")]
        for (scheduler, last) in self.schedules.lock().await.iter_mut() {
            scheduler.tick(last).await?;
            next = next.into_iter().chain(scheduler.next_slot(last)).min();
        }
        self.due().await?;
        let due = self.real.promote(1).await?.next_ms;
        Ok(next.into_iter().chain(due).min())
    }

    /// Moves the clock to `end`, or as long as something is due where none is given, from one
    /// instant at which something happens to the next.
    async fn travel(self: &Arc<Self>, end: Option<i64>, run: bool) -> Result<()> {
        for _ in 0..1_000_000 {
            let next = self.now().await?;
            if run {
                self.run_all().await?;
            }
            // What ran may be due again before anything else is.
            let next = if run {
                self.now().await?.into_iter().chain(next.filter(|n| *n > self.clock.now_ms())).min()
            } else {
                next
            };
            let now = self.clock.now_ms();
            let to = match (end, next) {
                (Some(end), _) if now >= end => break,
                (Some(end), next) => next.unwrap_or(end).min(end),
                (None, Some(next)) => next,
                (None, None) => break,
            };
            self.clock.advance(Duration::from_millis((to - now).max(1).unsigned_abs()));
        }
        while self.real.prune(500).await? > 0 {}
        Ok(())
    }
}

impl TestKit {
    /// Gives the kit schedules to fire: a [`Scheduler`](crate::Scheduler) made with the kit's
    /// client. They begin now, and fire as the clock is moved.
    ///
    /// ```
    /// # use legwork::{*, testing::TestKit}; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Report;
    /// # impl Job for Report { const NAME: &'static str = "report"; type Output = (); }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// let kit = TestKit::new().await;
    /// kit.schedule(Scheduler::new(kit.client().clone()).cron("hourly", "@hourly", Report)?).await;
    /// kit.advance(std::time::Duration::from_secs(3 * 3_600)).await;
    /// assert_enqueued!(kit, Report, count = 3);
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "cron")]
    pub async fn schedule(&self, scheduler: crate::Scheduler) {
        let last = scheduler.begin().await.unwrap_or_else(|e| panic!("the test kit: {e}"));
        self.shared.schedules.lock().await.push((scheduler, last));
    }

    /// Moves the clock forward, instant by instant: what becomes due on the way becomes
    /// available, schedules fire, leases end. Nothing runs; [`TestKit::drain_for`] does that.
    ///
    /// ```
    /// # use legwork::{*, testing::TestKit}; use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// let kit = TestKit::new().await;
    /// let id = kit.client().enqueue_raw("a.job", "{}").delay(Duration::from_secs(60)).await?.id;
    /// kit.advance(Duration::from_secs(60)).await;
    /// assert_eq!(kit.client().job(id).await?.unwrap().state, State::Available);
    /// # Ok(()) }
    /// ```
    pub async fn advance(&self, by: Duration) {
        self.go(Some(by), false).await;
    }

    /// Moves the clock forward and runs what is due at each instant: retries, snoozes and
    /// schedules as they would come in a running worker. Says what ran.
    ///
    /// ```
    /// # use legwork::{*, testing::TestKit}; use serde::{Serialize, Deserialize}; use std::time::Duration;
    /// # #[derive(Serialize, Deserialize)] struct Flaky;
    /// # impl Job for Flaky { const NAME: &'static str = "flaky"; type Output = (); }
    /// async fn flaky(_: Flaky, cx: Context<()>) -> Result<(), Failure> {
    ///     if cx.attempt() < 3 { Err("not yet".into()) } else { Ok(()) }
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// let kit = TestKit::new().await.worker(|jobs| Worker::new(jobs, ()).handle(flaky));
    /// kit.client().enqueue(Flaky).await?;
    /// let ran = kit.drain_for(Duration::from_secs(3_600)).await;
    /// assert_eq!(ran.states(), [State::Retryable, State::Retryable, State::Succeeded]);
    /// # Ok(()) }
    /// ```
    pub async fn drain_for(&self, by: Duration) -> Drained {
        self.go(Some(by), true).await
    }

    /// Runs everything that is enqueued, moving the clock to whatever is due next until nothing
    /// waits for an instant any more. Not with schedules, which never end.
    ///
    /// ```
    /// # use legwork::{*, testing::TestKit}; use serde::{Serialize, Deserialize}; use std::time::Duration;
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # async fn ping(_: Ping, _: Context<()>) -> Result<(), Failure> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// let kit = TestKit::new().await.worker(|jobs| Worker::new(jobs, ()).handle(ping));
    /// kit.client().enqueue(Ping).delay(Duration::from_secs(86_400)).await?;
    /// assert_eq!(kit.drain_scheduled().await.names(), ["ping"]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Panics
    /// When the kit has schedules.
    pub async fn drain_scheduled(&self) -> Drained {
        #[cfg(feature = "cron")]
        assert!(
            self.shared.schedules.lock().await.is_empty(),
            "drain_scheduled: the kit has schedules, which never end; use drain_for"
        );
        self.go(None, true).await
    }

    async fn go(&self, by: Option<Duration>, run: bool) -> Drained {
        let from = lock(&self.shared.log).len();
        let end = by.map(|by| self.shared.clock.now_ms() + by.as_millis() as i64);
        self.shared.travel(end, run).await.unwrap_or_else(|e| panic!("the test kit: {e}"));
        Drained(lock(&self.shared.log)[from..].to_vec())
    }
}
