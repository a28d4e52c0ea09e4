//! Assertions about what is enqueued.

use super::TestKit;
use crate::backend::{Filter, JobView};
use crate::{Client, Envelope, Job, JobId, State};
use std::fmt::Write;
use std::time::Duration;

/// At most this many jobs are looked at.
const MOST: usize = 10_000;
/// At most this many lines say what there is.
const LINES: usize = 30;

/// A job that waits, with its payload.
#[derive(Debug, Clone)]
pub struct Found<J> {
    /// Its id.
    pub id: JobId,
    /// Its payload.
    pub job: J,
    /// Available, scheduled, retryable or blocked.
    pub state: State,
    /// Everything else about how it was enqueued.
    pub envelope: Envelope,
    /// When it is due, milliseconds since the epoch, where it waits for that.
    pub due_ms: Option<i64>,
}

/// What a test expects to be enqueued; the macros [`assert_enqueued!`](crate::assert_enqueued)
/// and [`refute_enqueued!`](crate::refute_enqueued) are made of it.
///
/// ```
/// # use legwork::{*, testing::TestKit}; use serde::{Serialize, Deserialize};
/// # #[derive(Serialize, Deserialize)] struct Ping;
/// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// let kit = TestKit::new().await;
/// kit.expect::<Ping>().absent().await;
/// kit.client().enqueue(Ping).await?;
/// kit.expect::<Ping>().queue("default").count(1).present().await;
/// # Ok(()) }
/// ```
#[must_use = "nothing is looked at before `present` or `absent`"]
pub struct Expect<'k, J> {
    client: &'k Client,
    now_ms: i64,
    tests: Vec<Test<J>>,
    count: Option<usize>,
}

/// A condition, and how it reads.
type Test<J> = (String, Box<dyn Fn(&Found<J>, i64) -> bool + Send + Sync>);

impl TestKit {
    /// The jobs of a type that wait (available, scheduled, retryable or blocked), with their
    /// payloads, in no order that means anything.
    ///
    /// ```
    /// # use legwork::{*, testing::TestKit}; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Half { of: u32 }
    /// # impl Job for Half { const NAME: &'static str = "half"; type Output = u32; }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// let kit = TestKit::new().await;
    /// kit.client().enqueue(Half { of: 8 }).priority(2).await?;
    /// let found = kit.enqueued::<Half>().await;
    /// assert_eq!((found[0].job.of, found[0].envelope.priority), (8, 2));
    /// # Ok(()) }
    /// ```
    pub async fn enqueued<J: Job>(&self) -> Vec<Found<J>> {
        waiting(self.client(), Some(J::NAME)).await.into_iter().filter_map(found).collect()
    }

    /// Begins an expectation.
    ///
    /// ```
    /// # use legwork::{*, testing::TestKit}; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// TestKit::new().await.expect::<Ping>().absent().await;
    /// # }
    /// ```
    pub fn expect<J: Job>(&self) -> Expect<'_, J> {
        Expect { client: self.client(), now_ms: self.clock().now_ms(), tests: Vec::new(), count: None }
    }
}

