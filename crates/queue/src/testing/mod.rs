//! The test kit: conformance cases, a model, and a backend that fails on demand.

pub mod conformance;
pub mod harness;
pub mod server;
