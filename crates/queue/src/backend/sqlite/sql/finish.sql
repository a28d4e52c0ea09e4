-- Any unfinished state -> succeeded, discarded or cancelled.
UPDATE jobs SET state = ?2, finished_ms = ?3, keep_until = ?4, reason = ?5, result = ?6,
    due_ms = NULL, token = NULL, parked = NULL, waits = 0, cancel = 0, cancel_seen = 0, attempts = ?7,
    hold_ms = CASE WHEN ?2 = 7 OR ?5 = 'operator' THEN NULL ELSE hold_ms END,
    steps = CASE ?2 WHEN 5 THEN NULL ELSE steps END,
    cursor = CASE ?2 WHEN 5 THEN NULL ELSE cursor END
WHERE id = ?1
