-- Unique keys with a scope. The lock of a key is the row of the job that holds it, as long
-- as it is unfinished and has not given the key up: it cannot outlive the job, or leak.
ALTER TABLE jobs ADD COLUMN released INTEGER NOT NULL DEFAULT 0; -- has given its unique key up
ALTER TABLE jobs ADD COLUMN scope    INTEGER NOT NULL DEFAULT 0; -- gives it up: 0 finished, 1 started, 2 waiting
ALTER TABLE jobs ADD COLUMN hold_ms  INTEGER;                    -- until when the key is held at least
ALTER TABLE jobs ADD COLUMN latest_ms INTEGER;                   -- until when it may be put off

DROP INDEX jobs_unique;
CREATE UNIQUE INDEX jobs_unique ON jobs (name, unique_key)
    WHERE unique_key IS NOT NULL AND released = 0 AND state < 5;

-- Keys that finished jobs hold for the rest of a time.
CREATE TABLE held (
    name       TEXT    NOT NULL,
    unique_key TEXT    NOT NULL,
    id         BLOB    NOT NULL,
    until_ms   INTEGER NOT NULL,
    PRIMARY KEY (name, unique_key)
) WITHOUT ROWID;
CREATE INDEX held_until ON held (until_ms);
