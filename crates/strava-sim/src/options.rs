//! How a simulation is set up.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::SimClock;

/// Everything a simulation can be told at its start.
///
/// ```
/// let options = strava_sim::Options { seed: 7, ..Default::default() };
/// assert_eq!(options.client_id, "12345");
/// assert_eq!(options.listen.port(), 0);
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen: a loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where tokens, codes, subscriptions, added activities and usage are kept.
    pub data_dir: PathBuf,
    /// A folder of recordings; adds the recorded athlete and makes it the default.
    pub recordings: Option<PathBuf>,
    /// The invented athletes are a function of this number.
    pub seed: u64,
    /// Rate limits at the start.
    pub limits: Limits,
    /// The application's id: digits, as Strava's are.
    pub client_id: String,
    /// The application's secret.
    pub client_secret: String,
    /// The simulation's time.
    pub clock: SimClock,
    /// The real time between two tries to deliver a webhook event.
    pub event_pause: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            data_dir: PathBuf::from("strava-sim-data"),
            recordings: None,
            seed: 1,
            limits: Limits::demo(),
            client_id: "12345".into(),
            client_secret: "simulated-secret".into(),
            clock: SimClock::default(),
            event_pause: Duration::from_secs(1),
        }
    }
}

/// Requests allowed per 15 minutes and per day, in this order.
///
/// ```
/// use strava_sim::Limits;
/// assert_eq!(Limits::real().read, (100, 1_000));
/// assert!(Limits::demo().read.0 > 5_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// All requests.
    pub overall: (u32, u32),
    /// Requests that only read, which here are all but deauthorisation.
    pub read: (u32, u32),
}

impl Limits {
    /// What Strava gives a standard application.
    #[must_use]
    pub const fn real() -> Self {
        Self { overall: (200, 2_000), read: (100, 1_000) }
    }

    /// Enough for a whole history in one go.
    #[must_use]
    pub const fn demo() -> Self {
        Self { overall: (20_000, 200_000), read: (10_000, 100_000) }
    }
}
