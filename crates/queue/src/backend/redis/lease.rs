//! Leasing: a script moves the ids; those of large batches, and their records, are read
//! natively behind it.

use super::{Redis, decode, encode, scripts};
use crate::Result;
use crate::backend::{Batch, LeaseRequest, Leased, Outcome, Settle};
use futures_util::future::try_join_all;
use redis::{Cmd, Value, cmd};

/// A batch of so many at most comes whole with the answer, as in `lua/lease_brief.lua`.
const FEW: usize = 16;

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
        let (answer, took) = if request.alone {
            let mut call = self.script(full);
            args(&mut call);
            (self.run(full, &call).await?, Value::Nil)
        } else {
            let brief = self.briefs.lease.run(self, (&*scripts::LEASE_BRIEF, full), args);
            if request.most > FEW && wanted.iter().any(|(_, max)| *max > FEW) {
                // In one write with the script, so that it costs no round trip.
                let key = self.keys.named("took");
                let took = cmd("LRANGE").arg(key).arg(0).arg(-1).to_owned();
                let (answer, took) = tokio::join!(brief, self.link.ask(&took));
                (answer?, took.unwrap_or(Value::Nil))
            } else {
                (brief.await?, Value::Nil)
            }
        };
        let mut leased = decode::leased(answer)?;
        let took = decode::list(took)?;
        for batch in leased.batches.iter_mut().filter(|batch| batch.jobs.is_empty()) {
            self.name(batch, &took).await?;
        }
        let unread = leased.batches.iter_mut().filter(|batch| batch.jobs.iter().all(|j| j.record.is_empty()));
        try_join_all(unread.map(|batch| self.read(batch))).await?;
        leased.batches.retain(|batch| !batch.jobs.is_empty());
        Ok(leased)
    }

    /// Who is in a batch whose ids were not in the answer. Somebody else may have leased between
    /// the script and the look at what it took: the token tells, and then the batch is looked at.
    pub(super) async fn name(&self, batch: &mut Batch, took: &[Value]) -> Result<()> {
        let token = batch.token.0.to_string();
        let looked;
        let entries = match took {
            [Value::BulkString(of), ids @ ..] if *of == token.as_bytes() => ids,
            _ => {
                let key = self.keys.named(&format!("b:{token}"));
                looked = decode::list(self.link.ask(cmd("LRANGE").arg(key).arg(0).arg(-1)).await?)?;
                &looked
            }
        };
        let job = |entry: &Value| match entry {
            Value::BulkString(raw) => decode::job(raw),
            _ => decode::job(&[]),
        };
        match entries.iter().map(job).collect() {
            Ok(jobs) => batch.jobs = jobs,
            Err(_) => self.put_back(&token, entries).await?,
        }
        Ok(())
    }

    /// Gives a batch back that holds entries at which a lease must look closely: an older version
    /// has pushed them, and has not said so. Handed back they are pushed once more by this one.
    async fn put_back(&self, token: &str, entries: &[Value]) -> Result<()> {
        let script = &*scripts::SETTLE;
        let mut call = self.script(script);
        call.arg(0);
        // Each goes to the head of its list: the last first.
        for entry in entries.iter().rev() {
            let entry = decode::bytes(entry.clone())?;
            call.arg("i").arg(token).arg(entry).arg("handback").arg(0).arg("").arg("");
        }
        self.run(script, &call).await.map(drop)
    }

    /// Reads the records of a batch. Nobody but the holder of the lease ends its jobs, so that
    /// a record is missing only where the lease is lost by now, or the data is damaged: such a
    /// job is skipped, and its place in the batch given up.
    async fn read(&self, batch: &mut Batch) -> Result<()> {
        if batch.jobs.is_empty() {
            return Ok(());
        }
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
