DELETE FROM held WHERE (name, unique_key) IN (
    SELECT name, unique_key FROM held WHERE until_ms <= ? LIMIT 5000
)
