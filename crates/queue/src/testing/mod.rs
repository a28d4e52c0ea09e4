//! The test kit: conformance cases, a model, and a backend that fails on demand.

mod chance;
pub mod conformance;
pub mod faulty;
pub mod harness;
pub mod model;
pub mod server;
