INSERT INTO schedules (name, view, last_ms, fired) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (name) DO UPDATE SET view = ?2
RETURNING last_ms, fired
