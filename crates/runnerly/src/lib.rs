//! Runnerly's domain: payloads and events, statistics, training plans, the Strava client,
//! storage, file formats. No server and no handler.

pub mod app;
pub mod events;
pub mod import;
pub mod jobs;
pub mod plan;
pub mod run;
pub mod secret;
pub mod stats;
pub mod storage;
pub mod strava;
