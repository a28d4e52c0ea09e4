UPDATE batches SET open = ?2, ended = ?3, expires_ms = coalesce(?4, expires_ms)
WHERE token = ?1
