-- available -> leased; some give up their unique key.
UPDATE jobs SET state = 2, token = ?2, released = (scope > 0 OR released)
WHERE n IN (SELECT value FROM json_each(?1))
