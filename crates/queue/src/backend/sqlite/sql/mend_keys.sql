-- A key that waits for a permit although none is in use looks again.
UPDATE keys SET after_ms = 0 WHERE (queue, key) IN (
    SELECT queue, key FROM keys
    WHERE after_ms = 9223372036854775807 AND NOT EXISTS (
        SELECT 1 FROM jobs WHERE limit_key = keys.key AND state = 2 AND limit_key IS NOT NULL
    ) LIMIT 500
)
