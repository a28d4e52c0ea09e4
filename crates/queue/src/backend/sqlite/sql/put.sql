INSERT INTO settings (kind, name, value, last_ms) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (kind, name) DO UPDATE SET value = ?3
