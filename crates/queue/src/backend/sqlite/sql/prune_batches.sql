DELETE FROM batches WHERE token IN (
    SELECT token FROM batches WHERE open = 0 AND expires_ms <= ? LIMIT 5000
)
