//! The index of the jobs that have tags, metadata or errors. What is deleted leaves it by a
//! trigger, so that no entry outlives its job.

use super::fault::Sql;
use super::tx::{Job, Tx};
use crate::{Envelope, JobId};

impl Tx {
    /// Indexes a job that has been taken in.
    pub(super) async fn index(&mut self, id: JobId, made_ms: i64, terms: &[String]) -> Sql<()> {
        for term in terms {
            self.enter(id, made_ms, term).await?;
        }
        let mark = sqlx::query("UPDATE jobs SET indexed = 1 WHERE id = ?").bind(&id.as_bytes()[..]);
        mark.execute(&mut *self.conn).await.map(drop)
    }

    /// Indexes a job by other tags and metadata than before; its error stays.
    pub(super) async fn index_again(&mut self, id: JobId, made_ms: i64, terms: &[String]) -> Sql<()> {
        let before = "DELETE FROM terms WHERE id = ? AND (term < x'653a' OR term >= x'653b')";
        sqlx::query(before).bind(&id.as_bytes()[..]).execute(&mut *self.conn).await?;
        self.index(id, made_ms, terms).await?;
        let mark =
            "UPDATE jobs SET indexed = EXISTS (SELECT 1 FROM terms WHERE terms.id = jobs.id) WHERE id = ?";
        sqlx::query(mark).bind(&id.as_bytes()[..]).execute(&mut *self.conn).await.map(drop)
    }

    /// Indexes a job by its newest error, and by no older one.
    pub(super) async fn index_error(&mut self, job: &Job) -> Sql<()> {
        let Some(newest) = job.errors.last() else { return Ok(()) };
        let older = "DELETE FROM terms WHERE id = ? AND term >= x'653a' AND term < x'653b'";
        sqlx::query(older).bind(&job.id.as_bytes()[..]).execute(&mut *self.conn).await?;
        let record = self.record(job.id).await?;
        let envelope = Envelope::decode(job.id, &record).ok();
        let made = envelope.and_then(|e| e.made_ms()).or_else(|| job.id.created_ms()).unwrap_or(self.now);
        self.index(job.id, made, &[format!("e:{}", newest.fingerprint())]).await
    }

    async fn enter(&mut self, id: JobId, made_ms: i64, term: &str) -> Sql<()> {
        let enter = sqlx::query("INSERT OR IGNORE INTO terms (term, made_ms, id) VALUES (?, ?, ?)");
        let enter = enter.bind(term.as_bytes()).bind(made_ms).bind(&id.as_bytes()[..]);
        enter.execute(&mut *self.conn).await.map(drop)
    }
}
