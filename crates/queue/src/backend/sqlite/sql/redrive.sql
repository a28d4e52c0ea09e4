UPDATE jobs SET attempts = 0, crashes = 0, suspect = 0, cancel = 0, released = 0 WHERE id = ?
