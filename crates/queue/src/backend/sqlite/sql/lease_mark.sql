-- available -> leased
UPDATE jobs SET state = 2, token = ?2
WHERE id IN (SELECT unhex(value) FROM json_each(?1))
