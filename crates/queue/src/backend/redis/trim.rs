//! Retention by the rules of queues. Which jobs go is reckoned here, over what is kept, in
//! steps that only read; each that goes is taken out by a script that looks again.

use super::{Redis, decode, scripts};
use crate::backend::{Backend, Setting};
use crate::rules::QueueRules;
use crate::{Result, State};

/// Jobs looked at, and forgotten, by one script.
const STEP: usize = 250;
/// No queue keeps more in a state than this, but for what the next settle takes away.
const MOST: usize = 20_000;

/// A finished job.
struct Kept {
    list: Vec<u8>,
    entry: Vec<u8>,
    ended_ms: i64,
    bytes: u64,
    watched: bool,
}

impl Redis {
    /// Forgets up to `limit` finished jobs that the rules of their queues do not keep.
    pub(super) async fn trim(&self, limit: usize) -> Result<usize> {
        let mut gone = 0;
        for entry in self.settings(Setting::Queue).await?.entries {
            let rules = QueueRules::of(&entry);
            for state in State::ALL.into_iter().filter(|s| s.is_final() && rules.keep()) {
                gone += self.trim_one(&entry.name, state, &rules, limit.saturating_sub(gone)).await?;
            }
        }
        Ok(gone)
    }

    async fn trim_one(&self, queue: &str, state: State, rules: &QueueRules, limit: usize) -> Result<usize> {
        if limit == 0 {
            return Ok(0);
        }
        let now = self.time().await?;
        let mut all = self.kept(queue, state).await?;
        all.sort_by_key(|job| std::cmp::Reverse(job.ended_ms));
        let mut bytes = 0;
        let mut over = Vec::new();
        for (place, job) in all.iter().enumerate() {
            bytes += job.bytes;
            if !job.watched && !rules.keeps(now - job.ended_ms, place, bytes) {
                over.push(job);
            }
        }
        let mut gone = 0;
        // The oldest first, which stand at the heads of their lists.
        for step in over.iter().rev().take(limit).collect::<Vec<_>>().chunks(STEP) {
            let mut call = self.script(&scripts::DROP);
            call.arg(queue).arg(state.as_str());
            for job in step {
                call.arg(job.list.as_slice()).arg(job.entry.as_slice());
            }
            let mut reply = decode::Reply::of(self.run(&scripts::DROP, &call).await?)?;
            gone += decode::number(reply.next()?)? as usize;
        }
        Ok(gone)
    }

    async fn kept(&self, queue: &str, state: State) -> Result<Vec<Kept>> {
        let mut all = Vec::new();
        while all.len() < MOST {
            let mut call = self.script(&scripts::KEPT);
            call.arg(queue).arg(state.as_str()).arg(all.len()).arg(STEP);
            let mut rest = decode::Reply::of(self.run(&scripts::KEPT, &call).await?)?.rest();
            let before = all.len();
            while let (Some(list), Some(entry), Some(at), Some(bytes), Some(watched)) =
                (rest.next(), rest.next(), rest.next(), rest.next(), rest.next())
            {
                all.push(Kept {
                    list: decode::bytes(list)?,
                    ended_ms: decode::number(at)?,
                    entry: decode::bytes(entry)?,
                    bytes: decode::number(bytes)?.max(0) as u64,
                    watched: decode::number(watched)? == 1,
                });
            }
            if all.len() - before < STEP {
                break;
            }
        }
        Ok(all)
    }
}
