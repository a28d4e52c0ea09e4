//! To come.

pub mod run;
pub mod secret;
