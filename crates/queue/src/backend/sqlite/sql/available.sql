-- Any unfinished state, or a redriven final one -> available.
UPDATE jobs SET state = 1, ord = ?2, due_ms = NULL, token = NULL, parked = NULL, waits = 0,
    finished_ms = NULL, keep_until = NULL, reason = NULL, result = NULL
WHERE id = ?1
