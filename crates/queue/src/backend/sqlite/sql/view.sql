SELECT j.id, j.record, j.state, j.attempts, j.crashes, j.suspect, j.errors, j.due_ms,
       j.token, j.cancel, j.parked IS NOT NULL AS parked, j.finished_ms, j.reason, j.result,
       j.progress, j.cancel_seen, j.steps, j.cursor, b.worker, b.expires_ms
FROM jobs AS j LEFT JOIN batches AS b ON b.token = j.token
