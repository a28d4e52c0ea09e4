//! The guide's snippets, run as tests so that they stay true.

#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/unique-jobs.md")]
struct UniqueJobs;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/expiry-and-retention.md")]
struct ExpiryAndRetention;
