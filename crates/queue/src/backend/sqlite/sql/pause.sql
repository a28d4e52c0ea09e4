INSERT INTO queues (name, paused_until) VALUES (?1, ?2)
ON CONFLICT (name) DO UPDATE SET paused_until = max(coalesce(paused_until, 0), ?2)
