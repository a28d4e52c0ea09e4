-- States are numbered in the order of State::ALL: 0 scheduled, 1 available, 2 leased,
-- 3 retryable, 4 blocked, 5 succeeded, 6 discarded, 7 cancelled. Below 5: unfinished.

-- One row: the schema's version, and the counters from which places and tokens are taken.
CREATE TABLE legwork (
    version INTEGER NOT NULL,
    tail    INTEGER NOT NULL,  -- the last place given at the end of a queue; grows
    head    INTEGER NOT NULL,  -- the last place given at the front; falls
    token   INTEGER NOT NULL,  -- the last token given
    outage  INTEGER NOT NULL   -- when leases were last renewed because of an outage
);
INSERT INTO legwork VALUES (0, 0, 0, 0, 0);

CREATE TABLE jobs (
    id          BLOB    NOT NULL PRIMARY KEY,
    record      BLOB    NOT NULL,
    name        TEXT    NOT NULL,
    queue       TEXT    NOT NULL,
    priority    INTEGER NOT NULL,
    state       INTEGER NOT NULL,
    ord         INTEGER NOT NULL,           -- the place within queue and priority
    due_ms      INTEGER,                    -- scheduled, retryable
    unique_key  TEXT,
    serial_key  TEXT,
    token       INTEGER,                    -- leased: its batch
    attempts    INTEGER NOT NULL DEFAULT 0,
    crashes     INTEGER NOT NULL DEFAULT 0,
    suspect     INTEGER NOT NULL DEFAULT 0,
    cancel      INTEGER NOT NULL DEFAULT 0, -- a cancellation has been requested
    watched     INTEGER NOT NULL DEFAULT 0, -- somebody waits for its end
    parked      INTEGER,                    -- blocked: the version that a worker must know
    errors      TEXT,
    progress    TEXT,
    finished_ms INTEGER,
    keep_until  INTEGER,
    reason      TEXT,
    result      TEXT
) WITHOUT ROWID;

CREATE INDEX jobs_available ON jobs (queue, priority, ord) WHERE state = 1;
CREATE INDEX jobs_due ON jobs (due_ms) WHERE state IN (0, 3);
CREATE UNIQUE INDEX jobs_unique ON jobs (name, unique_key)
    WHERE unique_key IS NOT NULL AND state < 5;
CREATE INDEX jobs_serial ON jobs (serial_key, state, priority, ord)
    WHERE serial_key IS NOT NULL;
CREATE INDEX jobs_parked ON jobs (name, parked) WHERE parked IS NOT NULL;
CREATE INDEX jobs_blocked ON jobs (queue, ord) WHERE state = 4;
CREATE INDEX jobs_cancel ON jobs (id) WHERE cancel = 1;
CREATE INDEX jobs_final ON jobs (queue, state, finished_ms) WHERE state >= 5;
CREATE INDEX jobs_keep ON jobs (keep_until) WHERE state >= 5;

-- A lease per batch. A job's row names its batch; the batch names its members, so that
-- no index on jobs must follow every lease. A closed batch is remembered for a while,
-- so that a repeated settle is told from a stale one.
CREATE TABLE batches (
    token      INTEGER PRIMARY KEY,
    worker     TEXT    NOT NULL,
    queue      TEXT    NOT NULL,
    expires_ms INTEGER NOT NULL,
    ttl_ms     INTEGER NOT NULL,
    open       INTEGER NOT NULL,  -- members not settled yet; 0: forgotten at expires_ms
    members    BLOB    NOT NULL,  -- ids, 16 bytes each
    ended      BLOB    NOT NULL   -- id and outcome, 17 bytes each, of all but the succeeded
);
CREATE INDEX batches_open ON batches (expires_ms) WHERE open > 0;
CREATE INDEX batches_closed ON batches (expires_ms) WHERE open = 0;

-- Queues, with the number of jobs in each state.
CREATE TABLE queues (
    name         TEXT    NOT NULL PRIMARY KEY,
    paused_until INTEGER,
    processed    INTEGER NOT NULL DEFAULT 0,
    failed       INTEGER NOT NULL DEFAULT 0,
    n0 INTEGER NOT NULL DEFAULT 0, n1 INTEGER NOT NULL DEFAULT 0,
    n2 INTEGER NOT NULL DEFAULT 0, n3 INTEGER NOT NULL DEFAULT 0,
    n4 INTEGER NOT NULL DEFAULT 0, n5 INTEGER NOT NULL DEFAULT 0,
    n6 INTEGER NOT NULL DEFAULT 0, n7 INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- The last answer of each client's lane, for calls whose reply was lost.
CREATE TABLE lanes (
    lane   TEXT    NOT NULL PRIMARY KEY,
    seq    INTEGER NOT NULL,
    answer BLOB    NOT NULL,
    at_ms  INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE workers (
    id      TEXT    NOT NULL PRIMARY KEY,
    view    TEXT    NOT NULL,
    seen_ms INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE schedules (
    name    TEXT    NOT NULL PRIMARY KEY,
    view    TEXT    NOT NULL,
    last_ms INTEGER NOT NULL,
    fired   INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
