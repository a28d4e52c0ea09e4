//! Whether Redis throws keys away, and which are gone: looked at when a worker starts and
//! every minute after that.

use super::{Redis, decode, scripts};
use crate::Result;
use redis::cmd;
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(60);

impl Redis {
    /// Redis may throw jobs away when it is full, unless told otherwise. Whoever may not
    /// read the setting is not warned.
    pub(super) async fn check_policy(&self) {
        let answer = self.link.ask(cmd("CONFIG").arg("GET").arg("maxmemory-policy")).await;
        let policy = answer.and_then(decode::list).ok().and_then(|mut pair| decode::text(pair.pop()?).ok());
        if let Some(policy) = policy.filter(|policy| policy != "noeviction") {
            tracing::error!(%policy, "maxmemory-policy of Redis is not noeviction: it will throw jobs away when it is full");
        }
    }

    /// Says loudly what an operator must know, once a minute.
    pub(super) async fn look_after(&self) {
        let now = Instant::now();
        {
            let mut looked = self.looked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if looked.is_some_and(|at| now - at < EVERY) {
                return;
            }
            *looked = Some(now);
        }
        self.check_policy().await;
        match self.vanished().await {
            Ok(keys) if !keys.is_empty() => {
                let keys = keys.join(", ");
                tracing::error!(
                    keys,
                    "keys are gone, evicted or deleted by another program, and jobs with them"
                );
            }
            _ => {}
        }
    }

    /// Keys that are gone although others say that they hold something.
    pub(super) async fn vanished(&self) -> Result<Vec<String>> {
        let call = self.script(&scripts::VANISHED);
        let reply = decode::Reply::of(self.run(&scripts::VANISHED, &call).await?)?;
        reply.rest().map(decode::text).collect()
    }
}
