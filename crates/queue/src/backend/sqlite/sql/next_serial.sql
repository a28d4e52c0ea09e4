SELECT id FROM jobs
WHERE serial_key = ? AND state = 4 AND parked IS NULL AND waits = 0
ORDER BY priority, ord LIMIT 1
