//! To come.

pub mod app;
pub mod import;
pub mod jobs;
pub mod run;
pub mod secret;
pub mod stats;
pub mod storage;
pub mod strava;
