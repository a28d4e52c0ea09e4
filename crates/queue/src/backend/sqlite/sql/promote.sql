-- scheduled, retryable -> available, in the order given.
UPDATE jobs SET state = 1, due_ms = NULL, ord = ?2 + due.place
FROM (SELECT unhex(value) AS id, key AS place FROM json_each(?1)) AS due
WHERE jobs.id = due.id
