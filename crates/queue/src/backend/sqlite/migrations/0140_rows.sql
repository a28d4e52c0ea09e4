-- Jobs get a number of their own, by which a lease finds them again for less than by 16 bytes.
-- What is long comes last, so that the rest is read without it.
DROP TRIGGER flow_drafts_gone;
DROP TRIGGER jobs_gone;
DROP INDEX jobs_unique;
DROP INDEX jobs_available;
DROP INDEX jobs_keyed;
DROP INDEX jobs_permits;
DROP INDEX jobs_due;
DROP INDEX jobs_parked;
DROP INDEX jobs_blocked;
DROP INDEX jobs_cancel;
DROP INDEX jobs_final;
DROP INDEX jobs_keep;
ALTER TABLE jobs RENAME TO jobs_before;
CREATE TABLE jobs (
    n           INTEGER PRIMARY KEY,        -- known to nobody from one transaction to the next
    id          BLOB    NOT NULL UNIQUE,
    name        TEXT    NOT NULL,
    queue       TEXT    NOT NULL,
    priority    INTEGER NOT NULL,
    state       INTEGER NOT NULL,
    ord         INTEGER NOT NULL,           -- the place within queue and priority
    due_ms      INTEGER,                    -- scheduled, retryable
    unique_key  TEXT,
    limit_key   TEXT,
    cost        INTEGER NOT NULL DEFAULT 1,
    token       INTEGER,                    -- leased: its batch
    attempts    INTEGER NOT NULL DEFAULT 0,
    crashes     INTEGER NOT NULL DEFAULT 0,
    suspect     INTEGER NOT NULL DEFAULT 0,
    cancel      INTEGER NOT NULL DEFAULT 0, -- a cancellation has been requested
    cancel_seen INTEGER NOT NULL DEFAULT 0,
    watched     INTEGER NOT NULL DEFAULT 0, -- somebody waits for its end
    parked      INTEGER,                    -- blocked: the version that a worker must know
    released    INTEGER NOT NULL DEFAULT 0, -- has given its unique key up
    scope       INTEGER NOT NULL DEFAULT 0, -- gives it up: 0 finished, 1 started, 2 waiting
    hold_ms     INTEGER,                    -- until when the key is held at least
    latest_ms   INTEGER,                    -- until when it may be put off
    flow        BLOB,
    waits       INTEGER NOT NULL DEFAULT 0, -- blocked: its turn has not come
    indexed     INTEGER NOT NULL DEFAULT 0,
    finished_ms INTEGER,
    keep_until  INTEGER,
    reason      TEXT,
    result      TEXT,
    errors      TEXT,
    progress    TEXT,
    steps       TEXT,                       -- done: a line each, as StepView writes them
    cursor      TEXT,                       -- how far a long iteration has come
    record      BLOB    NOT NULL
);
INSERT INTO jobs
    (id, name, queue, priority, state, ord, due_ms, unique_key, limit_key, cost, token, attempts,
     crashes, suspect, cancel, cancel_seen, watched, parked, released, scope, hold_ms, latest_ms,
     flow, waits, indexed, finished_ms, keep_until, reason, result, errors, progress, steps, cursor,
     record)
SELECT id, name, queue, priority, state, ord, due_ms, unique_key, limit_key, cost, token, attempts,
     crashes, suspect, cancel, cancel_seen, watched, parked, released, scope, hold_ms, latest_ms,
     flow, waits, indexed, finished_ms, keep_until, reason, result, errors, progress, steps, cursor,
     record
FROM jobs_before ORDER BY id;
DROP TABLE jobs_before;

CREATE INDEX jobs_available ON jobs (queue, priority + 10 * (limit_key IS NOT NULL), ord)
    WHERE state = 1;
CREATE INDEX jobs_keyed ON jobs (queue, limit_key, priority, ord)
    WHERE state = 1 AND limit_key IS NOT NULL;
CREATE INDEX jobs_permits ON jobs (limit_key) WHERE state = 2 AND limit_key IS NOT NULL;
CREATE INDEX jobs_due ON jobs (due_ms, id) WHERE state IN (0, 3);
CREATE UNIQUE INDEX jobs_unique ON jobs (name, unique_key)
    WHERE unique_key IS NOT NULL AND released = 0 AND state < 5;
CREATE INDEX jobs_parked ON jobs (name, parked) WHERE parked IS NOT NULL;
CREATE INDEX jobs_blocked ON jobs (queue, ord) WHERE state = 4;
CREATE INDEX jobs_cancel ON jobs (id) WHERE cancel = 1;
CREATE INDEX jobs_final ON jobs (queue, state, finished_ms, id) WHERE state >= 5;
CREATE INDEX jobs_keep ON jobs (keep_until) WHERE state >= 5;

CREATE TRIGGER jobs_gone AFTER DELETE ON jobs WHEN old.indexed BEGIN
    DELETE FROM terms WHERE id = old.id;
END;
CREATE TRIGGER flow_drafts_gone AFTER DELETE ON flow_drafts
WHEN NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = old.id) BEGIN
    DELETE FROM terms WHERE id = old.id;
END;
