SELECT j.id, j.record, j.state, j.attempts, j.crashes, j.suspect, j.errors, j.due_ms,
       j.token, j.cancel, j.parked IS NOT NULL AS parked, j.finished_ms, j.reason, j.result,
       j.progress, j.cancel_seen, j.steps, j.cursor, j.limit_key, b.worker, b.expires_ms,
       k.after_ms
FROM jobs AS j LEFT JOIN batches AS b ON b.token = j.token
LEFT JOIN keys AS k ON j.state = 1 AND k.queue = j.queue AND k.key = j.limit_key
