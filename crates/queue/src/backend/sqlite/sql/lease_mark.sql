-- available -> leased; some give up their unique key. And the batch that holds them.
UPDATE jobs SET state = 2, token = ?2, released = (scope > 0 OR released)
WHERE n IN (SELECT value FROM json_each(?1));
INSERT INTO batches (token, worker, queue, expires_ms, ttl_ms, open, members, ended, keyed)
VALUES (?2, ?3, ?4, ?5, ?6, ?7, ?8, x'', ?9)
