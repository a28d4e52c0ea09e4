//! Shared by the examples: where the queue is.

/// `LEGWORK_URL` where it is set; else a database in memory, so that every example runs
/// without a server.
///
/// ```
/// assert!(examples::url().contains(':'));
/// ```
pub fn url() -> String {
    std::env::var("LEGWORK_URL").unwrap_or_else(|_| "sqlite::memory:".into())
}
