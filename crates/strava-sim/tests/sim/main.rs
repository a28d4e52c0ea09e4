//! The simulation over real HTTP on loopback.

mod binary;
mod control;
mod limits;
mod lists;
mod oauth;
mod recorded;
mod support;
mod tracks;
mod webhooks;
