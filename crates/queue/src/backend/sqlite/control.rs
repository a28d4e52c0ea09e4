//! What an operator or client does to a job or a queue.

use super::fault::Sql;
use super::lease::{HOUR_MS, REQUESTED};
use super::sweep::WEEK_MS;
use super::tx::{End, Ending, Job, Tx, job_id};
use super::writer::Verb;
use super::{flow, flow_tend};
use crate::backend::{Action, Controlled, Pause};
use crate::{JobId, State};

pub(super) struct Control(pub(super) JobId, pub(super) Action);

impl Verb for Control {
    type Answer = Controlled;

    async fn apply(&self, tx: &mut Tx) -> Sql<Controlled> {
        let Some(job) = tx.load(self.0).await? else {
            return flow_tend::steer(tx, self.0, self.1).await;
        };
        match self.1 {
            Action::Cancel => cancel(tx, &job).await,
            Action::Discard => discard(tx, &job).await,
            Action::Hurry if job.state.is_final() => Ok(Controlled::Refused(job.state)),
            Action::Redrive if !job.state.is_final() => Ok(Controlled::Refused(job.state)),
            Action::Retry | Action::Hurry | Action::Redrive => retry(tx, &job).await,
            Action::Mend => Ok(Controlled::Missing),
        }
    }
}

async fn cancel(tx: &mut Tx, job: &Job) -> Sql<Controlled> {
    if job.state.is_final() {
        return Ok(Controlled::Refused(job.state));
    }
    if job.state == State::Leased {
        let mark = sqlx::query("UPDATE jobs SET cancel = 1 WHERE id = ?").bind(&job.id.as_bytes()[..]);
        mark.execute(&mut *tx.conn).await?;
        // Its worker asks for these when it is woken.
        tx.woke = true;
        return Ok(Controlled::Requested);
    }
    end(tx, job, State::Cancelled, HOUR_MS, REQUESTED).await
}

async fn discard(tx: &mut Tx, job: &Job) -> Sql<Controlled> {
    if job.state.is_final() || job.state == State::Leased {
        return Ok(Controlled::Refused(job.state));
    }
    end(tx, job, State::Discarded, WEEK_MS, "operator").await
}

async fn end(tx: &mut Tx, job: &Job, state: State, keep_ms: i64, reason: &str) -> Sql<Controlled> {
    tx.finish(job, state, Ending { keep_ms, reason: Some(reason), result: None }).await?;
    Ok(Controlled::Done(state))
}

async fn retry(tx: &mut Tx, job: &Job) -> Sql<Controlled> {
    match job.state {
        State::Available => return Ok(Controlled::Done(State::Available)),
        State::Leased => return Ok(Controlled::Refused(job.state)),
        State::Blocked if job.waits => return Ok(Controlled::Refused(job.state)),
        _ => {}
    }
    if job.state.is_final() {
        let flow = job.flow.map(|flow| flow.as_bytes().to_vec());
        let known = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM flows WHERE id = ?)").bind(flow);
        if known.fetch_one(&mut *tx.conn).await? {
            return Ok(Controlled::Refused(job.state));
        }
        if let Some(key) = &job.unique {
            let holder = tx.holder(&job.name, key).await?.filter(|(holder, _)| *holder != job.id);
            if let Some((holder, _)) = holder {
                return Ok(Controlled::Duplicate(holder));
            }
            tx.revive(job).await?;
        }
        let redrive = sqlx::query(include_str!("sql/redrive.sql")).bind(&job.id.as_bytes()[..]);
        redrive.bind(tx.now).execute(&mut *tx.conn).await?;
    }
    tx.available(job, End::Tail).await?;
    Ok(Controlled::Done(State::Available))
}

pub(super) struct PauseQueue(pub(super) String, pub(super) Pause);

impl Verb for PauseQueue {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx) -> Sql<()> {
        let until = match self.1 {
            Pause::Forever => i64::MAX,
            Pause::Until(ms) => ms,
            Pause::For(ms) => tx.now.saturating_add(ms),
            Pause::Off => {
                let resume =
                    sqlx::query("UPDATE queues SET paused_until = NULL WHERE name = ?").bind(&self.0);
                resume.execute(&mut *tx.conn).await?;
                tx.woke = true;
                return Ok(());
            }
        };
        if until > tx.now {
            let pause = sqlx::query(include_str!("sql/pause.sql")).bind(&self.0).bind(until);
            pause.execute(&mut *tx.conn).await?;
        }
        Ok(())
    }
}

pub(super) struct Purge(pub(super) String, pub(super) usize);

impl Verb for Purge {
    type Answer = usize;

    async fn apply(&self, tx: &mut Tx) -> Sql<usize> {
        let purge = sqlx::query_as(include_str!("sql/purge.sql")).bind(&self.0).bind(self.1 as i64);
        let went: Vec<(i64, Vec<u8>, Option<Vec<u8>>)> = purge.fetch_all(&mut *tx.conn).await?;
        for (number, id, flow) in &went {
            tx.count(&self.0, Some(super::tx::state(*number)?), None, 1);
            if let Some(flow) = flow {
                let cancelled = State::Cancelled as i64;
                flow::note(tx, job_id(flow)?, job_id(id)?, cancelled, "purged", None).await?;
            }
        }
        Ok(went.len())
    }
}

pub(super) struct Watch(pub(super) JobId);

impl Verb for Watch {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx) -> Sql<()> {
        let mark = "UPDATE jobs SET watched = 1 WHERE id = ? AND watched = 0 AND state < 5";
        sqlx::query(mark).bind(&self.0.as_bytes()[..]).execute(&mut *tx.conn).await.map(drop)
    }
}
