//! Leases, and what ends them.

use super::{Part, Shards, inner, outer};
use crate::backend::*;
use crate::{Error, Result};
use futures_util::future::join_all;
use std::sync::LazyLock;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// A shard that did not answer is not asked for work for this long.
const REST_MS: u64 = 500;

/// Milliseconds of this process.
fn uptime() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_millis() as u64
}

/// What is left of a request when these have come.
fn rest(request: &LeaseRequest, batches: &[Batch]) -> LeaseRequest {
    let mut rest = request.clone();
    for batch in batches {
        let mut came = batch.jobs.len();
        rest.most = rest.most.saturating_sub(came);
        for (_, most) in rest.queues.iter_mut().filter(|(name, _)| *name == batch.queue) {
            let of_it = came.min(*most);
            (*most, came) = (*most - of_it, came - of_it);
        }
    }
    rest.queues.retain(|(_, most)| *most > 0);
    rest
}

impl Shards {
    /// The shards in the order in which they are asked now: those whose bell has rung first,
    /// each of both kinds in turn. With each whether its bell has rung.
    fn order(&self) -> Vec<(usize, bool)> {
        let (turn, now) = (self.turn.fetch_add(1, Relaxed), uptime());
        let number = self.parts.len();
        let up = |part: &Part| part.rests_until.load(Relaxed) <= now;
        let rung = |part: &Part| *part.redis.bell.borrow() != part.seen.load(Relaxed);
        let turns = (0..number).map(|n| (turn + n) % number);
        let mut order: Vec<_> = turns.map(|n| (n, up(&self.parts[n]) && rung(&self.parts[n]))).collect();
        order.sort_by_key(|(n, rung)| (!rung, !up(&self.parts[*n])));
        if order.iter().any(|(n, _)| up(&self.parts[*n])) {
            order.retain(|(n, _)| up(&self.parts[*n]));
        }
        order
    }

    /// Asks shard after shard for what the ones before did not give. Where bells tell who has
    /// work, what has come is not kept waiting for those who have none to speak of: they are
    /// asked by the next call, which begins elsewhere.
    pub(super) async fn lease_some(&self, request: &LeaseRequest) -> Result<Leased> {
        let (mut leased, mut failed, hints) = (Leased::default(), None, self.listens());
        let mut well = false;
        let mut left = request.clone();
        for (shard, rung) in self.order() {
            if left.most == 0 || left.queues.is_empty() || hints && !rung && !leased.batches.is_empty() {
                break;
            }
            let part = &self.parts[shard];
            // Seen before it is asked: what comes after rings again.
            part.seen.store(*part.redis.bell.borrow(), Relaxed);
            match part.redis.lease(&left).await {
                Ok(mut some) => {
                    well = true;
                    left = rest(&left, &some.batches);
                    some.batches.iter_mut().for_each(|batch| batch.token = outer(batch.token, shard));
                    leased.batches.extend(some.batches);
                    leased.now_ms = leased.now_ms.max(some.now_ms);
                    leased.next_ms = leased.next_ms.into_iter().chain(some.next_ms).min();
                }
                Err(e) if e.is_unavailable() => {
                    tracing::warn!(shard, error = %e, "a shard does not answer; the others go on");
                    part.rests_until.store(uptime() + REST_MS, Relaxed);
                    failed = Some(e);
                }
                Err(e) if leased.batches.is_empty() => return Err(e),
                // What has come must not be lost: the next call meets the error again.
                Err(_) => break,
            }
        }
        match failed {
            Some(e) if !well => Err(e),
            _ => Ok(leased),
        }
    }

    /// Asks the shards of these leases, or all where there are none, which is how requests to
    /// cancel are looked for.
    pub(super) async fn renew(&self, tokens: &[Token], ttl_ms: i64) -> Result<Extended> {
        let mut of = vec![Vec::new(); self.parts.len()];
        for (place, token) in tokens.iter().enumerate() {
            let (shard, token) = inner(*token);
            if let Some(mine) = of.get_mut(shard) {
                mine.push((place, token));
            }
        }
        let none = of.iter().all(Vec::is_empty);
        let asked = self.parts.iter().zip(&of).map(|(part, mine)| async move {
            if mine.is_empty() && !none {
                return Ok(Extended::default());
            }
            let tokens: Vec<Token> = mine.iter().map(|(_, token)| *token).collect();
            part.redis.extend(&tokens, ttl_ms).await
        });
        let mut all = Extended { held: vec![false; tokens.len()], cancel: Vec::new() };
        let (mut failed, mut well) = (None, false);
        for (mine, answer) in of.iter().zip(join_all(asked).await) {
            match answer {
                Ok(some) => {
                    well = true;
                    mine.iter().zip(some.held).for_each(|((place, _), held)| all.held[*place] = held);
                    all.cancel.extend(some.cancel);
                }
                Err(e) => failed = Some(e),
            }
        }
        match failed {
            // Requests to cancel are heard of those who answer.
            Some(e) if !none || !well => Err(e),
            _ => Ok(all),
        }
    }