/// `J` and the words of [`TestKit::expect`], shown in its example.
impl<J: Job> Expect<'_, J> {
    fn test(mut self, says: String, test: impl Fn(&Found<J>, i64) -> bool + Send + Sync + 'static) -> Self {
        self.tests.push((says, Box::new(test)));
        self
    }

    /// Whose payload fulfils this; `says` is how it reads in a failure.
    #[doc(hidden)]
    pub fn when(self, says: &str, test: impl Fn(&J) -> bool + Send + Sync + 'static) -> Self {
        self.test(format!("where {says}"), move |found, _| test(&found.job))
    }

    /// In this queue.
    ///
    /// ```
    /// # use legwork::{*, testing::TestKit}; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// TestKit::new().await.expect::<Ping>().queue("mail").absent().await;
    /// # }
    /// ```
    pub fn queue(self, queue: &str) -> Self {
        let wanted = queue.to_owned();
        self.test(format!("queue = {queue:?}"), move |found, _| found.envelope.queue == wanted)
    }

    /// With this priority.
    ///
    /// ```
    /// # use legwork::{*, testing::TestKit}; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// TestKit::new().await.expect::<Ping>().priority(2).absent().await;
    /// # }
    /// ```
    pub fn priority(self, priority: u8) -> Self {
        self.test(format!("priority = {priority}"), move |found, _| found.envelope.priority == priority)
    }

    /// In this state.
    ///
    /// ```
    /// # use legwork::{*, testing::TestKit}; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// TestKit::new().await.expect::<Ping>().state(State::Retryable).absent().await;
    /// # }
    /// ```
    pub fn state(self, state: State) -> Self {
        self.test(format!("state = {state}"), move |found, _| found.state == state)
    }

    /// Due in this long by the kit's clock; zero for what is available.
    ///
    /// ```
    /// # use legwork::{*, testing::TestKit}; use serde::{Serialize, Deserialize}; use std::time::Duration;
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// let kit = TestKit::new().await;
    /// kit.client().enqueue(Ping).delay(Duration::from_secs(60)).await?;
    /// assert_enqueued!(kit, Ping, due_in = Duration::from_secs(60));
    /// # Ok(()) }
    /// ```
    pub fn due_in(self, wait: Duration) -> Self {
        let ms = wait.as_millis() as i64;
        self.test(format!("due in {wait:?}"), move |found, now| found.due_ms.map_or(0, |due| due - now) == ms)
    }

    /// Exactly this many.
    ///
    /// ```
    /// # use legwork::{*, testing::TestKit}; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// TestKit::new().await.expect::<Ping>().count(0).present().await;
    /// # }
    /// ```
    pub fn count(mut self, count: usize) -> Self {
        self.count = Some(count);
        self
    }

    /// At least one such job waits, or exactly as many as were counted.
    ///
    /// ```
    /// # use legwork::{*, testing::TestKit}; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// let kit = TestKit::new().await;
    /// kit.client().enqueue(Ping).await?;
    /// kit.expect::<Ping>().present().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Panics
    /// When it is not so, with what does wait.
    pub async fn present(self) {
        let found = self.matching().await;
        if self.count.map_or(found == 0, |count| found != count) {
            let wanted = self.count.map_or("at least one".into(), |count| count.to_string());
            self.fail(&format!("expected {wanted}, found {found}")).await;
        }
    }

    /// No such job waits.
    ///
    /// ```
    /// # use legwork::{*, testing::TestKit}; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// TestKit::new().await.expect::<Ping>().absent().await;
    /// # }
    /// ```
    ///
    /// # Panics
    /// When one does, with all that wait.
    pub async fn absent(self) {
        let found = self.matching().await;
        if found > 0 {
            self.fail(&format!("expected none, found {found}")).await;
        }
    }

    async fn matching(&self) -> usize {
        let all = waiting(self.client, Some(J::NAME)).await.into_iter().filter_map(found);
        all.filter(|job| self.tests.iter().all(|(_, test)| test(job, self.now_ms))).count()
    }

    async fn fail(&self, what: &str) -> ! {
        let mut text = format!("{}: {what}", J::NAME);
        for (says, _) in &self.tests {
            let _ = write!(text, ", {says}");
        }
        let all = waiting(self.client, None).await;
        text.push_str(if all.is_empty() { "\nnothing waits" } else { "\nwhat waits:" });
        for job in all.iter().take(LINES) {
            let _ = write!(text, "\n  {}", line(job, self.now_ms));
        }
        if all.len() > LINES {
            let _ = write!(text, "\n  and {} more", all.len() - LINES);
        }
        panic!("{text}");
    }
}

