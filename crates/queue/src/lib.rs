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
//! # Where to look
//!
//! | for | see |
//! |---|---|
//! | what a job is and how it is run | [`Job`], [`Policy`], [`Backoff`], [`Keep`] |
//! | enqueueing, inspecting, steering, waiting for a result | [`Client`], [`Enqueue`], [`Snapshot`] |
//! | handlers, and what they are told and may answer | [`Worker`], [`Context`], [`Failure`] |
//! | tracing, encryption and your own, around enqueue and run | [`middleware`] |
//! | cron: expressions, zones, missed slots | `Schedule`, `Scheduler`, `cron` |
//! | promotion, recovery and retention | [`maintain`]; every worker does it |
//! | the contract with Redis and SQLite, and what is inspected | [`backend`] |
//! | a job that exists if a transaction of your database commits | `outbox` |
//! | tests of your own | `testing::TestKit`; `sqlite::memory:` with a [`ManualClock`] |
//! | tests of a backend: cases, a model, faults | `testing` |
//!
//! Instants are milliseconds since the Unix epoch by the backend's clock wherever a name
//! ends in `_ms`. Every call fails with the one [`Error`]; what is to be expected (a
//! duplicate, a lost lease) is a value.
//!
//! # Features
//!
//! | feature | by default | what it adds |
//! |---|---|---|
//! | `redis` | yes | Redis and Valkey, `redis://host:port`; under Sentinel and in a Cluster |
//! | `tls` | no | `rediss://`: rustls, with the machine's authorities or a private one |
//! | `sqlite` | yes | one file, `sqlite:path.db`, or `sqlite::memory:` |
//! | `cron` | yes | `Scheduler` and cron expressions |
//! | `metrics` | no | counters and histograms, `legwork_…`, for any recorder of the `metrics` crate |
//! | `compress` | no | [`middleware`]`::Compress`: large payloads travel compressed |
//! | `encrypt` | no | [`middleware`]`::Sealed`: payloads, fields and results encrypted under a ring of keys |
//! | `sign` | no | [`middleware`]`::Signed`: jobs that are not signed, or changed on the way, never run |
//! | `outbox` | no | jobs written in transactions of your own SQLite database, and their relay |
//! | `outbox-postgres` | no | the same for PostgreSQL |
//! | `testing` | no | `TestKit` and `assert_enqueued!` for your tests; conformance cases, a model and a faulty backend for who writes a backend |
//!
//! # States
//!
//! A job is in exactly one [`State`]:
//!
//! ```text
//! enqueue ──▶ available ──▶ leased ─┬─ success ─────────────────▶ succeeded
//!    │            ▲                 ├─ the last failure ────────▶ discarded
//!    │           due                ├─ called off ──────────────▶ cancelled
//!    └─ delay ▶ scheduled           ├─ failure ─────────────────▶ retryable ── due ──▶ available
//!                                   ├─ snooze ──────────────────▶ scheduled ── due ──▶ available
//!                                   ├─ worker lost or stopped ──▶ available
//!                                   └─ key held, name unknown ──▶ blocked ── let in ─▶ available
//! ```
//!
//! What waits can be cancelled or discarded, and what is final put back: [`Client::cancel`],
//! [`Client::discard`], [`Client::retry`]. A job of a name or version that no worker knows is
//! parked (`blocked`) until one comes; nothing is dropped.
//!
//! # At least once
//!
//! A job whose enqueue was answered runs, whatever process dies. It runs twice only if its
//! worker died or lost its lease in the middle, so a handler must bear a repetition:
//!
//! * Make it idempotent: write by key rather than append, and take [`Context::id`], the same
//!   in every attempt, as the key of idempotence that a payment or mail service asks for.
//! * Or fence its writes: [`Context::token`] only grows, so "write unless a larger token was
//!   seen" keeps a worker that came back late from undoing its successor's work. The library
//!   does so itself: a late worker can settle nothing.
//!
//! An error, a panic and a timeout spend an attempt; a snooze, a shutdown and an outage of the
//! backend spend none. A job that takes its worker down is discarded after
//! [`Policy::max_crashes`](Policy#structfield.max_crashes) times.
//!
//! # Order, retention, shutdown
//!
//! * Priorities, 0 (first) to 9 (last), are strict within a queue, and equal ones go first in,
//!   first out. A steady stream of small numbers starves the large ones: give what must not
//!   starve a queue of its own. A retried or recovered job is overtaken.
//! * Succeeded and cancelled jobs stay inspectable for an hour, discarded ones for seven days,
//!   at most 10,000 of each per queue; [`Policy::keep`] and [`Policy::keep_discarded`] say
//!   otherwise. A result that somebody waits for stays a minute longer.
//! * A worker told to stop leases no more, lets running jobs finish for 25 s
//!   ([`Worker::drain`]), hands back the rest and ends. One that is killed says nothing: its
//!   jobs run again after a lease (15 s, [`Worker::lease`]) and a sweep (2 s).
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod backend;
mod client;
mod clock;
#[cfg(feature = "cron")]
pub mod cron;
mod durability;
mod envelope;
mod error;
mod event;
mod failure;
mod fingerprint;
mod flow;
#[cfg(doctest)]
mod guide;
mod id;
mod job;
mod limit;
pub mod maintain;
mod measure;
pub mod middleware;
mod name;
#[cfg(feature = "outbox")]
pub mod outbox;
mod policy;
mod rules;
#[cfg(feature = "cron")]
mod scheduler;
#[cfg(test)]
mod size;
mod state;
#[cfg(feature = "testing")]
pub mod testing;
mod unique;
mod worker;

pub use backend::Edge;
pub use client::{
    Acted, Client, ClientOptions, Enqueue, ErrorGroup, LimitRef, Lookup, Receipt, Snapshot, VersionView,
    Versions, WaitError,
};
pub use clock::{Clock, ManualClock};
pub use durability::Durability;
pub use envelope::{Envelope, MAX_PAYLOAD};
pub use error::{Error, Result};
pub use event::{Event, Publish, Published, Subscriber};
pub use failure::Failure;
pub use fingerprint::fingerprint;
pub use flow::{Flow, FlowView, Node, Results, Started, Step};
pub use id::JobId;
pub use job::Job;
pub use limit::{Limit, LimitKey, Rate};
pub use middleware::Middleware;
pub use name::{check_job_name, check_queue_name};
pub use policy::{Backoff, Keep, Policy};
pub use rules::QueueRules;
#[cfg(feature = "cron")]
pub use scheduler::{Missed, Schedule, Scheduler};
pub use state::State;
pub use unique::Unique;
pub use worker::{BatchContext, BatchOptions, Context, Group, Running, StopReason, Worker, shutdown_signal};
#[cfg(unix)]
pub use worker::{Isolation, is_child};
