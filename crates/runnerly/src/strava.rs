//! Strava's API as Runnerly needs it: OAuth, the athlete, the list of activities, one activity, its streams.
//!
//! The client keeps no token and waits for nothing: every call takes an access token, and an answer that says "not
//! now" is an [`Error`] that tells how long. Strava's answers are the authority on the rate limit; [`Strava::usage`] is
//! what the last of them said.

mod access;
mod api;
mod client;
mod error;
mod limits;
mod oauth;
#[cfg(test)]
mod recorded;
mod settings;

pub use access::access_token;
pub use api::{Athlete, ListActivities, Page, Refused, RunTotals, Stats};
pub use client::Strava;
pub use error::Error;
pub use limits::{Count, Left, Pause, Usage, Windows};
pub use oauth::{Connected, SCOPES, Tokens};
pub use settings::{BadBase, Settings};

/// The provider's name in sealed values and in the database.
pub const PROVIDER: &str = "strava";
