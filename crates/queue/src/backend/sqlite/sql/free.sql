-- Permits of jobs that are about to succeed: who waits for them has a turn.
UPDATE keys SET after_ms = 0, turn = ?3
WHERE after_ms = 9223372036854775807 AND key IN (
    SELECT limit_key FROM jobs WHERE id IN (SELECT substr(?1, key * 16 + 1, 16) FROM json_each(?2))
)
