-- Permits of jobs that are about to succeed: who waits for them has a turn.
UPDATE keys SET after_ms = 0, turn = ?2
WHERE after_ms = 9223372036854775807 AND key IN (
    SELECT limit_key FROM jobs WHERE id IN (SELECT unhex(value) FROM json_each(?1))
)
