-- Until when a queue is paused, its rules, and whether jobs with limit keys wait in it.
SELECT (SELECT paused_until FROM queues WHERE name = ?1 AND paused_until > ?2),
    (SELECT value FROM settings WHERE kind = 'queue' AND name = ?1),
    EXISTS (SELECT 1 FROM keys WHERE queue = ?1)
