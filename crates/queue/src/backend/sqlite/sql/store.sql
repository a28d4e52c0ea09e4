UPDATE jobs SET attempts = ?2, crashes = ?3, suspect = max(suspect, ?4), errors = ?5 WHERE id = ?1