    pub(super) async fn settle_all(&self, items: &[Settle]) -> Result<Vec<Settled>> {
        let mut of: Vec<(Vec<usize>, Vec<Settle>)> = vec![Default::default(); self.parts.len()];
        for (place, item) in items.iter().enumerate() {
            let (shard, token) = inner(item.token);
            if let Some((places, mine)) = of.get_mut(shard) {
                places.push(place);
                mine.push(Settle { token, ..item.clone() });
            }
        }
        let asked = self.parts.iter().zip(&of).map(|(part, (_, mine))| part.redis.settle(mine));
        let mut all = vec![Settled::Stale; items.len()];
        // An error is told when every shard has been asked: a repetition does no harm.
        for ((places, _), answer) in of.iter().zip(join_all(asked).await) {
            places.iter().zip(answer?).for_each(|(place, one)| all[*place] = one);
        }
        Ok(all)
    }

    /// What each shard may do of a step that all take at once, or none where it is too small
    /// for that.
    fn share(&self, limit: usize) -> Option<usize> {
        Some(limit / self.parts.len()).filter(|share| *share > 0)
    }

    pub(super) async fn promote_all(&self, limit: usize) -> Result<Promoted> {
        let answers = match self.share(limit) {
            // One that has used up its share says by its next instant that there is more.
            Some(share) => self.all(|redis| redis.promote(share)).await?,
            None => {
                let (mut left, mut answers) = (limit, Vec::new());
                for part in &self.parts {
                    answers.push(part.redis.promote(left).await?);
                    left -= answers.last().map_or(0, |one| one.count.min(left));
                }
                answers
            }
        };
        let next_ms = answers.iter().filter_map(|one| one.next_ms).min();
        Ok(Promoted { count: answers.iter().map(|one| one.count).sum(), next_ms })
    }

    /// A shard that did not answer the last sweep while others did has had an outage of its own:
    /// it alone grants its leases one more.
    pub(super) async fn reap_all(&self, limit: usize, outage: bool, ttl_ms: i64) -> Result<Vec<Reaped>> {
        let missed = |part: &Part| part.missed.load(Relaxed);
        let some = self.parts.iter().any(missed) && !self.parts.iter().all(missed);
        let granted = |part: &Part| if some { missed(part) } else { outage };
        let (mut reaped, mut failed) = (Vec::new(), None::<Error>);
        let mut take = |part: &Part, answer: Result<Vec<Reaped>>| {
            part.missed.store(matches!(&answer, Err(e) if e.is_unavailable()), Relaxed);
            match answer {
                Ok(some) => reaped.extend(some),
                Err(e) => failed = Some(e),
            }
            reaped.len()
        };
        if let Some(share) = self.share(limit) {
            let asked = self.parts.iter().map(|part| part.redis.reap(share, granted(part), ttl_ms));
            for (part, answer) in self.parts.iter().zip(join_all(asked).await) {
                take(part, answer);
            }
        } else {
            let mut left = limit;
            for part in &self.parts {
                let answer = part.redis.reap(left, granted(part), ttl_ms).await;
                left = limit.saturating_sub(take(part, answer));
            }
        }
        match failed {
            Some(e) if reaped.is_empty() => Err(e),
            _ => Ok(reaped),
        }
    }

    pub(super) async fn prune_all(&self, limit: usize) -> Result<usize> {
        let (turn, mut gone) = (self.turn.load(Relaxed), 0);
        for n in 0..self.parts.len() {
            let part = &self.parts[(turn + n) % self.parts.len()];
            gone += part.redis.prune(limit.saturating_sub(gone)).await?;
        }
        Ok(gone)
    }
}
