//! A namespace over several shards.

use super::Redis;
use crate::backend::Backend;
use crate::{Clock, Result};
use std::sync::Arc;

/// Connects to a namespace, of one shard or of several: `?shards=4` in the URL makes an empty
/// one have four, for good.
///
/// ```no_run
/// # async fn example() -> legwork::Result<()> {
/// let backend = legwork::backend::redis::connect("redis://localhost?ns=shop&shards=4", legwork::Clock::Backend).await?;
/// # let _ = backend;
/// # Ok(()) }
/// ```
///
/// # Errors
/// As [`Redis::connect`]; refused where the namespace has another number of shards.
pub async fn connect(url: &str, clock: Clock) -> Result<Arc<dyn Backend>> {
    Ok(Arc::new(Redis::connect(url, clock).await?))
}
