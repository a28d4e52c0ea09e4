//! Taking jobs in: by a script, and where they are many, their records beside it.

use super::scripts::{self, Script};
use super::{Redis, brief, decode, encode};
use crate::backend::{EnqueueBatch, Guard, Taken};
use crate::{Error, Result};
use redis::{Cmd, Pipeline, Value, cmd};

/// From so many jobs on their records go beside the script: what a transaction costs more is
/// less then than what they cost on their way through Lua.
const MANY: usize = 16;
/// The commands of the transaction.
const COMMANDS: usize = 6;

impl Redis {
    pub(super) async fn take_in(&self, batch: &EnqueueBatch) -> Result<Taken> {
        let plan = encode::Jobs::of(&batch.jobs);
        let script = async |script: &Script| {
            let mut call = self.script(script);
            encode::guard(&mut call, batch);
            plan.write(&mut call);
            self.run(script, &call).await
        };
        let full = script(&scripts::ENQUEUE);
        let answer = if !plan.are_plain() || batch.guard != Guard::None {
            full.await?
        } else if batch.jobs.len() >= MANY && self.may_go_beside().await {
            self.briefs.enqueue.either(self.beside(batch, &plan), full).await?
        } else {
            self.briefs.enqueue.either(script(&scripts::ENQUEUE_BRIEF), full).await?
        };
        let mut reply = decode::Reply::of(answer)?;
        match reply.word.as_str() {
            "ok" => plan.answers(&decode::bytes(reply.next()?)?).map(Taken::Jobs),
            "old" => Err(Error::invalid("seq: this lane has been answered for a later call already")),
            "full" => {
                let queue = decode::text(reply.next()?)?;
                let (waiting, limit) = (decode::number(reply.next()?)?, decode::number(reply.next()?)?);
                Err(crate::rules::full(&queue, waiting, limit))
            }
            _ => Ok(Taken::Changed),
        }
    }

    /// Whether transactions can be had here. Asked once, of one that does nothing: where `MULTI`
    /// alone is refused, by a proxy or for want of a right, what stands behind it is carried out.
    async fn may_go_beside(&self) -> bool {
        // A function that is gone fails in the middle of a transaction, and none can be loaded there.
        // What waits for replicas or a disk has other costs.
        if self.functions || self.durable.is_some() {
            return false;
        }
        let ask = async || {
            let mut piece = redis::pipe();
            piece.cmd("MULTI");
            self.add_loaded(&mut piece);
            piece.add_command(self.script(&scripts::ENQUEUE_BESIDE).arg("").arg(0).arg("before").to_owned());
            piece.cmd("EXEC");
            let answers = self.link.piece(&piece, 4).await?;
            Ok::<_, Error>(answers.iter().all(std::result::Result::is_ok))
        };
        // Where nobody answers, that is no answer: the script is sent, and says so.
        self.beside.get_or_try_init(ask).await.is_ok_and(|may| *may)
    }

    /// In the transaction itself, so that nobody makes Redis forget the script before it is called.
    fn add_loaded(&self, piece: &mut Pipeline) {
        piece.cmd("SCRIPT").arg("LOAD").arg(scripts::ENQUEUE_BESIDE.text.as_str());
    }

    /// Sends ids by script and records natively, in one transaction. Whatever keeps it from being
    /// carried out, the full script finds as well, and has the words for it; where it may have been
    /// carried out, the lane tells.
    async fn beside(&self, batch: &EnqueueBatch, plan: &encode::Jobs<'_>) -> Result<Value> {
        let call = |when: &str| {
            let mut call = self.script(&scripts::ENQUEUE_BESIDE);
            call.arg(&batch.lane).arg(batch.seq).arg(when);
            plan.write_ids(&mut call);
            call
        };
        let mut records = Cmd::with_capacity(2 + 2 * batch.jobs.len(), plan.size() + 32 * batch.jobs.len());
        records.arg("HSET").arg(&self.keys.fixed()[0]);
        plan.write_records(&mut records);
        let mut piece = Pipeline::with_capacity(COMMANDS);
        piece.add_command(cmd("MULTI"));
        self.add_loaded(&mut piece);
        piece.add_command(call("before")).add_command(records).add_command(call("after")).cmd("EXEC");
        let done = self.link.piece(&piece, COMMANDS).await?.pop();
        Ok(match done {
            Some(Ok(Value::Array(mut all))) => match all.pop() {
                Some(answer @ Value::Array(_)) => answer,
                _ => brief::slow(),
            },
            _ => brief::slow(),
        })
    }
}
