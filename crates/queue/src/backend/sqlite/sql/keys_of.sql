-- The keys of a queue that hold work or are at their limit, the next to have a turn first.
SELECT key, after_ms,
    (SELECT count(*) FROM jobs WHERE queue = ?1 AND limit_key = k.key AND state = 1 AND limit_key IS NOT NULL),
    (SELECT count(*) FROM jobs WHERE limit_key = k.key AND state = 2 AND limit_key IS NOT NULL)
FROM keys AS k WHERE queue = ?1 ORDER BY after_ms, turn LIMIT 100
