//! How a handler learns that it is to end, and why.

use super::Context;
use super::hold::Why;
use crate::Failure;
use tokio_util::sync::CancellationToken;

/// Why a handler is to end; see [`Context::stop_reason`].
///
/// ```
/// use legwork::StopReason;
/// assert_eq!(StopReason::Timeout.to_string(), "its time is over");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The worker stops: there is time left, but not for ever ([`crate::Worker::drain`]).
    Shutdown,
    /// The job was called off.
    Cancel,
    /// The attempt has taken as long as it may.
    Timeout,
    /// The lease is lost: somebody else may run the job by now, and nothing that this
    /// handler says is heard.
    LeaseLost,
}

impl std::fmt::Display for StopReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            StopReason::Shutdown => "the worker stops",
            StopReason::Cancel => "called off",
            StopReason::Timeout => "its time is over",
            StopReason::LeaseLost => "its lease is lost",
        })
    }
}

impl<S> Context<S> {
    /// Fires when the handler must end now: its job is called off, its time is over, or its
    /// lease is lost. After the first two it may tidy up for the policy's `grace` (2 s), and
    /// what it returns counts: a success is a success. Then, and after the third at once, it
    /// is dropped. So is what still runs at the end of the worker's drain.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// async fn ping(_: Ping, cx: Context<()>) -> Result<(), Failure> {
    ///     tokio::select! {
    ///         () = cx.cancelled().cancelled() => Err(Failure::retry("told to end")),
    ///         () = async { /* the work */ } => Ok(()),
    ///     }
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # let worker = Worker::new(jobs.clone(), ()).handle(ping).start().await?;
    /// let id = jobs.enqueue(Ping).await?.id;
    /// jobs.wait::<Ping>(id).await?;
    /// # worker.stop().await; Ok(()) }
    /// ```
    pub fn cancelled(&self) -> &CancellationToken {
        self.inner.hold.ended()
    }

    /// Whether [`Context::cancelled`] has fired: for handlers that block.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = bool; }
    /// async fn ping(_: Ping, cx: Context<()>) -> Result<bool, Failure> {
    ///     Ok(cx.is_cancelled())
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # let worker = Worker::new(jobs.clone(), ()).handle(ping).start().await?;
    /// let id = jobs.enqueue(Ping).await?.id;
    /// assert_eq!(jobs.wait::<Ping>(id).await?, false);
    /// # worker.stop().await; Ok(()) }
    /// ```
    pub fn is_cancelled(&self) -> bool {
        self.inner.hold.why().is_some()
    }

    /// Fires when the worker is told to stop. There is no need to end at once; a long
    /// handler that can go on later ends with [`Failure::hand_back`].
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// async fn ping(_: Ping, cx: Context<()>) -> Result<(), Failure> {
    ///     tokio::select! {
    ///         () = cx.stopping().cancelled() => Err(Failure::hand_back()),
    ///         () = async { /* the work */ } => Ok(()),
    ///     }
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # let worker = Worker::new(jobs.clone(), ()).handle(ping).start().await?;
    /// # let id = jobs.enqueue(Ping).await?.id;
    /// # jobs.wait::<Ping>(id).await?;
    /// # worker.stop().await; Ok(()) }
    /// ```
    pub fn stopping(&self) -> &CancellationToken {
        &self.inner.stopping
    }

    /// Why the handler is to end, if it is.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = bool; }
    /// async fn ping(_: Ping, cx: Context<()>) -> Result<bool, Failure> {
    ///     Ok(cx.stop_reason() == Some(StopReason::Timeout))
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # let worker = Worker::new(jobs.clone(), ()).handle(ping).start().await?;
    /// let id = jobs.enqueue(Ping).await?.id;
    /// assert_eq!(jobs.wait::<Ping>(id).await?, false);
    /// # worker.stop().await; Ok(()) }
    /// ```
    pub fn stop_reason(&self) -> Option<StopReason> {
        match self.inner.hold.why() {
            Some(Why::Lost | Why::Overdue) => Some(StopReason::LeaseLost),
            Some(Why::Cancelled) => Some(StopReason::Cancel),
            Some(Why::Timeout) => Some(StopReason::Timeout),
            None => self.inner.stopping.is_cancelled().then_some(StopReason::Shutdown),
        }
    }

    /// An error if the handler is to end, with the outcome that belongs to the reason: handed
    /// back at a shutdown, cancelled when called off, tried again after a timeout.
    ///
    /// ```
    /// # use legwork::*; use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)] struct Ping;
    /// # impl Job for Ping { const NAME: &'static str = "ping"; type Output = (); }
    /// async fn ping(_: Ping, cx: Context<()>) -> Result<(), Failure> {
    ///     for _page in 0..100 {
    ///         cx.check()?;
    ///         // a part of the work
    ///     }
    ///     Ok(())
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// # let worker = Worker::new(jobs.clone(), ()).handle(ping).start().await?;
    /// # let id = jobs.enqueue(Ping).await?.id;
    /// # jobs.wait::<Ping>(id).await?;
    /// # worker.stop().await; Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The handler is to end.
    pub fn check(&self) -> Result<(), Failure> {
        match self.stop_reason() {
            None => Ok(()),
            Some(StopReason::Shutdown) => Err(Failure::hand_back()),
            Some(StopReason::Cancel) => Err(Failure::cancel("requested")),
            Some(reason) => Err(Failure::retry(reason.to_string())),
        }
    }
}
