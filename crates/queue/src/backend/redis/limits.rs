//! What is spent under limits, told and shown.

use super::{Redis, decode, encode, scripts};
use crate::Result;
use crate::backend::{Blocked, Budget, LimitView};
use redis::Value;
use std::collections::BTreeMap;

impl Redis {
    /// Changes what may be spent under a limit; under that of the queue where it is empty.
    pub(super) async fn budget(&self, queue: &str, limit: &str, change: Budget) -> Result<()> {
        let (what, a, b) = match change {
            Budget::Told { remaining, reset_ms } => ("told", remaining.into(), encode::ms(reset_ms)),
            Budget::Block { wait_ms } => ("block", encode::ms(wait_ms), 0),
            Budget::Spend { extra } => ("spend", extra.clamp(-1_000_000_000, 1_000_000_000), 0),
            Budget::Reset => ("reset", 0, 0),
        };
        let mut call = self.script(&scripts::BUDGET);
        call.arg(queue).arg(limit).arg(what).arg(a).arg(b);
        self.run(&scripts::BUDGET, &call).await.map(drop)
    }

    /// In steps: there may be a balance for each of many keys.
    pub(super) async fn all_blocked(&self) -> Result<Vec<Blocked>> {
        // A key that moves within the hash meanwhile is read twice.
        let (mut all, mut from) = (BTreeMap::new(), "0".to_owned());
        loop {
            let mut call = self.script(&scripts::BLOCKED);
            call.arg(&from);
            let mut reply = decode::Reply::of(self.run(&scripts::BLOCKED, &call).await?)?;
            let now = decode::number(reply.next()?)?;
            from = decode::text(reply.next()?)?;
            let mut rest = reply.rest();
            while let (Some(limit), Some(stored)) = (rest.next(), rest.next()) {
                let limit = decode::text(limit)?;
                if let Some(blocked) = Blocked::of(limit.clone(), &decode::text(stored)?, now) {
                    all.insert(limit, blocked);
                }
            }
            if from == "0" {
                return Ok(all.into_values().collect());
            }
        }
    }
}

/// One limit of a queue's row; see `lua/queue_keys.lua`.
pub(super) fn row(row: Value) -> Result<LimitView> {
    let mut row = decode::list(row)?.into_iter();
    let mut part = || row.next().unwrap_or(Value::Nil);
    let limit = decode::text(part())?;
    let in_use = decode::number(part())?.max(0) as u64;
    let concurrency = decode::number(part()).ok().map(|n| n as u32);
    let waiting = decode::number(part())?.max(0) as u64;
    let (left, next_ms) = (decode::number(part()).ok(), decode::number(part()).ok());
    Ok(LimitView { limit, in_use, concurrency, waiting, left, next_ms })
}
