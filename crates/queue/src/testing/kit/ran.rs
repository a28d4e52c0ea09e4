//! What a kit tells of attempts.

use crate::backend::Outcome;
use crate::worker::Attempted;
use crate::{Envelope, Job, JobId, State};
use std::marker::PhantomData;
use std::ops::Deref;

/// One attempt, as it went.
///
/// ```
/// # use legwork::{*, testing::TestKit}; use serde::{Serialize, Deserialize};
/// # #[derive(Serialize, Deserialize)] struct Ping;
/// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
/// # async fn ping(_: Ping, _: Context<()>) -> Result<(), Failure> { Ok(()) }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// let kit = TestKit::new().await.worker(|jobs| Worker::new(jobs, ()).handle(ping));
/// kit.client().enqueue(Ping).await?;
/// let ran = &kit.drain().await[0];
/// assert_eq!((ran.name.as_str(), ran.attempt, ran.state), ("ping", 1, State::Succeeded));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Ran {
    /// The job.
    pub id: JobId,
    /// Its name; empty where its record is broken.
    pub name: String,
    /// The queue it came from.
    pub queue: String,
    /// Which attempt it was, 1 for the first.
    pub attempt: u32,
    /// What the job became: succeeded, retryable, scheduled (snoozed), discarded, cancelled,
    /// blocked (parked), or available (handed back, or its lease was lost).
    pub state: State,
    /// What was said of a failure, or the reason of a cancellation.
    pub error: Option<String>,
    /// The output of a success, in JSON; none where it is `()`.
    pub output: Option<String>,
}

impl Ran {
    pub(super) fn of(attempt: Attempted) -> Ran {
        let Attempted { queue, job, outcome } = attempt;
        let name = Envelope::decode(job.id, &job.record).map_or(String::new(), |e| e.name);
        let (state, error, output) = match outcome {
            Some(Outcome::Succeeded { result, .. }) => (State::Succeeded, None, result),
            Some(Outcome::Retry { error, .. }) => (State::Retryable, Some(error), None),
            Some(Outcome::Snooze { .. }) => (State::Scheduled, None, None),
            Some(Outcome::Discard { error, .. }) => (State::Discarded, Some(error), None),
            Some(Outcome::Cancel { reason, .. }) => (State::Cancelled, Some(reason), None),
            Some(Outcome::Park) => (State::Blocked, None, None),
            _ => (State::Available, None, None),
        };
        Ran { id: job.id, name, queue, attempt: job.attempts + 1, state, error, output }
    }
}

/// The attempts of a [`TestKit::drain`](super::TestKit::drain), in the order in which they
/// ended; a slice of [`Ran`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let nothing = legwork::testing::TestKit::new().await.drain().await;
/// assert_eq!((nothing.len(), nothing.names()), (0, vec![]));
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Drained(pub(super) Vec<Ran>);

impl Drained {
    /// The names of the jobs, one an attempt.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// assert!(legwork::testing::TestKit::new().await.drain().await.names().is_empty());
    /// # }
    /// ```
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().map(|ran| ran.name.as_str()).collect()
    }

    /// What the jobs became, one an attempt.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// assert!(legwork::testing::TestKit::new().await.drain().await.states().is_empty());
    /// # }
    /// ```
    pub fn states(&self) -> Vec<State> {
        self.0.iter().map(|ran| ran.state).collect()
    }
}

impl Deref for Drained {
    type Target = [Ran];

    fn deref(&self) -> &[Ran] {
        &self.0
    }
}

/// One attempt of a job whose type is known; a [`Ran`] with its output. Made by
/// [`TestKit::perform`](super::TestKit::perform).
#[derive(Debug, Clone)]
pub struct Performed<J> {
    ran: Ran,
    job: PhantomData<fn() -> J>,
}

impl<J: Job> Performed<J> {
    pub(super) fn new(ran: Ran) -> Performed<J> {
        Performed { ran, job: PhantomData }
    }

    /// What the handler returned.
    ///
    /// ```
    /// # use legwork::{*, testing::TestKit}; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = u8; }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let kit = TestKit::new().await.worker(|jobs| Worker::new(jobs, ()).handle(|_: Ping, _: Context<()>| async { Ok(9) }));
    /// assert_eq!(kit.perform(Ping).await.output(), 9);
    /// # }
    /// ```
    ///
    /// # Panics
    /// When it did not succeed, with what it said.
    #[track_caller]
    pub fn output(&self) -> J::Output {
        let Ran { name, state, error, output, .. } = &self.ran;
        assert!(*state == State::Succeeded, "{name} is {state}: {}", error.as_deref().unwrap_or("no error"));
        let text = output.as_deref().unwrap_or("null");
        serde_json::from_str(text).unwrap_or_else(|e| panic!("the output of {name}: {e}: {text}"))
    }
}

impl<J> Deref for Performed<J> {
    type Target = Ran;

    fn deref(&self) -> &Ran {
        &self.ran
    }
}
