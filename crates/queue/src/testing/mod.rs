//! The test kit.
//!
//! For who writes jobs: [`TestKit`], with [`assert_enqueued!`](crate::assert_enqueued) and
//! [`refute_enqueued!`](crate::refute_enqueued). It is the real backend and the real worker,
//! in memory, under a clock that moves when it is told to.
//!
//! For who writes a backend: conformance cases, a model, and a backend that fails on demand.

mod chance;
pub mod conformance;
pub mod faulty;
pub mod fuzz;
pub mod harness;
mod kit;
pub mod model;
pub mod server;
pub mod small;

pub(crate) use kit::Around;
pub use kit::{Drained, Expect, Found, Performed, Ran, TestKit};
