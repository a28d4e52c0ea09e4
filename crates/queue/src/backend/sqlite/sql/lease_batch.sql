INSERT INTO batches (token, worker, queue, expires_ms, ttl_ms, open, members, ended, keyed)
VALUES (?, ?, ?, ?, ?, ?, ?, x'', ?)
