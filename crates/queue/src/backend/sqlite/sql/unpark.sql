SELECT id FROM jobs WHERE name = ? AND parked IS NOT NULL AND parked <= ? ORDER BY ord LIMIT ?