fn line(job: &JobView, now_ms: i64) -> String {
    let Some(envelope) = job.envelope.envelope() else {
        return format!("{} {}: its record is broken", job.id, job.state);
    };
    let due = job.due_ms.map_or(String::new(), |due| {
        format!(", due in {:?}", Duration::from_millis((due - now_ms).max(0).unsigned_abs()))
    });
    let payload: String = envelope.payload.get().chars().take(200).collect();
    let (name, queue, priority) = (&envelope.name, &envelope.queue, envelope.priority);
    format!("{name} {} in {queue}, priority {priority}{due}: {payload}", job.state)
}

fn found<J: Job>(job: JobView) -> Option<Found<J>> {
    let envelope = job.envelope.envelope()?.clone();
    let payload = serde_json::from_str(envelope.payload.get()).ok()?;
    Some(Found { id: job.id, job: payload, state: job.state, envelope, due_ms: job.due_ms })
}

async fn waiting(client: &Client, name: Option<&str>) -> Vec<JobView> {
    let mut all = Vec::new();
    for state in [State::Available, State::Scheduled, State::Retryable, State::Blocked] {
        let filter = Filter { state: Some(state), name: name.map(Into::into), ..Filter::default() };
        all.extend(
            client.backend().list(&filter, MOST).await.unwrap_or_else(|e| panic!("the test kit: {e}")),
        );
    }
    all
}

/// Asserts that a job waits in the queue of a [`TestKit`], and says what does where
/// it is not so. To be called where one may `.await`.
///
/// ```
/// # use legwork::{*, testing::TestKit}; use serde::{Serialize, Deserialize}; use std::time::Duration;
/// # #[derive(Serialize, Deserialize)] struct SendMail { to: String }
/// # impl Job for SendMail { const NAME: &'static str = "mail.send"; type Output = (); }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// let kit = TestKit::new().await;
/// kit.client().enqueue(SendMail { to: "a@b".into() }).queue("mail").delay(Duration::from_secs(5)).await?;
/// assert_enqueued!(kit, SendMail);
/// assert_enqueued!(kit, SendMail, |job| job.to == "a@b");
/// assert_enqueued!(kit, SendMail, |job| job.to == "a@b", queue = "mail", due_in = Duration::from_secs(5));
/// assert_enqueued!(kit, SendMail, queue = "mail", priority = 5, state = State::Scheduled, count = 1);
/// # Ok(()) }
/// ```
#[macro_export]
macro_rules! assert_enqueued {
    ($kit:expr, $job:ty $(, $key:ident = $value:expr)* $(,)?) => {
        $kit.expect::<$job>()$(.$key($value))*.present().await
    };
    ($kit:expr, $job:ty, |$found:pat_param| $test:expr $(, $key:ident = $value:expr)* $(,)?) => {
        $kit.expect::<$job>()
            .when(stringify!($test), move |$found: &$job| $test)
            $(.$key($value))*.present().await
    };
}

/// Asserts that no such job waits; as [`assert_enqueued!`](crate::assert_enqueued).
///
/// ```
/// # use legwork::{*, testing::TestKit}; use serde::{Serialize, Deserialize};
/// # #[derive(Serialize, Deserialize)] struct SendMail { to: String }
/// # impl Job for SendMail { const NAME: &'static str = "mail.send"; type Output = (); }
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let kit = TestKit::new().await;
/// refute_enqueued!(kit, SendMail);
/// refute_enqueued!(kit, SendMail, |job| job.to == "a@b", queue = "mail");
/// # }
/// ```
#[macro_export]
macro_rules! refute_enqueued {
    ($kit:expr, $job:ty $(, $key:ident = $value:expr)* $(,)?) => {
        $kit.expect::<$job>()$(.$key($value))*.absent().await
    };
    ($kit:expr, $job:ty, |$found:pat_param| $test:expr $(, $key:ident = $value:expr)* $(,)?) => {
        $kit.expect::<$job>()
            .when(stringify!($test), move |$found: &$job| $test)
            $(.$key($value))*.absent().await
    };
}
