//! To come.

pub mod import;
pub mod run;
pub mod stats;
pub mod secret;
pub mod storage;
pub mod strava;
pub mod jobs;
pub mod app;
