//! The guide's snippets, run as tests so that they stay true.

#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/events.md")]
struct Events;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/expiry-and-retention.md")]
struct ExpiryAndRetention;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/flows.md")]
struct Flows;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/limits.md")]
struct Limits;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/micro-batches.md")]
struct MicroBatches;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/middleware.md")]
struct Middleware;

#[cfg(all(doctest, feature = "outbox"))]
#[doc = include_str!("../../../docs/guide/outbox.md")]
struct Outbox;

#[cfg(all(doctest, feature = "compress", feature = "encrypt", feature = "sign"))]
#[doc = include_str!("../../../docs/guide/payloads.md")]
struct Payloads;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/search.md")]
struct Search;

#[cfg(all(doctest, feature = "testing"))]
#[doc = include_str!("../../../docs/guide/testing.md")]
struct Testing;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/unique-jobs.md")]
struct UniqueJobs;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/versions.md")]
struct Versions;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/workers.md")]
struct Workers;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/cancel-and-timeouts.md")]
struct CancelAndTimeouts;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/isolation.md")]
struct Isolation;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/steps.md")]
struct Steps;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/coming-from.md")]
struct ComingFrom;
