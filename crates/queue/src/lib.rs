//! **Legwork**: a background job queue for Rust, on Redis, or on one embedded SQLite file.
//!
//! A payload is a type that implements [`Job`]; a handler is a plain async function;
//! a [`Client`] enqueues, inspects and controls; a [`Worker`] runs handlers; a
//! `Scheduler` enqueues at the instants that a cron expression names.
//!
//! ```
//! use legwork::{Client, Context, Failure, Job, Worker};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Clone, Serialize, Deserialize)]
//! struct Greet { name: String }
//!
//! impl Job for Greet {
//!     const NAME: &'static str = "greet";
//!     type Output = String;
//! }
//!
//! async fn greet(job: Greet, _cx: Context<()>) -> Result<String, Failure> {
//!     Ok(format!("hello, {}", job.name))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
//! let jobs = Client::connect("sqlite::memory:").await?;
//! let receipt = jobs.enqueue(Greet { name: "Ada".into() }).await?;
//! let worker = Worker::new(jobs.clone(), ()).handle(greet).start().await?;
//! let said: String = jobs.wait::<Greet>(receipt.id).await?;
//! assert_eq!(said, "hello, Ada");
//! worker.stop().await;
//! # Ok(()) }
//! ```
//!
//! Delivery is at least once: a job whose worker died runs again, and every settle
//! carries a fencing token so that a late worker cannot overwrite its successor.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod backend;
mod client;
mod clock;
#[cfg(feature = "cron")]
pub mod cron;
mod envelope;
mod error;
mod failure;
mod id;
mod job;
pub mod maintain;
mod measure;
mod name;
mod policy;
#[cfg(feature = "cron")]
mod scheduler;
mod state;
#[cfg(feature = "testing")]
pub mod testing;
mod worker;

pub use client::{Client, ClientOptions, Enqueue, Lookup, Receipt, Snapshot, WaitError};
pub use clock::{Clock, ManualClock};
pub use envelope::{Envelope, MAX_PAYLOAD};
pub use error::{Error, Result};
pub use failure::Failure;
pub use id::JobId;
pub use job::Job;
pub use name::{check_job_name, check_queue_name};
pub use policy::{Backoff, Keep, Policy};
#[cfg(feature = "cron")]
pub use scheduler::{Missed, Schedule, Scheduler};
pub use state::State;
pub use worker::{Context, Running, Worker, shutdown_signal};
