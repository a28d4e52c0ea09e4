SELECT id, queue, state FROM jobs
WHERE state IN (0, 3) AND due_ms <= ?
ORDER BY due_ms, id LIMIT ?
