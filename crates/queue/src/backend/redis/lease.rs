//! Leasing: ids by script, the records of large batches natively behind it.

use super::{Redis, decode, encode, scripts};
use crate::Result;
use crate::backend::{Batch, LeaseRequest, Leased, Outcome, Settle};
use futures_util::future::try_join_all;
use redis::{Cmd, Value, cmd};

impl Redis {
    pub(super) async fn lease_from(&self, request: &LeaseRequest) -> Result<Leased> {
        let wanted: Vec<_> = request.queues.iter().filter(|(_, max)| *max > 0).collect();
        if wanted.is_empty() || request.most == 0 {
            return Ok(Leased::default());
        }
        let args = |call: &mut Cmd| {
            call.arg(&request.worker)
                .arg(encode::ms(request.ttl_ms))
                .arg(u8::from(request.alone))
                .arg(request.most);
            for (queue, max) in &wanted {
                call.arg(queue).arg((*max).min(1_000));
            }
        };
        let full = &*scripts::LEASE;
        let answer = if request.alone {
            let mut call = self.script(full);
            args(&mut call);
            self.run(full, &call).await?
        } else {
            self.briefs.lease.run(self, (&*scripts::LEASE_BRIEF, full), args).await?
        };
        let mut leased = decode::leased(answer)?;
        let unread = leased.batches.iter_mut().filter(|batch| batch.jobs.iter().all(|j| j.record.is_empty()));
        try_join_all(unread.map(|batch| self.read(batch))).await?;
        leased.batches.retain(|batch| !batch.jobs.is_empty());
        Ok(leased)
    }

    /// Reads the records of a batch. Nobody but the holder of the lease ends its jobs, so that
    /// a record is missing only where the lease is lost by now, or the data is damaged: such a
    /// job is skipped, and its place in the batch given up.
    async fn read(&self, batch: &mut Batch) -> Result<()> {
        let mut call = cmd("HMGET");
        call.arg(&self.keys.fixed()[0]);
        encode::args(&mut call, batch.jobs.iter().map(|job| job.id.as_bytes().as_slice()));
        let records = decode::list(self.link.ask(&call).await?)?;
        let mut gone = Vec::new();
        for (job, record) in batch.jobs.iter_mut().zip(records) {
            match record {
                Value::Nil => {
                    let outcome = Outcome::HandBack;
                    gone.push(Settle { token: batch.token, id: job.id, outcome, keyed: false });
                }
                record => job.record = decode::plain(decode::bytes(record)?),
            }
        }
        if !gone.is_empty() {
            tracing::warn!(
                jobs = gone.len(),
                token = batch.token.0,
                "leased jobs without a record are skipped"
            );
            batch.jobs.retain(|job| gone.iter().all(|missing| missing.id != job.id));
            crate::backend::Backend::settle(self, &gone).await?;
        }
        Ok(())
    }
}
