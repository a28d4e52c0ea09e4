-- The newest wins: any state that waits stays what it is.
UPDATE jobs SET record = ?2, queue = ?3, priority = ?4, limit_key = ?5, cost = ?9, scope = ?6,
    hold_ms = coalesce(hold_ms, ?7), parked = CASE WHEN parked IS NOT NULL THEN ?8 END
WHERE id = ?1
