//! A Strava on loopback that behaves like recordings of the real one.
//!
//! It shows a consent page, hands out tokens that rotate, serves invented (and,
//! where a folder of recordings is given, recorded) activities, counts requests
//! against the rate limits in headers, and delivers webhook events. Under `/sim`
//! it takes orders that the real one does not: faults, new activities, limits.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! let options = strava_sim::Options { data_dir: "/tmp/strava".into(), ..Default::default() };
//! let sim = strava_sim::start(options).await?;
//! println!("the API is at {}", sim.api_base());
//! sim.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Orders under `/sim`
//!
//! | request | body | answer |
//! |---|---|---|
//! | `POST /sim/authorize` | `{"athlete": id or null, "scope": "read,activity:read"}` | `{"code", "scope"}` |
//! | `POST /sim/faults` | `{"path", "status", "delay_ms", "kind", "count"}`, all optional | the fault |
//! | `DELETE /sim/faults` | | 204 |
//! | `POST /sim/activities` | `{"athlete", "sport_type", "name", "start", "distance", "moving_time", "visibility", "workout_type", "trainer"}`, all optional | the activity |
//! | `PATCH /sim/activities/{id}` | `{"name", "sport_type", "visibility"}` | the activity |
//! | `DELETE /sim/activities/{id}` | | 204 |
//! | `POST /sim/limits` | `{"overall": [200, 2000], "read": [100, 1000], "reset": true}` | limits and usage |
//! | `POST /sim/clock` | `{"advance_seconds": 21600}` | `{"now"}` |
//! | `GET /sim/state` | | counters, athletes, limits, usage, faults, events |
//!
//! A fault's `path` is written without `/api/v3`; `*` stands for one segment
//! (`/activities/*/streams`), and no path means all. It strikes `count` times
//! (default 1; 0 = until cleared). Its `kind` is `status` (default; `status`
//! says which), `hang` (no answer), `cut` (the request is carried out, the
//! connection closes in the middle of the answer), `html` (a page instead of
//! JSON) or `429`. `delay_ms` comes first, and alone it only delays.

mod answer;
mod api;
mod clock;
mod consent;
mod control;
mod grants;
mod inject;
mod oauth;
mod options;
mod server;
mod store;
mod usage;
mod webhooks;
mod world;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use clock::SimClock;
pub use options::{Limits, Options};

use server::App;

/// A running simulation. Dropping it ends it too, without waiting.
pub struct Sim {
    addr: SocketAddr,
    stop: CancellationToken,
    served: Option<JoinHandle<()>>,
}

/// Binds, and serves in a background task until stopped.
///
/// # Errors
/// One line that names the option: an address that is taken or not on loopback,
/// a data folder that cannot be written or is in use, recordings that cannot be read.
pub async fn start(options: Options) -> anyhow::Result<Sim> {
    if !options.listen.ip().is_loopback() {
        bail!("listen {}: must be a loopback address, such as 127.0.0.1:8090", options.listen);
    }
    if options.client_id.parse::<u64>().is_err() {
        bail!("client_id {:?}: must be a number, as Strava's are", options.client_id);
    }
    let listener = TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("listen {}: cannot be bound", options.listen))?;
    let addr = listener.local_addr()?;
    let app = App::new(options).await?;
    let stop = app.stop.clone();
    let served = tokio::spawn(server::serve(listener, app));
    Ok(Sim { addr, stop, served: Some(served) })
}

impl Sim {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://127.0.0.1:PORT`: below it are `/oauth`, `/api/v3` and `/sim`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The base of the API: [`Sim::base_url`] and `/api/v3`.
    #[must_use]
    pub fn api_base(&self) -> String {
        format!("{}/api/v3", self.base_url())
    }

    /// Ends it: the port is free and the state is kept when this returns.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(served) = self.served.take() {
            let abort = served.abort_handle();
            // A client that holds its connection open is not waited for.
            if tokio::time::timeout(Duration::from_secs(3), served).await.is_err() {
                abort.abort();
            }
        }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
