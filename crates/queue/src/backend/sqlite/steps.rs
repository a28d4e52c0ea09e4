//! What a leased job says beside its record: progress, steps, cursor, and that a request
//! for its cancellation was seen.

use super::fault::Sql;
use super::tx::Tx;
use super::writer::Verb;
use crate::backend::{MAX_STEPS, Note, Settled, StepView, Token};
use crate::{Error, JobId};

pub(super) struct WriteDown(pub(super) Token, pub(super) JobId, pub(super) Note);

impl Verb for WriteDown {
    /// Refused where there would be too much: the size in bytes.
    type Answer = Result<Settled, i64>;

    async fn apply(&self, tx: &mut Tx) -> Sql<Self::Answer> {
        let WriteDown(token, id, note) = self;
        let held = sqlx::query_as(include_str!("sql/told.sql"));
        let held = held.bind(&id.as_bytes()[..]).bind(token.0 as i64);
        let Some((steps, cursor)) = held.fetch_optional(&mut *tx.conn).await? else {
            return Ok(Ok(Settled::Stale));
        };
        let (mut steps, cursor): (String, i64) = (steps, cursor);
        let (set, text) = match note {
            Note::Progress(text) => ("UPDATE jobs SET progress = ?2 WHERE id = ?1", text.as_str()),
            Note::CancelSeen => ("UPDATE jobs SET cancel_seen = cancel WHERE id = ?1", ""),
            Note::Cursor(text) if steps.len() + text.len() > MAX_STEPS => {
                return Ok(Err((steps.len() + text.len()) as i64));
            }
            Note::Cursor(text) => ("UPDATE jobs SET cursor = ?2 WHERE id = ?1", text.as_str()),
            Note::Step { name, value } => {
                let (mark, line) = StepView::line(name, value);
                if steps.contains(&mark) {
                    return Ok(Ok(Settled::Done));
                }
                steps.push_str(&line);
                let size = steps.len() as i64 + cursor;
                if size > MAX_STEPS as i64 {
                    return Ok(Err(size));
                }
                ("UPDATE jobs SET steps = ?2 WHERE id = ?1", steps.as_str())
            }
        };
        sqlx::query(set).bind(&id.as_bytes()[..]).bind(text).execute(&mut *tx.conn).await?;
        Ok(Ok(Settled::Done))
    }
}

/// The answer of the verb, or the refusal.
pub(super) fn told(answer: Result<Settled, i64>) -> Result<Settled, Error> {
    answer.map_err(StepView::too_many)
}
